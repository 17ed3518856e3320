"""What happens to a voice on its way: rooms, telephones, noise, and how near the microphone is.

Each kind is a function of samples and numbers; `draw` says which of them a clip gets, in shares
that leave about a fifth of the clips as they were spoken but for their loudness. Samples are (n,)
float32 at 16 kHz. All that is random comes from the generator that is given.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.core.constants import SAMPLE_RATE

Samples = NDArray[np.float32]

COLOURS = {"white": 0, "pink": 1, "brown": 2}
"""Noises, by how fast their power falls with frequency f: f to the minus."""

_LOWS = (20, 80, 150, 300)
_HIGHS = (3200, 3400, 3800, 5000, 6500, 7900)


@dataclass(frozen=True)
class Distortion:
    """What is done to a clip, in this order; None is not done.

    Attributes:
        reverb: seconds after which sound has fallen by 60 dB, and by how many dB all that comes
            back from the walls is weaker than the voice.
        band: Hz below and above which hardly anything passes.
        noise: its colour, and the signal-to-noise ratio in dB over the whole clip.
        wandering: whether the noise swells and fades, so that the ratio is an average.
        gain: dB.
    """

    reverb: tuple[float, float] | None = None
    band: tuple[int, int] | None = None
    noise: tuple[str, float] | None = None
    wandering: bool = False
    gain: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Only what is done."""
        payload: dict[str, Any] = {"gain": round(self.gain, 1)}
        if self.reverb:
            payload["reverb"] = [round(value, 2) for value in self.reverb]
        if self.band:
            payload["band"] = list(self.band)
        if self.noise:
            payload["noise"] = [self.noise[0], round(self.noise[1], 1)]
            payload["wandering"] = self.wandering
        return payload


def draw(rng: np.random.Generator) -> Distortion:
    """A distortion by chance: a room for a third of all clips, noise for half, a band for 30 %."""
    # Always all numbers, so that a change to one kind leaves the others as they were drawn.
    room_draw, band_draw, noise_draw, wander_draw = rng.random(4)
    reverb = (float(rng.uniform(0.15, 0.8)), float(rng.uniform(4, 18)))
    band = (int(rng.choice(_LOWS)), int(rng.choice(_HIGHS)))
    colour = str(rng.choice(["white", "pink", "pink", "brown"]))
    noise = (colour, float(rng.uniform(3, 30)))
    return Distortion(
        reverb if room_draw < 0.35 else None,
        band if band_draw < 0.3 else None,
        noise if noise_draw < 0.55 else None,
        bool(wander_draw < 0.4),
        float(rng.uniform(-14, 6)),
    )


def apply(samples: Samples, distortion: Distortion, rng: np.random.Generator) -> Samples:
    """A clip as it arrives: as long as before, within -1..1."""
    if distortion.reverb:
        samples = reverberated(samples, *distortion.reverb, rng)
    if distortion.band:
        samples = band_limited(samples, *distortion.band)
    if distortion.noise:
        colour, ratio = distortion.noise
        samples = noisy(samples, colour, ratio, rng, wandering=distortion.wandering)
    louder: Samples = np.clip(samples * np.float32(10 ** (distortion.gain / 20)), -1, 1)
    return louder


def reverberated(samples: Samples, decay: float, below: float, rng: np.random.Generator) -> Samples:
    """Samples as in a room: noise that decays exponentially stands for all its reflections.

    Args:
        decay: seconds in which the room's answer falls by 60 dB.
        below: dB by which the reflections together are weaker than what comes directly.
    """
    length = int(SAMPLE_RATE * min(0.6, decay))
    times = np.arange(length) / SAMPLE_RATE
    response = rng.standard_normal(length) * 10 ** (-3 * times / decay)
    # Nothing comes back within 2 ms: no wall is that near.
    response[: SAMPLE_RATE // 500] = 0
    response *= 10 ** (-below / 20) / np.sqrt((response**2).sum())
    response[0] = 1
    size = 1 << (len(samples) + length - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def band_limited(samples: Samples, low: int, high: int) -> Samples:
    """Samples without what lies below `low` and above `high` Hz, as a telephone or MP3 has it."""
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), 1)
    passed = 1 / (1 + (low / frequencies) ** 8) / (1 + (frequencies / high) ** 16)
    return np.fft.irfft(np.fft.rfft(samples) * passed, len(samples)).astype(np.float32)


def noisy(
    samples: Samples,
    colour: str,
    ratio: float,
    rng: np.random.Generator,
    *,
    wandering: bool = False,
) -> Samples:
    """Samples and noise, `ratio` dB weaker than they are: power over the whole length."""
    noise = coloured(len(samples), colour, rng)
    if wandering:
        points = np.linspace(0, len(samples), 12)
        noise *= np.interp(np.arange(len(samples)), points, rng.uniform(0.1, 1, 12))
    signal_power, noise_power = np.mean(np.square(samples, dtype=np.float64)), np.mean(noise**2)
    noise *= np.sqrt(float(signal_power) / max(float(noise_power), 1e-20)) * 10 ** (-ratio / 20)
    return (samples + noise).astype(np.float32)


def coloured(length: int, colour: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise (length,) whose power falls with frequency as `COLOURS` says; any loudness."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    frequencies = np.maximum(np.arange(len(spectrum)), 1)
    return np.fft.irfft(spectrum / frequencies ** (COLOURS[colour] / 2), length)
