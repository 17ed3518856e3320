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
import time
from collections import namedtuple
from pathlib import Path
from typing import IO

import pytest
from media_files import PITCH, SECONDS, hear, pitch_of

from fls_cli.media.source import Source, check_readable
from fls_cli.media.stream import probe
from fls_cli.sources import spool
from fls_cli.sources.resolve import open_sources
from fls_models.errors import DiskFull, EmptyInput, InputError, MissingInput, UsageError


def opened(*arguments: str) -> list[Source]:
    with open_sources(arguments) as sources:
        return sources


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three recordings to find in a folder, and what lies beside them."""
    folder = tmp_path / "podcasts"
    for name in ("bread.mp3", "season-2/bees.m4a", "season-1/ants.m4a", "bread.txt",
                 ".hidden/x.mp3", "season-2/.x.mp3"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_sources_come_in_the_order_given() -> None:
    sources = opened("b.mp3", "https://host/a.mp3", "a.mp3")
    assert [source.name for source in sources] == ["b.mp3", "https://host/a.mp3", "a.mp3"]
    assert [source.kind for source in sources] == ["file", "url", "file"]
    assert [source.local for source in sources] == [Path("b.mp3"), None, Path("a.mp3")]


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


def test_a_source_knows_where_it_stands_in_what_was_named(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = ["bread.mp3", "season-1/ants.m4a", "season-2/bees.m4a"]
    for folder in (str(tree), f"{tree}/", f"{tree}/season-1/.."):
        assert [str(source.below) for source in opened(folder)] == below
    monkeypatch.chdir(tree)
    assert [str(source.below) for source in opened(".")] == below
    assert [str(source.below) for source in opened("season-*")] == below[1:]
    assert [str(source.below) for source in opened("./season-2/b*")] == ["bees.m4a"]
    assert [str(source.below) for source in opened("season-2/bees.m4a")] == ["bees.m4a"]
    with open_sources(["-"], stdin=io.BytesIO(b"x")) as [source]:
        assert source.below is None


@pytest.mark.parametrize(
    ("address", "below"),
    [
        ("https://host/a/b.mp3?c=d/e.mp3#f", "b.mp3"),
        ("https://host/a/Caf%C3%A9%20%2F..%2fx.mp3", "Café _.._x.mp3"),
        ("https://host/a/b/", "b"),
        ("https://host/a/%2e%2e", "a"),
        ("https://me:secret@host:81", "host_81"),
        ("https://host/%00%0a%1b.mp3", "___.mp3"),
        ("https://host/%ff.mp3", "\ufffd.mp3"),
        ("https://host/.%2e.hidden.mp3", "hidden.mp3"),
        (f"https://host/{'é' * 300}.mp3", f"{'é' * 125}.mp3"),
    ],
)
def test_an_address_ends_in_a_file_name(address: str, below: str) -> None:
    [source] = opened(address)
    assert str(source.below) == below


def test_what_is_reached_twice_is_read_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    (tree / "link.mp3").symlink_to("bread.mp3")
    sources = opened("season-2", ".", "bread.mp3", str(tree / "bread.mp3"), "http://h/a", "./*.mp3")
    assert [(source.location, str(source.below)) for source in sources] == [
        ("season-2/bees.m4a", "bees.m4a"),
        ("bread.mp3", "bread.mp3"),
        ("season-1/ants.m4a", "season-1/ants.m4a"),
        ("http://h/a", "a"),
    ]
    assert len(opened("no.mp3", "./no.mp3", "http://h/a", "http://h/a", "http://h/a?b")) == 3


def test_a_pattern_stands_for_what_matches(tree: Path) -> None:
    def found(pattern: str) -> list[str]:
        return [
            str(Path(source.location).relative_to(tree)) for source in opened(f"{tree}/{pattern}")
        ]

    assert found("**/*.m4a") == ["season-1/ants.m4a", "season-2/bees.m4a"]
    assert found("**") == ["bread.mp3", "season-1/ants.m4a", "season-2/bees.m4a"]
    assert found("season-?/[ab]*") == ["season-1/ants.m4a", "season-2/bees.m4a"]
    # What is no recording is left out, unless the pattern says that it is meant.
    assert found("b*") == ["bread.mp3"]
    assert found("*.txt") == ["bread.txt"]
    assert found(".h*/*.mp3") == [".hidden/x.mp3"]


def test_a_pattern_that_nothing_matches(tree: Path) -> None:
    with pytest.raises(MissingInput, match=r"\*\.flac: there is no such file, and nothing matches"):
        opened(f"{tree}/**/*.flac")
    with pytest.raises(EmptyInput, match="nothing that matches is an audio or video file"):
        opened(f"{tree}/*.t?t")
    with pytest.raises(MissingInput, match="only http and https"):
        hear("ftp://host/x?.mp3")


def test_a_name_wins_over_a_pattern(tree: Path) -> None:
    (tree / "[b]read*.mp3").write_bytes(b"x")
    (tree / "[season-1]").mkdir()
    (tree / "[season-1]" / "real.mp3").write_bytes(b"x")
    assert [source.path for source in opened(f"{tree}/[b]read*.mp3")] == [tree / "[b]read*.mp3"]
    [source] = opened(f"{tree}/[season-1]/*.mp3")
    assert source.path == tree / "[season-1]" / "real.mp3"
    assert str(source.below) == "real.mp3"


def test_what_is_wrong_with_one_argument_leaves_the_others(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty\x1b").mkdir()
    told: list[tuple[str, type[InputError]]] = []
    arguments = [f"{tmp_path}/empty\x1b", f"{tree}/bread.mp3", "x*.mp3", f"{tree}/season-1", "-"]
    with open_sources(
        arguments,
        stdin=io.BytesIO(b"x"),
        failed=lambda name, error: told.append((name, type(error))),
    ) as sources:
        assert [source.name.rpartition("/")[2] for source in sources] == [
            "bread.mp3",
            "ants.m4a",
            "stdin",
        ]
    assert told == [(f"{tmp_path}/empty\x1b", EmptyInput), ("x*.mp3", MissingInput)]
    # Wrong usage is nobody's failure but the whole command's.
    for wrong in (["-", "-"], ["http://"], [""]):
        with pytest.raises(UsageError), open_sources(wrong, failed=lambda *_: None):
            pass


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
from fls_cli.sources.resolve import open_sources
from fls_cli.media.stream import probe
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
    # Python tries the folder out with a file of another name first.
    while not any(tmp_path.glob("fls-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert list(tmp_path.iterdir()) == []
