"""Recordings as people have them, each with what is right about it: one row a situation.

Every sound is made of clicks, so that where something is heard is exact to the millisecond. All are
made by the tested ffmpeg or by hand, so that every ffmpeg decodes the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fls_models.core.constants import SAMPLE_RATE
from tests.cli.media_files import run_ffmpeg, write_wav

# Seconds of the two parts that most are made of, and when they click.
FIRST, SECOND = 3.0, 4.0
FIRST_CLICKS, SECOND_CLICKS = (1.0,), (1.0, 3.0)
JOINED = (1.0, FIRST + 1.0, FIRST + 3.0)


@dataclass(frozen=True)
class Situation:
    """`make` writes a file into a folder; the rest is what is right, in seconds.

    `kinds` are the flaws that must be told, and no others.
    """

    make: Callable[[Path], Path]
    seconds: float
    clicks: tuple[float, ...]
    kinds: tuple[str, ...] = ()
    close: float = 0.06
    # Where another ffmpeg is known to be wrong, and nothing helps.
    tested_ffmpeg_only: bool = False


def clicks(seconds: float, times: tuple[float, ...], channels: int = 1, on: int = 0) -> np.ndarray:
    """Tones of 50 ms that begin at `times`, on one channel of several."""
    samples = np.zeros((round(seconds * SAMPLE_RATE), channels))
    tone = 0.6 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE // 20) / SAMPLE_RATE)
    for time in times:
        begin = round(time * SAMPLE_RATE)
        samples[begin : begin + len(tone), on] = tone
    return samples


def heard_clicks(samples: np.ndarray) -> list[float]:
    """When clicks begin."""
    loud = np.flatnonzero(np.abs(samples) > 0.1 * max(np.abs(samples).max(), 1e-3))
    if not len(loud):
        return []
    begins = loud[np.r_[True, np.diff(loud) > 0.3 * SAMPLE_RATE]]
    return [float(begin) / SAMPLE_RATE for begin in begins]


def _wav(folder: Path, name: str, seconds: float, times: tuple[float, ...]) -> Path:
    return write_wav(folder / f"{name}.wav", clicks(seconds, times))


def part(folder: Path, number: int, name: str, *options: str) -> Path:
    """One of the two parts, encoded."""
    parts = [(FIRST, FIRST_CLICKS), (SECOND, SECOND_CLICKS)]
    wav = _wav(folder, f"part{number}", *parts[number - 1])
    run_ffmpeg("-i", wav, *options, folder / f"{number}-{name}")
    return folder / f"{number}-{name}"


def joined(
    name: str,
    first: tuple[str, ...] = (),
    second: tuple[str, ...] | None = None,
    shares: tuple[float, float] = (1.0, 1.0),
):
    """Two files written one behind the other, as with `cat`, or shares of their bytes."""

    def make(folder: Path) -> Path:
        parts = [
            part(folder, 1, name, *first),
            part(folder, 2, name, *(first if second is None else second)),
        ]
        whole = folder / name
        whole.write_bytes(
            b"".join(
                path.read_bytes()[: int(path.stat().st_size * share)]
                for path, share in zip(parts, shares, strict=True)
            )
        )
        return whole

    return make


def joined_kinds(first: str, second: str, between: bytes = b"") -> Callable[[Path], Path]:
    """Two files of different kinds, or with something between them, one behind the other."""

    def make(folder: Path) -> Path:
        options = {"m4a": ("-c:a", "aac"), "ogg": ("-c:a", "libopus"), "mkv": ("-c:a", "aac"),
                   "flv": ("-c:a", "libmp3lame", *RATE_44)}  # fmt: skip
        parts = [
            part(folder, number, f"both.{kind}", *options.get(kind, ()))
            for number, kind in ((1, first), (2, second))
        ]
        whole = folder / f"{first}-{second}.{first}"
        whole.write_bytes(between.join(path.read_bytes() for path in parts))
        return whole

    return make


def remuxed(name: str, make: Callable[[Path], Path], *options: str) -> Callable[[Path], Path]:
    """The packets of a recording in another container."""

    def again(folder: Path) -> Path:
        run_ffmpeg("-i", make(folder), "-c", "copy", *options, folder / name)
        return folder / name

    return again


def encoded(name: str, *options: str, before: tuple[str, ...] = (), seconds: float = 4.0):
    """One recording, `before` being options of its input."""

    def make(folder: Path) -> Path:
        wav = _wav(folder, "whole", seconds, (1.0, 3.0))
        run_ffmpeg(*before, "-i", wav, *options, folder / name)
        return folder / name

    return make


def late(name: str, *options: str) -> Callable[[Path], Path]:
    """Sound that begins two seconds after the picture."""

    def make(folder: Path) -> Path:
        wav = _wav(folder, "whole", 4.0, (1.0, 3.0))
        picture = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=10:duration=7"]
        run_ffmpeg(*picture, "-itsoffset", "2", "-i", wav, "-map", "0:v", "-map", "1:a", *options,
                   folder / name)  # fmt: skip
        return folder / name

    return make


def gap(name: str, *options: str, seconds: float = 5.0) -> Callable[[Path], Path]:
    """A recorder that lost so many seconds after the second one, and went on."""

    def make(folder: Path) -> Path:
        wav = _wav(folder, "whole", 4.0, (1.0, 3.0))
        shift = f"asetpts='PTS+if(gte(T,2),{seconds}/TB,0)'"
        run_ffmpeg("-i", wav, "-af", f"asetnsamples=800,{shift}", *options, folder / name)
        return folder / name

    return make


def astray(folder: Path) -> Path:
    """A few packets in the middle have times of ten minutes later."""
    whole = encoded("whole.flv", "-c:a", "libmp3lame", "-ar", "44100")(folder)
    data, at = bytearray(whole.read_bytes()), 13
    while at < len(data):
        time = int.from_bytes(data[at + 4 : at + 7], "big")
        if 2000 <= time < 2080:
            data[at + 4 : at + 7] = (time + 600_000).to_bytes(3, "big")
        at += 15 + int.from_bytes(data[at + 1 : at + 4], "big")
    (folder / "astray.flv").write_bytes(data)
    return folder / "astray.flv"


def channels(count: int, on: int, seconds: float = 4.0) -> Callable[[Path], Path]:
    """Many inputs of a recorder in one WAV that does not say what they are."""

    def make(folder: Path) -> Path:
        samples = clicks(seconds, (1.0, 3.0), count, on)
        return write_wav(folder / f"{count}.wav", samples)

    return make


def stereo(name: str, left: float, right: float) -> Callable[[Path], Path]:
    """The same voice on two sides at different strengths."""

    def make(folder: Path) -> Path:
        voice = clicks(12.0, tuple(np.arange(1.0, 12.0)))
        return write_wav(folder / name, np.concatenate([left * voice, right * voice], axis=1))

    return make


def edited_mp4(folder: Path) -> Path:
    """An MP4 cut without decoding: its edit list hides what comes before the cut."""
    whole = late("whole.mp4", "-c:v", "libx264", "-g", "10", "-c:a", "aac")(folder)
    run_ffmpeg("-ss", "2.5", "-i", whole, "-c", "copy", "-avoid_negative_ts", "disabled",
               folder / "edited.mp4")  # fmt: skip
    return folder / "edited.mp4"


def with_edits(*edits: tuple[float, float | None]) -> Callable[[Path], Path]:
    """An M4A of eight seconds with an edit list: seconds, and the media's time or None."""

    def make(folder: Path) -> Path:
        whole = encoded("el.m4a", *AAC, "-movflags", "+faststart", seconds=8.0)(folder)
        data = bytearray(whole.read_bytes())

        def value(box: bytes, at: int) -> int:
            found: int = struct.unpack_from(">I", data, data.index(box) + at)[0]
            return found

        movie, media = value(b"mvhd", 16), value(b"mdhd", 16)
        priming = value(b"elst", 16) / media
        listed = b"".join(
            struct.pack(
                ">IiI",
                round(seconds * movie),
                -1 if time is None else round((time + priming) * media),
                0x10000,
            )
            for seconds, time in edits
        )
        body = struct.pack(">II", 0, len(edits)) + listed
        elst = struct.pack(">I4s", 8 + len(body), b"elst") + body
        begin = data.index(b"edts") - 4
        old = struct.unpack_from(">I", data, begin)[0]
        data[begin : begin + old] = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
        more = 8 + len(elst) - old
        for box in (b"moov", b"trak"):
            at = data.index(box) - 4
            struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + more)
        chunks = data.index(b"stco")
        for number in range(struct.unpack_from(">I", data, chunks + 8)[0]):
            at = chunks + 12 + 4 * number
            struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + more)
        whole.write_bytes(data)
        return whole

    return make


