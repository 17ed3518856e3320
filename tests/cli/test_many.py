"""Many recordings at once: results in a folder, what is done again, and what one failure costs."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from media_files import tone, write_wav
from test_progress import Terminal, screens
from tiny_model import FOREIGN, SAID, Played, TinyModel, play

from fls_cli.console.progress import Bars
from fls_cli.session import job as jobs
from fls_cli.session import session as desk_module
from fls_cli.session.hearing.read_ahead import Ahead
from fls_cli.session.session import Session
from fls_models.core.results import NONE_SAYS, NOT_SAID

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks

Capture = pytest.CaptureFixture[str]

WHO = f"Who is the {FOREIGN}?"
WHAT = "What stands along the streets?"
# Each command, the suffix of its results, what to write.
FORMS = [
    (["transcribe"], ".txt"),
    (["transcribe", "-f", "srt"], ".srt"),
    (["transcribe", "-f", "vtt", "--words"], ".vtt"),
    (["transcribe", "-f", "json"], ".json"),
    (["summarize"], ".md"),
    (["summarize", "--json"], ".summary.json"),
    (["ask", "-q", WHO], ".answers.txt"),
    (["ask", "-q", WHAT, "--json"], ".answers.jsonl"),
]
each_form = pytest.mark.parametrize(
    ("given", "suffix"), FORMS, ids=[" ".join(given) for given, _ in FORMS]
)


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Three talks in a tree; the suffix of one says nothing, and notes lie beside them."""
    folder = tmp_path / "talks"
    (folder / "monday").mkdir(parents=True)
    write_wav(folder / "monday" / "first.wav", tone(300, 4))
    write_wav(folder / "monday" / "second.wav", tone(400, 4))
    write_wav(folder / "memo.wav", tone(500, 4)).rename(folder / "memo.1")
    (folder / "monday" / "notes.md").write_text("Ask about trees.\n")
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def results(folder: Path) -> dict[str, str]:
    """What lies in a folder of results, by name; nothing else may be hidden there but `.fls`."""
    found = {
        path.relative_to(folder): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] != ".fls"
    }
    assert not [path for path in found if path.name.startswith(".")]
    return {str(path): text for path, text in sorted(found.items())}


def heard(tiny: TinyModel) -> int:
    """How many recordings were listened to since this was asked last."""
    count = len(tiny.transcriber.asked)
    tiny.transcriber.asked.clear()
    return count


def without_seconds(text: str) -> str:
    """JSON lines whose usage does not say how long it took; other text as it is."""
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError:
        return text
    for told in lines:
        told.get("usage", {}).pop("seconds", None)
    return json.dumps(lines)


# --- where results go ---


@each_form
def test_results_mirror_the_folder(
    tiny: TinyModel, talks: Path, notes: Path, given: list[str], suffix: str, capfd: Capture
) -> None:
    played = play(capfd, *given, str(talks), "-o", f"{notes}/")
    assert (played.code, played.err) == (0, "")
    if given[0] != "ask":
        assert played.out == ""
    names = [f"memo.1{suffix}", f"monday/first{suffix}", f"monday/second{suffix}"]
    found = results(notes)
    assert list(found) == names
    # Each is what the command says of that recording alone.
    for name, source in zip(
        names, ("memo.1", "monday/first.wav", "monday/second.wav"), strict=True
    ):
        alone = play(capfd, *given, str(talks / source)).out
        assert without_seconds(found[name]) == without_seconds(alone)


