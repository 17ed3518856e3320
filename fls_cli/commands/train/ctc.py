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
    from fls_models.training.ctc.train_head import Result

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
    settings: ConnectorSettings,
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
    pieces = settings.pieces(connected=connected)
    if connected:
        settings.check()
        placement = place.placement()
    else:
        sizes = {"--blocks": settings.blocks, "--width": settings.width}
        mini_only = {**sizes, "--init": settings.init, "--precision": place.precision}
        refuse(mini_only, f"{model} has no connector; that is for mini.")
    check_above_0("--lr", updates.rate)
    check_folder(output)
    with training(place.device, manners, output) as (session, reporter, processes):
        from fls_models.training.data.manifests import read_utterances, split

        items = read_utterances(manifest)
        # All that is wrong with the request is said before a model is loaded.
        items, dev_items = (items, read_utterances(dev)) if dev else split(items, seed=course.seed)
        plan = updates.plan(1e-3 if connected else 5e-4, course)
        course_of_run = plan, output, updates.batch, course.fresh
        task = HeadTraining(session, items, dev_items, *course_of_run, reporter, processes)
        if connected:
            parts = find_parts(session, model, processes)
            result = connector_training.train_head(task, parts, settings, placement)
        else:
            result = _train_head(task, place.engine(model), pieces)
        rated = f"{rated_by_words(result.word_error_rate)} on what was held out"
        what = "connector" if connected else "head"
        session.say(f"the best {what} is that of step {result.steps}: {rated}")
        session.show(f"{result.path}\n")
        session.finish()


def _train_head(task: HeadTraining, engine: Engine, pieces: int | None) -> Result:
    """Trains a head for a large model."""
    from fls_models.training.ctc.train_head import train_head
    from fls_models.training.ctc.vocabulary import Characters, Pieces

    texts = [utterance.text for utterance in task.train]
    vocabulary = Characters.of(texts) if pieces is None else Pieces.of(texts, pieces)
    loaded = load_large(task.session, engine, task.processes)
    model = loaded.language_model
    encoded = encode_all(task, model, loaded.encoder_fingerprint)
    task.begin(encoded, vocabulary)
    return train_head(model, task.run(encoded), vocabulary, identity=loaded.encoder_fingerprint)
