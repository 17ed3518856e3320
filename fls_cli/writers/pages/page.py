"""Pages from templates: title, player, style and script, with no way to the network."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from fls_cli.console.text import clean
from fls_cli.writers.pages.markup import clocks, play_attributes


def page(template: str, *, audio: bytes, offset: float, **values: object) -> str:
    """A whole HTML document.

    `template` lies beside this file. Among `values` are `title`, `name` (the recording's) and
    `about` (a line below it). `offset` is the second of the recording at which `audio` (MP3)
    begins. Texts stay texts wherever they are put, unless they are `Markup`.
    """
    environment = Environment(
        autoescape=True,
        finalize=_clean,
        loader=FunctionLoader(_part),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {"clocks": clocks, "play_attributes": play_attributes}
    environment.filters["hash"] = _hash
    return environment.get_template(template).render(
        audio=Markup(b64encode(audio).decode()),
        offset=offset,
        style=Markup(_part("page.css")),
        script=Markup(_part("page.js")),
        **values,
    )


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _clean(value: object) -> object:
    """A text from a recording, a question or a file's name without what steers a terminal."""
    return clean(value).strip() if type(value) is str else value


def _hash(text: str) -> Markup:
    """By which the page's own policy knows this text, and lets no other run."""
    return Markup(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'")
