"""Whether somebody who speaks is somebody whose voice is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fls_models.speakers.clustering import Clusters

# Other networks' embeddings cannot be compared with these.
ENCODER = "resemblyzer-1"
# How alike a voice is to the one that is known, and how much more than the next one: no real voice
# was taken for another then (`benchmarks/known_voices.py`).
_LEAST, _LEAD = 0.9, 0.03
# Of so many seconds of a voice too little is known.
_SHORTEST = 2.0
_DIGITS = 5


@dataclass(frozen=True, eq=False)
class Voice:
    """How somebody sounds: a cluster of stretches in which they speak."""

    cluster: Clusters

    @property
    def seconds(self) -> float:
        return float(self.cluster.seconds[0])

    def likeness(self, other: Voice) -> float:
        """About 1 for one voice in one recording; 0.63, and rarely over 0.86, for two."""
        return float(_together([self, other]).likeness()[0, 1])

    def as_json(self) -> dict[str, Any]:
        values = {name: value[0] for name, value in vars(self.cluster).items()}
        sums = [round(float(x), _DIGITS) for x in values.pop("sums")]
        parts = {name: round(float(value), _DIGITS) for name, value in values.items()}
        return {"encoder": ENCODER, **parts, "sums": sums}

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Voice:
        """Raises ValueError, KeyError or TypeError for what is no voice of this encoder."""
        if payload["encoder"] != ENCODER:
            raise ValueError(f"a voice of {payload['encoder']!r}")
        sums = np.array([payload["sums"]], np.float64)
        rest = (
            np.array([float(payload[name])]) for name in ("squares", "seconds", "seconds_squared")
        )
        cluster = Clusters(sums, *rest)
        if sums.ndim != 2 or not all(np.isfinite(each).all() for each in vars(cluster).values()):
            raise ValueError("no numbers of a voice")
        return cls(cluster)


@dataclass(frozen=True)
class Alike:
    """A name, and how alike the voice is."""

    name: str
    likeness: float


def identify(
    voices: Mapping[str, Voice], known: Mapping[str, Sequence[Voice]]
) -> dict[str, list[Alike]]:
    """Who of `known`, each by one sample or more, may speak, by the labels of `voices`.

    One name is whose voice it is; several are as much alike. Nobody is two of them: where two are
    as much like a name, neither has it.
    """
    labels = [label for label, voice in voices.items() if voice.seconds >= _SHORTEST]
    names = [name for name, samples in known.items() if samples]
    if not labels or not names:
        return {}
    samples = [sample for name in names for sample in known[name]]
    owners = np.array([at for at, name in enumerate(names) for _ in known[name]])
    together = _together([*(voices[label] for label in labels), *samples])
    by_sample = together.likeness()[: len(labels), len(labels) :]
    alike = np.stack([by_sample[:, owners == at].max(axis=1) for at in range(len(names))], axis=1)
    found: dict[str, list[Alike]] = {}
    for row, label in enumerate(labels):
        best = alike[row].max()
        column = int(alike[row].argmax())
        rivals = np.delete(alike[:, column], row)
        if best >= _LEAST and best - max(rivals, default=0.0) >= _LEAD:
            near = np.flatnonzero(alike[row] > best - _LEAD)
            order = sorted(near.tolist(), key=lambda at: -alike[row, at])
            found[label] = [Alike(names[at], float(alike[row, at])) for at in order]
    return found


def _together(voices: list[Voice]) -> Clusters:
    parts = [vars(voice.cluster) for voice in voices]
    return Clusters(*(np.concatenate([part[name] for part in parts]) for name in parts[0]))
