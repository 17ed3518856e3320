"""From a source to what is said in it: heard now, or found where an earlier run kept it."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from fls_cli.media.ffmpeg.locate import decoder_parts
from fls_cli.media.ffmpeg.raw import raw_by_suffix
from fls_cli.media.fingerprint import Contents, contents_of, is_unchanged
from fls_cli.media.flaws import Flaw
from fls_cli.session.request import ListenRequest
from fls_models.core.budget import Budget
from fls_models.core.cache import NULL_CACHE, Cache, CacheKey
from fls_models.core.progress import Progress, ignore
from fls_models.core.stopwatch import Stopwatch

if TYPE_CHECKING:
    from fls_cli.session.read_ahead import Blocks
    from fls_models.answering.model import EncodedRecording, Model
    from fls_models.core.results import Sentence, Transcript
    from fls_models.extractor.fused_recording import FusedRecording
    from fls_models.pipelines.frames import FrameModel

KIND = "transcripts"
FRAMES = "frames"
# Changes when the same bytes become other samples.
DECODED = "one-clock-1"


@dataclass
class Listening:
    """Sentences as they are understood, and the transcript when all are."""

    found: Iterator[Sentence]
    clock: Stopwatch
    # Language and seconds heard, known at the end.
    known: Callable[[], tuple[str | None, float]]
    blocks: Generator[Any] | None = None
    # Told the transcript once all was heard.
    finished: Callable[[Transcript], None] = ignore

    def __iter__(self) -> Iterator[Sentence]:
        from fls_models.core.results import Transcript

        heard: list[Sentence] = []
        # Closed here, not whenever garbage is collected: a child process hangs on it.
        with closing(self.blocks) if self.blocks else nullcontext():
            while True:
                with self.clock.stage("listen"):
                    sentence = next(self.found, None)
                if sentence is None:
                    break
                heard.append(sentence)
                yield sentence
        language, duration = self.known()
        self._whole = Transcript(language if heard else None, tuple(heard), duration)
        self.finished(self._whole)

    def transcript(self) -> Transcript:
        for _ in self:
            pass
        return self._whole


def listen(
    model: Model,
    wanted: ListenRequest,
    *,
    memory: Cache = NULL_CACHE,
    decoded: Callable[[Callable[[Flaw], None]], Blocks] | None = None,
    warn: Callable[[Flaw], None],
    progress: Progress,
) -> Listening:
    """Starts listening; raises the InputError that fits what is wrong with the source.

    `decoded` stands in for decoding it now. What was heard to the end before is taken from
    `memory`: a file is known by its bytes; an address is listened to anew, except that its pieces
    are known by theirs.
    """
    clock = Stopwatch()
    source = wanted.source
    contents = contents_of(source)
    parts = None if contents is None else _parts(model, wanted, contents)
    if parts is not None and (kept := memory.get(KIND, parts)) is not None:
        return _recalled(kept, clock, warn)
    total = wanted.seconds()
    with clock.stage("load"):
        transcriber = model.transcriber
    flaws: list[Flaw] = []

    def keep(transcript: Transcript) -> None:
        # What is still being recorded has other bytes by now.
        if parts is not None and contents is not None and is_unchanged(source, asdict(contents)):
            entry = {
                "warnings": [flaw.as_json() for flaw in flaws],
                "transcript": transcript.as_json(),
            }
            memory.put(KIND, parts, json.dumps(entry, ensure_ascii=False).encode())

    blocks = (decoded or wanted.decode)(_noting(flaws, warn))
    stretch = wanted.stretch
    found = transcriber.sentences(
        blocks,
        wanted.budget,
        language=stretch.language,
        start=stretch.start,
        total=total,
        progress=progress,
    )
    return Listening(
        found, clock, lambda: (transcriber.language, transcriber.until), blocks, finished=keep
    )


def is_known(model: Model, wanted: ListenRequest, memory: Cache) -> bool:
    """Whether `listen` would find it in `memory`."""
    contents = contents_of(wanted.source)
    kind = KIND if _by_words(model, wanted) else FRAMES
    return contents is not None and memory.get(kind, _parts(model, wanted, contents)) is not None


@dataclass(frozen=True)
class TimedRecording:
    """A recording as the model heard it; `seconds` is what that took, by stage."""

    heard: EncodedRecording
    seconds: Mapping[str, float]


def hear(
    model: Model,
    wanted: ListenRequest,
    *,
    memory: Cache = NULL_CACHE,
    decoded: Callable[[Callable[[Flaw], None]], Blocks] | None = None,
    warn: Callable[[Flaw], None],
    progress: Progress,
) -> TimedRecording:
    """Hears a recording to its end, as the model reads it: its words, or frames of its sound.

    Raises and remembers as `listen` does.
    """
    if model.reads_by == "text":
        listening = listen(
            model, wanted, memory=memory, decoded=decoded, warn=warn, progress=progress
        )
        return TimedRecording(listening.transcript(), listening.clock.seconds)
    from fls_models.answering.readers.frames import FusedFrames
    from fls_models.pipelines.frames import FrameModel

    assert isinstance(model, FrameModel)
    clock = Stopwatch()

    def again(paid: Budget) -> FusedRecording:
        anew = replace(wanted, budget=paid.name, target_length=paid.target_length)
        return _frames(model, anew, memory, None, warn, progress, Stopwatch())

    first = _frames(model, wanted, memory, decoded, warn, progress, clock)
    return TimedRecording(FusedFrames(first, again), clock.seconds)


def _frames(
    model: FrameModel,
    wanted: ListenRequest,
    memory: Cache,
    decoded: Callable[[Callable[[Flaw], None]], Blocks] | None,
    warn: Callable[[Flaw], None],
    progress: Progress,
    clock: Stopwatch,
) -> FusedRecording:
    from fls_models.extractor.fused_recording import FusedRecording

    source = wanted.source
    contents = contents_of(source)
    parts = None if contents is None else _parts(model, wanted, contents)
    if parts is not None and (kept := memory.get(FRAMES, parts)) is not None:
        warnings, packed = kept.split(b"\n", 1)
        for flaw in json.loads(warnings):
            warn(Flaw.from_json(flaw))
        return FusedRecording.unpack(packed)
    total = wanted.seconds()
    with clock.stage("load"):
        # Loaded here for the clock's sake.
        _ = model.language_model
    flaws: list[Flaw] = []
    note = _noting(flaws, warn)
    with clock.stage("listen"), closing((decoded or wanted.decode)(note)) as blocks:
        found = model.hear(
            blocks, wanted.paid, start=wanted.stretch.start, total=total, progress=progress
        )
    if parts is not None and contents is not None and is_unchanged(source, asdict(contents)):
        memory.put(
            FRAMES,
            parts,
            json.dumps([flaw.as_json() for flaw in flaws]).encode() + b"\n" + found.pack(),
        )
    return found


def _recalled(kept: bytes, clock: Stopwatch, warn: Callable[[Flaw], None]) -> Listening:
    from fls_models.core.results import Transcript

    entry = json.loads(kept)
    transcript = Transcript.from_json(entry["transcript"])
    for flaw in entry["warnings"]:
        warn(Flaw.from_json(flaw))
    return Listening(
        iter(transcript.sentences), clock, lambda: (transcript.language, transcript.duration)
    )


def _parts(model: Model, wanted: ListenRequest, contents: Contents) -> CacheKey:
    """What a transcript depends on, or the frames of it."""
    by_words = _by_words(model, wanted)
    effort = model.effort(wanted.budget) if by_words else wanted.paid.by(model.rates).key()
    guess = None if wanted.stretch.raw else raw_by_suffix(wanted.source.below or "")
    return {
        "ear": model.ear,
        "audio": contents.sha256,
        **asdict(wanted.stretch),
        "by_suffix": str(guess),
        "effort": effort,
        # The samples, not the bytes, are what is heard.
        "decoded": DECODED,
        **decoder_parts(),
    }


def _by_words(model: Model, wanted: ListenRequest) -> bool:
    return wanted.words or model.reads_by == "text"


def _noting(flaws: list[Flaw], warn: Callable[[Flaw], None]) -> Callable[[Flaw], None]:
    """Warns, and keeps what was said for the next time the recording is found."""

    def note(flaw: Flaw) -> None:
        flaws.append(flaw)
        warn(flaw)

    return note
