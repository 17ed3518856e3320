"""Questions over many recordings: reading those that promise an answer, against reading all.

    python benchmarks/library_answers.py dev.jsonl [--model mini] [--every 8] [--work work/]

Each of SPIRAL's texts (arXiv 2412.12009) is a recording as it is written, and its question is put
to all of them, as `fls ask FOLDER` does: to the eight that come first by their words, and for one
question of `--every` to all, as with `--all`. Right is an answer over all that holds the fact
(`fls_models/bench/scoring/facts.py`); found, where the recording whose question it is answers so.
What was answered is kept in the folder `--work`, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from checkout import located

from fls_cli.library.choosing import READ
from fls_cli.library.index import open_index
from fls_cli.library.ranking import rank
from fls_models.answering.across_recordings import RecordingAnswer, gather
from fls_models.answering.answerer import Answerer
from fls_models.answering.generation import GenerationConfig
from fls_models.bench.qa.items import Item, load_items, true_transcript
from fls_models.bench.scoring.bootstrap import share
from fls_models.bench.scoring.facts import holds_fact
from fls_models.core.budget import Budget
from fls_models.core.progress import ignore
from fls_models.pipelines.cascade import CascadeModel


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("items", type=Path)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions")
    parser.add_argument("--every", type=int, default=8, metavar="N")
    parser.add_argument("--work", type=Path, help="where answers are kept")
    arguments = parser.parse_args()
    items = load_items(arguments.items)
    model = CascadeModel(located(arguments.model))
    with open_index(None, ignore) as index:
        for number, item in enumerate(items):
            index.add(str(number), true_transcript(item), "balanced")
        there = index.recordings_of(map(str, range(len(items))))
        names = {recording: int(audio) for audio, recording in there.items()}
        index.want(names)
        begun = perf_counter()
        ranks = rank(index, [item.question for item in items])
        ranking = (perf_counter() - begun) / len(items)
    chosen = [[names[recording] for recording in order[:READ]] for order in ranks]
    everything = range(len(items))
    asked = everything[: arguments.limit]
    some = asked[:: arguments.every]
    few = {n: answered(model, items, n, chosen[n], arguments.work, ranking) for n in asked}
    report("read first", items, list(few.values()))
    report("of the questions below", items, [few[number] for number in some])
    every = [answered(model, items, n, everything, arguments.work, 0.0) for n in some]
    report("all read", items, every)


def answered(
    model: CascadeModel,
    items: Sequence[Item],
    number: int,
    read: Sequence[int],
    work: Path | None,
    ranking: float,
) -> dict[str, Any]:
    """The answer over all to a recording's question, that recording's own, and seconds."""
    place = None if work is None else work / f"{number}-{len(read)}.json"
    if place is not None and place.exists():
        row: dict[str, Any] = json.loads(place.read_text("utf-8"))
        return row
    question, begun = items[number].question, perf_counter()
    voices = []
    for other in read:
        transcript = true_transcript(items[other])
        answerer = Answerer(model, str(other), transcript, heard_in={}, budget=Budget("balanced"))
        answer = answerer.answer(question)
        voices.append(RecordingAnswer(str(other), answer.answered, answer.answer, answer.strength))
    over = gather(lambda: model, question, voices, generation=GenerationConfig())
    own = [voice.answer for voice in voices if voice.name == str(number) and voice.answered]
    row = {
        "number": number,
        "answer": over.answer,
        "own": own,
        "speaking": list(over.sources),
        "seconds": perf_counter() - begun + ranking,
    }
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(row, ensure_ascii=False), "utf-8")
    return row


def report(name: str, items: Sequence[Item], rows: Sequence[dict[str, Any]]) -> None:
    def holds(row: dict[str, Any], texts: Sequence[str]) -> bool:
        item = items[row["number"]]
        return any(holds_fact(text, item.question, item.choices, item.answer) for text in texts)

    right = [holds(row, [row["answer"]]) for row in rows]
    found = [holds(row, row["own"]) for row in rows]
    seconds = sum(row["seconds"] for row in rows) / len(rows)
    speaking = sum(len(row["speaking"]) for row in rows) / len(rows)
    print(
        f"{name}: {len(rows)} questions, right {sum(right)}, {share(right)}; found {sum(found)}, "
        f"{share(found)}; {speaking:.1f} recordings speak of each; {seconds:.1f} s each"
    )


if __name__ == "__main__":
    main()
