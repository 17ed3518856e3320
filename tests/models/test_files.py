"""Files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from fls_models.core.files import lacks_room, replacing, write_whole


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.json"
    for text in ("first", "second"):
        with replacing(file) as part:
            part.write_text(text)
            assert not file.exists() or file.read_text() == "first"
        assert file.read_text() == text
    assert names(file.parent) == ["a.json"]


@pytest.mark.parametrize("stop", [OSError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there_and_nothing_beside(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")

    def begin_file() -> None:
        with replacing(file) as part:
            part.write_text("half")
            raise stop

    def begin_folder() -> None:
        with replacing(tmp_path / "folder", tmp_path / ".making") as part:
            part.mkdir()
            (part / "half").touch()
            raise stop

    for begin in (begin_file, begin_folder):
        with pytest.raises(stop):
            begin()
    assert file.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path) -> None:
    with replacing(tmp_path / "folder", tmp_path / ".making") as part:
        part.mkdir()
        (part / "file").touch()
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["file"]


def test_a_killed_process_leaves_the_old_file_and_hinders_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    program = (
        "import os, sys; from pathlib import Path; from fls_models.core.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half of it'); os._exit(9)"
    )
    child = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.json")])
    assert child.returncode == 9
    assert names(tmp_path) == ["a.json", "a.json.part"]
    assert (tmp_path / "a.json").read_text() == "old"
    with replacing(tmp_path / "a.json") as part:
        part.write_text("new")
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "new"


def test_bytes_and_text_are_written_as_they_are(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep" / "er" / "a.json", "Grüße\n")
    write_whole(tmp_path / "deep" / "er" / "a.fls", b"\x00\xff\r\n")
    assert (tmp_path / "deep/er/a.json").read_bytes() == "Grüße\n".encode()
    assert (tmp_path / "deep/er/a.fls").read_bytes() == b"\x00\xff\r\n"
    assert names(tmp_path / "deep" / "er") == ["a.fls", "a.json"]


def test_a_full_disk_is_known_by_its_number_or_its_words() -> None:
    assert lacks_room(OSError(errno.ENOSPC, "No space left on device"))
    assert lacks_room(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert lacks_room(ValueError("I/O error: No space left on device (os error 28)"))
    assert not lacks_room(OSError(errno.EACCES, "Permission denied"))
