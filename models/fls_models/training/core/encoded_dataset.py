"""What an encoder makes of recordings: computed once, kept on disk, read while heads are trained.

Shards of hidden states, safetensors, each recording by the SHA-256 of its file, in a folder for the
model that encoded it. Reading maps the files into memory. Who decodes is given from outside; what
is trained on the hidden states is others' work.

Shapes: T frames (25 a second), D encoder width.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fls_models.audio.prefetch import closing_source
from fls_models.audio.windows import Window
from fls_models.core.constants import WINDOW_SAMPLES
from fls_models.core.files import digest, replacing
from fls_models.core.progress import Progress, ignore
from fls_models.core.signals import undisguised
from fls_models.errors import InputError, UsageError
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.encoding import encode_windows
from fls_models.training.core.checkpoints import unwritten

Decode = Callable[[Path], Iterable[NDArray[np.float32]]]
"""A recording as blocks of 16 kHz mono float32; a generator is closed. Raises InputError."""

_FORM = "hidden-1"
_SHARD_BYTES = 2**28


class Encoded(Mapping[Path, Tensor]):
    """Recordings by their paths, as hidden states before the encoder's final norm.

    Each is (T, D) bfloat16 on the CPU, mapped from the disk: it is not to be written to.

    Attributes:
        too_long: recordings that were left out because they last longer than a window, 30 s.
        failed: recordings that could not be decoded, and why.
    """

    def __init__(self, shards: _Shards, keys: Mapping[Path, str]) -> None:
        self._shards = shards
        self._keys = {path: key for path, key in keys.items() if key in shards}
        self.too_long: list[Path] = []
        self.failed: dict[Path, InputError] = {}

    def key(self, audio: Path) -> str:
        """SHA-256 of a recording's file."""
        return self._keys[audio]

    def frames(self, audio: Path) -> int:
        """T of a recording; nothing else of it is read."""
        return self._shards.count(self._keys[audio])

    def __getitem__(self, audio: Path) -> Tensor:
        return self._shards.read(self._keys[audio])

    def __contains__(self, audio: object) -> bool:
        # The inherited one reads the tensor.
        return audio in self._keys

    def __iter__(self) -> Iterator[Path]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def encode(
    encoder: SpeechEncoder,
    recordings: Sequence[Path],
    decode: Decode,
    folder: Path,
    *,
    identity: str,
    batch_size: int = 8,
    shard_bytes: int = _SHARD_BYTES,
    progress: Progress = ignore,
) -> Encoded:
    """Encodes the recordings that are not in the folder yet; all of them, as they are kept there.

    Equal files are encoded once. Recordings above 30 s, and those that `decode` refuses, are left
    out and named in the result. After an interruption the same call goes on: the batch that was
    under way is lost, nothing else.

    Args:
        folder: any number of models keep theirs below it.
        identity: tells the encoder's weights from others.
        batch_size: windows encoded at once.
        shard_bytes: a file is written when it has grown to this.
        progress: its stage `encode` counts recordings.

    Raises:
        UsageError: a file in the folder cannot be read.
        DiskFull, EnvironmentLacks: the folder cannot be written to.
    """
    place = folder / hashlib.sha256(f"{_FORM} {identity}".encode()).hexdigest()[:16]
    shards = _Shards(place)
    keys: dict[Path, str] = {}
    missing: dict[str, Path] = {}
    failed: dict[Path, InputError] = {}
    for path in dict.fromkeys(recordings):
        try:
            key = keys[path] = digest(path)
        except OSError as error:
            failed[path] = InputError(f"{path} cannot be read: {error.strerror}.")
            continue
        if key not in shards:
            missing.setdefault(key, path)
    drawn = _Decoding(decode, missing)
    done = len(keys) - len(missing)
    progress("encode", done, len(keys))
    waiting: dict[str, Tensor] = {}
    with closing(encode_windows(encoder, drawn.windows(), batch_size)) as encoded:
        try:
            with undisguised():
                for _, frames in encoded:
                    waiting[drawn.keys.popleft()] = frames.hidden.to("cpu", torch.bfloat16)
                    if sum(states.nbytes for states in waiting.values()) >= shard_bytes:
                        shards.write(waiting)
                        waiting = {}
                    done += 1
                    progress("encode", done, len(keys))
        except (KeyboardInterrupt, SystemExit):
            shards.write(waiting)
            raise
    shards.write(waiting)
    progress("encode", len(keys), len(keys))
    result = Encoded(shards, keys)
    result.too_long = [path for path in keys if keys[path] in drawn.too_long]
    named = {path: drawn.failed[keys[path]] for path in keys if keys[path] in drawn.failed}
    result.failed = failed | named
    return result


class _Decoding:
    """Makes one window of each recording, in the thread that encoding draws from."""

    def __init__(self, decode: Decode, recordings: Mapping[str, Path]) -> None:
        self._decode = decode
        self._recordings = recordings
        # Frames come back in the order of their windows, so that a queue is enough.
        self.keys: deque[str] = deque()
        self.too_long: set[str] = set()
        self.failed: dict[str, InputError] = {}

    def windows(self) -> Generator[Window, None, None]:
        for key, path in self._recordings.items():
            try:
                samples = self._samples(path)
                window = None if samples is None else Window(torch.from_numpy(samples))
            except InputError as error:
                self.failed[key] = error
                continue
            if window is None:
                self.too_long.add(key)
                continue
            self.keys.append(key)
            yield window

    def _samples(self, path: Path) -> NDArray[np.float32] | None:
        """The whole recording; None when it is longer than a window, of which no more is read."""
        blocks: list[NDArray[np.float32]] = []
        count = 0
        decoded = self._decode(path)
        with closing_source(decoded):
            for block in decoded:
                count += len(block)
                if count > WINDOW_SAMPLES:
                    return None
                # A copy: a decoder may use one buffer over and over.
                blocks.append(block.copy())
        if not count:
            raise InputError(f"{path} holds no sound.")
        return np.concatenate(blocks)


class _Shards:
    """The files of one model."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._files = ExitStack()
        self._where: dict[str, Any] = {}
        for file in sorted(place.glob("hidden-*.safetensors")):
            self._open(file)

    def __contains__(self, key: object) -> bool:
        return key in self._where

    def read(self, key: str) -> Tensor:
        hidden: Tensor = self._where[key].get_tensor(key)
        return hidden

    def count(self, key: str) -> int:
        return int(self._where[key].get_slice(key).get_shape()[0])

    def write(self, hidden: Mapping[str, Tensor]) -> None:
        """Keeps more of them in a new file, all or nothing."""
        if not hidden:
            return
        number = len(list(self._place.glob("hidden-*.safetensors")))
        file = self._place / f"hidden-{number:05d}.safetensors"
        try:
            with replacing(file, file.with_suffix(".part")) as part:
                save_file({key: one.contiguous() for key, one in hidden.items()}, part)
        except (OSError, SafetensorError) as error:
            raise unwritten(self._place, error) from error
        self._open(file)

    def _open(self, file: Path) -> None:
        try:
            opened = self._files.enter_context(safe_open(file, "pt"))
        except (OSError, SafetensorError) as error:
            raise UsageError(
                f"{file} cannot be read ({error}); remove it, and what was in it is encoded again."
            ) from error
        self._where |= dict.fromkeys(opened.keys(), opened)
