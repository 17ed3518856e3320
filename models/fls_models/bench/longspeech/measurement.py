"""What comes of one item under one method and length: a reply, seconds, operations, memory."""

from dataclasses import dataclass

from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.methods import Length, Method


@dataclass(frozen=True)
class Measurement:
    """One item under one method and length.

    Attributes:
        fits: False where the language model's window is too short for what the method gives it;
            nothing else was measured then.
        duration: seconds of audio.
        before, frames: T, and how many frames (or tokens of transcript) were read in `passes`.
        hear: seconds of encoding, the same for all methods but the cascade, where it is Whisper's.
        fuse, read, first, reply: seconds; `first` from the request to the first words of a reply.
        text: the reply; None where none was wanted.
        likelihoods: of the choices, None without choices.
        read_tokens, written_tokens: of the language model, notes included.
        flops: operations, None where they are not known.
        peak: bytes of memory.
    """

    fits: bool
    duration: float
    before: int
    frames: int = 0
    passes: int = 0
    hear: float = 0.0
    fuse: float = 0.0
    read: float = 0.0
    first: float | None = None
    reply: float = 0.0
    text: str | None = None
    likelihoods: list[float] | None = None
    read_tokens: int = 0
    written_tokens: int = 0
    flops: int | None = None
    peak: int = 0

    @property
    def seconds(self) -> float:
        """All of it, scoring of choices left out."""
        return self.hear + self.fuse + self.read + self.reply

    @property
    def to_first(self) -> float | None:
        """Seconds from nothing to the first words of a reply."""
        return None if self.first is None else self.hear + self.fuse + self.read + self.first


@dataclass(frozen=True)
class Row:
    """What was measured of an item; `length` is None for methods without one."""

    item: SpokenItem
    method: Method
    length: Length | None
    measurement: Measurement
