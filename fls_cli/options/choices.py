"""What several commands take together: which passage, how a large model runs, how much is said."""

from __future__ import annotations

from dataclasses import dataclass

from fls_cli.options import common as options
from fls_cli.session.request import AudioRange


@dataclass(frozen=True)
class Passage:
    """Which part of a recording, on which track and channels."""

    track: options.Track = None
    channels: options.Channels = "mix"
    raw: options.Raw = None
    start: options.Start = None
    end: options.End = None

    def stretch(self, language: str | None) -> AudioRange:
        """The same, parsed; raises UsageError."""
        return AudioRange.parse(self.track, self.start, self.end, language, self.channels, self.raw)


@dataclass(frozen=True)
class LargeModel:
    """How a large model runs."""

    device: options.Device = "auto"
    dtype: options.Dtype = "nf4"
    low_memory: options.LowMemory = False
    head: options.Head = None


@dataclass(frozen=True)
class Sampling:
    """How words are chosen."""

    temperature: options.Temperature = 0.0
    seed: options.Seed = 0


@dataclass(frozen=True)
class Manners:
    """What is said beside the result, and whether anything is fetched."""

    quiet: options.Quiet = False
    offline: options.Offline = False
