"""Which recordings make a micro-batch: any of them, or those that are about equally long.

Padding costs as much as sound does. It knows lengths and numbers, no recordings. Each recording is
drawn once before any is drawn again, and any batch of a run can be asked for by itself.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch

# Recordings are sorted among so many batches of them: neighbours still change from pass to pass.
_POOL = 100
# Lengths are told apart no more finely than by this share of the mean.
_BLUR = 0.2


def members(count: int, size: int, number: int, seed: int) -> list[int]:
    """Which of `count` recordings are in micro-batch `number`, from 0: a function of its arguments.

    Each pass has an order of its own. A batch may hold the end of one pass and the beginning of the
    next.
    """
    draws = range(number * size, (number + 1) * size)
    return [_order(count, seed, draw // count)[draw % count] for draw in draws]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, turn: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=_generator(seed, turn)).tolist()
    return order


def _generator(seed: int, turn: int) -> torch.Generator:
    # Far apart: passes of one seed are not those of the next, shifted by one.
    return torch.Generator().manual_seed((seed << 20) + turn)


class LikeLengths:
    """Micro-batches of like length; the same for the same lengths, size and seed.

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
        turn, position = divmod(number, -(-len(self._lengths) // self._size))
        return self._batches(turn)[position]

    def _shuffled(self, turn: int) -> list[list[int]]:
        """The batches of a pass, in random order."""
        generator = _generator(self._seed, turn)
        count = len(self._lengths)
        order = torch.randperm(count, generator=generator)
        blur = _BLUR * self._lengths.mean() * torch.rand(count, generator=generator)
        lengths = self._lengths[order] + blur
        batches: list[list[int]] = []
        pool = _POOL * self._size
        for first in range(0, count, pool):
            by_length = lengths[first : first + pool].argsort()
            pooled = order[first : first + pool][by_length].tolist()
            batches += [pooled[at : at + self._size] for at in range(0, len(pooled), self._size)]
        shuffled = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[position] for position in shuffled]
