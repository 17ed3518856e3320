"""What an encoder makes of recordings, kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from tiny_checkpoints import WIDTH, write_omni, write_qwen2_audio
from tiny_hearing import babble, blocks_of, loaded, noise

from fls_models.audio.windows import Window
from fls_models.errors import InputError, NotMedia, UsageError
from fls_models.extractor.encoding import encode_windows
from fls_models.lslm.large import LargeSpeechLM
from fls_models.training.core.encoded_dataset import Encoded, encode

SECONDS = {"a": 1.0, "b": 2.5, "c": 0.5, "d": 30.0, "e": 30.001}


@pytest.fixture(scope="module", params=["qwen2_audio", "omni"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LargeSpeechLM:
    folder = tmp_path_factory.mktemp(request.param)
    write = write_omni if request.param == "omni" else write_qwen2_audio
    write(folder / "hub")
    return loaded(folder / "hub", folder / "model")


class Tapes:
    """Recordings whose files hold their names; which of them were decoded, and how far."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.decoded: list[str] = []
        self.closed = 0
        self.paths = [folder / f"{name}.wav" for name in SECONDS]
        for path in self.paths:
            path.write_text(path.stem)

    @staticmethod
    def sound(name: str) -> NDArray[np.float32]:
        return babble(SECONDS[name], seed=ord(name))

    def __call__(self, path: Path) -> Iterator[NDArray[np.float32]]:
        self.decoded.append(path.stem)
        try:
            yield from blocks_of(self.sound(path.read_text()))
        finally:
            self.closed += 1


@pytest.fixture
def tapes(tmp_path: Path) -> Tapes:
    return Tapes(tmp_path / "tapes")


def kept(model: LargeSpeechLM, tapes: Tapes, folder: Path, **how: object) -> Encoded:
    how = {"identity": "tiny", "batch_size": 2, **how}
    return encode(model, tapes.paths, tapes, folder, **how)  # type: ignore[arg-type]


