"""Qwen2.5-Omni's Thinker against transformers' own, on tiny random weights in the hub's layout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from fusion_loop import LoopHead, loop_fuse, loop_halving, loop_ladder
from safetensors.torch import load_file, save_file
from tiny_checkpoints import BINS, HIDDEN, WIDTH, write_omni
from tiny_hearing import (
    HEARD,
    QUESTION,
    assert_close,
    babble,
    blocks_of,
    converted,
    first_logits,
    loaded,
    noise,
    whole,
)
from torch import Tensor
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor
from transformers.models.qwen2_5_omni import configuration_qwen2_5_omni as configs
from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as models

from fls_models.audio.windows import cut
from fls_models.core.budget import Budget
from fls_models.core.constants import SAMPLE_RATE, WINDOW_FRAMES
from fls_models.errors import UsageError
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.extract import listen_to_frames
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.registry import load

# Nothing of this is used, but a thinker without eyes cannot be built.
EYES = {
    "depth": 1,
    "hidden_size": 16,
    "num_heads": 2,
    "intermediate_size": 16,
    "out_hidden_size": HIDDEN,
}


@dataclass
class Theirs:
    """transformers' own thinker with the tensors that lie in a release."""

    thinker: models.Qwen2_5OmniThinkerForConditionalGeneration
    tokenizer: PreTrainedTokenizerFast
    # The real processor's: 300 s in a clip.
    extractor: WhisperFeatureExtractor

    @classmethod
    def read(cls, folder: Path, dtype: torch.dtype) -> Theirs:
        told = json.loads((folder / "config.json").read_text())["thinker_config"]
        config = configs.Qwen2_5OmniThinkerConfig(
            audio_config=told["audio_config"],
            text_config=told["text_config"],
            vision_config=EYES,
            audio_token_id=told["audio_token_index"],
            # Those of pictures, which no text here holds.
            vision_start_token_id=-2,
            image_token_id=-3,
            video_token_id=-4,
        )
        thinker = models.Qwen2_5OmniThinkerForConditionalGeneration(config).to(dtype)
        # Frequencies are computed in float32, whatever weights are in; `to` rounded them, too.
        body = thinker.model.language_model
        body.rotary_emb = type(body.rotary_emb)(config.text_config)
        tensors: dict[str, Tensor] = {}
        for file in folder.glob("*.safetensors"):
            tensors |= load_file(file)
        found = {
            name.removeprefix("thinker.")
            .replace("audio_tower.", "model.audio_tower.")
            .replace("model.layers.", "model.language_model.layers.")
            .replace("model.norm.", "model.language_model.norm.")
            .replace("model.embed_tokens.", "model.language_model.embed_tokens."): value
            for name, value in tensors.items()
            if name.startswith(("thinker.audio_tower", "thinker.model", "thinker.lm_head"))
        }
        missing, unknown = thinker.load_state_dict(found, strict=False)
        assert not unknown
        assert all(".visual." in name for name in missing)
        thinker.train(False)
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        extractor = WhisperFeatureExtractor(feature_size=BINS, chunk_length=300)
        return cls(thinker, tokenizer, extractor)

    def heard(self, audio: np.ndarray) -> dict[str, Tensor]:
        """The audio's part of the inputs."""
        found = self.extractor(
            audio,
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        return {
            "input_features": found["input_features"],
            "feature_attention_mask": found["attention_mask"],
        }

    @torch.inference_mode()
    def embedded(self, audio: np.ndarray) -> Tensor:
        """What the language model gets to hear: (T, H)."""
        found: Tensor = self.thinker.get_audio_features(**self.heard(audio)).last_hidden_state
        return found

    @torch.inference_mode()
    def logits(self, audio: np.ndarray) -> Tensor:
        template = (
            f"<|im_start|>system\n{HEARD.system}<|im_end|>\n<|im_start|>user\nAudio 1: "
            "<|audio_bos|>{}<|audio_eos|>\n"
            f"{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
        )
        text = template.format("<|AUDIO|>" * len(self.embedded(audio)))
        ids = torch.tensor([self.tokenizer(text, add_special_tokens=False)["input_ids"]])
        found = self.thinker(
            input_ids=ids, attention_mask=torch.ones_like(ids), **self.heard(audio)
        )
        last: Tensor = found.logits[0, -1].float()
        return last


@pytest.fixture(scope="module", params=["float32", "bf16"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LargeSpeechLM, Theirs, float]:
    """Our model, transformers' own, and how close they are to be."""
    released = tmp_path_factory.mktemp("released")
    dtype = torch.float32 if request.param == "float32" else torch.bfloat16
    write_omni(released, dtype=dtype)
    model = loaded(released, tmp_path_factory.mktemp("converted") / "model", request.param)
    return model, Theirs.read(released, dtype), 1e-5 if dtype == torch.float32 else 1e-3


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted model in float32."""
    released = tmp_path_factory.mktemp("released")
    write_omni(released)
    return converted(released, tmp_path_factory.mktemp("plain") / "model")


@pytest.mark.parametrize("seconds", [30, 12.34, 0.5, 2.0, 2.01, 29.99, 3.333])
def test_what_is_heard_of_a_window_is_what_transformers_hears(pair, seconds: float) -> None:
    model, theirs, close = pair
    audio = noise(seconds, seed=1)
    expected = theirs.embedded(audio)
    [hidden] = model.encode([model.features(torch.from_numpy(audio))])
    assert hidden.shape == (WINDOW_FRAMES, WIDTH)
    assert_close(model.project(hidden[: len(expected)]), expected, close)
    assert not hidden[len(expected) :].any()


def test_windows_in_a_batch_do_not_change_each_other(pair) -> None:
    model, theirs, close = pair
    windows = [noise(seconds, seed=2) for seconds in (30, 12.34, 0.5, 30, 0.01, 7.77)]
    together = model.encode([model.features(torch.from_numpy(one)) for one in windows])
    assert together.shape == (len(windows), WINDOW_FRAMES, WIDTH)
    for hidden, window in zip(together, windows, strict=True):
        if len(window) <= 320:
            assert not hidden.any()
            continue
        expected = theirs.embedded(window)
        assert_close(model.project(hidden[: len(expected)]), expected, close)


def test_the_window_counts_as_many_frames_as_the_encoder_gives(pair) -> None:
    model, theirs, _ = pair
    audio = noise(47.77, seed=4)
    frames = [part for _, part in encode_windows(model, cut(blocks_of(audio)), batch_size=2)]
    expected = [len(theirs.embedded(part)) for part in (audio[:480_000], audio[480_000:])]
    assert [len(one) for one in frames] == expected


@pytest.mark.parametrize("samples", [1, 160, 161, 320])
def test_a_breath_is_no_frame_and_no_error(pair, samples: int) -> None:
    model, *_ = pair
    hidden = model.encode([model.features(torch.full((samples,), 0.3))])
    assert hidden.shape == (1, WINDOW_FRAMES, WIDTH)
    assert not hidden.any()


@pytest.mark.parametrize("seconds", [30, 12.34])
def test_uncompressed_logits_are_those_of_transformers(pair, seconds: float) -> None:
    model, theirs, close = pair
    audio = noise(seconds, seed=5)
    assert_close(first_logits(model, whole(model, audio)), theirs.logits(audio), close)


def test_a_reply_looks_at_every_frame(pair) -> None:
    model, *_ = pair
    embeddings = whole(model, noise(5))
    context = model.read(HEARD, embeddings)
    seen = model.attention(context, "Who?", "Ada reads")
    heads = model.body.config.num_attention_heads
    assert seen.shape == (model.body.config.num_hidden_layers, heads, len(embeddings))
    assert (seen > 0).all()
    assert (seen.sum(-1) < 1).all()


def test_the_order_of_frames_reaches_the_reply(pair) -> None:
    model, *_ = pair
    embeddings = whole(model, noise(5))
    there, back = first_logits(model, embeddings), first_logits(model, embeddings.flip(0))
    assert float((there - back).abs().max()) > 1e-2


def test_low_memory_gives_the_same(plain: Path) -> None:
    audio = noise(6)
    usual, low = load(plain), load(plain, low_memory=True)
    assert torch.equal(
        first_logits(usual, whole(usual, audio)), first_logits(low, whole(low, audio))
    )


def test_without_a_head_frames_are_fused_by_likeness_with_plain_means(plain: Path) -> None:
    model = load(plain)
    assert model.ctc_tokens is None
    audio = noise(40, seed=6)
    encoded = encode_windows(model, cut(blocks_of(audio)), batch_size=2)
    everything = [frames.hidden for _, frames in encoded]
    hidden = torch.cat(everything).numpy()
    # 30 s at most go by training's schedule.
    for frames, length, schedule in (
        (hidden[:750], 100, loop_ladder),
        (hidden, 267, loop_halving),
    ):
        seconds = len(frames) / 25
        heard = listen_to_frames(
            model,
            blocks_of(audio[: round(seconds * SAMPLE_RATE)]),
            Budget("fast", length),
            max_frames=999,
        )
        [section] = heard.sections
        assert heard.speaks
        assert torch.equal(section.density, torch.ones(length))
        fused, ranges = loop_fuse(
            frames, schedule(len(frames), length), lambda frame: np.float32(1)
        )
        np.testing.assert_allclose(
            section.hidden.numpy(), fused, rtol=0, atol=1e-5 * np.abs(fused).max()
        )
        edges = np.array(ranges) / 25
        np.testing.assert_allclose(section.spans.numpy(), edges, rtol=0, atol=1e-9)


def test_a_given_head_is_the_density(plain: Path, tmp_path: Path) -> None:
    without = load(plain)
    hidden = without.encode([without.features(torch.from_numpy(babble(8)))])[0, :200]
    normed = without._norm(hidden).detach()
    dice = torch.Generator().manual_seed(1)
    inner = 2 * torch.randn(20, WIDTH, generator=dice)
    head = {
        # Random towers make frames that differ little: this head looks at what differs.
        "ctc_decoder.projector.weight": inner,
        "ctc_decoder.projector.bias": -inner @ normed.mean(0),
        "ctc_decoder.linear.weight": torch.randn(8, 20, generator=dice),
    }
    save_file(head, tmp_path / "head.safetensors")
    model = load(plain, head=tmp_path / "head.safetensors")
    assert model.ctc_tokens == 7
    norm = {name: value.numpy() for name, value in without._norm.state_dict().items()}
    loop = LoopHead(
        norm["weight"],
        norm["bias"],
        head["ctc_decoder.projector.weight"].numpy(),
        head["ctc_decoder.projector.bias"].numpy(),
        head["ctc_decoder.linear.weight"].numpy(),
    )
    expected = np.array([loop.density(frame) for frame in hidden.numpy()])
    assert expected.std() > 0.05
    found = 1 - model.blank_probability(hidden)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)
    # And it is what frames are weighed by.
    heard = listen_to_frames(model, [babble(8)], Budget("fast", 25), max_frames=99)
    fused, _ = loop_fuse(hidden.numpy(), loop_ladder(200, 25), loop.density)
    np.testing.assert_allclose(
        heard.sections[0].hidden.numpy(), fused, rtol=0, atol=1e-4 * np.abs(fused).max()
    )


def test_a_head_for_another_width_is_refused(plain: Path, tmp_path: Path) -> None:
    head = {
        "projector.weight": torch.zeros(4, WIDTH + 1),
        "projector.bias": torch.zeros(4),
        "linear.weight": torch.zeros(3, 4),
    }
    save_file(head, tmp_path / "head.safetensors")
    with pytest.raises(UsageError, match=f"width {WIDTH}"):
        load(plain, head=tmp_path / "head.safetensors")
