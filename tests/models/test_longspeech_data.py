"""Documents to long recordings: what is joined, spoken, asked and kept, with voices that hum."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from fls_models.bench.dataset.plan import Plan, answered, entries, plan, seconds_of, task_of
from fls_models.bench.dataset.recordings import (
    FACTS,
    MANIFEST,
    RecordingsFolder,
    facts_of,
    open_recordings,
    write_facts,
)
from fls_models.bench.dataset.synthesize import speak_recording
from fls_models.bench.longspeech.items import load_spoken_items
from fls_models.bench.qa.items import load_items
from fls_models.errors import EnvironmentLacks, UsageError
from fls_models.training.data.augmentation import Samples
from fls_models.training.data.clips import NotSpoken, Voice
from fls_models.training.data.documents import Document, Line, Question

RATE = 16_000
WORD = 0.05
CHOICES = ("red", "blue")


@dataclass
class Hum:
    """A tone for each word; cannot say `unspeakable`."""

    name: str
    pitch: float
    said: list[str] = field(default_factory=list)

    def say(self, text: str, seed: int) -> Samples:
        self.said.append(text)
        if "unspeakable" in text:
            raise NotSpoken("it broke")
        times = np.arange(int(WORD * len(text.split()) * RATE)) / RATE
        return np.sin(2 * np.pi * self.pitch * times).astype(np.float32)


@dataclass
class Troupe:
    """Draws one of few; knows all that was said."""

    people: int = 2
    said: list[str] = field(default_factory=list)

    def __call__(self, chance: Random) -> Voice:
        who = chance.randrange(self.people)
        return Hum(f"hum:{who} speed {chance.random():.2f}", 300.0 * (who + 1), self.said)


def document(name: str, words: int = 96, *, speakers: str = "A", asked: bool = True) -> Document:
    """`words` in lines of eight, who take turns; 96 words are some 37 s."""
    lines = [
        Line(speakers[at % len(speakers)], f"{name} {mark(at)} " + "word " * 5 + "end.")
        for at in range(words // 8)
    ]
    question = Question(f"Which colour has {name}?", "blue", CHOICES, key=lines[1].text)
    return Document(name, tuple(lines), (question,) if asked else (), {})


def mark(at: int) -> str:
    """A word of its own for a line, without digits: comparing takes `line1` for "line one"."""
    return f"line{chr(97 + at // 26)}{chr(97 + at % 26)}"


def many(count: int, **how: Any) -> list[Document]:
    return [document(f"d{at}", **how) for at in range(count)]


def save(samples: Samples, place: Path) -> None:
    with place.open("wb") as raw, wave.open(raw) as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def lengths(found: Plan) -> list[float]:
    return [sum(map(seconds_of, joined)) for joined in found.recordings]


# What is joined


def test_every_document_is_asked_about_once_and_lengths_are_spread() -> None:
    found = plan(many(300), mean=133, max_seconds=1000, asks=True, seed=0)
    joined = [one.source for recording in found.recordings for one in recording]
    assert sorted(joined) == sorted(one.source for one in many(300))
    seconds = lengths(found)
    assert np.mean(seconds) == pytest.approx(133, rel=0.15)
    assert max(seconds) > 300
    assert max(seconds) <= 1000
    assert min(seconds) == pytest.approx(96 / 2.6)
    assert found.left_out == {}


@pytest.mark.parametrize(("mean", "longest"), [(60, 90), (400, 2000)])
def test_lengths_are_as_asked_for(mean: float, longest: float) -> None:
    seconds = lengths(plan(many(400), mean=mean, max_seconds=longest, asks=True, seed=3))
    # The last one gets what is left.
    assert np.mean(seconds[:-1]) == pytest.approx(mean, rel=0.25)
    assert max(seconds) <= longest


def test_a_seed_gives_one_plan() -> None:
    def sources(seed: int) -> list[list[str]]:
        found = plan(many(40), mean=133, max_seconds=1000, asks=True, seed=seed)
        return [[one.source for one in joined] for joined in found.recordings]

    assert sources(1) == sources(1)
    assert sources(1) != sources(2)


def test_documents_without_questions_fill_up_in_pieces() -> None:
    book = document("book", 8 * 100, asked=False)
    found = plan([*many(8), book], mean=200, max_seconds=1000, asks=True, seed=0)
    for joined in found.recordings:
        assert any(one.questions for one in joined)
    pieces = [one for joined in found.recordings for one in joined if "book" in one.source]
    assert pieces
    assert len({one.source for one in pieces}) == len(pieces)
    assert all(len(one.lines) <= 12 for one in pieces)
    left = found.left_out.get("not needed", 0)
    assert len(pieces) + left == 9


def test_without_asking_every_text_is_used_whole() -> None:
    texts = [document("book", 8 * 30, asked=False), *many(3)]
    found = plan(texts, mean=60, max_seconds=1000, asks=False, seed=0)
    lines = [line for joined in found.recordings for one in joined for line in one.lines]
    assert sorted(line.text for line in lines) == sorted(
        line.text for one in texts for line in one.lines
    )
    assert not any(one.questions for joined in found.recordings for one in joined)


def test_too_long_documents_are_counted() -> None:
    found = plan([document("long", 960), *many(2)], mean=50, max_seconds=100, asks=True, seed=0)
    assert found.left_out == {"too long": 1}


def test_no_recording_asks_the_same_twice() -> None:
    same = Question("What colour?", "blue", CHOICES)
    alike = [Document(f"d{at}", document("x").lines, (same,), {}) for at in range(6)]
    found = plan(alike, mean=500, max_seconds=1000, asks=True, seed=0)
    assert [len(joined) for joined in found.recordings] == [1] * 6


# What is asked


def test_questions_need_their_sentence_where_something_is_missing() -> None:
    one = document("d")
    said = [line.text for line in one.lines]
    assert answered(one, said) == list(one.questions)
    assert answered(one, said[:3]) == list(one.questions)
    assert answered(one, [*said[:1], *said[2:]]) == []
    # A sentence that was left out of the text, but for one without words.
    cut = Document("d", one.lines, (Question("Who?", "Somebody else."),), {"formula": 1})
    assert answered(cut, said) == []
    named = Document("d", one.lines, (Question("Which?", "Lineaa."),), {"formula": 1})
    assert answered(named, said) == list(named.questions)
    wordless = Document("d", one.lines, cut.questions, {"no words": 2})
    assert answered(wordless, said) == list(cut.questions)


def test_lines_of_the_manifest() -> None:
    talk = document("talk", speakers="AB")
    lecture = Document("lecture", document("x").lines, (Question("Who?", "Ann."),), {})
    assert (task_of(talk), task_of(lecture)) == ("dialogue", "qa")
    parts = [(talk, [line.text for line in talk.lines]), (lecture, [lecture.lines[0].text] * 12)]
    every = ("qa", "dialogue", "asr", "summary")
    first, second, written, told = entries("0001", "a.flac", parts, every)
    transcript = " ".join(line for _, said in parts for line in said)
    assert first == {
        "id": "0001-1",
        "task": "dialogue",
        "question": "Which colour has talk?",
        "answer": "blue",
        "choices": ["red", "blue"],
        "audio": "a.flac",
        "transcript": transcript,
        "source": "talk",
    }
    assert (second["id"], second["task"], second["answer"]) == ("0001-2", "qa", "Ann.")
    assert "choices" not in second
    assert (written["task"], told["task"]) == ("asr", "summary")
    assert written["source"] == "talk, lecture"
    assert [one["task"] for one in entries("1", "a", parts, ("qa",))] == ["qa"]


# What is spoken


def test_documents_follow_each_other_and_speakers_differ() -> None:
    talks = [document("a", speakers="AB"), document("b")]
    found = speak_recording(talks, Troupe(), "0", max_seconds=100, distorts=False)
    first, second = found.parts
    assert (first.source, second.source) == ("a", "b")
    assert (len(first.lines), len(second.lines)) == (12, 12)
    assert 1.0 <= second.start - first.end <= 2.0
    assert second.end == len(found.samples) / RATE
    one, other = first.voices
    assert one.split()[0] != other.split()[0]
    # Sound where a document is, silence between them.
    between = found.samples[round((first.end + 0.1) * RATE) : round((second.start - 0.1) * RATE)]
    assert not between.any()
    assert np.abs(found.samples[round(first.start * RATE) :][:8000]).max() > 0.05


def test_what_makes_it_too_long_is_dropped() -> None:
    talks = [document("a"), document("b"), document("c", 16)]
    whole = speak_recording(talks, Troupe(), "0", max_seconds=100, distorts=False)
    limit = whole.parts[1].end - 1
    found = speak_recording(talks, Troupe(), "0", max_seconds=limit, distorts=False)
    assert found.dropped == ("b",)
    assert [part.source for part in found.parts] == ["a", "c"]
    assert len(found.samples) <= limit * RATE


def test_lines_that_cannot_be_said_are_skipped_and_broken_voices_named() -> None:
    lines = (Line("", "one two three."), Line("", "unspeakable."), Line("", "four five six."))
    found = speak_recording(
        [Document("a", lines, (), {})], Troupe(), "0", max_seconds=100, distorts=False
    )
    assert found.parts[0].lines == (0, 2)
    broken = Document("a", (Line("", "unspeakable."),) * 12, (), {})
    with pytest.raises(EnvironmentLacks, match="--voices"):
        speak_recording([broken], Troupe(), "0", max_seconds=100, distorts=False)


def test_distortions_are_of_a_document_and_change_no_times() -> None:
    talks = [document("a"), document("b")]
    plain = speak_recording(talks, Troupe(), "0", max_seconds=100, distorts=False)
    found = speak_recording(talks, Troupe(), "0", max_seconds=100, distorts=True)
    again = speak_recording(talks, Troupe(), "0", max_seconds=100, distorts=True)
    assert [one.end for one in found.parts] == [one.end for one in plain.parts]
    assert found.parts[0].distortion != found.parts[1].distortion
    assert not np.array_equal(found.samples, plain.samples)
    assert np.array_equal(found.samples, again.samples)


# What is kept


def made(
    place: Path, texts: Sequence[Document], *, troupe: Troupe | None = None, saver: Any = save
) -> tuple[RecordingsFolder, Plan, list[dict[str, Any]]]:
    planned = plan(texts, mean=90, max_seconds=300, asks=True, seed=0)
    folder = open_recordings(place, {"seed": 0, "distort": False}, fresh=False)
    told = folder.make(planned, troupe or Troupe(), saver, seed=0, max_seconds=300, distorts=False)
    return folder, planned, told


def test_both_benches_read_what_is_written(tmp_path: Path) -> None:
    texts = [*many(6, words=24), document("talk", 24, speakers="AB")]
    folder, planned, told = made(tmp_path / "data", texts)
    lines = folder.write_manifest(planned, told, ["qa", "dialogue", "asr", "summary"])
    count = len(planned.recordings)
    facts = facts_of(planned, texts, told, lines)
    assert facts["tasks"] == {"asr": count, "dialogue": 1, "qa": 6, "summary": count}
    assert (facts["documents"], facts["questions_not_put"]) == (7, 0)
    write_facts(folder.place, {"seed": 0, "distort": False}, {"fls": "1"}, facts)
    assert "7 documents" in (folder.place / "README.md").read_text()
    # By the folder, in which other JSON lies, too.
    spoken = load_spoken_items(folder.place)
    assert len(spoken) == 7 + 2 * count
    asked = {one.question: one for one in spoken if one.choices}
    one = asked["Which colour has talk?"]
    assert (one.task, one.answer, one.correct) == ("dialogue", "blue", 1)
    assert "talk lineaa" in (one.transcript or "")
    items = load_items(folder.place / MANIFEST)
    assert {item.question for item in items} == set(asked)
    assert all(item.correct == "blue" and item.audio and item.audio.is_file() for item in items)
    # Questions of one recording are no strangers to each other.
    assert len({item.topic for item in items}) == len({item.audio for item in items})


def test_an_interrupted_run_goes_on_and_ends_with_the_same_files(tmp_path: Path) -> None:
    texts = many(16)
    folder, planned, told = made(tmp_path / "whole", texts)
    folder.write_manifest(planned, told, ["qa"])
    assert len(planned.recordings) > 2
    saved = 0

    def interrupted(samples: Samples, place: Path) -> None:
        nonlocal saved
        saved += 1
        save(samples, place)
        if saved == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut", texts, saver=interrupted)
    names = sorted(one.name for one in (tmp_path / "cut/recordings").iterdir())
    assert names == ["0001.flac", "0001.json"]
    troupe = Troupe()
    again, planned, told = made(tmp_path / "cut", texts, troupe=troupe)
    again.write_manifest(planned, told, ["qa"])
    first = [line.text for one in planned.recordings[0] for line in one.lines]
    assert not set(first) & set(troupe.said)

    def content(place: Path) -> dict[str, bytes]:
        files = [one for one in place.rglob("*") if one.is_file()]
        return {str(one.relative_to(place)): one.read_bytes() for one in files}

    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    idle = Troupe()
    made(tmp_path / "cut", texts, troupe=idle)
    assert idle.said == []


def test_another_recipe_needs_another_folder_or_fresh(tmp_path: Path) -> None:
    made(tmp_path, many(2))
    other = {"seed": 1, "distort": False}
    with pytest.raises(UsageError, match="--fresh"):
        open_recordings(tmp_path, other, fresh=False)
    folder = open_recordings(tmp_path, other, fresh=True)
    assert folder.record(1) is None
    assert list((tmp_path / "recordings").iterdir()) == []
    assert json.loads((tmp_path / FACTS).read_text()) == {"recipe": other}


def test_nothing_to_ask_is_said(tmp_path: Path) -> None:
    folder, planned, told = made(tmp_path, many(2))
    with pytest.raises(UsageError, match="tasks dialogue"):
        folder.write_manifest(planned, told, ["dialogue"])
