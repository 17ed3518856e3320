"""Iterative fusion: a recording's T frames become exactly L, most alike neighbours first.

The extractor of FastLongSpeech (arXiv 2507.14815). In each round the most similar adjacent frames
are joined into spans, and a span becomes the mean of its frames weighted by content density.
Frames in, frames out: it does not know the encoder, the CTC head (density comes through a
callable) or what reads the result.

Shapes: T frames into a round, T' out of it, L out of the last one, D encoder width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from fls_models.core.constants import WINDOW_FRAMES
from fls_models.extractor.density import Density, piece_rows
from fls_models.extractor.frames import Frames

Schedule = Callable[[int, int], tuple[int, ...]]
"""(T, L) -> the number of frames after each round; empty when there is nothing to fuse."""

TRAINING_LENGTHS = (400, 200, 100, 50, 25, 12)
"""Lengths that the model was trained on, per window of 750 frames."""

EPSILON = 1e-7
"""Keeps the mean of a span without any density finite: it is zero."""


def halving_schedule(frames: int, target: int) -> tuple[int, ...]:
    """Half as many frames a round, the last round straight to L: for several windows (Eq. 5).

    >>> halving_schedule(3211, 200)
    (1605, 802, 401, 200)
    """
    _check(target)
    lengths = []
    while frames > target:
        frames = frames // 2 if frames > 2 * target else target
        lengths.append(frames)
    return tuple(lengths)


def training_schedule(frames: int, target: int) -> tuple[int, ...]:
    """Down the rungs of training, the last step to L wherever L lies: for one window.

    >>> training_schedule(750, 100)
    (400, 200, 100)
    >>> training_schedule(750, 150)
    (400, 200, 150)
    """
    _check(target)
    if target >= frames:
        return ()
    return (*(rung for rung in TRAINING_LENGTHS if target < rung < frames), target)


def paper_schedule(frames: int, target: int) -> tuple[int, ...]:
    """That of training for what training saw, a window at most; halving for more."""
    return (training_schedule if frames <= WINDOW_FRAMES else halving_schedule)(frames, target)


def at_once(frames: int, target: int) -> tuple[int, ...]:
    """One round from T to L: the ablation "no iteration" (Table 2)."""
    _check(target)
    return () if target >= frames else (target,)


@dataclass(frozen=True, eq=False)
class Round:
    """What one round saw and did.

    Attributes:
        density: (T,) float32, the weights that it used.
        similarity: (T - 1,) float32, cosine of each frame with the next.
        starts: (T',) int64, index of the first frame of each span. A span ends where the next one
            starts, the last one at T.
    """

    density: Tensor
    similarity: Tensor
    starts: Tensor


@dataclass(frozen=True, eq=False)
class Fused:
    """The L frames that are left, and the rounds that led there (none if T <= L)."""

    frames: Frames
    rounds: tuple[Round, ...]


def fuse(
    frames: Frames, target: int, density: Density, schedule: Schedule = halving_schedule
) -> Fused:
    """Fuses T frames into exactly L; the same input gives the same bytes.

    The input is not changed. Hidden states keep their dtype; similarity and sums are float32.
    Gradients flow to the hidden states through the means, not through density or the choice of
    pairs.

    Args:
        frames: T frames; their density is that of the first round.
        target: L, at least 1. With L >= T the frames come back as they are.
        density: gives the density of fused frames, once after every round.
        schedule: `halving_schedule` for a recording, `training_schedule` for a single window.

    Returns:
        L frames whose spans divide the same stretch of time, in order.

    Raises:
        ValueError: L is below 1, or the hidden states hold NaN or infinity.
    """
    rounds = []
    for length in schedule(len(frames), target):
        round_ = choose(frames, length)
        hidden = weighted_means(frames.hidden, frames.density, round_.starts)
        frames = Frames(hidden, density(hidden), joined_spans(frames.spans, round_.starts))
        rounds.append(round_)
    return Fused(frames, tuple(rounds))


@torch.no_grad()
def choose(frames: Frames, length: int) -> Round:
    """Finds the T - T' most similar adjacent pairs; among equals, earlier pairs come first.

    Args:
        frames: T frames.
        length: T', 1 <= T' <= T.

    Raises:
        ValueError: the hidden states hold NaN or infinity.
    """
    similarity = adjacent_similarity(frames.hidden)
    ranked = similarity.sort(descending=True, stable=True).indices
    opens_span = torch.ones(len(frames), dtype=torch.bool, device=similarity.device)
    opens_span[1 + ranked[: len(frames) - length]] = False
    return Round(frames.density, similarity, opens_span.nonzero().squeeze(-1))


@torch.no_grad()
def adjacent_similarity(hidden: Tensor) -> Tensor:
    """`e_t = (h_t . h_{t+1}) / (|h_t| |h_{t+1}|)` in float32: (T, D) -> (T - 1,).

    A frame of zeros, which is what a span without density becomes, has no direction. It says
    nothing, so it counts as alike (1) to the frame before it and as unlike (0) to the one after:
    it goes first and never bridges two frames that do say something.

    Raises:
        ValueError: the hidden states hold NaN or infinity.
    """
    count = len(hidden)
    norms = torch.empty(count, dtype=torch.float32, device=hidden.device)
    dots = torch.empty(max(count - 1, 0), dtype=torch.float32, device=hidden.device)
    rows = piece_rows(hidden)
    for first in range(0, count, rows):
        # One row more than the step: the pair that spans two pieces. Contiguous, because sums over
        # another memory layout are rounded otherwise; it is a copy only for such a layout.
        piece = hidden[first : first + rows + 1].float().contiguous()
        norms[first : first + rows + 1] = torch.linalg.vector_norm(piece, dim=-1)
        # Product and sum, not a matrix product: its rounding decides near ties, and this one is
        # the same on any number of threads.
        dots[first : first + rows] = (piece[:-1] * piece[1:]).sum(-1)
    if not norms.isfinite().all():
        raise ValueError("the hidden states hold NaN or infinity, or overflow when squared")
    scale = norms[:-1] * norms[1:]
    return torch.where(scale > 0, dots / scale, (norms[1:] == 0).float())


def weighted_means(hidden: Tensor, weights: Tensor, starts: Tensor) -> Tensor:
    """Each span's `sum(w h) / (sum(w) + 1e-7)`, summed in float32.

    Args:
        hidden: (T, D).
        weights: (T,) float32, not negative.
        starts: (T',) int64, ascending, the first is 0.

    Returns:
        (T', D) in the dtype of `hidden`.
    """
    fused = hidden.new_empty(len(starts), hidden.shape[1])
    step = piece_rows(hidden)
    edges = [*starts[::step].tolist(), len(hidden)]
    for index, (first, end) in enumerate(pairwise(edges)):
        spans = slice(index * step, (index + 1) * step)
        # A bag is a run of consecutive rows here: summed in order, read once, and no weighted copy
        # of the hidden states is ever written.
        rows = torch.arange(end - first, device=hidden.device)
        offsets = starts[spans] - first
        piece, weight = hidden[first:end].float().contiguous(), weights[first:end]
        sums = F.embedding_bag(rows, piece, offsets, mode="sum", per_sample_weights=weight)
        totals = F.embedding_bag(rows, weight.unsqueeze(-1), offsets, mode="sum")
        fused[spans] = (sums / (totals + EPSILON)).to(hidden.dtype)
    return fused


def joined_spans(spans: Tensor, starts: Tensor) -> Tensor:
    """From the start of each span's first frame to the end of its last: (T, 2) -> (T', 2)."""
    lasts = torch.cat([starts[1:], starts.new_tensor([len(spans)])]) - 1
    return torch.stack([spans[starts, 0], spans[lasts, 1]], dim=-1)


def _check(target: int) -> None:
    if target < 1:
        raise ValueError(f"a target length is at least 1 frame, not {target}")
