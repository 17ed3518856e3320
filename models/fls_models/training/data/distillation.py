"""A language model's own answers about transcripts: what it is to say when it hears the same.

Self-distillation: the answer that a model gives to the true transcript is what training on frames
aims at. Answers are kept in a file of the folder, a line each, so that none is decoded twice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.model import Model
from fls_models.training.data.clip_folder import write

if TYPE_CHECKING:
    from fls_models.training.data.instructions import Request

ANSWERS = "answers.jsonl"
_SENTENCES = 3


class OwnAnswers:
    """The answers of a model that reads text; `identity` tells its weights from others'."""

    def __init__(self, model: Model, identity: str, folder: Path, max_tokens: int = 120) -> None:
        self._model = model
        self._identity = identity
        self._generation = GenerationConfig(max_tokens)
        self._file = folder / ANSWERS
        self._answers = self._read()

    def answer(self, transcript: str, request: Request) -> str:
        """The answer to a request, greedily decoded, of at most three sentences; "" if it has none.

        Decoded now or before.
        """
        key = json.dumps([self._identity, transcript, request.prompt.system, request.request])
        if key not in self._answers:
            llm = self._model.language_model
            embedded = llm.embed(llm.tokenize(f" {transcript}"))
            context = llm.read(request.prompt, embedded)
            text = self._generation.decode(llm, context, request.request, sentences=_SENTENCES)
            self._answers[key] = text
            with self._file.open("a", encoding="utf-8") as file:
                file.write(_line(key, text))
        return self._answers[key]

    def _read(self) -> dict[str, str]:
        """What is there; a line that was not finished is decoded again."""
        answers: dict[str, str] = {}
        if not self._file.is_file():
            return answers
        for line in self._file.read_text("utf-8").split("\n"):
            try:
                raw = json.loads(line)
                answers[raw["key"]] = raw["answer"]
            except (ValueError, KeyError, TypeError):
                continue
        write(self._file, "".join(_line(key, answer) for key, answer in answers.items()))
        return answers


def _line(key: str, answer: str) -> str:
    return json.dumps({"key": key, "answer": answer}, ensure_ascii=False) + "\n"
