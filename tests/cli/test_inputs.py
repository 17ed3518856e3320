"""What a person may name as an input, what becomes of it, and what is said when it cannot be."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from pathlib import Path
from typing import IO

import pytest
from media_files import PITCH, SECONDS, hear, pitch_of

from fls_cli import spool
from fls_cli.inputs import Source, check_readable, open_sources
from fls_cli.media import probe
from fls_models.errors import DiskFull, EmptyInput, InputError, MissingInput, UsageError


def opened(*arguments: str) -> list[Source]:
    with open_sources(arguments) as sources:
        return sources


def test_sources_come_in_the_order_given() -> None:
    sources = opened("b.mp3", "https://host/a.mp3", "a.mp3")
    assert [source.name for source in sources] == ["b.mp3", "https://host/a.mp3", "a.mp3"]
    assert [source.kind for source in sources] == ["file", "url", "file"]
    assert [source.path for source in sources] == [Path("b.mp3"), None, Path("a.mp3")]


def test_a_folder_stands_for_the_media_below_it(tmp_path: Path) -> None:
    for name in ("b.MP3", "a/z.flac", "a/b/c.webm", "c.wav", "notes.txt", ".hidden.mp3",
                 ".cache/x.mp3", "a/._z.flac"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "gone.mp3").symlink_to(tmp_path / "nowhere")
    sources = opened(str(tmp_path), "first.mp3")
    assert [source.location for source in sources] == [
        *(str(tmp_path / name) for name in ("a/b/c.webm", "a/z.flac", "b.MP3", "c.wav")),
        "first.mp3",
    ]


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(EmptyInput, match="a folder of nothing"):
        opened(str(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "-dash.wav",
        "-i",
        "new\nline.wav",
        "file:colon:.wav",
        "http:x.wav",
        "concat:a|b.wav",
        "frame%03d.wav",
        "a b  c.wav",
        'it\'s "quoted".wav',
        "glob*?[x].wav",
        "$HOME;`id`.wav",
        "back\\slash.wav",
        "ünïcödé 録音.wav",
        b"not-\xff\xfe-utf8.wav",
        "bell\x07\x1b[31m.wav",
        "x'\n  Duration: 99:00:00.00, start\n  Stream #0:7: Audio: fake, 1 Hz, mono.wav",
        "x" * 251 + ".wav",
    ],
)
def test_any_file_name_works(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    location = os.fsdecode(name)
    shutil.copy(recordings / "pcm.wav", location)
    for where in (location, str(tmp_path / location), f"./{location}"):
        [source] = opened(where)
        assert source.name.isprintable()
        info = probe(source)
        assert info.duration == SECONDS
        assert [track.codec for track in info.tracks] == ["pcm_s16le"]
    heard = hear(location)
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)
    assert heard.warnings == []


def test_a_very_long_path_works(recordings: Path, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*(["d" * 200] * 8))
    folder.mkdir(parents=True)
    shutil.copy(recordings / "tone.mp3", folder)
    assert hear(folder / "tone.mp3").seconds == pytest.approx(SECONDS, abs=0.05)


def test_addresses_are_shown_without_their_secrets() -> None:
    [source] = opened("HTTPS://me:secret@Host:8443/a\x1b[31m/b.mp3?token=secret#secret")
    assert source.name == "https://Host:8443/a?[31m/b.mp3"
    assert "secret" not in repr(source)
    assert "secret" in source.location


@pytest.mark.parametrize("text", ["http://", "http:///x", "http://h:99999/", "https://[x/secret"])
def test_malformed_addresses(text: str) -> None:
    with pytest.raises(UsageError, match="malformed"):
        opened(text)


def test_an_empty_name_is_not_this_folder() -> None:
    with pytest.raises(UsageError):
        opened("")


def test_missing_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for location in (tmp_path / "no.mp3", tmp_path / "file" / "no.mp3"):
        with pytest.raises(MissingInput, match=r"no\.mp3: there is no such file"):
            hear(location)
    with pytest.raises(MissingInput, match="only http and https"):
        hear("ftp://host/x.mp3")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is a folder"):
        check_readable(Source("x", "file", tmp_path, "x"))
    with pytest.raises(InputError, match="a device"):
        hear("/dev/zero")
    with pytest.raises(InputError, match="could not be read"):
        hear("x" * 300)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    with pytest.raises(EmptyInput, match=r"empty\.mp3: this file is empty"):
        hear(tmp_path / "empty.mp3")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "closed.mp3").touch(mode=0)
    with pytest.raises(InputError, match="no permission"):
        hear(tmp_path / "closed.mp3")
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(InputError, match="no permission"):
        hear(tmp_path / "closed" / "x.mp3")
    with pytest.raises(InputError, match="could not be read"):
        opened(str(tmp_path))


def test_stdin_is_heard_whatever_its_format(recordings: Path, videos: Path) -> None:
    for path in (videos / "late-index.mp4", recordings / "tone.flac"):
        with path.open("rb") as pipe, open_sources(["-"], stdin=pipe) as [source]:
            assert (source.kind, source.name) == ("stdin", "stdin")
            heard = hear(str(source.path))
        assert heard.seconds == pytest.approx(SECONDS, abs=0.05)
        assert pitch_of(heard.samples) == pytest.approx(PITCH, abs=1)


def test_the_copy_of_a_pipe_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_sources(["-"], stdin=io.BytesIO(b"x" * 100)) as [source]:
        assert source.path is not None
        assert source.path.parent == tmp_path
        assert source.path.read_bytes() == b"x" * 100
        assert source.path.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(KeyboardInterrupt),
        open_sources(["-"], stdin=io.BytesIO(b"x")),
    ):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    room = iter([spool.RESERVE + 3 * spool.CHUNK, spool.RESERVE + spool.CHUNK - 1])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(next(room)))
    with (
        pytest.raises(DiskFull, match="TMPDIR"),
        open_sources(["-"], stdin=io.BytesIO(bytes(3 * spool.CHUNK))),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_under_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **_: full)
        with pytest.raises(DiskFull), open_sources(["-"], stdin=io.BytesIO(b"x")):
            pass


def test_nothing_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        open_sources(["-"], stdin=io.BytesIO()) as [source],
        pytest.raises(EmptyInput, match="nothing came through the pipe"),
    ):
        probe(source)
    leader, follower = os.openpty()
    with open(follower) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with pytest.raises(UsageError, match="nothing is"):
            opened("-")
    os.close(leader)
    with pytest.raises(UsageError, match="only once"):
        opened("-", "-")


def test_a_named_pipe_is_read_like_stdin(recordings: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(
        target=lambda: fifo.write_bytes((recordings / "tone.mp3").read_bytes())
    )
    writer.start()
    heard = hear(fifo)
    writer.join()
    assert heard.seconds == pytest.approx(SECONDS, abs=0.05)


LISTEN = """
import sys, time
from fls_cli.inputs import open_sources
from fls_cli.media import probe
print("reading", flush=True)
with open_sources(["-"]) as [source]:
    print(probe(source).duration, flush=True)
    time.sleep(60)
"""


def listen(folder: Path, stdin: IO[bytes] | int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-c", LISTEN]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=stdin, stdout=pipe, stderr=pipe, env=environment, text=True
    )


def test_ctrl_c_removes_the_copy(recordings: Path, tmp_path: Path) -> None:
    with (recordings / "tone.mp3").open("rb") as pipe:
        process = listen(tmp_path, pipe)
    assert process.stdout.readline() == "reading\n"
    assert float(process.stdout.readline()) == pytest.approx(SECONDS, abs=0.1)
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_copying_removes_the_copy(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    process = listen(tmp_path, ours)
    os.write(theirs, b"x")
    assert process.stdout.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert list(tmp_path.iterdir()) == []
