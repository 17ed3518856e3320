"""Samples to FLAC, by ffmpeg: lossless, half the size of WAV, read by all players."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.media.ffmpeg.locate import find_ffmpeg
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import DiskFull, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def save_flac(samples: NDArray[np.float32], place: Path) -> None:
    """Writes samples (n,) in -1..1 at 16 kHz, 16 bits of each; the same bytes for the same samples.

    Raises FfmpegMissing, DiskFull, and UsageError when the file cannot be written.
    """
    import numpy as np

    pcm = np.round(samples * 32767).astype("<i2").tobytes()
    raw = ("-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", "pipe:0")
    # Without its version in the file.
    plain = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact")
    process = subprocess.run(
        [
            *(find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", *raw),
            *("-c:a", "flac", *plain, "-f", "flac", f"file:{place.absolute()}"),
        ],
        input=pcm,
        capture_output=True,
        # Ctrl-C is this process's to handle.
        process_group=0,
        check=False,
    )
    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        if any("No space left" in line or "quota exceeded" in line for line in lines):
            raise DiskFull(f"No room left in {place.parent}; free some: the same command goes on.")
        why = lines[-1] if lines else f"ffmpeg left with {process.returncode}"
        raise UsageError(f"{place.parent} cannot be written: {why}")
