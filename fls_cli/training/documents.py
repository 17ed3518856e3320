"""What the commands that have texts spoken share: who is to speak, and what there is to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fls_cli.session.session import Session
    from fls_models.training.data.documents import Document

Voices = Annotated[
    str,
    typer.Option(
        metavar="NAME,...",
        help="Who speaks: auto for all that are installed, or hibari, flite, espeak-ng, "
        "festival, piper=VOICE.onnx.",
    ),
]


def say_texts(session: Session, documents: Sequence[Document]) -> None:
    """How much there is, and how much of it no voice is given."""
    sentences = sum(len(one.lines) for one in documents)
    left_out = sum(sum(one.left_out.values()) for one in documents)
    said = f"; {left_out} left out" if left_out else ""
    session.say(f"{len(documents)} documents, {sentences} sentences{said}")
