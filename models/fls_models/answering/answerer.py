"""A question about a recording: read it in as many passes as it takes, answer, merge.

Each pass is first asked whether it speaks of the question at all (`answerable`); passes that do not
stay silent, and when all do, so does the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from fls_models.answering.answerability import Judge, is_bare
from fls_models.answering.evidence import PassAttention, passages
from fls_models.answering.map_reduce import merged, unseen
from fls_models.answering.model import EncodedRecording, Model
from fls_models.answering.question_language import language_of
from fls_models.answering.readers.text import ModelInput, Reader
from fls_models.core.budget import Budget
from fls_models.core.constants import FRAME_RATE
from fls_models.core.progress import Progress, silent
from fls_models.core.results import NO_SPEECH, NOT_SAID, Answer, Passage, Span, Turn, Usage
from fls_models.core.stopwatch import Stopwatch
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, LanguageModel

# What is this much weaker than the strongest (nats per token) has nothing to add to its answer.
NEAR_THE_BEST = 0.7
# A full stop counts once something follows it: "3.5" and "Dr." at the end of a piece do not.
_SENTENCE_END = re.compile(r"[a-z0-9)\"']{2}[.!?…]\s|[。！？]|\n\n")


@dataclass(frozen=True)
class GenerationConfig:
    """How answers are decoded. Greedy unless a temperature is given."""

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0

    def decode(
        self,
        llm: LanguageModel,
        context: Context,
        request: str,
        show: Callable[[str], None] = unseen,
        *,
        sentences: int | None = None,
        earlier: Sequence[Turn] = (),
    ) -> str:
        """The reply to a request, at most so many sentences; `show` gets it piece by piece.

        `earlier` are the turns of the conversation that the request is part of.

        A small model asked for one sentence goes on with the recording's own; hence the limit.
        """
        pieces: list[str] = []
        for piece in llm.generate(
            context,
            request,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            seed=self.seed,
            earlier=prompts.exchanges(earlier),
        ):
            pieces.append(piece)
            show(piece)
            ends = list(_SENTENCE_END.finditer("".join(pieces))) if sentences else []
            if sentences and len(ends) >= sentences:
                return "".join(pieces)[: ends[sentences - 1].end()].strip()
        return "".join(pieces).strip()


@dataclass(frozen=True)
class ScoredQuestion:
    """A question held against a recording, not answered yet.

    `speaking` are the readings worth an answer; `strength` is that of `results.Answer`.
    """

    question: str
    earlier: Sequence[Turn]
    readings: Sequence[ModelInput]
    speaking: Sequence[ModelInput]
    strength: float | None
    clock: Stopwatch

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(
            Span(float(one.spans[0, 0]), float(one.spans[:, 1].max())) for one in self.speaking
        )

    @property
    def is_bare(self) -> bool:
        """Whether the question is little without the one before it."""
        return bool(self.earlier) and is_bare(self.question)


@dataclass
class _TokenUsage:
    """Tokens that one answer took, notes included."""

    read: int = 0
    written: int = 0


class Answerer:
    """Questions about one recording; what was read for one question serves the next.

    `heard_in` is what hearing it took, by stage; every answer's usage starts from there. `budget`
    may change between questions, and so may `evidence`, the most passages that an answer shows for
    itself.
    """

    def __init__(
        self,
        model: Model,
        source: str,
        heard: EncodedRecording,
        *,
        heard_in: Mapping[str, float],
        budget: Budget,
        manner: GenerationConfig | None = None,
        evidence: int = 0,
        progress: Progress = silent,
    ) -> None:
        self.budget = budget
        self.evidence = evidence
        self.source = source
        self._model = model
        self._heard = heard
        self._heard_in = heard_in
        self._manner = manner or GenerationConfig()
        self._progress = progress

    def answer(self, question: str, show: Callable[[str], None] = unseen) -> Answer:
        """Answers one question; `show` gets the answer's text piece by piece as it is decoded."""
        return self.say(self.weigh(question, at_once=True), show)

    def weigh(
        self, question: str, earlier: Sequence[Turn] = (), *, at_once: bool = False
    ) -> ScoredQuestion:
        """Whether, and where, the recording speaks of a question.

        With `at_once`, what only compares this recording with others waits until it was answered.

        `earlier` are the turns before it in a conversation, oldest first. All of them are looked
        at to answer it; the last one, if it came from this recording, also to judge the question
        and to choose what is read.
        """
        clock = Stopwatch(self._heard_in)
        if not self._heard.speaks:
            return ScoredQuestion(question, earlier, (), (), None, clock)
        with clock.stage("load"):
            # Loaded here for the clock's sake.
            _ = self._model.language_model
        turn = earlier[-1] if earlier and self.source in earlier[-1].sources else None
        sought = question if turn is None else f"{turn.question} {question}"
        readings = self._reader.readings(self.budget, sought)
        thresholds = self._model.card.thresholds
        judge: Judge | None = None
        # Where nothing is refused and there is no choice, nothing needs judging before the answer.
        if not (at_once and thresholds is None and len(readings) == 1):
            with clock.stage("check"):
                judge = self._judge(question, turn)
        strengths: list[float] = []
        self._progress("read", 0, len(readings))
        for done, reading in enumerate(readings, 1):
            with clock.stage("read"):
                context = self._read(reading)
            if judge is not None:
                with clock.stage("check"):
                    strengths.append(judge.evidence(context).over(thresholds))
            # The next one takes its place: two are more than a GPU may hold.
            del context
            self._progress("read", done, len(readings))
        if judge is None:
            return ScoredQuestion(question, earlier, readings, readings, None, clock)
        # Worth an answer are those that speak of the question about as much as any. Without
        # thresholds there is nothing that the best of them must be over.
        floor = max(strengths) - NEAR_THE_BEST
        if thresholds is not None:
            floor = max(0.0, floor)
        speaking = [one for one, over in zip(readings, strengths, strict=True) if over > floor]
        return ScoredQuestion(question, earlier, readings, speaking, max(strengths), clock)

    def say(self, weighed: ScoredQuestion, show: Callable[[str], None] = unseen) -> Answer:
        """The answer to a question that was weighed; `show` gets it piece by piece."""
        spent = _TokenUsage()
        request, text = "", ""
        if weighed.speaking:
            with weighed.clock.stage("answer"):
                request = self._request(weighed)
                text = self._text(weighed, request, spent, show)
        if text:
            evidence: tuple[Passage, ...] = ()
            if self.evidence:
                with weighed.clock.stage("evidence"):
                    evidence = self._passages(weighed, request, text)
            return self._result(self._measured(weighed), True, text, spent, evidence)
        nothing = NOT_SAID if self._heard.speaks else NO_SPEECH
        show(nothing)
        return self._result(weighed, False, nothing, spent)

    def _judge(self, question: str, turn: Turn | None) -> Judge:
        calibrated = self._model.card.thresholds is not None
        return self._model.answerability.judge(question, turn, general=calibrated)

    def _measured(self, weighed: ScoredQuestion) -> ScoredQuestion:
        """The strength that `weigh` left for later."""
        if weighed.strength is not None:
            return weighed
        with weighed.clock.stage("check"):
            judge = self._judge(weighed.question, None)
            evidence = judge.evidence(self._read(weighed.speaking[0]))
        return replace(weighed, strength=evidence.over(self._model.card.thresholds))

    @cached_property
    def _reader(self) -> Reader:
        return self._model.reader(self._heard)

    def _read(self, reading: ModelInput) -> Context:
        prompt = self._reader.prompt(prompts.ASK)
        return self._model.reads.read(prompt, reading.embeddings, reading.stretch)

    def _passages(self, weighed: ScoredQuestion, request: str, text: str) -> tuple[Passage, ...]:
        """What of the recording an answer rests on."""
        llm, earlier = self._model.language_model, prompts.exchanges(weighed.earlier)
        # One context at a time: two are more than a GPU may hold.
        looked = [
            PassAttention(one, llm.attention(self._read(one), request, text, earlier))
            for one in weighed.speaking
        ]
        return passages(looked, self.evidence)

    def _request(self, weighed: ScoredQuestion) -> str:
        """What the language model is asked."""
        question = weighed.question
        # A small model takes "Where?" for a new subject, and it does not tell its language.
        if weighed.is_bare:
            question = f"{weighed.earlier[-1].question} {question}"
        language = "English"
        if self._model.card.reads_text:
            # A large model tells by itself.
            llm = self._model.language_model
            language = language_of(question, llm, self._model.answerability.nothing)
        return prompts.question(question, language)

    def _text(
        self, weighed: ScoredQuestion, request: str, spent: _TokenUsage, show: Callable[[str], None]
    ) -> str:
        llm = self._model.language_model

        def decode(context: Context, show: Callable[[str], None]) -> str:
            text = self._manner.decode(llm, context, request, show, earlier=weighed.earlier)
            spent.read += context.tokens
            spent.written += len(llm.tokenize(text))
            return text

        return merged(
            llm,
            [partial(self._read, one) for one in weighed.speaking],
            decode,
            most=self._model.card.max_frames,
            show=show,
            progress=self._progress,
        )

    def _result(
        self,
        weighed: ScoredQuestion,
        answered: bool,
        text: str,
        spent: _TokenUsage,
        evidence: tuple[Passage, ...] = (),
    ) -> Answer:
        usage = Usage(
            audio_seconds=self._heard.duration,
            frames_before=round(self._heard.duration * FRAME_RATE),
            frames_after=sum(map(len, weighed.readings)),
            sections=len(weighed.readings),
            seconds=weighed.clock.seconds,
            prompt_tokens=spent.read,
            answer_tokens=spent.written,
            model=self._model.card.name,
            budget=self.budget.label,
            reader=self._model.reads_by,
        )
        spans = weighed.spans if answered else ()
        return Answer(
            self.source, weighed.question, answered, text, spans, usage, weighed.strength, evidence
        )
