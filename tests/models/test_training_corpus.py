"""Manifests to train on, how they are divided, and what their texts become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from fls_models.errors import UsageError
from fls_models.extractor.ctc_decoding import greedy
from fls_models.training.ctc.vocabulary import (
    Characters,
    Pieces,
    Vocabulary,
    frames_needed,
    plain,
)
from fls_models.training.data.manifests import (
    Spoken,
    Utterance,
    read_spoken,
    read_utterances,
    split,
)
from fls_models.transcription.ctc_alignment import SentencePieces

TEXTS = [
    "The tall trees stand here.",
    "They say a thing or two, don't they?",
    "Quick vexed foxes jump over my lazy big zebra.",
] * 20


def manifest(folder: Path, *lines: object, name: str = "speech.jsonl") -> Path:
    (folder / "a.wav").write_bytes(b"sound")
    file = folder / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts), "utf-8")
    return file


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    told = {"audio": "a.wav", "text": "Hello there", "extra": 1}
    file = manifest(tmp_path, told, "", {**told, "source": "book"})
    audio = tmp_path / "a.wav"
    assert read_utterances(file) == [
        Utterance(audio, "Hello there"),
        Utterance(audio, "Hello there", "book"),
    ]


def test_questions_and_answers(tmp_path: Path) -> None:
    told = {"audio": "a.wav", "question": "Who?", "answer": "Ann."}
    file = manifest(tmp_path, told, {**told, "transcript": "I am Ann", "source": "b"})
    audio = tmp_path / "a.wav"
    assert read_spoken(file) == [
        Spoken(audio, "Who?", "Ann."),
        Spoken(audio, "Who?", "Ann.", "I am Ann", "b"),
    ]


GOOD = {"audio": "a.wav", "text": "hello", "question": "Who?", "answer": "Ann."}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "line 2 is no JSON object"),
        ({**GOOD, "audio": 3}, "line 2: 'audio' is missing"),
        ({**GOOD, "audio": "b.wav"}, "line 2: there is no file"),
        ({**GOOD, "source": 7}, "line 2: 'source' is text or left out, not 7"),
        ({**GOOD, "text": " ", "answer": None}, "line 2: '(text|answer)' is missing; a line is"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, line: object, said: str) -> None:
    file = manifest(tmp_path, GOOD, line)
    for read in (read_utterances, read_spoken):
        with pytest.raises(UsageError, match=said) as refused:
            read(file)
        assert str(file) in str(refused.value)


def test_a_text_without_words_and_a_file_without_lines(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no words"):
        read_utterances(manifest(tmp_path, {**GOOD, "text": "... !"}))
    with pytest.raises(UsageError, match="holds no recordings"):
        read_utterances(manifest(tmp_path))
    with pytest.raises(UsageError, match="cannot be read"):
        read_spoken(tmp_path / "none.jsonl")


@given(
    some.lists(some.sampled_from([None, "a", "b", "c", "d"]), min_size=2, max_size=60),
    some.floats(0.01, 0.9),
    some.integers(0, 9),
)
def test_no_document_is_on_both_sides(sources: list[str | None], share: float, seed: int) -> None:
    things = [Utterance(Path(str(at)), "x", source) for at, source in enumerate(sources)]
    if sources.count(None) + len(set(sources) - {None}) < 2:
        with pytest.raises(UsageError, match="--dev"):
            split(things, share, seed)
        return
    train, dev = split(things, share, seed)
    assert train
    assert dev
    assert sorted([*train, *dev], key=things.index) == things
    assert sorted(train, key=things.index) == train
    assert not {one.source for one in train if one.source} & {one.source for one in dev}
    assert split(things, share, seed) == (train, dev)


def test_about_that_share_is_held_out() -> None:
    things = [Utterance(Path(str(at)), "x", f"book {at // 3}") for at in range(300)]
    assert len(split(things)[1]) == 15
    assert split(things)[1] != split(things, seed=1)[1]


def test_plain_texts() -> None:
    assert plain(" Don’t — STOP!\n It's 5 o'clock, Frau Müller…") == (
        "don't stop it's 5 o'clock frau müller"
    )
    assert plain("ﬁne １２") == "fine 12"


@pytest.fixture(scope="module", params=["characters", "pieces"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return Characters.of(TEXTS) if request.param == "characters" else Pieces.of(TEXTS, 40)


def test_texts_become_ids_and_ids_texts(vocabulary: Vocabulary) -> None:
    for text in TEXTS[:3]:
        ids = vocabulary.encode(text)
        assert set(ids) <= set(range(vocabulary.size))
        assert vocabulary.decode(ids) == plain(text)
    assert vocabulary.decode([]) == ""
    # What it has no token for is left out.
    assert vocabulary.decode(vocabulary.encode("the ж trees")) == "the trees"
    assert vocabulary.decode(vocabulary.encode("жж")) == ""


def test_a_vocabulary_is_read_again(tmp_path: Path, vocabulary: Vocabulary) -> None:
    file = vocabulary.save(tmp_path / "new")
    again: Vocabulary
    if isinstance(vocabulary, Characters):
        assert file.name == "vocab.json"
        again = Characters.read(file)
    else:
        assert file.name == "spm.model"
        again = Pieces(file.read_bytes())
        # The file that times words.
        SentencePieces(file, vocabulary.size).load()
    assert again.identity == vocabulary.identity
    assert again.encode(TEXTS[0]) == vocabulary.encode(TEXTS[0])
    assert [one.name for one in (tmp_path / "new").iterdir()] == [file.name]


def test_the_same_texts_make_the_same_pieces() -> None:
    assert Pieces.of(TEXTS, 40).identity == Pieces.of(TEXTS, 40).identity
    assert Pieces.of(TEXTS, 36).size == 36


@pytest.mark.parametrize("size", [3, 5000])
def test_texts_that_do_not_make_so_many_pieces(size: int) -> None:
    with pytest.raises(UsageError, match=f"do not make {size} pieces; --vocab takes"):
        Pieces.of(TEXTS, size)


def test_a_file_that_is_no_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 1}')
    with pytest.raises(UsageError, match="no vocabulary"):
        Characters.read(tmp_path / "vocab.json")


def test_repeats_are_joined_and_blanks_left_out() -> None:
    for best, said in [
        ([3, 0, 0, 3, 0, 1, 1, 3], [0, 0, 1]),
        ([3, 3], []),
        ([2, 2, 1, 2], [2, 1, 2]),
        ([], []),
    ]:
        assert greedy(torch.eye(4)[best]) == said
    assert [frames_needed(ids) for ids in ([], [1], [1, 2], [1, 1], [2, 2, 2])] == [0, 1, 2, 3, 5]
