"""Which frames a CTC head reads each piece of a known text in: forced alignment.

`SentencePieces` cuts words into the pieces that the head was trained on, and makes text of pieces;
`align` finds the frames they are likeliest read in. What times that makes of the words is left to
`word_times`.

Shapes: T frames, S pieces of the text, V pieces that the head knows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fls_models.core.optional import optional
from fls_models.errors import UsageError

_LOG_ZERO = -1e4
"""Stands for log 0: a path through a frame that the head rules out is still a path."""


def align(log_probabilities: Tensor, ids: Sequence[int]) -> list[tuple[int, int]]:
    """The likeliest way to read a text in frames, one piece or blank a frame (Viterbi).

    A piece is read in consecutive frames; between equal neighbours at least one frame is blank.

    Args:
        log_probabilities: (T, S + 1), column i that of the text's i-th piece, the last the blank's.
        ids: the S pieces; only which of them are equal matters.

    Returns:
        For each piece the first and the last frame it is read in, from 0, in order.

    Raises:
        ValueError: there are too few frames for the text, the shapes do not fit, or NaN.
    """
    count, pieces = len(log_probabilities), len(ids)
    if log_probabilities.shape != (count, pieces + 1):
        raise ValueError(f"{pieces} pieces and a blank do not fit {tuple(log_probabilities.shape)}")
    if not pieces:
        return []
    numbers = np.array(ids)
    repeated = numbers[1:] == numbers[:-1]
    if count < (required := pieces + int(repeated.sum())):
        raise ValueError(f"a text of {pieces} pieces takes {required} frames, there are {count}")
    columns = log_probabilities.detach().double().cpu().numpy()
    if np.isnan(columns).any():
        raise ValueError("the CTC head gave NaN")
    # State 2i is the blank before piece i, state 2i + 1 the piece, state 2S the blank after all.
    states = 2 * pieces + 1
    order = np.full(states, pieces)
    order[1::2] = np.arange(pieces)
    scores_by_state = columns.clip(min=_LOG_ZERO)[:, order]
    skips = np.zeros(states, bool)
    skips[3::2] = ~repeated
    # How many states back each state was entered from: 0, 1 or 2.
    steps = np.zeros((count, states), np.int8)
    score = np.full(states, -np.inf)
    score[:2] = scores_by_state[0, :2]
    ways = np.full((3, states), -np.inf)
    for frame in range(1, count):
        ways[0] = score
        ways[1, 1:] = score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        steps[frame] = ways.argmax(axis=0)
        score = ways.max(axis=0) + scores_by_state[frame]
    state = states - 1 if score[-1] > score[-2] else states - 2
    lasts, firsts = [-1] * pieces, [-1] * pieces
    for frame in range(count - 1, -1, -1):
        piece, is_piece = divmod(state, 2)
        if is_piece:
            firsts[piece] = frame
            if lasts[piece] < 0:
                lasts[piece] = frame
        state -= int(steps[frame, state])
    return list(zip(firsts, lasts, strict=True))


class SentencePieces:
    """The vocabulary of a CTC head: a SentencePiece model file, read when first needed.

    Args:
        path: the `spm.model` that the head was trained with; its ids are the head's classes.
        pieces: V, the head's classes without the blank.
    """

    def __init__(self, path: Path, pieces: int) -> None:
        self._path = path
        self._count = pieces
        self._processor: Any = None

    def load(self) -> None:
        """Reads the file, once.

        Raises:
            EnvironmentLacks: the package that reads it is not installed.
            UsageError: the file is none, or not the head's.
        """
        if self._processor is not None:
            return
        sentencepiece = optional("sentencepiece", "Reading the vocabulary of a CTC head")
        try:
            processor = sentencepiece.SentencePieceProcessor(model_file=str(self._path))
            piece_count = processor.get_piece_size()
        except (OSError, RuntimeError) as error:
            raise UsageError(
                f"{self._path} is no SentencePiece model that can be read; --ctc-vocab takes the "
                "spm.model that goes with the CTC head."
            ) from error
        if piece_count != self._count:
            raise UsageError(
                f"{self._path} has {piece_count} pieces, the CTC head {self._count}; --ctc-vocab "
                "takes the spm.model that goes with the head."
            )
        self._processor = processor

    def text(self, ids: Sequence[int]) -> str:
        """What pieces that follow one another are as text; those it does not know are left out."""
        self.load()
        unknown = self._processor.unk_id()
        return str(self._processor.decode([int(token) for token in ids if token != unknown]))

    def pieces(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """The pieces of words as they stand in a sentence: (id, index of the word it belongs to).

        `words` are as `word_times.words_of` gives them. A piece that reaches over several words
        belongs to the first; those after it may have none. What the vocabulary has no piece for is
        left out, and capitals are given up where it knows small letters only, or the reverse.
        """
        self.load()
        pieces: list[tuple[int, int]] = []
        begin = 0
        while begin < len(words):
            end = begin + 1
            # Without a space between them, words are cut into pieces together.
            while end < len(words) and not words[end][:1].isspace():
                end += 1
            pieces += self._run(words, begin, end)
            begin = end
        return pieces

    def _run(self, words: Sequence[str], begin: int, end: int) -> list[tuple[int, int]]:
        run = "".join(words[begin:end]).strip()
        unknown = self._processor.unk_id()
        spelling = min(
            (run, run.lower(), run.upper()),
            key=lambda text: self._processor.encode_as_ids(text).count(unknown),
        )
        ids = self._processor.encode_as_ids(spelling)
        texts = self._processor.encode_as_pieces(spelling)
        word, letters = begin, len(words[begin].strip())
        pieces = []
        for piece, text in zip(ids, texts, strict=True):
            if piece != unknown:
                pieces.append((piece, word))
            letters -= len(text.lstrip("\u2581"))
            while letters <= 0 and word + 1 < end:
                word += 1
                letters += len(words[word].strip())
        return pieces
