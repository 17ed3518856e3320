"""A conversation about one recording or several: every question may lean on those before it.

Each recording is asked, and those that speak of a question most clearly answer it. What was said
goes into the next request as turns of a chat, the newest of them, as far as there is room.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

from fls_models.answering.across_recordings import RecordingAnswer, gather
from fls_models.answering.answerability import is_bare
from fls_models.answering.answerer import NEAR_THE_BEST, Answerer, ScoredQuestion
from fls_models.answering.generation import GenerationConfig
from fls_models.answering.model import Model
from fls_models.core.budget import Budget
from fls_models.core.progress import ignore
from fls_models.core.results import AggregateAnswer, Answer, Turn
from fls_models.lslm import prompts
from fls_models.lslm.base import LanguageModel

# Tokens that earlier turns take in a request.
HISTORY = 300


@dataclass(frozen=True)
class Reply:
    """The answer to one question; `sources` are the recordings that it was taken from."""

    result: Answer | AggregateAnswer
    sources: tuple[str, ...]

    @property
    def answered(self) -> bool:
        return self.result.answered

    @property
    def text(self) -> str:
        return self.result.answer


class Conversation:
    """Questions that follow one another. All `answerers` are of the model given."""

    def __init__(
        self,
        model: Model,
        answerers: Sequence[Answerer],
        *,
        generation: GenerationConfig | None = None,
        history: int = HISTORY,
    ) -> None:
        self.turns: tuple[Turn, ...] = ()
        self._model = model
        self._answerers = answerers
        self._generation = generation or GenerationConfig()
        self._history = history

    @property
    def budget(self) -> Budget:
        """How much of each recording is read from now on."""
        return self._answerers[0].budget

    @budget.setter
    def budget(self, budget: Budget) -> None:
        for answerer in self._answerers:
            answerer.budget = budget

    def forget(self) -> None:
        """The next question follows none."""
        self.turns = ()

    def ask(self, question: str, show: Callable[[str], None] = ignore) -> Reply:
        """Answers a question; `show` gets the text piece by piece.

        Only what was answered becomes a turn: a small model that reads refusals writes more.
        Whatever interrupts an answer leaves the conversation as it was before the question.
        """
        answerers = self._answerers_for(question)
        questions = [answerer.score(question, self.turns) for answerer in answerers]
        several = len(self._answerers) > 1
        speaking = _clearest(answerers, questions) if several else [(answerers[0], questions[0])]
        if len(speaking) == 1:
            [(answerer, scored)] = speaking
            answer = answerer.answer_scored(scored, show)
            reply = Reply(answer, (answer.source,) if answer.answered else ())
        else:
            answers = [answerer.answer_scored(scored) for answerer, scored in speaking]
            reply = self._gather(question, answers, show)
        if reply.answered:
            turns = (*self.turns, Turn(question, reply.text, reply.sources))
            self.turns = recent(turns, self._model.language_model, self._history)
        return reply

    def _answerers_for(self, question: str) -> Sequence[Answerer]:
        """The recordings to ask: "Why?" is for those that the answer before it came from."""
        if not self.turns or not is_bare(question):
            return self._answerers
        return [item for item in self._answerers if item.source in self.turns[-1].sources]

    def _gather(
        self, question: str, answers: Sequence[Answer], show: Callable[[str], None]
    ) -> Reply:
        voices = [
            RecordingAnswer(answer.source, answer.answered, answer.answer, answer.strength)
            for answer in answers
        ]
        bare = self.turns and is_bare(question)
        query = f"{self.turns[-1].question} {question}" if bare else question
        answer = gather(lambda: self._model, query, voices, generation=self._generation, show=show)
        return Reply(replace(answer, question=question), answer.sources)


def recent(turns: Sequence[Turn], model: LanguageModel, max_tokens: int) -> tuple[Turn, ...]:
    """The last turns that take at most so many tokens, oldest first.

    If the last alone takes more, it stays without the end of its answer; none if its question
    alone does.
    """
    latest: list[Turn] = []
    for turn in reversed(turns):
        cost = _cost(turn, model)
        if cost > max_tokens:
            break
        latest.insert(0, turn)
        max_tokens -= cost
    if turns and not latest:
        return _shortened(turns[-1], model, max_tokens)
    return tuple(latest)


def _shortened(turn: Turn, model: LanguageModel, max_tokens: int) -> tuple[Turn, ...]:
    words = turn.answer.split()

    def beginning(count: int) -> Turn:
        return replace(turn, answer=" ".join(words[:count]))

    # Tokens grow with words, so the longest beginning that fits is found by halving.
    counts = range(1, len(words))
    count = bisect_right(counts, max_tokens, key=lambda count: _cost(beginning(count), model))
    return (beginning(count),) if count else ()


def _cost(turn: Turn, model: LanguageModel) -> int:
    """Tokens of a turn in a request, but for the few of the markup around it."""
    [(request, reply)] = prompts.exchanges([turn])
    return len(model.tokenize(request)) + len(model.tokenize(reply))


def _clearest(
    answerers: Sequence[Answerer], questions: Sequence[ScoredQuestion]
) -> list[tuple[Answerer, ScoredQuestion]]:
    """Those that speak of the question about as clearly as any, in order."""
    strengths = [-inf if scored.strength is None else scored.strength for scored in questions]
    floor = max(strengths) - NEAR_THE_BEST
    return [
        (answerer, scored)
        for answerer, scored, strength in zip(answerers, questions, strengths, strict=True)
        if scored.speaking and strength > floor
    ]
