"""Speech to words with times: Whisper's decoder, through faster-whisper, on a stream.

The recogniser gets pieces of at most 30 s (`vad`), several side by side, never the recording. It
leaves to `languages` what is spoken where, to `loops` what was not said as often as it is written,
and to `sentences` where one ends.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fls_models.audio.prefetch import ReadAhead, closing_source
from fls_models.audio.together import Running, Together
from fls_models.audio.vad import Piece, SpeechChunk, cut_at_pauses, grouped
from fls_models.audio.whisper.effort import EFFORTS, Effort
from fls_models.audio.whisper.wording import PLAIN, Wording
from fls_models.core.cache import NULL_CACHE, Cache, CacheKey
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import Sentence, Word
from fls_models.errors import UsageError
from fls_models.transcription.languages import LanguageDetector, Part
from fls_models.transcription.loops import Run, have_time, without_loops
from fls_models.transcription.sentences import split_sentences

if TYPE_CHECKING:
    from fls_models.audio.whisper.load import Whisper

# Changes when the same piece of audio, or the same recording, gives other words.
FORM = "words-2"
PIECES = "pieces"
# As long as nothing is known.
_LANGUAGE = "en"
# What Whisper translates into.
_TRANSLATED = "en"
# Silence that the recogniser does not get, and how much of it is left on each side, in samples.
_SILENCE = SAMPLE_RATE * 2
_PAD = SAMPLE_RATE * 2 // 5
# Tokens that Whisper writes of 30 s at most; so many are no speech, which has some 150.
_MAX_TOKENS = 224
# Seconds after which no further piece is waited for: a stream that is no faster than it is spoken
# is heard as it comes.
_PATIENCE = 2.0


class PieceByPiece:
    """Whoever hears a stream piece by piece.

    Of the last one, `language` is the ISO 639-1 code of what most of it is spoken in, if that is
    known, and `until` how many seconds of it were heard.
    """

    language: str | None = None
    until: float = 0.0
    _memory: Cache

    def _known(self, parts: CacheKey) -> Any:
        """What was heard of a piece in an earlier run, so that an interrupted one goes on there."""
        content = self._memory.get(PIECES, parts)
        return None if content is None else json.loads(content)

    def _keep(self, parts: CacheKey, heard: dict[str, Any]) -> Any:
        content = json.dumps(heard, default=float).encode()
        self._memory.put(PIECES, parts, content)
        # Read back even when just written: so that nothing depends on which it was.
        return json.loads(content)

    def _sentences_of(
        self,
        heard: Iterable[tuple[SpeechChunk, list[Word]]],
        total: float | None,
        progress: Progress,
    ) -> Iterator[Sentence]:
        """Sentences as they are complete; the progress stage `listen` counts seconds."""
        self.until = 0.0
        progress("listen", 0, total)
        pending: list[Word] = []
        for chunk, words in heard:
            sentences, pending = split_sentences(pending + words)
            yield from sentences
            self.until = chunk.until
            progress("listen", chunk.until, total if total and total > chunk.until else None)
        sentences, rest = split_sentences(pending)
        yield from sentences
        if rest:
            yield Sentence(tuple(rest))
        progress("listen", self.until, self.until)


@dataclass
class _Hearing:
    """A piece that is being heard: by which key it is kept, and its parts' tasks."""

    chunk: SpeechChunk
    key: CacheKey = field(default_factory=dict)
    content: Any = None
    before: str | None = None
    is_known: bool = False
    parts: list[tuple[Part, list[dict[str, int]], Running[list[Any]]]] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return all(task.is_done for _, _, task in self.parts)


