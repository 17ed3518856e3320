"""Harmless text and whole files."""

from __future__ import annotations

import errno
import os
import resource
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from permissions import ordinary

from fls_cli.console.text import clean
from fls_cli.storage.files import check_folder, check_place, make_folder, write_atomically
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


def test_an_open_file_of_this_process_is_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "log.txt"
    place.write_text("before\n")
    link = tmp_path / "link"
    with place.open("ab") as log:
        link.symlink_to(f"/dev/fd/{log.fileno()}")
        for name in (f"/dev/fd/{log.fileno()}", f"/proc/self/fd/{log.fileno()}", link):
            check_place(Path(name))
            write_atomically(Path(name), "result\n")
        log.write(b"after\n")
    assert place.read_text() == "before\n" + 3 * "result\n" + "after\n"
    # A folder of that name is any other.
    (tmp_path / "fd").mkdir()
    write_atomically(tmp_path / "fd" / "1", "mine")
    assert (tmp_path / "fd" / "1").read_text() == "mine"


def test_a_reader_that_is_gone_is_no_fault_of_the_place(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        with pytest.raises(BrokenPipeError):
            write_atomically(Path(f"/dev/fd/{writer}"), "much")
    finally:
        os.close(writer)


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


def test_a_file_that_is_replaced_keeps_its_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    for mode in (0o600, 0o640, 0o666, 0o755):
        path.touch()
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, 4242, 4243)
        before = path.stat()
        write_atomically(path, "new")
        after = path.stat()
        assert path.read_text() == "new"
        assert (after.st_mode, after.st_uid, after.st_gid) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
        )
        path.unlink()


def test_through_a_link_it_is_the_file_that_keeps_its_mode(tmp_path: Path) -> None:
    path, link = tmp_path / "notes.md", tmp_path / "link.md"
    path.touch(mode=0o600)
    link.symlink_to(path)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("write", [check_place, lambda path: write_atomically(path, "new")])
def test_what_may_not_be_written_is_refused_and_stays(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path, folder = tmp_path / "notes.md", tmp_path / "folder"
    path.write_text("old")
    path.chmod(0o444)
    (tmp_path / "link.md").symlink_to(path)
    folder.mkdir()
    (folder / "notes.md").write_text("old")
    (tmp_path / "inside.md").symlink_to(folder / "notes.md")
    (tmp_path / "round.md").symlink_to(tmp_path / "round.md")
    folder.chmod(0o555)
    with ordinary():
        for place in (path, tmp_path / "link.md"):
            with pytest.raises(UsageError, match=r"write-protected; allow it with chmod"):
                write(place)
        for place in (folder / "new.md", folder / "notes.md", tmp_path / "inside.md"):
            with pytest.raises(UsageError, match=r"cannot be written: Permission denied"):
                write(place)
        with pytest.raises(UsageError, match="Too many levels of symbolic links"):
            write(tmp_path / "round.md")
        with pytest.raises(UsageError, match="File name too long"):
            write(tmp_path / ("n" * 300))
    assert path.read_text() == (folder / "notes.md").read_text() == "old"
    assert list(folder.iterdir()) == [folder / "notes.md"]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("old")
    check_place(path)
    check_place(tmp_path / "new.md")
    check_folder(tmp_path / "a" / "b")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [
        ("notes.md", "old")
    ]


def test_a_folder_is_tried_out_before_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    (tmp_path / "file").touch()
    with ordinary():
        for folder in (tmp_path / "closed", tmp_path / "closed" / "a" / "b"):
            with pytest.raises(UsageError, match="cannot be written to: Permission denied"):
                check_folder(folder)
        with pytest.raises(UsageError, match="cannot be made: Permission denied"):
            make_folder(tmp_path / "closed" / "a")
    with pytest.raises(UsageError, match="cannot be written to: Not a directory"):
        check_folder(tmp_path / "file" / "a")


def test_a_file_that_is_mounted_alone_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    path = tmp_path / "notes.md"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", busy)
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.md"]


def test_a_limit_on_the_size_of_files_is_told(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        check_place(tmp_path / "notes.md")
        with pytest.raises(DiskFull, match=r"notes\.md would be larger .*ulimit -f"):
            write_atomically(tmp_path / "notes.md", "x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
