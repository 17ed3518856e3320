"""Processes at work on one folder of results: killed, interrupted, and two at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from media_files import as_file, run_ffmpeg, tone, write_wav
from test_many import results
from tiny_model import command

from fls_cli.media.source import Source
from fls_cli.session.ledger import Claim, claimed, seems_finished
from fls_models.errors import InputError, MissingInput, UsageError

LISTENING = b"listening\n"
# Only against hanging.
PATIENCE = 60


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Two short talks, one of a minute, and one that is longer than what is decoded ahead."""
    folder = tmp_path / "talks"
    folder.mkdir()
    write_wav(folder / "1.wav", tone(300, 2))
    write_wav(folder / "2.wav", tone(400, 60))
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=1500", folder / "3.flac")
    write_wav(folder / "4.wav", tone(500, 2))
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@contextmanager
def transcribing(talks: Path, notes: Path, pace: float) -> Iterator[subprocess.Popen[bytes]]:
    given = command("transcribe", str(talks), "-o", f"{notes}/", "--jobs", "2", pace=pace)
    with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(talks: Path, notes: Path) -> tuple[int, int, bytes]:
    """Runs to the end: the exit code, how many were listened to, and what was said beside."""
    with transcribing(talks, notes, 0.0) as process:
        out, said = process.communicate(timeout=PATIENCE)
    assert out == b""
    return process.returncode, said.count(LISTENING), said.replace(LISTENING, b"")


def children(process: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{process}/task").iterdir():
        try:
            found.update(map(int, (thread / "children").read_text().split()))
        except OSError:
            continue
    return found


def at_work_on_the_second(process: subprocess.Popen[bytes]) -> set[int]:
    """The children, once the first is done and others are decoded ahead."""
    assert process.stderr
    assert [process.stderr.readline() for _ in range(2)] == [LISTENING] * 2
    while not (found := children(process.pid)):
        assert process.poll() is None
    return found


def test_a_process_that_is_killed_loses_the_file_at_work(talks: Path, notes: Path) -> None:
    with transcribing(talks, notes, 0.1) as process:
        at_work_on_the_second(process)
        process.kill()
        process.wait(PATIENCE)
    assert list(results(notes)) == ["1.txt"]
    stamp = (notes / "1.txt").stat().st_mtime_ns
    code, count, said = finished(talks, notes)
    assert (code, count) == (0, 3)
    assert said.endswith(b"fls: 1 of 4 were finished before\n")
    assert list(results(notes)) == ["1.txt", "2.txt", "3.txt", "4.txt"]
    assert (notes / "1.txt").stat().st_mtime_ns == stamp


def test_ctrl_c_leaves_no_child_and_nothing_half_done(talks: Path, notes: Path) -> None:
    with transcribing(talks, notes, 0.1) as process:
        born = at_work_on_the_second(process)
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, complaint) == (130, b"", b"")
    assert born
    assert not [child for child in born if Path(f"/proc/{child}").exists()]
    assert list(results(notes)) == ["1.txt"]
    code, count, _ = finished(talks, notes)
    assert (code, count) == (0, 3)
    assert finished(talks, notes) == (0, 0, b"fls: 4 of 4 were finished before\n")


