"""How well questions are answered: by likelihood of choices, in words, and when nothing was said.

Conditions: `no-audio`, where the model reads nothing; the budgets, where it reads what it heard, at
the effort and with the sentences that the budget pays for; `true-transcript`, where it reads what
was really said, all of it.

* likelihood: the choice whose tokens have the highest mean log-likelihood as a reply is the answer.
* free: the question is put as `fls ask` puts it, and `facts` says whether the reply is right.
* refusals: every question, asked of its own recording, must be answered; asked of the next one
  about another topic, it must not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from fls_models import prompts
from fls_models.asking import Asking, Manner
from fls_models.bench.bootstrap import Share, share
from fls_models.bench.facts import holds_fact
from fls_models.bench.heard import Hearing
from fls_models.bench.items import Item, stranger, written
from fls_models.bench.kept import Kept
from fls_models.budget import Budget
from fls_models.models import Model
from fls_models.progress import Progress, silent
from fls_models.readers import TextReader
from fls_models.results import Transcript

NO_AUDIO = "no-audio"
TRUE = "true-transcript"
_NOTHING = "..."
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
    """The free answers under one condition."""

    condition: str
    replies: tuple[Reply, ...]

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

    `listen` names the budget at whose effort everything is heard; without it, each at its own.
    """

    def __init__(
        self,
        model: Model,
        items: Sequence[Item],
        hearing: Hearing,
        kept: Kept,
        progress: Progress = silent,
        *,
        listen: str | None = None,
    ) -> None:
        self._model = model
        self._items = tuple(items)
        self._hearing = hearing
        self._kept = kept
        self._progress = progress
        self._listen = listen

    def effort(self, condition: str) -> str:
        """The budget at whose effort recordings are heard under a condition."""
        return self._listen or condition

    def listening(self, effort: str) -> tuple[float, float]:
        """Hears everything at an effort: seconds of work, seconds of audio."""
        work = audio = 0.0
        for item in self._counted(f"{effort}: listening", self._items):
            assert item.audio is not None
            heard = self._hearing.hear(item.audio, effort)
            work, audio = work + heard.seconds, audio + heard.transcript.duration
        return work, audio

    def likelihood(self, condition: str) -> Choices:
        """Scores the choices of all items."""
        found = []
        seconds = 0.0
        for item in self._counted(f"{condition}: choices", self._items):
            texts = self._texts(item, condition, item.question)
            key = ["choices", self._model.card.name, texts, item.question, item.choices]
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
            result = self._asked(item, item.question, condition, Manner())
            replies.append(Reply(item, result["answered"], result["answer"], result["seconds"]))
        return Replies(condition, tuple(replies))

    def refusals(self, condition: str) -> Refusals:
        """Asks every question of its own recording and of a foreign one."""
        # Whether a question is answered is known before the first word of the answer.
        manner = Manner(max_tokens=1)
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

    def _asked(self, item: Item, question: str, condition: str, manner: Manner) -> dict[str, Any]:
        card = self._model.card
        texts = self._texts(item, condition, question)
        limits = [] if card.thresholds is None else [card.thresholds.gain, card.thresholds.general]
        key = ["reply", card.name, limits, manner.max_tokens, texts, question]
        return self._kept.get(key, lambda: self._answer(item, question, condition, manner))

    def _answer(self, item: Item, question: str, condition: str, manner: Manner) -> dict[str, Any]:
        asking = Asking(
            self._model,
            item.name,
            self._transcript(item, condition),
            heard_in={},
            budget=_budget(condition),
            manner=manner,
        )
        answer = asking.answer(question)
        return {
            "answered": answer.answered,
            "answer": answer.answer,
            "seconds": answer.usage.seconds,
        }

    def _scored(self, item: Item, condition: str) -> dict[str, Any]:
        begun = perf_counter()
        llm = self._model.language_model
        if condition == NO_AUDIO:
            embeddings = [llm.embed(llm.tokenize(_NOTHING))]
        else:
            read = self._reader(item, condition).readings(_budget(condition), item.question)
            embeddings = [reading.embeddings for reading in read]
        request = prompts.question(item.question)
        best = [float("-inf")] * len(item.choices)
        for one in embeddings:
            context = llm.read(prompts.ASK, one)
            for index, choice in enumerate(item.choices):
                # In a recording of several passes, one of them knows.
                mean = float(llm.score(context, request, choice).mean())
                best[index] = max(best[index], mean)
        return {"likelihoods": best, "seconds": perf_counter() - begun}

    def _texts(self, item: Item, condition: str, question: str) -> list[str]:
        """What the model gets to read, pass by pass."""
        if condition == NO_AUDIO:
            return [_NOTHING]
        read = self._reader(item, condition).readings(_budget(condition), question)
        return [reading.text for reading in read]

    def _reader(self, item: Item, condition: str) -> TextReader:
        transcript = self._transcript(item, condition)
        return TextReader(self._model.language_model, transcript, self._model.card.max_frames)

    def _transcript(self, item: Item, condition: str) -> Transcript:
        if condition == TRUE:
            return written(item)
        assert item.audio is not None
        return self._hearing.hear(item.audio, self.effort(condition)).transcript

    def _counted(self, stage: str, things: Sequence[_T]) -> Iterator[_T]:
        self._progress(stage, 0, len(things))
        for done, thing in enumerate(things, 1):
            yield thing
            self._progress(stage, done, len(things))


def _budget(condition: str) -> Budget:
    return Budget("accurate" if condition == TRUE else condition)
