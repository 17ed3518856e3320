"""Lists of names, from files and pipes, and what is no list."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fls_cli.sources.lists import names_listed
from fls_cli.sources.resolve import open_sources
from fls_models.errors import EmptyInput, InputError, UsageError


def piped(content: bytes) -> list[str]:
    return names_listed("-", stdin=io.BytesIO(content))


def test_one_name_a_line() -> None:
    assert piped(b"a.mp3\nb c.mp3\n\n  \n#1.mp3\n indented.mp3 \nlast") == [
        "a.mp3",
        "b c.mp3",
        "#1.mp3",
        " indented.mp3 ",
        "last",
    ]
    assert piped(b"\xef\xbb\xbfa.mp3\r\nb.mp3\r\n\r\n") == ["a.mp3", "b.mp3"]
    assert piped(b"http://host/a?b#c\n*.mp3\n") == ["http://host/a?b#c", "*.mp3"]
    assert piped("Größe \udcff.mp3\n".encode(errors="surrogateescape")) == ["Größe \udcff.mp3"]


NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name and name != b"-")


@given(st.lists(NAMES, min_size=1).filter(lambda names: not names[0].startswith(b"\xef\xbb\xbf")))
def test_any_names_between_nuls(names: list[bytes]) -> None:
    for content in (b"\0".join(names), b"".join(name + b"\0" for name in names)):
        if b"\0" in content:
            assert [os.fsencode(name) for name in piped(content)] == names


@pytest.mark.skipif(shutil.which("find") is None, reason="no find here")
def test_what_find_prints_is_what_is_read(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp3", "new\nline.mp3", "c\r.mp3", "[1]*.mp3", os.fsdecode(b"\xff.mp3")):
        shutil.copy(recordings / "tone.mp3", name)
    found = subprocess.run(["find", ".", "-name", "*.mp3", "-print0"], capture_output=True)
    with open_sources(piped(found.stdout)) as sources:
        assert {source.path for source in sources} == set(Path().glob("*.mp3"))
    Path("c\r.mp3").unlink()
    Path("new\nline.mp3").unlink()
    Path("list.txt").write_bytes(
        subprocess.run(["find", ".", "-name", "*.mp3"], capture_output=True, check=True).stdout
    )
    with open_sources(names_listed(Path("list.txt"))) as sources:
        assert {source.path for source in sources} == set(Path().glob("*.mp3"))


def test_a_list_may_come_through_a_named_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"a.mp3\n"))
    writer.start()
    assert names_listed(fifo) == ["a.mp3"]
    writer.join()


def test_stdin_is_a_list_or_a_source_and_not_both(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be a source, too"):
        names_listed("-", beside=["a.mp3", "-"], stdin=io.BytesIO(b"b.mp3\n"))
    with pytest.raises(UsageError, match="cannot be a source, too"):
        piped(b"a.mp3\n-\n")
    (tmp_path / "list").write_text("a.mp3\n-\n")
    assert names_listed(tmp_path / "list", beside=["-"]) == ["a.mp3", "-"]


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n"])
def test_a_list_of_nothing(content: bytes) -> None:
    with pytest.raises(EmptyInput, match="names nothing"):
        piped(content)


def test_what_is_no_list(recordings: Path, tmp_path: Path) -> None:
    for path in sorted(recordings.iterdir()):
        with pytest.raises(UsageError, match="is it a recording"):
            names_listed(path)
    for content in (b"a\0\0b", b"\0", b"\0a", b"x" * 10_000, b"a.mp3\n" * 2_000_000):
        with pytest.raises(UsageError, match="is it a recording"):
            piped(content)
    with pytest.raises(UsageError, match=r"no\.txt: there is no such list"):
        names_listed(tmp_path / "no.txt")
    with pytest.raises(UsageError, match="could not be read: Is a directory"):
        names_listed(tmp_path)


def test_no_more_is_read_than_a_list_can_hold() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 10_000_001
            return b"a\n" * (size // 2 + 1)

    with pytest.raises(UsageError, match="over 10 MB"):
        names_listed("-", stdin=Endless())


def test_a_pipe_that_breaks_or_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(InputError, match="could not be read: Input/output error"):
        names_listed("-", stdin=Broken())
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="nothing is"):
        names_listed("-")
