"""Whisper as it is loaded: for words, or for its frames."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_whisper(folder: Path, threads: int = 0) -> Any:
    """Whisper in a folder of CTranslate2 files, 8-bit on the CPU: for words, or for its frames."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
    # Which language it is and which words are asked of the same frames.
    whisper.encode = LastEncoding(whisper.encode)
    return whisper


class LastEncoding:
    """Whisper's encoder that gives what it gave when it is asked the same again."""

    def __init__(self, encode: Callable[[NDArray[np.float32]], Any]) -> None:
        self._encode = encode
        self._features: NDArray[np.float32] | None = None
        self._encoded: Any = None

    def __call__(self, features: NDArray[np.float32]) -> Any:
        if self._features is None or not np.array_equal(self._features, features):
            self._features, self._encoded = features.copy(), self._encode(features)
        return self._encoded
