"""The bench of methods on a tiny FastLongSpeech with random weights, and on what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from answer_flops import ModelDims, answer_cost
from tiny_checkpoints import CTC_TOKENS, write_fastlongspeech
from tiny_hearing import babble, blocks_of, converted
from tiny_talk import sentence
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fls_models.bench.caches.results import ResultCache
from fls_models.bench.caches.transcripts import TranscriptCache
from fls_models.bench.longspeech import passes as read_passes
from fls_models.bench.longspeech.encoded_recording import (
    WindowFrames,
    encode_recording,
    passes_to_ask,
    passes_to_write,
)
from fls_models.bench.longspeech.evaluate import LongSpeechEval
from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.measure import Measuring
from fls_models.bench.longspeech.measurement import Row
from fls_models.bench.longspeech.methods import METHODS, Length, lengths_of, methods_named
from fls_models.core.budget import PAPER, Budget
from fls_models.errors import InputError, UsageError
from fls_models.extractor.density import density_from
from fls_models.extractor.fusion import training_schedule
from fls_models.lslm import prompts
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.mini.connector import Connector, Shape
from fls_models.pipelines.large import LargeFrameModel
from fls_models.planning.flops import HeadDims
from fls_models.planning.hearing_flops import hearing_dims_of
from fls_models.weights.large import InstalledFrames, card_of

SAID = ("Copper Bay planted trees.", "They stand along the streets.")
FUSED = [name for name, method in METHODS.items() if method.reads == "fused"]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LargeFrameModel:
    released = tmp_path_factory.mktemp("released")
    write_fastlongspeech(released)
    folder = converted(released, tmp_path_factory.mktemp("converted") / "model")
    card = card_of("qwen2_audio", {}, adapter=True)
    return LargeFrameModel(InstalledFrames(card, folder, "float32"))


@pytest.fixture(scope="module")
def recording(model: LargeFrameModel) -> WindowFrames:
    """70 s: 1750 frames in three windows."""
    ticks = iter(range(99))
    return encode_recording(
        model.language_model, blocks_of(babble(70)), lambda: float(next(ticks)), lambda: 5
    )


def length(number: int) -> Length:
    return lengths_of([str(number)], [])[0]


def smaller(model: LargeFrameModel, **changes: Any) -> LargeFrameModel:
    other = LargeFrameModel(replace(model._installed, card=replace(model.card, **changes)))
    other.__dict__["language_model"] = model.language_model
    return other


def test_a_recording_is_encoded_whole(recording: WindowFrames) -> None:
    assert (len(recording.frames), recording.windows, recording.duration) == (1750, 3, 70)
    assert (recording.seconds, recording.peak) == (1.0, 5)


def test_a_recording_without_a_frame(model: LargeFrameModel) -> None:
    with pytest.raises(InputError, match="no audio"):
        encode_recording(model.language_model, [babble(0.01)], lambda: 0.0, lambda: 0)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("number", [750, 400, 200, 100, 50, 25, 12])
def test_every_method_gives_exactly_the_frames_it_is_asked_for(
    model: LargeFrameModel, recording: WindowFrames, name: str, number: int
) -> None:
    density = density_from(model.language_model.blank_probability)
    wanted = min(1750, round(number * 70 / 30))
    [one] = passes_to_ask(recording, METHODS[name], length(number), density, 10_000)
    assert (len(one.hidden), one.before) == (wanted, 1750)
    windows = passes_to_write(recording, METHODS[name], length(number), density)
    assert [len(part.hidden) for part in windows] == [number, number, round(number / 3)]
    parts = passes_to_ask(recording, METHODS[name], length(number), density, 150)
    assert len(parts) == -(-wanted // 150)
    assert sum(len(part.hidden) for part in parts) == wanted
    assert max(len(part.hidden) for part in parts) <= 150
    assert sum(part.before for part in parts) == 1750


def test_fusion_is_what_listening_does(model: LargeFrameModel, recording: WindowFrames) -> None:
    density = density_from(model.language_model.blank_probability)
    for seconds in (70, 20):
        heard = model.hear(blocks_of(babble(seconds)), Budget(target_length=133))
        whole = encode_recording(
            model.language_model, blocks_of(babble(seconds)), lambda: 0.0, lambda: 0
        )
        asked = Length("", 133 * 30 / seconds, 0)
        [one] = passes_to_ask(whole, METHODS["fusion"], asked, density, 9999)
        torch.testing.assert_close(one.hidden, heard.sections[0].hidden, rtol=0, atol=1e-5)


def test_methods_that_do_not_weigh_never_ask_the_head(recording: WindowFrames) -> None:
    def head(hidden: torch.Tensor) -> torch.Tensor:
        raise AssertionError("asked")

    for name in ("random", "avgpool", "mostsim", "no-density"):
        passes_to_ask(recording, METHODS[name], length(50), head, 9999)
    with pytest.raises(AssertionError, match="asked"):
        passes_to_ask(recording, METHODS["fusion"], length(50), head, 9999)


def test_names_and_lengths_that_there_are_not() -> None:
    assert [one.name for one in methods_named(["random", "fusion", "random"])] == [
        "random",
        "fusion",
    ]
    with pytest.raises(UsageError, match="no method magic; there are: fusion, random"):
        methods_named(["magic"])
    for text in ("0", "-3", "ten"):
        with pytest.raises(UsageError, match="from 1 up"):
            lengths_of([text], [])
    with pytest.raises(UsageError, match="no budget 'vast'"):
        lengths_of([], ["vast"])
    for budget in lengths_of([], ["fast", "balanced", "accurate"]):
        for seconds in (1.0, 33.0, 600.0):
            for task in ("ask", "transcribe"):
                expected = Budget(budget.label).frames(seconds, task)
                assert budget.frames(seconds, task) == expected
    rates = replace(PAPER, ask={"fast": 30, "balanced": 60, "accurate": 90})
    [budget] = lengths_of([], ["fast"], rates)
    assert (budget.frames(60, "ask"), budget.frames(60, "transcribe")) == (60, 400)


# Measuring


@pytest.fixture(autouse=True)
def warm() -> Iterator[pytest.MonkeyPatch]:
    """Nobody warms up, where encodings and readings are counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Measuring, "_warm_up", lambda *_, **__: None)
        yield patch


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows were encoded, call by call."""
    found: list[int] = []
    original = LargeSpeechLM.encode

    def encode(self: LargeSpeechLM, features: Any) -> Any:
        found.append(len(features))
        return original(self, features)

    monkeypatch.setattr(LargeSpeechLM, "encode", encode)
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, int, float]]:
    """What the language model read: whether sound, how many embeddings, how far stretched."""
    found: list[tuple[bool, int, float]] = []
    original = LargeSpeechLM.read

    def read(
        self: LargeSpeechLM,
        prompt: prompts.Prompt,
        recording: Any,
        *,
        rope_scale: float = 1.0,
        text: str = "",
    ):
        found.append((prompt.audio, len(recording), rope_scale))
        return original(self, prompt, recording, rope_scale=rope_scale, text=text)

    monkeypatch.setattr(LargeSpeechLM, "read", read)
    return found


class Ear:
    """Hears its sentences in anything."""

    language = "en"
    until = 8.0

    def __init__(self) -> None:
        self.efforts: list[str] = []

    def sentences(self, blocks: Any, budget: str, *, language: str | None = None):
        self.efforts.append(budget)
        list(blocks)
        for index, text in enumerate(SAID):
            yield sentence(text, 4.0 * index)


def item(folder: Path, name: str = "a", **more: Any) -> SpokenItem:
    """About a file; `decode` makes sound of its name, and its bytes tell it from others."""
    audio = folder / f"{name}.wav"
    audio.write_text(name)
    given = {"question": "What is it about?", "answer": "Trees.", **more}
    return SpokenItem(f"{name}-{given['question']}", audio, **given)


def decode(audio: Path) -> Iterator[np.ndarray]:
    return blocks_of(babble(8, seed=ord(audio.stem[0])))


def bench(model: LargeFrameModel, work: Path | None = None, **how: Any) -> LongSpeechEval:
    given = {"max_tokens": 4, **how}
    return LongSpeechEval(model, decode, ResultCache(work), **given)


def only(rows: list[Row]) -> Row:
    [row] = rows
    return row


def test_what_is_done_but_once_is_done_before(
    model: LargeFrameModel, tmp_path: Path, encoded: list[int], reads: list[Any], warm: Any
) -> None:
    warm.undo()
    given = [item(tmp_path)], methods_named(["fusion"]), [length(50)]
    bench(model, tmp_path).run(*given)
    assert (encoded, [count for _, count, _ in reads]) == ([1, 1], [25, 13])
    bench(model, tmp_path).run(*given)
    assert len(encoded) == 2


def test_one_encoding_serves_all_methods_lengths_and_questions(
    model: LargeFrameModel, tmp_path: Path, encoded: list[int]
) -> None:
    items = [
        item(tmp_path, "a"),
        item(tmp_path, "b", choices=("Trees.", "Cars."), correct=0),
        item(tmp_path, "a", question="Who speaks?"),
    ]
    methods = methods_named(["fusion", "random", "uncompressed"])
    rows = bench(model).run(items, methods, lengths_of(["200", "50"], []))
    assert encoded == [1, 1]
    assert len(rows) == 3 * 5
    shown = {(one.method.name, one.length and one.length.label): one for one in rows}
    assert {key: one.measurement.frames for key, one in shown.items()} == {
        ("fusion", "200"): 53,
        ("fusion", "50"): 13,
        ("random", "200"): 53,
        ("random", "50"): 13,
        ("uncompressed", None): 200,
    }
    for row in rows:
        found = row.measurement
        assert found.fits
        assert (found.duration, found.before, found.passes) == (8, 200, 1)
        assert found.text is not None
        assert found.hear > 0
        assert found.read > 0
        assert found.reply > 0
        assert found.peak > 10**7
        assert found.seconds == found.hear + found.fuse + found.read + found.reply
        assert found.first is None or 0 < found.first <= found.reply
        assert (found.likelihoods is None) is (not row.item.choices)
    hears = {row.item.audio: set() for row in rows}
    for row in rows:
        hears[row.item.audio].add(row.measurement.hear)
    assert all(len(each) == 1 for each in hears.values())


@pytest.mark.parametrize("replies", [True, False])
def test_questions_about_a_recording_share_one_reading(
    model: LargeFrameModel, tmp_path: Path, reads: list[Any], replies: bool
) -> None:
    choices = {"choices": ("Trees.", "Cars."), "correct": 0}
    first = item(tmp_path, "a", **choices)
    items = [first, item(tmp_path, "b"), item(tmp_path, "a", question="Who speaks?", **choices)]
    methods = methods_named(["fusion", "avgpool"])
    rows = bench(model, replies=replies).run(items, methods, [length(50)])
    assert len(rows) == 6
    assert [count for _, count, _ in reads] == [13] * 4
    for method in methods:
        two = [row for row in rows if row.item.audio == first.audio and row.method == method]
        assert [row.item.question for row in two] == [first.question, "Who speaks?"]
        took = {(row.measurement.fuse, row.measurement.read) for row in two}
        assert len(took) == 1
        assert min(row.measurement.peak for row in two) > 10**7
    # A question that is asked alone is told the same.
    alone = bench(model, replies=replies).run([items[2]], methods[:1], [length(50)])
    shared = next(row for row in rows if row.item == items[2] and row.method == methods[0])
    assert only(alone).measurement.likelihoods == shared.measurement.likelihoods
    assert only(alone).measurement.flops == shared.measurement.flops


def test_passes_are_held_as_far_as_there_is_room(
    model: LargeFrameModel, tmp_path: Path, reads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = {"choices": ("Trees.", "Cars."), "correct": 0}
    items = [item(tmp_path, "a", question=one, **choices) for one in ("Where?", "When?")]
    given = items, methods_named(["fusion"]), [length(50)]
    narrow = smaller(model, max_frames=5)
    ample = bench(narrow, replies=False).run(*given)
    assert sorted(count for _, count, _ in reads) == [4, 4, 5]
    monkeypatch.setattr(read_passes, "_HELD", 1)
    del reads[:]
    scarce = bench(narrow, replies=False).run(*given)
    assert len(reads) == 6
    for one, other in zip(ample, scarce, strict=True):
        assert one.measurement.likelihoods == other.measurement.likelihoods
    took = {row.measurement.read for row in scarce}
    # A pass that is read again is not counted again.
    assert len(took) == 1


def test_operations_are_those_of_the_formula(model: LargeFrameModel, tmp_path: Path) -> None:
    llm = model.language_model
    both = SimpleNamespace(audio_config=llm._tower.config, text_config=llm.body.config)
    dims = ModelDims.from_config(both, HeadDims(CTC_TOKENS + 1))
    methods = methods_named(["fusion", "avgpool"])
    fused, pooled = bench(model).run([item(tmp_path)], methods, [length(50)])
    found = fused.measurement
    cost = answer_cost(
        dims, 1, 200, training_schedule(200, 13), found.read_tokens - 13, found.written_tokens
    )
    assert found.flops == cost.total
    # Neither head nor comparisons.
    found = pooled.measurement
    cost = answer_cost(
        dims, 1, 200, training_schedule(200, 13), found.read_tokens - 13, found.written_tokens
    )
    assert found.flops == cost.total - cost.head - cost.fusion


def test_operations_of_a_connector_are_those_that_torch_counts() -> None:
    torch.manual_seed(0)
    shape = Shape(512, 64, 2, 4, 5, 96, 30, 48)
    dims = hearing_dims_of(SimpleNamespace(config=SimpleNamespace(shape=shape)))
    assert dims is not None
    assert (dims.encoder.width, dims.encoder.layers, dims.width) == (512, 6, 64)
    connector = Connector(shape).eval()
    table = torch.randn(30, 48)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as count:
        hidden = connector.adapter(torch.randn(1, 1500, 512))[0]
    assert dims.adapter == pytest.approx(count.get_total_flops(), rel=0.01)
    with torch.no_grad(), FlopCounterMode(display=False) as count:
        connector.embeddings(hidden[:100], table)
    assert 100 * dims.projector == pytest.approx(count.get_total_flops(), rel=0.01)
    strange = SimpleNamespace(config=SimpleNamespace(shape=replace(shape, encoder_width=100)))
    assert hearing_dims_of(strange) is None
    assert hearing_dims_of(object()) is None


def test_an_interrupted_bench_does_nothing_twice(
    model: LargeFrameModel, tmp_path: Path, encoded: list[int], reads: list[Any]
) -> None:
    items = [item(tmp_path, "a"), item(tmp_path, "b")]
    methods, lengths = methods_named(["fusion", "avgpool"]), lengths_of(["100", "25"], [])

    def stop(stage: str, done: float, total: float | None) -> None:
        assert total == 8
        if done == 5:
            raise KeyboardInterrupt

    work = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        bench(model, work, progress=stop).run(items, methods, lengths)
    assert (len(encoded), len(reads)) == (2, 5)
    rows = bench(model, work).run(items, methods, lengths)
    # The second recording is heard again: its states were not kept.
    assert (len(encoded), len(reads)) == (3, 8)
    again = bench(model, work).run(items, methods, lengths)
    assert (len(encoded), len(reads)) == (3, 8)
    assert [row.measurement for row in again] == [row.measurement for row in rows]
    # Whatever a reply depends on makes another of it.
    bench(model, work, max_tokens=3).run(items[:1], methods[:1], lengths[:1])
    assert len(reads) == 9
    bench(model, work).run([replace(items[0], question="Why?")], methods[:1], lengths[:1])
    assert len(reads) == 10
    items[0].audio.write_text("another recording")
    bench(model, work).run(items[:1], methods[:1], lengths[:1])
    assert len(reads) == 11
    bench(smaller(model, max_frames=20), work).run(items[:1], methods[:1], lengths[:1])
    assert len(reads) > 11


def test_all_frames_with_and_without_a_stretched_window(
    model: LargeFrameModel, tmp_path: Path, reads: list[Any]
) -> None:
    short = smaller(model, window=600)
    rows = bench(short).run(
        [item(tmp_path)], methods_named(["uncompressed", "ntk-rope"]), [length(9)]
    )
    plain, stretched = (row.measurement for row in rows)
    assert (plain.fits, plain.text, plain.frames) == (False, None, 0)
    assert (stretched.fits, stretched.frames) == (True, 200)
    assert reads == [(True, 200, 900 / 600)]
    # Beyond eight times it is not tried.
    far = bench(smaller(model, window=100)).run(
        [item(tmp_path)], methods_named(["ntk-rope"]), [length(9)]
    )
    assert not only(far).measurement.fits
    # With room for all, both are the same.
    both = bench(model).run(
        [item(tmp_path)], methods_named(["uncompressed", "ntk-rope"]), [length(9)]
    )
    assert both[0].measurement.text == both[1].measurement.text
    assert reads[1:] == [(True, 200, 1.0), (True, 200, 1.0)]


def test_what_is_read_is_what_was_projected(model: LargeFrameModel, tmp_path: Path) -> None:
    """The reply of the bench against the same steps by hand."""
    llm = model.language_model
    row = only(
        bench(model, max_tokens=6).run(
            [item(tmp_path)], methods_named(["uncompressed"]), [length(9)]
        )
    )
    whole = encode_recording(llm, decode(tmp_path / "a.wav"), lambda: 0.0, lambda: 0)
    context = llm.read(prompts.ASK.heard(), llm.project(whole.frames.hidden))
    request = prompts.question("What is it about?")
    pieces = llm.generate(context, request, max_tokens=6, temperature=0.0, seed=0)
    assert row.measurement.text == "".join(pieces).strip()


def test_likelihoods_are_means_of_the_models_own(model: LargeFrameModel, tmp_path: Path) -> None:
    choices = ("the trees along the road", "cars")
    given = item(tmp_path, choices=choices, correct=1)
    [row] = bench(model).run([given], methods_named(["avgpool"]), [length(50)])
    llm = model.language_model
    whole = encode_recording(llm, decode(tmp_path / "a.wav"), lambda: 0.0, lambda: 0)
    hidden = METHODS["avgpool"].compress(whole.frames, 13, lambda h: torch.ones(len(h))).hidden
    context = llm.read(prompts.ASK.heard(), llm.project(hidden))
    request = prompts.question("What is it about?")
    expected = [float(llm.scores(context, request, [choice])[0].mean()) for choice in choices]
    assert row.measurement.likelihoods == pytest.approx(expected)


def test_several_passes_are_merged(
    model: LargeFrameModel, tmp_path: Path, reads: list[Any]
) -> None:
    narrow = smaller(model, max_frames=20)
    [row] = bench(narrow).run([item(tmp_path)], methods_named(["fusion"]), [length(200)])
    assert row.measurement.passes == 3
    assert row.measurement.frames == 53
    sound = [count for audio, count, _ in reads if audio]
    assert len(sound) == 3
    assert sum(sound) == 53
    # Notes of them are read as text.
    assert any(not audio for audio, _, _ in reads)


def test_transcripts_are_written_window_by_window(
    model: LargeFrameModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Any]
) -> None:
    replies = iter(["The person says: 'Hello there.'", "Goodbye.", ""])
    asked: list[str] = []

    def generate(self: Any, context: Any, request: str, **how: Any) -> Iterator[str]:
        asked.append(request)
        return iter([next(replies)])

    monkeypatch.setattr(LargeSpeechLM, "generate", generate)
    given = item(tmp_path, task="asr", transcript="hello there goodbye")
    found = LongSpeechEval(model, lambda _: blocks_of(babble(70)), ResultCache(None)).run(
        [given], methods_named(["fusion"]), [length(200)]
    )
    assert only(found).measurement.text == "Hello there. Goodbye."
    assert [count for _, count, _ in reads] == [200, 200, 67]
    assert asked == [prompts.transcription(None)] * 3


def test_without_replies_only_choices_are_scored(
    model: LargeFrameModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def generate(*_: Any, **__: Any) -> Iterator[str]:
        raise AssertionError("nothing is to be written")

    monkeypatch.setattr(LargeSpeechLM, "generate", generate)
    given = item(tmp_path, choices=("x", "y"), correct=0)
    row = only(bench(model, replies=False).run([given], methods_named(["fusion"]), [length(50)]))
    assert (row.measurement.text, row.measurement.first, row.measurement.reply) == (None, None, 0.0)
    assert len(row.measurement.likelihoods or []) == 2
    assert row.measurement.read > 0
    assert row.measurement.flops


# The cascade


def test_the_cascade_reads_a_transcript_with_the_same_language_model(
    model: LargeFrameModel, tmp_path: Path, encoded: list[int], reads: list[Any]
) -> None:
    ear = Ear()
    hearing = TranscriptCache(lambda: ear, decode, "ear")
    items = [item(tmp_path), item(tmp_path, question="Who?"), item(tmp_path, task="asr")]
    rows = bench(model, hearing=hearing, encoder_fingerprint="tiny").run(
        items, methods_named(["cascade"]), lengths_of(["50", "25"], [])
    )
    # Once for each item, whatever lengths there are; heard once, and encoded by nobody.
    assert len(rows) == 3
    assert (ear.efforts, encoded) == (["balanced"], [])
    tokens = len(model.language_model.tokenize(" " + " ".join(SAID)))
    assert reads == [(False, tokens, 1.0)] * 2
    assert rows[0].measurement.frames == tokens
    assert rows[0].measurement.flops is None
    assert rows[0].measurement.hear > 0
    assert rows[2].measurement.text == " ".join(SAID)
    assert rows[2].measurement.read == 0


def test_the_cascade_hears_and_reads_as_budgets_pay_for(
    model: LargeFrameModel, tmp_path: Path
) -> None:
    efforts: list[str] = []

    class Hasty(Ear):
        def sentences(self, blocks: Any, budget: str, *, language: str | None = None):
            efforts.append(budget)
            for index in range(40):
                yield sentence(SAID[index % 2], 0.2 * index)

    hearing = TranscriptCache(Hasty, decode, "ear")
    names = ["fast", "accurate"]
    rows = bench(model, hearing=hearing).run(
        [item(tmp_path)], methods_named(["cascade"]), lengths_of(["50"], names)
    )
    assert [row.length.label for row in rows if row.length] == names == efforts
    assert rows[0].measurement.frames < rows[1].measurement.frames


def test_the_cascade_of_a_silent_recording(model: LargeFrameModel, tmp_path: Path) -> None:
    ear = Ear()
    ear.sentences = lambda *_, **__: iter(())  # type: ignore[method-assign]
    hearing = TranscriptCache(lambda: ear, decode, "ear")
    rows = bench(model, hearing=hearing).run(
        [item(tmp_path)], methods_named(["cascade"]), [length(9)]
    )
    assert only(rows).measurement.text is not None


def test_a_model_that_reads_text_has_the_cascade_only(
    model: LargeFrameModel, tmp_path: Path
) -> None:
    text = smaller(model)
    text.reads_by = "text"
    with pytest.raises(UsageError, match=r"reads text; fusion are for models.*--methods cascade"):
        bench(text).run([item(tmp_path)], methods_named(["fusion"]), [length(50)])
    with pytest.raises(ValueError, match="who writes transcripts"):
        bench(model).run([item(tmp_path)], methods_named(["cascade"]), [])
