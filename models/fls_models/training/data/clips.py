"""Documents to clips: which sentences are said together, by which voices, for at most 29.5 s.

A document is cut into stretches of some forty sentences; a stretch into clips, one after the other.
How much fits into a clip is known only when it was spoken, so a clip begins where the one before it
ended, and nothing else of that one matters: whoever knows where it ended can go on. Voices are
given from outside; files are others' work.

Samples are (n,) float32 at 16 kHz.
"""

from __future__ import annotations

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
    """A piece of a stretch as it was said.

    Attributes:
        samples: (n,), n <= 29.5 s.
        lines: what is said; empty when nothing of the rest of the stretch could be.
        ends: seconds at which each line ends.
        voices: names, in the order in which they begin to speak.
        after: the next clip of the stretch begins with this line of it.
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


def stretches(documents: Sequence[Document], most: int = 40) -> list[TextSpan]:
    """Documents in parts of at most so many lines."""
    return [
        TextSpan(one.source, at, one.lines[at : at + most])
        for one in documents
        for at in range(0, len(one.lines), most)
    ]


def speak(stretch: TextSpan, first: int, cast: Cast, seed: str) -> Clip:
    """The clip that begins with the line `first` of a stretch; each speaker has an own voice.

    The same for the same arguments. Lines that cannot be said, or last longer than a clip, are
    skipped.

    Raises EnvironmentLacks when voices fail again and again.
    """
    chance = Random(f"{seed} {stretch.source} {stretch.at} {first}")
    limit = LONGEST * SAMPLE_RATE
    wanted = _FULL if chance.random() < _FULL_SHARE else chance.uniform(4, _FULL)
    # Times in samples; silence first, then sentences with pauses between them.
    parts = [_pause(chance.uniform(0, 0.5))]
    length = len(parts[0])
    voices: dict[str, Voice] = {}
    said: list[Line] = []
    ends: list[float] = []
    skipped = 0
    saying = Saying()
    after = first
    while after < len(stretch.lines):
        line = stretch.lines[after]
        voice = voices.get(line.speaker) or cast(chance)
        samples = saying(voice, line.text, chance)
        end = length + len(samples)
        if said and len(samples) and end > wanted * SAMPLE_RATE:
            break
        after += 1
        if not len(samples) or end > limit:
            skipped += 1
            continue
        voices[line.speaker] = voice
        gap = _pause(chance.choice([chance.uniform(0.08, 0.35), chance.uniform(0.2, 0.9)]))
        parts += [samples, gap]
        length = end + len(gap)
        said.append(line)
        ends.append(end / SAMPLE_RATE)
    dry = np.concatenate(parts)[: int(limit)]
    dice = np.random.default_rng(chance.getrandbits(64))
    distortion = distortions.draw(dice)
    samples = distortions.apply(dry, distortion, dice) if said else _pause(0)
    names = tuple(voice.name for voice in voices.values())
    return Clip(samples, tuple(said), tuple(ends), names, distortion, after, skipped)


class Saying:
    """Has voices say sentences, and is patient with those that cannot: for so many in a row."""

    def __init__(self) -> None:
        self._failures = 0

    def __call__(self, voice: Voice, text: str, chance: Random) -> Samples:
        """A sentence, levelled; () where the voice cannot say it.

        Raises EnvironmentLacks when voices fail again and again.
        """
        try:
            samples = levelled(voice.say(text, chance.randrange(10**6)))
        except NotSpoken as error:
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                raise EnvironmentLacks(
                    f"{voice.name} fails on one sentence after the other: {error}; try others "
                    "with --voices."
                ) from None
            return _pause(0)
        self._failures = 0
        return samples


def levelled(samples: Samples) -> Samples:
    """A sentence without the silence around it, as loud as any other; () if it is only silence."""
    size = np.abs(samples)
    loud = np.flatnonzero(size > 10 ** (_SILENCE / 20) * max(1e-4, float(size.max(initial=0))))
    if not len(loud):
        return _pause(0)
    samples = samples[max(0, loud[0] - _BEFORE) : loud[-1] + _AFTER]
    loudness = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return (samples * (_LOUDNESS / loudness)).astype(np.float32)


def _pause(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
