"""Samples without a header are heard as the user says they are, or as a telephone's suffix does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from fls_cli.media.ffmpeg.locate import Ffmpeg, find_ffmpeg
from fls_cli.media.ffmpeg.raw import RawAudio, parse_raw
from fls_cli.media.stream import probe
from fls_cli.sources.folders import files_below
from fls_cli.sources.resolve import open_sources
from fls_models.errors import NotMedia, UsageError
from tests.cli.media_files import as_file, hear, pitch_of, tone, write_wav

SECONDS, PITCH = 2.0, 440.0


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "tone.wav", tone(PITCH, SECONDS))


def raw_file(wav: Path, name: str, raw: str) -> Path:
    """The sound of a WAV without its header."""
    found = parse_raw(raw)
    made = wav.parent / name
    command = [find_ffmpeg(), "-nostdin", "-loglevel", "error", "-i", str(wav)]
    options = ["-ar", str(found.rate), "-ac", str(found.channels), "-f", found.format]
    subprocess.run([*command, *options, f"file:{made}"], check=True)
    return made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s16le:8000:1", RawAudio("s16le", 8000, 1)),
        ("S16LE:44100:2", RawAudio("s16le", 44_100, 2)),
        ("f32be:48000", RawAudio("f32be", 48_000, 1)),
        ("mulaw", RawAudio("mulaw", 8000, 1)),
        ("alaw:16000", RawAudio("alaw", 16_000, 1)),
        ("gsm", RawAudio("gsm", 8000, 1)),
        ("g722:16000:1", RawAudio("g722", 16_000, 1)),
    ],
)
def test_what_is_typed(text: str, found: RawAudio) -> None:
    assert parse_raw(text) == found
    assert parse_raw(str(found)) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the format is one of s8,"),
        ("concat:8000", "the format is one of s8,"),
        ("s16le", "it needs a rate in Hz, as in s16le:8000:1"),
        ("s16le:fast", "write FORMAT:RATE:CHANNELS"),
        ("s16le:8000:1:1", "write FORMAT:RATE:CHANNELS"),
        ("s16le:8000:0", "channels 1 to 64"),
        ("s16le:1", "rates are 1000 to 768000 Hz"),
        ("gsm:16000", "gsm has 8000 Hz and one channel; write gsm"),
        ("g722:16000:2", "g722 has 16000 Hz and one channel; write g722"),
    ],
)
def test_what_is_no_raw_format(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_raw(text)


@pytest.mark.parametrize(
    "raw",
    [
        *("s8:8000", "u8:11025", "s16le:8000:1", "s16be:44100:2", "s24le:16000", "s24be:8000"),
        *("s32le:8000", "s32be:8000", "f32le:48000:2", "f32be:8000", "mulaw", "alaw", "g722"),
    ],
)
def test_samples_are_what_the_user_says(raw: str, wav: Path, ffmpeg: Ffmpeg) -> None:
    heard = hear(raw_file(wav, "samples.bin", raw), raw=parse_raw(raw))
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)
    assert pitch_of(heard.samples) == pytest.approx(PITCH, abs=2)
    assert heard.flaws == []


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        *[("call.ulaw", "mulaw"), ("call.UL", "mulaw"), ("call.alaw", "alaw"), ("call.al", "alaw")],
        *[("call.sln", "s16le:8000"), ("call.sln16", "s16le:16000"), ("call.g722", "g722")],
    ],
)
def test_a_telephone_systems_suffix_says_what_it_is(
    name: str, raw: str, wav: Path, ffmpeg: Ffmpeg
) -> None:
    heard = hear(raw_file(wav, name, raw))
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)
    assert pitch_of(heard.samples) == pytest.approx(PITCH, abs=2)
    [flaw] = heard.flaws
    assert flaw.kind == "guessed"
    assert f"read as {parse_raw(raw)}, by its suffix; --raw says otherwise" in flaw.text
    assert not flaw.is_loss


def test_frames_of_gsm(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    frame = b"\xd2\x00\x00\x00\x00" + bytes(28)
    (tmp_path / "call.gsm").write_bytes(frame * 100)
    heard = hear(tmp_path / "call.gsm")
    assert heard.seconds == pytest.approx(2.0, abs=0.03)
    assert probe(as_file(tmp_path / "call.gsm")).duration == pytest.approx(2.0, abs=0.03)


def test_a_recording_with_a_header_is_that_whatever_its_suffix(wav: Path, ffmpeg: Ffmpeg) -> None:
    heard = hear(wav.rename(wav.with_name("tone.ulaw")))
    assert heard.seconds == pytest.approx(SECONDS, abs=0.01)
    assert heard.flaws == []


def test_a_start_within_raw_samples(wav: Path, ffmpeg: Ffmpeg) -> None:
    silence = np.zeros(3 * 16_000)
    late = write_wav(wav.with_name("late.wav"), np.concatenate([silence, tone(PITCH, 1.0)]))
    samples = raw_file(late, "late.sln", "s16le:8000")
    heard = hear(samples, start=2.5)
    assert heard.seconds == pytest.approx(1.5, abs=0.01)
    assert np.abs(heard.samples[:7000]).max() < 0.01 < np.abs(heard.samples[9000:]).max()


def test_samples_through_a_pipe(wav: Path) -> None:
    samples = raw_file(wav, "samples.bin", "s16le:8000")
    with samples.open("rb") as pipe, open_sources(["-"], stdin=pipe) as [source]:
        with pytest.raises(NotMedia, match="for samples without a header, add --raw s16le:8000:1"):
            probe(source)
        assert probe(source, parse_raw("s16le:8000")).duration == pytest.approx(SECONDS, abs=0.01)


def test_folders_hold_them_too(wav: Path, tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    for name in ("a.ulaw", "b.sln", "c.ul"):
        raw_file(wav, f"calls/{name}", "s16le:8000" if name == "b.sln" else "mulaw")
    # Silence of A-law has nothing that a text could not hold, but is none; Perl shares the suffix.
    (tmp_path / "calls" / "d.al").write_bytes(b"\xd5" * 8000)
    (tmp_path / "calls" / "autosplit.al").write_text("# NOTE: Derived from lib/POSIX.pm.\n" * 9)
    names = [path.name for path in files_below(tmp_path / "calls")]
    assert names == ["a.ulaw", "b.sln", "c.ul", "d.al"]
