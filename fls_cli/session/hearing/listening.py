"""From a source to what is said in it: heard now, or found where an earlier run kept it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from fls_cli.media.flaws import Flaw
from fls_cli.session.hearing.channels import Channels, ChannelSpeakers
from fls_cli.session.hearing.entry import Entry
from fls_cli.session.hearing.speaker_wish import nobody_in_frames
from fls_cli.session.hearing.speakers import SpeakerSearch
from fls_cli.session.request import EACH, ListenRequest
from fls_models.audio.prefetch import closing_source
from fls_models.audio.whisper.wording import PLAIN, not_by_whisper
from fls_models.core.budget import Budget
from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.progress import Progress, ignore
from fls_models.core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks
    from fls_models.answering.model import EncodedRecording, Model
    from fls_models.core.results import Sentence, Transcript
    from fls_models.extractor.fused_recording import FusedRecording
    from fls_models.pipelines.frames import FrameModel

    Decode: TypeAlias = Callable[[Callable[[Flaw], None]], Blocks]

Speakers: TypeAlias = SpeakerSearch | ChannelSpeakers

KIND = "transcripts"
FRAMES = "frames"


@dataclass
class Listening:
    """Sentences as they are understood, and the transcript when all are."""

    sentences: Iterator[Sentence]
    clock: Stopwatch
    # Language and seconds of what was heard, once that is all.
    outcome: Callable[[], tuple[str | None, float]]
    blocks: Blocks | None = None
    # Called with the transcript once all was heard.
    finish: Callable[[Transcript], None] = ignore
    # Pairs of what is written and what is to stand there.
    replacements: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[Sentence]:
        from fls_models.core.results import Transcript
        from fls_models.transcription.replacements import Replacements

        replaced = Replacements(self.replacements) if self.replacements else None
        sentences: list[Sentence] = []
        written: list[Sentence] = []
        # Closed here, not whenever garbage is collected: a child process hangs on it. A thread may
        # be at the next blocks, until sentences are closed.
        blocks = closing(self.blocks) if self.blocks else nullcontext()
        with blocks, closing_source(self.sentences):
            while True:
                with self.clock.stage("listen"):
                    sentence = next(self.sentences, None)
                if sentence is None:
                    break
                sentences.append(sentence)
                result = sentence if replaced is None else replaced(sentence)
                if result is not None:
                    written.append(result)
                    yield result
        language, duration = self.outcome()
        heard = Transcript(language if sentences else None, tuple(sentences), duration)
        self.finish(heard)
        self._whole = replace(heard, sentences=tuple(written))

    def transcript(self) -> Transcript:
        for _ in self:
            pass
        return self._whole


def listen(
    model: Model,
    request: ListenRequest,
    *,
    memory: Cache = NULL_CACHE,
    decode: Decode | None = None,
    warn: Callable[[Flaw], None],
    progress: Progress,
    speakers: Speakers | None = None,
) -> Listening:
    """Starts listening; raises the InputError that fits what is wrong with the source.

    `decode` stands in for `request.decode`. What was heard to the end before is taken from
    `memory`: a file is known by its bytes; an address is listened to anew, except that its pieces
    are known by theirs. `speakers`, if they are looked for, overhear what is heard.
    """
    from fls_models.core.results import Transcript

    clock, wording = Stopwatch(), request.audio_range.wording
    entry = _entry(model, request, memory, warn)
    if (cached := entry.get()) is not None:
        payload = json.loads(cached)
        recalled = Transcript.from_json(payload["transcript"])
        for flaw in payload["warnings"]:
            warn(Flaw.from_json(flaw))
        outcome = recalled.language, recalled.duration
        return Listening(
            iter(recalled.sentences), clock, lambda: outcome, replacements=wording.replacements
        )

    def keep(transcript: Transcript) -> None:
        # Of what it is, for whoever finds it without having looked for it.
        heard = {"heard": entry.key, "warnings": entry.flaws}
        payload = {**heard, "transcript": transcript.as_json()}
        entry.put(json.dumps(payload, ensure_ascii=False).encode())

    if request.audio_range.channels == EACH:

        def hear_one(
            one: ListenRequest, of_one: Progress, note: Callable[[Flaw], None]
        ) -> Transcript:
            plain = replace(one.audio_range, wording=wording.heard_alone)
            request = replace(one, audio_range=plain)
            return listen(model, request, memory=memory, warn=note, progress=of_one).transcript()

        channels = Channels(request, hear_one, progress, entry.note)
        return Listening(
            channels.sentences(),
            clock,
            lambda: (channels.language, channels.until),
            finish=keep,
            replacements=wording.replacements,
        )
    total = request.seconds()
    blocks = (decode or request.decode)(entry.note)
    if speakers is not None:
        blocks = speakers.overhear(blocks)
    with clock.stage("load"):
        transcriber = model.transcriber
        sentences = transcriber.sentences(
            blocks,
            request.budget,
            language=request.audio_range.language,
            start=request.audio_range.start,
            total=total,
            progress=progress,
            wording=wording,
        )
    return Listening(
        sentences,
        clock,
        lambda: (transcriber.language, transcriber.until),
        blocks,
        keep,
        wording.replacements,
    )


def is_known(model: Model, request: ListenRequest, memory: Cache) -> bool:
    """Whether `listen` would find it in `memory`."""
    return _entry(model, request, memory, ignore).get() is not None


@dataclass(frozen=True)
class TimedRecording:
    """A recording as the model heard it; `seconds` is what that took, by stage."""

    recording: EncodedRecording
    seconds: Mapping[str, float]


def hear(
    model: Model,
    request: ListenRequest,
    *,
    memory: Cache = NULL_CACHE,
    decode: Decode | None = None,
    warn: Callable[[Flaw], None],
    progress: Progress,
    speakers: Speakers | None = None,
) -> TimedRecording:
    """Hears a recording to its end, as the model reads it: its words, or frames of its sound.

    Words are those of `speakers`, if these are looked for. Raises and remembers as `listen` does;
    UsageError where frames are to have speakers.
    """
    if model.reads_by == "text":
        listening = listen(
            model,
            request,
            memory=memory,
            decode=decode,
            warn=warn,
            progress=progress,
            speakers=speakers,
        )
        transcript = listening.transcript()
        if speakers is not None:
            with listening.clock.stage("speakers"):
                transcript = speakers.name_words(transcript)
        seconds = listening.clock.seconds
        del listening
        model.rest_ears()
        return TimedRecording(transcript, seconds)
    if request.audio_range.channels == EACH or speakers is not None:
        raise nobody_in_frames(model.card.name)
    if request.audio_range.wording != PLAIN:
        raise not_by_whisper()
    from fls_models.answering.readers.frames import FusedFrames
    from fls_models.pipelines.frames import FrameModel

    assert isinstance(model, FrameModel)

    clock = Stopwatch()

    def again(paid: Budget) -> FusedRecording:
        anew = replace(request, budget=paid.name, target_length=paid.target_length)
        return _frames(model, anew, memory, anew.decode, warn, progress, Stopwatch())

    first = _frames(model, request, memory, decode or request.decode, warn, progress, clock)
    return TimedRecording(FusedFrames(first, again), clock.seconds)


def _frames(
    model: FrameModel,
    request: ListenRequest,
    memory: Cache,
    decode: Decode,
    warn: Callable[[Flaw], None],
    progress: Progress,
    clock: Stopwatch,
) -> FusedRecording:
    from fls_models.extractor.fused_recording import FusedRecording

    entry = _entry(model, request, memory, warn)
    if (cached := entry.get()) is not None:
        flaws, packed = cached.split(b"\n", 1)
        for flaw in json.loads(flaws):
            warn(Flaw.from_json(flaw))
        return FusedRecording.unpack(packed)
    total = request.seconds()
    with clock.stage("load"):
        # Loaded here for the clock's sake.
        _ = model.language_model
    with clock.stage("listen"), closing(decode(entry.note)) as blocks:
        frames = model.hear(
            blocks, request.paid, start=request.audio_range.start, total=total, progress=progress
        )
    entry.put(json.dumps(entry.flaws).encode() + b"\n" + frames.pack())
    return frames


def _entry(
    model: Model, request: ListenRequest, memory: Cache, warn: Callable[[Flaw], None]
) -> Entry:
    """What a transcript depends on, or the frames of it."""
    if _by_words(model, request):
        kind, effort = KIND, model.effort(request.budget)
    else:
        kind, effort = FRAMES, request.paid.by(model.rates).key()
    return Entry(request, kind, {"ear": model.encoder_fingerprint, "effort": effort}, memory, warn)


def _by_words(model: Model, request: ListenRequest) -> bool:
    return request.words or model.reads_by == "text"
