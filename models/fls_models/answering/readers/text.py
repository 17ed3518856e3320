"""Readers turn a recording into what the language model gets: embeddings with their times.

The text reader embeds the tokens of a transcript. What follows a reader does not know which one
it was (`frames` has the other).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from fls_models.answering.readers.relevance import Relevance
from fls_models.answering.readers.topics import topics
from fls_models.core.budget import Budget, sections
from fls_models.core.results import Sentence, Span, Transcript
from fls_models.lslm.base import LanguageModel
from fls_models.lslm.prompts import Prompt

# A transcript this little over its budget is read whole: every question then finds the same text
# already read, which saves more than a few sentences less would.
_SLACK = 1.25


@dataclass(frozen=True)
class Phrase:
    """What is said between two pauses, a sentence where that is known.

    Attributes:
        rows: of a reading's L embeddings, those that stand for it.
        span: when it is said.
        text: empty for frames.
        speaker: who says it, if that is known.
    """

    rows: range
    span: Span
    text: str = ""
    speaker: str | None = None


def quotation(phrases: Iterable[Phrase]) -> str:
    """What is said in phrases, with a speaker's name where somebody else said the one before."""
    parts: list[str] = []
    speaker = None
    for phrase in phrases:
        if phrase.text:
            is_new = phrase.speaker not in (None, speaker)
            parts.append(f"{phrase.speaker}: {phrase.text}" if is_new else phrase.text)
            speaker = phrase.speaker
    return " ".join(parts)


@dataclass(frozen=True, eq=False)
class ModelInput:
    """One pass for the language model.

    Attributes:
        embeddings: (L, H).
        spans: (L, 2) float64, seconds: the stretch of audio that each embedding stands for.
        phrases: all L, divided at pauses.
        rope_scale: by how much the language model's window is stretched to hold it (NTK-RoPE).
    """

    embeddings: Tensor
    spans: Tensor
    phrases: tuple[Phrase, ...]
    rope_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.spans.shape != (len(self.embeddings), 2):
            raise ValueError(
                f"spans {tuple(self.spans.shape)} do not fit {len(self.embeddings)} embeddings"
            )
        if [row for phrase in self.phrases for row in phrase.rows] != [*range(len(self))]:
            raise ValueError(f"phrases must divide {len(self)} embeddings, in order")

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def text(self) -> str:
        """What was understood, for a reader that goes by text; empty for frames."""
        return quotation(self.phrases)


class Reader(Protocol):
    """A recording, as a language model is to read it."""

    name: str
    """`text` or `frames`."""

    def prompt(self, prompt: Prompt) -> Prompt:
        """A prompt for text, as it is before what this reader reads."""

    def readings(self, budget: Budget, question: str | None) -> Sequence[ModelInput]:
        """The passes that hold the recording, in order. `question` None: what is most central."""

    def segments(self, *, shortest: float, max_segments: int, whole: bool) -> Sequence[Segment]:
        """Consecutive parts of the recording, each about one thing as far as that can be told.

        None is shorter than `shortest` seconds, there are at most `max_segments`, and with `whole`
        no more of them than passes need.
        """


@dataclass(frozen=True)
class Segment:
    """A part of a recording, to be read by itself."""

    span: Span
    reader: Reader


class TextReader:
    """Reads a transcript: tokens as embeddings, sentences left out where the budget asks for it."""

    name = "text"

    def __init__(self, model: LanguageModel, transcript: Transcript, max_tokens: int) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._sentences = transcript.sentences
        self._duration = transcript.duration
        self._language = transcript.language
        self._tokens = [self._tokenize(sentence) for sentence in transcript.sentences]

    def prompt(self, prompt: Prompt) -> Prompt:
        return prompt

    @cached_property
    def _relevance(self) -> Relevance:
        return Relevance([sentence.text for sentence in self._sentences])

    def readings(self, budget: Budget, question: str | None) -> list[ModelInput]:
        selected = self.selected(budget, question)
        return [self._read(section) for section in self._sections(selected)]

    def segments(self, *, shortest: float, max_segments: int, whole: bool) -> list[Segment]:
        """Divided where the words change (`topics`); times are those of the words."""
        sentences = self._sentences
        if whole or self._duration <= shortest:
            parts = [range(len(sentences))] if sentences else []
        else:
            parts = topics(sentences, shortest=shortest, max_topics=max_segments)
        segments = []
        for part in parts:
            spoken = sentences[part.start : part.stop]
            span = Span(spoken[0].start, spoken[-1].end)
            transcript = Transcript(self._language, spoken, span.end - span.start)
            segments.append(Segment(span, TextReader(self._model, transcript, self._max_tokens)))
        return segments

    def selected(self, budget: Budget, question: str | None) -> list[int]:
        """Indices of the sentences that the budget pays for: the most relevant ones, in order."""
        everything = list(range(len(self._sentences)))
        allowed = budget.tokens(self._duration)
        slack = 1.0 if budget.target_length is not None else _SLACK
        if allowed is None or sum(map(len, self._tokens)) <= slack * allowed:
            return everything
        scores = self._relevance.centrality()
        if question is not None:
            # Centrality decides where the question shares nothing with the recording.
            scores = self._relevance.to(question) + 0.1 * scores
        selected: list[int] = []
        for index in sorted(everything, key=lambda i: (-scores[i], i)):
            cost = len(self._tokens[index])
            if cost <= allowed or not selected:
                selected.append(index)
                allowed -= cost
        return sorted(selected)

    def _sections(self, selected: Sequence[int]) -> list[list[int]]:
        """Equal sections of some `max_tokens` at most, cut between sentences."""
        total = sum(len(self._tokens[index]) for index in selected)
        count = sections(total, self._max_tokens)
        parts: list[list[int]] = [[] for _ in range(count)]
        before = 0
        for index in selected:
            cost = len(self._tokens[index])
            parts[int((before + cost / 2) * count / total)].append(index)
            before += cost
        return [section for section in parts if section]

    def _named(self, sentence: Sentence, name: str) -> list[tuple[int, float, float]]:
        """As `_tokenize`, what stands before a sentence whose speaker is known."""
        return [(token, sentence.start, sentence.start) for token in self._model.tokenize(name)]

    def _tokenize(self, sentence: Sentence) -> list[tuple[int, float, float]]:
        """(token, start, end) of each token, from the times of the word it is part of."""
        text = [
            word.text if i or word.text[:1] == " " else f" {word.text}"
            for i, word in enumerate(sentence.words)
        ]
        return [
            (token, word.start, word.end)
            for word, written in zip(sentence.words, text, strict=True)
            for token in self._model.tokenize(written)
        ]

    def _read(self, section: Sequence[int]) -> ModelInput:
        tokens: list[tuple[int, float, float]] = []
        phrases: list[Phrase] = []
        for index in section:
            sentence, first = self._sentences[index], len(tokens)
            # Before each sentence: small models forget who began to speak some sentences ago.
            if sentence.speaker is not None:
                tokens += self._named(sentence, "\n" * bool(tokens) + f"{sentence.speaker}:")
            tokens += self._tokens[index]
            rows, span = range(first, len(tokens)), Span(sentence.start, sentence.end)
            phrases.append(Phrase(rows, span, sentence.text, sentence.speaker))
        spans = torch.tensor([[start, end] for _, start, end in tokens], dtype=torch.float64)
        return ModelInput(
            self._model.embed([token for token, _, _ in tokens]),
            spans.reshape(-1, 2),
            tuple(phrases),
        )
