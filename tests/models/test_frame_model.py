"""A tiny FastLongSpeech as `LargeFrameModel` runs it: converted, heard, asked, summarised.

Its extractor against recorded outputs of the released one, its stretched window against
transformers' own model with that base.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_golden import cases, relative_error
from tiny_checkpoints import CTC_TOKENS, TEXT_CONFIG, WIDTH, write_fastlongspeech, write_qwen2_audio
from tiny_hearing import (
    HEARD,
    QUESTION,
    assert_close,
    babble,
    blocks_of,
    converted,
    first_logits,
    loaded,
)
from torch import Tensor
from transformers import Qwen2Config, Qwen2Model

from fls_models.answering.answerability import AnswerabilityScore, Judge
from fls_models.answering.answerer import Answerer
from fls_models.answering.readers.frames import FusedFrames
from fls_models.audio import vad as pauses
from fls_models.core.budget import PAPER, Budget, FrameRates
from fls_models.core.cache import CacheKey
from fls_models.core.results import NO_SPEECH
from fls_models.errors import DamagedWeights, UsageError
from fls_models.extractor.density import content_density, density_from
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, halving_schedule, training_schedule
from fls_models.lslm import context_cache as reads
from fls_models.lslm.kv_cache import KVContext
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import Prompt
from fls_models.lslm.registry import load
from fls_models.pipelines.large import LargeFrameModel, RuntimeConfig
from fls_models.weights.large import InstalledFrames, card_of

DTYPES = ("nf4", "int8", "bf16", "float32")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A FastLongSpeech in every dtype."""
    released = tmp_path_factory.mktemp("released")
    write_fastlongspeech(released)
    into = tmp_path_factory.mktemp("converted")
    return {dtype: converted(released, into / dtype, dtype) for dtype in DTYPES}


def installed(folder: Path, dtype: str, **changes: Any) -> InstalledFrames:
    """A folder as a card's; `changes` are of the card."""
    card = card_of("qwen2_audio", {}, adapter=True)
    return InstalledFrames(replace(card, **changes), folder, dtype)


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> LargeFrameModel:
    return LargeFrameModel(installed(folders["float32"], "float32"))


def smaller(model: LargeFrameModel, **changes: Any) -> LargeFrameModel:
    """The same weights by another card, loaded only once."""
    other = LargeFrameModel(replace(model._installed, card=replace(model.card, **changes)))
    other.__dict__["language_model"] = model.language_model
    return other


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_hears_answers_and_summarises(folders: dict[str, Path], dtype: str) -> None:
    model = LargeFrameModel(installed(folders[dtype], dtype))
    recording = model.listen(blocks_of(babble(60)), name="talk")
    answer = recording.ask(QUESTION, max_tokens=20)
    assert answer.answered
    assert answer.answer
    assert (answer.source, answer.question) == ("talk", QUESTION)
    [span] = answer.spans
    assert (span.start, span.end) == (0, 60)
    usage = answer.usage
    # 200 frames for every 30 s.
    assert (usage.audio_seconds, usage.frames_before, usage.frames_after) == (60, 1500, 400)
    assert (usage.ratio, usage.sections) == (3.75, 1)
    assert (usage.model, usage.budget, usage.reader) == ("fastlongspeech", "balanced", "frames")
    assert usage.prompt_tokens > 400
    assert usage.answer_tokens > 0
    assert {"load", "answer"} <= set(usage.seconds)
    summary = recording.summarize()
    assert summary.answered
    [chapter] = summary.chapters
    assert (chapter.start, chapter.end, chapter.title) == (0, 60, "")
    assert (summary.usage.frames_after, summary.usage.reader) == (400, "frames")


def test_sixteen_and_eight_bits_cost_little(folders: dict[str, Path]) -> None:
    # Random weights make a model that trembles: what four bits cost it says nothing.
    recording = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    logits = {dtype: first_logits(load(folder), recording) for dtype, folder in folders.items()}
    scale = float(logits["float32"].std())
    for dtype in ("bf16", "int8"):
        error = float((logits[dtype] - logits["float32"]).square().mean().sqrt())
        assert 0 < error < 0.1 * scale
    assert not torch.equal(logits["nf4"], logits["bf16"])


