"""A question about a recording: read it in as many passes as it takes, answer, merge.

Each pass is first asked whether it speaks of the question at all (`answerable`); passes that do not
stay silent, and when all do, so does the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from fls_models import prompts
from fls_models.answerable import Evidence
from fls_models.budget import Budget
from fls_models.lslm.mini import MiniLanguageModel, ReadContext
from fls_models.models import Model
from fls_models.progress import Progress, silent
from fls_models.question_language import language_of
from fls_models.readers import Reading, TextReader
from fls_models.results import NO_SPEECH, NOT_SAID, Answer, Span, Transcript, Usage
from fls_models.sampling import FRAME_RATE
from fls_models.stopwatch import Stopwatch

# A pass this much weaker than the strongest (nats per token) has nothing to add to its answer.
_NEAR_THE_BEST = 0.7
# A full stop counts once something follows it: "3.5" and "Dr." at the end of a piece do not.
_SENTENCE_END = re.compile(r"[a-z0-9)\"']{2}[.!?…]\s|[。！？]|\n\n")
# Contexts kept for the next question: some 40 MB a pass of `mini`.
_KEPT = 8


def _unseen(text: str) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Manner:
    """How answers are decoded. Greedy unless a temperature is given."""

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0

    def decode(
        self,
        llm: MiniLanguageModel,
        context: ReadContext,
        request: str,
        show: Callable[[str], None] = _unseen,
        *,
        sentences: int | None = None,
    ) -> str:
        """The reply to a request, at most so many sentences; `show` gets it piece by piece.

        A small model asked for one sentence goes on with the recording's own; hence the limit.
        """
        pieces: list[str] = []
        for piece in llm.generate(
            context,
            request,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=self.seed,
        ):
            pieces.append(piece)
            show(piece)
            ends = list(_SENTENCE_END.finditer("".join(pieces))) if sentences else []
            if sentences and len(ends) >= sentences:
                return "".join(pieces)[: ends[sentences - 1].end()].strip()
        return "".join(pieces).strip()


@dataclass(frozen=True)
class Pass:
    """One stretch of the recording that the language model has read, and what speaks for it."""

    reading: Reading
    evidence: Evidence

    @property
    def span(self) -> Span:
        return Span(float(self.reading.spans[0, 0]), float(self.reading.spans[:, 1].max()))


@dataclass
class _Spent:
    """Tokens that one answer took, notes included."""

    read: int = 0
    written: int = 0


def _grouped(notes: list[list[int]], most: int) -> list[list[list[int]]]:
    """Notes in order, in groups of two or more that one pass reads together."""
    groups: list[list[list[int]]] = [[]]
    for note in notes:
        if len(groups[-1]) >= 2 and sum(map(len, groups[-1])) + len(note) > most:
            groups.append([])
        groups[-1].append(note)
    return groups


class Asking:
    """Questions about one recording; what was read for one question serves the next.

    `heard_in` is what hearing it took, by stage; every answer's usage starts from there.
    """

    def __init__(
        self,
        model: Model,
        source: str,
        transcript: Transcript,
        *,
        heard_in: Mapping[str, float],
        budget: Budget,
        manner: Manner | None = None,
        progress: Progress = silent,
    ) -> None:
        self._model = model
        self._source = source
        self._transcript = transcript
        self._heard_in = heard_in
        self._budget = budget
        self._manner = manner or Manner()
        self._progress = progress
        self._contexts: dict[str, ReadContext] = {}

    def answer(self, question: str, show: Callable[[str], None] = _unseen) -> Answer:
        """Answers one question; `show` gets the answer's text piece by piece as it is decoded."""
        clock = Stopwatch(self._heard_in)
        if not self._transcript.sentences:
            show(NO_SPEECH)
            return self._result(question, clock, False, NO_SPEECH, [], 0, 0)
        with clock.stage("load"):
            llm = self._model.language_model
        readings = self._reader.readings(self._budget, question)
        with clock.stage("check"):
            answerability = self._model.answerability
            judge = answerability.judge(question)
            language = language_of(question, llm, answerability.nothing)
        passes: list[Pass] = []
        self._progress("read", 0, len(readings))
        for done, reading in enumerate(readings, 1):
            with clock.stage("read"):
                context = self._read(llm, reading)
            with clock.stage("check"):
                passes.append(Pass(reading, judge.evidence(context)))
            self._progress("read", done, len(readings))
        speaking = self._speaking(passes)
        if not speaking:
            show(NOT_SAID)
            return self._result(question, clock, False, NOT_SAID, readings, 0, 0)
        with clock.stage("answer"):
            spent = _Spent()
            request = prompts.question(question, language)
            text = self._merge(llm, request, speaking, spent, show)
        if not text:
            show(NOT_SAID)
            return self._result(question, clock, False, NOT_SAID, readings, spent.read, 0)
        spans = tuple(one.span for one in speaking)
        return self._result(question, clock, True, text, readings, spent.read, spent.written, spans)

    @cached_property
    def _reader(self) -> TextReader:
        model = self._model
        return TextReader(model.language_model, self._transcript, model.card.max_frames)

    def _speaking(self, passes: list[Pass]) -> list[Pass]:
        """The passes worth an answer: those that speak of the question about as much as any."""
        strength = [one.evidence.over(self._model.card.thresholds) for one in passes]
        floor = max(0.0, max(strength) - _NEAR_THE_BEST)
        return [one for one, over in zip(passes, strength, strict=True) if over > floor]

    def _read(self, llm: MiniLanguageModel, reading: Reading) -> ReadContext:
        known = self._contexts.get(reading.text)
        if known is None:
            known = llm.read(prompts.ASK, reading.embeddings)
            if len(self._contexts) < _KEPT:
                self._contexts[reading.text] = known
        return known

    def _merge(
        self,
        llm: MiniLanguageModel,
        request: str,
        speaking: list[Pass],
        spent: _Spent,
        show: Callable[[str], None],
    ) -> str:
        """One answer from all passes: notes are taken of each, then notes of notes until one."""

        def decode(context: ReadContext, show: Callable[[str], None]) -> str:
            text = self._manner.decode(llm, context, request, show)
            spent.read += context.tokens
            spent.written += len(llm.tokenize(text))
            return text

        if len(speaking) == 1:
            return decode(self._read(llm, speaking[0].reading), show)
        notes = []
        self._progress("answer", 0, len(speaking) + 1)
        for done, one in enumerate(speaking, 1):
            notes.append(llm.tokenize(f"- {decode(self._read(llm, one.reading), _unseen)}\n"))
            self._progress("answer", done, len(speaking) + 1)
        while True:
            groups = _grouped(notes, self._model.card.max_frames)
            contexts = (llm.read(prompts.NOTES, llm.embed(list(chain(*group)))) for group in groups)
            if len(groups) == 1:
                break
            notes = [llm.tokenize(f"- {decode(context, _unseen)}\n") for context in contexts]
        text = decode(next(contexts), show)
        self._progress("answer", len(speaking) + 1, len(speaking) + 1)
        return text

    def _result(
        self,
        question: str,
        clock: Stopwatch,
        answered: bool,
        text: str,
        readings: list[Reading],
        prompt_tokens: int,
        answer_tokens: int,
        spans: tuple[Span, ...] = (),
    ) -> Answer:
        usage = Usage(
            audio_seconds=self._transcript.duration,
            frames_before=round(self._transcript.duration * FRAME_RATE),
            frames_after=sum(map(len, readings)),
            sections=len(readings),
            seconds=clock.seconds,
            prompt_tokens=prompt_tokens,
            answer_tokens=answer_tokens,
            model=self._model.card.name,
            budget=self._budget.label,
            reader=TextReader.name,
        )
        return Answer(self._source, question, answered, text, spans, usage)
