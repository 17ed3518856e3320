"""Speech synthesis by packages and programs: what each is told, and the sound it gives back.

A `Say` speaks a text at a pace. An opener gives those of one package or program by their speakers'
names; who of them speaks, and how, is others' work (`voices`).
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import tempfile
import wave
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from fls_models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Speech = tuple[NDArray[np.float32], int]
    """Samples (n,) in -1..1 and their rate."""

_TIMEOUT = 60.0
# Those of flite and festival speak 16 kHz or less well enough; all are English.
_FLITE = ("slt", "rms", "awb", "kal16")
_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
_TIMBRES = re.compile(
    r"!v/(m[1-8]|f[1-5]|adam|annie|alicia|andy|aunty|belinda|benjamin|boris|caleb|david|ed|"
    r"grandma|grandpa|gustave|john|linda|max|michael|paul|rob|shelby|steph|travis|victor|zac)\b",
    re.IGNORECASE,
)

Say = Callable[[str, float, int], "Speech"]
"""Speaks a text at a pace, with a seed."""


def hibari(value: str) -> Mapping[str, Say]:
    from hibari import Hibari

    voice = Hibari()

    def say(text: str, pace: float, seed: int) -> Speech:
        return voice(text, speed=pace, seed=seed), 24_000

    return {"heart": say}


def piper(value: str) -> Mapping[str, Say]:
    import numpy as np
    from piper import PiperVoice, SynthesisConfig

    file = Path(value)
    if not (file.is_file() and Path(f"{file}.json").is_file()):
        raise UsageError(f"--voices piper={value}: there is no {file} with a {file.name}.json.")
    voice = PiperVoice.load(file)

    def say(speaker: int | None, text: str, pace: float, seed: int) -> Speech:
        # Its noise cannot be seeded; without, the same text gives the same speech.
        config = SynthesisConfig(
            speaker_id=speaker, length_scale=1 / pace, noise_scale=0.0, noise_w_scale=0.0
        )
        chunks = [chunk.audio_float_array for chunk in voice.synthesize(text, config)]
        return np.concatenate(chunks).astype(np.float32), voice.config.sample_rate

    speakers = range(voice.config.num_speakers)
    if len(speakers) > 1:
        return {f"{file.stem}/{speaker}": partial(say, speaker) for speaker in speakers}
    return {file.stem: partial(say, None)}


def flite(value: str) -> Mapping[str, Say]:
    listed = _output(["flite", "-lv"]).decode(errors="replace").split()
    names = [name for name in _FLITE if name in listed] or ["kal"]

    def say(name: str, text: str, pace: float, seed: int) -> Speech:
        options = ["-voice", name, "--setf", f"duration_stretch={1 / pace:.3f}"]
        return _samples(_output(["flite", *options, "-t", text, "-o", "/dev/stdout"]))

    return {name: partial(say, name) for name in names}


def espeak(value: str) -> Mapping[str, Say]:
    listed = _output(["espeak-ng", "--voices=variant"]).decode(errors="replace")
    timbres = sorted({match[1] for match in _TIMBRES.finditer(listed)}) or ["m1", "f1"]

    def say(voice: str, text: str, pace: float, seed: int) -> Speech:
        pitch = Random(voice).randrange(30, 75)
        options = ["-v", voice, "-s", str(round(165 * pace)), "-p", str(pitch)]
        return _samples(_output(["espeak-ng", *options, "--stdin", "--stdout"], text))

    voices = [f"{accent}+{timbre}" for accent in _ACCENTS for timbre in timbres]
    return {voice: partial(say, voice) for voice in voices}


def festival(value: str) -> Mapping[str, Say]:
    def say(text: str, pace: float, seed: int) -> Speech:
        duration = f"(Parameter.set 'Duration_Stretch {1 / pace:.3f})"
        # Into a pipe it writes a header that says there is nothing.
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            _output(["text2wave", "-eval", duration, "-F", "16000", "-o", file.name], text)
            return _samples(Path(file.name).read_bytes())

    return {"default": say}


def _samples(content: bytes) -> Speech:
    """A WAV file, of which the sizes may be larger than it is."""
    import numpy as np

    with wave.open(io.BytesIO(content)) as file:
        if file.getsampwidth() != 2:
            raise ValueError(f"samples of {file.getsampwidth()} bytes")
        pcm = np.frombuffer(file.readframes(2**31 - 1), "<i2").reshape(-1, file.getnchannels())
        return pcm.mean(1, dtype=np.float32) / np.float32(32768), file.getframerate()


def _output(command: Sequence[str], text: str = "") -> bytes:
    process = subprocess.run(
        command,
        input=text.encode(),
        capture_output=True,
        timeout=_TIMEOUT,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=False,
    )
    if process.returncode == -signal.SIGINT:
        # The child heard Ctrl-C before this process did.
        raise KeyboardInterrupt
    if process.returncode:
        stderr = process.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(
            f"{command[0]} left with {process.returncode}" + (f": {stderr[-1]}" if stderr else "")
        )
    return process.stdout
