"""Documents to clips and clips to folders, with a voice that hums for as many beats as words."""

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

from fls_models.errors import EnvironmentLacks, UsageError
from fls_models.training.data.augmentation import Samples
from fls_models.training.data.clip_folder import JOURNAL, open_folder
from fls_models.training.data.clips import NotSpoken, TextSpan, Voice, levelled, speak, text_spans
from fls_models.training.data.documents import Document, Line
from fls_models.training.data.schedule import JournalEntry, Order

RATE = 16_000
WORD = 0.4


@dataclass
class Hum:
    """Says nothing but a tone of its own; cannot say `unspeakable`."""

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
    """A cast that remembers whom it drew."""

    voices: list[Hum] = field(default_factory=list)

    def __call__(self, chance: Random) -> Voice:
        pitch = chance.uniform(200, 2000)
        self.voices.append(Hum(f"hum:{pitch:.0f}", pitch))
        return self.voices[-1]

    @property
    def said(self) -> int:
        return sum(len(one.said) for one in self.voices)


def document(name: str, sentences: Sequence[str], speakers: str = "A") -> Document:
    lines = [Line(speakers[at % len(speakers)], one) for at, one in enumerate(sentences)]
    return Document(name, tuple(lines), (), {})


def counted(count: int, words: int = 8, name: str = "s") -> list[str]:
    return [f"{name}{at} " + "word " * (words - 2) + "end." for at in range(count)]


def one_stretch(sentences: Sequence[str], speakers: str = "A") -> TextSpan:
    [found] = text_spans([document("talk", sentences, speakers)], max_lines=1000)
    return found


def test_documents_are_cut_into_stretches() -> None:
    found = text_spans([document("a", counted(90)), document("b", counted(3))], max_lines=40)
    assert [(one.source, one.at, len(one.lines)) for one in found] == [
        ("a", 0, 40),
        ("a", 40, 40),
        ("a", 80, 10),
        ("b", 0, 3),
    ]


def test_clips_follow_each_other_and_none_is_too_long() -> None:
    stretch = one_stretch(counted(90))
    first, lengths = 0, []
    said: list[str] = []
    while first < len(stretch.lines):
        clip = speak(stretch, first, Troupe(), "0")
        assert clip.after - first == len(clip.lines)
        lengths.append(len(clip.samples) / RATE)
        said += [line.text for line in clip.lines]
        first = clip.after
    assert said == [line.text for line in stretch.lines]
    assert max(lengths) <= 29.5
    # Most are about as long as can be: a line more would be too much.
    assert np.mean([length > 25 for length in lengths]) > 0.5


def test_the_same_seed_gives_the_same_clip() -> None:
    stretch = one_stretch(counted(20))
    first, again, other = (speak(stretch, 0, Troupe(), seed) for seed in ("1", "1", "2"))
    assert np.array_equal(first.samples, again.samples)
    assert (first.lines, first.ends, first.distortion) == (
        again.lines,
        again.ends,
        again.distortion,
    )
    assert not np.array_equal(first.samples[:1000], other.samples[:1000])


def test_each_speaker_has_a_voice() -> None:
    troupe = Troupe()
    clip = speak(one_stretch(counted(6, words=5), "AB"), 0, troupe, "0")
    assert len(clip.lines) >= 4
    first, second = troupe.voices
    assert clip.voices == (first.name, second.name)
    assert all(int(one[1]) % 2 == 0 for one in first.said)
    assert all(int(one[1]) % 2 == 1 for one in second.said)


def test_what_cannot_be_said_is_skipped_and_counted() -> None:
    sentences = counted(4, words=4)
    sentences[1] = "This is unspeakable."
    sentences[2] = "word " * 90
    first = speak(one_stretch(sentences), 0, Troupe(), "0")
    assert [line.text for line in first.lines] == [sentences[0]]
    assert (first.after, first.skipped) == (2, 1)
    # What is longer than any clip is not the next one's beginning either.
    second = speak(one_stretch(sentences), 2, Troupe(), "0")
    assert [line.text for line in second.lines] == [sentences[3]]
    assert (second.after, second.skipped) == (4, 1)


def test_voices_that_always_fail_are_given_up() -> None:
    with pytest.raises(EnvironmentLacks, match=r"hum:\d+ fails.*it broke.*--voices"):
        speak(one_stretch(["An unspeakable thing."] * 12), 0, Troupe(), "0")


def test_the_beginning_of_a_clip_ends_with_its_line() -> None:
    stretch = one_stretch(counted(3, words=5))
    # A clip whose loudness alone was changed.
    clip = next(
        one
        for one in (speak(stretch, 0, Troupe(), str(seed)) for seed in range(100))
        if len(one.lines) == 3
        and not (one.distortion.reverb or one.distortion.band or one.distortion.noise)
    )
    part = np.abs(clip.until(1))
    assert len(part) / RATE == pytest.approx(clip.ends[0] + 0.05, abs=0.001)
    assert part[: int(clip.ends[0] * RATE)][-int(RATE * 0.5) :].max() > 0.01
    assert part[int(clip.ends[0] * RATE) :].max() < 0.001


def test_sentences_are_trimmed_and_equally_loud() -> None:
    speech = np.zeros(RATE * 3, np.float32)
    speech[RATE : 2 * RATE] = 0.3 * np.sin(np.arange(RATE) / 5)
    found = levelled(speech)
    assert 1.0 <= len(found) / RATE <= 1.1
    assert np.sqrt(np.mean(found**2)) == pytest.approx(0.08, rel=1e-3)
    assert len(levelled(np.zeros(100, np.float32))) == 0
    assert len(levelled(np.zeros(0, np.float32))) == 0


