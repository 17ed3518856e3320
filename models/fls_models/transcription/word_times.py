"""The words of a text, and where in a stretch of speech each of them stands. Pure functions.

A language model writes down what it hears without saying when. What else is known tells: how much
each frame says (`by_density`), or in which frames a CTC head read which piece (`by_pieces`). It
knows neither models nor audio; finding the pieces' frames is `ctc_alignment`'s.

Shapes: T frames. Times are seconds, on the clock of the frames' spans.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fls_models.core.text.unspaced import UNSPACED

Times = list[tuple[float, float]]
"""Start and end of each word, in order."""

_SILENT = 0.02
"""A head is never quite sure of silence: over a long pause some thousandths a frame would add up to
a word's worth. A frame in which a word may be heard shows ten times this."""

_PAUSE = 0.5
"""Seconds without content that nobody passes within a word. Shorter ones are: a CTC head is sure of
a piece for a frame or two and says blank until the next."""

_TAIL = 0.4
"""Seconds that a word is heard for after the last frame that its last piece was read in."""

_SAME = 1e-9

_OPENING = "「『（《〈【“‘(\\["
_CLOSING = rf"[^\w{_OPENING}]"
_LETTER = rf"(?![{UNSPACED}])\w"
_WITHOUT_SPACES = re.compile(f"[{UNSPACED}]")
# A character or a stretch of letters, with the marks and the punctuation after it. Brackets and
# quotes that open go with what they open; what can go nowhere else, with the first or the last.
_PARTS = re.compile(
    f"(?:^{_CLOSING}*)?(?:[{_OPENING}](?:[{_OPENING}]|{_CLOSING})*)?"
    f"(?:[{UNSPACED}]|{_LETTER}(?:[^{UNSPACED}]*{_LETTER})?)"
    f"{_CLOSING}*(?:[{_OPENING}](?:[{_OPENING}]|{_CLOSING})*$)?"
)


def words_of(text: str) -> list[str]:
    """A text's words as `results.Word` has them: with a leading space where the script has one.

    Where the script has no spaces, a word is a character, together with its marks and with the
    punctuation beside it. No character is lost but white space.

    >>> words_of("So, 今天 is today。")
    [' So,', ' 今', '天', ' is', ' today。']
    """
    words: list[str] = []
    for run in text.split():
        parts = _PARTS.findall(run) if _WITHOUT_SPACES.search(run) else [run]
        spaced = bool(words) or not _WITHOUT_SPACES.search(parts[0])
        words += [" " * spaced + parts[0], *parts[1:]]
    return words


def by_density(words: Sequence[str], density: Tensor, spans: Tensor) -> Times:
    """Words where the cumulative content density reaches their share of the text.

    Shares are by the number of characters, at least 1. A frame counts for its density times its
    duration; below 0.02 for nothing. The end of a word is where its share is reached, its start
    where the density first exceeds the shares before it: what lies between is a pause. Shares are
    never exact, so a pause of half a second that would fall into a word goes to the nearer end of
    the word. Without any density, words share the time.

    Args:
        words: as `words_of` gives them; spaces around them do not count.
        density: (T,) float32 in [0, 1].
        spans: (T, 2) float64, in order; gaps between them count as pauses.

    Returns:
        For each word its start and end. They never run backwards and stay inside the spans.

    Raises:
        ValueError: there are words but no frames.
    """
    if not words:
        return []
    if not len(density):
        raise ValueError("words without a frame to place them in")
    edges = spans.detach().double().cpu().numpy()
    densities = density.detach().double().cpu().numpy()
    durations = edges[:, 1] - edges[:, 0]
    mass = np.where(densities < _SILENT, 0.0, densities) * durations
    if not mass.sum() > 0:
        mass = durations
    # The curve's knots: start and end of each frame, with what was said until then.
    times = edges.flatten()
    curve = np.repeat(np.cumsum(mass), 2)
    curve[2::2], curve[0] = curve[1:-1:2], 0.0
    letters = np.array([0, *(max(1, len(word.strip())) for word in words)]).cumsum()
    bounds = letters / letters[-1] * curve[-1]
    _move_to_pauses(bounds, times, curve)
    starts = _times_at(bounds[:-1], times, curve, "right")
    ends = _times_at(bounds[1:], times, curve, "left")
    # Interpolation rounds; words next to each other share their boundary all the same.
    order = np.maximum.accumulate(np.stack([starts, ends], axis=1).flatten())
    return [(float(start), float(end)) for start, end in order.reshape(-1, 2)]


