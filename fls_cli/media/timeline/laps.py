"""The container's times on their way through ffmpeg's pipe.

A pipe takes no packet that is earlier than the one before, so ffmpeg is made to add a lap each time
the clock of the container goes back.
"""

from fls_models.core.constants import SAMPLE_RATE

# What times may be off the samples before they are followed. Containers round, decoders start late.
CLOSE = SAMPLE_RATE // 10

# Seconds that no recording has.
LAP = 10_000_000 * SAMPLE_RATE
# What the pipe has for the recording's beginning, so that no time is negative.
ZERO = 3600 * SAMPLE_RATE


def clock_filter(start: float) -> str:
    """ffmpeg's filter that writes the times of a container that begins at `start` s as laps."""
    first = round(start * SAMPLE_RATE) - ZERO
    back = f"ld(2)*lt(PTS,ld(0)-{CLOSE})"
    return f"asetpts='st(1,ld(1)+{LAP}*{back});st(0,PTS+S);st(2,1);PTS+ld(1)-({first})'"


def split_time(pts: int) -> tuple[int, int]:
    """The lap of a time in the pipe, and the container's time in samples."""
    lap, raw = divmod(pts - ZERO + LAP // 2, LAP)
    return lap, raw - LAP // 2
