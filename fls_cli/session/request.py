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
from fls_cli.media.ffmpeg.probe import MediaInfo, Track
from fls_cli.media.ffmpeg.raw import RawAudio, parse_raw
from fls_cli.media.flaws import Flaw
from fls_cli.media.joined import choose_track
from fls_cli.media.mixing import check_channels
from fls_cli.media.shortfalls import elsewhere
from fls_cli.media.source import Source
from fls_cli.session.engine import Engine
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_models.audio.whisper.wording import PLAIN, Wording
from fls_models.core.budget import Budget
from fls_models.core.progress import ignore
from fls_models.errors import UsageError

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks
    from fls_models.answering.model import FrameExtractor
    from fls_models.core.progress import Progress
    from fls_models.extractor.inspection.inspection import Inspection


# Each channel is a speaker, and heard for itself.
EACH = "each"


@dataclass(frozen=True)
class AudioRange:
    """Which part of a recording, on which track and channels, in which language.

    `raw` is what samples without a header are, if the user said it; `wording` what they say of
    words.
    """

    track: int | None
    start: float
    end: float | None
    language: str | None
    channels: str = "mix"
    raw: RawAudio | None = None
    wording: Wording = PLAIN

    def heard(self) -> dict[str, Any]:
        """What is heard depends on this, as JSON: what is done with it later is not part of it."""
        parts = asdict(self)
        del parts["wording"]
        return parts | self.wording.heard()

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
        if channels != EACH:
            check_channels(channels)
        begin = parse_time(start) if start else 0.0
        until = parse_time(end) if end else None
        if until is not None and until <= begin:
            raise UsageError("--end must come after --start.")
        samples = parse_raw(raw) if raw else None
        return cls(track, begin, until, language, channels, samples)


@dataclass(frozen=True)
class ListenRequest:
    """What is to be heard of a source: which range, at the effort of which budget.

    `words` says that a transcript is wanted, whatever the model reads.
    """

    source: Source
    audio_range: AudioRange
    budget: str
    target_length: int | None = None
    words: bool = False

    @property
    def paid(self) -> Budget:
        return Budget(self.budget, self.target_length)

    def decode(self, warn: Callable[[Flaw], None]) -> Blocks:
        """The samples of it, as `media.stream` gives them."""
        from fls_cli.media import stream as media

        audio_range = self.audio_range
        return media.stream(
            self.source,
            track=audio_range.track,
            channels="mix" if audio_range.channels == EACH else audio_range.channels,
            start=audio_range.start,
            end=audio_range.end,
            raw=audio_range.raw,
            warn=warn,
        )

    def inspect(
        self,
        model: FrameExtractor,
        total: float | None,
        *,
        warn: Callable[[Flaw], None],
        progress: Progress,
    ) -> Inspection:
        """The recording as the model hears it for a question; heard now, whatever is kept of it.

        `total` is what `seconds` told. Raises what `media.stream` and
        `fls_models.pipelines.inspect.inspect` do.
        """
        from fls_models.pipelines.inspect import inspect

        start = self.audio_range.start
        with closing(self.decode(warn)) as blocks:
            return inspect(model, blocks, self.paid, start=start, total=total, progress=progress)

    def check(self) -> None:
        """Raises the InputError that hearing it would begin with; decodes one block."""
        with closing(self.decode(ignore)) as blocks:
            next(blocks)

    def seconds(self) -> float | None:
        """How much audio that is, if the file tells; raises what `media.probe` does."""
        from fls_cli.media import stream as media

        whole = media.probe(self.source, self.audio_range.raw).duration
        until = self.audio_range.end if whole is None else min(whole, self.audio_range.end or whole)
        return None if until is None else max(0.0, until - self.audio_range.start)

    def elsewhere(self) -> str:
        """Where else speech may be, as the end of a sentence; empty where there is nothing else."""
        if self.source.path is None:
            return ""
        return elsewhere(*self.layout(), self.audio_range.channels)

    def layout(self) -> tuple[MediaInfo, Track]:
        """What is in the source, and the track that is heard; raises what `media.probe` does."""
        from fls_cli.media import stream as media

        info = media.probe(self.source, self.audio_range.raw)
        return info, choose_track(self.source, info.tracks, self.audio_range.track)


@dataclass(frozen=True)
class Request:
    """What is asked of every source of a command; equal ones have equal results.

    `wish` is whatever else the result depends on, as JSON. `suffix` is that of result files in a
    folder; `as_json` says that results are JSON lines, which have no headings.
    """

    command: str
    engine: Engine
    budget: str
    audio_range: AudioRange
    wish: Mapping[str, Any]
    suffix: str
    as_json: bool
    target_length: int | None = None
    speakers: SpeakerWish | None = None
    # Of further files of each result.
    more_suffixes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Tells this request from others."""
        parts = {**asdict(self), "engine": self.engine.as_json(), "wish": dict(self.wish)}
        # As results of earlier versions have it.
        parts["stretch"] = parts.pop("audio_range")
        if self.audio_range.wording == PLAIN:
            del parts["stretch"]["wording"]
        for name in ("speakers", "more_suffixes"):
            if not parts[name]:
                del parts[name]
        parts |= decoder_parts()
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
