"""Documents as one recording: each speaker of a document has a voice, with pauses between lines.

Voices are given from outside; files are others' work. Samples are (n,) float32 at 16 kHz.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from fls_models.core.constants import SAMPLE_RATE
from fls_models.training.data import augmentation as distortions
from fls_models.training.data.augmentation import Distortion, Samples
from fls_models.training.data.clips import Cast, Saying, Voice
from fls_models.training.data.documents import Document

# Seconds between lines of one speaker, of two, and of two documents.
_GAPS, _TURNS, _BETWEEN = (0.2, 0.6), (0.3, 0.9), (1.0, 2.0)
# How often another voice is looked for, so that two speakers do not sound alike.
_DRAWS = 8


@dataclass(frozen=True)
class Part:
    """A document within a recording.

    Attributes:
        start, end: seconds.
        lines: indices of the document's lines that were said.
        voices: names, in the order in which they begin to speak.
    """

    source: str
    start: float
    end: float
    lines: tuple[int, ...]
    voices: tuple[str, ...]
    distortion: Distortion | None = None


@dataclass(frozen=True, eq=False)
class SpokenRecording:
    """Samples of all documents that went into it, and where they are.

    `dropped` are those that would have made it longer than allowed, or that no voice could say.
    """

    samples: Samples
    parts: tuple[Part, ...]
    dropped: tuple[str, ...]


def speak_recording(
    documents: Sequence[Document], cast: Cast, seed: str, *, max_seconds: float, distorts: bool
) -> SpokenRecording:
    """Speaks documents one after the other, for `max_seconds` at most; a document is said whole
    or not at all, but for lines that no voice can say.

    The same for the same arguments.

    Raises EnvironmentLacks when voices fail again and again.
    """
    samples: list[Samples] = []
    parts: list[Part] = []
    dropped: list[str] = []
    length = 0
    for at, document in enumerate(documents):
        rng = Random(f"{seed} {at} {document.source}")
        gap = _pause(rng.uniform(*_BETWEEN)) if parts else _pause(0.3)
        speech, lines, voices = _document(document, cast, rng)
        end = length + len(gap) + len(speech)
        if not lines or end > max_seconds * SAMPLE_RATE:
            dropped.append(document.source)
            continue
        distortion = None
        if distorts:
            generator = np.random.default_rng(rng.getrandbits(64))
            distortion = distortions.draw(generator)
            speech = distortions.apply(speech, distortion, generator)
        start = (length + len(gap)) / SAMPLE_RATE
        parts.append(
            Part(document.source, start, end / SAMPLE_RATE, tuple(lines), voices, distortion)
        )
        samples += [gap, speech]
        length = end
    return SpokenRecording(
        np.concatenate([*samples, _pause(0)]).clip(-1, 1), tuple(parts), tuple(dropped)
    )


def _document(
    document: Document, cast: Cast, rng: Random
) -> tuple[Samples, list[int], tuple[str, ...]]:
    voices: dict[str, Voice] = {}
    parts: list[Samples] = []
    indices: list[int] = []
    saying, before = Saying(), ""
    for index, line in enumerate(document.lines):
        if line.speaker not in voices:
            voices[line.speaker] = _somebody_else(cast, rng, list(voices.values()))
        voice = voices[line.speaker]
        samples = saying(voice, line.text, rng)
        if not len(samples):
            continue
        if indices:
            parts.append(_pause(rng.uniform(*(_GAPS if line.speaker == before else _TURNS))))
        parts.append(samples)
        indices.append(index)
        before = line.speaker
    speaking = dict.fromkeys(document.lines[index].speaker for index in indices)
    names = tuple(voices[speaker].name for speaker in speaking)
    return np.concatenate([*parts, _pause(0)]), indices, names


def _somebody_else(cast: Cast, rng: Random, voices: Sequence[Voice]) -> Voice:
    """A voice whose name begins with another word than those of these, if there is one."""
    names = {voice.name.split()[0] for voice in voices}
    voice = cast(rng)
    for _ in range(_DRAWS):
        if voice.name.split()[0] not in names:
            break
        voice = cast(rng)
    return voice


def _pause(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