def _move_to_pauses(
    bounds: NDArray[np.float64], times: NDArray[np.float64], curve: NDArray[np.float64]
) -> None:
    """Moves bounds between words, in place, to the pauses that they miss; longest pauses first.

    A bound moves once, at most halfway to the next one, and never past it. The first and the last
    stay: before and after all words there is nothing that a bound could part.
    """
    levels, firsts = np.unique(curve, return_index=True)
    lasts = np.append(firsts[1:], len(curve)) - 1
    lengths = times[lasts] - times[firsts]
    fixed: set[int] = {0, len(bounds) - 1}
    for pause in np.argsort(-lengths, kind="stable"):
        level = levels[pause]
        above = int(np.searchsorted(bounds, level))
        if not 0 < level < curve[-1] or bounds[above] == level:
            continue
        nearer = min(above - 1, above, key=lambda bound: abs(bounds[bound] - level))
        missed_by = abs(bounds[nearer] - level)
        # Any pause takes a bound that only rounding keeps from it.
        if nearer not in fixed and (lengths[pause] >= _PAUSE or missed_by <= _SAME * curve[-1]):
            bounds[nearer] = level
            fixed.add(nearer)


def _times_at(
    amounts: NDArray[np.float64],
    times: NDArray[np.float64],
    curve: NDArray[np.float64],
    side: Literal["left", "right"],
) -> NDArray[np.float64]:
    """The times at which these amounts had been said: the first ones (`left`), or the last ones at
    which no more than them had been (`right`)."""
    knots = np.searchsorted(curve, amounts, side=side).clip(1, len(curve) - 1)
    rise = curve[knots] - curve[knots - 1]
    share = np.divide(amounts - curve[knots - 1], rise, out=np.zeros_like(rise), where=rise > 0)
    before, after = times[knots - 1], times[knots]
    reached: NDArray[np.float64] = np.minimum(before + share.clip(0, 1) * (after - before), after)
    return reached


def by_pieces(
    count: int, owners: Sequence[int], frames: Sequence[tuple[int, int]], spans: Tensor
) -> Times:
    """Words where their pieces were read.

    A word begins in its first piece's first frame, and ends 0.4 s after its last piece's last one
    or where the next word begins: a CTC head reads a piece in one or two frames and nothing in the
    rest of it. Words without a piece share that time with the word before them.

    Args:
        count: number of words.
        owners: for each piece, in order, the index of the word that it belongs to; ascending.
        frames: for each piece the first and the last frame that it was read in.
        spans: (T, 2) float64.

    Returns:
        For each word its start and end. They never run backwards and stay inside the spans.

    Raises:
        ValueError: there are words but no pieces.
    """
    if count and not owners:
        raise ValueError("words without a piece to place them by")
    edges = spans.detach().double().cpu().tolist()
    read_times: dict[int, tuple[float, float]] = {}
    for owner, (first, last) in zip(owners, frames, strict=True):
        start, end = edges[first][0], edges[last][1]
        read_times[owner] = (read_times.get(owner, (start, end))[0], end)
    placed: Times = []
    read_words = sorted(read_times)
    if read_words and read_words[0]:
        start = read_times[read_words[0]][0]
        placed += _shared(max(edges[0][0], start - _TAIL * read_words[0]), start, read_words[0])
    for word, following in pairwise([*read_words, count]):
        start, end = read_times[word]
        limit = read_times[following][0] if following < count else edges[-1][1]
        (_, first_end), *rest = _shared(
            end, max(end, min(limit, end + _TAIL * (following - word))), following - word
        )
        placed += [(start, first_end), *rest]
    return placed


def _shared(start: float, end: float, count: int) -> Times:
    """A stretch of time in equal parts."""
    edges = [min(end, start + (end - start) * index / count) for index in range(count)]
    return list(pairwise([*edges, end]))
