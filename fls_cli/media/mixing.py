"""Several channels to one, so that whoever speaks on whichever of them is heard.

Ordinary channels are averaged. What an average would lose is mended: a voice whose polarity is
turned on one side, one that is far quieter than the other side of a call, one beside an input that
only hums, one among many inputs of which most are dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fls_models.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples: TypeAlias = npt.NDArray[np.float32]
    Weights: TypeAlias = npt.NDArray[np.float64]

# A level is that of 50 ms; a channel is judged by the levels of its last 20 s.
_STRIDE = 4
_CHUNK = 800 // _STRIDE
_REMEMBERED = 400
_FADE = 160
# In decibels: how far above its own quietest a channel that speaks rises, and one that hums stays.
_SPEAKING = 15.0
_STEADY = 6.0
# A side that is quieter by less is left as it is; by more it is lifted, at most so much.
_UNEVEN = 20.0
_MOST_LIFTED = 40.0
# Below the loudest: channels that count as dead; how far hum is pushed below what speaks.
_DEAD = 50.0
_PUSHED = 20.0
_SILENCE = -75.0
_TURNED = 0.5
_NAMED = {"mix": 0, "left": 1, "right": 2}


def check_channels(channels: str) -> None:
    """Raises UsageError for what is neither `mix`, `left`, `right` nor a number from 1."""
    if channels not in _NAMED and not (channels.isdecimal() and int(channels) >= 1):
        raise UsageError(
            f"--channels {channels!r} is none: write mix, left, right, each or a number from 1."
        )


class Mix:
    """What `channels` says of blocks (n, c): `mix`, `left`, `right`, or a channel's number from 1.

    Raises UsageError for what is none of these.
    """

    def __init__(self, channels: str) -> None:
        check_channels(channels)
        self._channel = _NAMED[channels] if channels in _NAMED else int(channels)
        self._energies: Samples | None = None
        self._signs: Weights | None = None
        self._weights: Weights | None = None

    @property
    def channel(self) -> int | None:
        """The one channel that is wanted, from 0; None for all of them."""
        return self._channel - 1 if self._channel else None

    def mono(self, block: Samples) -> Samples:
        """(n, c) float32 to (n,), finite. The channel that is wanted must be there."""
        import numpy as np

        if not np.isfinite(block.sum()):
            block = np.nan_to_num(block, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
        if self.channel is not None:
            return np.ascontiguousarray(block[:, self.channel])
        if block.shape[1] == 1:
            return block[:, 0]
        ordinary = self._weights is None or (self._weights == 0.5).all()
        if block.shape[1] == 2 and ordinary and (block[:, 0] == block[:, 1]).all():
            # One channel twice, as in most podcasts: there is nothing to weigh.
            return np.ascontiguousarray(block[:, 0])
        # Every fourth sample tells as well how loud and how alike channels are.
        weights = self._weigh(np.ascontiguousarray(block[::_STRIDE]))
        before, self._weights = self._weights, weights
        mixed: Samples = block @ weights.astype(np.float32)
        if before is not None and (before != weights).any():
            # From what they were to what they are, without a click.
            fade = np.linspace(1, 0, min(_FADE, len(block)), dtype=np.float32)
            change = (before - weights).astype(np.float32)
            mixed[: len(fade)] += fade * (block[: len(fade)] @ change)
        return mixed

    def _weigh(self, block: Samples) -> Weights:
        import numpy as np

        channels = block.shape[1]
        size = min(_CHUNK, len(block))
        chunks = block[: len(block) // size * size].reshape(-1, size, channels)
        # (chunks, c, c): a channel's energy in each chunk, and how much two have in common.
        products = np.matmul(chunks.transpose(0, 2, 1), chunks)
        chunk_energies = np.diagonal(products, axis1=1, axis2=2) / size
        before = chunk_energies[:0] if self._energies is None else self._energies
        self._energies = np.concatenate([before, chunk_energies])[-_REMEMBERED:]
        signs = self._turn(products.sum(axis=0, dtype=np.float64))
        energies = np.sort(self._energies, axis=0)
        quiet, loud = 10 * np.log10(
            [
                energies[len(energies) // 10] + 1e-12,
                energies[-max(1, len(energies) // 20) :].mean(axis=0) + 1e-12,
            ]
        )
        speaks = (loud - quiet > _SPEAKING) & (loud > _SILENCE)
        lifts = np.zeros(channels)
        if speaks.any():
            reference = loud[speaks].max()
            below = reference - loud
            lifts[speaks & (below > _UNEVEN)] = np.minimum(below, _MOST_LIFTED)[
                speaks & (below > _UNEVEN)
            ]
            hums = ~speaks & (loud - quiet < _STEADY)
            lifts[hums] = np.minimum(0.0, below - _PUSHED)[hums]
        active = channels
        if channels > 2:
            active = max(1, int((loud + lifts > (loud + lifts).max() - _DEAD).sum()))
        weights: Weights = signs * 10 ** (lifts / 20) / active
        return weights

    def _turn(self, covariance: Weights) -> Weights:
        """+1 or -1 for each channel, so that none takes away what the loudest says."""
        import numpy as np

        energies = np.diag(covariance)
        loudest = int(np.argmax(energies))
        scale = np.sqrt(energies * energies[loudest])
        alike = np.divide(covariance[loudest], scale, where=scale > 1e-9, out=np.zeros_like(scale))
        signs = np.ones(len(energies)) if self._signs is None else self._signs.copy()
        relative = signs * signs[loudest]
        relative[alike < -_TURNED] = -1
        relative[alike > _TURNED] = 1
        # The first channel is as it is: so that a turn is never of all of them.
        new_signs: Weights = relative * relative[0]
        self._signs = new_signs
        return new_signs
