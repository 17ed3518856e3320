"""Samples without a header: what they are, as the user says or a telephone system's suffix does."""

from dataclasses import dataclass
from pathlib import PurePath

from fls_models.errors import UsageError

# By ffmpeg's names, with the rate that a format has unless another is named.
_PCM = "s8 u8 s16le s16be s24le s24be s32le s32be f32le f32be"
_FORMATS: dict[str, int | None] = dict.fromkeys(_PCM.split())
_FORMATS |= {"mulaw": 8000, "alaw": 8000, "gsm": 8000, "g722": 16_000}
# These have the one rate, and one channel.
_FIXED = ("gsm", "g722")
_RATES = range(1000, 768_001)
_CHANNELS = range(1, 65)


@dataclass(frozen=True)
class RawAudio:
    """Interleaved samples: ffmpeg's name for how they are written, their rate in Hz."""

    format: str
    rate: int
    channels: int = 1

    def __str__(self) -> str:
        return f"{self.format}:{self.rate}:{self.channels}"

    @property
    def options(self) -> dict[str, str | int | None]:
        """What ffmpeg is told before the input."""
        if self.format in _FIXED:
            return {"format": self.format}
        return {"format": self.format, "ar": self.rate, "ac": self.channels}


_SUFFIXES = {
    ".al": RawAudio("alaw", 8000),
    ".alaw": RawAudio("alaw", 8000),
    ".g722": RawAudio("g722", 16_000),
    ".gsm": RawAudio("gsm", 8000),
    ".sln": RawAudio("s16le", 8000),
    ".sln16": RawAudio("s16le", 16_000),
    ".ul": RawAudio("mulaw", 8000),
    ".ulaw": RawAudio("mulaw", 8000),
}
RAW_SUFFIXES = frozenset(_SUFFIXES)


def parse_raw(text: str) -> RawAudio:
    """`FORMAT[:RATE[:CHANNELS]]`, as in `s16le:8000:1`. Raises UsageError for what is none."""
    name, *numbers = text.strip().lower().split(":")
    if name not in _FORMATS:
        raise UsageError(f"--raw {text!r}: the format is one of {', '.join(_FORMATS)}.")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise UsageError(f"--raw {text!r}: write FORMAT:RATE:CHANNELS, as in s16le:8000:1.")
    usual = _FORMATS[name]
    if not numbers and usual is None:
        raise UsageError(f"--raw {text!r}: it needs a rate in Hz, as in {name}:8000:1.")
    rate = int(numbers[0]) if numbers else usual or 0
    channels = int(numbers[1]) if len(numbers) > 1 else 1
    if name in _FIXED and (rate, channels) != (usual, 1):
        raise UsageError(f"--raw {text!r}: {name} has {usual} Hz and one channel; write {name}.")
    if rate not in _RATES or channels not in _CHANNELS:
        raise UsageError(
            f"--raw {text!r}: rates are {_RATES[0]} to {_RATES[-1]} Hz, channels 1 to 64."
        )
    return RawAudio(name, rate, channels)


def raw_by_suffix(name: str | PurePath) -> RawAudio | None:
    """What files of this suffix hold that have no header; None for suffixes that say nothing."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())
