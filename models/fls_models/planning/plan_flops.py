"""Operations that hearing a recording and reading it take, from a plan and dimensions alone.

What depends on the question is not counted: judging it, the words around it, and writing the
answer. Nor is what depends on the recording: pieces that Whisper has to hear again. `flops` says
what an operation is.
"""

from types import MappingProxyType

from fls_models.audio.whisper.effort import EFFORTS, Effort
from fls_models.core.constants import WINDOW_SECONDS
from fls_models.planning.flops import (
    QWEN2_AUDIO_DECODER,
    QWEN2_AUDIO_ENCODER,
    DecoderDims,
    EncoderDims,
    HeadDims,
    encoder_flops,
    prefill_flops,
)
from fls_models.planning.plan import TOKENS_SAID, Planned
from fls_models.weights import card as cards
from fls_models.weights import store as weights
from fls_models.weights.card import Card, FrameCard

_WHISPER_BASE = EncoderDims(mel_bins=80, width=512, feed_forward=2048, layers=6)
# Its decoder has the encoder's width and layers, and so many tokens.
_WHISPER_TOKENS = 51_865
# Of the tokens of FastLongSpeech's CTC head, with its blank; the Omni models have no head.
_CTC_CLASSES = 10_001

# As in each config.json.
_LANGUAGE_MODELS = MappingProxyType(
    {
        "qwen2.5-coder-0.5b-instruct": DecoderDims(896, 4864, 24, 14, 2, 64, 151_936),
        "qwen2.5-coder-1.5b-instruct": DecoderDims(1536, 8960, 28, 12, 2, 128, 151_936),
        "ICTNLP/FastLongSpeech": QWEN2_AUDIO_DECODER,
        "Qwen/Qwen2.5-Omni-3B": DecoderDims(2048, 11008, 36, 16, 2, 128, 151_936),
        "Qwen/Qwen2.5-Omni-7B": DecoderDims(3584, 18944, 28, 28, 4, 128, 152_064),
    }
)


def dims_of(card: Card) -> DecoderDims | None:
    """The sizes of a card's language model; None for a folder of the user's own."""
    return _LANGUAGE_MODELS.get(card.language_model) if card.name in cards.names() else None


def plan_flops(card: Card, plan: Planned) -> int | None:
    """Operations of hearing and reading; None where the model's dimensions are not known."""
    dims = dims_of(card)
    if dims is None:
        return None
    hearing = _transcribed(plan) if plan.reads_by == "text" else _fused(card, dims, plan)
    if hearing is None:
        return None
    return hearing + sum(prefill_flops(dims, pass_.length) for pass_ in plan.passes)


def transcribing_flops(
    dims: EncoderDims, vocabulary: int, windows: int, tokens: int, effort: Effort
) -> int:
    """Whisper from windows to words with times, when every window goes well the first time.

    Each token is decoded in every beam, and once more to find its time.

    Args:
        dims: of the encoder; the decoder has as many layers, each as wide.
        tokens: of all windows together.
    """
    width = dims.width
    window_flops = encoder_flops(dims, merging=effort.merging)
    window_flops += dims.layers * 4 * dims.positions * width**2
    # Self-attention 4 maps of D to D, attention to the window 2: its keys and values are above.
    weights_each = 6 * width**2 + 2 * width * dims.feed_forward
    attention = 4 * width * (dims.positions + tokens / max(1, windows) / 2)
    token_flops = dims.layers * (2 * weights_each + attention) + 2 * width * vocabulary
    return windows * window_flops + round((effort.beams + 1) * tokens * token_flops)


def _transcribed(plan: Planned) -> int:
    tokens = round(TOKENS_SAID * plan.audio_seconds / WINDOW_SECONDS)
    effort = EFFORTS[plan.budget]
    return transcribing_flops(_WHISPER_BASE, _WHISPER_TOKENS, plan.windows, tokens, effort)


def _fused(card: Card, dims: DecoderDims, plan: Planned) -> int | None:
    # These know fusion, and so import torch.
    from fls_models.extractor.fusion import paper_schedule
    from fls_models.planning.hearing_flops import HearingDims, connected, hearing_flops

    if isinstance(card, FrameCard):
        head = HeadDims(_CTC_CLASSES) if card.architecture == "qwen2_audio" else None
        width = QWEN2_AUDIO_ENCODER.width
        hearing = HearingDims(QWEN2_AUDIO_ENCODER, width, head, 0, 2 * width * dims.width)
    else:
        from fls_models.lslm.mini.connector_weights import read_config

        folder = weights.connector(card)
        connector = None if folder is None else connected(read_config(folder).shape)
        if connector is None:
            return None
        hearing = connector
    passes = [(pass_.frames, pass_.length) for pass_ in plan.passes]
    return hearing_flops(hearing, paper_schedule, plan.windows, passes, weighted=True)
