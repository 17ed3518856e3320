"""Speech to words with times: Whisper's decoder, through faster-whisper, on a stream.

The recogniser gets pieces of at most 30 s (`pauses`), never the recording. It leaves to `languages`
what is spoken where, to `loops` what was not said as often as it is written, and to `sentences`
where one ends.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fls_models.audio.vad import Piece, SpeechChunk, cut_at_pauses, grouped
from fls_models.audio.whisper import load_whisper
from fls_models.core.cache import NULL_CACHE, Cache, CacheKey
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import Sentence, Word
from fls_models.errors import UsageError
from fls_models.transcription.languages import LanguageDetector, Part
from fls_models.transcription.loops import Run, have_time, without_loops
from fls_models.transcription.sentences import split_sentences

# Changes when the same piece of audio, or the same recording, gives other words.
FORM = "words-2"
PIECES = "pieces"
# As long as nothing is known.
_LANGUAGE = "en"
# Silence that the recogniser does not get, and how much of it is left on each side, in samples.
_SILENCE = SAMPLE_RATE * 2
_PAD = SAMPLE_RATE * 2 // 5
# Tokens that Whisper writes of 30 s at most; so many are no speech, which has some 150.
_MAX_TOKENS = 224


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


class PieceByPiece:
    """Whoever hears a stream piece by piece.

    Of the last one, `language` is the ISO 639-1 code of what most of it is spoken in, if that is
    known, and `until` how many seconds of it were heard.
    """

    language: str | None = None
    until: float = 0.0
    _memory: Cache

    def _remember(self, parts: CacheKey, hear: Callable[[], dict[str, Any]]) -> Any:
        """What `hear` gives, heard now or in an earlier run: an interrupted one goes on there."""
        cached = self._memory.get(PIECES, parts)
        if cached is None:
            cached = json.dumps(hear(), default=float).encode()
            self._memory.put(PIECES, parts, cached)
        # Read back even when just written: so that nothing depends on which it was.
        return json.loads(cached)

    def _sentences_of(
        self,
        pieces: Iterable[SpeechChunk],
        words: Callable[[Piece], list[Word]],
        total: float | None,
        progress: Progress,
    ) -> Iterator[Sentence]:
        """Sentences as they are complete; the progress stage `listen` counts seconds."""
        self.until = 0.0
        progress("listen", 0, total)
        pending: list[Word] = []
        for chunk in pieces:
            if chunk.piece is not None:
                sentences, pending = split_sentences(pending + words(chunk.piece))
                yield from sentences
            self.until = chunk.until
            progress("listen", chunk.until, total if total and total > chunk.until else None)
        sentences, rest = split_sentences(pending)
        yield from sentences
        if rest:
            yield Sentence(tuple(rest))
        progress("listen", self.until, self.until)


class Transcriber(PieceByPiece):
    """Whisper in a folder of CTranslate2 files, 8-bit on the CPU.

    A language that is not given is detected, again and again: who speaks may change it at a pause.
    """

    def __init__(
        self,
        folder: Path,
        *,
        threads: int = 0,
        memory: Cache = NULL_CACHE,
        identity: str = "",
    ) -> None:
        self._whisper = load_whisper(folder, threads)
        self._languages = LanguageDetector(self._whisper)
        self._memory = memory
        self._identity = identity
        self._durations: Counter[str] = Counter()

    def sentences(
        self,
        blocks: Iterable[NDArray[np.float32]],
        budget: str,
        *,
        language: str | None = None,
        start: float = 0.0,
        total: float | None = None,
        progress: Progress = ignore,
    ) -> Iterator[Sentence]:
        """Sentences as they are understood, from blocks of 16 kHz mono float32.

        `budget` is a budget's name: how hard to try. `start` is the time of the first sample and is
        added to every time. The progress stage `listen` counts seconds of audio. Raises UsageError
        for a language the model does not know.
        """
        languages = self._whisper.supported_languages
        if language is not None and language not in languages:
            raise UsageError(
                f"The speech model knows no language {language!r}; --language takes an ISO 639-1 "
                f"code, one of: {', '.join(languages)}."
            )
        effort = EFFORTS[budget]
        self.language = language
        self._durations.clear()
        before: str | None = None

        def words(piece: Piece) -> list[Word]:
            nonlocal before
            piece_words, before = self._words(piece, effort, start, language, before)
            if language is None:
                self._count(piece_words)
            return piece_words

        yield from self._sentences_of(cut_at_pauses(blocks), words, total, progress)

    def _count(self, words: list[Word]) -> None:
        for word in words:
            if word.language is not None:
                self._durations[word.language] += round(1000 * (word.end - word.start)) + 1
        if self._durations:
            [(self.language, _)] = self._durations.most_common(1)

    def _words(
        self, piece: Piece, effort: Effort, start: float, language: str | None, before: str | None
    ) -> tuple[list[Word], str | None]:
        """The words of a piece, decoded now or in an earlier run, and the language at its end.

        `language` is that of the recording, if it is known, and `before` what was spoken last.
        """
        parts = {
            "form": FORM,
            "model": self._identity,
            "audio": hashlib.sha256(np.ascontiguousarray(piece.samples).data).hexdigest(),
            "language": language,
            "before": before,
            "effort": asdict(effort),
        }

        def hear() -> dict[str, Any]:
            if language is None:
                language_parts = self._languages.parts(piece, before)
            else:
                language_parts = [Part(language, piece.speech)]
            decoded = [
                (word.start, word.end, word.text, word.probability, part.language)
                for part in language_parts or [Part(_LANGUAGE, piece.speech)]
                for word in self._decode(piece, part, effort)
            ]
            last = language_parts[-1].language if language_parts else before
            return {"before": last, "known": bool(language_parts), "words": decoded}

        content = self._remember(parts, hear)
        words = [
            Word(
                round(start + piece.start + begin, 3),
                round(start + piece.start + end, 3),
                text,
                round(probability, 3),
                code if content["known"] else None,
            )
            for begin, end, text, probability, code in content["words"]
        ]
        return words, content["before"]

    def _decode(self, piece: Piece, part: Part, effort: Effort) -> list[Word]:
        """What is said in a part of a piece, with times from the piece's first sample."""
        import ctranslate2
        from faster_whisper.transcribe import restore_speech_timestamps
        from faster_whisper.vad import collect_chunks

        chunks = _chunks(piece, part)
        [samples], _ = collect_chunks(piece.samples, chunks)
        # Temperatures above 0 draw at random: the same piece must draw the same.
        ctranslate2.set_random_seed(0)
        segments, _ = self._whisper.transcribe(
            samples,
            language=part.language,
            beam_size=effort.beams,
            temperature=list(effort.temperatures),
            # Earlier text as a prompt costs sentences at the joints of pieces and feeds loops.
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        words: list[Word] = []
        is_full: list[bool] = []
        tokens_by_seek: Counter[int] = Counter()
        segments = list(restore_speech_timestamps(segments, chunks, SAMPLE_RATE))
        for segment in segments:
            tokens_by_seek[segment.seek] += len(segment.tokens)
        for segment in segments:
            for word in segment.words or ():
                end = max(word.start, word.end)
                words.append(Word(word.start, end, word.word, word.probability))
                is_full.append(tokens_by_seek[segment.seek] >= _MAX_TOKENS)
        speech = [(a / SAMPLE_RATE, b / SAMPLE_RATE) for a, b in part.speech]

        def is_loop(run: Run) -> bool:
            repeated_words = words[run.first : run.end]
            return is_full[run.first] or not have_time(repeated_words, run.times, speech)

        return without_loops(words, [word.text for word in words], is_loop)


def _chunks(piece: Piece, part: Part) -> list[dict[str, int]]:
    """Which samples of a piece the recogniser gets: the part's, without long silences."""
    groups = grouped(part.speech, _SILENCE)
    chunks = [
        {"start": max(0, group[0][0] - _PAD), "end": min(len(piece.samples), group[-1][1] + _PAD)}
        for group in groups
    ]
    # Not into what is spoken before and after, which is another part.
    first = max((end for _, end in piece.speech if end <= part.speech[0][0]), default=0)
    last = min(
        (start for start, _ in piece.speech if start >= part.speech[-1][1]),
        default=len(piece.samples),
    )
    chunks[0]["start"] = max(chunks[0]["start"], first)
    chunks[-1]["end"] = min(chunks[-1]["end"], last)
    return chunks
