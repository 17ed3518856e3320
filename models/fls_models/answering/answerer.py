"""A question about a recording: read it in as many passes as it takes, answer, merge.

Each pass is first asked whether it speaks of the question at all (`answerability`); passes that do
not stay silent, and when all do, so does the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from fls_models.answering.answerability import Judge, is_bare
from fls_models.answering.evidence import PassAttention, passages
from fls_models.answering.generation import GenerationConfig, TokenUsage
from fls_models.answering.map_reduce import merged
from fls_models.answering.model import EncodedRecording, Model, usage_of
from fls_models.answering.question_language import CAPITAL_NOUNS, language_of, spoken_language
from fls_models.answering.readers.grounds import Grounds, asks_for_one_thing
from fls_models.answering.readers.sight import HeldBack, adds_something, nearest
from fls_models.answering.readers.text import ModelInput, Phrase, Reader
from fls_models.core.budget import Budget
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import NO_SPEECH, NOT_SAID, Answer, Passage, Span, Transcript, Turn
from fls_models.core.stopwatch import Stopwatch
from fls_models.lslm import prompts
from fls_models.lslm.base import Context

# What is this much weaker than the strongest (nats per token) has nothing to add to its answer.
NEAR_THE_BEST = 0.7


@dataclass(frozen=True)
class ScoredQuestion:
    """A question scored against a recording, not answered yet.

    `strengths` say how far each reading is over the thresholds (nats per token); none where nothing
    is said, or where they wait until the answer is there. `refusable`: only above 0 is answered.
    `pointed`: it is about something in the recording, and not about any recording.
    """

    question: str
    turns: Sequence[Turn]
    readings: Sequence[ModelInput]
    strengths: Sequence[float]
    refusable: bool
    clock: Stopwatch
    pointed: bool = True

    @property
    def query(self) -> str:
        """The question, with the one before it where it is little without that."""
        return f"{self.turns[-1].question} {self.question}" if self.is_bare else self.question

    @property
    def strength(self) -> float | None:
        """That of `results.Answer`."""
        return max(self.strengths, default=None)

    @property
    def speaking(self) -> Sequence[ModelInput]:
        """The readings worth an answer: those that speak of the question about as much as any."""
        if not self.strengths:
            return self.readings
        floor = max(self.strengths) - NEAR_THE_BEST
        if self.refusable:
            floor = max(0.0, floor)
        return [
            part for part, over in zip(self.readings, self.strengths, strict=True) if over > floor
        ]

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(
            Span(float(part.spans[0, 0]), float(part.spans[:, 1].max())) for part in self.speaking
        )

    @property
    def is_bare(self) -> bool:
        """Whether the question is little without the one before it."""
        return bool(self.turns) and is_bare(self.question)


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
        recording: EncodedRecording,
        *,
        heard_in: Mapping[str, float],
        budget: Budget,
        generation: GenerationConfig | None = None,
        evidence: int = 0,
        progress: Progress = ignore,
    ) -> None:
        self.budget = budget
        self.evidence = evidence
        self.source = source
        self._model = model
        self._recording = recording
        self._heard_in = heard_in
        self._generation = generation or GenerationConfig()
        self._progress = progress
        # Of questions, by their English names.
        self._languages: dict[str, str] = {}

    def answer(self, question: str, show: Callable[[str], None] = ignore) -> Answer:
        """Answers one question; `show` gets the answer's text piece by piece as it is decoded."""
        return self.answer_scored(self.score(question, at_once=True), show)

    def score(
        self, question: str, turns: Sequence[Turn] = (), *, at_once: bool = False
    ) -> ScoredQuestion:
        """How strongly, and where, the recording speaks of a question.

        With `at_once`, what only compares this recording with others waits until it was answered.

        `turns` are the turns before it in a conversation, oldest first. All of them are looked
        at to answer it; the last one, if it came from this recording, also to judge the question
        and to choose what is read.
        """
        clock, refusable = Stopwatch(self._heard_in), self._model.card.thresholds is not None
        if not self._recording.speaks:
            return ScoredQuestion(question, turns, (), (), refusable, clock)
        with clock.stage("load"):
            # Loaded here for the clock's sake.
            _ = self._model.language_model
        turn = turns[-1] if turns and self.source in turns[-1].sources else None
        query = question if turn is None else f"{turn.question} {question}"
        readings = self._reader.readings(self.budget, query)
        judge: Judge | None = None
        # Where nothing is refused and there is no choice, no score is needed before the answer.
        if refusable or not at_once or len(readings) > 1:
            with clock.stage("check"):
                judge = self._judge(question, turn)
        strengths = self._strengths(readings, judge, clock)
        limits = self._model.card.thresholds
        pointed = judge is None or limits is None or judge.general <= limits.general
        return ScoredQuestion(question, turns, readings, strengths, refusable, clock, pointed)

    def answer_scored(self, scored: ScoredQuestion, show: Callable[[str], None] = ignore) -> Answer:
        """The answer, or that there is none; `show` gets it piece by piece."""
        tokens, request, text = TokenUsage(sum(map(len, scored.readings))), "", ""
        if scored.speaking:
            with scored.clock.stage("answer"):
                # A small model takes "Where?" for a new subject, and it does not tell its language.
                language = self._language(scored.query)
                request = prompts.question(scored.query, language)
                text = self._text(scored, request, language, tokens, show)
        if not text:
            refusal = NOT_SAID if self._recording.speaks else NO_SPEECH
            show(refusal)
            return self._result(scored, False, refusal, tokens, scored.strength)
        evidence: tuple[Passage, ...] = ()
        if self.evidence:
            with scored.clock.stage("evidence"):
                evidence = self._passages(scored, request, text)
        strength = scored.strength
        if strength is None:
            with scored.clock.stage("check"):
                judge = self._judge(scored.question, None)
                strength = self._strength(judge, self._read(scored.readings[0]))
        return self._result(scored, True, text, tokens, strength, evidence)

    def _judge(self, question: str, turn: Turn | None) -> Judge:
        return self._model.answerability.judge(
            question,
            turn,
            general=self._model.card.thresholds is not None,
            language=self._language(question),
            spoken=self._spoken_language or "English",
        )

    def _strength(self, judge: Judge, context: Context) -> float:
        return judge.evidence(context).over(self._model.card.thresholds)

    def _strengths(
        self, readings: Sequence[ModelInput], judge: Judge | None, clock: Stopwatch
    ) -> list[float]:
        """Reads every pass; how strongly each speaks of what is judged, if anything is."""
        strengths: list[float] = []
        self._progress("read", 0, len(readings))
        for done, reading in enumerate(readings, 1):
            with clock.stage("read"):
                context = self._read(reading)
            if judge is not None:
                with clock.stage("check"):
                    strengths.append(self._strength(judge, context))
            # The next one takes its place: two are more than a GPU may hold.
            del context
            self._progress("read", done, len(readings))
        return strengths

    @cached_property
    def _reader(self) -> Reader:
        return self._model.reader(self._recording)

    def _read(self, reading: ModelInput) -> Context:
        prompt = self._reader.prompt(prompts.ASK)
        reads = self._model.reads
        return reads.read(prompt, reading.embeddings, reading.rope_scale, reading.text)

    def _passages(self, scored: ScoredQuestion, request: str, text: str) -> tuple[Passage, ...]:
        """What of the recording an answer rests on."""
        llm, turns = self._model.language_model, prompts.exchanges(scored.turns)
        # One context at a time: two are more than a GPU may hold.
        attentions = [
            PassAttention(reading, llm.attention(self._read(reading), request, text, turns))
            for reading in scored.speaking
        ]
        return passages(attentions, self.evidence)

    def _language(self, question: str) -> str:
        """What the answer to a question is to be in, by its English name."""
        if not self._model.card.reads_text:
            # A large model tells by itself.
            return "English"
        llm = self._model.language_model
        if question not in self._languages:
            nothing = self._model.answerability.nothing
            self._languages[question] = language_of(question, llm, nothing)
        return self._languages[question]

    def _text(
        self,
        scored: ScoredQuestion,
        request: str,
        language: str,
        tokens: TokenUsage,
        show: Callable[[str], None],
    ) -> str:
        llm = self._model.language_model

        def decode(context: Context, show: Callable[[str], None], request: str = request) -> str:
            text = self._generation.decode(llm, context, request, show, turns=scored.turns)
            tokens.read += context.tokens
            tokens.written += len(llm.tokenize(text))
            return text

        def checked(
            context: Context, show: Callable[[str], None], grounds: Grounds, request: str = request
        ) -> str:
            held = HeldBack(
                lambda text: (
                    adds_something(text, scored.query) and grounds.answer(text, scored.query)
                ),
                lambda sentence: grounds.hold(sentence, scored.query),
                show,
            )
            decode(context, held, request)
            return held.finish()

        def reply(reading: ModelInput, show: Callable[[str], None]) -> str:
            context = self._read(reading)
            near = nearest(reading, scored.query) if scored.pointed else ""
            if not near:
                return decode(context, show)
            grounds = self._grounds(reading.phrases, language)
            requests = [request, prompts.pointed(near, scored.query, language)]
            for attempt in reversed(requests) if self._model.card.in_sight else requests:
                if text := checked(context, show, grounds, attempt):
                    return text
            # Who only says the question again, or what was not said, is better not heard.
            if asks_for_one_thing(scored.query):
                return ""
            show(near)
            return near

        merge: Callable[[Context, Callable[[str], None]], str] = decode
        phrases = [phrase for reading in scored.speaking for phrase in reading.phrases]
        if len(scored.speaking) > 1 and scored.pointed and any(each.text for each in phrases):
            merge = partial(checked, grounds=self._grounds(phrases, language))
        return merged(
            llm,
            [partial(reply, reading) for reading in scored.speaking],
            merge,
            max_tokens=self._model.card.max_frames,
            show=show,
            progress=self._progress,
        )

    def _grounds(self, phrases: Sequence[Phrase], language: str) -> Grounds:
        """What an answer in a language is held against."""
        is_spoken = language == self._spoken_language
        names = is_spoken and language not in CAPITAL_NOUNS
        return Grounds(phrases, names=names, numbers=is_spoken, language=language)

    @cached_property
    def _spoken_language(self) -> str | None:
        if not isinstance(self._recording, Transcript):
            return None
        said = [sentence.text for sentence in self._recording.sentences]
        return spoken_language(said, self._model.language_model, self._model.answerability.nothing)

    def _result(
        self,
        scored: ScoredQuestion,
        answered: bool,
        text: str,
        tokens: TokenUsage,
        strength: float | None,
        evidence: tuple[Passage, ...] = (),
    ) -> Answer:
        usage = usage_of(
            self._model,
            self._recording,
            self.budget,
            tokens,
            sections=len(scored.readings),
            seconds=scored.clock.seconds,
        )
        spans = scored.spans if answered else ()
        return Answer(
            self.source, scored.question, answered, text, spans, usage, strength, evidence
        )
