"""What of a recording is missing or in doubt: told in words, and as numbers for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Sound that should be there was not heard, and getting the recording again may bring it.
LOSSES = frozenset({"cut off", "damaged", "parts"})


@dataclass(frozen=True)
class Flaw:
    """`text` is a sentence without the recording's name; `start` and `seconds` say where it is.

    Kinds: `cut off` (less sound than promised), `damaged` (a stretch that could not be decoded),
    `parts` (more in the file than was read), `gap` (nothing was recorded), `clock` (it jumps, and
    what follows was put next to what was before), `silent` (no sound on the track or channel).
    """

    kind: str
    text: str
    start: float | None = None
    seconds: float | None = None

    @property
    def is_loss(self) -> bool:
        return self.kind in LOSSES

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Flaw:
        return cls(data["kind"], data["text"], data["start"], data["seconds"])
