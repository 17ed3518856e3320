"""Options that several commands share, each with its help in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_READING = "What to read"
_MODEL = "Model"
_OUTPUT = "Output"

BUDGETS = ("fast", "balanced", "accurate")


def _complete_model(incomplete: str) -> list[str]:
    from fls_models.card import names

    return [name for name in ("auto", *names()) if name.startswith(incomplete)]


def _complete_budget(incomplete: str) -> list[str]:
    return [name for name in BUDGETS if name.startswith(incomplete)]


Budget = Annotated[
    str,
    typer.Option(
        "--budget",
        "-b",
        help="How much of the recording is read: fast, balanced or accurate.",
        autocompletion=_complete_budget,
        rich_help_panel=_MODEL,
    ),
]
TargetLength = Annotated[
    int | None,
    typer.Option(
        "--target-length",
        metavar="N",
        help="Read this many frames (for mini: tokens of transcript), whatever the budget.",
        rich_help_panel=_MODEL,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="auto, a model's name (fls models list), or a folder.",
        autocompletion=_complete_model,
        rich_help_panel=_MODEL,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="CODE",
        help="The language spoken (en, de, ...); detected unless given.",
        rich_help_panel=_READING,
    ),
]
Track = Annotated[
    int | None,
    typer.Option(
        "--track",
        metavar="N",
        help="Which audio track, from 0; the default is the best.",
        rich_help_panel=_READING,
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", metavar="TIME", help="From here: 1:02:03, 90s.", rich_help_panel=_READING
    ),
]
End = Annotated[
    str | None,
    typer.Option("--end", metavar="TIME", help="Up to here.", rich_help_panel=_READING),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object a line.", rich_help_panel=_OUTPUT)
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write here, all or nothing.",
        rich_help_panel=_OUTPUT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="No progress and notes.", rich_help_panel=_OUTPUT)
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Never fetch model weights.", rich_help_panel=_MODEL),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Longest answer.", rich_help_panel=_MODEL
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature",
        min=0.0,
        help="0 takes the likeliest word; above, words are drawn.",
        rich_help_panel=_MODEL,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="For drawing words.", rich_help_panel=_MODEL)]
