"""What a plan says, as a table for people and as JSON for programs. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fls_cli.console.text import clean

SCHEMA = "fls.plan/1"
_UNKNOWN = "-"
_HEAD = ("budget", "windows", "reads", "sections", "TFLOPs", "memory", "seconds")


@dataclass(frozen=True)
class Row:
    """What one budget takes.

    Attributes:
        windows: of 30 s.
        reads_by: `text` or `frames`.
        length: fused frames, or tokens of a transcript, about.
        sections: passes of the language model.
        flops: operations of hearing and reading; None where the model's dimensions are not known.
        memory_gb: of the GPU for a model that runs on one.
        seconds: from the command to the answer; None where nobody could measure.
    """

    budget: str
    windows: int
    reads_by: str
    length: int
    sections: int
    flops: int | None
    memory_gb: float
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """The public form, the budget's name left to whoever holds the rows."""
        return {
            "windows": self.windows,
            "reader": self.reads_by,
            "tokens" if self.reads_by == "text" else "frames": self.length,
            "sections": self.sections,
            "tflops": None if self.flops is None else round(self.flops / 1e12, 3),
            "memory_gb": round(self.memory_gb, 1),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
        }


def table(rows: Sequence[Row]) -> str:
    """Aligned columns under a line of titles: names to the left, numbers to the right."""
    return "".join(f"{line}\n" for line in aligned([_HEAD, *map(_cells, rows)]))


def aligned(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns side by side, two spaces apart: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]).rstrip()
        for first, *rest in cells
    ]


def plan_json(
    source: str | None, audio_seconds: float, model: str, rows: Sequence[Row]
) -> dict[str, Any]:
    """The public form of one recording's plan; `source` None stands for all of a command's."""
    return {
        "schema": SCHEMA,
        "source": None if source is None else clean(source),
        "audio_seconds": round(audio_seconds, 3),
        "model": model,
        "budgets": {row.budget: row.as_json() for row in rows},
    }


def _cells(row: Row) -> tuple[str, ...]:
    about = "about " if row.reads_by == "text" else ""
    unit = "tokens" if row.reads_by == "text" else "frames"
    return (
        row.budget,
        str(row.windows),
        f"{about}{row.length} {unit}",
        str(row.sections),
        _UNKNOWN if row.flops is None else f"{row.flops / 1e12:.1f}",
        f"{row.memory_gb:g} GB",
        _UNKNOWN if row.seconds is None else f"{row.seconds:.0f}",
    )
