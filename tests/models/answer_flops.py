"""FLOPs of a whole answer by stage, counted as here or as the paper counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fls_models.planning.flops import (
    QWEN2_AUDIO_DECODER,
    QWEN2_AUDIO_ENCODER,
    THIS_PROJECT,
    Convention,
    DecoderDims,
    EncoderDims,
    HeadDims,
    decode_flops,
    encoder_flops,
    head_flops,
    prefill_flops,
)

PAPER = Convention(attention=False, every_logit=True)
"""What comes closest to the paper (arXiv 2507.14815), with its LoRA unmerged and its head unfolded.

Within 1.5 % of all nine figures of Tables 3 and 7; of Table 4, long speech, the step between its
two rows agrees within 3.5 % and the rows themselves are 18 % and 6 % short. The paper does not say
how it counts; `tests/models/test_cost.py` holds what had to be fitted and what is left over.
"""


@dataclass(frozen=True)
class ModelDims:
    """All that an answer goes through. Without a head, nothing is fused."""

    encoder: EncoderDims
    decoder: DecoderDims
    head: HeadDims | None = None

    @classmethod
    def from_config(
        cls, config: Any, head: HeadDims | None = None, lora_rank: int = 0
    ) -> ModelDims:
        """From a transformers `Qwen2AudioConfig`."""
        return cls(
            EncoderDims.from_config(config.audio_config),
            DecoderDims.from_config(config.text_config, lora_rank),
            head,
        )


QWEN2_AUDIO_7B = ModelDims(QWEN2_AUDIO_ENCODER, QWEN2_AUDIO_DECODER)


@dataclass(frozen=True)
class Cost:
    """FLOPs by stage, in the order in which they are spent."""

    encoder: int
    head: int
    fusion: int
    projector: int
    prefill: int
    decode: int

    @property
    def total(self) -> int:
        """All stages."""
        return self.encoder + self.head + self.fusion + self.projector + self.prefill + self.decode


def answer_cost(
    model: ModelDims,
    windows: int,
    frames: int,
    lengths: Sequence[int],
    prompt_tokens: int,
    answer_tokens: int,
    convention: Convention = THIS_PROJECT,
) -> Cost:
    """FLOPs of one question about one section of audio.

    Args:
        windows: 30 s windows through the encoder.
        frames: T, the frames of real audio in them.
        lengths: frames after each round (`fusion.halving_schedule(T, L)`), empty for none.
        prompt_tokens: tokens of text around the audio.
        answer_tokens: tokens written, the first of which comes out of the prefill.
    """
    length = lengths[-1] if lengths else frames
    context = length + prompt_tokens
    rounds = (frames, *lengths)
    return Cost(
        encoder=windows * encoder_flops(model.encoder, convention),
        head=head_flops(model.head, model.encoder.width, sum(rounds)) if model.head else 0,
        fusion=sum(6 * model.encoder.width * before for before in rounds[:-1]),
        projector=2 * model.encoder.width * model.decoder.width * length,
        prefill=prefill_flops(model.decoder, context, convention),
        decode=decode_flops(model.decoder, context, max(answer_tokens - 1, 0), convention),
    )
