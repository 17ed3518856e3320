"""Word error rate: what is counted, what is kept, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.bench.asr import compare, load_manifest, measure
from fls_models.bench.caches.transcripts import TranscriptCache
from fls_models.core.budget import PAPER
from fls_models.core.results import Sentence, Word
from fls_models.errors import UsageError


class Parrot:
    """Understands what the samples spell, one character each."""

    def __init__(self) -> None:
        self.language: str | None = None
        self.until = 0.0
        self.heard = 0

    def sentences(self, blocks, effort, *, language=None) -> Iterator[Sentence]:
        self.heard += 1
        samples = np.concatenate(list(blocks))
        self.language, self.until = language or "en", float(len(samples))
        text = "".join(chr(int(sample)) for sample in samples)
        yield Sentence(tuple(Word(0.0, 1.0, f" {word}", 1.0) for word in text.split()))


def spelled(path: Path):
    yield np.array([ord(letter) for letter in path.read_text()], dtype=np.float32)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("the cat sat on a mat")
    (tmp_path / "b.txt").write_text("twenty-five men")
    lines = [
        {"audio": "a.txt", "text": "The cat sat on the mat."},
        {"audio": "b.txt", "text": "25 good men!"},
    ]
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("said", "heard", "replaced", "left_out", "put_in"),
    [
        ("a b c", "A, b, c.", 0, 0, 0),
        ("a b c", "a x c", 1, 0, 0),
        ("a b c", "a c", 0, 1, 0),
        ("a b c", "a b b c", 0, 0, 1),
        ("a b c", "", 0, 3, 0),
    ],
)
def test_errors_by_kind(said, heard, replaced, left_out, put_in):
    found = compare("x", said, heard)
    counted = (found.substitutions, found.deletions, found.insertions)
    assert counted == (replaced, left_out, put_in)
    assert found.words == 3


# No deadline: the first text loads transformers.
@settings(deadline=None)
@given(st.lists(st.sampled_from("abcde"), min_size=1), st.lists(st.sampled_from("abcde")))
def test_errors_lie_between_the_difference_and_the_length(said, heard):
    found = compare("x", " ".join(said), " ".join(heard))
    assert abs(len(said) - len(heard)) <= found.errors <= max(len(said), len(heard))
    assert len(said) - found.deletions + found.insertions == len(heard)


def test_all_words_count_alike(manifest: Path):
    hearing = TranscriptCache(Parrot, spelled, "parrot")
    report = measure(load_manifest(manifest), hearing, "fast", "parrot")
    assert (report.total("words"), report.total("errors")) == (9, 2)
    assert report.wer == pytest.approx(2 / 9)
    assert report.total("audio_seconds") == len("the cat sat on a mat") + len("twenty-five men")
    found = report.as_json()
    assert (found["substitutions"], found["deletions"], found["insertions"]) == (1, 1, 0)
    assert found["items"][1]["hypothesis"] == "25 men"
    json.dumps(found, allow_nan=False)


def test_a_recording_is_heard_once(manifest: Path, tmp_path: Path):
    parrot = Parrot()
    utterances = load_manifest(manifest)
    for _ in range(2):
        hearing = TranscriptCache(lambda: parrot, spelled, "parrot", work=tmp_path / "work")
        first = measure(utterances, hearing, "fast", "parrot")
        assert measure(utterances, hearing, "fast", "parrot") == first
    assert parrot.heard == 2
    measure(utterances, hearing, "accurate", "parrot")
    assert parrot.heard == 4


def test_a_recording_is_heard_anew_at_other_rates(manifest: Path, tmp_path: Path):
    parrot = Parrot()
    utterances = load_manifest(manifest)
    others = replace(PAPER, transcribe={"fast": 100, "balanced": 400, "accurate": 400})
    for rates, heard in ((PAPER, 2), (others, 4), (PAPER, 4)):
        hearing = TranscriptCache(lambda: parrot, spelled, "parrot", rates=rates, work=tmp_path)
        measure(utterances, hearing, "fast", "parrot")
        assert parrot.heard == heard


def test_limit(manifest: Path):
    assert [one.name for one in load_manifest(manifest, 1)] == ["a.txt"]


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", '{"audio": "a.wav"}', '{"audio": "a.wav", "text": "?!"}', ""],
)
def test_a_manifest_that_does_not_fit_is_named(tmp_path: Path, line: str):
    path = tmp_path / "bad.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UsageError, match=r"bad\.jsonl"):
        load_manifest(path)


def test_a_manifest_that_is_not_there(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_manifest(tmp_path / "none.jsonl")
