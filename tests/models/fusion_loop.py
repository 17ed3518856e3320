"""Iterative fusion frame by frame, written from the paper (arXiv 2507.14815) and nothing else.

The independent reference: numpy, float32, plain loops, no code shared with `fls_models`. The one
rule that the paper lacks is what to make of a frame of zeros, whose cosine is 0 / 0: it counts as
alike to the frame before it and as unlike to the one after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass
class LoopHead:
    """The CTC head as released: layer norm, projector, output layer; blank is the last class."""

    norm_weight: Array
    norm_bias: Array
    projector_weight: Array
    projector_bias: Array
    output_weight: Array

    def density(self, frame: Array) -> np.float32:
        """1 - p(blank) of one frame (D,)."""
        centred = frame - frame.mean()
        normed = centred / np.sqrt((centred * centred).mean() + np.float32(1e-5))
        normed = normed * self.norm_weight + self.norm_bias
        logits = self.output_weight @ (self.projector_weight @ normed + self.projector_bias)
        odds = np.exp(logits - logits.max())
        return np.float32(1) - odds[-1] / odds.sum()


def loop_halving(frames: int, target: int) -> list[int]:
    lengths = []
    while frames > target:
        frames = frames // 2 if frames > 2 * target else target
        lengths.append(frames)
    return lengths


def loop_ladder(frames: int, target: int) -> list[int]:
    lengths = []
    for rung in (400, 200, 100, 50, 25, 12):
        if target < rung < frames:
            lengths.append(rung)
    if target < frames:
        lengths.append(target)
    return lengths


def loop_similarity(one: Array, other: Array) -> float:
    length, other_length = np.sqrt(np.dot(one, one)), np.sqrt(np.dot(other, other))
    if other_length == 0:
        return 1.0
    if length == 0:
        return 0.0
    return float(np.dot(one, other) / (length * other_length))


def loop_fuse(
    frames: Array, lengths: Sequence[int], density: Callable[[Array], np.float32]
) -> tuple[Array, list[tuple[int, int]]]:
    """Fuses (T, D) round by round; also returns the range of input frames behind each output."""
    hidden = [frames[t] for t in range(len(frames))]
    ranges = [(t, t + 1) for t in range(len(frames))]
    for length in lengths:
        weights = [density(frame) for frame in hidden]
        similarity = [loop_similarity(hidden[t], hidden[t + 1]) for t in range(len(hidden) - 1)]
        best_first = sorted(range(len(similarity)), key=lambda t: (-similarity[t], t))
        joined_to_next = set(best_first[: len(hidden) - length])

        merged, merged_ranges = [], []
        first = 0
        while first < len(hidden):
            last = first
            while last in joined_to_next:
                last += 1
            total = np.zeros_like(hidden[first])
            weight = np.float32(0)
            for t in range(first, last + 1):
                total = total + weights[t] * hidden[t]
                weight = weight + weights[t]
            merged.append(total / (weight + np.float32(1e-7)))
            merged_ranges.append((ranges[first][0], ranges[last][1]))
            first = last + 1
        hidden, ranges = merged, merged_ranges
    return np.stack(hidden), ranges
