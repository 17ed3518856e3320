"""Samples to MP3, small enough to lie within a page: every browser plays it and seeks in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, TYPE_CHECKING, cast

from fls_cli.media.ffmpeg.locate import choose_ffmpeg
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import EnvironmentLacks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BIT_RATE = 32_000


def page_audio(blocks: Iterable[NDArray[np.float32]]) -> bytes:
    """Blocks of mono samples in -1..1 at 16 kHz as MP3, 14.4 MB an hour.

    Blocks are taken one by one, in the calling thread, and are not kept. The same samples give the
    same bytes. Raises FfmpegMissing, and EnvironmentLacks when ffmpeg cannot write MP3.
    """
    ffmpeg = choose_ffmpeg()
    with (
        subprocess.Popen(
            _command(ffmpeg.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C is this process's to handle.
            process_group=0,
        ) as child,
        ThreadPoolExecutor(2) as readers,
    ):
        pipe = cast(IO[bytes], child.stdin)
        # While ffmpeg is fed: it stops for a pipe that nobody empties.
        sound = readers.submit(cast(IO[bytes], child.stdout).read)
        messages = readers.submit(cast(IO[bytes], child.stderr).read)
        try:
            _feed(pipe, blocks)
            code = child.wait()
        finally:
            child.kill()
            with suppress(BrokenPipeError):
                pipe.close()
        if code:
            lines = messages.result().decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"it left with {code}"
            raise EnvironmentLacks(f"{ffmpeg.path} cannot write MP3 ({why}); {ffmpeg.remedy}.")
        return sound.result()


def _feed(pipe: IO[bytes], blocks: Iterable[NDArray[np.float32]]) -> None:
    import numpy as np

    for block in blocks:
        try:
            pipe.write(np.ascontiguousarray(block, dtype="<f4").data)
        except BrokenPipeError:
            # Its exit code and its words tell why it has gone.
            return
    with suppress(BrokenPipeError):
        pipe.close()


def _command(ffmpeg: str) -> list[str]:
    raw = ("-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "1", "-i", "pipe:0")
    # LAME's quick way takes half as long; speech of so few bits sounds the same.
    mp3 = ("-c:a", "libmp3lame", "-b:a", str(_BIT_RATE), "-compression_level", "7", "-f", "mp3")
    # At a constant bit rate a time's place in the file is a matter of arithmetic, so no index is
    # written, nor ffmpeg's version.
    plain = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact")
    bare = ("-write_xing", "0", "-id3v2_version", "0")
    return [
        *(ffmpeg, "-hide_banner", "-loglevel", "error", *raw),
        *(*mp3, *plain, *bare, "pipe:1"),
    ]
