"""Dynamic compression: a batch of conversations about clips that are fused to a drawn length.

Each window of a clip is fused as in the paper's training (arXiv 2507.14815): down the ladder, to
one length L for the whole batch. What is trained is left to others; nothing here has parameters.

Shapes: T frames of a clip, D encoder width, H the language model's width, n positions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fls_models.core.constants import WINDOW_FRAMES
from fls_models.extractor.density import density_from
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import TRAINING_LENGTHS, fuse, training_schedule
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.decoder_inputs import IGNORE_INDEX

LENGTHS = (WINDOW_FRAMES, *TRAINING_LENGTHS)
"""Lengths of a window in the paper's training: 750, which leaves it as it is, 400, ..., 12."""


def draw(lengths: Sequence[int], generator: torch.Generator) -> int:
    """One of them, each as likely as the others."""
    return lengths[int(torch.randint(len(lengths), (), generator=generator))]


def fused(encoder: SpeechEncoder, hidden: Tensor, length: int, *, by_share: bool = False) -> Tensor:
    """A clip's frames, each window of it fused to L: (T, D) -> (T', D).

    L is at least 1. Windows of L frames or fewer stay as they are: what a clip of 4 s takes more
    than 100 frames for does not exist. With `by_share`, L is of a whole window, and a shorter one
    becomes as many frames as it is of that: as its part of a long recording would.

    Gradients go through the means, where the hidden states want them; which frames go together,
    and their weights, have none.
    """
    density = torch.no_grad()(density_from(encoder.blank_probability))
    windows = []
    for window in torch.split(hidden, WINDOW_FRAMES):
        share = len(window) / WINDOW_FRAMES if by_share else 1.0
        target = max(1, round(length * share))
        if target < len(window):
            edges = torch.arange(len(window) + 1, dtype=torch.float64, device=window.device)
            spans = torch.stack([edges[:-1], edges[1:]], dim=-1)
            frames = Frames(window, density(window), spans)
            window = fuse(frames, target, density, training_schedule).frames.hidden
        windows.append(window)
    return torch.cat(windows)


def surprisals(
    model: DecoderLanguageModel, conversations: Sequence[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """-log p of each token that is taught, given all that stands before it, with gradients.

    Args:
        conversations: embeddings (n, H) and labels (n,) as `conversation` gives them, of any
            lengths. They go through the layers at once, padded on the right: nothing that is real
            comes behind padding, and positions are those of each alone.

    Returns:
        For each conversation (k,) float32, on the model's device.
    """
    embeddings = pad_sequence([embedded for embedded, _ in conversations], batch_first=True)
    labels = pad_sequence(
        [targets for _, targets in conversations], batch_first=True, padding_value=IGNORE_INDEX
    ).to(embeddings.device)
    lengths = torch.tensor([len(targets) for _, targets in conversations], device=embeddings.device)
    positions = torch.arange(labels.shape[1], device=embeddings.device).expand_as(labels)
    hidden = model.through(embeddings, positions, positions < lengths[:, None])
    # Logits are a vocabulary wide: only those that a token is held against are computed.
    taught = labels[:, 1:] != IGNORE_INDEX
    logits = model.logits(hidden[:, :-1][taught]).float()
    losses = nn.functional.cross_entropy(logits, labels[:, 1:][taught], reduction="none")
    return list(torch.split(losses, taught.sum(1).tolist()))
