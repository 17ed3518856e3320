"""`fls train compress`: teach a model to read frames however strongly they are fused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.options import common as options
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.storage.files import check_folder
from fls_cli.training import connector as connector_training
from fls_cli.training.common import (
    AnswerTraining,
    by_length,
    encode_all,
    find_parts,
    is_connected,
    load_large,
    refuse,
    training,
)
from fls_cli.training.connector import LoraOptions, MiniReading
from fls_cli.training.options import Course, Place, TrainedModel, Updates, check_above_0
from fls_models.errors import UsageError
from fls_models.training.core.distributed import own_device
from fls_models.weights import card

if TYPE_CHECKING:
    from fls_models.training.compression.train_answers import Result


@dataclass(frozen=True)
class _Clips:
    """Which are held out, and how strongly all are fused."""

    dev: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="Held out, to choose the best adapter by; else 5 % of the clips, by source.",
        ),
    ] = None
    lengths: Annotated[
        str,
        typer.Option(
            metavar="N,...",
            help="Frames that a window of 30 s is fused to; one is drawn for each batch.",
        ),
    ] = "750,400,200,100,50,25,12"

    def drawn(self) -> tuple[int, ...]:
        """The lengths; UsageError for what is none."""
        parts = [part.strip() for part in self.lengths.split(",")]
        if not all(part.isdecimal() and int(part) >= 1 for part in parts):
            raise UsageError(
                f"--lengths takes numbers from 1 up with commas, not {self.lengths!r}."
            )
        return tuple(int(part) for part in parts)


@grouped
def compress(
    *,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help='JSON lines {"audio": PATH, "question": TEXT, "answer": TEXT}, paths relative to '
            'the file; "source" names the document that a line is of. Clips of 30 s at most.',
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="For the adapter, checkpoints, and what was encoded.",
        ),
    ],
    model: TrainedModel,
    clips: _Clips,
    updates: Updates,
    reading: MiniReading,
    course: Course,
    head: options.Head = None,
    place: Place,
    manners: Manners,
) -> None:
    """Train a model on clips that are fused by chance, strongly or weakly.

    The loss goes through the language model. Of a large model a LoRA is trained, and all else stays
    as it is; of mini, a LoRA and its connector. Prints the folder of what was made. Interrupted,
    the same command goes on.

    Example: fls train compress clips.jsonl --model qwen2-audio -o tuned/
    """
    lengths = clips.drawn()
    check_above_0("--lr", updates.rate)
    reading.lora.check()
    connected = is_connected(model)
    place = replace(place, device=own_device(place.device))
    if connected:
        reading.check()
        placement = place.placement()
        refuse({"--head": head}, f"{model} has a CTC head of its own, in its connector.")
    else:
        mini_only = {
            "--train": reading.train,
            "--connector": reading.connector,
            "--precision": place.precision,
        }
        refuse(mini_only, f"of {model} a LoRA is trained; that is for mini.")
        _check_plain(model)
    check_folder(output)
    with training(place.device, manners, output) as (session, reporter, processes):
        from fls_models.training.data.manifests import read_spoken, split

        dev, seed = clips.dev, course.seed
        items = read_spoken(data)
        items, dev_items = (items, read_spoken(dev)) if dev else split(items, seed=seed)
        plan = updates.plan(3e-4 if connected else 2e-4, course)
        sizes = plan, output, updates.batch, course.fresh
        task = AnswerTraining(session, items, dev_items, *sizes, reporter, processes, lengths)
        if connected:
            parts = find_parts(session, model, processes)
            result = connector_training.train_answers(task, parts, reading, placement)
        else:
            result = _train_lora(task, place.engine(model, head), reading.lora)
        before, after = by_length(result.before), by_length(result.after)
        session.say(f"the best is that of step {result.steps}; nats a token by frames a window")
        session.say(f"before {before}; after {after}")
        session.show(f"{result.folder}\n")
        session.finish()


def _train_lora(task: AnswerTraining, engine: Engine, lora: LoraOptions) -> Result:
    """Trains a LoRA for a large model."""
    from fls_models.training.compression.train_large import train_compression

    loaded = load_large(task.session, engine, task.processes)
    model = loaded.language_model
    encoded = encode_all(task, model, loaded.encoder_fingerprint)
    task.forget()
    return train_compression(
        model,
        task.run(encoded),
        identity=loaded.encoder_fingerprint,
        base=loaded.card.repo,
        lengths=task.lengths,
        lora=lora.settings(128, 0.05),
    )


def _check_plain(name: str) -> None:
    """Refuses a model whose own LoRA is merged: another on top would not fit the released base."""
    if name in card.names():
        model_card = card.load(name)
        if isinstance(model_card, card.FrameCard) and model_card.adapter:
            raise UsageError(
                f"{name} has an adapter of its own merged in; train one for --model qwen2-audio."
            )