def test_budgets_are_those_of_the_card(plain: LargeFrameModel) -> None:
    rates = FrameRates(
        ask={"fast": 50, "balanced": 60, "accurate": 750},
        transcribe={"fast": 25, "balanced": 400, "accurate": 750},
        source="measured",
    )
    model = smaller(plain, budgets=rates)
    for name, count in rates.ask.items():
        assert model.hear(blocks_of(babble(60)), Budget(name)).frames_after == 2 * count
    recording = model.listen([babble(60)], budget="fast")
    assert recording.heard.heard_for.label == "fast"
    assert recording.ask(QUESTION, max_tokens=2).usage.frames_after == 100
    # What is kept of transcripts: today's where a number is the paper's.
    assert model.effort("fast") == {"budget": "fast=25", "vocabulary": None}
    assert model.effort("balanced") == plain.effort("balanced")
    assert plain.effort("fast") == {"budget": "fast", "vocabulary": None}


def test_transcripts_are_written_at_the_rates_of_the_card(
    plain: LargeFrameModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = plain.language_model
    read: list[int] = []
    project = model.project

    def noted(hidden: Tensor) -> Tensor:
        read.append(len(hidden))
        return project(hidden)

    monkeypatch.setattr(pauses, "_speech", lambda samples: [(0, len(samples))])
    monkeypatch.setattr(model, "project", noted, raising=False)
    monkeypatch.setattr(model, "generate", lambda *_, **how: iter(["Yes."]), raising=False)
    fewer = {"fast": 75, "balanced": 400, "accurate": 750}
    for rates in (PAPER, replace(PAPER, transcribe=fewer)):
        other = smaller(plain, budgets=rates)
        assert list(other.transcriber.sentences([babble(6)], "fast"))
    assert read == [40, 15]


def test_a_long_recording_is_read_in_sections(plain: LargeFrameModel) -> None:
    model = smaller(plain, max_frames=77)
    recording = model.listen(blocks_of(babble(60)), name="talk", budget="fast")
    answer = recording.ask(QUESTION, budget="fast", max_tokens=8)
    assert answer.usage.frames_after == pytest.approx(200, abs=2)
    heard = recording.heard
    assert isinstance(heard, FusedFrames)
    sections = heard.at_hand().sections
    assert 3 <= len(sections) == answer.usage.sections
    assert all(len(one) <= 77 for one in sections)
    # Without thresholds every section may speak; those that do are told in order.
    starts = [float(one.spans[0, 0]) for one in sections]
    assert answer.spans
    assert {span.start for span in answer.spans} <= set(starts)
    summary = recording.summarize(budget="fast", style="bullets")
    assert [chapter.start for chapter in summary.chapters] == starts
    assert summary.chapters[-1].end == 60
    brief = recording.summarize(budget="fast")
    assert len(brief.chapters) == len(sections)


@pytest.mark.parametrize(
    ("style", "chapters", "titled"),
    [("brief", 1, False), ("bullets", 2, False), ("chapters", 2, True)],
)
def test_styles_of_a_summary(
    plain: LargeFrameModel, style: str, chapters: int, titled: bool
) -> None:
    recording = plain.listen(blocks_of(babble(200)), budget="fast")
    told: list[str] = []
    model = plain.language_model

    def noted(context: object, request: str, **how: Any) -> Iterator[str]:
        told.append(request)
        yield "Tall trees stand here."

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "generate", noted, raising=False)
        summary = recording.summarize(style=style, budget="fast")
    assert len(summary.chapters) == chapters
    assert sum("title" in request for request in told) == chapters * titled
    edges = [0.0, *(chapter.end for chapter in summary.chapters)]
    assert [chapter.start for chapter in summary.chapters] == edges[:-1]
    assert edges[-1] == 200
    assert summary.usage.frames_after == 667


def test_a_short_recording_is_asked_for_no_more_frames_than_it_has(plain: LargeFrameModel) -> None:
    answer = plain.listen([babble(0.3)]).ask(QUESTION, max_tokens=4)
    # 12 frames is the least that is fused to; 0.3 s have 7.
    assert answer.usage.frames_after == 7


