"""Voices that the user has names for: a file each, beside the file of settings.

They are kept because the user asked for it, and used where speakers are asked for. What is kept is
how a voice sounds in numbers, no sound; only its owner can read it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fls_cli.console.text import clean
from fls_cli.storage.file_names import fitted, safe_name
from fls_cli.storage.files import make_folder, write_atomically
from fls_cli.storage.paths import config_file
from fls_models.errors import EnvironmentLacks, UsageError

if TYPE_CHECKING:
    from fls_models.speakers.identification import Voice

LABEL = re.compile(r"[Ss]([0-9]{1,3})")
LONGEST_NAME = 60
_SCHEMA = "fls.voice/1"


@dataclass(frozen=True)
class KnownVoice:
    """A name and, as JSON, how they sound in each sample."""

    name: str
    samples: tuple[str, ...]

    @property
    def voices(self) -> list[Voice]:
        from fls_models.speakers.identification import Voice

        return [Voice.from_json(json.loads(sample)) for sample in self.samples]

    @property
    def seconds(self) -> float:
        """Of all samples together."""
        return sum(voice.seconds for voice in self.voices)


def speaker_name(text: str) -> str:
    """What somebody may be called, on one line; raises UsageError for what is no name."""
    name = " ".join(clean(text).split())
    if not name:
        raise UsageError("A speaker's name is empty; say what somebody is called.")
    if len(name) > LONGEST_NAME:
        raise UsageError(
            f"{name[:20]}... is too long for a speaker's name: {LONGEST_NAME} characters at most."
        )
    if LABEL.fullmatch(name):
        raise UsageError(f"{name} is what nameless speakers are called; take another name.")
    return name


@dataclass(frozen=True)
class KnownVoices:
    """All that can be read, by name; `problems` says of each other file what to do."""

    voices: tuple[KnownVoice, ...] = ()
    problems: tuple[str, ...] = ()


def known_voices() -> KnownVoices:
    """Of all names; one damaged file does not take the others away."""
    folder = _folder()
    if folder is None or not folder.is_dir():
        return KnownVoices()
    found: list[KnownVoice] = []
    problems: list[str] = []
    for place in sorted(folder.glob("*.json")):
        try:
            found.append(_read(place))
        except UsageError as error:
            problems.append(str(error))
    found.sort(key=lambda each: (each.name.casefold(), each.name))
    return KnownVoices(tuple(found), tuple(problems))


def check_voice(name: str) -> None:
    """Raises UsageError where what is known of somebody is damaged: nothing can be added to it."""
    place = _place(name)
    if place.exists():
        _read(place)


def keep_voice(name: str, voice: Voice) -> KnownVoice:
    """Adds a sample, unless it is known, to those of somebody. Raises what writing there does."""
    place = _place(name)
    before = _read(place).samples if place.exists() else ()
    samples = tuple(dict.fromkeys([*before, json.dumps(voice.as_json())]))
    payload = {"schema": _SCHEMA, "name": name, "samples": [json.loads(text) for text in samples]}
    make_folder(place.parent)
    write_atomically(place, json.dumps(payload, ensure_ascii=False) + "\n")
    os.chmod(place, 0o600)
    return _read(place)


def forget_voices(names: Sequence[str]) -> None:
    """Removes what is known of these; UsageError, and nothing is removed, where that is nothing."""
    wanted = [" ".join(clean(name).split()) for name in names]
    places = [_place(name) for name in wanted]
    for name, place in zip(wanted, places, strict=True):
        if not place.exists():
            there = (
                ", ".join(each.name for each in known_voices().voices)
                or "none; see fls speakers add"
            )
            raise UsageError(f"No voice of {name} is known; there are: {there}.")
    for place in places:
        place.unlink(missing_ok=True)


def _folder() -> Path | None:
    file = config_file()
    return None if file is None else file.parent / "voices"


def _place(name: str) -> Path:
    folder = _folder()
    if folder is None:
        raise EnvironmentLacks(
            "There is no home folder to keep voices in; set FLS_CONFIG to a file in a folder."
        )
    # Names that differ in case or in what files cannot be called are others.
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return folder / fitted(safe_name(name), f"-{mark}.json")


def _read(place: Path) -> KnownVoice:
    try:
        payload: Any = json.loads(place.read_text("utf-8"))
        samples = tuple(json.dumps(sample) for sample in payload["samples"])
        known = KnownVoice(payload["name"], samples)
        if payload["schema"] != _SCHEMA or speaker_name(known.name) != known.name:
            raise ValueError("another schema")
        # Whoever uses it later shall not find out that it is damaged.
        _ = known.voices
    except OSError as error:
        raise UsageError(f"{clean(str(place))} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{clean(str(place))} holds no voice that this version knows; remove the file, and add "
            "the voice again (`fls speakers add`)."
        ) from None
    return known
