"""Documents to clips: which sentences are said together, by which voices, for at most 29.5 s.

A document is cut into spans of some forty sentences; a span into clips, one after the other.
How much fits into a clip is known only when it was spoken, so a clip begins where the one before it
ended, and nothing else of that one matters: whoever knows where it ended can go on. Voices are
given from outside; files are others' work.

Samples are (n,) float32 at 16 kHz.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import numpy as np

from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import EnvironmentLacks
from fls_models.training.data import augmentation as distortions
from fls_models.training.data.augmentation import Distortion, Samples
from fls_models.training.data.documents import Document, Line

LONGEST = 29.5
"""Seconds. Encoders take 30."""

# Most clips are as long as can be: what is trained on them is asked of windows of 30 s.
_FULL, _FULL_SHARE = 29.3, 0.75
_LOUDNESS = 0.08
# What is this much weaker than the loudest sample counts as silence around a sentence, in dB.
_SILENCE = -45
_BEFORE, _AFTER = SAMPLE_RATE // 40, SAMPLE_RATE // 20
_MOST_FAILURES = 10


class NotSpoken(Exception):
    """A voice cannot say this sentence; the message says why."""


class Voice(Protocol):
    """Somebody who reads aloud."""

    @property
    def name(self) -> str:
        """What tells the voice from others, for whoever wants to know."""

    def say(self, text: str, seed: int) -> Samples:
        """A sentence in spoken form; the same seed gives the same samples.

        Raises NotSpoken.
        """


Cast = Callable[[Random], Voice]
"""Draws somebody who speaks."""


@dataclass(frozen=True)
class TextSpan:
    """Consecutive lines of a document, from its line `at` on."""

    source: str
    at: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, eq=False)
class Clip:
    """A piece of a span as it was said.

    Attributes:
        samples: (n,), n <= 29.5 s.
        lines: what is said; empty when nothing of the rest of the span could be.
        ends: seconds at which each line ends.
        voices: names, in the order in which they begin to speak.
        after: the next clip of the span begins with this line of it.
        skipped: lines in between that no voice could say.
    """

    samples: Samples
    lines: tuple[Line, ...]
    ends: tuple[float, ...]
    voices: tuple[str, ...]
    distortion: Distortion
    after: int
    skipped: int

    def until(self, line: int) -> Samples:
        """The samples up to the end of that many lines."""
        return self.samples[: round(self.ends[line - 1] * SAMPLE_RATE) + _AFTER]


def text_spans(documents: Sequence[Document], max_lines: int = 40) -> list[TextSpan]:
    """Documents in parts of at most so many lines."""
    return [
        TextSpan(document.source, at, document.lines[at : at + max_lines])
        for document in documents
        for at in range(0, len(document.lines), max_lines)
    ]


def speak(text_span: TextSpan, first: int, cast: Cast, seed: str) -> Clip:
    """The clip that begins with the line `first` of a span; each speaker has an own voice.

    The same for the same arguments. Lines that cannot be said, or last longer than a clip, are
    skipped.

    Raises EnvironmentLacks when voices fail again and again.
    """
    rng = Random(f"{seed} {text_span.source} {text_span.at} {first}")
    limit = LONGEST * SAMPLE_RATE
    target_seconds = _FULL if rng.random() < _FULL_SHARE else rng.uniform(4, _FULL)
    # Times in samples; silence first, then sentences with pauses between them.
    parts = [_pause(rng.uniform(0, 0.5))]
    length = len(parts[0])
    voices: dict[str, Voice] = {}
    lines: list[Line] = []
    ends: list[float] = []
    skipped = 0
    saying = Saying()
    after = first
    while after < len(text_span.lines):
        line = text_span.lines[after]
        voice = voices.get(line.speaker) or cast(rng)
        samples = saying(voice, line.text, rng)
        end = length + len(samples)
        if lines and len(samples) and end > target_seconds * SAMPLE_RATE:
            break
        after += 1
        if not len(samples) or end > limit:
            skipped += 1
            continue
        voices[line.speaker] = voice
        gap = _pause(rng.choice([rng.uniform(0.08, 0.35), rng.uniform(0.2, 0.9)]))
        parts += [samples, gap]
        length = end + len(gap)
        lines.append(line)
        ends.append(end / SAMPLE_RATE)
    dry = np.concatenate(parts)[: int(limit)]
    noise_rng = np.random.default_rng(rng.getrandbits(64))
    distortion = distortions.draw(noise_rng)
    samples = distortions.apply(dry, distortion, noise_rng) if lines else _pause(0)
    names = tuple(voice.name for voice in voices.values())
    return Clip(samples, tuple(lines), tuple(ends), names, distortion, after, skipped)


@dataclass
class Saying:
    """Has voices say sentences, and is patient with those that cannot: for so many in a row."""

    failures: int = 0

    def __call__(self, voice: Voice, text: str, rng: Random) -> Samples:
        """A sentence, levelled; () where the voice cannot say it.

        Raises EnvironmentLacks when voices fail again and again.
        """
        try:
            samples = levelled(voice.say(text, rng.randrange(10**6)))
        except NotSpoken as error:
            self.failures += 1
            if self.failures == _MOST_FAILURES:
                raise EnvironmentLacks(
                    f"{voice.name} fails on one sentence after the other: {error}; try others "
                    "with --voices."
                ) from None
            return _pause(0)
        self.failures = 0
        return samples


def levelled(samples: Samples) -> Samples:
    """A sentence without the silence around it, as loud as any other; () if it is only silence."""
    magnitude = np.abs(samples)
    peak = max(1e-4, float(magnitude.max(initial=0)))
    audible = np.flatnonzero(magnitude > 10 ** (_SILENCE / 20) * peak)
    if not len(audible):
        return _pause(0)
    samples = samples[max(0, audible[0] - _BEFORE) : audible[-1] + _AFTER]
    loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return (samples * (_LOUDNESS / loudness)).astype(np.float32)


def _pause(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
