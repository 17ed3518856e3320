"""How what is said is to be written down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fls_models.errors import UsageError


@dataclass(frozen=True)
class Wording:
    """What the user says of words.

    Attributes:
        vocabulary: names and words, each as it is to be written where it is said.
        prompt: text that might stand before what is said; the decoder goes on in its manner.
        translates: into English.
        replacements: what is written, and what is to stand there instead.
    """

    vocabulary: tuple[str, ...] = ()
    prompt: str = ""
    translates: bool = False
    replacements: tuple[tuple[str, str], ...] = ()

    @property
    def heard_alone(self) -> Wording:
        """The same without what is done with words later."""
        return replace(self, replacements=())

    @property
    def is_plain(self) -> bool:
        """Whether a decoder writes down what is said as it does for anybody."""
        return not self.heard()

    def heard(self) -> dict[str, Any]:
        """What the words depend on that are heard, as JSON; nothing where it is plain."""
        parts = {
            "vocabulary": self.vocabulary,
            "prompt": self.prompt,
            "translates": self.translates,
        }
        return {name: value for name, value in parts.items() if value}


PLAIN = Wording()


def not_by_whisper() -> UsageError:
    """Why a model that hears by itself takes no wishes for words."""
    return UsageError(
        "--vocabulary, --initial-prompt, --task and --replace are for models that hear with "
        "Whisper, and this one hears by itself; leave them out, or take --read text or another "
        "model."
    )
