"""What a CTC head writes: characters or SentencePiece pieces, made of the texts it is trained on.

Ids run from 0 to V - 1; V is the blank. Texts are `plain` before they become ids: small letters,
marks, digits and apostrophes, with single spaces between words. What is done to texts before they
are compared is the bench's `normalizer`; what is done with ids is others' work.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from fls_models.core.files import replacing
from fls_models.core.optional import optional
from fls_models.errors import UsageError

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ`´", "'"))
_FORM = "characters-1"


def plain(text: str) -> str:
    """NFKC, small letters, straight apostrophes; all else that is no letter, mark or digit becomes
    a space, and single spaces stand between words.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).lower()
    signs = (
        sign if sign == "'" or unicodedata.category(sign)[0] in "LMN" else " " for sign in text
    )
    return " ".join("".join(signs).split())


class Vocabulary(ABC):
    """V tokens, and how text becomes them and they text."""

    file_name: str
    """How it is called beside a head."""

    @property
    @abstractmethod
    def size(self) -> int:
        """V, without the blank."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of a text, made `plain` first; what there is no token for is left out."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""

    @abstractmethod
    def as_bytes(self) -> bytes:
        """The file's content."""

    @property
    def identity(self) -> str:
        """Tells it from others."""
        return hashlib.sha256(self.as_bytes()).hexdigest()

    def save(self, folder: Path) -> Path:
        """Writes the file into a folder."""
        file = folder / self.file_name
        with replacing(file) as part:
            part.write_bytes(self.as_bytes())
        return file


class Characters(Vocabulary):
    """Single characters, the space among them."""

    file_name = "vocab.json"

    def __init__(self, characters: Sequence[str]) -> None:
        self._characters = list(characters)
        self._ids = {character: at for at, character in enumerate(self._characters)}

    @classmethod
    def of(cls, texts: Iterable[str]) -> Characters:
        """All characters of `plain` texts, in the order of their code points."""
        return cls(sorted({" "}.union(*map(plain, texts))))

    @classmethod
    def read(cls, file: Path) -> Characters:
        """Raises UsageError when it is no file that `save` wrote."""
        try:
            raw = json.loads(file.read_text("utf-8"))
            if raw["form"] != _FORM:
                raise ValueError(f"form {raw['form']}")
            return cls([str(character) for character in raw["characters"]])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{file} is no vocabulary of a CTC head ({error}).") from error

    @property
    def size(self) -> int:
        return len(self._characters)

    def encode(self, text: str) -> list[int]:
        return [self._ids[character] for character in plain(text) if character in self._ids]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join("".join(self._characters[index] for index in ids).split())

    def as_bytes(self) -> bytes:
        payload = {"form": _FORM, "characters": self._characters}
        return json.dumps(payload, ensure_ascii=False, indent=1).encode()


class Pieces(Vocabulary):
    """SentencePiece's unigram pieces; `ctc_alignment.SentencePieces` times words by them."""

    file_name = "spm.model"

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor: Any = _sentencepiece().SentencePieceProcessor(model_proto=model)

    @classmethod
    def of(cls, texts: Iterable[str], size: int) -> Pieces:
        """So many pieces, trained on `plain` texts; the same for the same texts.

        Raises UsageError when the texts are too few for that many, or have more characters.
        """
        library, model = _sentencepiece(), io.BytesIO()
        try:
            library.SentencePieceTrainer.train(
                sentence_iterator=map(plain, texts),
                model_writer=model,
                vocab_size=size,
                model_type="unigram",
                character_coverage=1.0,
                # `plain` has done it.
                normalization_rule_name="identity",
                # Nothing marks the ends in CTC.
                bos_id=-1,
                eos_id=-1,
                # Sums of several threads depend on their order.
                num_threads=1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            limit = re.search(r"<= (\d+)", str(error))
            remedy = f"at most {limit[1]}" if limit else "another number"
            raise UsageError(
                f"These texts do not make {size} pieces; --vocab takes {remedy} for them, or "
                "`characters`."
            ) from error
        return cls(model.getvalue())

    @property
    def size(self) -> int:
        return int(self._processor.get_piece_size())

    def encode(self, text: str) -> list[int]:
        unknown = self._processor.unk_id()
        ids: list[int] = self._processor.encode(plain(text))
        return [piece for piece in ids if piece != unknown]

    def decode(self, ids: Sequence[int]) -> str:
        unknown = self._processor.unk_id()
        text: str = self._processor.decode([int(piece) for piece in ids if piece != unknown])
        return " ".join(text.split())

    def as_bytes(self) -> bytes:
        return self._model


def frames_needed(ids: Sequence[int]) -> int:
    """The fewest frames that CTC writes a text in: a blank stands between equal neighbours."""
    numbers = torch.tensor(ids)
    return len(ids) + int((numbers[1:] == numbers[:-1]).sum())


def _sentencepiece() -> Any:
    purpose = "Making a vocabulary of pieces"
    return optional("sentencepiece", purpose, otherwise="; --vocab characters does without")
