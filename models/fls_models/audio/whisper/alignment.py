"""When each token of a text is said: by what some heads of Whisper's decoder attend to.

As in openai/whisper, timing.py: the heads' attention over the frames, normalised over the tokens,
smoothed over seven frames, and the cheapest way through it by dynamic time warping.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.whisper.network import WhisperNetwork

# Frames that are smoothed over, and the comparisons that sort the middle of seven (Devillard 1998).
_REACH = 3
_SORTING = (
    *((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5)),
    *((1, 4), (1, 3), (3, 4)),
)


@dataclass(frozen=True)
class Alignment:
    """Pairs (token, frame) in order, the last token being the text's end, and the probability of
    each token but that one."""

    alignments: list[tuple[int, int]]
    text_token_probs: list[float]


@torch.inference_mode()
def align_tokens(
    network: WhisperNetwork,
    encoded: Tensor,
    prompt: Sequence[int],
    text: Sequence[int],
    end: int,
    *,
    frames: int,
    heads: Sequence[tuple[int, int]],
) -> Alignment:
    """A text's tokens in a window's (T, D) frames; the first `frames` of 1500 have sound.

    `prompt` says language and task, and that no timestamps follow; `heads` (layer, head) attend to
    what is being said.
    """
    tokens = torch.tensor([[*prompt, *text, end]])
    state = network.begin([encoded], tokens.shape[1])
    hidden, scores = network.attend(tokens, state, heads)
    before = len(prompt)
    logits = network.logits(hidden[before - 1 : -2])[:, :end]
    written = logits.gather(1, torch.tensor(text, dtype=torch.long)[:, None])[:, 0]
    likely = (written - logits.logsumexp(dim=-1)).exp()
    weights = scores[:, :, :frames].softmax(dim=-1)
    deviation, mean = torch.std_mean(weights, dim=-2, correction=0, keepdim=True)
    # Head by head, which a processor's cache holds.
    smooth = [_median_of_seven(head) for head in (weights - mean) / deviation]
    attended = torch.stack(smooth).mean(dim=0)
    # From the last token of the prompt, after which the text's first is written.
    path = warp(-attended[before - 1 : -1].numpy().astype(np.float64))
    return Alignment(path, likely.tolist())


def warp(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The cheapest way through (N, M) costs from the first to the last of both, never back."""
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for row in range(rows):
        # Along a row: min over the columns where it was entered, by sums from its beginning.
        sums = np.cumsum(costs[row])
        entered = np.minimum(total[row, :-1], total[row, 1:])
        ahead = np.minimum.accumulate(entered - (sums - costs[row]))
        total[row + 1, 1:] = sums + ahead
    # From where each was entered: from both before, from the row before, from the column before.
    steps = np.stack([total[:-1, :-1], total[:-1, 1:], total[1:, :-1]]).argmin(axis=0)
    path = []
    row, column = rows - 1, columns - 1
    while row >= 0 and column >= 0:
        path.append((row, column))
        step = steps[row, column]
        row, column = row - (step != 2), column - (step != 1)
    return path[::-1]


def _median_of_seven(values: Tensor) -> Tensor:
    """Along the last dimension, mirrored at its ends; as it is where that is too short."""
    if values.shape[-1] <= _REACH:
        return values
    padded = torch.nn.functional.pad(values, (_REACH, _REACH), mode="reflect")
    length = values.shape[-1]
    lanes = [padded[..., shift : shift + length] for shift in range(2 * _REACH + 1)]
    for low, high in _SORTING:
        lanes[low], lanes[high] = (
            torch.minimum(lanes[low], lanes[high]),
            torch.maximum(lanes[low], lanes[high]),
        )
    return lanes[_REACH]
