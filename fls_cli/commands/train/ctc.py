"""`fls train ctc`: a CTC head of one's own, so that fusion knows where speech is.

For a large model the head alone is trained; for `mini` the adapter before it as well, which with
the head and a projector is a connector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.session.engine import Engine
from fls_cli.storage.files import check_folder
from fls_cli.training import connector as connector_training
from fls_cli.training.common import (
    HeadTraining,
    encode_all,
    find_parts,
    is_connected,
    load_large,
    rated_by_words,
    refuse,
    training,
)
from fls_cli.training.connector import ConnectorSettings
from fls_cli.training.options import Accumulate, Course, Place, TrainedModel, Updates, check_above_0
from fls_models.training.core.distributed import own_device

if TYPE_CHECKING:
    from fls_models.training.ctc.train_connector import Result as ConnectorResult
    from fls_models.training.ctc.train_head import Result as HeadResult

app = CommandLine(
    help="Train parts of a model on your own recordings.\n\n"
    "Models that read frames can be trained: large ones, and mini's connector.\n\n"
    "Example: fls train ctc speech.jsonl --model qwen2.5-omni-3b -o head/"
)


@app.callback()
def parts() -> None:
    """With it, `ctc` stays a command of its own name."""


@dataclass(frozen=True)
class _HeadUpdates(Updates):
    batch: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Recordings that are computed at once; the paper has 16."
        ),
    ] = 16
    accumulate: Accumulate = 1
    rate: Annotated[
        float | None,
        typer.Option(
            "--lr",
            metavar="RATE",
            help="The highest learning rate, after which it follows a cosine. The paper has 2e-5, "
            "on 4000 hours; a fresh head on less needs more.",
            show_default="0.0005; mini: 0.001",
        ),
    ] = None


@app.command("ctc")
@grouped
def ctc(
    *,
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
            metavar="MANIFEST",
            help="Held out, to choose the best head by; else 5 % of the recordings, by source.",
        ),
    ] = None,
    wanted: ConnectorSettings,
    updates: _HeadUpdates,
    course: Course,
    place: Place,
    manners: Manners,
) -> None:
    """Train a CTC head for a large model, or a connector for mini. Prints its path.

    Nothing else of the model changes. Interrupted, the same command goes on. `--head
    FOLDER/head.safetensors` uses a head; what `fls train compress --connector` makes of a connector
    is what mini uses.

    Example: fls train ctc speech.jsonl --model qwen2.5-omni-3b -o head/
    """
    connected = is_connected(model)
    place = replace(place, device=own_device(place.device))
    pieces = wanted.pieces(connected=connected)
    if connected:
        wanted.check()
        where = place.where()
    else:
        mini_only = {"--blocks": wanted.blocks, "--width": wanted.width, "--init": wanted.init}
        asked_for = {**mini_only, "--precision": place.precision}
        refuse(asked_for, f"{model} has no connector; that is for mini.")
    check_above_0("--lr", updates.rate)
    check_folder(output)
    with training(place.device, manners, output) as (session, told, processes):
        from fls_models.training.data.manifests import read_utterances, split

        taken = read_utterances(manifest)
        # All that is wrong with the request is said before a model is loaded.
        taken, held = (taken, read_utterances(dev)) if dev else split(taken, seed=course.seed)
        plan = updates.plan(1e-3 if connected else 5e-4, course)
        asked = HeadTraining(
            session, taken, held, plan, output, updates.batch, course.fresh, told, processes
        )
        found: HeadResult | ConnectorResult
        if connected:
            parts = find_parts(session, model, processes)
            found = connector_training.train_head(asked, parts, wanted, where)
            what, made = "connector", found.connector
        else:
            found = _train_head(asked, place.engine(model), pieces)
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
    return train_head(model, asked.run(encoded), vocabulary, identity=loaded.ear)
