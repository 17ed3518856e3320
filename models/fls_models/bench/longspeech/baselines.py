"""Other ways to make L frames out of T, to hold fusion against (arXiv 2507.14815, Tables 1 and 2).

All have one signature and one name each. NTK-RoPE and the cascade are not here: they do not
shorten frames, they change the model that reads them.

Shapes: T frames in, L frames out, D encoder width.
"""

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

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
    indices = draw.sort().values.to(frames.hidden.device)
    return Frames(frames.hidden[indices], frames.density[indices], frames.spans[indices])


def average_pooling(frames: Frames, target: int, density: Density) -> Frames:
    """L segments as equal as whole frames allow (sizes differ by one at most), plain means."""
    if _is_short(frames, target):
        return frames
    starts = torch.arange(target, device=frames.hidden.device) * len(frames) // target
    hidden = weighted_means(frames.hidden, torch.ones_like(frames.density), starts)
    return Frames(hidden, density(hidden), joined_spans(frames.spans, starts))


def most_similar(frames: Frames, target: int, density: Density) -> Frames:
    """One round of merging the most similar pairs, plain means."""
    return _with_density(fuse(_plain(frames), target, equal_weights, at_once).frames, density)


def single_pass(frames: Frames, target: int, density: Density) -> Frames:
    """One round with content density: fusion without iteration."""
    return fuse(frames, target, density, at_once).frames


def no_density(frames: Frames, target: int, density: Density) -> Frames:
    """The same rounds with plain means: fusion without content density."""
    return _with_density(
        fuse(_plain(frames), target, equal_weights, paper_schedule).frames, density
    )


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


def _is_short(frames: Frames, target: int) -> bool:
    # The schedule checks the target, too.
    return not at_once(len(frames), target)


def equal_weights(hidden: Tensor) -> Tensor:
    """1 for each of (n, D) hidden states: what a method that does not weigh takes for density."""
    return torch.ones(len(hidden), dtype=torch.float32, device=hidden.device)


def _plain(frames: Frames) -> Frames:
    return Frames(frames.hidden, equal_weights(frames.hidden), frames.spans)


def _with_density(frames: Frames, density: Density) -> Frames:
    return Frames(frames.hidden, density(frames.hidden), frames.spans)
