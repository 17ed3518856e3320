"""How well questions are answered: by likelihood of choices, in words, and when nothing was said.

Conditions: `no-audio`, where the model reads nothing; the budgets, where it reads what it heard, at
the effort and with the sentences or the fused frames that the budget pays for; `true-transcript`,
where it reads what was really said, all of it, as text (`given` has all of them).

* likelihood: the choice whose tokens have the highest mean log-likelihood as a reply is the answer.
* free: the question is put as `fls ask` puts it, and `facts` says whether the reply is right.
* refusals: every question, asked of its own recording, must be answered; asked of the next one
  about another topic, it must not be. A model without thresholds refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from fls_models.answering.answerer import Answerer, GenerationConfig
from fls_models.bench.caches.results import Kept
from fls_models.bench.qa.conditions import NO_AUDIO, NOTHING, TRUE, Given, budget_of, readings
from fls_models.bench.qa.items import Item, stranger
from fls_models.bench.scoring.bootstrap import Share, share
from fls_models.bench.scoring.facts import holds_fact
from fls_models.core.progress import Progress, ignore
from fls_models.lslm import prompts

_T = TypeVar("_T")


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
        return [
            all(own > other for i, other in enumerate(found) if i != item.answer)
            for item, found in zip(self.items, self.likelihoods, strict=True)
            for own in [found[item.answer]]
        ]

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

    `true` gives the true transcripts, where `given` cannot.
    """

    def __init__(
        self,
        given: Given,
        items: Sequence[Item],
        kept: Kept,
        progress: Progress = ignore,
        *,
        true: Given | None = None,
    ) -> None:
        self._given = given
        self._true = given if true is None else true
        self._items = tuple(items)
        self._kept = kept
        self._progress = progress

    @property
    def reader(self) -> str:
        """What the model reads at budgets: `text` or `frames`."""
        return self._given.model.reads_by

    def effort(self, condition: str) -> str:
        """The budget at whose effort recordings are heard under a condition."""
        return self._given.effort(condition)

    def refuses(self, condition: str) -> bool:
        """Whether the model has thresholds, below which it refuses to answer."""
        return self._by(condition).model.card.thresholds is not None

    def listening(self, effort: str) -> tuple[float, float]:
        """Hears everything at an effort: seconds of work, seconds of audio.

        Several items of one recording count once.
        """
        recordings = {item.audio: item for item in self._items}
        work = audio = 0.0
        for item in self._counted(f"{effort}: listening", list(recordings.values())):
            seconds, duration = self._given.listened(item, effort)
            work, audio = work + seconds, audio + duration
        return work, audio

    def likelihood(self, condition: str) -> Choices:
        """Scores the choices of all items."""
        found = []
        seconds = 0.0
        for item in self._counted(f"{condition}: choices", self._items):
            given = self._by(condition)
            read = given.identity(item, condition, item.question)
            key = ["choices", given.model.card.name, read, item.question, item.choices]
            result = self._kept.get(key, partial(self._scored, item, condition))
            found.append(tuple(result["likelihoods"]))
            seconds += result["seconds"]
        return Choices(condition, self._items, tuple(found), seconds)

    def free(self, condition: str, count: int) -> Replies:
        """Has `count` questions, spread evenly over the items, answered in words."""
        # Files often hold one kind of item after the other.
        total = len(self._items)
        count = min(count, total)
        chosen = [self._items[index * total // count] for index in range(count)]
        replies = []
        for item in self._counted(f"{condition}: answers", chosen):
            result = self._asked(item, item.question, condition, GenerationConfig())
            replies.append(Reply(item, result["answered"], result["answer"], result["seconds"]))
        return Replies(condition, tuple(replies), self.refuses(condition))

    def refusals(self, condition: str) -> Refusals:
        """Asks every question of its own recording and of a foreign one."""
        # Whether a question is answered is known before the first word of the answer.
        manner = GenerationConfig(max_tokens=1)
        caught, slipped, lost, missed = [], [], [], []
        for index in self._counted(f"{condition}: refusals", range(len(self._items))):
            item = self._items[index]
            own = self._asked(item, item.question, condition, manner)
            lost.append(not own["answered"])
            if not own["answered"]:
                missed.append(item.question)
            other = stranger(self._items, index)
            if other is None:
                continue
            foreign = self._asked(other, item.question, condition, manner)
            caught.append(not foreign["answered"])
            if foreign["answered"]:
                slipped.append(f"{item.question} (asked of {other.name})")
        return Refusals(condition, share(caught), share(lost), tuple(slipped), tuple(missed))

    def _asked(
        self, item: Item, question: str, condition: str, manner: GenerationConfig
    ) -> dict[str, Any]:
        given = self._by(condition)
        card = given.model.card
        read = given.identity(item, condition, question)
        limits = [] if card.thresholds is None else [card.thresholds.gain, card.thresholds.general]
        key = ["reply", card.name, limits, manner.max_tokens, read, question]
        return self._kept.get(key, lambda: self._answer(item, question, condition, manner))

    def _answer(
        self, item: Item, question: str, condition: str, manner: GenerationConfig
    ) -> dict[str, Any]:
        given = self._by(condition)
        asking = Answerer(
            given.model,
            item.name,
            given.heard(item, condition),
            heard_in={},
            budget=budget_of(condition),
            manner=manner,
        )
        answer = asking.answer(question)
        return {
            "answered": answer.answered,
            "answer": answer.answer,
            "seconds": answer.usage.seconds,
        }

    def _scored(self, item: Item, condition: str) -> dict[str, Any]:
        given = self._by(condition)
        if condition != NO_AUDIO:
            # Heard before the clock starts.
            given.heard(item, condition)
        begun = perf_counter()
        llm = given.model.language_model
        passes = [
            (one.embeddings, one.stretch) for one in readings(given, item, condition, item.question)
        ]
        # A recording in which nothing was heard says as much as none.
        passes = passes or [(llm.embed(llm.tokenize(NOTHING)), 1.0)]
        request = prompts.question(item.question)
        best = [float("-inf")] * len(item.choices)
        for embeddings, stretch in passes:
            context = llm.read(given.prompt, embeddings, stretch=stretch)
            for index, score in enumerate(llm.scores(context, request, item.choices)):
                # In a recording of several passes, one of them knows.
                best[index] = max(best[index], float(score.mean()))
        return {"likelihoods": best, "seconds": perf_counter() - begun}

    def _by(self, condition: str) -> Given:
        return self._true if condition == TRUE else self._given

    def _counted(self, stage: str, things: Sequence[_T]) -> Iterator[_T]:
        self._progress(stage, 0, len(things))
        for done, thing in enumerate(things, 1):
            yield thing
            self._progress(stage, done, len(things))
