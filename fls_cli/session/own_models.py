"""Models of the user's own: a GGUF or a Whisper given on the command line, or added by name."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fls_cli.storage.paths import config_file
from fls_models.core.machine.memory import memory
from fls_models.errors import EnvironmentLacks, UsageError
from fls_models.weights import card as cards
from fls_models.weights.card import Card, TextCard

if TYPE_CHECKING:
    from fls_models.weights.base import Store, Weights

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def cards_folder() -> Path | None:
    """Where the cards of added models lie, beside the file of settings; it need not be there."""
    file = config_file()
    return None if file is None else file.parent / "models"


def find_own_cards() -> None:
    """From now on, added models are known by their names."""
    if (folder := cards_folder()) is not None:
        cards.look_in(folder, _read)


def _read(file: Path) -> Card:
    from fls_models.weights import own

    return own.read(file)


def card_file(name: str) -> Path:
    """Where the card of that name lies, or would; raises UsageError for what is no new name."""
    folder = cards_folder()
    if folder is None:
        raise EnvironmentLacks(
            "There is no home folder to keep models in; set FLS_CONFIG to a file in a folder."
        )
    if name in cards.shipped_names() or name == "auto":
        raise UsageError(f"{name} is a model of fls itself; take another name.")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a model: letters, digits, dots and dashes.")
    return folder / f"{name}.json"


def given_card(base: Card, llm: str | None, ears: str | None) -> TextCard:
    """The card of a model of which parts are given by --llm and --ears.

    Raises UsageError, and what `fls_models.weights.own.llm_part` does.
    """
    from fls_models.weights import own

    if not isinstance(base, TextCard):
        raise UsageError(
            f"--llm and --ears change a model that reads transcripts; {base.name} hears by itself."
        )
    named = [Path(source).stem for source in (llm, ears) if source is not None]
    return own.own_card(
        "+".join(named),
        base,
        None if llm is None else own.llm_part(llm),
        None if ears is None else own.ears_part(ears),
    )


def note_measured(name: str, text: str) -> None:
    """Keeps what a bench found in the card of an added model; cards of fls are measured already."""
    if (file := cards.own_files().get(name)) is not None:
        from fls_models.weights import own

        own.write(replace(own.read(file), limits=text), file)


def check_memory(store: Store[Weights]) -> None:
    """Raises EnvironmentLacks where a language model from a file, which is still to be converted,
    is too large for this machine."""
    card = store.card
    if isinstance(card, TextCard) and card.llm.place is not None and not store.is_ready():
        from fls_models.weights.conversion.gguf_header import GgufHeader

        there = memory()
        header = GgufHeader.read(card.llm.place)
        header.check_memory(None if there is None else there.available)