RECIPE = {"seed": 0, "voices": ["hum"]}


def order(hours: float | None = None, share: float = 0.2, seed: int = 0) -> Order:
    texts = [document(f"d{at}", counted(20, name=f"d{at}s")) for at in range(4)]
    return Order(text_spans(texts[:3]), text_spans(texts[3:]), share, hours, seed)


def make(
    folder: Path, wanted: Order, troupe: Troupe | None = None, **more: Any
) -> list[JournalEntry]:
    with open_folder(folder, RECIPE, fresh=False) as opened:
        return opened.make(wanted, troupe or Troupe(), **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_each_text_is_spoken_once_without_a_goal(tmp_path: Path) -> None:
    wanted = order()
    made = make(tmp_path, wanted)
    said = sorted(line for one in made for line in one.lines)
    all_lines = [line.text for one in [*wanted.train, *wanted.dev] for line in one.lines]
    assert said == sorted(all_lines)
    assert {one.source for one in made if one.held} == {"d3"}
    for one in made:
        assert one.audio is not None
        with wave.open(str(tmp_path / one.audio)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
            assert file.getnframes() / RATE == pytest.approx(one.seconds, abs=0.001)
        assert one.seconds <= 29.5
        if one.part:
            audio, count = one.part
            assert 0 < count < len(one.lines)
            with wave.open(str(tmp_path / audio)) as file:
                assert file.getnframes() / RATE < one.seconds
    assert any(one.part for one in made)


def test_hours_are_a_goal_and_what_is_held_out_keeps_its_share(tmp_path: Path) -> None:
    made = make(tmp_path, order(hours=0.15))
    seconds = [one.seconds for one in made]
    assert 0.15 * 3600 <= sum(seconds) < 0.15 * 3600 + 29.5
    assert max(one.round for one in made) >= 1
    held = sum(one.seconds for one in made if one.held)
    assert held == pytest.approx(0.2 * sum(seconds), abs=30)


class Stop(Exception):
    pass


def test_an_interrupted_run_ends_with_the_same_files(tmp_path: Path) -> None:
    make(tmp_path / "whole", order(hours=0.06))

    def stop(made: JournalEntry) -> None:
        if made.audio == "clips/000004.wav":
            raise Stop

    with pytest.raises(Stop):
        make(tmp_path / "cut", order(hours=0.06), report=stop)
    # As a crash leaves it: a line, and a recording, that are not finished.
    with (tmp_path / "cut" / JOURNAL).open("ab") as journal:
        journal.write(b'{"round": 0, "source')
    (tmp_path / "cut/clips/000005.part").write_bytes(b"RIFF")
    kept = (tmp_path / "cut/clips/000002.wav").stat()
    new: list[JournalEntry] = []
    make(tmp_path / "cut", order(hours=0.06), report=new.append)
    assert new[0].audio == "clips/000005.wav"
    assert (tmp_path / "cut/clips/000002.wav").stat().st_mtime_ns == kept.st_mtime_ns
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_what_is_there_is_not_made_again_and_more_hours_go_on(tmp_path: Path) -> None:
    first = make(tmp_path, order(hours=0.06))
    idle = Troupe()
    assert make(tmp_path, order(hours=0.06), idle) == first
    assert idle.said == 0
    assert make(tmp_path, order(hours=0.08))[: len(first)] == first
    make(tmp_path / "at once", order(hours=0.08))
    assert (tmp_path / JOURNAL).read_bytes() == (tmp_path / "at once" / JOURNAL).read_bytes()


def test_another_seed_gives_other_clips(tmp_path: Path) -> None:
    found = [make(tmp_path / str(seed), order(hours=0.01, seed=seed)) for seed in (0, 1)]
    assert found[0][0] != found[1][0]


def test_a_folder_of_other_clips_is_refused_unless_fresh(tmp_path: Path) -> None:
    make(tmp_path, order(hours=0.01))
    (tmp_path / "clips/mine.wav").write_bytes(b"kept")
    other = {**RECIPE, "seed": 1}
    with (
        pytest.raises(UsageError, match="other texts, voices, --seed"),
        open_folder(tmp_path, other, fresh=False),
    ):
        pass
    with open_folder(tmp_path, other, fresh=True) as folder:
        assert folder.entries == []
        assert [one.name for one in (tmp_path / "clips").iterdir()] == ["mine.wav"]
    assert json.loads((tmp_path / "data.json").read_text())["recipe"] == other


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with (
        open_folder(tmp_path, RECIPE, fresh=False),
        pytest.raises(UsageError, match="at work on"),
        open_folder(tmp_path, RECIPE, fresh=False),
    ):
        pass


def test_a_damaged_journal_names_its_line(tmp_path: Path) -> None:
    make(tmp_path, order(hours=0.01))
    journal = tmp_path / JOURNAL
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0], "{}", *lines[2:]]) + "\n")
    with pytest.raises(UsageError, match="line 2, is damaged; --fresh"):
        make(tmp_path, order(hours=0.01))
    journal.write_text("\n".join([lines[1], *lines[2:]]) + "\n")
    with pytest.raises(UsageError, match="do not fit these texts; --fresh"):
        make(tmp_path, order(hours=0.01))


def test_texts_that_nobody_can_say_end_with_an_error(tmp_path: Path) -> None:
    texts = text_spans([document("a", ["An unspeakable thing."] * 3)])
    for hours in (None, 1.0):
        with pytest.raises(EnvironmentLacks, match="No voice could say"):
            make(tmp_path / str(hours), Order(texts, [], 0.0, hours, 0))
