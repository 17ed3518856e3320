"""Where a model draws the line between what a recording says and what it does not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """From where on a question counts as answerable: nats per token.

    `follow` is for a question that follows another in a conversation. `abroad` stands for `gain`
    where the question or the recording is in another language than English; None for the same.
    """

    gain: float
    general: float
    follow: float = 0.5
    abroad: float | None = None
