"""Where the results of many sources go: a tree of files that mirrors the one they came from.

Names only: nothing is written here, and what lies there already changes no name, so that a second
run over the same sources finds the files of the first.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from fls_cli.media.source import Source
from fls_cli.storage.file_names import fitted, safe_name

# A path below the output folder, part by part; as a key, with case and accents made equal.
Parts: TypeAlias = tuple[str, ...]

# "Part 3.5 on bees" and "v1.2" end in no suffix.
_SUFFIX = re.compile(r"\.(?=.*[A-Za-z])[A-Za-z0-9]{1,5}")


def place_all(sources: Sequence[Source], folder: Path, suffix: str) -> dict[Source, Path]:
    """A file below `folder` for each of `sources`, the same whatever their order.

    `podcasts/season-2/bees.m4a`, found in `podcasts`, goes to `season-2/bees` and `suffix` (with
    its dot); what is piped in to `stdin`. Where that is no name for one alone, each of those who
    share it takes the next that is:

    1. its whole name (`talk.mp3.md` and `talk.wav.md`),
    2. that, in the folders above what was named, as few as it takes (`monday/talk.mp3.md`); for an
       address, the host comes first of them,
    3. that, without those folders and with eight hexadecimal digits made of its location.

    Names are shared, too, if they differ by case or by how accents are encoded, if one file would
    lie where another needs a folder, and if a source is called so. No name is longer than 255
    bytes.
    """
    ranked = sorted(dict.fromkeys(sources), key=lambda source: (source.location, source.name))
    claims = {source: _Claim.of(source, rank) for rank, source in enumerate(ranked)}
    ground = Path(os.path.realpath(folder))
    originals = {
        _key(Path(os.path.realpath(source.local)).parts) for source in claims if source.local
    }
    refusals = dict.fromkeys(claims, 0)
    names: dict[Source, Parts] = {}
    keys: dict[Source, Parts] = {}
    replacing: set[Source] = set()
    undecided = set(claims)
    while undecided:
        for source in undecided:
            names[source] = name = claims[source].name(refusals[source], suffix)
            keys[source] = _key(name)
            replacing.discard(source)
            if _replaces(ground, name, originals):
                replacing.add(source)
        owners = Counter(keys.values())
        folders = {parent for key in keys.values() for parent in _parents(key)}
        undecided = replacing | {
            source for source, key in keys.items() if owners[key] > 1 or key in folders
        }
        for source in undecided:
            refusals[source] += 1
    return {source: folder.joinpath(*names[source]) for source in sources}


@dataclass(frozen=True)
class _Claim:
    """What the names for one source are made of.

    `above` are the folders above what was named, `below` those between that and the file `full`;
    `seal` tells its location from others, and `rank` it from the same one named twice.
    """

    above: Parts
    below: Parts
    full: str
    seal: str
    rank: int

    @classmethod
    def of(cls, source: Source, rank: int) -> _Claim:
        where = source.below or PurePosixPath("stdin")
        # A pattern may climb, and what is missing be called anything.
        *below, full = [part for part in where.parts if part not in ("/", "..")] or ["stdin"]
        above: Iterable[str] = ()
        seal = source.location
        if source.kind == "url":
            address = urlsplit(source.location)
            host = address.netloc.rpartition("@")[2]
            above = (host, *map(unquote, address.path.split("/")[:-1]))
            above = filter(None, map(safe_name, above))
            seal = address._replace(netloc=host).geturl()
        elif source.kind == "file" and source.local is not None:
            seal = os.path.abspath(source.local)
            above = Path(seal).parts[1 : -len(where.parts)]
        return cls(tuple(above), tuple(below), full, f"{seal}\0{where}", rank)

    def name(self, refusals: int, suffix: str) -> Parts:
        """The name to try after `refused` others; there is always another."""
        if refusals == 0:
            return (*self.below, fitted(_stem(self.full), suffix))
        if refusals <= 1 + len(self.above):
            above = self.above[len(self.above) + 1 - refusals :]
            return (*above, *self.below, fitted(self.full, suffix))
        if refusals == 2 + len(self.above):
            return (*self.below, fitted(self.full, f"-{_digits(self.seal)}{suffix}"))
        # One location twice, or a file in the place of a folder of `below`.
        return (fitted(self.full, f"-{_digits(f'{self.seal} {self.rank} {refusals}')}{suffix}"),)


def _digits(seal: str) -> str:
    return hashlib.sha256(os.fsencode(seal)).hexdigest()[:8]


def _stem(name: str) -> str:
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if _SUFFIX.fullmatch(suffix) else name


def _key(parts: Parts) -> Parts:
    return tuple(
        unicodedata.normalize("NFD", unicodedata.normalize("NFD", part).casefold())
        for part in parts
    )


def _parents(key: Parts) -> Iterable[Parts]:
    return (key[:end] for end in range(1, len(key)))


def _replaces(ground: Path, name: Parts, originals: set[Parts]) -> bool:
    """Whether a file of that name replaces a source, through a link or not, or needs its place."""
    if _key(Path(os.path.realpath(ground.joinpath(*name))).parts) in originals:
        return True
    return any(_key(ground.parts + parent) in originals for parent in _parents(name))
