"""`fls search`: where something was said, in all that was heard before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fls_cli.console.text import printable
from fls_cli.library.clips import cut_hits
from fls_cli.library.folders import library_folders
from fls_cli.library.hearing import hear_unheard
from fls_cli.library.index import WHOLE, user_index
from fls_cli.library.meaning import find_meant, fused, load_encoder
from fls_cli.library.query import Query
from fls_cli.library.results import hit_line, hits_json
from fls_cli.library.search import Shelf, find, shelve
from fls_cli.media.source import Source
from fls_cli.options import common as options
from fls_cli.options.choices import LargeModel, Manners
from fls_cli.options.groups import grouped
from fls_cli.session.evidence_files import Showing
from fls_cli.session.session import Session
from fls_cli.sources.lists import all_names
from fls_cli.sources.resolve import open_sources
from fls_models.errors import UsageError

# Passages of each kind that are fused, for one that is shown.
_MANY = 5
# Names of recordings that were not heard, in a note.
_NAMED = 3


@grouped
def search(
    *,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE...] WORDS",
            help="Files, folders or patterns; the library without any (`fls library add`). What is "
            'looked for comes last: words, "a phrase", pref*, NEAR(two words, 5), OR, NOT.',
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=1, help="Passages at most.")
    ] = 10,
    meaning: Annotated[
        bool,
        typer.Option("--meaning", help="Find what says the same in other (English) words, too."),
    ] = False,
    hear: Annotated[
        bool, typer.Option("--hear", help="Hear what was not heard yet, first.")
    ] = False,
    clips: options.Clips = None,
    as_json: options.Json = False,
    from_file: options.FromFile = None,
    budget: options.Budget = "balanced",
    model: options.Model = "auto",
    language: options.Language = None,
    large: LargeModel,
    manners: Manners,
) -> None:
    """Find where something was said, in recordings that were heard before.

    Best first: passages with all words, then those with other spellings of them, then those with
    some. With --meaning also those that say the same otherwise.

    Example: fls search podcasts/ "honey price"
    """
    *named, wanted = arguments or [""]
    Showing.parse(None, clips, None, as_json=as_json)
    query = Query.parse(wanted)
    names = all_names(named, from_file) or library_folders()
    if not names:
        raise UsageError(
            "Nothing is named to search in, and the library is empty; name a folder before the "
            "words, or `fls library add FOLDER`."
        )
    with (
        manners.session(keep=True, as_json=as_json) as session,
        open_sources(names, failed=session.fail, note=session.say) as sources,
        user_index(session.say, session.bars) as index,
    ):
        files = _files(session, sources)
        if hear:
            engine, spoken = large.engine(model, "auto"), replace(WHOLE, language=language)
            shelf = hear_unheard(session, index, files, engine, budget, spoken)
        else:
            shelf = shelve(index, files)
        if meaning:
            encode, many = load_encoder(session), count * _MANY
            # A passage with some of the words says less than one that means the same.
            hits = find(index, shelf, query, many, some=False)
            meant = find_meant(index, encode, query, many, session.bars)
            hits = fused(hits, meant, shelf, count)
        else:
            hits = find(index, shelf, query, count)
        if as_json:
            session.show(hits_json(wanted, hits, shelf))
        else:
            session.show("".join(map(hit_line, hits)))
            _say_rest(session, shelf, found=bool(hits))
        if clips is not None:
            cut_hits(session, list(files), hits, clips)
        session.finish()


def _files(session: Session, sources: Sequence[Source]) -> dict[Source, Path]:
    """Those that are there, each with its file."""
    files: dict[Source, Path] = {}
    for source in sources:
        if source.kind != "file" or source.local is None:
            session.say(f"{source.name}: only files are searched; download it first")
        elif session.is_there(source):
            files[source] = source.local
    return files


def _say_rest(session: Session, shelf: Shelf[Source], *, found: bool) -> None:
    """What was not searched, and that nothing was found."""
    total = len(shelf.heard) + len(shelf.unheard)
    if shelf.unheard:
        some = ", ".join(source.name for source in shelf.unheard[:_NAMED])
        more = ", ..." if len(shelf.unheard) > _NAMED else ""
        session.say(
            f"{len(shelf.unheard)} of {total} recordings were not heard yet, and not searched "
            f"({printable(some)}{more}); --hear hears them first"
        )
    if shelf.heard and not found:
        session.say(f"nothing like that was said in {len(shelf.heard)} of {total} recordings")
