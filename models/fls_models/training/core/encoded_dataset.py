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
from dataclasses import dataclass, field
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
from fls_models.core.interruptions import undisguised
from fls_models.core.progress import Progress, ignore
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

    def digest(self, rows: Iterable[tuple[Path, *tuple[str, ...]]]) -> str:
        """Tells recordings, and texts about them, from others, in whatever folder they lie."""
        content = [(self.key(audio), *texts) for audio, *texts in rows]
        return hashlib.sha256(repr(content).encode()).hexdigest()

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
    model_folder = folder / hashlib.sha256(f"{_FORM} {identity}".encode()).hexdigest()[:16]
    shards = _Shards(model_folder)
    keys: dict[Path, str] = {}
    paths_by_key: dict[str, Path] = {}
    failed: dict[Path, InputError] = {}
    for path in dict.fromkeys(recordings):
        try:
            key = keys[path] = digest(path)
        except OSError as error:
            failed[path] = InputError(f"{path} cannot be read: {error.strerror}.")
            continue
        if key not in shards:
            paths_by_key.setdefault(key, path)
    decoding = _Decoding(decode, paths_by_key)
    count = len(keys) - len(paths_by_key)
    progress("encode", count, len(keys))
    pending: dict[str, Tensor] = {}
    with closing(encode_windows(encoder, decoding.windows(), batch_size)) as encoded:
        try:
            with undisguised():
                for _, frames in encoded:
                    pending[decoding.keys.popleft()] = frames.hidden.to("cpu", torch.bfloat16)
                    if sum(states.nbytes for states in pending.values()) >= shard_bytes:
                        shards.write(pending)
                        pending = {}
                    count += 1
                    progress("encode", count, len(keys))
        except (KeyboardInterrupt, SystemExit):
            shards.write(pending)
            raise
    shards.write(pending)
    progress("encode", len(keys), len(keys))
    result = Encoded(shards, keys)
    result.too_long = [path for path in keys if keys[path] in decoding.too_long]
    result.failed = failed | {
        path: decoding.failed[key] for path, key in keys.items() if key in decoding.failed
    }
    return result


@dataclass(frozen=True)
class _Decoding:
    """Makes one window of each recording, in the thread that encoding draws from."""

    decode: Decode
    recordings: Mapping[str, Path]
    # Frames come back in the order of their windows, so that a queue is enough.
    keys: deque[str] = field(default_factory=deque)
    too_long: set[str] = field(default_factory=set)
    failed: dict[str, InputError] = field(default_factory=dict)

    def windows(self) -> Generator[Window, None, None]:
        for key, path in self.recordings.items():
            try:
                window = self._window(path)
            except InputError as error:
                self.failed[key] = error
                continue
            if window is None:
                self.too_long.add(key)
                continue
            self.keys.append(key)
            yield window

    def _window(self, path: Path) -> Window | None:
        """The whole recording; None when it is longer than a window, of which no more is read."""
        blocks: list[NDArray[np.float32]] = []
        count = 0
        decoded = self.decode(path)
        with closing_source(decoded):
            for block in decoded:
                count += len(block)
                if count > WINDOW_SAMPLES:
                    return None
                # A copy: a decoder may use one buffer over and over.
                blocks.append(block.copy())
        if not count:
            raise InputError(f"{path} holds no sound.")
        return Window(torch.from_numpy(np.concatenate(blocks)))


class _Shards:
    """The files of one model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = ExitStack()
        self._shards_by_key: dict[str, Any] = {}
        for file in sorted(folder.glob("hidden-*.safetensors")):
            self._open(file)

    def __contains__(self, key: object) -> bool:
        return key in self._shards_by_key

    def read(self, key: str) -> Tensor:
        hidden: Tensor = self._shards_by_key[key].get_tensor(key)
        return hidden

    def count(self, key: str) -> int:
        return int(self._shards_by_key[key].get_slice(key).get_shape()[0])

    def write(self, hidden: Mapping[str, Tensor]) -> None:
        """Keeps more of them in a new file, all or nothing."""
        if not hidden:
            return
        number = len(list(self._folder.glob("hidden-*.safetensors")))
        file = self._folder / f"hidden-{number:05d}.safetensors"
        try:
            with replacing(file, file.with_suffix(".part")) as part:
                save_file({key: states.contiguous() for key, states in hidden.items()}, part)
        except (OSError, SafetensorError) as error:
            raise unwritten(self._folder, error) from error
        self._open(file)

    def _open(self, file: Path) -> None:
        try:
            opened = self._files.enter_context(safe_open(file, "pt"))
        except (OSError, SafetensorError) as error:
            raise UsageError(
                f"{file} cannot be read ({error}); remove it, and what was in it is encoded again."
            ) from error
        self._shards_by_key |= dict.fromkeys(opened.keys(), opened)