def test_a_folder_needs_no_slash_where_several_may_be_named(
    tiny: TinyModel, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    first, second = str(talks / "monday/first.wav"), str(talks / "monday/second.wav")
    monkeypatch.chdir(tmp_path)
    for place, sources in {
        "a": [str(talks)],
        "b": [first, second],
        "c": [str(talks / "monday" / "f*")],
    }.items():
        assert play(capfd, "transcribe", *sources, "-o", place).code == 0
        assert "first.txt" in {Path(name).name for name in results(tmp_path / place)}
    # One recording is one file, and so are several where a file is named.
    assert play(capfd, "transcribe", first, "-o", "d").code == 0
    assert (tmp_path / "d").read_text().splitlines() == list(SAID)
    assert play(capfd, "transcribe", first, second, "-o", "all.txt").code == 0
    told = (tmp_path / "all.txt").read_text().splitlines()
    assert [line for line in told if line.startswith("==>")] == [
        f"==> {first} <==",
        f"==> {second} <==",
    ]
    # What is a file already stays one; what is a folder already gets files.
    assert play(capfd, "transcribe", first, second, "-o", "d").code == 0
    assert (tmp_path / "d").read_text().splitlines() == told
    assert play(capfd, "transcribe", first, "-o", "b").err == ("fls: 1 of 1 were finished before\n")


def test_what_lacks_sound_is_finished_but_no_success(
    tiny: TinyModel, talks: Path, notes: Path, capfd: Capture
) -> None:
    whole = (talks / "monday" / "second.wav").read_bytes()
    (talks / "monday" / "second.wav").write_bytes(whole[: len(whole) // 2])
    played = play(capfd, "transcribe", str(talks), "-o", str(notes))
    assert played.code == 1
    assert "second.wav: this recording is cut off: 2.0 s of 4.0 s could be read" in played.err
    again = play(capfd, "transcribe", str(talks), "-o", str(notes))
    assert again.code == 1
    assert f"fls: {talks}/monday/second.wav: finished before, of what could be read" in again.err
    assert "fls: 3 of 3 were finished before\n" in again.err
    assert play(capfd, "transcribe", str(talks), "-o", str(notes), "--quiet").code == 1
    # The recording is there whole now.
    (talks / "monday" / "second.wav").write_bytes(whole)
    assert play(capfd, "transcribe", str(talks), "-o", str(notes)).code == 0


def test_a_list_of_sources(
    tiny: TinyModel, talks: Path, notes: Path, tmp_path: Path, capfd: Capture
) -> None:
    listed = tmp_path / "list"
    listed.write_text(f"{talks}/memo.1\n{talks}/monday\n")
    played = play(capfd, "transcribe", "--from-file", str(listed), "-o", str(notes))
    assert (played.code, played.err) == (0, "")
    assert list(results(notes)) == ["first.txt", "memo.1.txt", "second.txt"]


@pytest.mark.parametrize("command", ["transcribe", "summarize"])
def test_no_source_is_wrong_usage(tiny: TinyModel, command: str, capfd: Capture) -> None:
    played = play(capfd, command, "--json" if command == "summarize" else "--words")
    assert (played.code, played.out) == (2, "")
    assert "No recording is named" in played.err


def test_a_folder_that_cannot_be_written_to_is_wrong_usage(
    tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture
) -> None:
    (tmp_path / "file").write_text("a file")
    for place in ("file/", "file/below/"):
        played = play(capfd, "transcribe", str(talks), "-o", str(tmp_path / place) + "/")
        assert (played.code, played.out, heard(tiny)) == (2, "", 0)
        assert "cannot be written to" in played.err


# --- what is done again ---


@each_form
def test_what_is_finished_loads_no_model(
    tiny: TinyModel,
    talks: Path,
    notes: Path,
    given: list[str],
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    # Over all recordings nothing is to be said by the model.
    given = [WHO if text == WHAT else text for text in given]
    first = play(capfd, *given, str(talks), "-o", f"{notes}/")
    before = results(notes)
    stamps = {name: (notes / name).stat().st_mtime_ns for name in before}
    monkeypatch.setattr(Session, "model", None)
    again = play(capfd, *given, f"{talks}/", "-o", str(notes))
    assert (again.code, again.out) == (0, first.out)
    assert again.err == "fls: 3 of 3 were finished before\n"
    assert {name: (notes / name).stat().st_mtime_ns for name in results(notes)} == stamps
    assert play(capfd, *given, str(talks), "-o", str(notes), "--quiet").err == ""


@pytest.mark.parametrize(
    ("given", "other"),
    [
        (["transcribe"], ["-b", "fast"]),
        (["transcribe"], ["--language", "de"]),
        (["transcribe"], ["--start", "1"]),
        (["transcribe"], ["--words"]),
        (["transcribe"], ["-m", "small"]),
        (["summarize"], ["--style", "bullets"]),
        (["summarize"], ["--max-tokens", "7"]),
        (["summarize"], ["--target-length", "30"]),
        (["ask", "-q", WHO], ["-q", WHAT]),
        (["ask", "-q", WHO], ["--seed", "1", "--temperature", "1"]),
    ],
    ids=lambda given: " ".join(given),
)
def test_another_request_is_done_anew(
    tiny: TinyModel, talks: Path, notes: Path, given: list[str], other: list[str], capfd: Capture
) -> None:
    for options, count in (([], 3), ([], 0), (other, 3), ([], 3)):
        played = play(capfd, *given, *options, str(talks), "-o", f"{notes}/")
        assert (played.code, heard(tiny)) == (0, count)


def test_what_is_finished_is_done_again_by_force(
    tiny: TinyModel, talks: Path, notes: Path, capfd: Capture
) -> None:
    for options, count in (([], 3), (["--force"], 3), ([], 0)):
        played = play(capfd, "transcribe", *options, str(talks), "-o", f"{notes}/")
        assert (played.code, heard(tiny)) == (0, count)


def test_a_question_of_another_form_has_a_file_of_its_own(
    tiny: TinyModel, talks: Path, notes: Path, capfd: Capture
) -> None:
    for given in (["transcribe"], ["transcribe", "-f", "srt"], ["ask", "-q", WHO]):
        play(capfd, *given, str(talks), "-o", f"{notes}/")
    assert (heard(tiny), len(results(notes))) == (9, 9)
    for given in (["transcribe"], ["transcribe", "-f", "srt"], ["ask", "-q", WHO]):
        play(capfd, *given, str(talks), "-o", f"{notes}/")
    assert heard(tiny) == 0


def test_only_what_changed_is_done_anew(
    tiny: TinyModel, talks: Path, notes: Path, capfd: Capture
) -> None:
    def again() -> Played:
        return play(capfd, "transcribe", str(talks), "-o", f"{notes}/")

    again()
    assert heard(tiny) == 3
    for path in talks.rglob("*.wav"):
        os.utime(path, (1, 1))
    assert again().err == "fls: 3 of 3 were finished before\n"
    first = talks / "monday" / "first.wav"
    size, changed = first.stat().st_size, first.stat().st_mtime_ns
    write_wav(first, tone(700, 4))
    # As large as before, and another recording all the same.
    assert (first.stat().st_size, first.stat().st_mtime_ns == changed) == (size, False)
    heard(tiny)
    assert again().err == "fls: 2 of 3 were finished before\n"
    assert heard(tiny) == 1
    (notes / "memo.1.txt").unlink()
    assert again().err == "fls: 2 of 3 were finished before\n"
    assert (heard(tiny), len(results(notes))) == (1, 3)
    write_wav(talks / "third.wav", tone(800, 4))
    assert again().err == "fls: 3 of 4 were finished before\n"
    assert heard(tiny) == 1


def test_the_folder_may_be_named_otherwise(
    tiny: TinyModel,
    talks: Path,
    notes: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    play(capfd, "transcribe", str(talks), "-o", f"{notes}/")
    heard(tiny)
    monkeypatch.chdir(talks.parent)
    for name in ("talks", "./talks/", "talks/../talks"):
        played = play(capfd, "transcribe", name, "-o", "notes")
        assert (played.code, heard(tiny)) == (0, 0)


def test_what_is_piped_in_is_known_by_its_bytes(
    tiny: TinyModel, talk: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    def pipe(content: bytes) -> int:
        (notes.parent / "piped").write_bytes(content)
        with (notes.parent / "piped").open() as file:
            monkeypatch.setattr("sys.stdin", file)
            assert play(capfd, "transcribe", "-", "-o", f"{notes}/").code == 0
        return heard(tiny)

    assert pipe(talk.read_bytes()) == 1
    assert pipe(talk.read_bytes()) == 0
    assert pipe(write_wav(talk, tone(700, 4)).read_bytes()) == 1
    assert list(results(notes)) == ["stdin.txt"]


# --- what is in the way ---


def test_a_file_that_is_no_result_stays(
    tiny: TinyModel, talks: Path, notes: Path, capfd: Capture
) -> None:
    (notes / "monday").mkdir(parents=True)
    (notes / "monday" / "first.txt").write_text("my own")
    for _ in range(2):
        played = play(capfd, "transcribe", str(talks), "-o", f"{notes}/")
        assert played.code == 1
        assert (notes / "monday" / "first.txt").read_text() == "my own"
    place = f"{notes}/monday/first.txt"
    reason = f"{place} is there already and fls did not write it"
    assert played.err.startswith(f"fls: {reason}; move it away, or write over it with --force.\n")
    assert played.err.count(reason) == 2
    assert "fls: 1 of 3 failed:" in played.err
    assert heard(tiny) == 2
    forced = play(capfd, "transcribe", str(talks), "-o", f"{notes}/", "--force")
    assert (forced.code, forced.err, heard(tiny)) == (0, "", 3)
    assert results(notes)["monday/first.txt"].splitlines() == list(SAID)


def test_the_result_of_another_recording_stays(
    tiny: TinyModel, talks: Path, notes: Path, tmp_path: Path, capfd: Capture
) -> None:
    other = tmp_path / "other"
    (other / "monday").mkdir(parents=True)
    write_wav(other / "monday" / "first.wav", tone(900, 4))
    assert play(capfd, "transcribe", str(talks), "-o", f"{notes}/").code == 0
    heard(tiny)
    played = play(capfd, "transcribe", str(other), "-o", f"{notes}/")
    assert (played.code, heard(tiny)) == (1, 0)
    assert "first.txt is the result for another recording; choose another folder" in played.err
    assert play(capfd, "transcribe", str(other), "-o", f"{notes}/", "--force").code == 0
    # The same recording in another place is no other one.
    talks.rename(tmp_path / "moved")
    moved = play(capfd, "summarize", str(tmp_path / "moved"), "-o", f"{notes}/")
    assert moved.code == 0
    (tmp_path / "moved").rename(talks)
    assert play(capfd, "summarize", str(talks), "-o", f"{notes}/", "-b", "fast").code == 0


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_folder_in_the_place_of_a_result_and_the_other_way_round(
    tiny: TinyModel, talks: Path, notes: Path, force: list[str], capfd: Capture
) -> None:
    (notes / "memo.1.txt").mkdir(parents=True)
    (notes / "monday").write_text("no folder")
    write_wav(talks / "tuesday.wav", tone(600, 4))
    played = play(capfd, "transcribe", str(talks), "-o", f"{notes}/", *force)
    assert played.code == 1
    assert "memo.1.txt is a folder where the result would go" in played.err
    assert "first.txt cannot be written: " in played.err
    assert "fls: 3 of 4 failed:" in played.err
    assert heard(tiny) == 1
    assert results(notes)["monday"] == "no folder"
    assert results(notes)["tuesday.txt"].splitlines() == list(SAID)


@pytest.mark.parametrize("damage", [b'{"output": "fi', b"\xff\xfe\0", b"[1, 2]", b"{}", b"\n"])
def test_a_damaged_ledger_costs_the_work_and_no_more(
    tiny: TinyModel, talks: Path, notes: Path, damage: bytes, capfd: Capture
) -> None:
    play(capfd, "transcribe", str(talks), "-o", f"{notes}/")
    before = results(notes)
    heard(tiny)
    for entry in (notes / ".fls").iterdir():
        entry.write_bytes(damage)
    played = play(capfd, "transcribe", str(talks), "-o", f"{notes}/")
    assert (played.code, played.err, heard(tiny)) == (0, "", 3)
    assert results(notes) == before
    assert play(capfd, "transcribe", str(talks), "-o", f"{notes}/").code == 0
    assert heard(tiny) == 0


def test_passwords_do_not_go_to_the_ledger(
    tiny: TinyModel, talk: Path, notes: Path, capfd: Capture
) -> None:
    address = "http://ada:s3cret@127.0.0.1:9/talk.wav?token=t0ken"
    assert play(capfd, "transcribe", address, "-o", f"{notes}/").code == 1
    play(capfd, "transcribe", str(talk), "-o", f"{notes}/")
    kept = b"".join(path.read_bytes() for path in (notes / ".fls").iterdir())
    assert kept
    assert b"s3cret" not in kept
    assert b"t0ken" not in kept


def test_results_may_lie_among_the_recordings(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    for given in (["transcribe", "-f", "srt"], ["summarize", "--json"], ["ask", "-q", WHO]):
        assert play(capfd, *given, str(talks), "-o", f"{talks}/").code == 0
        heard(tiny)
        played = play(capfd, *given, str(talks), "-o", f"{talks}/")
        assert (played.code, heard(tiny)) == (0, 0)
        assert "3 of 3" in played.err


# --- one failure ---


def test_a_failure_costs_one_result_and_is_tried_again(
    tiny: TinyModel, talks: Path, notes: Path, capfd: Capture
) -> None:
    broken = talks / "broken.mp3"
    broken.write_text("Dear reader,\nthis is a letter.\n")
    alone = play(capfd, "transcribe", str(broken)).err.strip()
    for skipped in (0, 3):
        played = play(capfd, "transcribe", str(talks), "-o", f"{notes}/", "--jobs", "2")
        lines = played.err.splitlines()
        assert (played.code, played.out) == (1, "")
        assert lines[0] == alone
        assert lines[-2:] == ["fls: 1 of 4 failed:", alone.replace("fls: ", "fls:   ")]
        assert (f"fls: {skipped} of 4 were finished before" in lines) == bool(skipped)
        assert len(results(notes)) == 3
    shutil.copy(talks / "memo.1", broken)
    assert play(capfd, "transcribe", str(talks), "-o", f"{notes}/").code == 0
    assert len(results(notes)) == 4


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_what_is_wrong_with_a_file_decoded_ahead_is_said_as_ever(
    tiny: TinyModel, talks: Path, jobs: str, capfd: Capture
) -> None:
    cut = talks / "monday" / "cut.wav"
    cut.write_bytes((talks / "memo.1").read_bytes()[:-64_000])
    alone = play(capfd, "transcribe", str(cut))
    assert alone.code == 1
    assert "2.0 s of 4.0 s could be read" in alone.err
    gone = talks / "monday" / "gone.wav"
    shutil.copy(talks / "memo.1", gone)
    tiny.transcriber.begins = lambda: gone.unlink(missing_ok=True)
    played = play(capfd, "transcribe", str(talks), "--jobs", jobs)
    reason = f"fls: {gone}: there is no such file; check the spelling."
    assert played.code == 1
    assert played.err.splitlines() == [
        alone.err.strip(),
        reason,
        "fls: 1 of 5 failed:",
        reason.replace("fls: ", "fls:   "),
        "fls: 1 of 5 lack sound:",
        alone.err.strip().replace("fls: ", "fls:   "),
    ]
    told = played.out.split("==> ")[1:]
    assert [len(one.splitlines()) - 1 for one in told] == [3, 2, 3, 3]


def test_a_file_that_is_replaced_meanwhile_is_heard_as_it_is_now(
    tiny: TinyModel, talks: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    second = talks / "monday" / "second.wav"
    begun: list[Ahead] = []

    class Watched(Ahead):
        def __init__(self, decode: Callable[[Callable[[str], None]], Blocks]) -> None:
            super().__init__(decode)
            begun.append(self)

    def replace() -> None:
        if not tiny.transcriber.asked:
            for ahead in begun:
                ahead._thread.join(60)
            write_wav(talks / "longer", tone(900, 6)).rename(second)

    monkeypatch.setattr(jobs, "Ahead", Watched)
    tiny.transcriber.begins = replace
    sources = [str(talks / "memo.1"), str(talks / "monday" / "first.wav"), str(second)]
    played = play(capfd, "transcribe", *sources, "-f", "json", "--jobs", "2")
    assert len(begun) == 2
    assert [json.loads(line)["duration"] for line in played.lines] == [4.0, 4.0, 6.0]


def test_json_lines_hold_the_errors_too(
    tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture
) -> None:
    (talks / "monday" / "broken.mp3").write_text("Dear reader,\nthis is a letter.\n")
    for given in (
        ["transcribe", "-f", "json"],
        ["summarize", "--json"],
        ["ask", "-q", WHO, "--json"],
    ):
        played = play(capfd, *given, str(talks), "gone.mp3")
        told = [json.loads(line) for line in played.lines]
        sources = [one["source"] for one in told if one["source"] is not None]
        names = ["memo.1", "monday/broken.mp3", "monday/first.wav", "monday/second.wav"]
        assert sources == ["gone.mp3", *(f"{talks}/{name}" for name in names)]
        errors = {one["source"]: one["error"] for one in told if one["schema"] == "fls.error/1"}
        assert list(errors) == [sources[0], sources[2]]
        assert all(f"fls: {said}\n" in played.err for said in errors.values())
        assert played.code == 1
        # In a file they stand as well.
        place = tmp_path / "all.jsonl"
        assert play(capfd, *given, str(talks), "gone.mp3", "-o", str(place)).code == 1
        assert without_seconds(place.read_text()) == without_seconds(played.out)


# --- over all recordings ---


def test_the_answer_over_all_recordings_lists_them(
    tiny: TinyModel, talks: Path, hush: Path, notes: Path, capfd: Capture
) -> None:
    questions = ("-q", WHAT, "-q", WHO)
    names = [f"{talks}/{name}" for name in ("memo.1", "monday/first.wav", "monday/second.wav")]
    played = play(capfd, "ask", str(talks), str(hush), *questions)
    over_all = played.out.split("==> all recordings <==\n")[1]
    lines = over_all.splitlines()
    assert lines[0] == f"> {WHAT}"
    assert lines[-5:] == [*(f"- {name}" for name in names), f"> {WHO}", NONE_SAYS]
    every = [
        json.loads(line) for line in play(capfd, "ask", str(talks), *questions, "--json").lines
    ]
    told = every[-2:]
    assert [list(one) for one in told] == [
        ["schema", "source", "question", "answered", "answer", "sources", "evidence"]
    ] * 2
    shown = [
        {"source": one["source"], **passage}
        for name in names
        for one in every
        if (one["source"], one["question"]) == (name, WHAT)
        for passage in one["evidence"]
    ]
    assert len(shown) >= len(names)
    assert [one["evidence"] for one in told] == [shown, []]
    assert [(one["source"], one["answered"]) for one in told] == [(None, True), (None, False)]
    assert [one["sources"] for one in told] == [names, []]
    # With results in a folder it is what is said aloud, also when nothing is left to do.
    for count in (4, 0):
        heard(tiny)
        put = play(capfd, "ask", str(talks), str(hush), *questions, "-o", f"{notes}/")
        assert (put.code, heard(tiny)) == (0, count)
        assert put.out == "==> all recordings <==\n" + over_all
    assert results(notes)["hush.answers.txt"].splitlines()[-2] == f"> {WHO}"


def test_one_recording_has_no_answer_over_all(
    tiny: TinyModel, talk: Path, notes: Path, capfd: Capture
) -> None:
    for _ in range(2):
        played = play(capfd, "ask", str(talk), WHO, "-o", f"{notes}/")
        assert (played.code, played.out) == (0, "")
    assert results(notes) == {"talk.answers.txt": NOT_SAID + "\n"}


# --- the bar for files ---


def test_the_bar_of_files_counts_what_is_skipped_and_what_fails(
    tiny: TinyModel,
    talks: Path,
    notes: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    write_wav(talks / "third.wav", tone(800, 4))
    (talks / "broken.mp3").write_text("Dear reader,\nthis is a letter.\n")
    play(capfd, "transcribe", str(talks / "memo.1"), "-o", f"{notes}/")
    terminal = Terminal()
    monkeypatch.setattr(desk_module, "Bars", functools.partial(Bars, stream=terminal))
    played = play(capfd, "transcribe", str(talks), "gone.mp3", "-o", f"{notes}/")
    assert played.code == 1
    lines = [line for screen in screens(terminal.getvalue()) for line in screen]
    counts = [line.split()[-1] for line in lines if line.startswith("files")]
    # gone.mp3 was no file to begin with; broken.mp3 is done with when it has failed.
    assert list(dict.fromkeys(counts)) == [f"{done}/5" for done in range(6)]
    assert "fls: 1 of 5 were finished before" in screens(terminal.getvalue())[-1]
