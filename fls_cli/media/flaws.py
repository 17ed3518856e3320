"""What of a recording is missing or in doubt: told in words, and as numbers for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Sound that should be there was not heard, and getting the recording again may bring it.
LOSSES = frozenset({"cut off", "damaged", "parts"})
_SILENCES = frozenset({"damaged", "gap"})


@dataclass(frozen=True)
class Flaw:
    """`text` is a sentence without the recording's name; `start` and `seconds` say where it is.

    Kinds: `cut off` (less sound than promised), `damaged` (a stretch that could not be decoded),
    `parts` (one of several in the file could not be read, or not to its end), `gap` (nothing was
    recorded), `clock` (it jumps, and what follows was put next to what was before), `silent` (no
    sound on the track or channel), `guessed` (without a header, samples were taken for what the
    file's suffix says).
    """

    kind: str
    text: str
    start: float | None = None
    seconds: float | None = None

    @property
    def is_loss(self) -> bool:
        return self.kind in LOSSES

    @property
    def is_silence(self) -> bool:
        """Whether silence stands for what is missing."""
        return self.kind in _SILENCES

    @property
    def note(self) -> str | None:
        """What a subtitle says where words are missing; None where none are."""
        length = "" if self.seconds is None else f" for {self.seconds:.0f} s"
        return {
            "cut off": "[The recording is cut off here.]",
            "damaged": f"[The recording is damaged{length}.]",
            "parts": "[A part of this recording is missing here.]",
            "gap": f"[No sound is recorded{length}.]",
        }.get(self.kind)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Flaw:
        return cls(data["kind"], data["text"], data["start"], data["seconds"])
