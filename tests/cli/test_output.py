"""Harmless text and whole files."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fls_cli.output import clean, write_atomically
from fls_models.errors import DiskFull, UsageError


def test_escape_sequences_lose_what_makes_them_work() -> None:
    assert clean("a\x1b[31mb\x07\x9b2Jc\rd\x7f") == "a[31mb2Jcd"
    assert clean("\u202eabc\u202c \u2066x\u2069") == "abc x"
    assert clean("tab\tand\nnewline, é 你 \u200fעברית") == "tab\tand\nnewline, é 你 \u200fעברית"
    assert clean("\udc80.mp3") == ".mp3"


@given(st.text(), st.text())
def test_a_stream_may_be_cleaned_piece_by_piece(first: str, second: str) -> None:
    assert clean(first) + clean(second) == clean(first + second)
    clean(first).encode()


def test_a_file_is_replaced_with_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("old")
    write_atomically(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.md"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(errno.EIO, "I/O error")])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "notes.md"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((KeyboardInterrupt, UsageError)):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.md"]


def test_places_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere is not there to write .*mkdir -p first"):
        write_atomically(tmp_path / "nowhere" / "a.txt", "")
    with pytest.raises(UsageError, match="is a folder"):
        write_atomically(tmp_path, "")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written: Not a directory"):
        write_atomically(tmp_path / "file" / "a.txt", "")


def test_a_full_disk_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskFull, match="No room"):
        write_atomically(tmp_path / "a.txt", "text")


def test_links_are_followed_and_long_names_work(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    write_atomically(tmp_path / "link.txt", "through")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "through"
    write_atomically(tmp_path / ("n" * 251 + ".txt"), "long")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_atomically(pipe, "streamed")
    reader.join(5)
    assert read == ["streamed"]
    assert pipe.is_fifo()
