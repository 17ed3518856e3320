"""Any recording becomes 16 kHz mono samples, on time, in bounded blocks, and leaves nothing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from media_files import (
    ENCODINGS,
    PITCH,
    SECONDS,
    WITHOUT_DURATION,
    Site,
    as_file,
    hear,
    pitch_of,
    run_ffmpeg,
    sine,
    tone,
    write_wav,
)

from fls_cli.media.ffmpeg.locate import Ffmpeg
from fls_cli.media.ffmpeg.probe import MediaInfo, read_report
from fls_cli.media.stream import probe, stream
from fls_cli.sources.resolve import open_sources
from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import (
    EmptyInput,
    NoAudioTrack,
    NotMedia,
    Unreachable,
    UsageError,
)

ROOT = Path(__file__).parents[2]

# Decoding is what may differ between versions, so each test is done by two of them.
pytestmark = pytest.mark.usefixtures("ffmpeg")


def look(location: str | Path) -> MediaInfo:
    with open_sources([str(location)]) as [source]:
        return probe(source)


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_format_keeps_its_length_and_pitch(recordings: Path, name: str) -> None:
    heard = hear(recordings / name)
    assert heard.samples.dtype == np.float32
    assert heard.seconds == pytest.approx(SECONDS, abs=0.12)
    assert pitch_of(heard.samples) == pytest.approx(PITCH, abs=1)
    assert heard.warnings == []


@pytest.mark.parametrize("name", ENCODINGS)
def test_probe_tells_duration_where_the_container_does(recordings: Path, name: str) -> None:
    info = look(recordings / name)
    assert len(info.tracks) == 1
    assert info.tracks[0].channels == 1
    assert not info.video
    if name in WITHOUT_DURATION:
        assert info.duration is None
    else:
        assert info.duration == pytest.approx(SECONDS, abs=0.12)


def test_video_is_heard(videos: Path) -> None:
    assert look(videos / "late-index.mp4").video
    for name in ("late-index.mp4", "early-index.mp4"):
        heard = hear(videos / name)
        assert heard.seconds == pytest.approx(SECONDS, abs=0.05)
        assert pitch_of(heard.samples) == pytest.approx(PITCH, abs=1)


def test_the_end_of_aac_is_cut_as_the_container_says_only_by_new_versions(
    ffmpeg: Ffmpeg,
) -> None:
    # The index says how much of the last packet is padding. ffmpeg 9.0 leaves that out; 5.1, as
    # 7.0.2 does, keeps it: 413 samples, and with them one frame more in what models hear.
    heard = len(hear(ROOT / "examples" / "talk.mp4").samples)
    trimmed, padded = 835_854, 836_267
    if ffmpeg.origin == "wheel":
        assert heard == trimmed
    elif ffmpeg.version and ffmpeg.version.startswith(("5.", "7.0.")):
        assert heard == padded
    else:
        assert heard in (trimmed, padded)


def test_tracks_are_told_apart(videos: Path) -> None:
    path = videos / "two-tracks.mkv"
    german, english = look(path).tracks
    assert (german.index, german.codec, german.language, german.channels) == (0, "flac", "ger", 1)
    assert (english.index, english.language, english.channels) == (1, "eng", 2)
    assert german.default
    assert not english.default
    assert pitch_of(hear(path, track=0).samples) == pytest.approx(300, abs=1)
    assert pitch_of(hear(path, track=1).samples) == pytest.approx(900, abs=1)


def test_best_track_is_the_default_else_the_one_with_most_channels(videos: Path) -> None:
    assert pitch_of(hear(videos / "two-tracks.mkv").samples) == pytest.approx(300, abs=1)
    assert pitch_of(hear(videos / "no-default.mkv").samples) == pytest.approx(900, abs=1)


def test_no_such_track_says_which_there_are(videos: Path) -> None:
    with pytest.raises(NoAudioTrack, match="audio tracks 0 to 1"):
        hear(videos / "two-tracks.mkv", track=2)
    with pytest.raises(NoAudioTrack, match="one audio track, 0"):
        hear(videos / "late-index.mp4", track=-1)
    assert look(videos / "silent.mp4").tracks == ()
    with pytest.raises(NoAudioTrack, match="no audio track in it"):
        hear(videos / "silent.mp4")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("s.wav", []),
        ("vbr.mp3", ["-q:a", "4"]),
        ("bare.mp3", ["-q:a", "4", "-write_xing", "0"]),
        ("s.aac", []),
        ("s.m4a", []),
        ("s.ogg", ["-c:a", "libvorbis"]),
        ("s.ts", ["-c:a", "aac"]),
        ("s.flac", []),
    ],
)
def test_start_and_end_are_exact(tmp_path: Path, name: str, options: list[str]) -> None:
    # Second k sounds at 300 + 100 k Hz, loud and soft in turn so that bit rates vary.
    steps = [tone(300 + 100 * k, 1, 44_100) * (1.5 if k % 2 else 0.3) for k in range(12)]
    write_wav(tmp_path / "steps.wav", np.concatenate(steps), 44_100)
    run_ffmpeg("-i", tmp_path / "steps.wav", *options, tmp_path / name)
    heard = hear(tmp_path / name, start=7, end=9.5)
    assert heard.seconds == 2.5
    assert heard.warnings == []
    for second, pitch in ((0, 1000), (1, 1100)):
        middle = heard.samples[
            int((second + 0.1) * SAMPLE_RATE) : int((second + 0.9) * SAMPLE_RATE)
        ]
        assert pitch_of(middle) == pytest.approx(pitch, abs=2)
    # The step from 1000 to 1100 Hz lies where it belongs, to 50 ms: bare.mp3 and s.aac cannot
    # say how long their encoder's own delay was.
    edges = heard.samples[int(0.80 * SAMPLE_RATE) : int(0.95 * SAMPLE_RATE)]
    assert pitch_of(edges) == pytest.approx(1000, abs=10)
    edges = heard.samples[int(1.05 * SAMPLE_RATE) : int(1.20 * SAMPLE_RATE)]
    assert pitch_of(edges) == pytest.approx(1100, abs=10)


@pytest.mark.parametrize("name", ["tone.mp3", "tone.aac"])
def test_start_beyond_the_end_is_an_empty_input(recordings: Path, name: str) -> None:
    with pytest.raises(EmptyInput, match="60 s, is beyond the end"):
        hear(recordings / name, start=60)


def test_end_beyond_the_end_reads_what_there_is(recordings: Path) -> None:
    heard = hear(recordings / "tone.flac", start=1, end=60)
    assert heard.seconds == pytest.approx(3, abs=0.01)
    assert heard.warnings == []


@pytest.mark.parametrize(
    ("start", "end"), [(-1, None), (2, 1), (1, 1), (float("nan"), None), (0, float("inf"))]
)
def test_times_that_make_no_sense(recordings: Path, start: float, end: float | None) -> None:
    with pytest.raises(UsageError):
        hear(recordings / "pcm.wav", start=start, end=end)


def test_sound_that_begins_late_stays_in_its_place(videos: Path) -> None:
    samples = hear(videos / "late.mkv").samples
    assert np.abs(samples[: int(1.45 * SAMPLE_RATE)]).max() < 1e-4
    assert np.abs(samples[int(1.55 * SAMPLE_RATE) :]).max() > 0.05
    assert len(samples) == pytest.approx(3.5 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left = 1.9 * tone(PITCH, 1)
    write_wav(tmp_path / "both.wav", np.stack([left, left], axis=1))
    write_wav(tmp_path / "left.wav", np.stack([left, 0 * left], axis=1))
    assert np.abs(hear(tmp_path / "both.wav").samples).max() == pytest.approx(0.95, abs=0.01)
    assert np.abs(hear(tmp_path / "left.wav").samples).max() == pytest.approx(0.475, abs=0.01)


def test_samples_match_the_file_exactly(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, SAMPLE_RATE * 2 + 123)
    heard = hear(write_wav(tmp_path / "noise.wav", samples)).samples
    expected = (samples * 32767).astype("<i2").astype(np.float32) / 32768
    np.testing.assert_allclose(heard, expected, atol=1e-6)


def test_samples_are_finite(tmp_path: Path) -> None:
    samples = tone(PITCH, 1).astype("<f4")
    samples[100], samples[200], samples[300] = np.nan, np.inf, -np.inf
    (tmp_path / "raw").write_bytes(samples.tobytes())
    raw = ["-f", "f32le", "-ar", "16000", "-i", tmp_path / "raw"]
    run_ffmpeg(*raw, "-c:a", "copy", tmp_path / "odd.wav")
    assert np.isfinite(hear(tmp_path / "odd.wav").samples).all()


@pytest.mark.parametrize("name", ["pcm.wav", "float.wav", "tone.mp3", "tone.flac", "tone.mkv"])
def test_truncated_recordings_are_used_with_a_warning(
    recordings: Path, tmp_path: Path, name: str
) -> None:
    whole = (recordings / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    heard = hear(tmp_path / name)
    assert 1 < heard.seconds < 3
    assert pitch_of(heard.samples[:SAMPLE_RATE]) == pytest.approx(PITCH, abs=1)
    [warning] = heard.warnings
    assert warning.startswith(
        f"{tmp_path / name}: this recording is cut off: {heard.seconds:.1f} s"
    )
    assert "of 4.0 s" in warning


def test_truncated_video(videos: Path, tmp_path: Path) -> None:
    whole = (videos / "early-index.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    heard = hear(tmp_path / "cut.mp4")
    assert 0.5 < heard.seconds < 3
    assert len(heard.warnings) == 1
    with pytest.raises(EmptyInput, match="cut off before the start"):
        hear(tmp_path / "cut.mp4", start=3.5)


def test_a_start_behind_the_sound_but_not_the_picture(videos: Path) -> None:
    with pytest.raises(EmptyInput, match=r"3\.5 s, is beyond the end of its sound, at 2\.0 s"):
        hear(videos / "short-sound.mkv", start=3.5)


def test_mp4_without_its_index(videos: Path, tmp_path: Path) -> None:
    whole = (videos / "late-index.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NotMedia, match=r"its index \(moov\) is missing"):
        hear(tmp_path / "cut.mp4")


def test_caf_without_its_index(videos: Path, tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    run_ffmpeg("-i", videos / "late-index.mp4", "-vn", "-c:a", "alac", tmp_path / "whole.caf")
    whole = (tmp_path / "whole.caf").read_bytes()
    (tmp_path / "cut.caf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NotMedia, match=r"its index \(pakt\) is missing"):
        hear(tmp_path / "cut.caf")


def test_sound_shorter_than_the_picture_is_no_damage(videos: Path) -> None:
    heard = hear(videos / "short-sound.mkv")
    assert heard.seconds == pytest.approx(2, abs=0.1)
    assert heard.warnings == []


def test_wav_that_never_knew_its_length(recordings: Path, tmp_path: Path) -> None:
    whole = bytearray((recordings / "pcm.wav").read_bytes())
    data = whole.index(b"data")
    for size in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"):
        whole[data + 4 : data + 8] = size
        (tmp_path / "piped.wav").write_bytes(whole)
        heard = hear(tmp_path / "piped.wav")
        assert heard.seconds == pytest.approx(SECONDS, abs=0.01)
        assert heard.warnings == []


@pytest.mark.parametrize("name", ["x.mp3", "x.flac", "x.wav", "x.mp4", "x.txt", "x.aac", "x"])
def test_what_is_no_media_says_so(tmp_path: Path, name: str) -> None:
    for content in (b"hello, world\n" * 40, bytes(range(7, 256)) * 20):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NotMedia, match=name):
            hear(tmp_path / name)


def test_a_picture_is_no_recording(tmp_path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x32", "-frames:v", "1", tmp_path / "p1.png")
    with pytest.raises(NotMedia):
        hear(tmp_path / "p1.png")


def test_warnings_are_python_warnings_unless_asked_for(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.mp3").write_bytes((recordings / "tone.mp3").read_bytes()[:8000])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in stream(as_file(tmp_path / "cut.mp3")):
            pass
    assert "cut off" in str(told[0].message)


def test_addresses_are_read(recordings: Path, site: Site) -> None:
    name = "a tone, ünïcode.mp3"
    (site.folder / name).write_bytes((recordings / "tone.mp3").read_bytes())
    heard = hear(f"{site.address}/{name}")
    assert heard.seconds == pytest.approx(SECONDS, abs=0.05)
    assert pitch_of(heard.samples) == pytest.approx(PITCH, abs=1)


def test_a_server_that_breaks_off_is_not_asked_for_ever(recordings: Path, site: Site) -> None:
    (site.folder / "tone.mp3").write_bytes((recordings / "tone.mp3").read_bytes())
    site.cut.add("/tone.mp3")
    heard = hear(f"{site.address}/tone.mp3")
    assert 1 < heard.seconds < 3
    assert "cut off" in heard.warnings[0]
    assert len(site.asked) < 10


def test_addresses_that_do_not_answer_say_why(site: Site) -> None:
    with pytest.raises(Unreachable, match="404"):
        hear(f"{site.address}/nothing.mp3")
    with pytest.raises(Unreachable, match="refused the connection"):
        hear("http://127.0.0.1:1/x.mp3")
    with pytest.raises(Unreachable, match="no such host"):
        hear("http://host.invalid/x.mp3")
    with pytest.raises(Unreachable) as caught:
        hear(f"{site.address.replace('http://', 'http://me:secret@')}/nothing.mp3?key=secret")
    assert "secret" not in str(caught.value)


def test_description_is_read_from_the_right_lines() -> None:
    # As ffmpeg 4 prints it: deeper indentation, programs out of order and repeated.
    info = read_report(
        "Input #0, mpegts, from 'input':\n"
        "  Duration: 01:02:03.50, start: 1.4, bitrate: N/A\n"
        "  Program 1 \n"
        "    Stream #0:2[0x102](fra): Audio: ac3 ([129][0][0][0] / 0x0081), 48000 Hz, 5.1(side),"
        " fltp, 384 kb/s\n"
        "    Stream #0:0[0x100]: Video: h264 (Main), yuv420p, 64x48, 25 fps\n"
        "  Program 2 \n"
        "    Stream #0:2[0x102](fra): Audio: ac3 ([129][0][0][0] / 0x0081), 48000 Hz, 5.1(side),"
        " fltp, 384 kb/s\n"
        "    Stream #0:1[0x101](und): Audio: aac (LC), 48000 Hz, 3 channels (FL+FR+LFE), fltp"
        " (default)\n"
        "    Metadata:\n"
        "      comment         : Stream #0:7: Audio: mp3, 1 Hz, mono\n"
    )
    assert info is not None
    assert info.duration == 3723.5
    assert info.video
    assert [(t.codec, t.channels, t.language, t.default) for t in info.tracks] == [
        ("aac", 3, None, True),
        ("ac3", 6, "fra", False),
    ]
    assert read_report("input: Invalid data found when processing input\n") is None


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    cover = [
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=32x32:duration=1",
        "-map",
        "0",
        "-map",
        "1",
        "-frames:v",
        "1",
    ]
    run_ffmpeg(*sine(PITCH, 2), *cover, "-c:v", "png", "-disposition:v", "attached_pic",
               tmp_path / "cover.mp3")  # fmt: skip
    assert not look(tmp_path / "cover.mp3").video
