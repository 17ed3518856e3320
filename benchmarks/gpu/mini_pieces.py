"""Large files in pieces that fit through a narrow door, and whole again behind it, by their hashes.

The standard library alone: it runs before anything else is there. What is in the files is others'
affair. A folder of pieces has a `pieces.json`: for each group in order its name, SHA-256 and its
pieces with their sizes and SHA-256; a group is a .tar.gz, and becomes a folder of its name.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "pieces.json"
_WHOLE = ".whole"
_BLOCK = 2**22


def pack(groups: Iterable[tuple[str, Sequence[Path]]], folder: Path, limit: int) -> dict[str, Any]:
    """Writes groups of files and folders as pieces of at most so many bytes; the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = []
    for name, sources in groups:
        archive = folder / f"{name}.tar.gz"
        # Weights hardly shrink further at a higher level.
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for source in sources:
                tar.add(source, source.name)
        facts.append({"name": name, **cut(archive, folder, limit)})
        archive.unlink()
    manifest = {"groups": facts}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
    return manifest


def cut(file: Path, folder: Path, limit: int) -> dict[str, Any]:
    """A file as pieces of at most so many bytes, under its name with a number; their facts."""
    size, pieces = file.stat().st_size, []
    with file.open("rb") as source:
        for number in range(max(1, -(-size // limit))):
            piece = folder / f"{file.name}.{number:03d}"
            _copy(source, piece, limit)
            pieces.append(_facts(piece))
    return {"sha256": digest(file), "size": size, "pieces": pieces}


def receive(pieces: Path, place: Path) -> list[str]:
    """Keeps whole pieces of a folder, unpacks the groups of which all are there; those missing.

    Called again and again, with the same pieces or others. Raises ValueError when pieces are of
    another manifest than those before them, or a group is not what it was.
    """
    store = place / "pieces"
    store.mkdir(parents=True, exist_ok=True)
    if (pieces / MANIFEST).is_file():
        text = (pieces / MANIFEST).read_text("utf-8")
        if (store / MANIFEST).is_file() and (store / MANIFEST).read_text("utf-8") != text:
            raise ValueError(f"{place} holds pieces of another packing; give it another folder")
        (store / MANIFEST).write_text(text, "utf-8")
    if not (store / MANIFEST).is_file():
        raise ValueError(f"neither {pieces} nor {store} holds a {MANIFEST}")
    missing = []
    for group in json.loads((store / MANIFEST).read_text("utf-8"))["groups"]:
        if is_whole(place / group["name"], group["sha256"]):
            continue
        lacking = [piece["name"] for piece in group["pieces"] if not _take(piece, pieces, store)]
        missing += lacking
        if not lacking:
            _unpack(group, store, place)
    return missing


def is_whole(folder: Path, sha256: str | None = None) -> bool:
    """Whether a group lies there, as it was packed."""
    mark = folder / _WHOLE
    return mark.is_file() and (sha256 is None or mark.read_text("utf-8") == sha256)


def join(folder: Path, files: dict[str, dict[str, Any]], target: Path) -> None:
    """Puts files that `cut` has cut together again; ValueError where one is not what it was."""
    target.mkdir(parents=True, exist_ok=True)
    for name, facts in files.items():
        with (target / name).open("wb") as target_file:
            for piece in facts["pieces"]:
                target_file.write((folder / piece["name"]).read_bytes())
        if digest(target / name) != facts["sha256"]:
            raise ValueError(f"{name} is not what was sent")


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _facts(piece: Path) -> dict[str, Any]:
    return {"name": piece.name, "size": piece.stat().st_size, "sha256": digest(piece)}


def _copy(source: Any, piece: Path, limit: int) -> None:
    left = limit
    with piece.open("wb") as target:
        while left and (block := source.read(min(left, _BLOCK))):
            target.write(block)
            left -= len(block)


def _take(piece: dict[str, Any], pieces: Path, store: Path) -> bool:
    """Whether a piece is kept; a new one is kept if it is whole."""
    if (store / piece["name"]).is_file():
        return True
    source = pieces / piece["name"]
    if not source.is_file() or digest(source) != piece["sha256"]:
        return False
    beside = store / f".{piece['name']}"
    shutil.copyfile(source, beside)
    beside.replace(store / piece["name"])
    return True


def _unpack(group: dict[str, Any], store: Path, place: Path) -> None:
    archive = store / f"{group['name']}.tar.gz"
    parts = [store / piece["name"] for piece in group["pieces"]]
    with archive.open("wb") as target_file:
        for part in parts:
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, target_file, _BLOCK)
    if digest(archive) != group["sha256"]:
        archive.unlink()
        raise ValueError(f"{group['name']} is not what was packed")
    target, beside = place / group["name"], place / f".{group['name']}"
    for piece in (target, beside):
        shutil.rmtree(piece, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # Pythons before 3.11.4 know no filter. What is unpacked has the digest that was told.
        tar.extractall(beside, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (beside / _WHOLE).write_text(group["sha256"], "utf-8")
    beside.replace(target)
    archive.unlink()
    for part in parts:
        part.unlink()
