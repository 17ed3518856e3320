"""English number words as digits, in a list of words that already lack punctuation.

`twenty five` is 25, `one hundred and five` 105, `nineteen ten` 1910, `nineteen oh five` 1905,
`twenty first` 21st, `zero point four` 0.4, `25 million` 25000000. Numbers that merely follow each
other (`one two three`) stay apart. Words that are no numbers pass through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_UNITS = _UNIT_WORDS.split()
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
}
_ORDINALS = {
    "first": "one",
    "second": "two",
    "third": "three",
    "fifth": "five",
    "eighth": "eight",
    "ninth": "nine",
    "twelfth": "twelve",
    **{f"{tens[:-1]}ieth": tens for tens in _TENS},
    **{
        f"{word}th": word
        for word in [*_UNITS[4:], "hundred", *_SCALES]
        if word not in ("five", "eight", "nine", "twelve")
    },
}


@dataclass(frozen=True)
class _Number:
    """A number read so far and how many words it took."""

    value: Decimal
    words: int
    ordinal: bool = False

    def __str__(self) -> str:
        text = format(self.value, "f")
        if "." in text:
            text = text.rstrip("0").rstrip(".") if self.words > 1 else text
        return f"{text}{_ending(int(self.value))}" if self.ordinal else text


def in_digits(words: Sequence[str]) -> list[str]:
    """The words, with every number in digits."""
    written: list[str] = []
    at = 0
    while at < len(words):
        number = _number(words[at:])
        if number is None:
            written.append(words[at])
            at += 1
        else:
            written.append(str(number))
            at += number.words
    return written


def _number(words: Sequence[str]) -> _Number | None:
    """The longest number at the front."""
    year = _year(words)
    if year is not None:
        return year
    total = Decimal(0)
    used, smallest, ordinal = 0, Decimal(10**15), False
    while not ordinal:
        # "and" only joins what follows a hundred or more: "three and four" are two numbers.
        joined = int(used > 0 and total >= 100 and words[used : used + 1] == ["and"])
        group = _group(words[used + joined :])
        if group is None:
            break
        after = used + joined + group.words
        scale = _scale(words[after : after + 1]) if not group.ordinal else None
        worth, last = (Decimal(scale[0]), scale[1]) if scale else (Decimal(1), group.ordinal)
        if worth >= smallest or (used and worth == 1 and group.value >= smallest):
            break
        if joined and group.value * worth >= 100 and worth == 1:
            break
        total += group.value * worth
        used, smallest, ordinal = after + (scale is not None), worth, last
        if worth == 1:
            break
    if not used:
        return None
    return _Number(total, used, ordinal)


def _group(words: Sequence[str]) -> _Number | None:
    """Below a thousand in words ("three hundred and five"), or digits as they stand."""
    if not words:
        return None
    if words[0][0].isdecimal() and words[0].isascii():
        try:
            value = Decimal(words[0])
        except ArithmeticError:
            return None
        return _hundreds(_Number(value, 1), words)
    head = _two_digits(words)
    if head is None:
        return None
    if not head.ordinal and words[head.words : head.words + 1] == ["point"]:
        return _decimal(head, words)
    return _hundreds(head, words)


def _hundreds(head: _Number, words: Sequence[str]) -> _Number:
    following = words[head.words : head.words + 1]
    if head.ordinal or head.value >= 100 or not following:
        return head
    if following == ["hundredth"]:
        return _Number(head.value * 100, head.words + 1, True)
    if following != ["hundred"]:
        return head
    used = head.words + 1
    joined = int(words[used : used + 1] == ["and"])
    rest = _two_digits(words[used + joined :])
    if rest is None or not rest.value or words[used + joined + rest.words :][:1] == ["hundred"]:
        return _Number(head.value * 100, used)
    return _Number(head.value * 100 + rest.value, used + joined + rest.words, rest.ordinal)


def _two_digits(words: Sequence[str]) -> _Number | None:
    """Up to 99, in words."""
    if not words:
        return None
    ordinal = words[0] in _ORDINALS
    value = _SMALL.get(_ORDINALS.get(words[0], words[0]))
    if value is None:
        return None
    if value >= 20 and not ordinal and len(words) > 1:
        unit = _SMALL.get(_ORDINALS.get(words[1], words[1]))
        if unit is not None and 1 <= unit <= 9:
            return _Number(Decimal(value + unit), 2, words[1] in _ORDINALS)
    return _Number(Decimal(value), 1, ordinal)


def _decimal(head: _Number, words: Sequence[str]) -> _Number:
    digits = ""
    for word in words[head.words + 1 :]:
        value = _SMALL.get(word)
        if value is None or value > 9:
            break
        digits += str(value)
    if not digits:
        return head
    return _Number(Decimal(f"{head.value}.{digits}"), head.words + 1 + len(digits))


def _year(words: Sequence[str]) -> _Number | None:
    """`nineteen ten`, `nineteen oh five`, `twenty twenty four`: two pairs of digits."""
    century = _two_digits(words[:1])
    if century is None or century.ordinal or not 11 <= century.value <= 20:
        return None
    if words[1:2] == ["oh"] or words[1:2] == ["o"]:
        unit = _two_digits(words[2:3])
        if unit is not None and not unit.ordinal and 1 <= unit.value <= 9:
            return _Number(century.value * 100 + unit.value, 3)
        return None
    rest = _two_digits(words[1:])
    if rest is None or rest.ordinal or rest.value < 10:
        return None
    if words[1 + rest.words : 2 + rest.words] in (["hundred"], *([scale] for scale in _SCALES)):
        return None
    return _Number(century.value * 100 + rest.value, 1 + rest.words)


def _scale(words: Sequence[str]) -> tuple[int, bool] | None:
    """A thousand or more, and whether it is an ordinal."""
    if not words:
        return None
    value = _SCALES.get(_ORDINALS.get(words[0], words[0]))
    return None if value is None else (value, words[0] in _ORDINALS)


def _ending(value: int) -> str:
    if 11 <= value % 100 <= 13:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
