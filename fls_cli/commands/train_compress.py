"""`fls train compress`: teach a large model to read frames however strongly they are fused."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import options
from fls_cli.desk import open_desk
from fls_cli.engines import Engine
from fls_cli.training import (
    Every,
    Fresh,
    LargeModel,
    Seed,
    Steps,
    Telling,
    check_model,
    encode_all,
    load_large,
)
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    model: LargeModel,
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
            metavar="N,N,...",
            help="Frames that a window of 30 s is fused to; one is drawn for each batch.",
        ),
    ] = "750,400,200,100,50,25,12",
    steps: Steps = 10_000,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, help="Clips that are computed at once.")
    ] = 4,
    accumulate: Annotated[
        int, typer.Option("--accumulate", metavar="N", min=1, help="Batches an update.")
    ] = 4,
    rate: Annotated[
        float,
        typer.Option("--lr", metavar="RATE", help="The highest learning rate, then a cosine."),
    ] = 2e-4,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Of the LoRA.")] = 128,
    alpha: Annotated[float, typer.Option("--alpha", help="Of the LoRA.")] = 256.0,
    dropout: Annotated[float, typer.Option("--dropout", help="Of the LoRA.")] = 0.05,
    every: Every = 100,
    seed: Seed = 0,
    fresh: Fresh = False,
    head: options.Head = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "nf4",
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Train a LoRA for a large model on clips that are fused by chance strongly or weakly.

    The loss goes through the language model; all else of the model stays as it is. Prints the
    adapter's folder. Interrupted, the same command goes on.

    Example: fls train compress clips.jsonl --model qwen2-audio -o tuned/
    """
    drawn = _lengths(lengths)
    _check(rate, alpha, dropout)
    check_model(model)
    _check_plain(model)
    with open_desk(quiet=quiet, offline=offline) as desk:
        from fls_models.training import checkpoints
        from fls_models.training.compression import train_compression
        from fls_models.training.corpus import read_spoken, split
        from fls_models.training.loop import Plan

        taken = read_spoken(data)
        taken, held = (taken, read_spoken(dev)) if dev else split(taken, seed=seed)
        loaded = load_large(desk, Engine(model, device=device, dtype=dtype, head=head))
        encoded = encode_all(desk, loaded, [one.audio for one in [*taken, *held]], output)
        if fresh:
            checkpoints.forget(output)
        with Telling(desk, output) as told:
            found = train_compression(
                loaded.language_model,
                taken,
                held,
                Plan(steps, rate, accumulate=accumulate, every=every, seed=seed),
                output,
                encoded=encoded,
                identity=loaded.ear,
                base=loaded.card.repo,
                lengths=drawn,
                rank=rank,
                alpha=alpha,
                dropout=dropout,
                batch_size=batch,
                progress=desk.bars,
                report=lambda step, losses: told.step(
                    step,
                    lambda value: f"held out {value:.3f}",
                    more=f" ({_by_length(losses)})",
                ),
            )
        before, after = _by_length(found.before), _by_length(found.after)
        desk.say(f"the best adapter is that of step {found.steps}; nats a token by frames a window")
        desk.say(f"before {before}; after {after}")
        desk.show(f"{found.adapter}\n")
        desk.finish()


def _by_length(losses: Mapping[int, float]) -> str:
    return ", ".join(f"{length}: {loss:.2f}" for length, loss in losses.items())


def _lengths(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise UsageError(f"--lengths takes numbers from 1 up with commas, not {text!r}.")
    return tuple(int(part) for part in parts)


def _check(rate: float, alpha: float, dropout: float) -> None:
    for option, value in (("--lr", rate), ("--alpha", alpha)):
        if not (isfinite(value) and value > 0):
            raise UsageError(f"{option} takes a number above 0, not {value:g}.")
    if not 0 <= dropout < 1:
        raise UsageError(f"--dropout takes a share from 0 to below 1, not {dropout:g}.")


def _check_plain(name: str) -> None:
    """Refuses a model whose own LoRA is merged: another on top would not fit the released base."""
    from fls_models import card

    if name in card.names():
        found = card.load(name)
        if isinstance(found, card.FrameCard) and found.adapter:
            raise UsageError(
                f"{name} has an adapter of its own merged in; train one for --model qwen2-audio."
            )
