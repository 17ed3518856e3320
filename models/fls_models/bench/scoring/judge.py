"""A language model grades answers from 1 to 5 against a reference; the words it is asked with.

A grade is what the judge plainly says. What cannot be read as a grade counts as a failure and is
told; it is never guessed. Who the judge is, is others' work (`judge_server`), but for a model of
this project, which has to choose among the five grades.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from fls_models.bench.caches.results import ResultCache
from fls_models.bench.counting import counted
from fls_models.bench.longspeech.measurement import Row
from fls_models.bench.scoring.scores import judged_by
from fls_models.core.progress import Progress, ignore
from fls_models.errors import FlsError
from fls_models.lslm.base import LanguageModel
from fls_models.lslm.prompts import Prompt

FORM = "judge-1"
"""Changes with the words below."""

SYSTEM = "You grade answers to questions about recordings. You are strict, brief and consistent."
_TASK = """\
Somebody listened to a recording and answered a question about it. Grade the answer by how well it
agrees with the reference; how it is worded and how long it is do not matter.

5: everything asked for is there, and nothing in it is wrong.
4: right in what matters; a detail is missing or not exact.
3: partly right: something important is missing, or something is wrong.
2: mostly wrong or missing, with a trace of what was asked for.
1: wrong, off the point, or no answer.

Question: {question}
{kind}: {reference}
Answer to be graded: {answer}
"""
REQUEST = "\nReply with the grade alone, in the form `Grade: N`, N from 1 to 5."
_GRADES = ("1", "2", "3", "4", "5")
# What the judge reads at most of a transcript that stands for a reference.
_LONGEST = 24_000

_NUMBER = r"(?P<grade>\d+(?:\.\d+)?)(?![\d.]*\d|\s*%)"
_OF = r"(?:\s*(?:/|out of|of)\s*(?P<most>\d+))?"
_LABELLED = re.compile(rf"\b(?:grade|score|rating)\b[^\d\n]{{0,20}}?{_NUMBER}{_OF}", re.IGNORECASE)
_OF_FIVE = re.compile(r"(?P<grade>\d+(?:\.\d+)?)\s*(?:/|out of)\s*(?P<most>\d+)", re.IGNORECASE)
_ALONE = re.compile(r"[\s*_`\"'(\[]*(?P<grade>\d+(?:\.\d+)?)[\s*_`\"')\].]*")


class JudgeFailed(FlsError):
    """One answer could not be graded: the judge did not reply, or not with a grade."""


class Judge(Protocol):
    """Whoever replies to what is to be graded. `identity` tells one from others."""

    @property
    def identity(self) -> str: ...

    def reply(self, text: str) -> str:
        """What the judge says; JudgeFailed where it says nothing."""


@dataclass(frozen=True)
class Judging:
    """All grades, and how many answers have none.

    Attributes:
        grades: by question, reference and answer (`scores.judged_by`).
        failed: answers that could not be graded, with why.
        ungradable: answers to questions that have neither a reference nor a transcript.
    """

    judge: str
    grades: dict[tuple[str, str | None, str], float]
    failed: tuple[tuple[str, str], ...]
    ungradable: int


def grading_prompt(question: str, reference: str, answer: str, *, transcript: bool = False) -> str:
    """What the judge reads: all but how to reply."""
    kind = "What is said in the recording" if transcript else "Reference"
    return _TASK.format(
        question=question, kind=kind, reference=reference[:_LONGEST], answer=answer or "(nothing)"
    )


def grade_in(reply: str) -> float | None:
    """The grade that a reply plainly gives, None where it gives none, several, or another scale's.

    >>> grade_in("Grade: 4")
    4.0
    >>> grade_in("The answer is **4 / 5**.")
    4.0
    >>> grade_in("Between 3 and 4.") is None
    True
    """
    if alone := _ALONE.fullmatch(reply):
        return _in_range(alone["grade"], None)
    matches = list(_LABELLED.finditer(reply)) or list(_OF_FIVE.finditer(reply))
    grades = {_in_range(match["grade"], match["most"]) for match in matches}
    return grades.pop() if len(grades) == 1 else None


def _in_range(grade: str, scale: str | None) -> float | None:
    value = float(grade)
    return value if 1 <= value <= 5 and scale in (None, "5") else None


def judge_rows(
    judge: Judge, rows: Sequence[Row], cache: ResultCache, progress: Progress = ignore
) -> Judging:
    """Has every reply graded that is not a transcript, the same one only once.

    What was graded is kept; what failed is not, so that the next run asks again.
    """
    requests: dict[tuple[str, str | None, str], bool] = {}
    ungradable = 0
    for row in rows:
        text = row.measurement.text
        if text is None or row.item.task == "asr":
            continue
        key = judged_by(row.item, text)
        if key[1] is None:
            ungradable += 1
        else:
            requests[key] = row.item.answer is None
    grades: dict[tuple[str, str | None, str], float] = {}
    failed = []
    for key, transcript in counted(requests.items(), "judged", progress):
        question, reference, answer = key
        text = grading_prompt(question, reference or "", answer, transcript=transcript)
        try:
            identity = {"form": FORM, "judge": judge.identity, "system": SYSTEM, "text": text}
            grades[key] = cache.get(identity, partial(_graded, judge.reply, text))["grade"]
        except JudgeFailed as error:
            failed.append((question, str(error)))
    return Judging(judge.identity, grades, tuple(failed), ungradable)


def _graded(reply: Callable[[str], str], text: str) -> dict[str, Any]:
    words = reply(text)
    grade = grade_in(words)
    if grade is None:
        short = " ".join(words.split())[:80]
        raise JudgeFailed(f"no grade from 1 to 5 in {short!r}")
    return {"grade": grade, "said": words}


class OwnJudge:
    """A language model of this project: the likeliest of the five grades, so that it always says
    one. `name` is its own.
    """

    def __init__(self, llm: LanguageModel, name: str) -> None:
        self._llm = llm
        self.identity = f"{name}, choosing"

    def reply(self, text: str) -> str:
        context = self._llm.read(Prompt(SYSTEM, ""), self._llm.embed(self._llm.tokenize(text)))
        request = "\nWhich grade is it, from 1 to 5? Reply with the number alone."
        return self._llm.choose(context, request, _GRADES)