def test_what_is_kept_is_what_the_encoder_gives(
    model: LargeSpeechLM, tapes: Tapes, tmp_path: Path
) -> None:
    encoded = kept(model, tapes, tmp_path / "kept")
    *taken, long = tapes.paths
    assert list(encoded) == taken
    assert encoded.too_long == [long]
    assert encoded.failed == {}
    assert long not in encoded
    for path in taken:
        window = Window(torch.from_numpy(tapes.sound(path.stem)))
        [(_, frames)] = encode_windows(model, [window])
        assert encoded[path].dtype == torch.bfloat16
        assert encoded[path].shape == (encoded.frames(path), WIDTH)
        assert encoded.frames(path) == window.frames
        # In a batch, sums are taken in another order.
        torch.testing.assert_close(encoded[path].float(), frames.hidden, rtol=0.02, atol=0.02)
        assert encoded.key(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert tapes.closed == 5


def test_nothing_is_encoded_twice(model: LargeSpeechLM, tapes: Tapes, tmp_path: Path) -> None:
    first = kept(model, tapes, tmp_path / "kept")
    before = {path: first[path].clone() for path in first}
    tapes.decoded.clear()
    # Named otherwise, and one of them twice: the bytes count.
    tapes.paths = [path.rename(path.with_name(f"x{path.name}")) for path in tapes.paths[:3]]
    copy = tapes.paths[0].with_name("copy.wav")
    copy.write_bytes(tapes.paths[0].read_bytes())
    tapes.paths += [copy]
    again = kept(model, tapes, tmp_path / "kept")
    assert tapes.decoded == []
    assert len(again) == 4
    for (old, hidden), path in zip(list(before.items())[:3], tapes.paths[:3], strict=True):
        assert path.name == f"x{old.name}"
        assert torch.equal(again[path], hidden)
    assert torch.equal(again[copy], again[tapes.paths[0]])


def test_another_model_keeps_its_own(model: LargeSpeechLM, tapes: Tapes, tmp_path: Path) -> None:
    tapes.paths = tapes.paths[:1]
    kept(model, tapes, tmp_path / "kept")
    kept(model, tapes, tmp_path / "kept", identity="another")
    assert tapes.decoded == ["a", "a"]
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_shards_are_small_and_plain(model: LargeSpeechLM, tapes: Tapes, tmp_path: Path) -> None:
    encoded = kept(model, tapes, tmp_path / "kept", shard_bytes=1)
    shards = sorted((tmp_path / "kept").rglob("*"))[1:]
    assert [shard.name for shard in shards] == [f"hidden-0000{n}.safetensors" for n in range(4)]
    for shard, path in zip(shards, encoded, strict=True):
        with safe_open(shard, "pt") as opened:
            assert list(opened.keys()) == [encoded.key(path)]


@pytest.mark.parametrize("stop", ["c", "d"])
def test_after_an_interruption_it_goes_on(
    model: LargeSpeechLM, tapes: Tapes, tmp_path: Path, stop: str
) -> None:
    whole = kept(model, Tapes(tmp_path / "other"), tmp_path / "whole")

    def disturbed(path: Path) -> Iterator[NDArray[np.float32]]:
        if path.stem == stop:
            raise KeyboardInterrupt
        yield from tapes(path)

    with pytest.raises(KeyboardInterrupt):
        encode(model, tapes.paths, disturbed, tmp_path / "kept", identity="tiny", batch_size=2)
    tapes.decoded.clear()
    encoded = kept(model, tapes, tmp_path / "kept")
    assert tapes.decoded == ["c", "d", "e"]
    for path, other in zip(encoded, whole, strict=True):
        torch.testing.assert_close(encoded[path], whole[other], rtol=0.02, atol=0.02)


def test_recordings_that_cannot_be_used_are_named(
    model: LargeSpeechLM, tapes: Tapes, tmp_path: Path
) -> None:
    def broken(path: Path) -> Iterator[NDArray[np.float32]]:
        if path.stem == "a":
            raise NotMedia("a is no sound.")
        if path.stem == "c":
            yield np.full(800, np.nan, np.float32)
        elif path.stem != "d":
            yield from tapes(path)

    tapes.paths += [tmp_path / "none.wav"]
    encoded = encode(model, tapes.paths, broken, tmp_path / "kept", identity="tiny")
    assert [path.stem for path in encoded] == ["b"]
    assert {path.stem: type(error) for path, error in encoded.failed.items()} == {
        "a": NotMedia,
        "c": InputError,
        "d": InputError,
        "none": InputError,
    }
    assert [path.stem for path in encoded.too_long] == ["e"]


def test_a_recording_of_less_than_a_frame(model: LargeSpeechLM, tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    path.write_bytes(b"click")
    encoded = encode(model, [path], lambda _: [noise(0.01)], tmp_path / "kept", identity="tiny")
    assert encoded[path].shape == (0, WIDTH)


def test_of_a_long_recording_no_more_is_read_than_shows_that(
    model: LargeSpeechLM, tmp_path: Path
) -> None:
    path, seconds = tmp_path / "day.wav", []
    path.write_bytes(b"day")

    def endless(_: Path) -> Iterator[NDArray[np.float32]]:
        while True:
            seconds.append(1)
            yield np.zeros(16_000, np.float32)

    encoded = encode(model, [path], endless, tmp_path / "kept", identity="tiny")
    assert (encoded.too_long, len(seconds)) == ([path], 31)


def test_progress_counts_recordings(model: LargeSpeechLM, tapes: Tapes, tmp_path: Path) -> None:
    seen: list[tuple[str, float, float | None]] = []
    for _ in range(2):
        kept(model, tapes, tmp_path / "kept", progress=lambda *told: seen.append(told))
    assert seen[:6] == [("encode", done, 5) for done in (0, 1, 2, 3, 4, 5)]
    assert seen[6:] == [("encode", 4, 5), ("encode", 5, 5)]


def test_a_damaged_file_is_named(model: LargeSpeechLM, tapes: Tapes, tmp_path: Path) -> None:
    kept(model, tapes, tmp_path / "kept")
    [shard] = (tmp_path / "kept").rglob("*.safetensors")
    shard.write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"hidden-00000.safetensors cannot be read.*remove it"):
        kept(model, tapes, tmp_path / "kept")
