"""What benches have in common on the command line: options, and how their values are understood."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fls_cli.media.ffmpeg.locate import decoder_parts
from fls_cli.options import common as options
from fls_cli.session.engine import Engine
from fls_cli.storage.files import check_place
from fls_models.core.budget import NAMES
from fls_models.errors import UsageError

Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the first N lines.")]
Report = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="A report with all details: .md or .json."),
]
Work = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep transcripts and results here; an interrupted bench goes on where it stopped.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


@dataclass(frozen=True)
class MeasuredModel:
    """The model that is measured, and how it runs."""

    model: options.Model = "auto"
    read: options.Read = "auto"
    head: options.Head = None
    device: options.Device = "auto"
    dtype: options.Dtype = "nf4"
    low_memory: options.LowMemory = False

    @property
    def engine(self) -> Engine:
        return Engine(**vars(self))


def work_folder(work: Path | None) -> Path | None:
    """Where results lie that were made by the ffmpeg of now: `work` itself for the tested one."""
    if work is None or (decoder := decoder_parts().get("decoder")) is None:
        return work
    return work / f"ffmpeg-{hashlib.sha256(decoder.encode()).hexdigest()[:12]}"


def budgets_named(text: str) -> list[str]:
    """Names of budgets from a list with commas, each once."""
    return checked_names("budget", list(dict.fromkeys(listed(text))), NAMES, text)


def listed(text: str) -> list[str]:
    """Names from a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def checked_names(noun: str, names: list[str], choices: Sequence[str], text: str) -> list[str]:
    """The names; UsageError says which of them there are, where some are not or none is given."""
    wrong = [name for name in names if name not in choices]
    if wrong or not names:
        raise UsageError(
            f"There is no {noun} {', '.join(wrong) or text!r}; there are: {', '.join(choices)}."
        )
    return names


def form_of(output: Path | None) -> str:
    """The ending of a report's name, checked before the work is done."""
    if output is None:
        return ""
    ending = output.suffix.lower()
    if ending not in (".md", ".json"):
        raise UsageError(f"{output}: a report ends in .md or .json.")
    check_place(output)
    return ending