def wav_with_size(size: int) -> Callable[[Path], Path]:
    """A WAV whose header tells so many bytes of sound."""

    def make(folder: Path) -> Path:
        data = bytearray(_wav(folder, "whole", 4.0, (1.0, 3.0)).read_bytes())
        at = data.index(b"data")
        data[at + 4 : at + 8] = struct.pack("<I", size)
        data[4:8] = struct.pack("<I", min(size + 36, 0xFFFFFFFF))
        (folder / "sized.wav").write_bytes(data)
        return folder / "sized.wav"

    return make


def wav_cut_header(folder: Path) -> Path:
    """An RF64 whose recorder crashed: its sizes were never filled in."""
    whole = encoded("big.wav", "-rf64", "always")(folder)
    data = bytearray(whole.read_bytes())
    at = data.index(b"ds64")
    data[at + 8 : at + 32] = bytes(24)
    whole.write_bytes(data)
    return whole


def holed(make: Callable[[Path], Path], *, zeros: bool) -> Callable[[Path], Path]:
    """A block in the middle is read as zeros, or is not there at all."""

    def damaged(folder: Path) -> Path:
        whole = make(folder)
        data = whole.read_bytes()
        begin, end = int(len(data) * 0.5), int(len(data) * 0.7)
        middle = bytes(end - begin) if zeros else b""
        whole.write_bytes(data[:begin] + middle + data[end:])
        return whole

    return damaged


