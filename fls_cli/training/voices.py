"""Who reads texts aloud for `fls train data`: speech synthesis that is installed here, if any.

Each `System` draws voices: a speaker of its own, and how fast and how high it speaks. Higher or
lower voices are made by playing speech back at another rate; it is spoken slower or faster by as
much before, so that only the pitch changes. What is done with the speech is others' work.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING

from fls_cli.training import synthesis
from fls_cli.training.synthesis import Say
from fls_models.core.optional import installing, optional
from fls_models.errors import EnvironmentLacks, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fls_cli.session.session import Session
    from fls_models.training.data.clips import Voice
    from fls_models.training.data.documents import Document

# Of voices, those that are not as high as they are by nature.
_PITCHED = 0.5


@dataclass(frozen=True)
class Kind:
    """A package or program: how often it is drawn, what provides it, who speaks by it.

    `looked_for` is a module, or a program where it is one. `pitched` is False where voices differ
    enough by themselves.
    """

    share: float
    provided: str
    looked_for: str
    open: Callable[[str], Mapping[str, Say]]
    program: bool = True
    pitched: bool = True

    @property
    def is_here(self) -> bool:
        if self.program:
            return shutil.which(self.looked_for) is not None
        return find_spec(self.looked_for) is not None


KINDS = {
    "hibari": Kind(4.0, installing("hibari-tts"), "hibari", synthesis.hibari, program=False),
    "piper": Kind(
        4.0,
        f"{installing('piper-tts')}, and a voice's file: --voices piper=VOICE.onnx",
        "piper",
        synthesis.piper,
        program=False,
    ),
    "flite": Kind(3.0, "apt install flite", "flite", synthesis.flite),
    "espeak-ng": Kind(1.0, "apt install espeak-ng", "espeak-ng", synthesis.espeak, pitched=False),
    "festival": Kind(
        1.0, "apt install festival festvox-kallpc16k", "text2wave", synthesis.festival
    ),
}


@dataclass(frozen=True)
class Speaker:
    """A `Voice` of a system. What goes wrong in the synthesis is NotSpoken.

    `speed` 1.0 is its own; `lowered` is the factor by which its pitch falls.
    """

    who: str
    speed: float
    lowered: float
    synthesise: Say

    @property
    def name(self) -> str:
        return f"{self.who} speed {self.speed:.2f} lowered {self.lowered:.2f}"

    def say(self, text: str, seed: int) -> NDArray[np.float32]:
        import numpy as np

        from fls_models.training.data.clips import NotSpoken

        try:
            # At the pace that is `speed` once it was lowered.
            samples, rate = self.synthesise(text, self.speed * self.lowered, seed)
        except (EnvironmentLacks, NotSpoken):
            raise
        except Exception as error:
            # Whatever a package raises: a sentence less is better than a night's work lost.
            raise NotSpoken(f"{type(error).__name__}: {error}") from error
        if not np.isfinite(samples).all():
            raise NotSpoken("it made no sound")
        return played(samples, rate, self.lowered)


@dataclass(frozen=True)
class System:
    """A kind that is here, with its speakers by name."""

    name: str
    kind: Kind
    speakers: Mapping[str, Say]

    def draw(self, rng: Random) -> Speaker:
        """Somebody, who speaks by chance slower or faster, lower or higher."""
        who = rng.choice(list(self.speakers))
        speed, lowered = rng.uniform(0.85, 1.25), rng.uniform(0.80, 1.22)
        if rng.random() >= _PITCHED or not self.kind.pitched:
            lowered = 1.0
        return Speaker(f"{self.name}:{who}", speed, lowered, self.speakers[who])


def cast(systems: Sequence[System]) -> Callable[[Random], Voice]:
    """Draws voices of all of these, the better-sounding more often."""

    def draw(rng: Random) -> Voice:
        [system] = rng.choices(systems, [system.kind.share for system in systems])
        return system.draw(rng)

    return draw


def find(names: str) -> list[System]:
    """The systems of `auto` (those that are here) or of names with commas.

    Raises UsageError for what there is none of, and EnvironmentLacks that names what provides
    what is missing.
    """
    if names == "auto":
        # Piper speaks only with the file of a voice.
        here = [name for name, kind in KINDS.items() if name != "piper" and kind.is_here]
        if not here:
            ways = "; ".join(f"{name}: {kind.provided}" for name, kind in KINDS.items())
            raise EnvironmentLacks(
                "No speech synthesis is installed that could read texts aloud; one of these is "
                f"enough: {ways}."
            )
        return [System(name, KINDS[name], KINDS[name].open("")) for name in here]
    systems: dict[str, System] = {}
    for part in names.split(","):
        name, _, value = part.strip().partition("=")
        if name not in KINDS or (value and name != "piper"):
            raise UsageError(
                f"--voices takes auto, or names of {', '.join(KINDS)} with commas, and a file only "
                f"for piper=VOICE.onnx; not {part.strip()!r}."
            )
        kind = KINDS[name]
        if not kind.is_here or (name == "piper" and not value):
            raise EnvironmentLacks(
                f"The voice {name} is not to be found here; it comes with: {kind.provided}."
            )
        systems[f"{name}={value}"] = System(name, kind, kind.open(value))
    return list(systems.values())


def say_texts(session: Session, documents: Sequence[Document]) -> None:
    """How much there is, and how much of it no voice is given."""
    sentences = sum(len(document.lines) for document in documents)
    left_out = sum(sum(document.left_out.values()) for document in documents)
    more = f"; {left_out} left out" if left_out else ""
    session.say(f"{len(documents)} documents, {sentences} sentences{more}")


def versions() -> dict[str, str]:
    """Those of the packages that take part, as far as they are installed."""
    installed = {}
    for name in ("hibari-tts", "piper-tts", "soxr", "num2words"):
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


def played(samples: NDArray[np.float32], rate: int, lowered: float) -> NDArray[np.float32]:
    """Samples at 16 kHz, played back slower by a factor, so that they are lower, too.

    Raises EnvironmentLacks when they need another rate and soxr is not installed.
    """
    from fls_models.core.constants import SAMPLE_RATE

    if rate == SAMPLE_RATE and lowered == 1.0:
        return samples
    soxr = optional("soxr", "Bringing a voice to 16 kHz")
    resampled: NDArray[np.float32] = soxr.resample(samples, rate, SAMPLE_RATE * lowered)
    return resampled
