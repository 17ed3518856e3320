"""What a CTC head reads in frames when nobody says what is spoken: the likeliest of each frame.

From the head's probabilities to pieces and the frames they were read in, and from those to words
with times. It knows neither the head nor what its tokens are called; where a text that is known
stands in frames is `ctc_alignment`'s.

Shapes: T frames, V tokens of the head, the blank is V.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fls_models.core.results import Word
from fls_models.transcription.word_times import by_pieces, words_of


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
    return [two for one, two in pairwise([blank, *best]) if two not in (one, blank)]


def pieces_read(best: Sequence[int], likely: Sequence[float], blank: int) -> list[PieceRead]:
    """The same with the frames: of T frames, the likeliest class of each and its probability.

    >>> pieces_read([2, 0, 0, 2, 0, 1], [1.0, 0.5, 0.75, 1.0, 0.5, 0.25], blank=2)[0]
    PieceRead(token=0, first=1, last=2, probability=0.75)
    """
    found: list[PieceRead] = []
    before = blank
    for frame, (token, share) in enumerate(zip(best, likely, strict=True)):
        if token != blank and token == before:
            one = found[-1]
            found[-1] = one._replace(last=frame, probability=max(one.probability, share))
        elif token != blank:
            found.append(PieceRead(token, frame, frame, share))
        before = token
    return found


def words_read(
    pieces: Sequence[PieceRead], text: Callable[[Sequence[int]], str], spans: Tensor
) -> tuple[Word, ...]:
    """The words that pieces make, where their pieces were read (`word_times.by_pieces`).

    A word is what `word_times.words_of` takes for one; its probability is the mean of its pieces'.

    Args:
        pieces: in order, with frames of T.
        text: of tokens that follow one another, as the head's vocabulary writes them.
        spans: (T, 2) float64 seconds.
    """
    words: list[list[PieceRead]] = []
    within = False
    for piece in pieces:
        if not _written([piece], text).strip():
            # A space alone parts words, and is in none: it may stand in a long pause.
            within = False
            continue
        # Else a word ends where what follows begins another: with a space, or in a script without.
        within = within and len(words_of(_written([*words[-1], piece], text))) == 1
        if within:
            words[-1].append(piece)
        else:
            words.append([piece])
        within = True
    owners = [index for index, word in enumerate(words) for _ in word]
    frames = [(piece.first, piece.last) for word in words for piece in word]
    times = by_pieces(len(words), owners, frames, spans)
    return tuple(
        Word(
            round(start, 3),
            round(end, 3),
            _as_word(_written(word, text)),
            sum(piece.probability for piece in word) / len(word),
        )
        for word, (start, end) in zip(words, times, strict=True)
    )


def most_likely(log_probabilities: Tensor) -> tuple[list[int], list[float]]:
    """(T, V + 1) -> the likeliest class of each frame, and its probability."""
    best = log_probabilities.max(-1)
    return best.indices.tolist(), torch.exp(best.values).tolist()


def _written(pieces: Sequence[PieceRead], text: Callable[[Sequence[int]], str]) -> str:
    return text([piece.token for piece in pieces])


def _as_word(text: str) -> str:
    """With a leading space where the script has one, whether or not its pieces had it."""
    return "".join(words_of(text))
