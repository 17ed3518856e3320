"""FLOPs of answering, from a model's dimensions alone: no weights, nothing is run.

A multiplication and an addition are two operations. Convolutions, linear layers and, unless a
convention says otherwise, the two products of attention are counted, as `torch.utils.flop_counter`
counts them (causal attention in full); norms, activations, softmax and the mel spectrogram are
not. The encoder always works on padded 30 s windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Convention:
    """What a count takes in.

    Attributes:
        attention: the products of queries with keys, and of attention with values. Profilers that
            count module by module do not see them.
        every_logit: the output layer runs for every token of the prompt, not for the last only.
    """

    attention: bool = True
    every_logit: bool = False


THIS_PROJECT = Convention()
"""What is run here: generation needs the logits of the last token only."""


@dataclass(frozen=True)
class EncoderDims:
    """A Whisper encoder: two convolutions over mel frames, the second of stride 2; layers."""

    mel_bins: int
    width: int
    feed_forward: int
    layers: int
    positions: int = 1500

    @classmethod
    def from_config(cls, config: Any) -> EncoderDims:
        """From a transformers `Qwen2AudioEncoderConfig` or `WhisperConfig`."""
        return cls(
            mel_bins=config.num_mel_bins,
            width=config.d_model,
            feed_forward=config.encoder_ffn_dim,
            layers=config.encoder_layers,
            positions=config.max_source_positions,
        )


@dataclass(frozen=True)
class DecoderDims:
    """A language model with gated feed-forward layers and grouped key-value heads (Qwen2, Llama).

    `lora_rank` is that of an adapter on q, k, v and o which has not been merged; 0 is none.
    """

    width: int
    feed_forward: int
    layers: int
    heads: int
    key_value_heads: int
    head_width: int
    vocabulary: int
    lora_rank: int = 0

    @classmethod
    def from_config(cls, config: Any, lora_rank: int = 0) -> DecoderDims:
        """From a transformers `Qwen2Config` or one with the same names."""
        heads = config.num_attention_heads
        return cls(
            width=config.hidden_size,
            feed_forward=config.intermediate_size,
            layers=config.num_hidden_layers,
            heads=heads,
            key_value_heads=config.num_key_value_heads,
            head_width=getattr(config, "head_dim", None) or config.hidden_size // heads,
            vocabulary=config.vocab_size,
            lora_rank=lora_rank,
        )


@dataclass(frozen=True)
class HeadDims:
    """A CTC head for `classes` tokens, blank included; folded when it has no inner width."""

    classes: int
    inner_width: int | None = None


QWEN2_AUDIO_ENCODER = EncoderDims(mel_bins=128, width=1280, feed_forward=5120, layers=32)
QWEN2_AUDIO_DECODER = DecoderDims(
    width=4096,
    feed_forward=11008,
    layers=32,
    heads=32,
    key_value_heads=32,
    head_width=128,
    vocabulary=156_032,
)


def encoder_flops(
    dims: EncoderDims, convention: Convention = THIS_PROJECT, merging: int | None = None
) -> int:
    """One padded window: both convolutions (kernel 3) and all layers, those behind `merging` of
    them for half of the frames."""
    width, positions = dims.width, dims.positions
    convolutions = 2 * 3 * width * (dims.mel_bins * 2 * positions + width * positions)

    def layer(frames: int) -> int:
        attention = 4 * frames**2 * width if convention.attention else 0
        return frames * (8 * width**2 + 4 * width * dims.feed_forward) + attention

    full = dims.layers if merging is None else merging
    return convolutions + full * layer(positions) + (dims.layers - full) * layer(positions // 2)


def head_flops(dims: HeadDims, width: int, frames: int) -> int:
    """Blank probability of `frames` hidden states of the encoder's `width`."""
    if dims.inner_width is None:
        return 2 * frames * width * dims.classes
    return 2 * frames * dims.inner_width * (width + dims.classes)


def prefill_flops(dims: DecoderDims, tokens: int, convention: Convention = THIS_PROJECT) -> int:
    """The whole prompt at once, up to the logits of the first answered token."""
    logits = tokens if convention.every_logit else 1
    return _layers(dims, tokens, tokens**2, convention) + 2 * dims.width * dims.vocabulary * logits


def decode_flops(
    dims: DecoderDims, context: int, tokens: int, convention: Convention = THIS_PROJECT
) -> int:
    """`tokens` more, one at a time, each reading all that came before it and itself."""
    pairs = tokens * context + tokens * (tokens + 1) // 2
    return _layers(dims, tokens, pairs, convention) + 2 * dims.width * dims.vocabulary * tokens


def _layers(dims: DecoderDims, tokens: int, pairs: int, convention: Convention) -> int:
    """All layers, for so many tokens and so many (query, key) pairs."""
    width, inner = dims.width, dims.heads * dims.head_width
    shared = dims.key_value_heads * dims.head_width
    weights = width * (2 * inner + 2 * shared) + 3 * width * dims.feed_forward
    adapter = dims.lora_rank * (2 * (width + inner) + 2 * (width + shared))
    attention = 4 * inner * pairs if convention.attention else 0
    return dims.layers * (2 * tokens * (weights + adapter) + attention)
