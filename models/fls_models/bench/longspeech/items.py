"""Recordings with something to do about each: a list of one's own, or LongSpeech-Eval's folder.

A list is JSON lines or one JSON array. Each entry has `audio`; `question`, where the task does not
say what is to be done; and, as far as they are known, `answer`, `choices`, `facts`, `transcript`,
`task` (qa unless given) and `id`. Other names that published lists have for the same things are
understood, too. It knows nothing of models and scores.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fls_models.core.jsonl import read_lines
from fls_models.core.text.normalizer import normalise
from fls_models.errors import UsageError

TASKS = ("asr", "qa", "dialogue", "summary", "emotion")

_AUDIO = ("audio", "path", "wav", "speech", "audio_path", "audio_filepath", "file")
_QUESTION = ("question", "query", "instruction", "prompt")
_ANSWER = ("answer", "reference", "response", "output", "target")
_TRANSCRIPT = ("transcript", "text")
_NAME = ("id", "idx", "index", "name")
_LISTS = (".jsonl", ".ndjson", ".json")
_WITHIN = ("data", "items", "test")
# What is asked where the task says it already.
_USUAL = {
    "asr": "Write down the speech as text.",
    "summary": "What is this recording about? Name its main points in two or three sentences.",
    "emotion": "Which emotion does the speaker's voice express?",
}


@dataclass(frozen=True)
class SpokenItem:
    """A recording, and what is asked about it.

    Attributes:
        answer: the reference in words; the correct choice, where there are choices.
        correct: index of the correct choice; None without choices.
        facts: what a good answer says, one short statement each.
        transcript: what is said in the recording; of `asr`, the reference.
    """

    name: str
    audio: Path
    question: str
    task: str = "qa"
    answer: str | None = None
    choices: tuple[str, ...] = ()
    correct: int | None = None
    facts: tuple[str, ...] = ()
    transcript: str | None = None


def load_spoken_items(
    data: Path, tasks: Sequence[str] = TASKS, limit: int | None = None
) -> list[SpokenItem]:
    """The items of a list or a folder that are of these tasks, the first `limit` of them.

    Raises UsageError for a list or a recording that is not there, and names the line of an entry
    that does not fit.
    """
    items: list[SpokenItem] = []
    others: dict[str, int] = {}
    places = _Places(data if data.is_dir() else data.parent)
    names: set[str] = set()
    for number, (where, beside, raw) in enumerate(_entries(data), 1):
        item = _item(raw, where, beside, places)
        if item.name in names:
            # Scores of one item under two methods are compared by its name.
            item = replace(item, name=f"{item.name}-{number}")
        names.add(item.name)
        if item.task not in tasks:
            others[item.task] = others.get(item.task, 0) + 1
            continue
        items.append(item)
        if len(items) == limit:
            break
    if not items:
        had = ", ".join(f"{count} of {task}" for task, count in others.items())
        raise UsageError(
            f"{data} holds no items of {', '.join(tasks)}" + (f"; it has {had}." if had else ".")
        )
    return items


class _Places:
    """Where recordings lie: paths in published lists are often those of somebody's own machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        by_name: dict[str, list[Path]] = {}
        for path in sorted(self._root.rglob("*")):
            if path.is_file():
                by_name.setdefault(path.name, []).append(path)
        return by_name

    def find(self, name: str, beside: Path) -> Path | None:
        """The recording beside its list, in the folder, or the only one in there of that name."""
        for place in (beside / name, self._root / name):
            if place.is_file():
                return place
        alike = self._by_name.get(Path(name).name, [])
        return alike[0] if len(alike) == 1 else None


