"""What was heard and read before is found again, and only when it is the same."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from media_files import Site, as_file, tone, write_wav
from test_many import WHAT, without_seconds
from tiny_model import SAID, Ear, Played, TinyModel, command, play

from fls_cli.session import engine as engines
from fls_cli.session import job as jobs
from fls_cli.session.hearing.listening import KIND, Listening, is_known, listen
from fls_cli.session.request import AudioRange, ListenRequest
from fls_cli.session.session import Session
from fls_models.audio.prefetch import ReadAhead
from fls_models.core.cache import CacheKey
from fls_models.core.progress import ignore
from fls_models.core.results import Sentence, Word
from fls_models.core.stopwatch import Stopwatch
from fls_models.lslm.mini.language_model import MiniLanguageModel

Capture = pytest.CaptureFixture[str]


@dataclass
class Runs:
    """Runs `fls` with a model of its own each time and one cache in `folder` for all.

    `ear` counts how often a recording was listened to, `read` is what language models read.
    """

    folder: Path
    capfd: Capture
    ear: Ear = field(default_factory=Ear)
    read: list[object] = field(default_factory=list)

    def __call__(self, *arguments: str) -> Played:
        self.ear.asked.clear()
        self.read.clear()
        return play(self.capfd, *arguments)

    @property
    def spent(self) -> tuple[int, int]:
        """How many recordings the last run listened to, and how many contexts it read."""
        return len(self.ear.asked), len(self.read)

    def entries(self, kind: str) -> list[Path]:
        return sorted((self.folder / "recordings" / kind).glob("*.fls"))


@pytest.fixture
def runs(
    tiny: TinyModel,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> Runs:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLS_KEEP", "1")
    runs = Runs(tmp_path / "cache", capfd)

    def model(session: Session, name: str) -> object:
        if session._model is None:
            session._model = TinyModel(tiny_weights, runs.ear, session.memory)  # type: ignore[assignment]
        return session._model

    read = MiniLanguageModel.read

    def counting(self: MiniLanguageModel, *given: object, **how: object) -> object:
        runs.read.append(given)
        return read(self, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "model", model)
    monkeypatch.setattr(MiniLanguageModel, "read", counting)
    return runs


def test_the_second_question_hears_and_reads_nothing(runs: Runs, talk: Path) -> None:
    first = runs("ask", str(talk), WHAT, "-b", "accurate")
    heard, read = runs.spent
    assert heard == 1
    assert read > 0
    assert runs("ask", str(talk), WHAT, "-b", "accurate").out == first.out
    assert runs.spent == (0, 0)
    other = runs("ask", str(talk), "Who counted them?", "-b", "accurate")
    assert runs.spent == (0, 0)
    assert runs("ask", str(talk), "Who counted them?", "-b", "accurate", "--no-cache").out == (
        other.out
    )
    assert runs.spent == (heard, read)


def test_all_commands_hear_it_once(runs: Runs, talk: Path) -> None:
    alone = []
    commands = (
        ["transcribe", "-f", "json", "--words"],
        ["transcribe"],
        ["summarize", "--json"],
        ["ask", "-q", WHAT, "--json"],
    )
    for given in commands:
        alone.append(runs(*given, str(talk), "--no-cache").out)
        assert runs.spent[0] == 1
    assert not runs.folder.exists()
    for turn, given in enumerate(commands):
        found = runs(*given, str(talk)).out
        assert runs.spent[0] == (turn == 0)
        assert without_seconds(found) == without_seconds(alone[turn])


def test_another_process_hears_nothing(talk: Path, tmp_path: Path) -> None:
    own = {**os.environ, "FLS_KEEP": "1", "FLS_CACHE": str(tmp_path / "cache")}
    told = [
        subprocess.run(command("transcribe", str(talk)), env=own, capture_output=True, check=True)
        for _ in range(2)
    ]
    assert [one.stderr for one in told] == [b"listening\n", b""]
    assert told[0].stdout == told[1].stdout != b""


@pytest.mark.parametrize(
    "other",
    [
        ["-b", "accurate"],
        ["-b", "fast"],
        ["--language", "de"],
        ["--start", "1"],
        ["--end", "2"],
        ["--track", "0"],
        ["--channels", "left"],
        ["--raw", "s16le:16000:1"],
    ],
    ids=" ".join,
)
def test_what_is_heard_otherwise_is_heard_anew(runs: Runs, talk: Path, other: list[str]) -> None:
    for options, heard in (([], 1), (other, 1), ([], 0), (other, 0)):
        runs("transcribe", str(talk), *options)
        assert runs.spent[0] == heard


def test_what_a_suffix_says_is_noted_whatever_was_heard_before(runs: Runs, tmp_path: Path) -> None:
    samples = (tone(440, 3.0, 8000) * 32767).astype("<i2").tobytes()
    told, guess = tmp_path / "call.raw", tmp_path / "call.sln"
    for path in (told, guess):
        path.write_bytes(samples)
    note = f"fls: {guess}: it has no header and is read as s16le:8000:1, by its suffix"
    for _ in range(2):
        assert "suffix" not in runs("transcribe", str(told), "--raw", "s16le:8000:1").err
        assert note in runs("transcribe", str(guess)).err
        assert "suffix" not in runs("transcribe", str(guess), "--raw", "s16le:8000:1").err
    assert runs.spent[0] == 0


def test_another_ear_hears_anew(runs: Runs, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs("transcribe", str(talk))
    monkeypatch.setattr(TinyModel, "encoder_fingerprint", "another")
    runs("transcribe", str(talk))
    assert runs.spent[0] == 1


def test_a_recording_is_known_by_its_bytes(runs: Runs, talk: Path, tmp_path: Path) -> None:
    first = runs("transcribe", str(talk))
    copy = shutil.copy(talk, tmp_path / "copy")
    assert runs("transcribe", str(copy)).out == first.out
    assert runs.spent[0] == 0
    write_wav(talk, tone(700, 4))
    runs("transcribe", str(talk))
    assert runs.spent[0] == 1


def test_silence_is_remembered_too(runs: Runs, hush: Path) -> None:
    told = [runs("transcribe", str(hush), "-f", "json").out for _ in range(2)]
    assert runs.spent[0] == 0
    assert told[0] == told[1]
    assert json.loads(told[0])["language"] is None


def test_what_lies_at_an_address_is_known_by_its_bytes(runs: Runs, talk: Path, site: Site) -> None:
    shutil.copy(talk, site.folder / "talk.wav")
    for heard in (1, 0):
        assert runs("transcribe", f"{site.address}/talk.wav").lines == list(SAID)
        assert runs.spent[0] == heard
    # Whether they have changed is not known before they are fetched.
    assert site.asked == ["/talk.wav"] * 2
    write_wav(site.folder / "talk.wav", tone(700, 4))
    runs("transcribe", f"{site.address}/talk.wav")
    assert runs.spent[0] == 1


def test_a_warning_is_said_again_with_the_name_of_now(runs: Runs, talk: Path) -> None:
    talk.write_bytes(talk.read_bytes()[:-64_000])
    told = runs("transcribe", str(talk)).err
    assert told.startswith(f"fls: {talk}: this recording is cut off: 2.0 s of 4.0 s")
    assert runs("transcribe", str(talk)).err == told
    assert runs.spent[0] == 0
    moved = talk.rename(talk.with_name("moved.wav"))
    assert runs("transcribe", str(moved)).err == told.replace("talk.wav", "moved.wav")
    assert runs("transcribe", str(moved), "--quiet").err == ""
    assert runs.spent[0] == 0


def test_no_cache_neither_finds_nor_keeps(runs: Runs, talk: Path, hush: Path) -> None:
    runs("ask", str(talk), WHAT, "--no-cache")
    assert not runs.folder.exists()
    runs("ask", str(talk), WHAT)
    spent = runs.spent
    kept = runs.entries(KIND) + runs.entries("states")
    stamps = [path.stat().st_mtime_ns for path in kept]
    runs("ask", str(talk), str(hush), WHAT, "--no-cache")
    assert runs.spent == (spent[0] + 1, spent[1])
    assert runs.entries(KIND) + runs.entries("states") == kept
    assert [path.stat().st_mtime_ns for path in kept] == stamps


@pytest.mark.parametrize("kind", [KIND, "states"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[: len(content) // 2],
        lambda content: b"",
    ],
    ids=["a bit", "half", "all"],
)
def test_a_damaged_entry_is_made_anew(
    runs: Runs, talk: Path, kind: str, damage: Callable[[bytes], bytes]
) -> None:
    first = runs("ask", str(talk), WHAT)
    heard, read = runs.spent
    for entry in runs.entries(kind):
        entry.write_bytes(damage(entry.read_bytes()))
    for anew in (True, False):
        assert runs("ask", str(talk), WHAT).out == first.out
        expected = (heard, 0) if kind == KIND else (0, read)
        assert runs.spent == (expected if anew else (0, 0))


def test_what_was_forgotten_after_a_look_ahead_is_decoded(
    runs: Runs, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_wav(tmp_path / "other.wav", tone(700, 4))
    monkeypatch.setattr(jobs, "is_known", lambda *_: True)
    assert runs("transcribe", str(talk), str(other)).lines == [
        *(f"==> {talk} <==", *SAID),
        *(f"==> {other} <==", *SAID),
    ]


def test_what_is_known_is_not_decoded_ahead(
    runs: Runs, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_wav(tmp_path / "other.wav", tone(700, 4))
    runs("transcribe", str(other))
    # Otherwise one block is decoded before they are fetched.
    monkeypatch.setattr(engines, "is_here", lambda engine: True)

    def decode(wanted: ListenRequest, warn: object) -> object:
        raise AssertionError(wanted)

    monkeypatch.setattr(ListenRequest, "decode", decode)
    assert runs("transcribe", str(other), str(other.parent / "./other.wav")).code == 0
    monkeypatch.undo()


def test_the_next_recordings_are_decoded_while_the_first_is_heard(
    runs: Runs, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [write_wav(tmp_path / f"{i}.wav", tone(600 + i, 4)) for i in range(3)]
    notes = tmp_path / "notes"
    # One that is finished takes nobody's place.
    runs("transcribe", str(others[0]), "-o", f"{notes}/", "--no-cache")
    begun: list[str] = []
    seen: list[list[str]] = []
    prepare = jobs.Job.prepare

    def watch(job: jobs.Job) -> None:
        begun.append(job.source.path.name if job.source.path else "")
        prepare(job)

    monkeypatch.setattr(jobs.Job, "prepare", watch)
    runs.ear.begins = lambda: seen.append(list(dict.fromkeys(begun)))
    sources = [str(talk), *map(str, others)]
    runs("transcribe", *sources, "-o", f"{notes}/", "--jobs", "1", "--no-cache")
    assert seen == [["1.wav"], ["1.wav", "2.wav"], ["1.wav", "2.wav"]]
    begun.clear()
    seen.clear()
    runs("transcribe", *sources, "-o", f"{notes}/", "--force", "--jobs", "2", "--no-cache")
    assert seen[0] == ["0.wav", "1.wav"]


# --- listening ---


class Shelf(dict[str, bytes]):
    """A memory in memory."""

    def get(self, kind: str, parts: CacheKey) -> bytes | None:  # type: ignore[override]
        return super().get(kind + json.dumps(parts, sort_keys=True))

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        self[kind + json.dumps(parts, sort_keys=True)] = content


def wanted(path: Path) -> ListenRequest:
    return ListenRequest(as_file(path), AudioRange(None, 0.0, None, None), "balanced")


def test_only_what_was_heard_to_the_end_is_kept(tiny: TinyModel, talk: Path) -> None:
    shelf = Shelf()

    def listening() -> object:
        return listen(tiny, wanted(talk), memory=shelf, warn=print, progress=ignore)  # type: ignore[arg-type]

    early = iter(listening())  # type: ignore[call-overload]
    next(early)
    early.close()
    assert not shelf
    assert not is_known(tiny, wanted(talk), shelf)  # type: ignore[arg-type]
    whole = listening().transcript()  # type: ignore[attr-defined]
    assert len(shelf) == 1
    assert is_known(tiny, wanted(talk), shelf)  # type: ignore[arg-type]
    assert listening().transcript() == whole  # type: ignore[attr-defined]
    assert len(tiny.transcriber.asked) == 2


def test_a_recording_that_grows_while_it_is_heard_is_not_kept(tiny: TinyModel, talk: Path) -> None:
    def grow() -> None:
        with talk.open("ab") as file:
            file.write(b"\0" * 32_000)

    shelf = Shelf()
    tiny.transcriber.begins = grow
    listen(tiny, wanted(talk), memory=shelf, warn=print, progress=ignore).transcript()  # type: ignore[arg-type]
    assert not shelf


def test_who_stops_listening_ends_the_decoding() -> None:
    at_work = Event()

    def decode() -> Generator[np.ndarray, None, None]:
        for _ in range(100):
            yield np.zeros(16_000, np.float32)
            at_work.set()
            time.sleep(0.1)

    blocks = decode()

    def sentences() -> Iterator[Sentence]:
        with closing(ReadAhead(blocks, 1)) as chunks:
            for _ in chunks.items():
                yield Sentence((Word(0.0, 1.0, " Yes.", 1.0),))

    heard = iter(Listening(sentences(), Stopwatch(), lambda: ("en", 1.0), blocks))
    next(heard)
    # The thread is at the next block when nobody wants it any more.
    assert at_work.wait(10)
    heard.close()
    assert inspect.getgeneratorstate(blocks) == inspect.GEN_CLOSED
