"""Looking on while a model hears: what its extractor made of a recording, kept as numbers.

It hears as the model always does; hidden states are gone with their section. What is shown of the
numbers, and how, is others' work.

Shapes: T frames of a section, V tokens of the CTC head.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from fls_models.core.progress import Progress, ignore
from fls_models.extractor.inspection.inspection import Inspection
from fls_models.extractor.inspection.recorder import FusionRecorder
from fls_models.transcription.ctc_words import words_read

if TYPE_CHECKING:
    from fls_models.answering.model import FrameExtractor
    from fls_models.core.budget import Budget


def inspect(
    model: FrameExtractor,
    blocks: Iterable[NDArray[np.float32]],
    budget: Budget,
    *,
    start: float = 0.0,
    total: float | None = None,
    progress: Progress = ignore,
) -> Inspection:
    """Hears blocks of 16 kHz mono float32 to their end, as for a question at that budget.

    Args:
        start: seconds, the time of the first sample; added to all times.
        total: seconds that the stream is thought to last.
        progress: its stage `listen` counts seconds of audio.

    Raises:
        UsageError, EnvironmentLacks: the vocabulary of the model's head is none, before it listens.
        InputError: a sample is NaN or infinite.
        Exception: whatever `blocks` raise.
    """
    encoder, text = model.language_model, model.ctc_text
    recorder = FusionRecorder(encoder, None if text is None else encoder.ctc_tokens)
    fused = model.hear(blocks, budget, start=start, total=total, progress=progress, watch=recorder)
    times = torch.from_numpy(recorder.times)
    words = () if text is None else words_read(recorder.pieces, text, times)
    return Inspection(
        start=start,
        end=start + fused.duration,
        sections=tuple(recorder.sections),
        words=words,
        has_head=encoder.ctc_tokens is not None,
        model=model.card.name,
        budget=fused.budget,
    )
