"""From the pieces that a CTC head reads in frames to words with times.

It knows neither the head nor what its tokens are called; where a text that is known stands in
frames is `ctc_alignment`'s.
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from fls_models.core.results import Word
from fls_models.extractor.ctc_decoding import PieceRead
from fls_models.transcription.word_times import by_pieces, words_of


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


def _written(pieces: Sequence[PieceRead], text: Callable[[Sequence[int]], str]) -> str:
    return text([piece.token for piece in pieces])


def _as_word(text: str) -> str:
    """With a leading space where the script has one, whether or not its pieces had it."""
    return "".join(words_of(text))
