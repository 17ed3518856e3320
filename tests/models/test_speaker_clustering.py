"""Voices as random directions with noise: how many there are is found, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fls_models.speakers.clustering import Clusters, agglomerate

WIDTH = 64


def stretches(
    counts: list[int], noise: float = 0.5, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean embeddings of stretches of 1 to 4 s in random order, their seconds and voices."""
    draw = np.random.default_rng(seed)
    # As the encoder's: not negative, so that any two voices are somewhat alike.
    voices = np.abs(draw.standard_normal((len(counts), WIDTH)))
    owners = draw.permutation(np.repeat(np.arange(len(counts)), counts))
    embeddings = voices[owners] / np.linalg.norm(voices[owners], axis=1, keepdims=True)
    embeddings = embeddings + noise * draw.standard_normal(embeddings.shape) / WIDTH**0.5
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings, draw.uniform(1, 4, len(owners)), owners


def assert_same_groups(labels: NDArray[np.int64], owners: NDArray[np.int64]) -> None:
    assert len(set(zip(labels.tolist(), owners.tolist(), strict=True))) == len(set(owners.tolist()))
    assert set(labels.tolist()) == set(range(len(set(owners.tolist()))))


@pytest.mark.parametrize("counts", [[1], [12], [9, 14], [30, 3, 8], [7] * 6])
def test_voices_are_found(counts: list[int]) -> None:
    embeddings, seconds, owners = stretches(counts)
    joined, labels = agglomerate(Clusters.of(embeddings, seconds))
    assert_same_groups(labels, owners)
    for label in range(len(joined)):
        assert joined.seconds[label] == pytest.approx(seconds[labels == label].sum())


def test_what_is_asked_for_is_made() -> None:
    embeddings, seconds, owners = stretches([8, 9, 10])
    clusters = Clusters.of(embeddings, seconds)
    assert len(agglomerate(clusters, 5)[0]) == 5
    two, labels = agglomerate(clusters, 1, 2)
    assert len(two) == 2
    # Whole voices are joined, not cut.
    assert all(len(set(labels[owners == voice].tolist())) == 1 for voice in range(3))
    assert len(agglomerate(clusters, 1, 10)[0]) == 3


def test_more_than_are_clustered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, seconds, owners = stretches([40, 60, 20, 30])
    monkeypatch.setattr("fls_models.speakers.clustering._BLOCK", 40)
    _, labels = agglomerate(Clusters.of(embeddings, seconds))
    assert_same_groups(labels, owners)


def test_joined_clusters_are_what_they_would_be_together() -> None:
    embeddings, seconds, _ = stretches([4, 4])
    apart = Clusters.of(embeddings, seconds)
    together = apart.grouped(np.zeros(8, np.int64), 1)
    apart_too = Clusters.of(embeddings, seconds)
    for other in range(1, 8):
        apart_too.join(0, other)
    for name, values in vars(together).items():
        np.testing.assert_allclose(values[0], getattr(apart_too, name)[0])
