"""What a command asks for: of every source, and to be heard of one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from fls_cli.console.times import parse_time
from fls_cli.media.ffmpeg.locate import decoder_parts
from fls_cli.media.ffmpeg.raw import RawAudio, parse_raw
from fls_cli.media.flaws import Flaw
from fls_cli.media.joined import choose_track
from fls_cli.media.mixing import check_channels
from fls_cli.media.shortfalls import elsewhere
from fls_cli.media.source import Source
from fls_cli.session.engine import Engine
from fls_models.core.budget import Budget
from fls_models.core.progress import ignore
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_cli.session.read_ahead import Blocks


@dataclass(frozen=True)
class AudioRange:
    """Which part of a recording, on which track and channels, in which language.

    `raw` is what samples without a header are, if the user said it.
    """

    track: int | None
    start: float
    end: float | None
    language: str | None
    channels: str = "mix"
    raw: RawAudio | None = None

    @classmethod
    def parse(
        cls,
        track: int | None,
        start: str | None,
        end: str | None,
        language: str | None,
        channels: str = "mix",
        raw: str | None = None,
    ) -> AudioRange:
        """What was typed; raises UsageError for what is no time, channel or raw format."""
        check_channels(channels)
        begin = parse_time(start) if start else 0.0
        until = parse_time(end) if end else None
        if until is not None and until <= begin:
            raise UsageError("--end must come after --start.")
        samples = parse_raw(raw) if raw else None
        return cls(track, begin, until, language, channels, samples)


@dataclass(frozen=True)
class ListenRequest:
    """What is to be heard of a source: which stretch, at the effort of which budget.

    `words` says that a transcript is wanted, whatever the model reads.
    """

    source: Source
    stretch: AudioRange
    budget: str
    target_length: int | None = None
    words: bool = False

    @property
    def paid(self) -> Budget:
        return Budget(self.budget, self.target_length)

    def decode(self, warn: Callable[[Flaw], None]) -> Blocks:
        """The samples of it, as `media.stream` gives them."""
        from fls_cli.media import stream as media

        stretch = self.stretch
        return media.stream(
            self.source,
            track=stretch.track,
            channels=stretch.channels,
            start=stretch.start,
            end=stretch.end,
            raw=stretch.raw,
            warn=warn,
        )

    def check(self) -> None:
        """Raises the InputError that hearing it would begin with; decodes one block."""
        with closing(self.decode(ignore)) as blocks:
            next(blocks)

    def seconds(self) -> float | None:
        """How much audio that is, if the file tells; raises what `media.probe` does."""
        from fls_cli.media import stream as media

        found = media.probe(self.source, self.stretch.raw).duration
        until = self.stretch.end if found is None else min(found, self.stretch.end or found)
        return None if until is None else max(0.0, until - self.stretch.start)

    def elsewhere(self) -> str:
        """Where else speech may be, as the end of a sentence; empty where there is nothing else."""
        from fls_cli.media import stream as media

        if self.source.path is None:
            return ""
        info = media.probe(self.source, self.stretch.raw)
        track = choose_track(self.source, info.tracks, self.stretch.track)
        return elsewhere(info, track, self.stretch.channels)


@dataclass(frozen=True)
class Request:
    """What is asked of every source of a command; equal ones have equal results.

    `wish` is whatever else the result depends on, as JSON. `suffix` is that of result files in a
    folder; `as_json` says that results are JSON lines, which have no headings.
    """

    command: str
    engine: Engine
    budget: str
    stretch: AudioRange
    wish: Mapping[str, Any]
    suffix: str
    as_json: bool
    target_length: int | None = None

    @property
    def key(self) -> str:
        """Tells this request from others."""
        told = {**asdict(self), "engine": self.engine.as_json(), "wish": dict(self.wish)}
        told |= decoder_parts()
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
