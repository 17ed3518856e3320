"""How well questions are answered: by likelihood of choices, in words, and when nothing was said.

Conditions: `no-audio`, where the model reads nothing; the budgets, where it reads what it heard, at
the effort and with the sentences or the fused frames that the budget pays for; `true-transcript`,
where it reads what was really said, all of it, as text (`conditions` has all of them).

* likelihood: the choice whose tokens have the highest mean log-likelihood as a reply is the answer.
* free: the question is put as `fls ask` puts it, and `facts` says whether the reply is right.
* refusals: every question, asked of its own recording, must be answered; asked of the next one
  about another topic, it must not be. A model without thresholds refuses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from fls_models.answering.answerer import Answerer
from fls_models.answering.generation import GenerationConfig
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.counting import counted
from fls_models.bench.qa.conditions import (
    NO_AUDIO,
    NOTHING,
    TRUE,
    ConditionInputs,
    budget_of,
    readings,
)
from fls_models.bench.qa.items import Item, stranger
from fls_models.bench.scoring.bootstrap import Share, share
from fls_models.bench.scoring.facts import holds_fact
from fls_models.bench.scoring.scores import is_likeliest
from fls_models.core.progress import Progress, ignore
from fls_models.lslm import prompts


@dataclass(frozen=True)
class Choices:
    """Mean log-likelihood of every choice of every item under one condition."""

    condition: str
    items: tuple[Item, ...]
    likelihoods: tuple[tuple[float, ...], ...]
    seconds: float

    @property
    def right(self) -> list[bool]:
        """By item: whether no other choice is likelier or as likely."""
        scored = zip(self.items, self.likelihoods, strict=True)
        return [is_likeliest(item.answer, likelihoods) for item, likelihoods in scored]

    @property
    def share(self) -> Share:
        return share(self.right)


@dataclass(frozen=True)
class Reply:
    """A question answered in words. `seconds` is by stage, without listening."""

    item: Item
    answered: bool
    text: str
    seconds: dict[str, float]

    @property
    def right(self) -> bool:
        item = self.item
        return self.answered and holds_fact(self.text, item.question, item.choices, item.answer)


@dataclass(frozen=True)
class Replies:
    """The free answers under one condition; `refuses` says whether any could have been refused."""

    condition: str
    replies: tuple[Reply, ...]
    refuses: bool = True

    @property
    def share(self) -> Share:
        return share([reply.right for reply in self.replies])

    @property
    def refused(self) -> int:
        return sum(not reply.answered for reply in self.replies)

    def mean(self, stage: str) -> float:
        """Seconds a question spent in a stage, on average."""
        spent = [reply.seconds.get(stage, 0.0) for reply in self.replies]
        return sum(spent) / len(spent) if spent else 0.0


@dataclass(frozen=True)
class Refusals:
    """Foreign questions that were refused, and own ones that should not have been."""

    condition: str
    caught: Share
    lost: Share
    slipped: tuple[str, ...]
    missed: tuple[str, ...]


class QaBench:
    """One model and one set of items; every part of the bench on its own, in any order.

    `true` gives the true transcripts, where `conditions` cannot.
    """

    def __init__(
        self,
        inputs: ConditionInputs,
        items: Sequence[Item],
        cache: ResultCache,
        progress: Progress = ignore,
        *,
        true: ConditionInputs | None = None,
    ) -> None:
        self._inputs = inputs
        self._true = inputs if true is None else true
        self._items = tuple(items)
        self._cache = cache
        self._progress = progress

    @property
    def reader(self) -> str:
        """What the model reads at budgets: `text` or `frames`."""
        return self._inputs.model.reads_by

    def effort(self, condition: str) -> str:
        """The budget at whose effort recordings are heard under a condition."""
        return self._inputs.effort(condition)

    def refuses(self, condition: str) -> bool:
        """Whether the model has thresholds, below which it refuses to answer."""
        return self._by(condition).model.card.thresholds is not None

    def listening(self, effort: str) -> tuple[float, float]:
        """Hears everything at an effort: seconds of work, seconds of audio.

        Several items of one recording count once.
        """
        recordings = {item.audio: item for item in self._items}
        work = audio = 0.0
        for item in counted(recordings.values(), f"{effort}: listening", self._progress):
            seconds, duration = self._inputs.hearing_cost(item, effort)
            work, audio = work + seconds, audio + duration
        return work, audio

    def likelihood(self, condition: str) -> Choices:
        """Scores the choices of all items."""
        likelihoods = []
        seconds = 0.0
        for item in counted(self._items, f"{condition}: choices", self._progress):
            inputs = self._by(condition)
            read = inputs.identity(item, condition, item.question)
            key = ["choices", inputs.model.card.name, read, item.question, item.choices]
            result = self._cache.get(key, partial(self._scored, item, condition))
            likelihoods.append(tuple(result["likelihoods"]))
            seconds += result["seconds"]
        return Choices(condition, self._items, tuple(likelihoods), seconds)

    def free(self, condition: str, count: int) -> Replies:
        """Has `count` questions, spread evenly over the items, answered in words."""
        # Files often hold one kind of item after the other.
        total = len(self._items)
        count = min(count, total)
        sample = [self._items[index * total // count] for index in range(count)]
        replies = []
        for item in counted(sample, f"{condition}: answers", self._progress):
            result = self._asked(item, item.question, condition, GenerationConfig())
            replies.append(Reply(item, result["answered"], result["answer"], result["seconds"]))
        return Replies(condition, tuple(replies), self.refuses(condition))

    def refusals(self, condition: str) -> Refusals:
        """Asks every question of its own recording and of a foreign one."""
        # Whether a question is answered is known before the first word of the answer.
        generation = GenerationConfig(max_tokens=1)
        caught, slipped, lost, missed = [], [], [], []
        numbered = list(enumerate(self._items))
        for index, item in counted(numbered, f"{condition}: refusals", self._progress):
            own = self._asked(item, item.question, condition, generation)
            lost.append(not own["answered"])
            if not own["answered"]:
                missed.append(item.question)
            foreign_item = stranger(self._items, index)
            if foreign_item is None:
                continue
            foreign = self._asked(foreign_item, item.question, condition, generation)
            caught.append(not foreign["answered"])
            if foreign["answered"]:
                slipped.append(f"{item.question} (asked of {foreign_item.name})")
        return Refusals(condition, share(caught), share(lost), tuple(slipped), tuple(missed))

    def _asked(
        self, item: Item, question: str, condition: str, generation: GenerationConfig
    ) -> dict[str, Any]:
        inputs = self._by(condition)
        card = inputs.model.card
        read = inputs.identity(item, condition, question)
        limits = [] if card.thresholds is None else [card.thresholds.gain, card.thresholds.general]
        key = ["reply", card.name, limits, generation.max_tokens, read, question]
        return self._cache.get(key, lambda: self._answer(item, question, condition, generation))

    def _answer(
        self, item: Item, question: str, condition: str, generation: GenerationConfig
    ) -> dict[str, Any]:
        inputs = self._by(condition)
        asking = Answerer(
            inputs.model,
            item.name,
            inputs.recording(item, condition),
            heard_in={},
            budget=budget_of(condition),
            generation=generation,
        )
        answer = asking.answer(question)
        return {
            "answered": answer.answered,
            "answer": answer.answer,
            "seconds": answer.usage.seconds,
        }

    def _scored(self, item: Item, condition: str) -> dict[str, Any]:
        inputs = self._by(condition)
        if condition != NO_AUDIO:
            # Heard before the clock starts.
            inputs.recording(item, condition)
        begun = perf_counter()
        llm = inputs.model.language_model
        passes = [
            (reading.embeddings, reading.rope_scale)
            for reading in readings(inputs, item, condition, item.question)
        ]
        # A recording in which nothing was heard says as much as none.
        passes = passes or [(llm.embed(llm.tokenize(NOTHING)), 1.0)]
        request = prompts.question(item.question)
        best = [float("-inf")] * len(item.choices)
        for embeddings, rope_scale in passes:
            context = llm.read(inputs.prompt, embeddings, rope_scale=rope_scale)
            for index, score in enumerate(llm.scores(context, request, item.choices)):
                # In a recording of several passes, one of them knows.
                best[index] = max(best[index], float(score.mean()))
        return {"likelihoods": best, "seconds": perf_counter() - begun}

    def _by(self, condition: str) -> ConditionInputs:
        return self._true if condition == TRUE else self._inputs
