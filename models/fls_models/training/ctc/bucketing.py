"""Which recordings make a micro-batch, when those of a batch are to be about equally long.

Padding costs as much as sound does. It knows lengths and numbers, no recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

# Recordings are sorted among so many batches of them: neighbours still change from pass to pass.
_POOL = 100
# Lengths are told apart no more finely than by this share of the mean.
_BLUR = 0.2


class LikeLengths:
    """Takes each of n recordings once before any is taken again, in batches of like length.

    The same for the same lengths, size and seed: any batch of a run can be asked for by itself.

    Args:
        lengths: of the recordings, in frames.
        size: recordings of a batch; the last one of a pass may have fewer.
    """

    def __init__(self, lengths: Sequence[int], size: int, seed: int) -> None:
        if not lengths or size < 1:
            raise ValueError("there is at least one recording, and a batch holds at least one")
        self._lengths = torch.tensor(lengths, dtype=torch.float64)
        self._size = size
        self._seed = seed
        self._batches = lru_cache(maxsize=2)(self._shuffled)

    def __call__(self, number: int) -> list[int]:
        """The recordings of micro-batch `number`, counted from 0 over the whole run."""
        turn, place = divmod(number, -(-len(self._lengths) // self._size))
        return self._batches(turn)[place]

    def _shuffled(self, turn: int) -> list[list[int]]:
        """The batches of a pass, in random order."""
        # Far apart: passes of one seed are not those of the next, shifted by one.
        dice = torch.Generator().manual_seed((self._seed << 20) + turn)
        count = len(self._lengths)
        mixed = torch.randperm(count, generator=dice)
        blur = _BLUR * self._lengths.mean() * torch.rand(count, generator=dice)
        about = self._lengths[mixed] + blur
        batches: list[list[int]] = []
        pool = _POOL * self._size
        for first in range(0, count, pool):
            order = mixed[first : first + pool][about[first : first + pool].argsort()].tolist()
            batches += [order[at : at + self._size] for at in range(0, len(order), self._size)]
        return [batches[one] for one in torch.randperm(len(batches), generator=dice).tolist()]
