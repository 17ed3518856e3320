"""Where a model draws the line between what a recording says and what it does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """From where on a question counts as answerable: nats per token."""

    gain: float
    general: float
