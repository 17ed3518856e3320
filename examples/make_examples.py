"""Make every recording in this folder from its text.

What it needs, beside Python 3.11 and the folder itself:

    pip install hibari-tts==0.2.1 imageio-ffmpeg pillow
    apt-get install flite

    python examples/make_examples.py                 # writes over the recordings here
    python examples/make_examples.py --out /tmp/new  # writes them elsewhere, to compare

hibari-tts reads most of the texts and carries its voice inside the package; flite, a much older and
plainer synthesiser, is a second speaker that shares nothing with the first. Nothing is downloaded.

The noise in the voice is seeded, the encoders run bit-exact and on one thread, and nothing writes
a date. On one machine, two runs give the same bytes; on another processor or with other versions
the last bits of a sample may differ, what is said does not.
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from hibari import Hibari
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Samples = NDArray[np.float32]

HERE = Path(__file__).resolve().parent
RATE = 24_000  # hibari's own; everything is brought to it
LOUDNESS = 0.08  # root mean square of every utterance, so that the voices are equally loud
PARAGRAPH_PAUSE = 0.7  # seconds of silence after each paragraph of one speaker
TURN_PAUSE = 0.35  # and where another speaker answers


@dataclass(frozen=True)
class Voice:
    """`depth` above 1 lowers hibari's one voice until it is somebody else's: the text is spoken
    faster by that factor and then played back slower, which also lengthens the throat."""

    engine: str = "hibari"
    speed: float = 1.0
    depth: float = 1.0


WOMAN = Voice()
LECTURER = Voice(speed=0.94)
MAN = Voice(depth=1.22)
FLITE = Voice(engine="flite", speed=0.95)

MP3 = ("-c:a", "libmp3lame", "-b:a", "56k")
AAC = ("-c:a", "aac", "-b:a", "56k", "-movflags", "+faststart")
OPUS = ("-c:a", "libopus", "-b:a", "32k")


@dataclass(frozen=True)
class Recording:
    """One media file: where its words are, who says them, how it is encoded.

    A paragraph that begins with a name of the cast and a colon is said by that speaker; `voice`
    says all others.
    """

    media: str
    text: str
    codec: tuple[str, ...]
    title: str
    voice: Voice = WOMAN
    cast: Mapping[str, Voice] = field(default_factory=dict)


RECORDINGS = (
    Recording("lecture.mp3", "lecture.txt", MP3, "Streets first, then parks", LECTURER),
    Recording(
        "podcasts/bread-and-time.mp3",
        "texts/bread-and-time.txt",
        MP3,
        "Small Trades: Bread and time",
        cast={"Anna": WOMAN, "Martin": MAN},
    ),
    Recording(
        "podcasts/night-train.opus",
        "texts/night-train.txt",
        OPUS,
        "Notes from the Road: The night train",
        MAN,
    ),
    Recording(
        "podcasts/season-2/bees-on-the-roof.m4a",
        "texts/bees-on-the-roof.txt",
        AAC,
        "Small Trades: Bees on the roof",
        cast={"Anna": WOMAN, "Peter": FLITE},
    ),
)

# The samples keep their words in the JSON lines that the benchmarks read.
SAMPLES: Mapping[str, Mapping[str, Voice]] = {
    "qa-sample": {"harbor-clock.opus": WOMAN, "market-day.opus": MAN},
    "asr-sample": {"ferry.opus": WOMAN, "journey.opus": FLITE},
}

# One slide for each paragraph of texts/talk.txt: a heading, a line below it, and how many of a
# hundred squares are filled.
SLIDES = (
    ("A library of tools", "Daniel Price, West Harbor", 0),
    ("One drill, 46 homes", "340 tools on the shelf today", 46),
    ("Two rules", "Seven days. No fines.", 7),
    ("Owning things together", "Thank you", 100),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the example recordings from their texts.")
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER")
    out: Path = parser.parse_args().out
    for recording in RECORDINGS:
        text = (HERE / recording.text).read_text(encoding="utf-8")
        speech = join(speak(text, recording.voice, recording.cast))
        save(speech, out / recording.media, recording.codec, recording.title)
    for folder, voices in SAMPLES.items():
        for line in (HERE / folder / "sample.jsonl").read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            speech = join(speak(item["text"], voices[item["audio"]], {}))
            save(speech, out / folder / item["audio"], OPUS, Path(item["audio"]).stem)
    save_talk(out / "talk.mp4")


# Speech


def speak(text: str, voice: Voice, cast: Mapping[str, Voice]) -> list[Samples]:
    """The paragraphs of a text as speech, each with the pause that follows it."""
    turns: list[tuple[Voice, str]] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        name, colon, words = paragraph.partition(": ")
        turns.append((cast[name], words) if colon and name in cast else (voice, paragraph))
    spoken: list[Samples] = []
    for index, (speaker, words) in enumerate(turns):
        following = turns[index + 1][0] if index + 1 < len(turns) else speaker
        pause = PARAGRAPH_PAUSE if following == speaker else TURN_PAUSE
        spoken.append(join([say(words, speaker), silence(pause)]))
    return spoken


def say(words: str, voice: Voice) -> Samples:
    speech = with_flite(words, voice) if voice.engine == "flite" else with_hibari(words, voice)
    louder: Samples = speech * (LOUDNESS / np.sqrt(np.mean(speech**2)))
    return louder.clip(-0.98, 0.98)


def with_hibari(words: str, voice: Voice) -> Samples:
    speech: Samples = hibari()(words, speed=voice.speed * voice.depth, seed=0)
    return resample(speech, round(RATE / voice.depth)) if voice.depth != 1 else speech


@cache
def hibari() -> Hibari:
    return Hibari()


def with_flite(words: str, voice: Voice) -> Samples:
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "speech.wav")
        stretch = f"duration_stretch={1 / voice.speed:.3f}"
        run("flite", "-voice", "rms", "--setf", stretch, "-t", words, "-o", str(wav))
        return decode(wav.read_bytes(), "-f", "wav")


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def join(parts: list[Samples]) -> Samples:
    return np.concatenate(parts)


# Encoding


def run(*command: str, given: bytes = b"") -> bytes:
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout


def ffmpeg(*arguments: str, given: bytes = b"") -> bytes:
    program: str = imageio_ffmpeg.get_ffmpeg_exe()
    return run(program, "-hide_banner", "-loglevel", "error", "-y", *arguments, given=given)


def decode(media: bytes, *form: str) -> Samples:
    pcm = ffmpeg(
        *form, "-i", "pipe:0", "-f", "f32le", "-ac", "1", "-ar", str(RATE), "pipe:1", given=media
    )
    return np.frombuffer(pcm, np.float32)


def resample(speech: Samples, rate: int) -> Samples:
    return decode(speech.tobytes(), "-f", "f32le", "-ar", str(rate), "-ac", "1")


def save(
    speech: Samples,
    path: Path,
    codec: tuple[str, ...],
    title: str,
    pictures: tuple[str, ...] = (),
) -> None:
    """Encode speech, and pictures if there are any, without a date or the encoder's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ffmpeg(
        *("-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "pipe:0"),
        *pictures,
        *codec,
        *("-fflags", "+bitexact", "-flags", "+bitexact", "-threads", "1"),
        *("-metadata", f"title={title}", str(path)),
        given=speech.tobytes(),
    )
    print(f"{path}  {len(speech) / RATE:.1f} s, {path.stat().st_size / 1000:.0f} kB")


