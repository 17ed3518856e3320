"""Numbers in running English text, in words: years, ordinals, money, shares, times, units.

`In 1990 12% of 1,500 km` becomes `In nineteen ninety twelve percent of one thousand five hundred
kilometers`. The reverse, for comparing transcripts, is `transcription.normalizer`.
"""

import re
from decimal import Decimal

from num2words import num2words

_MONEY = {"$": ("dollar", "cent"), "£": ("pound", ""), "€": ("euro", "cent")}


def table(text: str) -> dict[str, str]:
    """`km kilometers, m meters` by what stands before the first space of each."""
    pairs = (pair.strip().partition(" ") for pair in text.split(","))
    return {short: words for short, _, words in pairs}


_UNITS = table("""
km kilometers, m meters, cm centimeters, mm millimeters, kg kilograms, mg milligrams, g grams,
mph miles per hour, km/h kilometers per hour, ft feet, lbs pounds, Hz hertz, kHz kilohertz,
MHz megahertz, GHz gigahertz, KB kilobytes, MB megabytes, GB gigabytes, TB terabytes,
ms milliseconds, °C degrees Celsius, °F degrees Fahrenheit, ° degrees, % percent
""")
_SCALE = r"(?:\s(?:thousand|million|billion|trillion)\b)"
_AMOUNT = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# A number is left alone inside addresses and formulas, which are not read aloud anyway.
_FREE = r"(?<![\w./\\^=_*+@#])"
_TIME = re.compile(_FREE + r"(\d{1,2}):(\d{2})(?![\d:])")
_MONEYED = re.compile(rf"([$£€])\s?({_AMOUNT})({_SCALE}?)(?![\w^])")
_SPAN = re.compile(_FREE + r"(\d+(?:\.\d+)?)\s?[-–]\s?(?=\d+(?:\.\d+)?(?![\d/-]))")
_MEASURED = re.compile(
    _FREE
    + rf"({_AMOUNT})\s?("
    + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
    + r")(?![\w/^'])"
)
_DATE = re.compile(
    r"\b(January|February|March|April|May|June|July|August|September|October|November|December)"
    r"\s(\d{1,2})(?=,|\s*[.;:?!]|\s+\d{4}\b|\s+[a-z]|$)"
)
_ORDINAL = re.compile(_FREE + r"(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b")
_DECADE = re.compile(_FREE + r"(\d{3}0)'?s\b")
_NUMBERED = re.compile(r"\bNo\.\s?(?=\d)")
_HALVES = {"½": "a half", "¼": "a quarter", "¾": "three quarters"}
_FRACTION = re.compile(r"(\d*)\s?([½¼¾])")
_PLAIN = re.compile(_FREE + rf"(-?)({_AMOUNT})(?!\w|[/^=*+_]|[.,]\d)")


def in_words(text: str) -> str:
    """The text, its numbers in words. Without digits it comes back as it is."""
    text = _FRACTION.sub(_fraction, text)
    if not re.search(r"\d", text):
        return text
    text = _NUMBERED.sub("number ", text)
    text = _MONEYED.sub(_money, text)
    text = _TIME.sub(_time, text)
    text = _SPAN.sub(r"\1 to ", text)
    text = _MEASURED.sub(lambda match: f"{_number(match[1])} {_unit(match[1], match[2])}", text)
    text = _DATE.sub(lambda match: f"{match[1]} {_say(int(match[2]), 'ordinal')}", text)
    text = _DECADE.sub(lambda match: _plural(_year(int(match[1]))), text)
    text = _ORDINAL.sub(lambda match: _say(int(match[1].replace(",", "")), "ordinal"), text)
    return _PLAIN.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    digits = match[2]
    if not match[1] and re.fullmatch(r"1[1-9]\d\d|20\d\d", digits):
        return _year(int(digits))
    return "minus " * bool(match[1]) + _number(digits)


def _number(digits: str) -> str:
    """`1,500` or `3.25`; what begins with zeros, or is too long for a number, digit by digit."""
    digits = digits.replace(",", "")
    whole = digits.partition(".")[0]
    if len(whole) > 15 or (len(whole) > 1 and whole[0] == "0"):
        return " ".join("point" if digit == "." else _say(int(digit)) for digit in digits)
    return _say(Decimal(digits) if "." in digits else int(digits))


def _year(year: int) -> str:
    return _say(year, "cardinal" if 2000 <= year <= 2009 else "year")


def _money(match: re.Match[str]) -> str:
    unit, subunit = _MONEY[match[1]]
    digits, scale = match[2], match[3]
    whole, _, cents = digits.partition(".")
    if scale or not (len(cents) == 2 and subunit):
        return f"{_number(digits)}{scale} {unit}{_s(digits if not scale else '2')}"
    words = f"{_number(whole)} {unit}{_s(whole)}" if int(whole.replace(",", "")) else ""
    if int(cents):
        words += " and " * bool(words) + f"{_say(int(cents))} {subunit}{_s(str(int(cents)))}"
    return words or f"zero {unit}s"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59:
        return match[0]
    if not minute:
        meridiem = re.match(r"\s?[AP]M\b", match.string[match.end() :])
        return _say(hour) + ("" if meridiem else " o'clock")
    return f"{_say(hour)} {'oh ' if minute < 10 else ''}{_say(minute)}"


def _unit(digits: str, unit: str) -> str:
    words = _UNITS[unit]
    if digits != "1" or unit == "%" or words == "hertz":
        return words
    if words == "feet":
        return "foot"
    first, _, rest = words.partition(" ")
    return f"{first.removesuffix('s')} {rest}".strip()


def _fraction(match: re.Match[str]) -> str:
    return f"{match[1]} and {_HALVES[match[2]]}" if match[1] else _HALVES[match[2]]


def _plural(words: str) -> str:
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _s(digits: str) -> str:
    return "" if digits == "1" else "s"


def _say(number: int | Decimal, to: str = "cardinal") -> str:
    return str(num2words(number, to=to)).replace(",", "").replace("-", " ")
