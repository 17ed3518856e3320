"""Files as recorders, downloads and `cat` leave them, made of clicks, whose times are exact.

All are made by the tested ffmpeg or by hand, so that every ffmpeg decodes the same bytes. What is
right about them is in `situations`.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fls_models.core.constants import SAMPLE_RATE
from tests.cli.media_files import run_ffmpeg, write_wav

# Seconds of the two parts that most are made of, and when they click.
FIRST, SECOND = 3.0, 4.0
FIRST_CLICKS, SECOND_CLICKS = (1.0,), (1.0, 3.0)

AAC = ("-c:a", "aac")
RATE_44 = ("-ar", "44100")


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


def inserted(folder: Path) -> Path:
    """A podcast into whose middle an advertisement was put, each with a header of its own."""
    options = ("-id3v2_version", "0", "-reservoir", "0")
    data = ticking("whole.mp3", *options)(folder).read_bytes()
    advertisement = part(folder, 2, "advertisement.mp3", *options)
    frame = data.index(data[:2], len(data) // 2)
    whole = folder / "podcast.mp3"
    whole.write_bytes(data[:frame] + advertisement.read_bytes() + data[frame:])
    return whole


def joined_kinds(
    *kinds: str, between: bytes = b"", shares: tuple[float, ...] = (), film: str = "7"
) -> Callable[[Path], Path]:
    """Files of different kinds, or with something between them, or shares of their bytes.

    A kind with `film.` before it has a picture of `film` seconds.
    """
    # As many bytes for silence as for sound.
    options = {"m4a": AAC, "ogg": ("-c:a", "libopus", "-vbr", "off"), "mkv": AAC, "mov": AAC,
               "flv": ("-c:a", "libmp3lame", *RATE_44), "wma": ("-c:a", "wmav2"), "mp4": AAC,
               "avi": ("-c:a", "pcm_s16le"), "ts": ("-c:a", "mp2"),
               "rm": ("-c:a", "ac3")}  # fmt: skip
    picture = ("-f", "lavfi", "-i", f"testsrc=size=16x16:rate=10:duration={film}")

    def make(folder: Path) -> Path:
        whole = folder / f"{'-'.join(kinds)}.{kinds[0].rpartition('.')[2]}"
        with whole.open("wb") as file:
            for place, kind in enumerate(kinds):
                name = kind.removeprefix("film.")
                before = picture if name != kind else ()
                encoding = (*before, *options.get(name, ()))
                data = part(folder, place % 2 + 1, f"{place}.{name}", *encoding).read_bytes()
                share = shares[place] if shares else 1.0
                file.write((between if place else b"") + data[: int(len(data) * share)])
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


def twice(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """The same recording again behind itself."""

    def again(folder: Path) -> Path:
        whole = make(folder)
        whole.write_bytes(2 * whole.read_bytes())
        return whole

    return again


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


def big_endian_wav(
    written: str,
    form: int,
    size: int,
    *,
    extensible: bool = False,
    behind: int = 0,
    number: int = 1,
) -> Callable[[Path], Path]:
    """A RIFX, as sox -B writes it, of samples of `size` bytes; a RIFF comes first where `behind`.

    `written` is ffmpeg's name for the samples, `form` the header's number for them.
    """

    def make(folder: Path) -> Path:
        raw = part(folder, number, "raw.raw", "-f", written, "-ar", "16000").read_bytes()
        head = struct.pack(">HHIIHH", 0xFFFE if extensible else form, 1, 16_000, 16_000 * size,
                           size, 8 * size)  # fmt: skip
        if extensible:
            head += struct.pack(">HHIH14x", 22, 8 * size, 4, form)
        chunks = b"fmt " + struct.pack(">I", len(head)) + head
        chunks += b"data" + struct.pack(">I", len(raw)) + raw
        first = part(folder, 1, "first.wav").read_bytes() if behind else b""
        rifx = b"RIFX" + struct.pack(">I", 4 + len(chunks)) + b"WAVE" + chunks
        (folder / "big.wav").write_bytes(first + rifx)
        return folder / "big.wav"

    return make


def wav_cut_header(folder: Path) -> Path:
    """An RF64 whose recorder crashed: its sizes were never filled in."""
    whole = encoded("big.wav", "-rf64", "always")(folder)
    data = bytearray(whole.read_bytes())
    at = data.index(b"ds64")
    data[at + 8 : at + 32] = bytes(24)
    whole.write_bytes(data)
    return whole


def wav_in_chunks(folder: Path) -> Path:
    """Its samples are in three chunks, with a list between two of them."""
    data = _wav(folder, "whole", 6.0, (1.0, 3.0, 5.0)).read_bytes()
    at = data.index(b"data") + 8
    third = (len(data) - at) // 6 * 2
    chunks = [data[at : at + third], data[at + third : at + 2 * third], data[at + 2 * third :]]
    first, second, last = (b"data" + struct.pack("<I", len(one)) + one for one in chunks)
    content = data[8 : at - 8] + first + b"LIST" + struct.pack("<I", 4) + b"INFO" + second + last
    path = folder / "chunks.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    return path


def holed(
    make: Callable[[Path], Path], *, zeros: bool, share: float = 0.2
) -> Callable[[Path], Path]:
    """A block in the middle is read as zeros, or is not there at all."""

    def damaged(folder: Path) -> Path:
        whole = make(folder)
        data = whole.read_bytes()
        begin, end = int(len(data) * 0.5), int(len(data) * (0.5 + share))
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


def tagged(make: Callable[[Path], Path], size: int) -> Callable[[Path], Path]:
    """With an ID3v2 tag in front of it, as taggers write them for any kind."""

    def made(folder: Path) -> Path:
        whole = make(folder)
        tag = b"ID3\4\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)
        whole.write_bytes(tag + whole.read_bytes())
        return whole

    return made


def ends_in_zeros(make: Callable[[Path], Path], share: float = 0.6) -> Callable[[Path], Path]:
    """Room for a recording, of which only a share has come."""

    def unfinished(folder: Path) -> Path:
        whole = make(folder)
        data = whole.read_bytes()
        there = int(len(data) * share)
        whole.write_bytes(data[:there] + bytes(max(8192, len(data) - there)))
        return whole

    return unfinished


def without_page(make: Callable[[Path], Path], *, zeros: bool) -> Callable[[Path], Path]:
    """An Ogg file without its last page but one, or with zeros in the last one."""

    def damaged(folder: Path) -> Path:
        whole = make(folder)
        data = bytearray(whole.read_bytes())
        *_, before, last = (match.start() for match in re.finditer(b"OggS", data))
        if zeros:
            data[last + 60 : last + 80] = bytes(20)
        else:
            del data[before:last]
        whole.write_bytes(data)
        return whole

    return damaged


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


def pausing(name: str, *options: str) -> Callable[[Path], Path]:
    """The same, of which a recorder left out half a second of each five."""
    return ticking(name, "-af", "aselect='not(between(mod(t,5),3,3.5))'", *options)


def fragments(
    name: str, make: Callable[[Path], Path], *order: int, every: int = 0
) -> Callable[[Path], Path]:
    """Those of an MP4 as a recorder of a stream may have met them, counted from 0.

    The header stands before the first, and again before `every` so many.
    """

    def mixed(folder: Path) -> Path:
        data = make(folder).read_bytes()
        begin = data.index(b"moof") - 4
        pieces = [b"\0\0" + piece for piece in re.split(rb"(?s)\0\0(?=..moof)", data)[1:]]
        pieces[-1] = pieces[-1].split(b"mfra")[0][:-4]
        with (folder / name).open("wb") as file:
            for place, number in enumerate(order):
                if place == 0 or (every and place % every == 0):
                    file.write(data[:begin])
                file.write(pieces[number])
        return folder / name

    return mixed


def without_header(make: Callable[[Path], Path], number: int) -> Callable[[Path], Path]:
    """Of an MP4 whose header is repeated, one of them, counted from 0, is overwritten."""

    def damaged(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        at = [match.start() for match in re.finditer(b"ftyp", data)][number]
        data[at : at + 4] = b"\xff\0\x12\x99"
        path.write_bytes(data)
        return path

    return damaged


def cut_in_index(make: Callable[[Path], Path], size: int) -> Callable[[Path], Path]:
    """Of an MP4 in fragments so many bytes of the last one's index, and nothing behind them."""

    def damaged(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: data.rindex(b"moof") - 4 + size])
        return path

    return damaged


def piped(form: str, *options: str) -> Callable[[Path], Path]:
    """Written to a pipe, so that no header says how long it became."""

    def make(folder: Path) -> Path:
        place = folder / f"piped.{form}"
        wav = _wav(folder, "piped", 4.0, (1.0, 3.0))
        with (
            open(place, "wb") as file,
            subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file) as reader,
        ):
            run_ffmpeg("-i", wav, *options, "-f", form, "pipe:1", stdout=reader.stdin)
        return place

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
