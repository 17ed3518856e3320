"""Forced alignment, against trying every path; and a vocabulary trained for the occasion."""

from __future__ import annotations

import io
import sys
from itertools import groupby, pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fls_models.errors import EnvironmentLacks, UsageError
from fls_models.transcription.ctc_alignment import SentencePieces, align

sentencepiece = pytest.importorskip("sentencepiece")

BLANK = -1


def every_path(count: int, ids: list[int]) -> list[tuple[int, ...]]:
    """All ways to give each frame a piece's index or BLANK that read as `ids` (tiny sizes only).

    By the definition of CTC: runs of the same label become one, then blanks go. Which of two equal
    pieces a label belongs to follows from how many came before.
    """
    found = []
    for labels in product({*ids, BLANK}, repeat=count):
        runs = [(label, len(list(run))) for label, run in groupby(labels)]
        if [label for label, _ in runs if label != BLANK] != ids:
            continue
        path: list[int] = []
        piece = -1
        for label, length in runs:
            piece += label != BLANK
            path += [BLANK if label == BLANK else piece] * length
        found.append(tuple(path))
    return found


def as_path(found: list[tuple[int, int]], count: int) -> tuple[int, ...]:
    path = [BLANK] * count
    for piece, (first, last) in enumerate(found):
        assert 0 <= first <= last < count
        assert path[first : last + 1] == [BLANK] * (last + 1 - first)
        path[first : last + 1] = [piece] * (last + 1 - first)
    return tuple(path)


def total(path: tuple[int, ...], columns: Tensor) -> float:
    return sum(columns[frame, piece].item() for frame, piece in enumerate(path))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(5, 7), min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 999))
def test_no_path_is_likelier(ids: list[int], spare: int, seed: int) -> None:
    count = len(ids) + sum(a == b for a, b in pairwise(ids)) + spare
    torch.manual_seed(seed)
    # Equal pieces are one column of the head's.
    of_label = {label: torch.randn(count) for label in {*ids, BLANK}}
    columns = torch.stack([of_label[label] for label in [*ids, BLANK]], dim=1)
    path = as_path(align(columns, ids), count)
    paths = every_path(count, ids)
    assert path in paths
    assert total(path, columns) == pytest.approx(max(total(one, columns) for one in paths))


def test_frames_that_are_sure_are_found() -> None:
    read = [2, 0, 0, 2, 2, 1, 2, 1, 2]
    columns = torch.full((9, 4), -9.0)
    for frame, label in enumerate(read):
        columns[frame, {0: [0], 1: [1, 2], 2: [3]}[label]] = -0.01
    assert align(columns, [4, 8, 8]) == [(1, 2), (5, 5), (7, 7)]


def test_what_the_head_rules_out_is_still_aligned() -> None:
    columns = torch.full((5, 3), -torch.inf)
    columns[:, 2] = 0.0
    (first, second) = align(columns, [1, 1])
    assert first[1] + 1 < second[0]


def test_long_texts_are_quick_and_whole() -> None:
    torch.manual_seed(0)
    ids = torch.randint(0, 9, (300,)).tolist()
    found = align(torch.randn(750, 301).log_softmax(-1), ids)
    assert len(found) == 300
    assert all(a[1] < b[0] for a, b in pairwise(found))


def test_nothing_is_nowhere() -> None:
    assert align(torch.zeros(4, 1), []) == []
    assert align(torch.zeros(0, 1), []) == []


@pytest.mark.parametrize(
    ("count", "ids"), [(0, [1]), (2, [1, 2, 3]), (2, [1, 1]), (5, [1, 1, 1, 2])]
)
def test_too_few_frames_are_refused(count: int, ids: list[int]) -> None:
    with pytest.raises(ValueError, match="frames"):
        align(torch.zeros(count, len(ids) + 1), ids)
    align(torch.zeros(count + 1, len(ids) + 1), ids)


def test_other_shapes_and_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        align(torch.zeros(9, 2), [1, 2])
    with pytest.raises(ValueError, match="NaN"):
        align(torch.full((9, 2), torch.nan), [1])


# --- the vocabulary ---

CORPUS = [
    "the cat sat on the mat",
    "hello there my friend",
    "今天天气很好",
    "今天我们去",
    "a dog ran",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20),
        model_writer=written,
        vocab_size=45,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = tmp_path_factory.mktemp("vocabulary") / "spm.model"
    path.write_bytes(written.getvalue())
    return path


@pytest.fixture(scope="module")
def processor(model: Path) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(model))


@pytest.fixture(scope="module")
def vocabulary(model: Path, processor: Any) -> SentencePieces:
    return SentencePieces(model, processor.get_piece_size())


@pytest.mark.parametrize("text", ["hello there my cat", "the mat sat", "on the mat 今天天气很好"])
def test_pieces_are_those_of_the_sentence(
    text: str, vocabulary: SentencePieces, processor: Any
) -> None:
    found = vocabulary.pieces([f" {word}" for word in text.split()])
    assert [piece for piece, _ in found] == processor.encode(text)
    for index, word in enumerate(text.split()):
        own = [piece for piece, owner in found if owner == index]
        assert processor.decode(own) == word


def test_words_without_spaces_are_cut_together(vocabulary: SentencePieces, processor: Any) -> None:
    # 今天 is one piece: the second character has none of its own.
    found = vocabulary.pieces([" the", " 今", "天", "我", "们"])
    assert [piece for piece, _ in found] == processor.encode("the 今天我们")
    assert [owner for _, owner in found if owner] == sorted(owner for _, owner in found if owner)
    assert {owner for _, owner in found} == {0, 1, 3, 4}


def test_what_has_no_piece_is_left_out_and_capitals_too(
    vocabulary: SentencePieces, processor: Any
) -> None:
    found = vocabulary.pieces([" Hello,", " Ω", " THERE"])
    assert processor.unk_id() not in [piece for piece, _ in found]
    assert processor.decode([piece for piece, owner in found if owner == 0]) == "hello"
    assert processor.decode([piece for piece, owner in found if owner == 2]) == "there"
    # Many unknown characters in a row do not shift what follows.
    found = vocabulary.pieces(["Ω", "ΩΩ", "天"])
    assert [owner for piece, owner in found if processor.decode([piece]).strip()] == [2]


def test_no_words_have_no_pieces(vocabulary: SentencePieces) -> None:
    assert vocabulary.pieces([]) == []


@pytest.mark.parametrize("content", [None, b"", b"no model at all" * 9])
def test_another_file_is_refused_when_it_is_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "spm.model"
    if content is not None:
        path.write_bytes(content)
    vocabulary = SentencePieces(path, 10)
    with pytest.raises(UsageError, match=r"--ctc-vocab takes the\s+spm.model"):
        vocabulary.load()


def test_the_vocabulary_of_another_head_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="the CTC head 10000; --ctc-vocab"):
        SentencePieces(model, 10_000).pieces([" a"])


def test_a_missing_package_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(EnvironmentLacks, match="pip install sentencepiece"):
        SentencePieces(model, 36).load()
