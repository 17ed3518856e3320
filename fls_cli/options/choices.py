"""What several commands take together: which recordings, which model, how much is said."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fls_cli.options import common as options
from fls_cli.session.engine import Engine
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.request import AudioRange
from fls_cli.session.runner import Runner
from fls_cli.session.session import Session, open_session
from fls_cli.sources.shard import Shard
from fls_cli.sources.wording import parse_wording
from fls_cli.storage.voices import known_voices
from fls_models.audio.whisper.wording import PLAIN, Wording
from fls_models.core.budget import Budget

if TYPE_CHECKING:
    from fls_models.answering.generation import GenerationConfig


@dataclass(frozen=True)
class Passage:
    """Which part of a recording, on which track and channels."""

    track: options.Track = None
    channels: options.Channels = "mix"
    raw: options.Raw = None
    start: options.Start = None
    end: options.End = None

    def audio_range(self, language: str | None, wording: Wording = PLAIN) -> AudioRange:
        """The same, parsed; raises UsageError."""
        parsed = AudioRange.parse(
            self.track, self.start, self.end, language, self.channels, self.raw
        )
        return replace(parsed, wording=wording)


@dataclass(frozen=True)
class Voices:
    """Whether it is said who speaks."""

    speakers: options.Speakers = None
    speaker_name: options.SpeakerNames = None

    @property
    def wish(self) -> SpeakerWish | None:
        """The same, parsed, with the voices that are known; None if nobody asks.

        Raises UsageError.
        """
        wish = SpeakerWish.parse(self.speakers, self.speaker_name or [])
        return None if wish is None else replace(wish, known=known_voices())


@dataclass(frozen=True)
class Words:
    """How what is said is written down."""

    own_words: options.OwnWords = ""
    replace: options.Replace = ""
    initial_prompt: options.InitialPrompt = ""
    task: options.WhisperTask = "transcribe"

    @property
    def wording(self) -> Wording:
        """The same, read and parsed; raises UsageError."""
        return parse_wording(self.own_words, self.replace, self.initial_prompt, self.task)


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """What is heard of which recordings; `jobs` are decoded ahead, `keep` says that it is kept."""

    language: options.Language = None
    from_file: options.FromFile = None
    voices: Voices
    words: Words
    passage: Passage
    jobs: options.Jobs = 1
    keep: options.Cache = True

    @property
    def audio_range(self) -> AudioRange:
        """The passage, parsed; raises UsageError."""
        return self.passage.audio_range(self.language, self.words.wording)


@dataclass(frozen=True)
class LargeModel:
    """How a large model runs, and other parts for one that reads transcripts."""

    llm: options.Llm = None
    ears: options.Ears = None
    device: options.Device = "auto"
    dtype: options.Dtype = "nf4"
    low_memory: options.LowMemory = False
    head: options.Head = None

    def engine(self, model: str, read: str, **more: Any) -> Engine:
        """The model run so; `more` are other fields of its."""
        return Engine(model, read=read, **vars(self), **more)


@dataclass(frozen=True)
class Reading:
    """Which model reads, and how much of a recording."""

    budget: options.Budget = "balanced"
    target_length: options.TargetLength = None
    model: options.Model = "auto"
    read: options.Read = "auto"

    @property
    def paid(self) -> Budget:
        """Raises UsageError for a budget that there is not."""
        return Budget(self.budget, self.target_length)

    def engine(self, large: LargeModel, *, compress: bool = True) -> Engine:
        """The model, which is told the budget unless that says nothing of how much is read."""
        budget = None if self.target_length else self.budget
        return large.engine(self.model, self.read, compress=compress, budget=budget)


@dataclass(frozen=True)
class Sampling:
    """How words are chosen, and how many at most."""

    max_tokens: options.MaxTokens = 256
    temperature: options.Temperature = 0.0
    seed: options.Seed = 0

    @property
    def config(self) -> GenerationConfig:
        from fls_models.answering.generation import GenerationConfig

        return GenerationConfig(**vars(self))

    def as_json(self) -> list[float]:
        """What results depend on."""
        return [self.max_tokens, self.temperature, self.seed]


@dataclass(frozen=True)
class Results:
    """Where results go."""

    output: options.Output = None
    force: options.Force = False
    shard: options.ShardOf = None

    def runner(self, session: Session, *, ahead: int) -> Runner:
        """What works through sources so; raises UsageError for a shard that there is not."""
        part = Shard.parse(self.shard) if self.shard else None
        return Runner(session, ahead=ahead, force=self.force, shard=part)


@dataclass(frozen=True)
class Manners:
    """What is said beside the result, and whether anything is fetched."""

    quiet: options.Quiet = False
    offline: options.Offline = False

    def session(self, **more: Any) -> AbstractContextManager[Session]:
        """A session that has them; `more` are other arguments of `open_session`."""
        return open_session(quiet=self.quiet, offline=self.offline, **more)
