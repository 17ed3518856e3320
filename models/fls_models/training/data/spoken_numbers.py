"""Numbers in running English text, in words: years, ordinals, money, shares, times, units.

`In 1990 12% of 1,500 km` becomes `In nineteen ninety twelve percent of one thousand five hundred
kilometers`. The reverse, for comparing transcripts, is `transcription.normalizer`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from fls_models.core.optional import optional

_MONEY = {"$": ("dollar", "cent"), "£": ("pound", ""), "€": ("euro", "cent")}
_UNIT_NAMES = """
km kilometers, m meters, cm centimeters, mm millimeters, kg kilograms, mg milligrams, g grams,
mph miles per hour, km/h kilometers per hour, ft feet, lbs pounds, Hz hertz, kHz kilohertz,
MHz megahertz, GHz gigahertz, KB kilobytes, MB megabytes, GB gigabytes, TB terabytes,
ms milliseconds, °C degrees Celsius, °F degrees Fahrenheit, ° degrees, % percent
"""
_UNITS = {
    unit: words for unit, _, words in (one.strip().partition(" ") for one in _UNIT_NAMES.split(","))
}
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
    """The text, its numbers in words. Without digits it comes back as it is.

    Raises EnvironmentLacks when num2words is not installed.
    """
    text = _FRACTION.sub(_fraction, text)
    if not re.search(r"\d", text):
        return text
    text = _NUMBERED.sub("number ", text)
    text = _MONEYED.sub(_money, text)
    text = _TIME.sub(_time, text)
    text = _SPAN.sub(r"\1 to ", text)
    text = _MEASURED.sub(lambda found: f"{_number(found[1])} {_unit(found[1], found[2])}", text)
    text = _DATE.sub(lambda found: f"{found[1]} {_say(int(found[2]), 'ordinal')}", text)
    text = _DECADE.sub(lambda found: _plural(_year(int(found[1]))), text)
    text = _ORDINAL.sub(lambda found: _say(int(found[1].replace(",", "")), "ordinal"), text)
    return _PLAIN.sub(_plain, text)


def _plain(found: re.Match[str]) -> str:
    digits = found[2]
    if not found[1] and re.fullmatch(r"1[1-9]\d\d|20\d\d", digits):
        return _year(int(digits))
    return "minus " * bool(found[1]) + _number(digits)


def _number(digits: str) -> str:
    """`1,500` or `3.25`; what begins with zeros, or is too long for a number, digit by digit."""
    digits = digits.replace(",", "")
    whole = digits.partition(".")[0]
    if len(whole) > 15 or (len(whole) > 1 and whole[0] == "0"):
        return " ".join("point" if one == "." else _say(int(one)) for one in digits)
    return _say(Decimal(digits) if "." in digits else int(digits))


def _year(year: int) -> str:
    if 2000 <= year <= 2009:
        return _say(year)
    return _say(year, "year")


def _money(found: re.Match[str]) -> str:
    one, small = _MONEY[found[1]]
    digits, scale = found[2], found[3]
    whole, _, cents = digits.partition(".")
    if scale or not (len(cents) == 2 and small):
        return f"{_number(digits)}{scale} {one}{_s(digits if not scale else '2')}"
    said = f"{_number(whole)} {one}{_s(whole)}" if int(whole.replace(",", "")) else ""
    if int(cents):
        said += " and " * bool(said) + f"{_say(int(cents))} {small}{_s(str(int(cents)))}"
    return said or f"zero {one}s"


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), int(found[2])
    if hour > 24 or minute > 59:
        return found[0]
    if not minute:
        return _say(hour) + (
            "" if re.match(r"\s?[AP]M\b", found.string[found.end() :]) else " o'clock"
        )
    return f"{_say(hour)} {'oh ' if minute < 10 else ''}{_say(minute)}"


def _unit(digits: str, unit: str) -> str:
    said = _UNITS[unit]
    if digits != "1" or unit == "%" or said == "hertz":
        return said
    if said == "feet":
        return "foot"
    first, _, rest = said.partition(" ")
    return f"{first.removesuffix('s')} {rest}".strip()


def _fraction(found: re.Match[str]) -> str:
    return f"{found[1]} and {_HALVES[found[2]]}" if found[1] else _HALVES[found[2]]


def _plural(words: str) -> str:
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _s(digits: str) -> str:
    return "" if digits == "1" else "s"


def _say(number: int | Decimal, to: str = "cardinal") -> str:
    words = str(_num2words()(number, to=to))
    return words.replace(",", "").replace("-", " ")


def _num2words() -> Any:
    return optional("num2words", "Putting numbers into words").num2words
