"""The `console` blocks of documents: what was typed, what it prints here, and how the two compare.

    python tests/console_blocks.py README.md docs/guides/asking.md

runs the blocks of these documents and writes what is printed now over what they show.

A block is a terminal session of its own, in bash. The blocks of a document share a folder, which
begins with `examples/`, and a home, which documents call /home/ada. stdout and stderr come as one
stream, in the order of writing. A command goes on in the next line after a backslash, and as far as
its here-document goes.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
BASH = shutil.which("bash") or "bash"
HOME = "/home/ada"
PROMPT = "$ "
# Documents that are run side by side.
AT_ONCE = 2

# What documents were printed with (`arithmetic`): with other products, words differ here and there.
PRINTED_WITH = "bfloat16"
# Which model answered, where none is named.
DEFAULT = "small"
# How alike the characters of a block's output are then, of 1.
_NEAR = 0.7

_BLOCK = re.compile(r"^```console\n([\s\S]*?)^```$", re.MULTILINE)
_HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_PATIENCE = 900


@dataclass(frozen=True)
class Varying:
    """Something that differs from machine to machine, or from run to run, and means nothing."""

    name: str
    pattern: re.Pattern[str]
    instead: str


def _varying(name: str, pattern: str, instead: str) -> Varying:
    return Varying(name, re.compile(pattern, re.MULTILINE), instead)


# All that is not compared. A number belongs here only if no document could get it right.
VARYING = (
    _varying("seconds of an answer", r"(\"seconds\": \{)(?:\"[a-z]+\": [\d.]+(?:, )?)+\}", r"\1}"),
    _varying("what the cache holds", r"^([a-z]+) +\d+ +\d+\.\d MB$", r"\1 N MB"),
    _varying("version of ffmpeg", r"^(ok  ffmpeg +)\S+,", r"\1VERSION,"),
    _varying("where the wheel is", r"/\S+/(imageio_ffmpeg/binaries/)\S+", r"\1FFMPEG"),
    _varying("version of python", r"^(ok  python +)3\.\d+\.\d+$", r"\1VERSION"),
    _varying("torch", r"^(ok  torch +)\d\S+, \d+ threads?$", r"\1VERSION, THREADS"),
    _varying("why a model answers", r"^fls: using \w+, .*\n", ""),
    _varying("who hears", r"^(ok  hearing +)Whisper by .*$", r"\1ENGINE"),
    _varying("version of bitsandbytes", r"^(ok  bitsandbytes +)\d\S+$", r"\1VERSION"),
    _varying("GPUs", r"^(?:ok|--)(  cuda +).*$", r"\1GPUS"),
    _varying("free memory", r"\d+\.\d GB of \d+\.\d GB available", "MEMORY available"),
    _varying("free disk", r"\d+\.\d GB free for", "DISK free for"),
)


@dataclass(frozen=True)
class Command:
    """What is typed, without the prompt, and what the document shows below it."""

    typed: str
    shown: str


@dataclass(frozen=True)
class Block:
    """A block, where its content begins and ends in the document, and in which line."""

    start: int
    end: int
    line: int
    commands: tuple[Command, ...]


def console_blocks(document: str) -> Iterator[Block]:
    """The blocks of a document; ValueError where one begins with anything but a prompt."""
    for match in _BLOCK.finditer(document):
        line = document.count("\n", 0, match.start(1)) + 1
        yield Block(match.start(1), match.end(1), line, tuple(_commands(match[1], line)))


def _commands(text: str, number: int) -> Iterator[Command]:
    lines = text.splitlines()
    if not lines or not lines[0].startswith(PROMPT):
        raise ValueError(f"line {number}: a console block begins with {PROMPT!r}")
    while lines:
        typed = [lines.pop(0).removeprefix(PROMPT)]
        while lines and typed[-1].endswith("\\"):
            typed.append(lines.pop(0))
        if here := _HERE.search(typed[0]):
            while lines and typed[-1] != here[2]:
                typed.append(lines.pop(0))
        shown = []
        while lines and not lines[0].startswith(PROMPT):
            shown.append(lines.pop(0))
        yield Command("\n".join(typed), "\n".join(shown))


def as_block(commands: Sequence[Command]) -> str:
    """The content of a block that shows these commands."""
    return "".join(f"{PROMPT}{c.typed}\n{c.shown}{chr(10) * bool(c.shown)}" for c in commands)


def without_varying(text: str) -> str:
    for what in VARYING:
        text = what.pattern.sub(what.instead, text)
    return text


class Machine:
    """Ada's, of whom the documents tell: a folder with `examples/`, a home, and `fls`.

    Args:
        folder: where all this is made.
        weights: folders of weights, which are linked to; nothing else is installed.
        heard: what is kept of recordings. Several machines may share it.
    """

    def __init__(self, folder: Path, weights: Sequence[Path] = (), heard: Path | None = None):
        self._home, self._work = folder / "home", folder / "work"
        kept = self._home / ".cache" / "fls"
        (kept / "weights").mkdir(parents=True)
        for place in weights:
            (kept / "weights" / place.name).symlink_to(place)
        if heard is not None:
            heard.mkdir(parents=True, exist_ok=True)
            (kept / "recordings").symlink_to(heard)
        self._work.mkdir()
        shutil.copytree(ROOT / "examples", self._work / "examples")
        programs = folder / "bin"
        programs.mkdir()
        launcher = programs / "fls"
        roots = f"{ROOT}{os.pathsep}{ROOT / 'models'}"
        launcher.write_text(
            f'#!/bin/sh\nPYTHONPATH="{roots}" exec "{sys.executable}" -m fls_cli "$@"\n'
        )
        launcher.chmod(0o755)
        # Nothing of who runs the tests: no FLS_ variables, no language of theirs. One thread, as
        # documents are run side by side: most of a short command has use for no more.
        self._environment = {
            # Where `auto` is another.
            **({} if _default() == DEFAULT else {"FLS_MODEL": DEFAULT}),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._home),
            "LC_ALL": "C.UTF-8",
        }

    def run(self, block: Block) -> Block:
        """The block as it would be if its commands were typed here."""
        script = "".join(f"{command.typed}\nprintf '\\0'\n" for command in block.commands)
        done = subprocess.run(
            [BASH, "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._work,
            env=self._environment,
            timeout=_PATIENCE,
        )
        printed = done.stdout.decode().replace(str(self._home), HOME).split("\0")
        found = tuple(
            Command(command.typed, text.removesuffix("\n"))
            for command, text in zip(block.commands, printed, strict=False)
        )
        return Block(block.start, block.end, block.line, found)


def weights_folders() -> list[Path]:
    """Where the weights of the models lie that documents use, fetched if need be."""
    from fls_cli.storage.paths import cache_folder
    from fls_models.weights import card
    from fls_models.weights import store as weights

    stores = [weights.store_of(card.load(name), cache_folder()) for name in ("mini", DEFAULT)]
    for store in stores:
        store.pull()
    return list(dict.fromkeys(folder for store in stores for folder in store.folders()))


@cache
def _default() -> str:
    """What `auto` is on this machine, where nothing is downloaded yet.

    Told by a process of its own, as tests make other machines of this one.
    """
    script = "from fls_cli.session import engine; print(engine.choose(engine.Engine())[0].name)"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "FLS_CACHE": folder}
        environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'models'}"
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def arithmetic() -> str:
    """How this processor multiplies the matrices of models: it decides the last bits."""
    import torch

    from fls_models.core.machine.processor import multiplies_bfloat16

    if not multiplies_bfloat16():
        return "float32"
    return "tiles of bfloat16" if torch.cpu._is_amx_tile_supported() else "bfloat16"


def differences(name: str, document: str, machine: Machine, *, exact: bool = True) -> str:
    """What the document shows against what its commands print, as a diff; empty if they agree.

    If not `exact`, what is nearly the same is no difference.
    """
    found = []
    for block in console_blocks(document):
        shown, printed = as_block(block.commands), as_block(machine.run(block).commands)
        lines = [without_varying(text).splitlines() for text in (shown, printed)]
        if lines[0] != lines[1] and (exact or not _are_near(*lines)):
            place = f"{name}:{block.line}"
            titles = (f"{place} shows", f"{place} prints")
            found += ["", *difflib.unified_diff(*lines, *titles, n=99, lineterm="")]
    return "\n".join(found[1:])


def _are_near(shown: Sequence[str], printed: Sequence[str]) -> bool:
    outputs = (
        [line for line in lines if not line.startswith(PROMPT)] for lines in (shown, printed)
    )
    texts = map("\n".join, outputs)
    return difflib.SequenceMatcher(None, *texts, autojunk=False).ratio() >= _NEAR


def renewed(document: str, machine: Machine) -> str:
    """The document with what its commands print now, where that is not what it shows."""
    parts, end = [], 0
    for block in console_blocks(document):
        shown, printed = as_block(block.commands), as_block(machine.run(block).commands)
        same = without_varying(shown) == without_varying(printed)
        parts += [document[end : block.start], shown if same else printed]
        end = block.end
    return "".join([*parts, document[end:]])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write what documents show anew.")
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--heard", type=Path, help="keep what is heard of recordings here")
    wanted = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "models")]
    folders = weights_folders()
    with tempfile.TemporaryDirectory() as folder:
        heard = (wanted.heard or Path(folder) / "heard").absolute()

        def renew(number: int, path: Path) -> None:
            before = path.read_text("utf-8")
            after = renewed(before, Machine(Path(folder) / str(number), folders, heard))
            if after != before:
                path.write_text(after, "utf-8")
                print(f"renewed {path}", flush=True)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(renew, *zip(*enumerate(wanted.documents), strict=True)))


if __name__ == "__main__":
    main()
