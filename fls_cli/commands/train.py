"""`fls train`: a CTC head of one's own for a large model, so that fusion knows where speech is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli import options
from fls_cli.desk import Desk, open_desk
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
    from fls_models.training.corpus import Utterance
    from fls_models.training.encoded import Encoded
    from fls_models.training.vocabulary import Vocabulary

app = typer.Typer(
    no_args_is_help=True,
    help="Train parts of a large model on recordings of one's own.\n\n"
    "Example: fls train ctc speech.jsonl --model qwen2.5-omni-3b -o head/",
)


@app.callback()
def training() -> None:
    """With it, `ctc` stays a command of its own name."""


@app.command("ctc")
def ctc(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help='JSON lines {"audio": PATH, "text": WORDS}, paths relative to the manifest; '
            '"source" names the document that a line is of. Recordings of 30 s at most.',
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="For head.safetensors, its vocabulary, checkpoints, and what was encoded.",
        ),
    ],
    model: LargeModel,
    dev: Annotated[
        Path | None,
        typer.Option(
            "--dev",
            metavar="MANIFEST",
            help="Held out, to choose the best head by; else 5 % of the recordings, by source.",
        ),
    ] = None,
    vocab: Annotated[
        str,
        typer.Option(
            "--vocab",
            metavar="characters|N",
            help="characters, or N SentencePiece pieces made of the texts; the paper has 10000.",
        ),
    ] = "characters",
    steps: Steps = 10_000,
    batch: Annotated[
        int,
        typer.Option("--batch", metavar="N", min=1, help="Recordings an update; the paper has 16."),
    ] = 16,
    rate: Annotated[
        float,
        typer.Option(
            "--lr",
            metavar="RATE",
            help="The highest learning rate, after which it follows a cosine. The paper has 2e-5, "
            "on 4000 hours; a fresh head on less needs more.",
        ),
    ] = 5e-4,
    every: Every = 100,
    seed: Seed = 0,
    fresh: Fresh = False,
    device: options.Device = "auto",
    dtype: options.Dtype = "nf4",
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Train a CTC head for a large model; nothing else of the model changes. Prints its path.

    Interrupted, the same command goes on. `--head FOLDER/head.safetensors` uses the head.

    Example: fls train ctc speech.jsonl --model qwen2.5-omni-3b --vocab 1000 -o head/
    """
    pieces = _pieces(vocab)
    if not rate > 0:
        raise UsageError(f"--lr takes a number above 0, not {rate:g}.")
    check_model(model)
    with open_desk(quiet=quiet, offline=offline) as desk:
        from fls_models.training import checkpoints
        from fls_models.training.corpus import read_utterances, split
        from fls_models.training.ctc import train_head
        from fls_models.training.loop import Plan
        from fls_models.training.vocabulary import Characters, Pieces

        taken = read_utterances(manifest)
        # All that is wrong with the request is said before a model is loaded.
        taken, held = (taken, read_utterances(dev)) if dev else split(taken, seed=seed)
        texts = [one.text for one in taken]
        vocabulary = Characters.of(texts) if pieces is None else Pieces.of(texts, pieces)
        loaded = load_large(desk, Engine(model, device=device, dtype=dtype))
        encoded = encode_all(desk, loaded, [one.audio for one in [*taken, *held]], output)
        _say_crowded(desk, taken, encoded, vocabulary)
        if fresh:
            checkpoints.forget(output)
        with Telling(desk, output) as told:
            found = train_head(
                loaded.language_model,
                taken,
                held,
                vocabulary,
                Plan(steps, rate, every=every, seed=seed),
                output,
                encoded=encoded,
                identity=loaded.ear,
                batch_size=batch,
                progress=desk.bars,
                report=lambda step: told.step(step, _rated),
            )
        rated = f"{_rated(found.word_error_rate)} on what was held out"
        desk.say(f"the best head is that of step {found.steps}: {rated}")
        desk.show(f"{found.head}\n")
        desk.finish()


def _rated(rate: float) -> str:
    return f"word error rate {100 * rate:.1f} %"


def _pieces(vocab: str) -> int | None:
    """How many pieces; None for characters."""
    if vocab == "characters":
        return None
    if not vocab.isdecimal() or int(vocab) < 1:
        raise UsageError(f"--vocab takes `characters` or a number of pieces, not {vocab!r}.")
    return int(vocab)


def _say_crowded(
    desk: Desk, utterances: list[Utterance], encoded: Encoded, vocabulary: Vocabulary
) -> None:
    from fls_models.training.ctc import usable

    for one in usable(utterances, encoded, vocabulary)[1]:
        desk.say(f"{one.audio} is left out: it is too short for its text, or none of that is known")