def test_two_processes_share_the_work(talks: Path, notes: Path, tmp_path: Path) -> None:
    (talks / "3.flac").unlink()
    write_wav(talks / "5.wav", tone(600, 60))
    with transcribing(talks, notes, 0.01) as one, transcribing(talks, notes, 0.01) as other:
        told = [process.communicate(timeout=PATIENCE)[1] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    assert sum(text.count(LISTENING) for text in told) == 4
    alone = tmp_path / "alone"
    assert finished(talks, alone)[:2] == (0, 4)
    assert results(notes) == results(alone)


def test_what_another_process_is_at_work_on_is_waited_for(talks: Path, notes: Path) -> None:
    # The request's key is that of a finished run.
    assert finished(talks, notes)[0] == 0
    second = as_file(talks / "2.wav")
    [known] = [path for path in (notes / ".fls").iterdir() if b'"2.txt"' in path.read_bytes()]
    with claimed(notes, notes / "2.txt", second, "a question", wait=False) as claim:
        assert claim
        claim.finish("Not yet.\n", None)
        content = known.read_bytes()
        with transcribing(talks, notes, 0.0) as process:
            assert process.stderr
            assert process.stderr.readline() == (
                f"fls: {talks}/2.wav: another fls is at work on it; waiting\n".encode()
            )
            assert known.read_bytes() == content
            assert (notes / "2.txt").read_text() == "Not yet.\n"
            # Closing the claim's file lets it go on.
            claim._file.close()
            said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0
    assert said == LISTENING + b"fls: 3 of 4 were finished before\n"
    assert (notes / "2.txt").read_text().startswith("Sentence 0.")


# --- one claim ---


@contextmanager
def claim_on(notes: Path, source: Source, request: str = "request") -> Iterator[Claim]:
    with claimed(notes, notes / "talk.txt", source, request, wait=False) as claim:
        assert claim
        yield claim


@pytest.fixture
def source(talk: Path) -> Source:
    return as_file(talk)


def test_a_claim_is_held_by_one(notes: Path, source: Source) -> None:
    with (
        claim_on(notes, source),
        claimed(notes, notes / "talk.txt", source, "request", wait=False) as other,
        claimed(notes, notes / "walk.txt", source, "request", wait=False) as elsewhere,
    ):
        assert other is None
        assert elsewhere
    with claim_on(notes, source):
        pass


def test_what_was_finished_is_known_with_what_was_kept(notes: Path, source: Source) -> None:
    for kept in ([{"answered": True, "strength": 0.1}], None):
        with claim_on(notes, source) as claim:
            claim.begin(force=False)
            claim.finish("Text.\n", kept)
        with claim_on(notes, source) as claim:
            assert claim.is_finished
            assert claim.record == kept
        assert seems_finished(notes, notes / "talk.txt", source, "request")
        assert not seems_finished(notes, notes / "talk.txt", source, "another")
        assert not seems_finished(notes, notes / "walk.txt", source, "request")


def test_a_crash_between_result_and_record_is_no_finished_result(
    notes: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claim_on(notes, source) as claim:
        claim.begin(force=False)
        claim.finish("Old text.\n", None)

    def crash(path: Path, text: str) -> None:
        path.write_text(text)
        raise KeyboardInterrupt

    monkeypatch.setattr("fls_cli.session.ledger.write_atomically", crash)
    with claim_on(notes, source, "another") as claim:
        claim.begin(force=False)
        with pytest.raises(KeyboardInterrupt):
            claim.finish("New text.\n", None)
    # Neither the old request, whose result is gone, nor the new one; and still nobody else's.
    for request in ("request", "another"):
        with claim_on(notes, source, request) as claim:
            assert not claim.is_finished
            claim.begin(force=False)


def test_the_ledger_is_at_no_time_empty(notes: Path, source: Source) -> None:
    with claim_on(notes, source) as claim:
        claim.finish("Text.\n", "kept " * 100)
        [place] = (notes / ".fls").iterdir()
        # Killed after a shorter entry was written over a longer one, before the rest was cut off.
        claim._file.truncate = lambda size: None  # type: ignore[method-assign,assignment]
        claim._write({"output": "talk.txt"})
        assert place.read_bytes().startswith(b'{"output": "talk.txt"}')
    with claim_on(notes, source) as claim:
        assert not claim.is_finished
        claim.begin(force=False)


def test_a_recording_that_changes_while_it_is_worked_on_is_not_finished(
    notes: Path, source: Source, talk: Path
) -> None:
    with claim_on(notes, source) as claim:
        claim.begin(force=False)
        with talk.open("ab") as file:
            file.write(b"\0" * 32_000)
        claim.finish("Text.\n", None)
    with claim_on(notes, source) as claim:
        assert not claim.is_finished


def test_a_recording_that_is_gone_is_an_input_error(
    notes: Path, source: Source, talk: Path
) -> None:
    with claim_on(notes, source) as claim:
        claim.begin(force=False)
        talk.unlink()
        claim.finish("Text.\n", None)
    with claim_on(notes, source) as claim:
        with pytest.raises(MissingInput):
            assert claim.is_finished
        with pytest.raises(MissingInput):
            claim.begin(force=False)


def test_an_address_is_known_by_its_name(notes: Path) -> None:
    here = Source("https://a.example/talk.mp3?key=1", "url", None, "https://a.example/talk.mp3")
    there = Source("https://a.example/talk.mp3?key=2", "url", None, "https://a.example/talk.mp3")
    with claim_on(notes, here) as claim:
        claim.begin(force=False)
        claim.finish("Text.\n", None)
    with claim_on(notes, here) as claim:
        assert claim.is_finished
    with claim_on(notes, there) as claim:
        assert not claim.is_finished
        with pytest.raises(InputError, match="another recording"):
            claim.begin(force=False)
        claim.begin(force=True)


def test_a_folder_without_permission_is_wrong_usage(notes: Path, source: Source) -> None:
    notes.mkdir()
    (notes / ".fls").write_text("no folder")
    with pytest.raises(UsageError, match="cannot be written to"), claim_on(notes, source):
        pass


def test_names_that_no_encoding_knows(tmp_path: Path, talk: Path) -> None:
    odd = Path(os.fsdecode(b"caf\xe9.wav"))
    source = as_file(talk.rename(tmp_path / odd))
    notes = tmp_path / os.fsdecode(b"n\xf6tes")
    output = notes / odd.with_suffix(".txt")
    with claimed(notes, output, source, "request", wait=False) as claim:
        assert claim
        claim.begin(force=False)
        claim.finish("Text.\n", None)
    assert seems_finished(notes, output, source, "request")
