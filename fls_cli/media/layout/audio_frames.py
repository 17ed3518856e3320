"""The frames of streams without a clock: MP1, MP2, MP3, AAC (as ADTS), AC-3 and E-AC-3."""

import re
from functools import lru_cache

from fls_cli.media.layout.frame_runs import Frame, FrameKind
from fls_cli.media.layout.kinds import Bytes

# Most streams have few; damage looks like many.
_HEADERS = 4096
# ISO/IEC 11172-3 and 13818-3: kbit/s by version (1, then 2 and 2.5) and layer (1, 2, 3).
_BIT_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = (44_100, 48_000, 32_000)
_SAMPLES = {(1, 1): 384, (1, 2): 1152, (1, 3): 1152, (2, 1): 384, (2, 2): 1152, (2, 3): 576}


# Where in a frame of MP3 a header may stand that tells of all of them.
_TELLING = re.compile(rb"(?:Xing|Info)\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f]")
_BEHIND = (36, 21, 13)


def promised_seconds(data: Bytes, begin: int) -> dict[int, float]:
    """How much sound headers promise, by where in a file of MP3 the frames that hold them begin.

    Those from byte `begin` on.
    """
    promises: dict[int, float] = {}
    for match in _TELLING.finditer(data, begin):
        for behind in _BEHIND:
            at = match.start() - behind
            frame = MPEG.frame(data, at) if at >= begin else None
            # The first of several frames, as far as there are any.
            following = None if frame is None else at + frame[0]
            if frame and following and (following >= len(data) or MPEG.frame(data, following)):
                count = int.from_bytes(data[match.end() : match.end() + 4], "big")
                promises[at] = count * frame[1]
                break
    return promises


@lru_cache(_HEADERS)
def _mpeg(header: bytes) -> Frame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    kind, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, frequency = header[2] >> 4, header[2] >> 2 & 3
    if kind == 1 or layer == 4 or rate in (0, 15) or frequency == 3:
        return None
    version = 1 if kind == 3 else 2
    sample_rate = _SAMPLE_RATES[frequency] // {3: 1, 2: 2, 0: 4}[kind]
    samples = _SAMPLES[version, layer]
    bits = _BIT_RATES[version, layer][rate - 1] * 1000
    padding = header[2] >> 1 & 1
    if layer == 1:
        size = (12 * bits // sample_rate + padding) * 4
    else:
        size = samples // 8 * bits // sample_rate + padding
    return size, samples / sample_rate


# ISO/IEC 13818-7, by index.
_AAC_RATES = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000),
    *(11_025, 8_000, 7_350),
)


@lru_cache(_HEADERS)
def _adts(header: bytes) -> Frame | None:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    index = header[2] >> 2 & 15
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if index >= len(_AAC_RATES) or size < 7:
        return None
    return size, 1024 * ((header[6] & 3) + 1) / _AAC_RATES[index]


# ETSI TS 102 366: kbit/s by code, and samples a second.
_AC3_BIT_RATES = (
    *(32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512),
    *(576, 640),
)
_AC3_RATES = (48_000, 44_100, 32_000)
_BLOCK = 256


@lru_cache(_HEADERS)
def _ac3(header: bytes) -> Frame | None:
    if len(header) < 6 or header[:2] != b"\x0b\x77":
        return None
    code, version = header[4] >> 6, header[5] >> 3
    if version > 16:
        return None
    if version > 10:
        return _eac3(header)
    kind = header[4] & 63
    if code == 3 or kind >= 2 * len(_AC3_BIT_RATES):
        return None
    rate, bits = _AC3_RATES[code], _AC3_BIT_RATES[kind // 2] * 1000
    words = 6 * _BLOCK * bits // rate // 16
    # Only at 44.1 kHz frames are of two sizes.
    size = 2 * (words + (kind & 1 if code == 1 else 0))
    return size, 6 * _BLOCK / (rate >> max(0, version - 8))


def _eac3(header: bytes) -> Frame | None:
    size = 2 * (((header[2] & 7) << 8 | header[3]) + 1)
    code, second = header[4] >> 6, header[4] >> 4 & 3
    if code == 3 and second == 3:
        return None
    if code == 3:
        rate, blocks = _AC3_RATES[second] // 2, 6
    else:
        rate, blocks = _AC3_RATES[code], (1, 2, 3, 6)[second]
    # What depends on another stream adds channels to it, and no time.
    depends = header[2] >> 6 == 1
    return size, 0.0 if depends else _BLOCK * blocks / rate


MPEG = FrameKind(b"\xff", 4, _mpeg)
ADTS = FrameKind(b"\xff", 7, _adts)
AC3 = FrameKind(b"\x0b\x77", 6, _ac3)
