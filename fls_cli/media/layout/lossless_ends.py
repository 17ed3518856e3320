"""Where FLAC, TTA and WavPack end, which tell how many samples they have but not how many bytes."""

import re
import struct

from fls_cli.media.layout.headers import HEADERS, kind_at
from fls_cli.media.layout.kinds import Bytes


def wavpack_end(data: Bytes, at: int) -> int | None:
    """Behind the last block of a recording: each tells its size."""
    begin = at
    while data[at : at + 4] == b"wvpk" and (at == begin or not HEADERS["wv"].match(data, at)):
        (size,) = struct.unpack("<I", data[at + 4 : at + 8])
        if not 24 <= size < 1 << 24:
            return None
        at += 8 + size
    return _behind_tags(data, at)


def tta_end(data: Bytes, at: int) -> int | None:
    """Behind the last frame: a table tells their sizes."""
    rate, samples = struct.unpack("<II", data[at + 10 : at + 18])
    if not 0 < rate < 1 << 20:
        return None
    # Of each frame 256/245 s.
    count = -(-samples // (256 * rate // 245))
    begin = at + 22
    table = data[begin : begin + 4 * count]
    if len(table) < 4 * count:
        return None
    return _behind_tags(data, begin + 4 * count + 4 + sum(struct.unpack(f"<{count}I", table)))


_APE_HEADER = struct.Struct("<8sIII")


def _behind_tags(data: Bytes, at: int) -> int:
    """Behind an APE tag and one of ID3v1, as they stand at the end of such files."""
    if data[at : at + 8] == b"APETAGEX":
        _, _, size, _ = _APE_HEADER.unpack(data[at : at + _APE_HEADER.size])
        # It begins with a header of 32 bytes, which its size leaves out.
        at += 32 + size
    return at + 128 if data[at : at + 3] == b"TAG" else at


# Of the first block: sizes of blocks and of frames, and how many samples there are.
_FLAC_HEADER = struct.Struct(">4s4xHH3s3s8s")
# What a frame's header is at least and at most, and its checksum at the end.
_MIN_FRAME, _MAX_FRAME = 8, 1 << 20


def flac_end(data: Bytes, at: int) -> int | None:
    """Behind the last frame, where something else begins or the file ends (RFC 9639, section 9).

    That frame tells its number, and a checksum over all of it gives 0. None where blocks are not of
    one size, or where the frame is not found.
    """
    _, smallest, largest, _, frame, rest = _FLAC_HEADER.unpack(data[at : at + _FLAC_HEADER.size])
    samples = int.from_bytes(rest, "big") & (1 << 36) - 1
    if smallest != largest or not smallest or not samples:
        return None
    number = _coded((samples - 1) // smallest)
    last = re.compile(rb"\xff\xf8[\s\S]{2}" + re.escape(number))
    max_frame = int.from_bytes(frame, "big") or _MAX_FRAME
    # Mostly nothing follows; another of the same length would end with the same number.
    begins = [max(at, len(data) - max_frame), at]
    if HEADERS["flac"].search(data, at + 4):
        begins.reverse()
    for begin in begins:
        for match in last.finditer(data, begin):
            if _checks(data, match.start(), match.end()):
                return _behind(data, match.start(), max_frame)
    return None


def _checks(data: Bytes, begin: int, end: int) -> bool:
    """Whether a frame's header begins at a byte, whose number ends at another one."""
    size, rate = data[begin + 2] >> 4, data[begin + 2] & 15
    end += {6: 1, 7: 2}.get(size, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    checksum = 0
    for byte in data[begin:end]:
        checksum ^= byte
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x107) if checksum & 0x80 else checksum << 1
    return bool(data[end : end + 1] == bytes([checksum]))


def _behind(data: Bytes, begin: int, max_frame: int) -> int | None:
    """Behind the frame that begins at a byte."""
    checksum = 0
    for at, byte in enumerate(data[begin : begin + max_frame], begin + 1):
        checksum = (checksum << 8 & 0xFFFF) ^ _CRC16[checksum >> 8 ^ byte]
        # It may be 0 by chance.
        is_whole = not checksum and at - begin >= _MIN_FRAME
        if is_whole and (at == len(data) or _behind_tags(data, at) > at or kind_at(data, at)):
            return _behind_tags(data, at)
    return None


def _crc16(byte: int) -> int:
    checksum = byte << 8
    for _ in range(8):
        checksum = checksum << 1 ^ 0x18005 if checksum & 0x8000 else checksum << 1
    return checksum & 0xFFFF


_CRC16 = tuple(map(_crc16, range(256)))


def _coded(number: int) -> bytes:
    """A frame's number as UTF-8 has it, which goes on up to 36 bits there."""
    if number < 0x80:
        return bytes([number])
    rest: list[int] = []
    # The first byte says how many there are: one bit less fits into it for each.
    while number >= 1 << max(0, 6 - len(rest)):
        rest.append(0x80 | number & 0x3F)
        number >>= 6
    first = 0xFF << 7 - len(rest) & 0xFF
    return bytes([first | number, *reversed(rest)])
