"""What the user says of words: a vocabulary, replacements, a prompt, a task."""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

from fls_cli.console.text import clean, printable
from fls_models.audio.whisper.wording import Wording
from fls_models.errors import UsageError

TASKS = ("transcribe", "translate")
_LONGEST = 60
_MOST = 20_000
_LARGEST = 4_000_000


def parse_wording(
    vocabulary: str = "", replace: str = "", prompt: str = "", task: str = TASKS[0]
) -> Wording:
    """What was typed; raises UsageError for files that cannot be read and lines that do not fit."""
    if task not in TASKS:
        raise UsageError(f"--task takes {' or '.join(TASKS)}, not {task!r}.")
    return Wording(
        _entries(vocabulary) if vocabulary else (),
        " ".join(clean(prompt).split()),
        task == "translate",
        _pairs(Path(replace).expanduser()) if replace else (),
    )


def _entries(vocabulary: str) -> tuple[str, ...]:
    place = Path(vocabulary).expanduser()
    if place.is_file():
        label, parts = printable(str(place)), _lines(place)
    elif place.is_dir() or place.suffix == ".txt" or os.sep in vocabulary:
        raise UsageError(
            f"{printable(vocabulary)} is no file; --vocabulary takes words or a file of them."
        )
    else:
        label, parts = "--vocabulary", re.split("[,;]", vocabulary)
    entries = [" ".join(clean(part).split()) for part in parts]
    found = tuple(dict.fromkeys(entry for entry in entries if entry))
    for entry in found:
        if len(entry) > _LONGEST:
            raise UsageError(
                f"{label}: {entry[:20]}... is longer than {_LONGEST} characters; a vocabulary is "
                "of names and words, one a line."
            )
    if len(found) > _MOST:
        raise UsageError(f"{label}: {len(found)} words are more than {_MOST}; take fewer.")
    if not any(letter.isalnum() for entry in found for letter in entry):
        raise UsageError(f"{label}: there is no word in it.")
    return found


def _pairs(place: Path) -> tuple[tuple[str, str], ...]:
    label = printable(str(place))
    if not place.exists():
        raise UsageError(f"{label} is not there; --replace takes a file with lines of wrong=right.")
    pairs: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(_lines(place), 1):
        if not line.strip() or line.startswith("#"):
            continue
        wrong, sign, right = (" ".join(clean(part).split()) for part in line.partition("="))
        if not sign or not wrong:
            raise UsageError(
                f"{label}, line {number}: a line is wrong=right, not {line.strip()!r}."
            )
        if pairs.setdefault(wrong.casefold(), (wrong, right))[1] != right:
            raise UsageError(f"{label}, line {number}: {wrong!r} is replaced otherwise before.")
    if not pairs:
        raise UsageError(f"{label}: there is no line of wrong=right in it.")
    if len(pairs) > _MOST:
        raise UsageError(f"{label}: {len(pairs)} lines are more than {_MOST}; take fewer.")
    return tuple(pairs.values())


def _lines(place: Path) -> list[str]:
    label = printable(str(place))
    try:
        with place.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{label} cannot be read: {error.strerror}.") from None
    if len(content) > _LARGEST:
        raise UsageError(f"{label}: over {_LARGEST // 1_000_000} MB is no list of words.")
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        wide = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        code = "UTF-16" if wide else "LATIN1"
        raise UsageError(
            f"{label} is no text in UTF-8; if it is in {code}, save it anew: "
            f"`iconv -f {code} -t UTF-8`."
        ) from None
