"""A tiny `mini` that reads frames: each part against transformers or a plain computation."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_mini
import torch
from safetensors.torch import load_file
from test_mini_engine import stock
from tiny_hearing import babble, blocks_of, noise
from tiny_mini import ALPHA, RANK, SHAPE, TOKENS, random_lora, write_tiny_mini
from tiny_whisper import write_tiny_whisper
from torch import Tensor
from transformers import AutoTokenizer, WhisperFeatureExtractor

from fls_models.answering.readers.frames import FusedFrames
from fls_models.core.budget import PAPER, Budget
from fls_models.core.constants import WINDOW_FRAMES
from fls_models.core.results import NO_SPEECH
from fls_models.errors import DamagedWeights, UsageError, WeightsMissing
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.int8 import Int8Linear
from fls_models.lslm.mini.int8_lora import BranchedLinear, attach_lora
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.speech_model import MiniSpeechLM
from fls_models.lslm.mini.whisper_encoder import WhisperFrames
from fls_models.lslm.prompts import ASK
from fls_models.pipelines.mini import MiniFrameModel
from fls_models.weights.card import FrameReading, TextCard
from fls_models.weights.conversion.int8 import quantise
from fls_models.weights.conversion.lora import Pair
from fls_models.weights.store import Installed
from fls_models.weights.thresholds import Thresholds

HEARD = ASK.heard()
REQUEST = "\n\nQuestion: what is in the cellar?"
REPLY = " the tools, and then one thing."


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return write_tiny_mini(tmp_path_factory.mktemp("tiny-mini"))


def loaded(installed: Installed) -> MiniSpeechLM:
    assert installed.connector is not None
    return MiniSpeechLM(installed.speech, installed.llm, installed.connector)


@pytest.fixture(scope="module")
def model(installed: Installed) -> MiniSpeechLM:
    return loaded(installed)


@pytest.fixture(scope="module")
def recording(model: MiniSpeechLM) -> Tensor:
    """Embeddings (40, H) of a recording."""
    samples = torch.from_numpy(babble(4))
    [hidden] = model.encode([model.features(samples)])
    return model.project(hidden[:40])


# Hearing


def test_features_are_those_of_transformers(model: MiniSpeechLM) -> None:
    extractor = WhisperFeatureExtractor()
    for seconds in (0.1, 7.3, 30):
        sound = noise(seconds)
        expected = extractor(sound, sampling_rate=16_000, return_tensors="pt")["input_features"][0]
        found = torch.from_numpy(model.features(torch.from_numpy(sound)).mel)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_frames_are_those_of_whisper_through_the_adapter(
    model: MiniSpeechLM, installed: Installed, tmp_path: Path
) -> None:
    reference: Any = write_tiny_whisper(tmp_path)
    assert installed.connector is not None
    connector, _ = connector_weights.read(installed.connector)
    features = [model.features(torch.from_numpy(babble(30, seed))) for seed in range(3)]
    hidden = model.encode(features)
    assert hidden.shape == (3, WINDOW_FRAMES, model.hidden_width)
    with torch.no_grad():
        mels = torch.stack([torch.from_numpy(one.mel) for one in features])
        frames = reference.model.encoder(mels).last_hidden_state
        expected = connector.adapter(frames)
    # Whisper runs in int8 here.
    off = float((hidden - expected).norm() / expected.norm())
    assert off < 0.03
    # Each window on its own.
    alone = model.encode(features[1:2])[0]
    torch.testing.assert_close(alone, hidden[1], rtol=1e-3, atol=1e-3)


def test_the_adapter_sees_a_windows_own_frames(model: MiniSpeechLM, installed: Installed) -> None:
    assert installed.connector is not None
    connector, _ = connector_weights.read(installed.connector)
    sounds = [model.features(torch.from_numpy(babble(seconds))) for seconds in (30, 2.41, 0.01)]
    assert [sound.frames for sound in sounds] == [750, 60, 0]
    hidden = model.encode(sounds)
    frames = WhisperFrames(installed.speech).encode([sounds[1].mel])
    with torch.no_grad():
        expected = connector.adapter(frames[:, :60].reshape(1, 120, -1))[0]
    torch.testing.assert_close(hidden[1, :60], expected, rtol=1e-3, atol=1e-3)
    assert not hidden[1, 60:].any()
    assert not hidden[2].any()


def test_the_head_is_the_connectors(model: MiniSpeechLM, installed: Installed) -> None:
    assert installed.connector is not None
    connector, _ = connector_weights.read(installed.connector)
    hidden = torch.randn(50, SHAPE.width, generator=torch.Generator().manual_seed(0))
    chances = connector.logits(hidden).softmax(-1)
    assert model.ctc_tokens == SHAPE.tokens
    torch.testing.assert_close(model.blank_probability(hidden), chances[:, -1])
    asked = torch.tensor([3, 0, 3])
    found = model.token_log_probabilities(hidden, asked)
    assert found is not None
    torch.testing.assert_close(found, chances[:, [3, 0, 3, -1]].log(), rtol=1e-4, atol=1e-4)


def test_embeddings_are_the_connectors_of_the_heads_tokens(
    model: MiniSpeechLM, installed: Installed
) -> None:
    assert installed.connector is not None
    connector, _ = connector_weights.read(installed.connector)
    table = MiniLanguageModel(installed.llm).embed(TOKENS)
    # More rows than are projected at once.
    hidden = torch.randn(1100, SHAPE.width, generator=torch.Generator().manual_seed(0))
    found = model.project(hidden)
    assert found.shape == (1100, model.width)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, connector.embeddings(hidden, table), rtol=1e-4, atol=1e-5)
    assert model.project(hidden.half()).dtype == torch.float32


def test_features_are_made_in_any_thread(model: MiniSpeechLM) -> None:
    found: list[Any] = []
    samples = torch.from_numpy(noise(3))
    thread = threading.Thread(target=lambda: found.append(model.features(samples)))
    thread.start()
    thread.join()
    assert (found[0].mel == model.features(samples).mel).all()


def test_what_was_heard_before_needs_no_whisper(installed: Installed, tmp_path: Path) -> None:
    assert installed.connector is not None
    model = MiniSpeechLM(tmp_path / "nowhere", installed.llm, installed.connector)
    context = model.read(HEARD, model.project(torch.ones(3, SHAPE.width)))
    assert model.scores(context, REQUEST, [REPLY])[0].shape == (len(model.tokenize(REPLY)),)


# The LoRA


def test_a_branch_adds_what_merging_would() -> None:
    dice = torch.Generator().manual_seed(3)
    weight, bias = torch.randn(48, 64, generator=dice), torch.randn(48, generator=dice)
    pair = Pair(torch.randn(4, 64, generator=dice), torch.randn(48, 4, generator=dice), 1.5)
    body = torch.nn.ModuleDict({"layer": Int8Linear(*quantise(weight), bias)})
    plain = body["layer"]
    switch = attach_lora(body, {"layer": pair})
    layer = body["layer"]
    assert isinstance(layer, BranchedLinear)
    change = 1.5 * pair.up @ pair.down
    for rows in (1, 5):
        x = torch.randn(2, rows, 64, generator=dice)
        switch.on = False
        assert torch.equal(layer(x), plain(x))
        switch.on = True
        torch.testing.assert_close(layer(x) - plain(x), x @ change.T, rtol=1e-3, atol=1e-3)
        merged = torch.nn.functional.linear(x, weight + change, bias)
        assert (layer(x) - merged).norm() / merged.norm() < 0.012


def stock_logprobs(installed: Installed, recording: Tensor, *, merged: bool) -> Tensor:
    """Log-probabilities (n,) of REPLY by stock transformers, LoRA merged in float32 or left out."""
    reference: Any = stock(installed.llm)
    if merged:
        assert installed.connector is not None
        pairs = load_file(installed.connector / "lora.safetensors")
        for name, module in reference.model.named_modules():
            if f"{name}.lora_A.weight" in pairs:
                down, up = (pairs[f"{name}.lora_{side}.weight"].float() for side in "AB")
                module.weight.data += ALPHA / RANK * up @ down
    tokenizer = AutoTokenizer.from_pretrained(installed.llm)

    def embedded(text: str, *, split: bool) -> Tensor:
        ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=split)
        return reference.get_input_embeddings()(torch.tensor(ids))

    head = f"<|im_start|>system\n{ASK.system}<|im_end|>\n<|im_start|>user\n{ASK.opening}"
    reply = tokenizer.encode(REPLY, add_special_tokens=False)
    with torch.inference_mode():
        parts = [
            embedded(head, split=False),
            recording,
            embedded(REQUEST, split=True),
            embedded("<|im_end|>\n<|im_start|>assistant\n", split=False),
            embedded(REPLY, split=True),
        ]
        logits = reference(inputs_embeds=torch.cat(parts)[None]).logits[0]
    chances = logits[-len(reply) - 1 : -1].log_softmax(-1)
    return chances.gather(1, torch.tensor(reply)[:, None])[:, 0]


def test_scores_are_those_of_the_stock_model_with_the_lora_merged(
    model: MiniSpeechLM, installed: Installed, recording: Tensor
) -> None:
    found = model.scores(model.read(HEARD, recording), REQUEST, [REPLY])[0]
    expected = stock_logprobs(installed, recording, merged=True)
    without = stock_logprobs(installed, recording, merged=False)
    assert (found - expected).abs().max() < 0.1
    assert (found - expected).abs().mean() < 0.2 * (without - expected).abs().mean()


def test_text_is_read_without_the_lora(model: MiniSpeechLM, installed: Installed) -> None:
    text = MiniLanguageModel(installed.llm)
    speech = text.embed(text.tokenize(" the tools in the cellar"))
    plain, heard = text.read(ASK, speech), model.read(ASK, speech)
    assert torch.equal(
        text.scores(plain, REQUEST, [REPLY])[0], model.scores(heard, REQUEST, [REPLY])[0]
    )
    assert torch.equal(text.surprisal(plain, REPLY), model.surprisal(heard, REPLY))


def test_replies_about_frames_and_text_do_not_disturb_each_other(
    model: MiniSpeechLM, recording: Tensor
) -> None:
    speech = model.embed(model.tokenize(" the tools in the cellar"))
    contexts = model.read(HEARD, recording), model.read(ASK, speech)
    how: dict[str, Any] = {"max_tokens": 12, "temperature": 1.0, "seed": 1}
    alone = ["".join(model.generate(one, REQUEST, **how)) for one in contexts]
    replies = [model.generate(one, REQUEST, **how) for one in contexts]
    pieces: list[list[str]] = [[], []]
    for _ in range(13):
        for said, reply in zip(pieces, replies, strict=True):
            said.append(next(reply, ""))
    assert ["".join(said) for said in pieces] == alone
    scores = [model.scores(one, REQUEST, [REPLY])[0] for one in contexts]
    options = ["the", "on"]
    chosen = [model.choose(one, REQUEST, options) for one in contexts]
    assert [model.choose(one, REQUEST, options) for one in contexts] == chosen
    again = [model.scores(one, REQUEST, [REPLY])[0] for one in reversed(contexts)]
    assert all(torch.equal(a, b) for a, b in zip(scores, reversed(again), strict=True))


def test_a_connector_without_a_lora_leaves_the_language_model_as_it_is(
    tmp_path: Path,
) -> None:
    installed = write_tiny_mini(tmp_path, lora=False)
    model = loaded(installed)
    assert not any(isinstance(layer, BranchedLinear) for layer in model.body.modules())
    recording = model.project(torch.randn(9, SHAPE.width, generator=torch.Generator()))
    found = model.scores(model.read(HEARD, recording), REQUEST, [REPLY])[0]
    expected = stock_logprobs(installed, recording, merged=False)
    assert (found - expected).abs().max() < 0.1


# What does not fit


def rewritten(installed: Installed, into: Path, **changes: Any) -> MiniSpeechLM:
    """The same model with another connector."""
    told = replace(tiny_mini.config(), **changes)
    connector = tiny_mini.random_connector(shape=told.shape)
    lora = None if told.lora is None else changes.get("pairs", random_lora())
    connector_weights.write(connector, told, into, lora=lora)
    return MiniSpeechLM(installed.speech, installed.llm, into)


def test_a_connector_for_another_language_model(installed: Installed, tmp_path: Path) -> None:
    wide = replace(SHAPE, model_width=896)
    with pytest.raises(DamagedWeights, match=r"width 896.* has width 64.*belongs to other models"):
        rewritten(installed, tmp_path, shape=wide)
    with pytest.raises(DamagedWeights, match=r"reads tokens up to 5000; .* 264 tokens"):
        rewritten(installed, tmp_path, tokens=(*TOKENS[1:], 5000))


def test_a_lora_for_another_language_model(installed: Installed, tmp_path: Path) -> None:
    deeper = {name.replace("layers.1", "layers.7"): one for name, one in random_lora().items()}
    connector_weights.write(tiny_mini.random_connector(), tiny_mini.config(), tmp_path, lora=deeper)
    with pytest.raises(DamagedWeights, match=r"LoRA changes layers\.7\.self_attn\.[qkvo]_proj"):
        MiniSpeechLM(installed.speech, installed.llm, tmp_path)


def test_a_connector_for_another_whisper(installed: Installed, tmp_path: Path) -> None:
    model = rewritten(installed, tmp_path, shape=replace(SHAPE, encoder_width=512))
    with pytest.raises(DamagedWeights, match="of width 512; the speech model's are 64"):
        model.encode([model.features(torch.zeros(100))])


# The model by its card


@pytest.fixture(scope="module")
def reading(installed: Installed) -> MiniFrameModel:
    return MiniFrameModel(installed)


def test_it_hears_answers_and_summarises(reading: MiniFrameModel) -> None:
    talk = reading.listen(blocks_of(babble(45)), name="talk")
    answer = talk.ask("What is it about?", max_tokens=8)
    usage = answer.usage
    assert (usage.reader, usage.audio_seconds, usage.frames_before) == ("frames", 45, 1125)
    assert (usage.frames_after, usage.sections) == (300, 1)
    assert [(span.start, span.end) for span in answer.spans] == [(0, 45)]
    summary = talk.summarize(budget="balanced")
    assert (summary.usage.reader, summary.usage.frames_after) == ("frames", 300)


def test_silence_is_silence(reading: MiniFrameModel) -> None:
    heard = reading.listen(blocks_of(0 * babble(2)))
    assert heard.ask("What is it about?").answer == NO_SPEECH


def test_another_budget_is_fused_anew(reading: MiniFrameModel) -> None:
    heard = reading.hear(blocks_of(babble(30)), Budget("fast"))
    assert heard.frames_after == 100
    assert reading.hear(blocks_of(babble(30)), Budget("accurate")).frames_after == 400
    assert FusedFrames(heard).heard_for.label == "fast"


def test_budgets_are_those_of_its_card(installed: Installed) -> None:
    assert installed.card.frames is not None
    rates = replace(PAPER, ask={"fast": 60, "balanced": 90, "accurate": 750})
    frames = replace(installed.card.frames, budgets=rates)
    reading = MiniFrameModel(replace(installed, card=replace(installed.card, frames=frames)))
    for name, count in rates.ask.items():
        assert reading.hear(blocks_of(babble(30)), Budget(name)).frames_after == count


def test_limits_and_thresholds_are_those_for_frames(installed: Installed) -> None:
    frames = FrameReading(
        connector="mini",
        window=5000,
        max_frames=77,
        budgets=PAPER,
        thresholds=Thresholds(0.5, 0.25),
    )
    card = replace(installed.card, frames=frames)
    reading = MiniFrameModel(replace(installed, card=card))
    assert (reading.card.max_frames, reading.card.thresholds) == (77, Thresholds(0.5, 0.25))
    assert MiniFrameModel(installed).card.thresholds is None
    # The smaller of what the card tells and what was trained.
    assert reading.window == 1000
    narrow = replace(card, frames=replace(frames, window=300))
    assert MiniFrameModel(replace(installed, card=narrow)).window == 300
    sections = reading.hear(blocks_of(babble(30)), Budget("fast")).sections
    assert len(sections) == 2


def test_without_fusion_all_frames_are_read(installed: Installed) -> None:
    whole = MiniFrameModel(installed, compress=False)
    assert whole.hear(blocks_of(babble(8)), Budget("fast")).frames_after == 200
    assert whole.encoder_fingerprint != MiniFrameModel(installed).encoder_fingerprint


def test_its_ear_is_told_from_others(installed: Installed, tmp_path: Path) -> None:
    other = write_tiny_mini(tmp_path)
    ears = {MiniFrameModel(one).encoder_fingerprint for one in (installed, other)}
    assert installed.connector is not None
    connector_weights.write(
        tiny_mini.random_connector(), tiny_mini.config(lora=False), other.connector or tmp_path
    )
    assert len(ears | {MiniFrameModel(other).encoder_fingerprint}) == 3


def test_transcribing_goes_by_frames_when_it_is_asked_for(
    reading: MiniFrameModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MiniSpeechLM, "generate", lambda *_, **__: iter(["a thing or two."]))
    # What is no speech is not written down: pieces are cut by another ear.
    from fls_models.audio.vad import Piece, SpeechChunk
    from fls_models.transcription import speech_lm as speech_transcription

    samples = babble(6)
    pieces = [SpeechChunk(Piece(samples, 0.0), 6.0)]
    monkeypatch.setattr(speech_transcription, "cut_at_pauses", lambda blocks: iter(pieces))
    [sentence] = reading.transcriber.sentences(iter(()), "fast")
    assert sentence.text == "a thing or two."
    times = [time for word in sentence.words for time in (word.start, word.end)]
    assert times == sorted(times)


def test_a_card_without_frames(installed: Installed) -> None:
    without = replace(installed, card=replace(installed.card, name="small", frames=None))
    with pytest.raises(UsageError, match=r"small has no connector.*frames are read by mini, fast"):
        MiniFrameModel(without)


def test_weights_that_did_not_come(installed: Installed) -> None:
    with pytest.raises(WeightsMissing, match=r"did not come with this fls.*--read text"):
        MiniFrameModel(replace(installed, connector=None))


def test_a_connector_trained_for_other_parts(installed: Installed, tmp_path: Path) -> None:
    other = write_tiny_mini(tmp_path)
    assert other.connector is not None
    file = other.connector / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"llm": "qwen2.5-coder-1.5b"}))
    with pytest.raises(DamagedWeights, match=r"trained for whisper-base and qwen2.5-coder-1.5b, "):
        _ = MiniFrameModel(other).language_model
    assert isinstance(other.card, TextCard)