def bad_blocks(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Two blocks are read as zeros."""

    def damaged(folder: Path) -> Path:
        whole = make(folder)
        data = bytearray(whole.read_bytes())
        for share in (0.2, 0.7):
            begin, end = int(len(data) * share), int(len(data) * (share + 0.1))
            data[begin:end] = bytes(end - begin)
        whole.write_bytes(data)
        return whole

    return damaged


def ends_in_zeros(make: Callable[[Path], Path], share: float = 0.6) -> Callable[[Path], Path]:
    """Room for a recording, of which only a share has come."""

    def unfinished(folder: Path) -> Path:
        whole = make(folder)
        data = whole.read_bytes()
        there = int(len(data) * share)
        whole.write_bytes(data[:there] + bytes(len(data) - there))
        return whole

    return unfinished


def subtitled(folder: Path) -> Path:
    """The last subtitle stands for longer than there is sound."""
    wav = _wav(folder, "whole", 4.0, (1.0, 3.0))
    (folder / "words.srt").write_text("1\n00:00:01,000 --> 00:00:30,000\nWords.\n")
    run_ffmpeg("-i", wav, "-i", folder / "words.srt", *AAC, folder / "subtitled.mkv")
    return folder / "subtitled.mkv"


def lost_packets(folder: Path) -> Path:
    """What a receiver missed, in whole packets."""
    whole = ticking("lost.ts", *AAC)(folder)
    data = whole.read_bytes()
    begin, end = (int(len(data) / 188 * share) * 188 for share in (0.5, 0.7))
    whole.write_bytes(data[:begin] + data[end:])
    return whole


def filmed(name: str, *options: str) -> Callable[[Path], Path]:
    """Twenty seconds of clicks under a picture."""

    def make(folder: Path) -> Path:
        wav = write_wav(folder / "filmed.wav", clicks(20.0, (1.0, 10.0, 19.0)))
        picture = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=20"]
        run_ffmpeg(*picture, "-i", wav, *options, folder / name)
        return folder / name

    return make


def ticking(name: str, *options: str) -> Callable[[Path], Path]:
    """Twenty seconds of noise with clicks that noise leaves alone: every byte is worth as much."""

    def make(folder: Path) -> Path:
        samples = clicks(20.0, (1.0, 17.0, 19.0))
        samples += np.random.default_rng(0).normal(0, 0.01, samples.shape)
        wav = write_wav(folder / "ticking.wav", samples)
        run_ffmpeg("-i", wav, *options, folder / name)
        return folder / name

    return make


def two_tracks(folder: Path) -> Path:
    """A screen recording: the desktop, silent and the default, then the microphone."""
    wav = _wav(folder, "whole", 4.0, (1.0, 3.0))
    run_ffmpeg("-f", "lavfi", "-t", "4", "-i", "anullsrc=r=48000:cl=stereo", "-i", wav,
               "-map", "0", "-map", "1", "-c:a", "aac", "-disposition:a:0", "default",
               "-disposition:a:1", "0", folder / "screen.mkv")  # fmt: skip
    return folder / "screen.mkv"


def cut(make: Callable[[Path], Path], share: float = 0.6) -> Callable[[Path], Path]:
    """What is there when a download, or a recorder, stopped."""

    def shorter(folder: Path) -> Path:
        whole = make(folder)
        short = folder / f"cut-{whole.name}"
        data = whole.read_bytes()
        short.write_bytes(data[: int(len(data) * share)])
        return short

    return shorter


AAC, OPUS = ("-c:a", "aac"), ("-c:a", "libopus")
NO_TAG = ("-write_xing", "0", "-id3v2_version", "0")
RATE_44, RATE_48 = ("-ar", "44100"), ("-ar", "48000")
MONO, STEREO = ("-ac", "1"), ("-ac", "2")
BOTH = FIRST + SECOND
FRAGMENTS = (*AAC, "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "1000000")
# As many bytes for silence as for sound.
STEADY: dict[str, tuple[str, ...]] = {
    "wav": (), "aiff": (), "au": (), "mp3": RATE_44, "mkv": ("-c:a", "pcm_s16le"),
    "webm": (*OPUS, "-vbr", "off", "-b:a", "64k"),
    "ogg": (*OPUS, "-vbr", "off", "-b:a", "64k", "-page_duration", "100000"),
    "flv": ("-c:a", "libmp3lame", *RATE_44), "rm": ("-c:a", "ac3"), "wma": ("-c:a", "wmav2"),
}  # fmt: skip

SITUATIONS: dict[str, Situation] = {
    # Rate, channels or codec change midway.
    "mp3: 44.1 then 48 kHz": Situation(
        joined("rate.mp3", (*RATE_44, *NO_TAG), (*RATE_48, *NO_TAG)), BOTH, JOINED, close=0.11
    ),
    "mp3: 48 then 22.05 kHz": Situation(
        joined("down.mp3", (*RATE_48, *NO_TAG), ("-ar", "22050", *NO_TAG)), BOTH, JOINED, close=0.11
    ),
    "mp3: stereo then mono": Situation(
        joined("mono.mp3", (*STEREO, *RATE_44, *NO_TAG), (*MONO, *RATE_44, *NO_TAG)),
        BOTH, JOINED, close=0.11,
    ),
    "aac: stereo then mono": Situation(
        joined("mono.aac", (*STEREO, *RATE_48), (*MONO, *RATE_48)), BOTH, JOINED, close=0.1
    ),
    "ac3: stereo then mono": Situation(
        joined("mono.ac3", (*STEREO, *RATE_48), (*MONO, *RATE_48)), BOTH, JOINED, close=0.1
    ),
    "ts: stereo then mono": Situation(
        remuxed("mono.ts", joined("m.ac3", (*STEREO, *RATE_48), (*MONO, *RATE_48))),
        BOTH, JOINED, close=0.1,
    ),
    "ts: 44.1 then 48 kHz": Situation(
        # ffmpeg 5.1 counts the times of the first part at the rate of the second.
        remuxed("rate.ts", joined("r.mp3", (*RATE_44, *NO_TAG), (*RATE_48, *NO_TAG))),
        BOTH, JOINED, close=0.11, tested_ffmpeg_only=True,
    ),
    # Parts joined, clocks that go back.
    "mp3 joined": Situation(joined("both.mp3"), BOTH, JOINED, close=0.15),
    "aac joined": Situation(joined("both.aac"), BOTH, JOINED, close=0.2),
    "amr joined": Situation(
        joined("both.amr", ("-ar", "8000", "-c:a", "libopencore_amrnb")), BOTH, JOINED, close=0.1
    ),
    "webm joined": Situation(
        joined("both.webm", (*OPUS, "-live", "1")), BOTH, JOINED
    ),
    "mkv joined": Situation(joined("both.mkv", AAC), BOTH, JOINED, close=0.2),
    "opus chained": Situation(joined("both.opus", OPUS), BOTH, JOINED),
    "mpg joined": Situation(
        joined("both.mpg", ("-c:a", "ac3")), BOTH, JOINED, ("clock",), close=0.1
    ),
    "ts joined": Situation(
        joined("both.ts", (*AAC, "-muxdelay", "0")), BOTH, JOINED, ("clock",), close=0.2
    ),
    **{
        f"{name} joined": Situation(joined(f"both.{name}", options), BOTH, JOINED, close=0.15)
        for name, options in {
            "wav": (), "aiff": (), "au": (), "caf": (), "flac": (), "m4a": AAC,
            "flv": ("-c:a", "libmp3lame", *RATE_44),
            "mp4": (*AAC, "-movflags", "frag_keyframe+empty_moov"),
            "tta": (), "wv": (), "wma": ("-c:a", "wmav2"), "rm": ("-c:a", "ac3"),
        }.items()
    },
    **{
        f"{name} joined, the first cut off": Situation(
            joined(f"both.{name}", options, shares=(0.6, 1.0)),
            5.8, (1.0, 2.8, 4.8), ("parts",), close=0.3,
        )
        for name, options in STEADY.items()
    },
    **{
        f"{name} joined, the second cut off": Situation(
            joined(f"both.{name}", options, shares=(1.0, 0.6)),
            5.4, (1.0, 4.0), ("cut off",), close=0.3,
        )
        for name, options in STEADY.items()
    },
    **{
        f"{first} joined with {second}": Situation(
            joined_kinds(first, second), BOTH, JOINED, close=0.2
        )
        for first, second in (
            ("mp3", "wav"), ("mp3", "ogg"), ("mp3", "m4a"), ("mp3", "aac"), ("aac", "mp3"),
            ("wav", "mp3"), ("wav", "ogg"), ("m4a", "mp3"), ("flac", "mp3"), ("mkv", "m4a"),
            ("ogg", "flac"), ("avi", "mp3"), ("wav", "ts"), ("m4a", "wv"), ("ogg", "ac3"),
            ("mp3", "au"), ("flv", "wav"), ("caf", "wav"),
        )
    },
    **{
        f"{name} joined, {what} between": Situation(
            joined_kinds(name, name, between), BOTH, JOINED, close=0.25
        )
        for name in ("m4a", "caf", "flv", "wav", "mp3")
        for what, between in (("zeros", bytes(5000)), ("a little", b"\xaa" * 300))
    },
    "avi joined, the first cut off": Situation(
        joined("both.avi", ("-c:a", "pcm_s16le"), shares=(0.6, 1.0)),
        5.8, (1.0, 2.8, 4.8), ("parts",), close=0.4,
    ),
    "flac that lacks its last second": Situation(
        cut(ticking("late.flac"), 0.97), 19.4, (1.0, 17.0, 19.0), ("cut off",), close=0.4
    ),
    "ts cut off in a packet": Situation(
        cut(ticking("full.ts", "-c:a", "mp2"), 0.6), 12.0, (1.0,), ("cut off",), close=0.4
    ),
    "wav joined, the second cut off": Situation(
        cut(joined("short.wav"), 0.9), 6.3, JOINED, ("cut off",)
    ),
    # Ends that came too early, and holes.
    **{
        f"{name} cut off": Situation(
            cut(ticking(f"full.{name}", *options)), 12.0, (1.0,), ("cut off",), close=0.4
        )
        for name, options in {
            "wav": (), "w64": (), "caf": (), "aiff": (), "au": (), "flac": (), "mp3": (),
            "mov": ("-c:a", "pcm_s16le", "-movflags", "+faststart"),
            "wma": ("-c:a", "wmav2", "-b:a", "128k"), "avi": ("-c:a", "pcm_s16le"),
            "ogg": STEADY["ogg"], "aac": AAC, "ac3": (), "mp2": (),
        }.items()
    },
    **{
        f"{name} {how}": Situation(
            holed(ticking(f"hole.{name}", *options), zeros=zeros),
            20.0, (1.0, 17.0, 19.0), ("damaged",), close=0.2,
        )
        for how, zeros in {"with a bad block": True, "without a block": False}.items()
        for name, options in {
            "mp3": ("-b:a", "64k"), "flac": (), "mkv": AAC, "ts": AAC, "opus": OPUS,
            "avi": ("-c:a", "libmp3lame", *RATE_44), "rm": ("-c:a", "ac3"), "mpg": ("-c:a", "mp2"),
        }.items()
    },
    "avi with a bad block and cut off": Situation(
        cut(holed(ticking("both.avi", "-c:a", "pcm_s16le"), zeros=True), 0.9),
        18.0, (1.0, 17.0), ("damaged", "cut off"), close=0.2,
    ),
    "avi of video with bad blocks": Situation(
        bad_blocks(filmed("film.avi", "-c:v", "mpeg4", "-c:a", "libmp3lame", *RATE_44)),
        20.0, (1.0, 10.0, 19.0), ("damaged", "damaged"), close=0.2,
    ),
    "ts that lost packets": Situation(lost_packets, 20.0, (1.0, 17.0, 19.0), ("damaged",),
                                      close=0.2),
    **{
        f"{name} with a bad block": Situation(
            holed(ticking(f"hole.{name}", *options), zeros=True),
            20.0, (1.0, 17.0, 19.0), ("damaged",), close=0.2,
        )
        for name, options in {
            "aac": (), "ac3": RATE_44, "eac3": (*RATE_48, "-b:a", "128k"), "mp2": (),
        }.items()
    },
    # A download whose room was made before, and one that stopped behind damage.
    **{
        f"{name} that ends in zeros": Situation(
            ends_in_zeros(ticking(f"full.{name}", *options)), 12.0, (1.0,), ("cut off",), close=0.4
        )
        for name, options in {
            "mp3": NO_TAG, "aac": (), "ogg": OPUS, "ts": AAC, "mpg": ("-c:a", "mp2"), "ac3": (),
            "mkv": AAC, "flac": (), "wma": ("-c:a", "wmav2"),
        }.items()
    },
    "avi of video that ends in zeros": Situation(
        ends_in_zeros(filmed("film.avi", "-c:v", "mpeg4", "-c:a", "libmp3lame", *RATE_44)),
        12.0, (1.0, 10.0), ("cut off",), close=0.9,
    ),
    "flv of video cut off": Situation(
        cut(filmed("film.flv", "-c:v", "flv", "-c:a", "libmp3lame", *RATE_44), 0.6),
        12.0, (1.0, 10.0), ("cut off",), close=0.9,
    ),
    **{
        f"{name} with a bad block and cut off": Situation(
            cut(holed(ticking(f"worse.{name}", *options), zeros=True), 0.9),
            18.0, (1.0, 17.0), ("damaged", "cut off"), close=0.3,
        )
        for name, options in {
            "mp3": ("-b:a", "64k"), "aac": (), "ogg": STEADY["ogg"], "ts": AAC,
        }.items()
    },
    "fragmented mp4 with a bad block": Situation(
        # ffmpeg reads up to it.
        holed(ticking("fragments.m4a", *FRAGMENTS), zeros=True),
        10.0, (1.0,), ("cut off",), close=1.1,
    ),
    "fragmented mp4 cut off": Situation(
        cut(ticking("fragments.m4a", *FRAGMENTS), 0.6), 12.0, (1.0,), ("cut off",), close=1.1
    ),
    "mkv whose subtitles go on": Situation(subtitled, 4.0, (1.0, 3.0), close=0.1),
    "avi that lost its index": Situation(
        cut(ticking("index.avi", "-c:a", "libmp3lame", *RATE_44), 0.98),
        20.0, (1.0, 17.0, 19.0), close=0.2,
    ),
    "silent default track": Situation(two_tracks, 4.0, (), ("silent",)),
    # Clocks that begin late, or run over.
    "opus at hours": Situation(
        encoded("hours.opus", *OPUS, "-output_ts_offset", "80000"), 4.0, (1.0, 3.0)
    ),
    "mkv at hours": Situation(
        encoded("hours.mkv", *AAC, "-output_ts_offset", "80000"), 4.0, (1.0, 3.0), close=0.1
    ),
    "flv at hours": Situation(
        encoded("hours.flv", "-c:a", "libmp3lame", *RATE_44, "-output_ts_offset", "80000"),
        4.0, (1.0, 3.0), close=0.1,
    ),
    "ts whose clock runs over": Situation(
        encoded("over.ts", *AAC, "-output_ts_offset", "95441.7"), 4.0, (1.0, 3.0), close=0.1
    ),
    # Sound after the picture.
    **{
        f"{name} late": Situation(late(f"late.{name}", *options), 6.0, (3.0, 5.0), close=0.15)
        for name, options in {
            "mkv": AAC, "mp4": AAC, "mov": AAC, "ts": AAC, "flv": ("-c:v", "flv", *RATE_44, *AAC),
            "vob": ("-r", "25", "-c:a", "ac3"),
            "mpg": ("-r", "25", "-c:a", "mp2"),
            "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
            "webm": ("-c:v", "libvpx", *OPUS),
            "ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
        }.items()
    },
    "amr that sends no silence": Situation(
        # It ends with what is not sent.
        encoded("dtx.amr", "-ar", "8000", "-c:a", "libopencore_amrnb", "-dtx", "1"),
        3.1, (1.0, 3.0), close=0.1,
    ),
    # Gaps.
    "mkv with a gap": Situation(gap("gap.mkv", *AAC), 9.0, (1.0, 8.0), ("gap",), close=0.15),
    "ts with a gap": Situation(gap("gap.ts", *AAC), 9.0, (1.0, 8.0), ("gap",), close=0.15),
    "mkv that jumps by hours": Situation(
        gap("jump.mkv", *AAC, seconds=20_000), 4.0, (1.0, 3.0), ("clock",), close=0.15
    ),
    "mkv with half an hour of nothing": Situation(
        gap("half.mkv", *AAC, seconds=1800), 1804.0, (1.0, 1803.0), ("gap",), close=0.15
    ),
    "flv with a few times astray": Situation(astray, 4.0, (1.0, 3.0), close=0.15),
    # Headers that do not know.
    "wav of size 0": Situation(wav_with_size(0), 4.0, (1.0, 3.0)),
    "wav of size -1": Situation(wav_with_size(0xFFFFFFFF), 4.0, (1.0, 3.0)),
    "wav of size 2 GB": Situation(wav_with_size(0x7FFFFFFF - 36), 4.0, (1.0, 3.0)),
    "wav shorter than it is": Situation(wav_with_size(32_000), 4.0, (1.0, 3.0)),
    "rf64 never finished": Situation(wav_cut_header, 4.0, (1.0, 3.0)),
    "rf64": Situation(encoded("big.wav", "-rf64", "always"), 4.0, (1.0, 3.0)),
    "w64": Situation(encoded("big.w64"), 4.0, (1.0, 3.0)),
    "fragmented mp4": Situation(
        encoded("frag.mp4", *AAC, "-movflags", "frag_keyframe+empty_moov"),
        4.0, (1.0, 3.0), close=0.1,
    ),
    "live webm": Situation(encoded("live.webm", *OPUS, "-live", "1"), 4.0, (1.0, 3.0)),
    "live webm, cut off": Situation(
        cut(encoded("broken.webm", *OPUS, "-live", "1"), 0.6), 3.0, (1.0,), ("cut off",), close=0.2
    ),
    "mp4 with an edit list": Situation(edited_mp4, 3.5, (0.5, 2.5), close=0.15),
    "m4a with an empty edit": Situation(
        with_edits((2.0, 0.0), (2.0, None), (5.5, 2.5)), 9.5, (1.0, 4.5), ("gap",), close=0.1
    ),
    "m4a of which an edit leaves out the end": Situation(
        with_edits((2.0, 0.0), (1.0, None), (3.0, 2.5)), 6.0, (1.0, 3.5), ("gap",), close=0.1
    ),
    "m4a that begins with an empty edit": Situation(
        with_edits((2.0, None), (8.0, 0.0)), 10.0, (3.0, 5.0), close=0.1
    ),
    "vbr mp3 without a header": Situation(
        encoded("vbr.mp3", "-q:a", "5", "-write_xing", "0"), 4.0, (1.0, 3.0), close=0.15
    ),
    # The mix.
    "polarity turned on one side": Situation(
        stereo("turned.wav", 1.0, -1.0), 12.0, tuple(np.arange(1.0, 12.0))
    ),
    "one side 40 dB down": Situation(
        stereo("down.wav", 0.0, 0.01), 12.0, tuple(np.arange(1.0, 12.0))
    ),
    **{
        f"{count} inputs, the voice on {on + 1}": Situation(channels(count, on), 4.0, (1.0, 3.0))
        for count, on in [(4, 3), (6, 3), (8, 3), (9, 0), (10, 9), (12, 5), (24, 23), (60, 0)]
    },
}  # fmt: skip