class Untouchable:
    """Stands for a model that nobody is to ask for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


@pytest.mark.parametrize("seconds", [0, 0.01, 31])
def test_silence_is_said_and_nothing_further_is_loaded(
    plain: LargeFrameModel, seconds: float
) -> None:
    model = smaller(plain)
    recording = model.listen([np.zeros(round(seconds * 16_000), np.float32)])
    model.__dict__["language_model"] = Untouchable()
    answer = recording.ask(QUESTION)
    assert (answer.answered, answer.answer, answer.spans) == (False, NO_SPEECH, ())
    assert NO_SPEECH == "No speech was found in the recording."
    assert (answer.usage.sections, answer.usage.frames_after, answer.usage.ratio) == (0, 0, None)
    assert answer.usage.audio_seconds == pytest.approx(seconds)
    summary = recording.summarize()
    assert (summary.answered, summary.brief) == (False, NO_SPEECH)


def test_the_same_twice_gives_the_same_words(folders: dict[str, Path]) -> None:
    def once() -> tuple[str, str]:
        model = LargeFrameModel(installed(folders["nf4"], "nf4"))
        recording = model.listen(blocks_of(babble(40)))
        return recording.ask(QUESTION, max_tokens=30).answer, recording.summarize().brief

    first = once()
    assert first == once()
    assert all(first)


def test_an_answer_does_not_depend_on_what_was_asked_before(plain: LargeFrameModel) -> None:
    recording = plain.listen(blocks_of(babble(40)))
    alone = recording.ask("Who?", max_tokens=12).answer
    asking = Answerer(plain, "", recording.heard, heard_in={}, budget=Budget())
    asking.answer("Where, and when, and for how much?")
    asking._generation = replace(asking._generation, max_tokens=12)
    assert asking.answer("Who?").answer == alone


def test_without_thresholds_no_question_is_refused(
    plain: LargeFrameModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain.card.thresholds is None
    monkeypatch.setattr(Judge, "evidence", lambda *_: AnswerabilityScore(-50.0, -50.0))
    answer = smaller(plain).listen(blocks_of(babble(20))).ask("Who won?", max_tokens=8)
    assert answer.answered
    assert answer.strength == -50


def test_of_several_sections_the_clearest_answer(
    plain: LargeFrameModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains = chain([-9.0, -2.0, -2.5], repeat(-9.0))
    monkeypatch.setattr(Judge, "evidence", lambda *_: AnswerabilityScore(next(gains), -9.0))
    recording = smaller(plain, max_frames=77).listen(blocks_of(babble(60)), budget="fast")
    answer = recording.ask("Who won?", budget="fast", max_tokens=8)
    assert len(answer.spans) == 2
    assert answer.spans[0].start > 10
    assert answer.spans[1].end < 60
    assert answer.strength == -2


def test_no_two_sections_are_held_at_once(
    plain: LargeFrameModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that has room for one full pass may have none for a second."""
    alive: list[weakref.ref[KVContext]] = []
    before: list[int] = []
    llm = plain.language_model
    original = llm.read

    def read(prompt: Prompt, recording: Tensor, **how: Any) -> KVContext:
        # What questions are held against, and notes, are short.
        if not prompt.audio or len(recording) < 20:
            return original(prompt, recording, **how)
        before.append(sum(one() is not None for one in alive))
        context = original(prompt, recording, **how)
        alive.append(weakref.ref(context))
        return context

    monkeypatch.setattr(reads, "_MAX_BYTES", 1)
    monkeypatch.setattr(llm, "read", read, raising=False)
    recording = smaller(plain, max_frames=77).listen(blocks_of(babble(60)), budget="fast")
    answer = recording.ask(QUESTION, budget="fast", max_tokens=4)
    assert answer.usage.sections > 2
    assert set(before) == {0}


def test_frames_have_no_transcript(plain: LargeFrameModel) -> None:
    with pytest.raises(AttributeError, match="heard frames"):
        _ = plain.listen([babble(1)]).transcript


