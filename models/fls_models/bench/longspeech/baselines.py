"""Other ways to make L frames out of T, to hold fusion against (arXiv 2507.14815, Tables 1 and 2).

All have one signature and one name each. NTK-RoPE and the cascade are not here: they do not
shorten frames, they change the model that reads them.

Shapes: T frames in, L frames out, D encoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

from fls_models.errors import UsageError
from fls_models.extractor.density import Density
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import at_once, fuse, joined_spans, paper_schedule, weighted_means

Compression = Callable[[Frames, int, Density], Frames]
"""(T frames, L, density) -> L frames in time order, or the input itself for L >= T.

Raises ValueError if L is below 1."""


def random(frames: Frames, target: int, density: Density) -> Frames:
    """L frames kept at random, in order, untouched; what lies between them is lost.

    Drawn from a generator of its own with a fixed seed: the same T and L keep the same frames.
    """
    if _is_short(frames, target):
        return frames
    draw = torch.randperm(len(frames), generator=torch.Generator().manual_seed(0))[:target]
    kept = draw.sort().values.to(frames.hidden.device)
    return Frames(frames.hidden[kept], frames.density[kept], frames.spans[kept])


def average_pooling(frames: Frames, target: int, density: Density) -> Frames:
    """L segments as equal as whole frames allow (sizes differ by one at most), plain means."""
    if _is_short(frames, target):
        return frames
    starts = torch.arange(target, device=frames.hidden.device) * len(frames) // target
    hidden = weighted_means(frames.hidden, torch.ones_like(frames.density), starts)
    return Frames(hidden, density(hidden), joined_spans(frames.spans, starts))


def most_similar(frames: Frames, target: int, density: Density) -> Frames:
    """One round of merging the most similar pairs, plain means."""
    return _with_density(fuse(_plain(frames), target, _ones, at_once).frames, density)


def single_pass(frames: Frames, target: int, density: Density) -> Frames:
    """One round with content density: fusion without iteration."""
    return fuse(frames, target, density, at_once).frames


def no_density(frames: Frames, target: int, density: Density) -> Frames:
    """The same rounds with plain means: fusion without content density."""
    return _with_density(fuse(_plain(frames), target, _ones, paper_schedule).frames, density)


def fusion(frames: Frames, target: int, density: Density) -> Frames:
    """The method itself."""
    return fuse(frames, target, density, paper_schedule).frames


BASELINES = MappingProxyType(
    {
        "random": random,
        "avgpool": average_pooling,
        "mostsim": most_similar,
        "single-pass": single_pass,
        "no-density": no_density,
        "fusion": fusion,
    }
)


def baseline(name: str) -> Compression:
    """Finds a way to shorten frames by its name.

    Raises:
        UsageError: there is none of this name; the message lists those there are.
    """
    if name not in BASELINES:
        raise UsageError(f"Baseline {name!r} not found; there are: {', '.join(BASELINES)}.")
    return BASELINES[name]


def _is_short(frames: Frames, target: int) -> bool:
    # The schedule checks the target, too.
    return not at_once(len(frames), target)


def _ones(hidden: Tensor) -> Tensor:
    return torch.ones(len(hidden), dtype=torch.float32, device=hidden.device)


def _plain(frames: Frames) -> Frames:
    return Frames(frames.hidden, _ones(frames.hidden), frames.spans)


def _with_density(frames: Frames, density: Density) -> Frames:
    return Frames(frames.hidden, density(frames.hidden), frames.spans)