def _entries(data: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Entries with what they are called in messages, and the folder that their list lies in."""
    if data.is_dir():
        lists = [path for path in _candidates(data) if _is_list(path)]
        if not lists:
            parquet = any(data.rglob("*.parquet"))
            more = "; Parquet files are not read, export them to JSON lines" if parquet else ""
            raise UsageError(
                f"{data} holds no list of recordings, a .json or .jsonl file with audio, question "
                f"and answer{more}."
            )
    else:
        lists = [data]
    for path in lists:
        for where, raw in _listed(path):
            yield where, path.parent, raw


def _candidates(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _LISTS and path.is_file() and not path.name.startswith(".")
    )


def _is_list(path: Path) -> bool:
    """Whether a file among others in a folder lists recordings: its first entry has audio."""
    try:
        first = next(iter(_listed(path)), None)
    except UsageError:
        return False
    return first is not None and _first(first[1], _AUDIO) is not None


def _listed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if path.suffix.lower() != ".json":
        for number, raw in read_lines(path):
            yield f"{path}, line {number}", raw
        return
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}.") from None
    if isinstance(content, dict):
        content = next(
            (content[key] for key in _WITHIN if isinstance(content.get(key), list)), None
        )
    if not isinstance(content, list):
        raise UsageError(f"{path} holds no JSON array of entries.")
    for number, raw in enumerate(content, 1):
        if not isinstance(raw, dict):
            raise UsageError(f"{path}, entry {number} is no JSON object.")
        yield f"{path}, entry {number}", raw


def _first(raw: dict[str, Any], names: Sequence[str]) -> Any:
    return next((raw[name] for name in names if raw.get(name) not in (None, "")), None)


def _item(raw: dict[str, Any], where: str, beside: Path, places: _Places) -> SpokenItem:
    name = _first(raw, _AUDIO)
    if isinstance(name, dict):
        name = name.get("path")
    if not isinstance(name, str) or not name:
        raise UsageError(f'{where}: an entry names its recording: {{"audio": "talk.wav", ...}}.')
    audio = places.find(name, beside)
    if audio is None:
        raise UsageError(f"{where}: there is no recording {name}.")
    task = raw.get("task") or "qa"
    if task not in TASKS:
        raise UsageError(f"{where}: there is no task {task!r}; there are: {', '.join(TASKS)}.")
    question = _first(raw, _QUESTION) or _USUAL.get(task)
    if not isinstance(question, str) or not question.strip():
        raise UsageError(f"{where}: an entry of {task} needs a question.")
    choices = _texts(raw, "choices", where)
    answer, correct = _reference(raw, choices, where)
    transcript = _transcript(raw)
    if task == "asr":
        transcript = transcript or answer
        if transcript is None or not normalise(transcript):
            raise UsageError(f"{where}: an entry of asr needs a transcript with words in it.")
    return SpokenItem(
        name=str(name) if (name := _first(raw, _NAME)) is not None else audio.stem,
        audio=audio,
        question=question.strip(),
        task=task,
        answer=answer,
        choices=choices,
        correct=correct,
        facts=_texts(raw, "facts", where),
        transcript=transcript,
    )


def _texts(raw: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = raw.get(key) or []
    if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
        raise UsageError(f"{where}: {key} are a list of texts.")
    if key == "choices" and len(values) == 1:
        raise UsageError(f"{where}: one choice is no choice.")
    return tuple(value.strip() for value in values)


def _reference(
    raw: dict[str, Any], choices: tuple[str, ...], where: str
) -> tuple[str | None, int | None]:
    """The answer in words, and which choice it is."""
    answer = _first(raw, _ANSWER)
    if not choices:
        if answer is not None and not isinstance(answer, str):
            raise UsageError(f"{where}: an answer without choices is a text.")
        return answer, None
    correct = None
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        correct = answer
    elif isinstance(answer, str):
        same = [i for i, choice in enumerate(choices) if _plain(choice) == _plain(answer)]
        letters = [i for i in range(len(choices)) if answer.strip() == "ABCDEFGHIJ"[i : i + 1]]
        correct = next(iter(same or letters), None)
    if correct is None:
        raise UsageError(f"{where}: answer is one of the choices, or its index from 0.")
    return choices[correct], correct


def _plain(text: str) -> str:
    """For telling whether two are one choice: scoring's form would drop what is in brackets."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _transcript(raw: dict[str, Any]) -> str | None:
    turns = raw.get("turns")
    if isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
        return " ".join(str(turn.get("text", "")) for turn in turns).strip() or None
    text = _first(raw, _TRANSCRIPT)
    return text.strip() or None if isinstance(text, str) else None
