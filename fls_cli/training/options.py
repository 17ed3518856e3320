"""Options of `fls train`: which model is trained, how long, and where."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.options import common as options
from fls_cli.session.engine import DEVICES, Engine
from fls_models.errors import EnvironmentLacks, UsageError

if TYPE_CHECKING:
    from fls_models.training.core.trainer import Plan

PRECISIONS = ("auto", "bf16", "float32")


def _complete(incomplete: str) -> list[str]:
    """Names of models to train that begin so."""
    from fls_models.weights import card

    return [name for name in card.that_read_frames() if name.startswith(incomplete)]


TrainedModel = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FOLDER",
        help="A large model (fls models list), or mini, or the folder of one.",
        autocompletion=_complete,
    ),
]
Accumulate = Annotated[
    int, typer.Option(metavar="N", min=1, help="Batches an update; processes share them out.")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Of all that is drawn.")]
Voices = Annotated[
    str,
    typer.Option(
        metavar="NAME,...",
        help="Who speaks: auto for all that are installed, or hibari, flite, espeak-ng, "
        "festival, piper=VOICE.onnx.",
    ),
]


def check_above_0(option: str, value: float | None) -> None:
    """Raises UsageError for what is given and is not."""
    if value is not None and not (isfinite(value) and value > 0):
        raise UsageError(f"{option} takes a number above 0, not {value:g}.")


@dataclass(frozen=True)
class Course:
    """When a run is saved, by which dice it goes, and whether it begins anew."""

    eval_every: Annotated[
        int, typer.Option("--every", metavar="N", min=1, help="Steps between checkpoints.")
    ] = 100
    seed: Seed = 0
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget the run in FOLDER and begin anew.")
    ] = False


@dataclass(frozen=True)
class Updates:
    """How many, of how much, and how large."""

    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Updates.")] = 10_000
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="Clips that are computed at once.")
    ] = 4
    accumulate: Accumulate = 4
    rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="RATE",
            help="The highest learning rate, then a cosine. Of mini's adapter a tenth, of its "
            "projector a twentieth.",
            show_default="0.0002; mini: 0.0003",
        ),
    ] = None

    def plan(self, usual_rate: float, course: Course) -> Plan:
        from fls_models.training.core.trainer import Plan

        rate = usual_rate if self.rate is None else self.rate
        steps, interval, seed = self.steps, course.eval_every, course.seed
        return Plan(steps, rate, accumulate=self.accumulate, eval_every=interval, seed=seed)


@dataclass(frozen=True)
class Place:
    """Where training runs, and in which numbers."""

    device: options.Device = "auto"
    dtype: options.Dtype = "nf4"
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(PRECISIONS),
            help="mini only: what training computes in; auto is bf16 on a GPU, float32 on the CPU.",
            show_default="auto",
        ),
    ] = None

    def engine(self, model: str, head: Path | None = None) -> Engine:
        return Engine(model, device=self.device, dtype=self.dtype, head=head)

    def placement(self) -> tuple[str, str]:
        """Where a connector is trained, and in which precision.

        Raises EnvironmentLacks for a GPU that is not there.
        """
        from fls_models.weights import devices

        device, precision = self.device, self.precision
        if not devices.is_device(device):
            raise UsageError(f"--device takes {DEVICES}, not {device!r}.")
        if precision not in (None, *PRECISIONS):
            raise UsageError(f"--precision takes {', '.join(PRECISIONS)}, not {precision!r}.")
        gpu_count = 0 if device == "cpu" else devices.count()
        chosen_device = "cpu"
        if device != "cpu" and (gpu_count or device != "auto"):
            chosen_device = "cuda:0" if device in ("auto", "cuda") else device
            if int(chosen_device.removeprefix("cuda:")) >= gpu_count:
                raise EnvironmentLacks(
                    f"PyTorch finds no {chosen_device}; `fls doctor` says more, and --device cpu "
                    "trains on the CPU."
                )
        if precision in (None, "auto"):
            precision = "float32" if chosen_device == "cpu" else "bf16"
        return chosen_device, str(precision)
