"""The page around what it shows: title, player, style and script, with no way to the network."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from string import Template

from fls_cli.writers.pages.markup import escaped


def page(*, title: str, name: str, about: str, main: str, audio: bytes, offset: float) -> str:
    """A whole HTML document.

    `title`, `name` (the recording's) and `about` (a line below it) are plain text; `main` is HTML.
    `offset` is the second of the recording at which `audio` (MP3) begins.
    """
    style, script = _part("page.css"), _part("page.js")
    return Template(_part("page.html")).substitute(
        title=escaped(title),
        heading=escaped(name),
        about=escaped(about),
        main=main,
        audio=b64encode(audio).decode(),
        offset=f"{offset:.3f}",
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """By which the page's own policy knows this text, and lets no other run."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
