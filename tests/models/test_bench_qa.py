"""The question bench on a model that knows exactly the words it has read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.answering.answerability import Answerability
from fls_models.answering.readers.text import TextReader
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.caches.transcripts import TranscriptCache
from fls_models.bench.qa import report as qa_report
from fls_models.bench.qa.conditions import NO_AUDIO, TRUE, TextInputs
from fls_models.bench.qa.items import Item, load_items, stranger, true_transcript
from fls_models.bench.qa.qa import QaBench
from fls_models.bench.scoring.bootstrap import share
from fls_models.bench.scoring.facts import holds_fact
from fls_models.core.results import Sentence, Word
from fls_models.errors import UsageError
from fls_models.lslm.context_cache import ContextCache
from fls_models.weights.thresholds import Thresholds

DAYS = ["Saturday", "Sunday", "Friday", "Wednesday"]


@dataclass
class Knowing:
    """A language model to whom the words it has read are likely and all others are not."""

    words: list[str] = field(default_factory=list)
    reads: int = 0
    context_form = "words"

    def tokenize(self, text: str) -> list[int]:
        for word in text.split():
            if word not in self.words:
                self.words.append(word)
        return [self.words.index(word) for word in text.split()]

    def embed(self, tokens) -> torch.Tensor:
        return torch.tensor(list(tokens), dtype=torch.float32).reshape(-1, 1)

    def read(self, prompt, recording, *, rope_scale=1.0, text=""):
        self.reads += 1
        ids = [int(token) for token in recording.flatten()]
        return SimpleNamespace(ids=ids, tokens=len(ids), bytes=0)

    def scores(self, context, request, replies) -> list[torch.Tensor]:
        return [-self.surprisal(context, reply) for reply in replies]

    def surprisal(self, context, text, lead="") -> torch.Tensor:
        plain = {self.words[i].strip(".,?").lower() for i in context.ids}
        known = [word.strip(".,?").lower() in plain for word in text.split()]
        return torch.tensor([1.0 if one else 3.0 for one in known])

    def choose(self, context, request, options) -> str:
        return options[0]

    def generate(self, context, request, *, max_tokens, temperature, seed, exchanges=()):
        yield " ".join(self.words[i] for i in context.ids[:max_tokens])


class Reciter:
    """Hears what stands in the file, sentence by sentence, five seconds each."""

    language = "en"
    until = 0.0

    def sentences(self, blocks, effort, *, language=None):
        text = "".join(chr(int(sample)) for block in blocks for sample in block)
        for index, sentence in enumerate(text.split(". ")):
            times = (5.0 * index, 5.0 * index + 5)
            yield Sentence(tuple(Word(*times, f" {word}", 1.0) for word in f"{sentence}.".split()))
            self.until = times[1]


def spelled(path: Path):
    yield np.array([ord(letter) for letter in path.read_text()], dtype=np.float32)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    texts = {
        "market": "We meet today. The market moves to Saturday in May. Julia prints signs",
        "clock": "Look up there. The old clock of the harbor is four minutes fast on purpose",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    lines = [
        {
            "id": "market",
            "audio": "market.txt",
            "turns": [{"speaker": "a", "text": f"{texts['market']}."}],
            "question": "To which day the market moves in May?",
            "choices": DAYS,
            "answer": 0,
        },
        {
            "id": "clock",
            "audio": "clock.txt",
            "text": f"{texts['clock']}.",
            "question": "Is the old clock of the harbor slow?",
            "choices": ["broken since spring", "four minutes fast"],
            "answer": 1,
        },
    ]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return load_items(path)


def bench_of(items: list[Item], work: Path | None = None) -> tuple[QaBench, Knowing]:
    llm = Knowing()
    card = SimpleNamespace(
        name="knowing",
        reads_text=True,
        max_frames=1600,
        thresholds=Thresholds(0.7, 9.0),
        in_sight=True,
    )
    reads = ContextCache(llm)
    model = SimpleNamespace(
        card=card,
        language_model=llm,
        reads=reads,
        reads_by="text",
        reader=lambda heard: TextReader(llm, heard, card.max_frames),
        answerability=Answerability(reads),
    )
    given = TextInputs(model, TranscriptCache(Reciter, spelled, "x", work=work))
    return QaBench(given, items, ResultCache(work)), llm


def test_the_right_choice_is_the_likeliest_only_with_audio(items):
    bench, _ = bench_of(items)
    assert bench.likelihood(NO_AUDIO).right == [False, False]
    assert bench.likelihood("balanced").right == [True, True]
    assert bench.likelihood(TRUE).share.hits == 2


def test_likelihood_is_a_mean_so_that_length_does_not_count(items):
    bench, _ = bench_of(items)
    assert bench.likelihood(TRUE).likelihoods == ((-1.0, -3.0, -3.0, -3.0), (-3.0, -1.0))


def test_free_answers_are_judged_and_listed(items):
    bench, _ = bench_of(items)
    replies = bench.free("balanced", 1)
    assert len(replies.replies) == 1
    assert replies.share.hits == 1
    assert "Saturday" in replies.replies[0].text


def test_free_questions_are_spread_over_the_items(items):
    bench, _ = bench_of([items[0], items[0], items[1], items[1]])
    assert [reply.item.name for reply in bench.free(TRUE, 2).replies] == ["market", "clock"]
    assert len(bench.free(TRUE, 9).replies) == 4


def test_foreign_questions_are_caught_and_own_ones_are_not_lost(items):
    bench, _ = bench_of(items)
    refusals = bench.refusals("balanced")
    assert (refusals.caught.hits, refusals.caught.count) == (2, 2)
    assert (refusals.lost.hits, refusals.lost.count) == (0, 2)


def test_a_report_has_every_part_and_is_json(items):
    bench, _ = bench_of(items)
    report = qa_report.run(bench, "knowing", 2, ["fast", "balanced"], 2, True)
    found = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert list(found["likelihood"]) == [NO_AUDIO, "fast", "balanced", TRUE]
    assert list(found["free"]) == ["fast", "balanced", TRUE]
    assert list(found["refusals"]) == ["fast", "balanced"]
    assert found["listening"]["fast"]["audio_seconds"] == 25.0
    assert len(found["free"]["fast"]["answers"]) == 2


def test_without_budgets_the_text_is_enough(items):
    bench, _ = bench_of([Item(**{**vars(item), "audio": None}) for item in items])
    report = qa_report.run(bench, "knowing", 2, [], 2, True)
    assert [one.condition for one in report.choices] == [NO_AUDIO, TRUE]
    assert [one.condition for one in report.refusals] == [TRUE]


def test_a_second_run_computes_nothing(items, tmp_path: Path):
    first, _ = bench_of(items, tmp_path / "work")
    once = qa_report.run(first, "knowing", 2, ["balanced"], 2, True)
    second, llm = bench_of(items, tmp_path / "work")
    assert qa_report.run(second, "knowing", 2, ["balanced"], 2, True) == once
    assert llm.reads == 0


@pytest.mark.parametrize(
    ("answer", "held"),
    [
        ("It moves to Saturday.", True),
        ("On Sunday.", False),
        ("Either Saturday or Sunday.", False),
        ("The recording does not say.", False),
        ("", False),
    ],
)
def test_a_word(answer: str, held: bool):
    assert holds_fact(answer, "To which day does it move?", DAYS, 0) is held


@pytest.mark.parametrize(
    ("answer", "held"),
    [
        ("About thirty percent more likely.", True),
        ("30% more.", True),
        ("They are more likely to retain it.", False),
        ("It is 20 percent, not 30 percent.", False),
        ("300 percent", False),
    ],
)
def test_a_number(answer: str, held: bool):
    question = "How much more likely are readers to retain it?"
    choices = ["20% more likely", "40% more likely", "30% more likely"]
    assert holds_fact(answer, question, choices, 2) is held


@pytest.mark.parametrize(
    ("answer", "held"), [("20%", True), ("Twenty percent.", True), ("$20.", False), ("15%", False)]
)
def test_a_number_and_its_unit_are_two_words(answer: str, held: bool):
    choices = ["Outcomes worse by 20%", "Outcomes worse by 15%"]
    assert holds_fact(answer, "What were the outcomes?", choices, 0) is held


def test_one_is_a_number():
    choices = ["One session of fast walking", "A long sleep"]
    assert holds_fact("1 session of fast walking.", "What helps?", choices, 0)
    assert not holds_fact("Two sessions of fast walking.", "What helps?", choices, 0)


def test_words_with_one_stem_are_one():
    choices = ["A holographic choir", "An all-animal cast"]
    assert holds_fact("The choir was made of holograms.", "What was new?", choices, 0)
    assert not holds_fact("A choir of animals.", "What was new?", choices, 0)


def test_a_compound_may_be_two_words():
    assert holds_fact("It is Angel List.", "Which platform?", ["LinkedIn", "AngelList"], 1)
    assert not holds_fact("2 or 5", "How many?", ["25", "30"], 0)


def test_what_the_question_holds_does_not_count():
    choices = ["The clock stopped", "The clock was set fast"]
    question = "What happened to the clock?"
    assert not holds_fact("The clock.", question, choices, 0)
    assert holds_fact("It stopped.", question, choices, 0)


# No deadline: the first text loads transformers.
@settings(deadline=None)
@given(st.lists(st.text(min_size=1), min_size=2, max_size=4), st.text(), st.text())
def test_at_most_one_choice_is_held(choices: list[str], answer: str, question: str):
    held = [holds_fact(answer, question, choices, index) for index in range(len(choices))]
    assert sum(held) <= 1


def test_strangers_are_the_next_of_another_topic():
    def item(topic: str) -> Item:
        return Item(topic, topic[0], "text", "question", ("a", "b"), 0, None)

    around = [item("a1"), item("a2"), item("b1"), item("a3")]
    found = [stranger(around, index) for index in range(4)]
    assert [one and one.name for one in found] == ["b1", "b1", "a3", "b1"]
    assert stranger([item("a1"), item("a2")], 0) is None


def test_a_written_transcript_has_the_texts_sentences(items):
    transcript = true_transcript(items[0])
    assert transcript.text == items[0].text
    assert len(transcript.sentences) == 3


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_intervals_hold_the_share_and_do_not_vary(outcomes: list[bool]):
    found = share(outcomes)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert share(outcomes[::-1]) == found


def test_the_interval_of_a_half():
    found = share([True, False] * 50)
    assert found.low == pytest.approx(0.40, abs=0.015)
    assert found.high == pytest.approx(0.60, abs=0.015)


def test_the_share_of_nothing():
    assert str(share([])) == "-"
    assert share([]).as_json()["share"] is None


@pytest.mark.parametrize(
    "change",
    [{"question": ""}, {"choices": ["a"]}, {"answer": 4}, {"answer": "c"}, {"text": None}],
)
def test_items_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, object]):
    raw = {"id": "x", "text": "Hm.", "question": "Why?", "choices": ["a", "b"], "answer": 0}
    path = tmp_path / "items.jsonl"
    changed = {key: value for key, value in (raw | change).items() if value is not None}
    path.write_text(json.dumps(changed))
    with pytest.raises(UsageError, match="line 1"):
        load_items(path)
