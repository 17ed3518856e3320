"""Where the samples of WAV files lie, and further recordings behind them."""

import struct
from pathlib import Path
from typing import NamedTuple

from fls_cli.media.ffmpeg.raw import RawAudio
from fls_cli.media.layout.headers import kind_at, next_header
from fls_cli.media.layout.kinds import UNKNOWN, WORTH_TELLING, BareSamples, Bytes, Lack, Part

_RIFFS = (b"RIFF", b"RF64", b"RIFX")
# PCM, float, A-law, mu-law, extensible.
_CONSTANT = (1, 3, 6, 7, 0xFFFE)
_EXTENSIBLE = 0xFFFE
# Of big-endian ones, by form and bytes a sample.
_BARE = {
    (1, 1): "u8", (1, 2): "s16be", (1, 3): "s24be", (1, 4): "s32be",
    (3, 4): "f32be", (3, 8): "f64be", (6, 1): "alaw", (7, 1): "mulaw",
}  # fmt: skip


def is_big_endian(path: Path) -> bool:
    """Whether it is a WAV whose numbers are written from the high byte to the low (RIFX)."""
    with open(path, "rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFX" and head[8:] == b"WAVE"


def wav_parts(data: Bytes, begin: int) -> list[Part]:
    """Those from a byte on. Raises struct.error for a header that is cut short."""
    parts: list[Part] = []
    at: int | None = begin
    while at is not None and (sound := _sound(data, at)) is not None:
        pace, missing, seconds = sound.bytes_per_second, 0, None
        if sound.size is None:
            if data[at : at + 4] == b"RF64":
                # ffmpeg takes a size that was never filled in for an empty recording.
                return [*parts, _unbounded(data, at, sound)]
            # Nobody knows how long: until the next header, if there is one.
            following = next_header(data, sound.begin)
        else:
            # Of several chunks of samples ffmpeg plays the last that it sees.
            while (second := _next_samples(data, sound)) is not None:
                seconds = sound.size / pace if pace and sound.size else None
                parts.append(Part(at, second.begin - 8, seconds=seconds, bare=sound.bare()))
                sound = second
            assert sound.size is not None
            seconds = sound.size / pace if pace else None
            end = sound.begin + sound.size
            if end < len(data) and not _is_chunk(data, end + sound.size % 2):
                for foreign in (end, end + sound.size % 2):
                    if kind_at(data, foreign):
                        return [*parts, Part(at, foreign, seconds=seconds, bare=sound.bare())]
            following, is_known = _after_chunks(data, end + sound.size % 2, sound.order)
            if following is None and (not is_known or end > len(data)):
                following = next_header(data, sound.begin)
            if following is None and not is_known and not parts:
                return [_unbounded(data, at, sound)]
            missing = end - (len(data) if following is None else following)
        lacks: Lack | None = "bytes" if missing >= WORTH_TELLING else None
        parts.append(Part(at, following, lacks=lacks, seconds=seconds, bare=sound.bare(following)))
        at = following
    return parts or [Part(begin)]


class _Samples(NamedTuple):
    """Where those of a WAV begin, how many bytes they are if it tells, and how many a second.

    `order` is that of the bytes in a number, `raw` what ffmpeg needs to be told of them.
    """

    begin: int
    size: int | None
    bytes_per_second: int | None
    order: str = "<"
    raw: RawAudio | None = None

    def bare(self, following: int | None = None) -> BareSamples | None:
        """What ffmpeg needs to be told; where they end if their size is not known."""
        end = self.begin + self.size if self.size else following or 0
        return BareSamples(self.begin, end, self.raw) if self.raw else None


def _unbounded(data: Bytes, at: int, sound: _Samples) -> Part:
    """That of a WAV whose samples end with the file, whatever the header says."""
    pace = sound.bytes_per_second
    seconds = (len(data) - sound.begin) / pace if pace else None
    return Part(at, unbounded=True, seconds=seconds, bare=sound._replace(size=None).bare())


def _sound(data: Bytes, at: int) -> _Samples | None:
    if data[at : at + 4] not in _RIFFS or data[at + 8 : at + 12] != b"WAVE":
        return None
    order = ">" if data[at : at + 4] == b"RIFX" else "<"
    long, pace, raw, at = None, None, None, at + 12
    while at + 8 <= len(data):
        name, size = struct.unpack(f"{order}4sI", data[at : at + 8])
        if name == b"ds64":
            (long,) = struct.unpack("<Q", data[at + 16 : at + 24])
        if name == b"fmt ":
            form, _, _, rate = struct.unpack(f"{order}HHII", data[at + 8 : at + 20])
            pace = rate if form in _CONSTANT else None
            raw = _bare_form(data, at + 8, size) if order == ">" else None
        if name == b"data":
            if size == 0xFFFFFFFF and long:
                return _Samples(at + 8, long, pace)
            size_or_none = size if 0 < size < UNKNOWN else None
            return _Samples(at + 8, size_or_none, pace, order, raw)
        at += 8 + size + size % 2
    return None


def _bare_form(data: Bytes, at: int, size: int) -> RawAudio | None:
    """What the format chunk of a big-endian WAV, whose content begins at `at`, tells."""
    form, channels, rate, _, block = struct.unpack(">HHIIH", data[at : at + 14])
    if form == _EXTENSIBLE and size >= 40:
        # The first number of the identifier, in as many bytes as its writer thought right.
        high, low = struct.unpack(">HH", data[at + 24 : at + 28])
        form = high or low
    name = _BARE.get((form, block // max(channels, 1)))
    return RawAudio(name, rate, channels) if name else None


def _next_samples(data: Bytes, sound: _Samples) -> _Samples | None:
    """The further chunk of samples in the same WAV, if there is one that is whole."""
    size = sound.size or 0
    at = sound.begin + size + size % 2
    while at + 8 <= len(data):
        name, size = struct.unpack(f"{sound.order}4sI", data[at : at + 8])
        if name == b"data" and 0 < size <= len(data) - at - 8:
            return sound._replace(begin=at + 8, size=size)
        if not _is_chunk(data, at) or name in _RIFFS:
            return None
        at += 8 + size + size % 2
    return None


def _is_chunk(data: Bytes, at: int) -> bool:
    return data[at : at + 4] in (*_RIFFS, b"LIST", b"id3 ", b"ID3 ", b"bext", b"JUNK", b"junk")


def _after_chunks(data: Bytes, at: int, order: str) -> tuple[int | None, bool]:
    """The recording behind the chunks that follow a WAV's samples, if there is one.

    And whether what follows is known to be chunks, padding or the end.
    """
    while at + 8 <= len(data):
        name, size = struct.unpack(f"{order}4sI", data[at : at + 8])
        if name in _RIFFS:
            return at, True
        if not (name.isascii() and name.replace(b" ", b"_").replace(b"_", b"a").isalnum()):
            return None, len(data) - at <= WORTH_TELLING
        if at + 8 + size > len(data):
            return None, len(data) - at <= WORTH_TELLING
        at += 8 + size + size % 2
    return None, True
