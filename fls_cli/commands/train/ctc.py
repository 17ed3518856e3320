"""`fls train ctc`: a CTC head of one's own, so that fusion knows where speech is.

For a large model the head alone is trained; for `mini` the adapter before it as well, which with
the head and a projector is a connector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.options import common as options
from fls_cli.session.engine import Engine
from fls_cli.session.session import open_session
from fls_cli.storage.files import check_folder
from fls_cli.training import connector as connector_training
from fls_cli.training.common import (
    Accumulate,
    Every,
    Fresh,
    HeadTraining,
    Precision,
    Seed,
    Steps,
    Telling,
    TrainedModel,
    encode_all,
    find_parts,
    is_connected,
    load_large,
    place,
    rated_by_words,
    refuse,
)
from fls_models.errors import UsageError
from fls_models.training.core.distributed import joined, own_device

if TYPE_CHECKING:
    from fls_models.training.ctc.train_connector import Result as ConnectorResult
    from fls_models.training.ctc.train_head import Result as HeadResult

app = CommandLine(
    help="Train parts of a model on your own recordings.\n\n"
    "Models that read frames can be trained: large ones, and mini's connector.\n\n"
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
            help="For the head or the connector, its vocabulary, checkpoints, and what was "
            "encoded.",
        ),
    ],
    model: TrainedModel,
    dev: Annotated[
        Path | None,
        typer.Option(
            "--dev",
            metavar="MANIFEST",
            help="Held out, to choose the best head by; else 5 % of the recordings, by source.",
        ),
    ] = None,
    vocab: Annotated[
        str | None,
        typer.Option(
            "--vocab",
            metavar="characters|N",
            help="characters, or N SentencePiece pieces made of the texts; the paper has 10000. "
            "Of mini: N tokens of its language model.",
            show_default="characters; mini: 4000",
        ),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(
            "--blocks", metavar="N", min=1, help="mini only: of the adapter.", show_default="4"
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            "--width", metavar="N", min=1, help="mini only: of the adapter.", show_default="512"
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init",
            metavar="FOLDER",
            help="mini only: a connector to go on with; size and vocabulary are its own.",
        ),
    ] = None,
    steps: Steps = 10_000,
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            metavar="N",
            min=1,
            help="Recordings that are computed at once; the paper has 16.",
        ),
    ] = 16,
    accumulate: Accumulate = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="RATE",
            help="The highest learning rate, after which it follows a cosine. The paper has 2e-5, "
            "on 4000 hours; a fresh head on less needs more.",
            show_default="0.0005; mini: 0.001",
        ),
    ] = None,
    every: Every = 100,
    seed: Seed = 0,
    fresh: Fresh = False,
    device: options.Device = "auto",
    dtype: options.Dtype = "nf4",
    precision: Precision = None,
    quiet: options.Quiet = False,
    offline: options.Offline = False,
) -> None:
    """Train a CTC head for a large model, or a connector for mini. Prints its path.

    Nothing else of the model changes. Interrupted, the same command goes on. `--head
    FOLDER/head.safetensors` uses a head; what `fls train compress --connector` makes of a connector
    is what mini uses.

    Example: fls train ctc speech.jsonl --model qwen2.5-omni-3b -o head/
    """
    connected = is_connected(model)
    device = own_device(device)
    pieces = _pieces(vocab, connected)
    wanted = connector_training.ConnectorSettings(pieces, blocks, width, init)
    if connected:
        wanted.check()
        where = place(device, precision)
    else:
        mini_only = {"--blocks": blocks, "--width": width, "--init": init, "--precision": precision}
        refuse(mini_only, f"{model} has no connector; that is for mini.")
    if rate is None:
        rate = 1e-3 if connected else 5e-4
    if not rate > 0:
        raise UsageError(f"--lr takes a number above 0, not {rate:g}.")
    check_folder(output)
    with (
        joined(device) as processes,
        open_session(quiet=quiet or not processes.is_first, offline=offline) as session,
        Telling(session, output) as told,
    ):
        from fls_models.training.core.trainer import Plan
        from fls_models.training.data.manifests import read_utterances, split

        taken = read_utterances(manifest)
        # All that is wrong with the request is said before a model is loaded.
        taken, held = (taken, read_utterances(dev)) if dev else split(taken, seed=seed)
        plan = Plan(steps, rate, accumulate=accumulate, every=every, seed=seed)
        asked = HeadTraining(session, taken, held, plan, output, batch, fresh, told, processes)
        found: HeadResult | ConnectorResult
        if connected:
            found = connector_training.train_head(
                asked, find_parts(session, model, processes), wanted, where
            )
            what, made = "connector", found.connector
        else:
            found = _train_head(asked, Engine(model, device=device, dtype=dtype), pieces)
            what, made = "head", found.head
        rated = f"{rated_by_words(found.word_error_rate)} on what was held out"
        session.say(f"the best {what} is that of step {found.steps}: {rated}")
        session.show(f"{made}\n")
        session.finish()


def _train_head(asked: HeadTraining, engine: Engine, pieces: int | None) -> HeadResult:
    """Trains a head for a large model."""
    from fls_models.training.ctc.train_head import train_head
    from fls_models.training.ctc.vocabulary import Characters, Pieces

    texts = [one.text for one in asked.taken]
    vocabulary = Characters.of(texts) if pieces is None else Pieces.of(texts, pieces)
    loaded = load_large(asked.session, engine, asked.processes)
    model = loaded.language_model
    encoded = encode_all(asked, model, loaded.ear)
    asked.begin(encoded, vocabulary)
    return train_head(
        model,
        asked.taken,
        asked.held,
        vocabulary,
        asked.plan,
        asked.output,
        encoded=encoded,
        identity=loaded.ear,
        batch_size=asked.batch,
        processes=asked.processes,
        progress=asked.session.bars,
        report=asked.report,
    )


def _pieces(vocab: str | None, connected: bool) -> int | None:
    """How many pieces or tokens; None for characters, or what is usual."""
    if vocab is None or (vocab == "characters" and not connected):
        return None
    if not vocab.isdecimal() or int(vocab) < 1:
        takes = "a number of tokens" if connected else "`characters` or a number of pieces"
        raise UsageError(f"--vocab takes {takes}, not {vocab!r}.")
    return int(vocab)
