"""How recordings of any kind begin: to find those that were joined to one of another kind."""

import re
from collections.abc import Sequence

from fls_cli.media.layout.audio_frames import AC3, ADTS, MPEG
from fls_cli.media.layout.frame_runs import FrameKind
from fls_cli.media.layout.kinds import Bytes


def _bytes_with(bit: int) -> bytes:
    """A pattern for a byte that has this bit."""
    return b"[" + b"".join(rb"\x%02x" % byte for byte in range(256) if byte & bit) + b"]"


_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
# By ffmpeg's name: what is looked for, how far behind the beginning it stands, and what is there.
_HEADERS: dict[str, tuple[bytes, int, bytes]] = {
    "wav": (b"WAVEfmt ", 8, rb"(?:RIFF|RIFX|RF64)"),
    "ogg": (b"OggS\0\x02\0\0\0\0\0\0\0\0", 0, rb"OggS"),
    # With the mark of a last block it stands in other containers, too.
    "flac": (b"fLaC\0\0\0\x22", 0, rb"fLaC[\0\x80]\0\0\x22"),
    "mov": (b"ftyp", 4, rb"\0\0\0.ftyp[\w ]{4}"),
    "matroska": (b"\x1a\x45\xdf\xa3", 0, rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82.(?:matroska|webm)"),
    "flv": (b"FLV\x01", 0, rb"FLV\x01.\0\0\0\x09"),
    "avi": (b"AVI LIST", 8, rb"RIFF....AVI LIST"),
    "amr": (b"#!AMR", 0, rb"#!AMR[\n-]"),
    "asf": (_ASF, 0, re.escape(_ASF)),
    "aiff": (b"FORM", 0, rb"FORM....AIF[FC]"),
    "w64": (b"riff\x2e\x91\xcf\x11", 0, rb"riff\x2e\x91\xcf\x11"),
    "caf": (b"caff\0\x01", 0, rb"caff\0\x01"),
    "au": (b".snd\0\0", 0, rb"\.snd\0\0.{6}\0\0\0[\x01-\x1b]"),
    "tta": (b"TTA1", 0, rb"TTA1[\x01-\x03]\0.\0[\x08\x10\x18]\0"),
    # A block of version 4 that is the first of all, and of its channels.
    "wv": (b"wvpk", 0, rb"wvpk....[\x02-\x10]\x04.{6}\0{4}.{5}" + _bytes_with(8)),
    "rm": (b".RMF\0\0\0\x12", 0, rb"\.RMF\0\0\0\x12"),
}
FRAMES: dict[str, FrameKind] = {"mp3": MPEG, "aac": ADTS, "ac3": AC3, "eac3": AC3}
"""By ffmpeg's name; they begin with no more than frames."""
HEADERS = {name: re.compile(form, re.DOTALL) for name, (_, _, form) in _HEADERS.items()}
"""How a recording of each kind begins."""
_PATTERNS = {sign: (behind, HEADERS[name]) for name, (sign, behind, _) in _HEADERS.items()}
# What has no header, and is looked for only where another recording ends: packets of MPEG-TS, packs
# of MPEG-PS.
_STREAMS = re.compile(rb"G.{187}G.{187}G|\0\0\x01\xba[!-/D-\x7f]", re.DOTALL)
_TAG = re.compile(rb"ID3[\x02-\x04]\0.([\0-\x7f]{4})", re.DOTALL)
# All at once: a pass for each would take as long as decoding does.
_SIGNS = re.compile(b"|".join(map(re.escape, (*_PATTERNS, b"ID3"))))


def kind_at(data: Bytes, at: int) -> str | None:
    """ffmpeg's name for the recording that begins at a byte; None where none of a known kind does.

    `mpegts` for MPEG-PS as well, which has no header either.
    """
    for name, (sign, behind, _) in _HEADERS.items():
        found = data[at + behind : at + behind + len(sign)]
        if found == sign and HEADERS[name].match(data, at):
            return name
    return "mpegts" if _STREAMS.match(data, at) else _frames_at(data, at, ("mp3", "aac", "ac3"))


def _frames_at(data: Bytes, at: int, names: Sequence[str]) -> str | None:
    """Which of these frames begin at a byte, or behind a tag there."""
    at = behind_tag(data, at)
    return next((name for name in names if FRAMES[name].begins(data, at, len(data))), None)


def behind_tag(data: Bytes, at: int) -> int:
    """Where an ID3v2 tag ends that begins at a byte; that byte where none does."""
    tag = _TAG.match(data, at)
    if tag is None:
        return at
    high, *low = tag[1]
    for seven in low:
        high = high << 7 | seven
    return tag.end() + high


def next_header(
    data: Bytes, begin: int, end: int | None = None, *, tags: bool = True
) -> int | None:
    """Where the first recording with a header begins, from byte `begin` to `end`.

    `tags` says whether frames behind a tag are one.
    """
    for sign in _SIGNS.finditer(data, begin, len(data) if end is None else end):
        behind, pattern = _PATTERNS.get(sign[0], (0, _TAG))
        at = sign.start() - behind
        if at < begin or not pattern.match(data, at):
            continue
        if pattern is not _TAG or (tags and _frames_at(data, at, ("mp3", "aac"))):
            return at
    return None