def test_words_run_forwards(plain: LargeFrameModel, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tones are no speech, but what is is others' work.
    monkeypatch.setattr(pauses, "_speech", lambda samples: [(0, len(samples))])
    reply = iter(["One two three. ", "Four five."])
    monkeypatch.setattr(
        plain.language_model, "generate", lambda *_, **__: iter([next(reply, "")]), raising=False
    )
    listener = plain.transcriber
    words = [
        word
        for sentence in listener.sentences(blocks_of(babble(33)), "fast")
        for word in sentence.words
    ]
    assert "".join(word.text for word in words).split() == ["One", "two", "three.", "Four", "five."]
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 33 == listener.until


def test_a_vocabulary_needs_a_head(tmp_path: Path) -> None:
    write_qwen2_audio(tmp_path / "released")
    folder = converted(tmp_path / "released", tmp_path / "model")
    running = RuntimeConfig(vocabulary=tmp_path / "spm.model")
    model = LargeFrameModel(installed(folder, "float32"), running=running)
    with pytest.raises(UsageError, match="--ctc-vocab goes with --head"):
        _ = model.transcriber


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(DamagedWeights, match="no whole model"):
        _ = LargeFrameModel(installed(tmp_path, "nf4")).language_model


# Without fusion


def uncompressed(model: LargeFrameModel, **changes: Any) -> LargeFrameModel:
    other = smaller(model, **changes)
    other.compress = False
    return other


def test_without_fusion_every_frame_is_read_in_one_pass(plain: LargeFrameModel) -> None:
    model = uncompressed(plain, max_frames=100, window=1000)
    recording = model.listen(blocks_of(babble(40)))
    answer = recording.ask(QUESTION, max_tokens=8)
    assert answer.answered
    assert answer.usage.frames_after == answer.usage.frames_before == 1000
    assert answer.usage.sections == 1
    [reading] = model.reader(recording.heard).readings(Budget(), None)
    assert reading.rope_scale == pytest.approx(1.7)


def test_without_fusion_there_is_an_end_to_stretching(plain: LargeFrameModel) -> None:
    model = uncompressed(plain, window=200)
    recording = model.listen(blocks_of(babble(40)))
    with pytest.raises(UsageError, match="leave out --no-compress"):
        recording.ask(QUESTION)


def test_what_is_heard_without_fusion_is_remembered_apart(plain: LargeFrameModel) -> None:
    assert uncompressed(plain).encoder_fingerprint != plain.encoder_fingerprint


def test_another_head_is_another_ear(folders: dict[str, Path], tmp_path: Path) -> None:
    made = installed(folders["float32"], "float32")
    head = tmp_path / "head.safetensors"
    both = (made, installed(folders["bf16"], "bf16"))
    ears = {LargeFrameModel(one).encoder_fingerprint for one in both}
    for size in (4, 5):
        head.write_bytes(b"0" * size)
        ears.add(LargeFrameModel(made, running=RuntimeConfig(head=head)).encoder_fingerprint)
    assert len(ears) == 4


@pytest.mark.parametrize("factor", [1.0, 1.25, 4.0, 8.0])
@torch.inference_mode()
def test_a_stretched_window_is_that_of_transformers_with_the_larger_base(
    tmp_path: Path, factor: float
) -> None:
    tensors = write_qwen2_audio(tmp_path / "released", ctc=True)
    model = loaded(tmp_path / "released", tmp_path / "model")
    width = TEXT_CONFIG["hidden_size"] // TEXT_CONFIG["num_attention_heads"]
    base = TEXT_CONFIG["rope_theta"] * factor ** (width / (width - 2))
    told = {name: value for name, value in TEXT_CONFIG.items() if name != "rope_theta"}
    config = Qwen2Config(**told, rope_parameters={"rope_type": "default", "rope_theta": base})
    theirs = Qwen2Model(config).to(torch.float32).train(False)
    start = "language_model.model."
    theirs.load_state_dict(
        {name.removeprefix(start): x for name, x in tensors.items() if name.startswith(start)}
    )
    dice = torch.Generator().manual_seed(0)
    recording = torch.randn(2500, TEXT_CONFIG["hidden_size"], generator=dice)
    tokens = model._tokenizer.encode
    head, tail = (
        f"<|im_start|>system\n{HEARD.system}<|im_end|>\n<|im_start|>user\nAudio 1: <|audio_bos|>",
        f"<|audio_eos|>\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n",
    )
    table = theirs.get_input_embeddings()
    everything = torch.cat(
        [table(torch.tensor(tokens(head))), recording, table(torch.tensor(tokens(tail)))]
    )
    last = theirs(inputs_embeds=everything[None]).last_hidden_state[0, -1]
    expected = tensors["language_model.lm_head.weight"] @ last
    assert_close(first_logits(model, recording, factor), expected, 1e-4)
    if factor > 1:
        without = first_logits(model, recording)
        assert float((without - expected).abs().max()) > 1e-2 * float(expected.abs().max())


def test_windows_stretched_differently_are_read_side_by_side(plain: LargeFrameModel) -> None:
    model = plain.language_model
    recording = torch.randn(300, model.width, generator=torch.Generator().manual_seed(0))
    contexts = [model.read(HEARD, recording, rope_scale=factor) for factor in (1.0, 3.0)]
    alone = [model.surprisal(context, QUESTION) for context in contexts]
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)
    for _ in range(2):
        for context, expected in zip(contexts, alone, strict=True):
            assert torch.equal(model.surprisal(context, QUESTION), expected)


