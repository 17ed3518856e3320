"""What a CTC head reads in frames when nobody says what is spoken: the likeliest of each frame.

From the head's probabilities to pieces and the frames they were read in.

Shapes: T frames, V tokens of the head, the blank is V.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor


class PieceRead(NamedTuple):
    """A token, the first and the last frame that it was read in, and how likely it was at best."""

    token: int
    first: int
    last: int
    probability: float


def greedy(logits: Tensor) -> list[int]:
    """The likeliest token of each frame, repeats joined and blanks (the last class) left out.

    (T, V + 1) -> ids; best path decoding of Graves et al. 2006, section 3.2.
    """
    best = logits.argmax(-1).tolist()
    blank = logits.shape[-1] - 1
    return [token for before, token in pairwise([blank, *best]) if token not in (before, blank)]


def pieces_read(best: Sequence[int], likely: Sequence[float], blank: int) -> list[PieceRead]:
    """The same with the frames: of T frames, the likeliest class of each and its probability.

    >>> pieces_read([2, 0, 0, 2, 0, 1], [1.0, 0.5, 0.75, 1.0, 0.5, 0.25], blank=2)[0]
    PieceRead(token=0, first=1, last=2, probability=0.75)
    """
    pieces: list[PieceRead] = []
    before = blank
    for frame, (token, share) in enumerate(zip(best, likely, strict=True)):
        if token != blank and token == before:
            last = pieces[-1]
            pieces[-1] = last._replace(last=frame, probability=max(last.probability, share))
        elif token != blank:
            pieces.append(PieceRead(token, frame, frame, share))
        before = token
    return pieces


def most_likely(log_probabilities: Tensor) -> tuple[list[int], list[float]]:
    """(T, V + 1) -> the likeliest class of each frame, and its probability."""
    best = log_probabilities.max(-1)
    return best.indices.tolist(), torch.exp(best.values).tolist()
