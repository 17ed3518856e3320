"""Texts that speech is made of: documents as lines that somebody says, and questions about them.

Text files, or JSON lines `{"text": ...}` and `{"turns": [{"speaker", "text"}]}` with an `id` and
questions where there are any. Lines are sentences in spoken form (`spoken_form`); which of them
make a clip is decided elsewhere.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fls_models.core.jsonl import read_lines
from fls_models.errors import UsageError
from fls_models.training.data.spoken_form import spoken_form

SUFFIXES = (".txt", ".md", ".jsonl")
"""Files that are looked for in a folder."""

_FORM = '{"id": "talk", "text": "What is said."}'
_TURNS = '{"turns": [{"speaker": "Ann", "text": "What she says."}]}'
_QUESTION = '{"question": "Who?", "answer": "Ann."}'
# Collections of speeches write the name of each so.
_DIVISION = re.compile(r"^### +(\S.*)$", re.M)


@dataclass(frozen=True)
class Line:
    """A sentence in spoken form, and who says it; "" for nobody in particular."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question about a document; `key` is the sentence that answers it, where that is known."""

    question: str
    answer: str
    choices: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True)
class Document:
    """A text by its name, and how many of its sentences were left out, by why."""

    source: str
    lines: tuple[Line, ...]
    questions: tuple[Question, ...]
    left_out: Mapping[str, int]


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """The documents of files and of all text files in folders, those without a sentence left out.

    A text file is one document, or several if lines such as `### 1961-Kennedy` divide it (not in
    .md, where these are headings). No two documents have the same name.

    Raises UsageError for what is no text, a line that does not fit (it is named), no sentence at
    all, and EnvironmentLacks when numbers cannot be put into words.
    """
    documents: list[Document] = []
    names: Counter[str] = Counter()
    for path in files(paths):
        for document in _read(path):
            names[document.source] += 1
            more = names[document.source]
            source = document.source if more == 1 else f"{document.source} ({more})"
            if document.lines:
                documents.append(replace(document, source=source))
    if not documents:
        raise UsageError("There is no English sentence in these texts that could be spoken.")
    return documents


def digest(documents: Sequence[Document]) -> str:
    """Tells texts in spoken form, their speakers and questions from others."""
    content = [(document.source, document.lines, document.questions) for document in documents]
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those in the folders named; each once."""
    paths_by_target: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file()
            )
            if not inside:
                raise UsageError(f"{path} is a folder without {', '.join(SUFFIXES)} files.")
        elif path.is_file():
            inside = [path]
        else:
            raise UsageError(f"There is no file {path}.")
        for file in inside:
            paths_by_target.setdefault(file.resolve(), file)
    return list(paths_by_target.values())


def _read(path: Path) -> Iterator[Document]:
    if path.suffix == ".jsonl":
        for number, raw in read_lines(path):
            yield _item(path, number, raw)
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}.") from None
    parts = _DIVISION.split(text) if path.suffix != ".md" else [text]
    yield _document(path.stem, [("", parts[0])], ())
    for name, part in zip(parts[1::2], parts[2::2], strict=True):
        yield _document(f"{path.stem} {name.strip()}", [("", part)], ())


def _document(
    source: str, turns: Sequence[tuple[str, str]], questions: tuple[Question, ...]
) -> Document:
    lines: list[Line] = []
    left_out: Counter[str] = Counter()
    for speaker, text in turns:
        form = spoken_form(text)
        lines += [Line(speaker, sentence) for sentence in form.sentences]
        left_out.update(form.left_out)
    return Document(source, tuple(lines), questions, dict(left_out))


def _item(path: Path, number: int, raw: dict[str, Any]) -> Document:
    where = f"{path}, line {number}"
    name = raw.get("id", number)
    if not isinstance(name, str | int):
        raise UsageError(f"{where}: 'id' is a name or a number, not {name!r}.")
    source = f"{path.stem} {name}"
    return _document(source, _turns(where, raw), tuple(_questions(where, raw)))


def _turns(where: str, raw: dict[str, Any]) -> list[tuple[str, str]]:
    if "turns" not in raw:
        text = raw.get("text")
        if not isinstance(text, str):
            raise UsageError(f"{where}: 'text' is missing; a line is {_FORM} or {_TURNS}.")
        return [("", text)]
    turns = raw["turns"]
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict) and isinstance(turn.get("text"), str) for turn in turns
    ):
        raise UsageError(f"{where}: 'turns' does not fit; a line is {_TURNS}.")
    return [(str(turn.get("speaker") or ""), turn["text"]) for turn in turns]


def _questions(where: str, raw: dict[str, Any]) -> Iterator[Question]:
    """Those of `questions`, and the one that the line itself puts."""
    questions = raw.get("questions", [])
    if not isinstance(questions, list) or not all(isinstance(fields, dict) for fields in questions):
        raise UsageError(f"{where}: 'questions' is a list of {_QUESTION}.")
    for fields in [raw, *questions] if "question" in raw else questions:
        question, answer = fields.get("question"), fields.get("answer")
        choices, key = fields.get("choices", []), fields.get("key_sentence")
        listed = isinstance(choices, list) and all(isinstance(each, str) for each in choices)
        # Benches name the right choice by its index.
        if listed and type(answer) is int and 0 <= answer < len(choices):
            answer = choices[answer]
        if not (listed and _is_text(question) and _is_text(answer)):
            raise UsageError(
                f"{where}: a question is {_QUESTION}; with 'choices', a list of texts, 'answer' "
                "is one of them or its index from 0."
            )
        if choices and answer not in choices:
            raise UsageError(f"{where}: the answer {answer!r} is none of the choices.")
        yield Question(question, answer, tuple(choices), key if _is_text(key) else None)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
