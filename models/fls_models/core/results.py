"""What comes out: transcripts, answers and what they cost. Values only, no behaviour beyond JSON.

Times are seconds from the beginning of the recording (of the file, not of `--start`).
The JSON form of an answer is public; `SCHEMA` changes when a field changes meaning or goes away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fls_models.core.budget import Budget

SCHEMA = "fls.answer/1"
STYLES = ("brief", "bullets", "chapters", "quotes", "actions")
WORDED = ("quotes", "actions")
"""Those that are made of single sentences of a transcript."""
NOT_SAID = "The recording does not say."
NONE_SAYS = "None of the recordings says."
NO_SPEECH = "No speech was found in the recording."
NO_TASKS = "Nobody is given anything to do in the recording, as far as this can be told."
NOTHING_TO_TELL = "Nothing that the model wrote of the recording was borne out by it."


@dataclass(frozen=True)
class Span:
    """A stretch of the recording."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span runs forwards from 0 s or later: {self.start}..{self.end}")


@dataclass(frozen=True)
class Passage:
    """A stretch of the recording that an answer rests on.

    `share`, above 0 and at most 1, is how much of its attention to the recording the language model
    gave to this place while it wrote the answer. `text` is what is said there, empty where nothing
    was written down.
    """

    span: Span
    share: float
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "start": round(self.span.start, 2),
            "end": round(self.span.end, 2),
            "share": round(self.share, 3),
            "text": self.text,
        }


@dataclass(frozen=True)
class Word:
    """A spoken word as written, with its leading space where the script has one.

    `language` is the ISO 639-1 code of what was detected there, None if that was not asked;
    `speaker` likewise who said it.
    """

    start: float
    end: float
    text: str
    probability: float
    language: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Sentence:
    """What stands between two full stops (or two long pauses), with the words it is made of.

    All of one language and one speaker.
    """

    words: tuple[Word, ...]

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return self.words[-1].end

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words).strip()

    @property
    def language(self) -> str | None:
        return self.words[0].language

    @property
    def speaker(self) -> str | None:
        return self.words[0].speaker


@dataclass(frozen=True)
class Transcript:
    """All that was said.

    `language` is the ISO 639-1 code of what is spoken longest, None if nothing was said.
    """

    language: str | None
    sentences: tuple[Sentence, ...]
    duration: float

    @property
    def speaks(self) -> bool:
        """Whether anything was said."""
        return bool(self.sentences)

    @property
    def heard_for(self) -> Budget:
        """A transcript serves any budget."""
        return Budget()

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for sentence in self.sentences for word in sentence.words)

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    def as_json(self) -> dict[str, Any]:
        """Everything, as `from_json` takes it; for keeping, not for publishing."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Transcript:
        sentences = tuple(
            Sentence(tuple(Word(**word) for word in sentence["words"]))
            for sentence in raw["sentences"]
        )
        return cls(raw["language"], sentences, raw["duration"])


@dataclass(frozen=True)
class Usage:
    """What an answer cost, all of it measured. `seconds` is by stage, in order of first use."""

    audio_seconds: float
    frames_before: int
    frames_after: int
    sections: int
    seconds: dict[str, float]
    prompt_tokens: int
    answer_tokens: int
    model: str
    budget: str
    reader: str

    @property
    def ratio(self) -> float | None:
        """Frames before over frames after; None when nothing was read."""
        return self.frames_before / self.frames_after if self.frames_after else None

    def as_json(self) -> dict[str, Any]:
        """The public form, rounded to what was measured."""
        ratio = self.ratio
        return {
            **asdict(self),
            "audio_seconds": round(self.audio_seconds, 3),
            "ratio": None if ratio is None else round(ratio, 3),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
        }


@dataclass(frozen=True)
class Answer:
    """One question answered about one recording.

    `answered` is False when the recording holds no speech or does not say; `answer` then is the
    sentence that says so, and `spans` is empty. `strength` is how far the recording speaks of the
    question, in nats per token over the model's threshold (over nothing where it has none), None
    where that was not measured. `evidence` says more closely than `spans` where the answer comes
    from, the strongest first; it is empty where nobody asked for it.
    """

    source: str
    question: str
    answered: bool
    answer: str
    spans: tuple[Span, ...]
    usage: Usage
    strength: float | None = None
    evidence: tuple[Passage, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The public form, in the order in which it is printed."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "question": self.question,
            "answered": self.answered,
            "answer": self.answer,
            "evidence": [passage.as_json() for passage in self.evidence],
            "spans": [[round(span.start, 2), round(span.end, 2)] for span in self.spans],
            "usage": self.usage.as_json(),
        }


@dataclass(frozen=True)
class Turn:
    """What was asked earlier in a conversation, the answer, and the recordings it came from."""

    question: str
    answer: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class AggregateAnswer:
    """One question answered from the answers of several recordings.

    `sources` are the recordings that speak of it, the one that does so most clearly first; none
    where `answered` is False.
    """

    question: str
    answered: bool
    answer: str
    sources: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The public form: an answer whose source is none alone."""
        return {
            "schema": SCHEMA,
            "source": None,
            "question": self.question,
            "answered": self.answered,
            "answer": self.answer,
            "sources": list(self.sources),
        }


@dataclass(frozen=True)
class Statement:
    """A sentence of a summary, and the passages it rests on, the strongest first.

    Where it is `quoted` word for word, `text` is in quotation marks, after its speaker's name.
    """

    text: str
    evidence: tuple[Passage, ...] = ()
    quoted: bool = False

    def as_json(self) -> dict[str, Any]:
        """The public form."""
        return {
            "text": self.text,
            "quoted": self.quoted,
            "evidence": [passage.as_json() for passage in self.evidence],
        }


@dataclass(frozen=True)
class Chapter:
    """A stretch of a recording about one thing; `start` comes from the words' times."""

    start: float
    end: float
    title: str
    statements: tuple[Statement, ...]

    @property
    def summary(self) -> str:
        return " ".join(statement.text for statement in self.statements)


@dataclass(frozen=True)
class Summary:
    """Chapters in order. `brief` is made of the same sentences; where there are none, `nothing`
    says why."""

    source: str
    chapters: tuple[Chapter, ...]
    usage: Usage
    nothing: str = NO_SPEECH

    @property
    def answered(self) -> bool:
        return bool(self.chapters)

    @property
    def statements(self) -> list[Statement]:
        return [statement for chapter in self.chapters for statement in chapter.statements]

    @property
    def brief(self) -> str:
        return " ".join(chapter.summary for chapter in self.chapters) or self.nothing