class Transcriber(PieceByPiece):
    """Whisper in a folder of CTranslate2 files, on the CPU.

    A language that is not given is detected, again and again: who speaks may change it at a pause.
    """

    def __init__(
        self,
        folder: Path,
        *,
        memory: Cache = NULL_CACHE,
        identity: str = "",
    ) -> None:
        self._folder = folder
        self._memory = memory
        self._identity = identity
        self._durations: Counter[str] = Counter()
        self._is_detecting = False
        self._wording = PLAIN

    @cached_property
    def _whisper(self) -> Whisper:
        from fls_models.audio.whisper.load import load_whisper

        return load_whisper(self._folder)

    @cached_property
    def _languages(self) -> LanguageDetector:
        return LanguageDetector(self._whisper)

    def sentences(
        self,
        blocks: Iterable[NDArray[np.float32]],
        budget: str,
        *,
        language: str | None = None,
        start: float = 0.0,
        total: float | None = None,
        progress: Progress = ignore,
        wording: Wording = PLAIN,
    ) -> Iterator[Sentence]:
        """Sentences as they are understood, from blocks of 16 kHz mono float32.

        When it returns, the model is loaded, and the first blocks are decoded meanwhile.
        `budget` is a budget's name: how hard to try. `start` is the time of the first sample and is
        added to every time. `language` may be several, parted by commas: those that may be spoken.
        The progress stage `listen` counts seconds of audio. Raises UsageError for a language the
        model does not know.
        """
        effort = EFFORTS[budget]
        # A piece, and no more until it is heard: what is ahead would keep its first sentence back.
        chunks = ReadAhead(_cut(blocks), 1)
        try:
            self._whisper.merging = effort.merging
            language = self._set_languages(language)
        except BaseException:
            chunks.close()
            raise
        self._wording = wording
        self._durations.clear()

        def heard_sentences() -> Iterator[Sentence]:
            with closing(chunks), closing(self._hear(chunks, effort, language)) as heard:
                words = ((chunk, self._words(chunk, content, start)) for chunk, content in heard)
                yield from self._sentences_of(words, total, progress)

        return heard_sentences()

    def _set_languages(self, language: str | None) -> str | None:
        """Of codes as `sentences` takes them the one that all is spoken in, if that is known."""
        codes, languages = (language or "").split(","), self._whisper.supported_languages
        if language is not None and (unknown := [code for code in codes if code not in languages]):
            raise UsageError(
                f"The speech model knows no language {unknown[0]!r}; --language takes ISO 639-1 "
                f"codes: {', '.join(languages)}."
            )
        several = frozenset(codes) if len(codes) > 1 else frozenset()
        self._languages.allowed = several
        if several:
            language = None
        self.language = language
        self._is_detecting = language is None
        return language

    def _hear(
        self, chunks: ReadAhead[SpeechChunk], effort: Effort, language: str | None
    ) -> Generator[tuple[SpeechChunk, Any], None, None]:
        """Each piece with what was heard in it, in order; after the first, several together.

        `language` is that of the recording, if it is known.
        """
        order: deque[_Hearing] = deque()
        limit, before, failure = 1, None, None
        is_over = is_slow = False
        coming = chunks.items()
        with self._whisper.side_by_side() as together:
            while order or not is_over:
                if order and order[0].is_done:
                    hearing = order.popleft()
                    if hearing.parts and limit == 1:
                        limit = self._whisper.max_windows
                        chunks.widen(limit - 1)
                    yield hearing.chunk, self._finish(hearing)
                elif is_over or is_slow or len(together) >= limit:
                    together.step()
                    is_slow = is_slow and len(together) > 0
                else:
                    since = time.monotonic()
                    try:
                        chunk = next(coming, None)
                    except Exception as error:  # raised below, after what was understood before it
                        chunk, failure = None, error
                    is_over, is_slow = chunk is None, time.monotonic() - since > _PATIENCE
                    if chunk is not None:
                        order.append(self._begin(chunk, effort, language, before, together))
                        before = order[-1].before
                        if order[-1].parts:
                            # It is encoded alone in any case: now, while the next one is cut.
                            together.step()
        if failure is not None:
            raise failure

    def _count(self, words: list[Word]) -> None:
        for word in words:
            if word.language is not None:
                self._durations[word.language] += round(1000 * (word.end - word.start)) + 1
        if self._durations:
            [(self.language, _)] = self._durations.most_common(1)

    def _words(self, chunk: SpeechChunk, content: Any, start: float) -> list[Word]:
        if chunk.piece is None:
            return []
        words = [
            Word(
                round(start + chunk.piece.start + begin, 3),
                round(start + chunk.piece.start + end, 3),
                text,
                round(probability, 3),
                code if content["known"] else None,
            )
            for begin, end, text, probability, code in content["words"]
        ]
        if self._is_detecting:
            self._count(words)
        return words

    def _begin(
        self,
        chunk: SpeechChunk,
        effort: Effort,
        language: str | None,
        before: str | None,
        together: Together[list[Any]],
    ) -> _Hearing:
        """A piece to be heard, or as it was heard in an earlier run.

        `before` is the language that was spoken last.
        """
        piece = chunk.piece
        if piece is None:
            return _Hearing(chunk, before=before)
        key = {
            "form": FORM,
            "model": self._identity,
            "audio": hashlib.sha256(np.ascontiguousarray(piece.samples).data).hexdigest(),
            "language": ",".join(sorted(self._languages.allowed)) or language,
            "before": before,
            "effort": effort.key(),
            **self._wording.heard(),
        }
        if (content := self._known(key)) is not None:
            return _Hearing(chunk, key, content, content["before"])
        if language is None:
            parts = self._languages.parts(piece, before)
        else:
            parts = [Part(language, piece.speech)]
        hearing = _Hearing(chunk, key, None, parts[-1].language if parts else before, bool(parts))
        for part in parts or [Part(_LANGUAGE, piece.speech)]:
            chunks = _chunks(piece, part)
            samples = np.concatenate([piece.samples[c["start"] : c["end"]] for c in chunks])
            task = self._whisper.transcription(
                samples,
                part.language,
                beams=effort.beams,
                temperatures=effort.temperatures,
                silence=chunks[-1]["end"] - part.speech[-1][1],
                wording=self._wording,
            )
            hearing.parts.append((part, chunks, together.start(task)))
        return hearing

    def _written_in(self, part: Part) -> str:
        return _TRANSLATED if self._wording.translates else part.language

    def _finish(self, hearing: _Hearing) -> Any:
        """What is kept of a piece: words, each with its language, and the language at its end."""
        if not hearing.parts:
            return hearing.content
        words = [
            (word.start, word.end, word.text, word.probability, self._written_in(part))
            for part, chunks, task in hearing.parts
            for word in _words_of(task.result(), part, chunks)
        ]
        heard = {"before": hearing.before, "known": hearing.is_known, "words": words}
        return self._keep(hearing.key, heard)


def _cut(blocks: Iterable[NDArray[np.float32]]) -> Generator[SpeechChunk, None, None]:
    with closing_source(blocks):
        yield from cut_at_pauses(blocks)


def _words_of(segments: Sequence[Any], part: Part, chunks: Sequence[dict[str, int]]) -> list[Word]:
    """What is said in a part of a piece, with times from the piece's first sample."""
    from faster_whisper.transcribe import restore_speech_timestamps

    words: list[Word] = []
    is_full: list[bool] = []
    tokens_by_seek: Counter[int] = Counter()
    for segment in segments:
        tokens_by_seek[segment.seek] += len(segment.tokens)
    for segment in restore_speech_timestamps(segments, list(chunks), SAMPLE_RATE):
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