# The video


def save_talk(path: Path) -> None:
    """One still picture for each paragraph, as long as the paragraph is."""
    paragraphs = speak((HERE / "texts/talk.txt").read_text(encoding="utf-8"), MAN, {})
    with tempfile.TemporaryDirectory() as folder:
        pictures: list[str] = []
        for number, (slide, paragraph) in enumerate(zip(SLIDES, paragraphs, strict=True)):
            still = Path(folder, f"{number}.png")
            draw(*slide).save(still)
            seconds = f"{len(paragraph) / RATE:.3f}"
            pictures += ["-loop", "1", "-framerate", "10", "-t", seconds, "-i", str(still)]
        inputs = "".join(f"[{number + 1}:v]" for number in range(len(SLIDES)))
        pictures += ["-filter_complex", f"{inputs}concat=n={len(SLIDES)},format=yuv420p[v]"]
        pictures += ["-map", "0:a", "-map", "[v]", "-c:v", "libx264", "-crf", "26"]
        save(join(paragraphs), path, AAC, "A library of tools", tuple(pictures))


def draw(heading: str, line: str, filled: int) -> Image.Image:
    """A slide: two lines of text over a row of a hundred small squares, some of them filled."""
    picture = Image.new("RGB", (640, 360), "#1d2b3a")
    pen = ImageDraw.Draw(picture)
    pen.text((40, 80), heading, fill="#f4f1e8", font=ImageFont.load_default(44))
    pen.text((40, 145), line, fill="#f2b84b", font=ImageFont.load_default(24))
    for square in range(100):
        x, y = 40 + square % 25 * 22, 220 + square // 25 * 22
        pen.rectangle((x, y, x + 16, y + 16), fill="#f2b84b" if square < filled else "#31455a")
    return picture


if __name__ == "__main__":
    main()
