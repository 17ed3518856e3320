"""Where recordings end, as their headers or their pieces tell, of the kinds that need no more."""

import struct

from fls_cli.media.layout.headers import HEADERS, kind_at
from fls_cli.media.layout.joined_kinds import Kind
from fls_cli.media.layout.kinds import UNKNOWN, Bytes
from fls_cli.media.layout.lossless_ends import flac_end, tta_end, wavpack_end


def _flv_end(data: Bytes, at: int) -> int | None:
    at += 13
    while at + 11 <= len(data) and data[at] & 0xDF in (8, 9, 18):
        end = at + 11 + int.from_bytes(data[at + 1 : at + 4], "big")
        # Each is followed by how long it is, unless it was cut off.
        whole = int.from_bytes(data[end : end + 4], "big") == end - at
        at = end + 4
        if not whole:
            break
    return at


# Bytes of a frame by its type: 3GPP TS 26.101 for AMR, TS 26.201 for AMR-WB; 1 of no sound.
_AMR = (13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1)
_AMR_WIDE = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 1, 1, 1, 1, 1, 1)


def _amr_end(data: Bytes, at: int) -> int | None:
    wide = data[at + 5 : at + 8] == b"-WB"
    sizes = _AMR_WIDE if wide else _AMR
    at += 9 if wide else 6
    # Its first bit and the last two are 0, which they are in no header.
    while at < len(data) and not (head := data[at]) & 0x83:
        at += sizes[head >> 3]
    return at


def _aiff_end(data: Bytes, at: int) -> int | None:
    (size,) = struct.unpack(">I", data[at + 4 : at + 8])
    return at + 8 + size + size % 2 if 0 < size < UNKNOWN else None


def _au_end(data: Bytes, at: int) -> int | None:
    begin, size = struct.unpack(">II", data[at + 4 : at + 12])
    return at + begin + size if 0 < size < UNKNOWN else None


def _w64_end(data: Bytes, at: int) -> int | None:
    (size,) = struct.unpack("<Q", data[at + 16 : at + 24])
    return at + size if 0 < size < 1 << 62 else None


def _caf_end(data: Bytes, at: int) -> int | None:
    at += 8
    while at + 12 <= len(data) and not kind_at(data, at):
        (size,) = struct.unpack(">q", data[at + 4 : at + 12])
        if size < 0 and data[at : at + 4] == b"data":
            return None
        if size < 0 or not data[at : at + 4].isalnum():
            return at
        at += 12 + size
    return at


def _avi_end(data: Bytes, at: int) -> int | None:
    begin = at
    # What follows the first RIFF goes on with it.
    while data[at : at + 4] == b"RIFF" and data[at + 8 : at + 12] in (b"AVI ", b"AVIX"):
        if at > begin and data[at + 8 : at + 12] == b"AVI ":
            break
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        if not 0 < size < 0xFFFF_0000:
            return None
        at += 8 + size + size % 2
    return at


# Of Matroska and WebM (RFC 8794 and 9559).
_SEGMENT = b"\x18\x53\x80\x67"


def _segment_end(data: Bytes, at: int) -> int | None:
    """Behind the segment that follows the header at a byte; recorders may leave its size open."""
    header = _size(data, at + 4)
    if header is None:
        return None
    size_of_header, width = header
    begin = at + 4 + width + size_of_header
    if data[begin : begin + 4] != _SEGMENT or (segment := _size(data, begin + 4)) is None:
        return None
    size, width = segment
    return begin + 4 + width + size


def _size(data: Bytes, at: int) -> tuple[int, int] | None:
    """A size of variable width at a byte, and its width; None where it is left open."""
    first = data[at] if at < len(data) else 0
    if first == 0:
        return None
    width = 9 - first.bit_length()
    size = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
    return None if size == (1 << 7 * width) - 1 else (size, width)


# Of ASF: its File Properties Object.
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def _asf_end(data: Bytes, at: int) -> int | None:
    properties = data.find(_ASF_FILE, at, at + (1 << 16))
    if properties < 0:
        return None
    (size,) = struct.unpack("<Q", data[properties + 40 : properties + 48])
    return at + size if 0 < size < 1 << 50 else None


_RM_CHUNKS = (b"PROP", b"CONT", b"MDPR", b"DATA", b"INDX")


def _rm_end(data: Bytes, at: int) -> int | None:
    (size,) = struct.unpack(">I", data[at + 4 : at + 8])
    at += size
    while at + 8 <= len(data) and data[at : at + 4] in _RM_CHUNKS:
        (size,) = struct.unpack(">I", data[at + 4 : at + 8])
        if not 8 <= size < UNKNOWN:
            return None
        at += size
    return at


KINDS = {
    "matroska": Kind(HEADERS["matroska"], _segment_end),
    "avi": Kind(HEADERS["avi"], _avi_end),
    "flv": Kind(HEADERS["flv"], _flv_end, exact=True),
    "amr": Kind(HEADERS["amr"], _amr_end, exact=True),
    "asf": Kind(HEADERS["asf"], _asf_end),
    "aiff": Kind(HEADERS["aiff"], _aiff_end),
    "w64": Kind(HEADERS["w64"], _w64_end),
    "caf": Kind(HEADERS["caf"], _caf_end),
    "au": Kind(HEADERS["au"], _au_end),
    "rm": Kind(HEADERS["rm"], _rm_end),
    "flac": Kind(HEADERS["flac"], flac_end),
    "tta": Kind(HEADERS["tta"], tta_end),
    "wv": Kind(HEADERS["wv"], wavpack_end, exact=True),
}
"""By ffmpeg's name."""
