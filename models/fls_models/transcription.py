"""Speech to words with times: Whisper's decoder, through faster-whisper, on a stream.

The recogniser gets pieces of at most 30 s (`pauses`), never the recording; the language is
detected once; text that it repeats in a loop is caught.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.errors import UsageError
from fls_models.memory import FORGETFUL, Memory
from fls_models.pauses import Heard, Piece, cut_at_pauses
from fls_models.progress import Progress, silent
from fls_models.results import Sentence, Word

# Changes when the same piece of audio, or the same recording, gives other words.
FORM = "words-1"
PIECES = "pieces"
_ENDINGS = (".", "?", "!", "…", "。", "？", "！", "।", "؟")
_PAUSE_ENDS_SENTENCE = 1.5
_LONGEST_SENTENCE = 60
_SURE = 0.5


@dataclass(frozen=True)
class Effort:
    """How hard the decoder tries: beams, and the temperatures tried when a reading looks wrong."""

    name: str
    beams: int
    temperatures: tuple[float, ...]


EFFORTS = {
    "fast": Effort("greedy", 1, (0.0,)),
    "balanced": Effort("greedy with temperature fallback", 1, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    "accurate": Effort("beam search (5)", 5, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
}


def load_whisper(folder: Path, threads: int = 0) -> Any:
    """Whisper in a folder of CTranslate2 files, 8-bit on the CPU: for words, or for its frames."""
    from faster_whisper import WhisperModel

    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)


class PieceByPiece:
    """Whoever hears a stream piece by piece.

    Of the last one, `language` is the ISO 639-1 code if it is known, and `until` how many seconds
    of it were heard.
    """

    language: str | None = None
    until: float = 0.0

    def _heard(
        self,
        pieces: Iterable[Heard],
        words: Callable[[Piece], list[Word]],
        total: float | None,
        progress: Progress,
    ) -> Iterator[Sentence]:
        """Sentences as they are complete; the progress stage `listen` counts seconds."""
        self.until = 0.0
        progress("listen", 0, total)
        pending: list[Word] = []
        for heard in pieces:
            if heard.piece is not None:
                complete, pending = split_sentences(pending + words(heard.piece))
                yield from complete
            self.until = heard.until
            progress("listen", heard.until, total if total and total > heard.until else None)
        complete, rest = split_sentences(pending)
        yield from complete
        if rest:
            yield Sentence(tuple(rest))
        progress("listen", self.until, self.until)


class Transcriber(PieceByPiece):
    """Whisper in a folder of CTranslate2 files, 8-bit on the CPU.

    A language that is not given is detected in the first speech.
    """

    def __init__(
        self,
        folder: Path,
        *,
        threads: int = 0,
        memory: Memory = FORGETFUL,
        identity: str = "",
    ) -> None:
        self._whisper = load_whisper(folder, threads)
        self._memory = memory
        self._identity = identity

    def sentences(
        self,
        blocks: Iterable[NDArray[np.float32]],
        budget: str,
        *,
        language: str | None = None,
        start: float = 0.0,
        total: float | None = None,
        progress: Progress = silent,
    ) -> Iterator[Sentence]:
        """Sentences as they are understood, from blocks of 16 kHz mono float32.

        `budget` is a budget's name: how hard to try. `start` is the time of the first sample and is
        added to every time. The progress stage `listen` counts seconds of audio. Raises UsageError
        for a language the model does not know.
        """
        known = self._whisper.supported_languages
        if language is not None and language not in known:
            raise UsageError(
                f"The speech model knows no language {language!r}; --language takes an ISO 639-1 "
                f"code, one of: {', '.join(known)}."
            )
        effort = EFFORTS[budget]
        self.language = language
        pieces = cut_at_pauses(blocks)
        yield from self._heard(
            pieces, lambda piece: self._words(piece, effort, start), total, progress
        )

    def _words(self, piece: Piece, effort: Effort, start: float) -> list[Word]:
        """The words of a piece, decoded now or before: an interrupted run goes on where it was."""
        parts = {
            "form": FORM,
            "model": self._identity,
            "audio": hashlib.sha256(np.ascontiguousarray(piece.samples).data).hexdigest(),
            "language": self.language,
            "effort": asdict(effort),
        }
        kept = self._memory.get(PIECES, parts)
        if kept is None:
            if self.language is None:
                self._detect(piece)
            decoded = [
                (word.start, max(word.start, word.end), word.word, word.probability)
                for segment in self._decode(piece, effort)
                for word in segment.words or ()
            ]
            found = {"language": self.language, "words": decoded}
            kept = json.dumps(found, default=float).encode()
            self._memory.put(PIECES, parts, kept)
        # Read back even when just written: so that nothing depends on which it was.
        found = json.loads(kept)
        self.language = found["language"]
        words = [
            Word(
                round(start + piece.start + begin, 3),
                round(start + piece.start + end, 3),
                text,
                round(probability, 3),
            )
            for begin, end, text, probability in found["words"]
        ]
        return without_loops(words)

    def _decode(self, piece: Piece, effort: Effort) -> list[Any]:
        import ctranslate2

        # Temperatures above 0 draw at random: the same piece must draw the same.
        ctranslate2.set_random_seed(0)
        segments, _ = self._whisper.transcribe(
            piece.samples,
            language=self.language or "en",
            beam_size=effort.beams,
            temperature=list(effort.temperatures),
            # Earlier text as a prompt costs sentences at the joints of pieces and feeds loops.
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=True,
        )
        return list(segments)

    def _detect(self, piece: Piece) -> None:
        language, probability, _ = self._whisper.detect_language(piece.samples)
        if probability >= _SURE:
            self.language = language


def split_sentences(words: list[Word]) -> tuple[list[Sentence], list[Word]]:
    """Complete sentences at the front of `words`, and the words of the one that is not."""
    complete: list[Sentence] = []
    begin = 0
    for index, word in enumerate(words):
        last = index + 1 == len(words)
        pause = not last and words[index + 1].start - word.end > _PAUSE_ENDS_SENTENCE
        too_long = index + 1 - begin >= _LONGEST_SENTENCE
        if word.text.rstrip(" \"'”’)").endswith(_ENDINGS) or pause or too_long:
            complete.append(Sentence(tuple(words[begin : index + 1])))
            begin = index + 1
    return complete, words[begin:]


def without_loops(words: list[Word]) -> list[Word]:
    """Keeps one of four or more repetitions in a row of the same 1 to 8 words."""
    texts = [word.text.strip().lower() for word in words]
    kept: list[Word] = []
    index = 0
    while index < len(words):
        for n in range(1, 9):
            times = 1
            while texts[index + times * n : index + (times + 1) * n] == texts[index : index + n]:
                times += 1
            if times >= 4:
                kept += words[index : index + n]
                index += times * n
                break
        else:
            kept.append(words[index])
            index += 1
    return kept
