"""Prints what fits the thresholds of a model's card: which questions a recording answers.

    python benchmarks/calibrate.py train.jsonl [--model mini] [--limit 150] [--tokens 1600]
    python benchmarks/calibrate.py

The items are those of SPIRAL's training part (arXiv 2412.12009); their true text is read, so no
audio is needed. Four kinds of question are held against every text: its own and one about any
recording, which must pass, a foreign one and an everyday one, which must not. `--tokens` joins
items of other topics to a text of that many tokens, as long recordings are read in sections.
Without items, the texts are those that come with fls, by which `fls models calibrate` goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from checkout import located

from fls_models.answering.answerability import AnswerabilityScore
from fls_models.answering.calibration import (
    KINDS,
    Section,
    calibrate,
    listed,
    scored,
    sections,
    wrongly,
)
from fls_models.answering.model import Model
from fls_models.bench.qa.items import Item, load_items
from fls_models.pipelines.cascade import CascadeModel
from fls_models.weights.card import load
from fls_models.weights.thresholds import Thresholds

GAINS = np.arange(0.2, 1.31, 0.1)
GENERALS = np.arange(-0.4, 0.41, 0.1)
PERCENTILES = (5, 10, 25, 50, 75, 90, 95)


def main() -> None:
    parser = argparse.ArgumentParser(description="What fits the thresholds of a model's card.")
    parser.add_argument("items", type=Path, nargs="?")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--limit", type=int, default=150, metavar="N", help="so many items")
    parser.add_argument("--tokens", type=int, default=0, metavar="N", help="join items to this")
    arguments = parser.parse_args()
    card = load(arguments.model)
    model = CascadeModel(located(arguments.model))
    texts = list(sections())
    if arguments.items is not None:
        items = load_items(arguments.items)
        texts = [
            section_of(model, items, index, arguments.tokens)
            for index in range(min(arguments.limit, len(items)))
        ]
    scores = scored(model, texts, tell)
    print(file=sys.stderr)
    print_distributions(scores)
    assert card.thresholds is not None, f"{card.name} has none to compare with"
    print_grid(scores, card.thresholds)
    if arguments.items is None:
        print(f"\n`fls models calibrate` takes {calibrate(model).thresholds}")


def tell(stage: str, done: float, total: float | None) -> None:
    print(f"\r{done} of {total}", end="", file=sys.stderr, flush=True)


def section_of(model: Model, items: Sequence[Item], index: int, tokens: int) -> Section:
    """An item's text, longer if asked for, and a question of each kind."""
    around = [*items[index:], *items[:index]]
    used = 1
    text = around[0].text
    while len(model.language_model.tokenize(text)) < tokens and used < len(around) - 1:
        text += " " + around[used].text
        used += 1
    topics = {item.topic for item in around[:used]}
    foreign = next(item for item in around[used:] if item.topic not in topics)
    return Section(
        text,
        {
            "own": [around[0].question],
            "general": listed("general", index)[:1],
            "foreign": [foreign.question],
            "everyday": listed("everyday", index)[:1],
        },
    )


def print_distributions(scores: dict[str, list[AnswerabilityScore]]) -> None:
    print("nats per token, by percentile\n")
    print("                  " + "".join(f"{p:>7}" for p in PERCENTILES) + "   texts")
    for measure in ("gain", "general"):
        for kind in KINDS:
            values = np.array([getattr(score, measure) for score in scores[kind]])
            cells = "".join(f"{v:7.2f}" for v in np.percentile(values, PERCENTILES))
            print(f"{measure:<8}{kind:<10}{cells}{len(values):8}")
    print()


def print_grid(scores: dict[str, list[AnswerabilityScore]], thresholds: Thresholds) -> None:
    """Shares of each kind that are decided wrongly, best thresholds first, the card's marked."""
    grid = {(round(float(gain), 2), round(float(over), 2)) for gain in GAINS for over in GENERALS}
    grid.add((thresholds.gain, thresholds.general))
    rows = []
    for gain, general in sorted(grid):
        wrong = [wrongly(scores[kind], kind, Thresholds(gain, general)) for kind in KINDS]
        rows.append((sum(wrong), gain, general, wrong))
    print("per cent decided wrongly (own and general lost; foreign and everyday not caught)\n")
    print("  gain  general     own  general  foreign  everyday    mean")
    rows.sort()
    for place, (total, gain, general, wrong) in enumerate(rows):
        card = (gain, general) == (thresholds.gain, thresholds.general)
        if place >= 25 and not card:
            continue
        mark = "  <- the card" if card else ""
        own, suits_any, foreign, everyday = (100 * share for share in wrong)
        print(
            f"{gain:6.2f}{general:9.2f}{own:8.1f}{suits_any:9.1f}{foreign:9.1f}{everyday:10.1f}"
            f"{100 * total / len(KINDS):8.1f}{mark}"
        )


if __name__ == "__main__":
    main()
