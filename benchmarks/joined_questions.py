"""Questions about long recordings: what no single place answers, and what only sounds answered.

    python benchmarks/joined_questions.py dev.jsonl [--model mini] [--work work/]

The recordings are SPIRAL's dev part (arXiv 2412.12009) as it is written, eight items joined to one,
in order. The questions are ours and lie in `questions/`:

* `several-places.jsonl`: 60 that need two places or more (how many, compare, list, differ, in which
  order), four to a recording;
* `own-names.jsonl`: 60 made of a recording's own names, of which it answers 30.

An answer is right when it has one of the words of each fact and none of the wrong ones. What was
answered is kept in the folder `--work`, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from checkout import located

from fls_models.answering.answerer import Answerer
from fls_models.bench.qa.items import load_items, true_transcript
from fls_models.bench.scoring.bootstrap import share
from fls_models.core.budget import Budget
from fls_models.core.results import Transcript
from fls_models.pipelines.cascade import CascadeModel

QUESTIONS = Path(__file__).with_name("questions")
_JOINED = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("items", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--limit", type=int, default=60, metavar="N", help="so many of each file")
    parser.add_argument("--work", type=Path, help="where answers are kept")
    arguments = parser.parse_args()
    items = load_items(arguments.items)
    recordings = [
        Transcript(
            "en",
            tuple(chain(*(true_transcript(item).sentences for item in items[first:][:_JOINED]))),
            0.0,
        )
        for first in range(0, len(items), _JOINED)
    ]
    model = CascadeModel(located(arguments.model))
    for name in ("several-places", "own-names"):
        lines = (QUESTIONS / f"{name}.jsonl").read_text("utf-8").splitlines()
        questions = [json.loads(line) for line in lines][: arguments.limit]
        place = None if arguments.work is None else arguments.work / f"{name}.jsonl"
        answers = list(answered(model, recordings, questions, place))
        report(name, questions, answers)


def answered(
    model: CascadeModel,
    recordings: Sequence[Transcript],
    questions: Sequence[dict[str, Any]],
    place: Path | None,
) -> Iterator[dict[str, Any]]:
    """Of each question: whether it was answered, and how."""
    known: dict[str, dict[str, Any]] = {}
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        rows = map(json.loads, place.read_text("utf-8").splitlines())
        known = {row["question"]: row for row in rows}
    asking: dict[int, Answerer] = {}
    for question in questions:
        row = known.get(question["question"])
        if row is None:
            number = question["recording"]
            if number not in asking:
                asking.clear()
                asking[number] = Answerer(
                    model, f"{number}", recordings[number], heard_in={}, budget=Budget("accurate")
                )
            answer = asking[number].answer(question["question"])
            row = {
                "question": question["question"],
                "answered": answer.answered,
                "answer": answer.answer,
                "seconds": sum(answer.usage.seconds.values()),
            }
            if place is not None:
                with place.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        yield row


def is_right(question: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether an answer has every fact and no wrong one."""
    return (
        row["answered"]
        and all(any(_has(row["answer"], word) for word in fact) for fact in question["facts"])
        and not any(_has(row["answer"], word) for word in question.get("not", ()))
    )


def _has(text: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None


def report(
    name: str, questions: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]
) -> None:
    pairs = list(zip(questions, answers, strict=True))
    seconds = sum(row["seconds"] for row in answers) / len(answers)
    print(f"{name}: {len(pairs)} questions, {seconds:.1f} s each")
    if name == "several-places":
        kinds = sorted({question["kind"] for question in questions})
        for kind in (None, *kinds):
            right = [is_right(q, row) for q, row in pairs if kind in (None, q["kind"])]
            print(f"  {kind or 'all':<8} {sum(right):>3} of {len(right)}, {share(right)}")
        return
    foreign = [row["answered"] for question, row in pairs if not question["answerable"]]
    own = [(question, row) for question, row in pairs if question["answerable"]]
    print(f"  refused of those that nothing answers: {share([not each for each in foreign])}")
    print(f"  refused of those that are answered: {sum(not row['answered'] for _, row in own)}")
    print(f"  right of those: {share([is_right(question, row) for question, row in own])}")


if __name__ == "__main__":
    main()
