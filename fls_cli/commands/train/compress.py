"""`fls train compress`: teach a model to read frames however strongly they are fused."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.options import common as options
from fls_cli.session.engine import Engine
from fls_cli.session.session import open_session
from fls_cli.storage.files import check_folder
from fls_cli.training import connector as connector_training
from fls_cli.training.common import (
    Accumulate,
    AnswerTraining,
    Every,
    Fresh,
    Precision,
    Seed,
    Steps,
    Telling,
    TrainedModel,
    by_length,
    encode_all,
    find_parts,
    is_connected,
    load_large,
    place,
    refuse,
)
from fls_models.errors import UsageError
from fls_models.training.core.distributed import joined, own_device
from fls_models.weights import card

if TYPE_CHECKING:
    from fls_models.training.compression.train_answers import Result


def compress(
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
    dev: Annotated[
        Path | None,
        typer.Option(
            "--dev",
            metavar="DATA",
            help="Held out, to choose the best adapter by; else 5 % of the clips, by source.",
        ),
    ] = None,
    lengths: Annotated[
        str,
        typer.Option(
            "--lengths",
            metavar="N,...",
            help="Frames that a window of 30 s is fused to; one is drawn for each batch.",
        ),
    ] = "750,400,200,100,50,25,12",
    steps: Steps = 10_000,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, help="Clips that are computed at once.")
    ] = 4,
    accumulate: Accumulate = 4,
    rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="RATE",
            help="The highest learning rate, then a cosine. Of mini's adapter a tenth, of its "
            "projector a twentieth.",
            show_default="0.0002; mini: 0.0003",
        ),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            "--train",
            metavar="PART,...",
            help="mini only: lora, projector, adapter (with its CTC head), or some of them.",
            show_default="lora,projector",
        ),
    ] = None,
    connector: Annotated[
        Path | None,
        typer.Option(
            "--connector",
            metavar="FOLDER",
            help="mini only: what fls train ctc made; else the connector that mini has.",
        ),
    ] = None,
    rank: Annotated[
        int | None,
        typer.Option(
            "--rank", metavar="N", min=1, help="Of the LoRA.", show_default="128; mini: 16"
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", metavar="NUMBER", help="Of the LoRA.", show_default="twice the rank"
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            "--dropout", metavar="SHARE", help="Of the LoRA.", show_default="0.05; mini: 0"
        ),
    ] = None,
    every: Every = 100,
    seed: Seed = 0,
    fresh: Fresh = False,
    head: options.Head = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "nf4",
    precision: Precision = None,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Train a model on clips that are fused by chance, strongly or weakly.

    The loss goes through the language model. Of a large model a LoRA is trained, and all else stays
    as it is; of mini, a LoRA and its connector. Prints the folder of what was made. Interrupted,
    the same command goes on.

    Example: fls train compress clips.jsonl --model qwen2-audio -o tuned/
    """
    drawn = _lengths(lengths)
    _check(rate, alpha, dropout)
    connected = is_connected(model)
    device = own_device(device)
    if rate is None:
        rate = 3e-4 if connected else 2e-4
    if connected:
        parts = connector_training.parts_of(train)
        where = place(device, precision)
        refuse({"--head": head}, f"{model} has a CTC head of its own, in its connector.")
    else:
        mini_only = {"--train": train, "--connector": connector, "--precision": precision}
        refuse(mini_only, f"of {model} a LoRA is trained; that is for mini.")
        _check_plain(model)
    check_folder(output)
    with (
        joined(device) as processes,
        open_session(quiet=quiet or not processes.is_first, offline=offline) as session,
        Telling(session, output) as told,
    ):
        from fls_models.training.core.trainer import Plan
        from fls_models.training.data.manifests import read_spoken, split

        taken = read_spoken(data)
        taken, held = (taken, read_spoken(dev)) if dev else split(taken, seed=seed)
        plan = Plan(steps, rate, accumulate=accumulate, every=every, seed=seed)
        asked = AnswerTraining(
            session, taken, held, plan, output, drawn, batch, fresh, told, processes
        )
        if connected:
            lora = connector_training.AskedLora(rank, alpha, dropout)
            found = connector_training.train_answers(
                asked, find_parts(session, model, processes), connector, parts, lora, where
            )
        else:
            engine = Engine(model, device=device, dtype=dtype, head=head)
            found = _train_lora(asked, engine, rank or 128, alpha, dropout)
        before, after = by_length(found.before), by_length(found.after)
        session.say(f"the best is that of step {found.steps}; nats a token by frames a window")
        session.say(f"before {before}; after {after}")
        session.show(f"{found.made}\n")
        session.finish()


def _train_lora(
    asked: AnswerTraining, engine: Engine, rank: int, alpha: float | None, dropout: float | None
) -> Result:
    """Trains a LoRA for a large model."""
    from fls_models.training.compression.train_large import train_compression

    loaded = load_large(asked.session, engine, asked.processes)
    model = loaded.language_model
    encoded = encode_all(asked, model, loaded.ear)
    asked.begin()
    return train_compression(
        model,
        asked.taken,
        asked.held,
        asked.plan,
        asked.output,
        encoded=encoded,
        identity=loaded.ear,
        base=loaded.card.repo,
        lengths=asked.lengths,
        rank=rank,
        alpha=2.0 * rank if alpha is None else alpha,
        dropout=0.05 if dropout is None else dropout,
        batch_size=asked.batch,
        processes=asked.processes,
        progress=asked.session.bars,
        report=asked.report,
    )


def _lengths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise UsageError(f"--lengths takes numbers from 1 up with commas, not {text!r}.")
    return tuple(int(part) for part in parts)


def _check(rate: float | None, alpha: float | None, dropout: float | None) -> None:
    for option, value in (("--lr", rate), ("--alpha", alpha)):
        if value is not None and not (isfinite(value) and value > 0):
            raise UsageError(f"{option} takes a number above 0, not {value:g}.")
    if dropout is not None and not 0 <= dropout < 1:
        raise UsageError(f"--dropout takes a share from 0 to below 1, not {dropout:g}.")


def _check_plain(name: str) -> None:
    """Refuses a model whose own LoRA is merged: another on top would not fit the released base."""
    if name in card.names():
        found = card.load(name)
        if isinstance(found, card.FrameCard) and found.adapter:
            raise UsageError(
                f"{name} has an adapter of its own merged in; train one for --model qwen2-audio."
            )