# The extractor, against what was recorded of the released one


@pytest.fixture(scope="module")
def released_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    write_qwen2_audio(folder, ctc=True)
    return folder


@pytest.fixture(params=cases(), ids=lambda case: f"{case[0].stem}-{case[1]}")
def golden(request: pytest.FixtureRequest) -> dict[str, Any]:
    path, row = request.param
    with np.load(path) as archive:
        found: dict[str, Any] = dict(archive)
    if row is not None:
        length = found["lengths"][row]
        for name in ("frames", "density"):
            found[name] = found[name][row, :length]
        found["fused"] = found["fused"][row]
    found["schedule"] = halving_schedule if path.name.startswith("long") else training_schedule
    return found


def head_of(golden: dict[str, Any]) -> dict[str, Tensor]:
    names = {
        "projector.weight": "ctc_proj_weight",
        "projector.bias": "ctc_proj_bias",
        "linear.weight": "ctc_out_weight",
    }
    return {f"ctc_decoder.{ours}": torch.from_numpy(golden[name]) for ours, name in names.items()}


def with_norm(released: Path, into: Path, golden: dict[str, Any], **more: Tensor) -> Path:
    """The release with other tensors: the golden final norm, and more."""
    into.mkdir()
    for file in released.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    tensors = load_file(into / "model.safetensors")
    assert tensors["audio_tower.layer_norm.weight"].shape == (WIDTH,)
    tensors["audio_tower.layer_norm.weight"] = torch.from_numpy(golden["ln_weight"])
    tensors["audio_tower.layer_norm.bias"] = torch.from_numpy(golden["ln_bias"])
    save_file(tensors | more, into / "model.safetensors", metadata={"format": "pt"})
    return into


@pytest.mark.parametrize("given", [False, True], ids=["in the weights", "--head"])
def test_density_and_fused_frames_are_the_released_ones(
    golden: dict[str, Any], given: bool, released_base: Path, tmp_path: Path
) -> None:
    head = head_of(golden)
    more = {} if given else head
    released = with_norm(released_base, tmp_path / "released", golden, **more)
    folder = converted(released, tmp_path / "model")
    if given:
        save_file(head, tmp_path / "head.safetensors")
    model = load(folder, head=tmp_path / "head.safetensors" if given else None)
    assert isinstance(model, LargeSpeechLM)
    assert model.ctc_tokens == len(golden["ctc_out_weight"]) - 1 != CTC_TOKENS
    hidden = torch.from_numpy(golden["frames"])
    density = content_density(model.blank_probability(hidden))
    assert relative_error(density, golden["density"]) < 1e-4
    edges = torch.arange(len(hidden) + 1, dtype=torch.float64) / 25
    frames = Frames(hidden, density, torch.stack([edges[:-1], edges[1:]], dim=-1))
    target = len(golden["fused"])
    found = fuse(frames, target, density_from(model.blank_probability), golden["schedule"])
    assert found.frames.hidden.shape == golden["fused"].shape
    assert relative_error(found.frames.hidden, golden["fused"]) < 1e-4


# What is kept


class Shelf:
    """A memory that nothing is to be put into."""

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        return None

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        raise AssertionError(f"{kind} was kept: {json.dumps(dict(parts), default=str)}")


def test_what_was_read_is_not_kept_on_disk(plain: LargeFrameModel) -> None:
    model = LargeFrameModel(plain._installed, Shelf())
    model.__dict__["language_model"] = plain.language_model
    assert model.listen([babble(5)]).ask(QUESTION, max_tokens=4).answer
