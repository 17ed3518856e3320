"""Sentences about one topic, each with the places that it rests on.

A small model gets one small task at a time: the main point of the topic, from all that is said;
then the facts, each from the phrase that holds it. A sentence that is not borne out is written
again, then left out or quoted. A topic of which nothing is left is quoted. What stands comes in the
order of the recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fls_models.answering.evidence import PassAttention, passages
from fls_models.answering.generation import GenerationConfig, TokenUsage
from fls_models.answering.readers.text import ModelInput, Phrase, Reader
from fls_models.answering.summaries.specifics import (
    is_fluent,
    most_specific,
    specificity,
    with_subjects,
)
from fls_models.answering.summaries.support import Support, keeps_order
from fls_models.core.results import Passage, Statement
from fls_models.core.stopwatch import Stopwatch
from fls_models.core.text.sentence_ends import sentences_of
from fls_models.core.text.words import (
    content_words,
    covered,
    grams,
    is_copied,
    is_number,
    words_of,
)
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, Draw, LanguageModel

# Passages shown for a main point.
_PLACES = 2
# From here on (`specificity`) a phrase is worth a sentence before what comes of the topic, and
# after it; so many more than sentences are tried.
_VERY_SPECIFIC, _SPECIFIC, _TRIED = 1.1, 0.75, 2
# Of samples of a retelling, where the likeliest are not borne out.
_TEMPERATURE = 0.7
# What was said already in so many of its content words is not said again.
_REPEATED = 0.6
# Words that say something, in a sentence.
_FEWEST = 3
# A title may sum up, as long as so much of it is said.
_TITLE_SAID = 0.25
# Small models write of the recording whatever they are asked, or go on with the transcript.
_OF_ITSELF = re.compile(
    r"(these|those|here) (are|were) |(this|that|here) (is|was) "
    r"|(in )?(this|the|a) (recording|transcript|text|statement|passage|speaker)\b"
    r"|(the )?most important (fact|thing|point)\b"
    r"|[\w .]{1,30}: |.*[?？]$",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(This|The) (part of the )?(meeting|conversation|discussion|recording) "
    r"(is about|is a discussion about|discusses) "
)
_MARK = re.compile(r"^\s*[-*•]\s+")
_LEAD = re.compile(
    r"(The|[\w. ]{1,30}['’]s) (main|most important) (point|fact|thing)( to know)? is that (?=\w)"
)
_ENDS = (".", "!", "?", "…", "。", "！", "？", "।", "؟", '"', "”", "’", "»", ")")
# Who that is, a summary's reader does not know.
_FIRST_PERSON = re.compile(r"\b(I|I['’]\w+|me|my|[Ww]e|our|us)\b")


@dataclass
class Writer:
    """Writes about the topics of one recording, in one language, by its English name.

    So many `samples` of a sentence are tried where the likeliest are not borne out. `wish` is what
    the user asks of each topic instead.
    """

    llm: LanguageModel
    support: Support
    generation: GenerationConfig
    language: str
    clock: Stopwatch
    usage: TokenUsage = field(default_factory=TokenUsage)
    samples: int = 0
    is_titled: bool = False
    wish: str = ""
    _before: list[list[str]] = field(default_factory=list)

    def topic(
        self, reader: Reader, readings: Sequence[ModelInput], count: int
    ) -> tuple[str, list[Statement]]:
        """A title, or an empty one, and at most so many statements for each reading."""
        title = ""
        statements: list[Statement] = []
        prompt = reader.prompt(prompts.SUMMARISE)
        for reading in readings:
            with self.clock.stage("read"):
                context = self.llm.read(
                    prompt, reading.embeddings, rope_scale=reading.rope_scale, text=reading.text
                )
            self.usage.frames += len(reading)
            self.usage.read += context.tokens
            with self.clock.stage("answer"):
                if self.wish:
                    statements += self._wished(reading, context)
                else:
                    statements += self._statements(reading, prompt, context, count)
                if self.is_titled and not title:
                    title = self._title(context, reading.text, statements)
        return title, statements if self.wish else in_order(statements)

    def _statements(
        self, reading: ModelInput, prompt: prompts.Prompt, context: Context, count: int
    ) -> list[Statement]:
        """The main point, what is very specific, what comes of it, and what is specific."""
        main, outcome = prompts.main_point(self.language), prompts.outcome(self.language)
        statements = list(self._written(reading, prompt, context, main))
        exact, tried = self.support.exact, 0
        if exact is None:
            return statements
        phrases = most_specific(with_subjects(reading.phrases, exact), exact)
        for least, requests in ((_VERY_SPECIFIC, outcome), (_SPECIFIC, ())):
            while len(statements) < count and tried < min(len(phrases), count + _TRIED):
                if specificity(phrases[tried].text, exact) < least:
                    break
                statements += self._retold(phrases[tried])
                tried += 1
            if len(statements) < count:
                statements += self._written(reading, prompt, context, requests)
        worth = [each for each in phrases if specificity(each.text, exact) >= _SPECIFIC]
        statements += self._quoted(worth, min(count - len(statements), count // 2))
        if not statements and phrases:
            statements = [quotation(phrases[0])]
        return statements

    def _quoted(self, phrases: Sequence[Phrase], most: int) -> list[Statement]:
        """Single sentences word for word, where too little could be written."""
        quotations: list[Statement] = []
        for phrase in phrases:
            if len(quotations) >= most:
                break
            is_single = len(sentences_of(phrase.text)) == 1
            if is_single and is_fluent(phrase.text) and not self._repeats(phrase.text):
                self._before.append(words_of(phrase.text))
                quotations.append(quotation(phrase))
        return quotations

    def _wished(self, reading: ModelInput, context: Context) -> Iterator[Statement]:
        """The lines of the reply to what the user asks, without those of wrong names."""
        request = f"\n\n{self.wish}"
        text = self.generation.decode(self.llm, context, request)
        self.usage.written += len(self.llm.tokenize(text))
        exact = self.support.exact
        for line in filter(None, (_MARK.sub("", line).strip() for line in text.splitlines())):
            if exact is None or not exact.wrong(line):
                attention = self.llm.attention(context, request, line)
                yield Statement(line, passages([PassAttention(reading, attention)], _PLACES))

    def _written(
        self,
        reading: ModelInput,
        prompt: prompts.Prompt,
        context: Context,
        requests: Sequence[str],
    ) -> Iterator[Statement]:
        """The first reply that is borne out by what was read."""
        draws = [Draw(request) for request in requests]
        for request, text in zip(requests, self._replies(context, draws), strict=False):
            is_last = self.support.exact is None and request == requests[-1]
            if not is_last and (_is_inside(text) or self._repeats(text)):
                continue
            if self.support.bears_out(text, context, prompt, request, reading.phrases):
                self._before.append(words_of(text))
                attention = self.llm.attention(context, request, text)
                yield Statement(text, passages([PassAttention(reading, attention)], _PLACES))
                return

    def tasks(self, phrases: Sequence[Phrase]) -> list[Statement]:
        """What phrases give somebody to do."""
        with self.clock.stage("answer"):
            requests = prompts.task(self.language)
            return [each for phrase in phrases for each in self._retold(phrase, requests)]

    def _retold(self, phrase: Phrase, requests: Sequence[str] = ()) -> Iterator[Statement]:
        """What a phrase holds, in words of its own if it can be, unless it is a repetition."""
        if self._repeats(phrase.text):
            return
        context, speaks_of_itself = self._read(phrase), bool(requests)
        said, copy = grams(words_of(phrase.text)), ""
        draws = self._draws(requests or prompts.retelling(self.language), bool(requests))
        for draw, text in zip(draws, self._replies(context, draws), strict=False):
            if not self.support.bears_out(text, context, prompts.SAID, draw.request, [phrase]):
                continue
            if not requests and not keeps_order(text, place(phrase).text):
                continue
            if _says_little(text, phrase.text):
                continue
            if self._repeats(text):
                return
            if _is_inside(text):
                speaks_of_itself = True
            elif is_copied(words_of(text), said) and not requests:
                copy = copy or text
            else:
                yield self._statement(text, phrase)
                return
        if copy:
            yield self._statement(copy, phrase)
        elif speaks_of_itself and (requests or is_fluent(phrase.text)):
            self._before.append(words_of(phrase.text))
            yield quotation(phrase)

    def _statement(self, text: str, phrase: Phrase) -> Statement:
        self._before.append(words_of(f"{text} {phrase.text}"))
        return Statement(text, (place(phrase),))

    def _draws(self, requests: Sequence[str], is_likeliest: bool) -> list[Draw]:
        """Ways to tell a phrase again: the likeliest replies first, then others, if any."""
        samples = range(0 if is_likeliest else self.samples)
        others = [Draw(requests[0], _TEMPERATURE, seed) for seed in samples]
        return [*map(Draw, requests), *others]

    def _title(self, context: Context, said: str, statements: Sequence[Statement]) -> str:
        title = as_title(next(self._replies(context, [Draw(prompts.TITLE)])))
        words = words_of(said)
        content = content_words(words_of(title))
        # Every word has a capital there, so that names cannot be found there.
        if not said or (
            covered(content, words) >= _TITLE_SAID
            and all(word in words for word in content if is_number(word))
        ):
            return title
        return as_title(statements[0].text) if statements else ""

    def _read(self, phrase: Phrase) -> Context:
        said = place(phrase).text
        context: Context = self.llm.read(
            prompts.SAID, self.llm.embed(self.llm.tokenize(said)), text=said
        )
        self.usage.read += context.tokens
        return context

    def _replies(self, context: Context, draws: Sequence[Draw]) -> Iterator[str]:
        """One sentence each."""
        for text in self.generation.decode_all(self.llm, context, draws, sentences=1):
            self.usage.written += len(self.llm.tokenize(text))
            yield _plain(text)

    def _repeats(self, text: str) -> bool:
        """Whether it was said before: most of its words, and all of its names and numbers."""
        content = content_words(words_of(text))
        exact = (
            [] if self.support.exact is None else words_of(" ".join(self.support.exact.of(text)))
        )
        return any(
            covered(content, before) >= _REPEATED and set(exact) <= set(before)
            for before in self._before
        )


def _is_inside(text: str) -> bool:
    """Whether it is written as if its reader had been there, or had the transcript."""
    return bool(_OF_ITSELF.match(text) or _FIRST_PERSON.search(text))


def _says_little(text: str, said: str) -> bool:
    """Whether a sentence says next to nothing of a phrase that says more."""
    count, of = (len(content_words(words_of(each))) for each in (text, said))
    return count < min(_FEWEST, of)


def _plain(text: str) -> str:
    """Without what leads up to a sentence."""
    plain = _ABOUT.sub("They discuss ", _LEAD.sub("", text))
    return plain[:1].upper() + plain[1:]


def quotation(phrase: Phrase) -> Statement:
    """A phrase word for word, between quotation marks, after the name of its speaker if known.

    What ends in the middle of a sentence is seen to do so.
    """
    text = phrase.text.strip().rstrip(",;:–- ")
    if not text.endswith(_ENDS):
        text += "…"
    return Statement(f"{_named(phrase)}“{text}”", (place(phrase),), quoted=True)


def place(phrase: Phrase) -> Passage:
    """Where a phrase stands, which is all that something was written from."""
    return Passage(phrase.span, 1.0, f"{_named(phrase)}{phrase.text}")


def _named(phrase: Phrase) -> str:
    return f"{phrase.speaker}: " if phrase.speaker else ""


def in_order(statements: Iterable[Statement]) -> list[Statement]:
    """Statements in the order of the places that they rest on most."""
    return sorted(statements, key=lambda each: each.evidence[0].span.start if each.evidence else 0)


def as_title(text: str) -> str:
    """A title as titles stand: one line, without quotes or a full stop."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    return first.strip(" \"'“”*#.").removeprefix("Title:").strip()
