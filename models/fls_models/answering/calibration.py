"""Thresholds for a language model of which nothing is known: measured on texts that come along.

Four kinds of question are held against every text: its own and some about any recording, which must
pass, those of other texts and everyday ones, which must not. The thresholds are those under which
the fewest are decided wrongly, an own one counted twice.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from fls_models.answering.answerability import AnswerabilityScore
from fls_models.answering.model import Model
from fls_models.core.progress import Progress, ignore
from fls_models.lslm import prompts
from fls_models.weights.thresholds import Thresholds

KINDS = ("own", "general", "foreign", "everyday")
"""What is asked of a text."""
PASS = ("own", "general")
"""What is to be answered."""

_COSTS = {"own": 2.0, "general": 1.0, "foreign": 1.0, "everyday": 1.0}
_GAINS = np.arange(0.2, 2.01, 0.05)
_GENERALS = np.arange(-0.6, 0.81, 0.05)
# Texts that others' questions come from: so many places further.
_STRANGERS = (5, 11)
# What a model gets wrong on average that tells nothing apart.
_HOPELESS = 0.3


@dataclass(frozen=True)
class Section:
    """One text to read, and what is asked of it, by kind."""

    text: str
    questions: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Calibration:
    """What was found for one model.

    Attributes:
        thresholds: None where the model cannot tell what a text answers.
        right: of each kind of question, the share that is decided rightly.
        count: of each kind, how many were asked.
    """

    thresholds: Thresholds | None
    right: Mapping[str, float]
    count: Mapping[str, int]


def calibrate(model: Model, progress: Progress = ignore) -> Calibration:
    """Reads the texts that come along, and finds thresholds."""
    scores = scored(model, list(sections()), progress)
    best = _best(scores)
    right = {kind: 1 - wrongly(scores[kind], kind, best) for kind in KINDS}
    is_hopeless = 1 - sum(right.values()) / len(right) > _HOPELESS
    counts = {kind: len(scores[kind]) for kind in KINDS}
    return Calibration(None if is_hopeless else best, right, counts)


def sections() -> Iterator[Section]:
    """The texts that come along."""
    data = _data()
    texts = data["texts"]
    for place, text in enumerate(texts):
        others = [texts[(place + step) % len(texts)]["questions"] for step in _STRANGERS]
        yield Section(
            text["text"],
            {
                "own": text["questions"],
                "foreign": [questions[at] for at, questions in enumerate(others)],
                "general": listed("general", place),
                "everyday": listed("everyday", place),
            },
        )


def listed(kind: str, place: int) -> list[str]:
    """Two of the questions of a kind, others for every place as far as there are."""
    questions = _data()[kind]
    return [questions[(2 * place + step) % len(questions)] for step in (0, 1)]


def scored(
    model: Model, texts: Sequence[Section], progress: Progress = ignore
) -> dict[str, list[AnswerabilityScore]]:
    """How strongly each text speaks of each question, by kind."""
    scores: dict[str, list[AnswerabilityScore]] = {kind: [] for kind in KINDS}
    for done, section in enumerate(texts):
        progress("calibrate", done, len(texts))
        llm = model.language_model
        context = llm.read(prompts.ASK, llm.embed(llm.tokenize(section.text)))
        for kind, questions in section.questions.items():
            for question in questions:
                scores[kind].append(model.answerability.judge(question).evidence(context))
    progress("calibrate", len(texts), len(texts))
    return scores


def wrongly(scores: Sequence[AnswerabilityScore], kind: str, thresholds: Thresholds) -> float:
    """The share of a kind that is decided wrongly."""
    passed = [score.over(thresholds) > 0 for score in scores]
    return sum(passing != (kind in PASS) for passing in passed) / len(passed)


def _best(scores: Mapping[str, Sequence[AnswerabilityScore]]) -> Thresholds:
    """In the middle of those that cost least."""
    costs: dict[tuple[float, float], float] = {}
    for gain in _GAINS:
        for general in _GENERALS:
            thresholds = Thresholds(float(gain), float(general))
            costs[float(gain), float(general)] = sum(
                cost * wrongly(scores[kind], kind, thresholds) for kind, cost in _COSTS.items()
            )
    least = min(costs.values())
    cheapest = np.array([place for place, cost in costs.items() if cost <= least + 1e-9])
    gain, general = np.median(cheapest, axis=0)
    return Thresholds(round(float(gain), 2), round(float(general), 2))


@cache
def _data() -> dict[str, Any]:
    file = files("fls_models") / "answering" / "calibration.json"
    data: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return data
