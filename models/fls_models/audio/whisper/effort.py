"""How hard Whisper tries: what each budget pays for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Effort:
    """Beams, the temperatures tried when a reading looks wrong, and after how many of the encoder's
    layers every two frames are merged, if at all."""

    name: str
    beams: int
    temperatures: tuple[float, ...]
    merging: int | None = None

    def key(self) -> dict[str, Any]:
        """What tells it from others in keys of what was heard; the name tells what is merged."""
        return {"name": self.name, "beams": self.beams, "temperatures": self.temperatures}


EFFORTS = {
    # As much as costs no words (`benchmarks/merging.py`).
    "fast": Effort("greedy, every two frames merged", 1, (0.0,), merging=1),
    "balanced": Effort("greedy with temperature fallback", 1, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    "accurate": Effort("beam search (5)", 5, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
}
