"""What `fls bench longspeech-eval` takes together: what is measured, by whom judged, where to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.text import printable
from fls_cli.options.bench import checked_names, listed
from fls_cli.storage.files import check_folder, make_folder
from fls_models.core.budget import NAMES
from fls_models.core.optional import optional
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_models.bench.longspeech.methods import Method
    from fls_models.bench.scoring.judge import Judge

KEY = "FLS_JUDGE_KEY"
_what = partial(typer.Option, rich_help_panel="What to measure")
_judging = partial(typer.Option, rich_help_panel="Judge")


@dataclass(frozen=True)
class Comparison:
    """Which ways to shorten are compared, at which lengths, by which tasks."""

    tasks: Annotated[
        str, _what(metavar="TASK,...", help="asr, qa, dialogue, summary, emotion.")
    ] = "asr,qa,dialogue,summary,emotion"
    methods: Annotated[
        str | None,
        _what(
            metavar="METHOD,...",
            help="fusion, random, avgpool, mostsim, single-pass, no-density, uncompressed, "
            "ntk-rope, cascade, with commas; the first four unless given.",
            show_default=False,
        ),
    ] = None
    lengths: Annotated[
        str | None, _what(metavar="N,...", help="Frames that 30 s of audio become.")
    ] = None
    budgets: Annotated[
        str | None,
        _what(
            metavar="BUDGET,...",
            help="fast, balanced, accurate, with commas; all, where no lengths are given.",
        ),
    ] = None
    ablate: Annotated[
        bool, _what("--ablate", help="Fusion without iteration, without density.")
    ] = False
    replies: Annotated[
        bool,
        _what(
            "--replies/--no-replies",
            help="Have questions answered in words; without, choices alone are scored.",
        ),
    ] = True

    def selection(self) -> list[Method]:
        """The methods; raises UsageError for one that there is not."""
        from fls_models.bench.longspeech.methods import ABLATION, methods_named

        names = listed(self.methods or "") + list(ABLATION) * self.ablate
        return methods_named(names or ["fusion", "random", "avgpool", "mostsim"])

    def amounts(self) -> tuple[list[str], list[str]]:
        """Lengths and budgets; raises UsageError for what is neither."""
        from fls_models.bench.longspeech.methods import check_lengths

        budgets = listed(self.budgets or "") or ([] if self.lengths else list(NAMES))
        check_lengths(numbers := listed(self.lengths or ""), budgets)
        return numbers, budgets

    def tasks_named(self) -> list[str]:
        """Raises UsageError for one that there is not."""
        from fls_models.bench.longspeech.items import TASKS

        return checked_names("task", listed(self.tasks), TASKS, self.tasks)


@dataclass(frozen=True)
class Grading:
    """Who grades answers in words, if anybody does."""

    judge: Annotated[
        str | None,
        _judging(
            metavar="URL|MODEL",
            help="Grades answers from 1 to 5: an OpenAI-compatible endpoint (its key in "
            f"{KEY}), or a model that reads text, such as mini.",
        ),
    ] = None
    judge_model: Annotated[
        str | None, _judging(metavar="NAME", help="The model's name at the endpoint.")
    ] = None

    def check(self) -> None:
        """Raises UsageError for a model at no address."""
        if not self.judge and self.judge_model:
            raise UsageError("--judge-model goes with --judge and an address.")

    def server(self) -> Judge | None:
        """The judge behind an address, None where the judge is a model of this project."""
        if self.judge is None or "://" not in self.judge:
            return None
        from fls_models.bench.scoring.judge_server import ServerJudge

        if not self.judge_model:
            raise UsageError("--judge with an address needs --judge-model, the model's name there.")
        return ServerJudge(self.judge, self.judge_model, os.environ.get(KEY) or None)


@dataclass(frozen=True)
class CascadeEar:
    """Who writes the text that a cascade reads."""

    ear: Annotated[
        str, typer.Option(metavar="MODEL", help="Whose Whisper writes the cascade's text.")
    ] = "mini"


@dataclass(frozen=True)
class ReportFiles:
    """What is printed, and what is written to a folder."""

    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Tables (.md, .csv), all rows (.json), all answers and plots.",
        ),
    ] = None
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Plots among them.")] = True

    def check(self) -> None:
        """A folder to write to, and what draws: better known now than after hours."""
        if self.output is None:
            return
        if os.path.exists(self.output) and not os.path.isdir(self.output):
            raise UsageError(
                f"{printable(str(self.output))} is a file; -o names a folder for the report."
            )
        make_folder(self.output)
        check_folder(self.output)
        if self.plots:
            optional("matplotlib", "A plot", otherwise="; --no-plots does without")
