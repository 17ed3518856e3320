"""Passages of a recording as audio files of their own."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.media.clips.mark import marked
from fls_cli.storage.files import make_folder, write_atomically
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.results import Span
from fls_models.core.timestamps import whole_seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Milliseconds, so that a cut is no click.
_FADE = 15
# What a name is to have room for.
STAMP = ".0h00m00s-0h00m00s.wav"


def clip_place(place: Path, span: Span) -> Path:
    """The file for one passage: `place` ends in `STAMP`, which becomes the passage's times."""
    times = f".{'-'.join(map(_stamp, whole_seconds(span)))}.wav"
    return place.with_name(place.name.removesuffix(STAMP) + times)


def save_clip(blocks: Iterable[NDArray[np.float32]], place: Path) -> None:
    """Writes samples, blocks of 16 kHz mono from -1 to 1, as a WAV file of 16 bits with our mark.

    Raises what `write_atomically` does. Folders that are not there are made.
    """
    import numpy as np

    with warnings.catch_warnings():
        # It misses an ffmpeg on the path, which it needs for other formats than this.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment

    samples = np.concatenate([*blocks, np.zeros(0, np.float32)])
    pcm = np.round(samples.clip(-1, 1) * 32767).astype("<i2").tobytes()
    sound = AudioSegment(data=pcm, sample_width=2, frame_rate=SAMPLE_RATE, channels=1)
    file = io.BytesIO()
    sound.fade_in(_FADE).fade_out(_FADE).export(file, format="wav")
    make_folder(place.parent)
    write_atomically(place, marked(file.getvalue()))


def _stamp(seconds: int) -> str:
    minutes, left = divmod(seconds, 60)
    return f"{minutes // 60}h{minutes % 60:02}m{left:02}s"
