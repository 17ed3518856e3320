"""What hearing a recording costs under a method, in operations; the language model counts its own.

`flops` says what is counted. A model's sizes are taken from its own configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fls_models.core.constants import WINDOW_FRAMES
from fls_models.extractor.fusion import Schedule
from fls_models.lslm.mini.connector import Shape
from fls_models.planning.flops import DecoderDims, EncoderDims, HeadDims, encoder_flops, head_flops

# Whisper's encoders by their width: how many layers they have (arXiv 2212.04356, Table 1).
_WHISPER_LAYERS = {384: 4, 512: 6, 768: 12, 1024: 24, 1280: 32}


@dataclass(frozen=True)
class HearingDims:
    """What a recording goes through before the language model.

    Attributes:
        encoder: its width need not be that of what is fused.
        width: D, of the hidden states that are fused.
        head: None without a CTC head.
        adapter: operations a window between the encoder and what is fused.
        projector: operations a frame that is read.
    """

    encoder: EncoderDims
    width: int
    head: HeadDims | None
    adapter: int
    projector: int


def hearing_dims_of(model: Any) -> HearingDims | None:
    """The sizes of a model that hears, None where it does not tell them.

    Large models have a tower (`lslm/hearing.py`), `mini` a connector (`lslm/mini_hearing.py`).
    """
    shape = getattr(getattr(model, "config", None), "shape", None)
    if isinstance(shape, Shape):
        return connected(shape)
    try:
        encoder = EncoderDims.from_config(model._tower.config)
        tokens, width = model.ctc_tokens, model.hidden_width
    except AttributeError:
        return None
    head = None if tokens is None else HeadDims(tokens + 1)
    return HearingDims(encoder, width, head, 0, 2 * width * int(model.width))


def decoder_dims_of(model: Any) -> DecoderDims | None:
    """The sizes of a language model; what a LoRA that is not merged adds, a few per cent, is not
    among them."""
    try:
        return DecoderDims.from_config(model.body.config)
    except AttributeError:
        return None


def hearing_flops(
    dims: HearingDims,
    schedule: Schedule,
    windows: int,
    passes: Sequence[tuple[int, int]],
    *,
    weighted: bool,
) -> int:
    """Encoder, CTC head, fusion and projector.

    Args:
        schedule: how often frames are compared with their neighbours.
        weighted: whether content density takes part, and so the CTC head.
        passes: of each, T frames and the L that they became.
    """
    total = windows * (encoder_flops(dims.encoder) + dims.adapter)
    for frames_before, length in passes:
        rounds = (frames_before, *schedule(frames_before, length))
        if weighted and dims.head is not None:
            total += head_flops(dims.head, dims.width, sum(rounds))
        total += sum(6 * dims.width * frames for frames in rounds[:-1])
        total += dims.projector * length
    return total


def connected(shape: Shape) -> HearingDims | None:
    """A Whisper encoder behind a connector (`lslm/connector.py`)."""
    width, layers = shape.width, _WHISPER_LAYERS.get(shape.encoder_width)
    if layers is None:
        return None
    # Gate 2, pointwise 1, q, k, v 3, out 1: maps of D to D; then the feed-forward layer.
    block = 7 * width**2 + shape.kernel * width + 2 * width * shape.inner_width
    frame_flops = 2 * (2 * shape.encoder_width * width + shape.blocks * block)
    attention = shape.blocks * 4 * WINDOW_FRAMES**2 * width
    tokens, embedding = shape.tokens, shape.model_width
    return HearingDims(
        EncoderDims(80, shape.encoder_width, 4 * shape.encoder_width, layers),
        width,
        HeadDims(tokens + 1),
        WINDOW_FRAMES * frame_flops + attention,
        2 * (width * (tokens + 1) + tokens * embedding + width * embedding),
    )
