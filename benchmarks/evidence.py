"""How often the evidence of an answer is the right place, and what finding it costs.

    python benchmarks/evidence.py spoken/dev.jsonl [--joined 8] [--read frames] [--work DIR]

Items are those of SPIRAL (arXiv 2412.12009) with `audio`, as `benchmarks/speak.py` writes them;
each has a `key_sentence`, in which the answer lies. Every question is put as `fls ask` puts it. Of
those that are answered correctly (`fls_models/bench/scoring/facts.py`), the first passage is right
if it shares at least half of itself, or of the key sentence, with the key sentence, whose times are
those of the words that Whisper heard of it. No passage is longer than 30 s. With `--joined N`, N
recordings are one, and the others in it are what the right one is hidden in.

Two ways are compared, on the same answers:

* attention: where the language model looks as it writes the answer
  (`fls_models/answering/evidence.py`).
* gain: the recording in stretches of whole sentences, some 20 s each; the one that makes the answer
  likeliest if the model may look at nothing else, log p(answer | stretch) - log p(answer |
  nothing). The stretch is not read anew: its keys and values are those made in reading all.

`--gains N` tries the second way on the first N questions only.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from checkout import located
from numpy.typing import NDArray

from fls_cli.sources.decode import decode
from fls_cli.storage.cache import CacheAdapter, DiskCache
from fls_models.answering.answerer import Answerer, ScoredQuestion
from fls_models.answering.generation import GenerationConfig
from fls_models.answering.readers.text import ModelInput
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.qa.items import Item, load_items
from fls_models.bench.scoring.estimates import mean
from fls_models.bench.scoring.facts import holds_fact
from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.results import Span, Transcript, Word
from fls_models.core.text.normalizer import normalise
from fls_models.lslm import prompts
from fls_models.lslm.kv_cache import KVContext, KVLayer
from fls_models.pipelines.base import Pipeline
from fls_models.pipelines.cascade import CascadeModel
from fls_models.pipelines.mini import MiniFrameModel

STRETCH = 20.0
# Of a key sentence's words, how many must be found in the transcript to know when it is said.
FOUND = 0.5
CACHE = 20 * 10**9


@dataclass(frozen=True)
class Row:
    """One question: where its key sentence is, what was answered, and the first place each way."""

    name: str
    correct: bool
    answer: str
    key: tuple[float, float] | None
    attention: tuple[float, float] | None = None
    shown: int = 0
    gain: tuple[float, float] | None = None
    answer_seconds: float = 0.0
    attention_seconds: float = 0.0
    gain_seconds: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description="How often evidence is the right place.")
    parser.add_argument("items", type=Path, metavar="ITEMS.jsonl")
    parser.add_argument("--joined", type=int, default=1, metavar="N", help="recordings in one")
    parser.add_argument("--read", choices=("text", "frames"), default="text")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--gains", type=int, metavar="N", help="so many questions the second way")
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="keep results, go on from there"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows here")
    arguments = parser.parse_args()
    memory: Cache = NULL_CACHE
    if arguments.work:
        memory = CacheAdapter(DiskCache(arguments.work / "heard", CACHE))
    parts = located(arguments.model)
    listener = CascadeModel(parts, memory)
    model = listener if arguments.read == "text" else MiniFrameModel(parts)
    keys = [json.loads(line)["key_sentence"] for line in arguments.items.read_text().splitlines()]
    items = list(zip(load_items(arguments.items), keys, strict=True))
    cache = ResultCache(arguments.work)
    rows: list[Row] = []
    max_gains = len(items) if arguments.gains is None else arguments.gains
    for group in grouped(items, arguments.joined):
        talk = Talk(model, listener, group)
        for place in range(len(group)):
            gain = len(rows) < max_gains
            mark = [model.card.name, arguments.read, [item.name for item, _ in group], place, gain]
            rows.append(Row(**cache.get(mark, partial(talk.row, place, gain))))
            print(f"\r{len(rows)} of {len(items)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    report(rows)


def grouped(items: Sequence[tuple[Item, str]], count: int) -> Iterator[list[tuple[Item, str]]]:
    """So many at a time, from all over the file; what is left over goes with the last."""
    talks = max(1, len(items) // count)
    yield from (list(items[start::talks]) for start in range(talks))


class Talk:
    """Recordings one after the other, heard as one when the first question comes."""

    def __init__(
        self, model: Pipeline, listener: Pipeline, items: Sequence[tuple[Item, str]]
    ) -> None:
        self._model, self._listener, self._items = model, listener, items
        self._starts: list[float] = []
        self._asking: Answerer | None = None
        self._words: tuple[Word, ...] = ()

    def row(self, place: int, gain: bool) -> dict[str, Any]:
        """Asks one question and finds its evidence: the fields of its `Row`."""
        asking, item = self._heard(), self._items[place][0]
        begun = perf_counter()
        scored = asking.score(item.question, at_once=True)
        answer = asking.answer_scored(scored)
        seconds = perf_counter() - begun - answer.usage.seconds.get("evidence", 0.0)
        correct = answer.answered and holds_fact(
            answer.answer, item.question, item.choices, item.answer
        )
        key = self._key(place)
        row = asdict(Row(item.name, correct, answer.answer, key, answer_seconds=seconds))
        if not answer.evidence:
            return row
        first = answer.evidence[0].span
        row |= {
            "attention": (first.start, first.end),
            "shown": len(answer.evidence),
            "attention_seconds": answer.usage.seconds["evidence"],
        }
        if gain and correct:
            begun = perf_counter()
            best = self._likeliest(asking, scored, answer.answer)
            row |= {"gain": (best.start, best.end), "gain_seconds": perf_counter() - begun}
        return row

    def _heard(self) -> Answerer:
        if self._asking is None:
            transcript = self._listener.listen(self._blocks()).heard
            assert isinstance(transcript, Transcript)
            self._words = transcript.words
            recording: Any = transcript
            if self._model is not self._listener:
                recording = self._model.listen(self._blocks()).heard
            self._asking = Answerer(
                self._model,
                "",
                recording,
                heard_in={},
                budget=recording.heard_for,
                generation=GenerationConfig(),
                evidence=3,
            )
        return self._asking

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        samples, self._starts = 0, []
        for item, _ in self._items:
            assert item.audio is not None, "benchmarks/speak.py speaks the items"
            self._starts.append(samples / SAMPLE_RATE)
            for block in decode(item.audio):
                samples += len(block)
                yield block
        self._starts.append(samples / SAMPLE_RATE)

    def _key(self, place: int) -> tuple[float, float] | None:
        """When a key sentence is said, by the words that Whisper heard of it."""
        start, end = self._starts[place], self._starts[place + 1]
        words = [word for word in self._words if start <= word.start < end]
        word_times = [(text, word) for word in words for text in normalise(word.text).split()]
        sentence = normalise(self._items[place][1]).split()
        texts = [text for text, _ in word_times]
        matcher = difflib.SequenceMatcher(None, texts, sentence, autojunk=False)
        places = [block.a + i for block in matcher.get_matching_blocks() for i in range(block.size)]
        if len(places) < FOUND * len(sentence):
            return None
        # "The" is found anywhere: what is far from most is another one.
        middle = places[len(places) // 2]
        near = [place for place in places if abs(place - middle) <= len(sentence)]
        return word_times[near[0]][1].start, word_times[near[-1]][1].end

    def _likeliest(self, asking: Answerer, scored: ScoredQuestion, reply: str) -> Span:
        llm: Any = self._model.language_model
        request = prompts.question(scored.question)
        best: tuple[float, Span] | None = None
        for reading in scored.speaking:
            context: Any = asking._read(reading)
            first = len(llm.opening(context.prompt))
            before = list(range(first))
            nothing = _likely(llm, _only(context, before), request, reply)
            for rows in _stretches(reading):
                positions = [*before, *(first + row for row in rows)]
                gain = _likely(llm, _only(context, positions), request, reply) - nothing
                if best is None or gain > best[0]:
                    start, end = reading.spans[rows[0], 0], reading.spans[rows[-1], 1]
                    best = gain, Span(float(start), float(end))
        assert best is not None, "what was answered was read"
        return best[1]


def _only(context: KVContext, positions: Sequence[int]) -> KVContext:
    """A context with some of its positions alone."""
    indices = list(positions)
    layers = (
        KVLayer(keys[:, :, indices], values[:, :, indices]) for keys, values in context.keys_values
    )
    return KVContext(tuple(layers), context.prompt, context.rope_scale)


def _likely(llm: Any, context: KVContext, request: str, reply: str) -> float:
    return float(llm.scores(context, request, [reply])[0].mean())


def _stretches(reading: ModelInput) -> Iterator[range]:
    first, *phrases = reading.phrases
    rows, start = first.rows, first.span.start
    for phrase in phrases:
        if phrase.span.end - start > STRETCH:
            yield rows
            rows, start = phrase.rows, phrase.span.start
        rows = range(rows.start, phrase.rows.stop)
    yield rows


def is_right(span: tuple[float, float], key: tuple[float, float]) -> bool:
    shared = max(0.0, min(span[1], key[1]) - max(span[0], key[0]))
    return shared >= 0.5 * min(span[1] - span[0], key[1] - key[0])


def report(rows: Sequence[Row]) -> None:
    correct = [row for row in rows if row.correct]
    sure = [row for row in correct if row.key is not None]
    print(f"{len(rows)} questions, {len(correct)} answered correctly")
    if len(sure) < len(correct):
        print(f"{len(correct) - len(sure)} of them left out: their key sentence was not understood")
    for way in ("attention", "gain"):
        tried = [row for row in sure if getattr(row, way) is not None]
        right = mean([float(is_right(getattr(row, way), row.key)) for row in tried])  # type: ignore[arg-type]
        if right is None:
            continue
        seconds = sum(getattr(row, f"{way}_seconds") for row in tried)
        answering = sum(row.answer_seconds for row in tried)
        length = sum(getattr(row, way)[1] - getattr(row, way)[0] for row in tried) / len(tried)
        print(
            f"{way}: right in {100 * right.value:.1f} % [{100 * right.low:.1f}, "
            f"{100 * right.high:.1f}] of {right.count}; {length:.1f} s long; "
            f"{seconds / len(tried):.2f} s beside {answering / len(tried):.2f} s for the answer to "
            f"a recording that is known ({100 * seconds / answering:.0f} %)"
        )
    counts = [row.shown for row in sure]
    print(f"passages shown of at most 3: {sum(counts) / max(1, len(counts)):.2f} on average")


if __name__ == "__main__":
    main()
