"""Stage 1 of the recipe: a CTC head is trained on what a frozen encoder hears (arXiv 2507.14815).

The head's norm is the model's own final norm and stays as it is; projector and output layer are
new. Nothing else of the model is touched. Encoding (`encoded`), the vocabulary and the loop are
others' work.

Shapes: T frames, B recordings of a batch, D encoder width, H inner width, V tokens and one blank.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fls_models.core.files import replacing
from fls_models.errors import UsageError
from fls_models.extractor.ctc_decoding import greedy
from fls_models.extractor.density import CtcHead
from fls_models.lslm.large import LargeSpeechLM
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Loop
from fls_models.training.ctc.vocabulary import Vocabulary, frames_needed
from fls_models.training.data.manifests import Utterance
from fls_models.transcription.normalizer import normalise
from fls_models.transcription.word_errors import align

PREFIX = "ctc_decoder."
"""Before the names of the head's parameters in released checkpoints."""
HEAD = "head.safetensors"


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        head: safetensors with the released names, which `--head` takes: the best there was.
        vocabulary: the file beside it.
        word_error_rate: of the head on what was held out, 0 upwards.
        loss: of the last step's batch, nats a token.
        steps: after how many the head was best.
    """

    head: Path
    vocabulary: Path
    word_error_rate: float
    loss: float
    steps: int


def usable(
    utterances: Iterable[Utterance], encoded: Encoded, vocabulary: Vocabulary
) -> tuple[list[Utterance], list[Utterance]]:
    """Those whose text CTC can write in their frames, and those of too few frames for it.

    What was not encoded is among neither.
    """
    found: list[Utterance] = []
    crowded: list[Utterance] = []
    for one in utterances:
        if one.audio not in encoded:
            continue
        ids = vocabulary.encode(one.text)
        fits = bool(ids) and frames_needed(ids) <= encoded.frames(one.audio)
        (found if fits else crowded).append(one)
    return found, crowded


def chosen(run: Run[Utterance], vocabulary: Vocabulary) -> tuple[list[Utterance], list[Utterance]]:
    """Those to train on, which are `usable`, and those held out; UsageError where one is empty."""
    taken, _ = usable(run.taken, run.encoded, vocabulary)
    held = [one for one in run.held if one.audio in run.encoded]
    if not taken or not held:
        raise UsageError(
            f"{len(taken)} recordings to train on and {len(held)} held out can be used; at least "
            "one of each is needed, of 30 s at most."
        )
    return taken, held


def new_head(norm: nn.LayerNorm, inner_width: int, tokens: int, seed: int = 0) -> CtcHead:
    """A head with random weights, float32 on the CPU; its norm is a frozen copy of the model's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = CtcHead(len(norm.weight), inner_width, tokens, norm.eps)
    head.layer_norm.load_state_dict(norm.state_dict())
    head.layer_norm.requires_grad_(False)
    return head


def batch_loss(head: CtcHead, hidden: Sequence[Tensor], ids: Sequence[Sequence[int]]) -> Tensor:
    """CTC loss, nats a token: of each recording by the length of its text, then their mean.

    Args:
        hidden: B of (T_b, D), any dtype, on the CPU.
        ids: B texts that fit their frames.
    """
    device = head.linear.weight.device
    # (T, B, D): ctc_loss has time first, and hidden states are laid out for that, as transposed
    # logits can slow the way back through the large output layer down.
    padded = pad_sequence([one.to(device) for one in hidden])
    log_probabilities = head(padded).log_softmax(-1)
    return F.ctc_loss(
        log_probabilities,
        torch.tensor([token for text in ids for token in text], device=device),
        torch.tensor([len(one) for one in hidden]),
        torch.tensor([len(text) for text in ids]),
        blank=head.linear.out_features - 1,
    )


@torch.no_grad()
def write_down(head: CtcHead, hidden: Tensor, vocabulary: Vocabulary) -> str:
    """What the head makes of a recording: (T, D) -> text, greedily."""
    return vocabulary.decode(greedy(head(hidden.to(head.linear.weight.device))))


def word_error_rate(
    head: CtcHead, dev: Sequence[Utterance], encoded: Encoded, vocabulary: Vocabulary
) -> float:
    """Errors per word over all texts together, both sides normalised as `fls bench asr` does."""
    said = [normalise(one.text) for one in dev]
    written = [normalise(write_down(head, encoded[one.audio], vocabulary)) for one in dev]
    return float(align(said, written).wer)


def train_head(
    model: LargeSpeechLM,
    run: Run[Utterance],
    vocabulary: Vocabulary,
    *,
    identity: str,
    inner_width: int | None = None,
) -> Result:
    """Trains a head for a model, in float32 on the model's device; an interrupted run goes on.

    The order of recordings depends on the seed only. Those that `usable` does not name are left
    out.

    Args:
        run: its recordings are encoded as hidden states, and its steps' value is the word error
            rate.
        identity: tells the model's weights from others.
        inner_width: H; the width of the language model unless given.

    Raises:
        UsageError: nothing to train on or to hold out; the folder holds another run;
            more processes than batches a step.
        OthersGone: another process has ended.
    """
    taken, held = chosen(run, vocabulary)
    plan, folder, encoded, batch_size = run.plan, run.folder, run.encoded, run.batch_size
    norm, inner = model.final_norm, inner_width or model.width
    head = new_head(norm, inner, vocabulary.size, plan.seed).to(model.device)
    parameters = {
        f"{PREFIX}{name}": one for name, one in head.named_parameters() if one.requires_grad
    }
    told = {
        "stage": "ctc",
        "model": identity,
        "recordings": digest(taken, encoded),
        "held out": digest(held, encoded),
        "vocabulary": vocabulary.identity,
        "batch": batch_size,
        "inner width": inner,
    }
    loop = Loop(parameters, plan, folder, identity=told, processes=run.processes)
    # After the loop has agreed: another run's vocabulary is not written over.
    written = run.processes.once(lambda: vocabulary.save(folder))
    ids = [vocabulary.encode(one.text) for one in taken]

    @lru_cache(maxsize=2)
    def order(turn: int) -> list[int]:
        dice = torch.Generator().manual_seed((plan.seed << 20) + turn)
        shuffled: list[int] = torch.randperm(len(taken), generator=dice).tolist()
        return shuffled

    def loss(number: int, dice: torch.Generator) -> Tensor:
        first = number * batch_size
        places = (divmod(at, len(taken)) for at in range(first, first + batch_size))
        batch = [order(turn)[place] for turn, place in places]
        hidden = [encoded[taken[one].audio] for one in batch]
        return batch_loss(head, hidden, [ids[one] for one in batch])

    best = loop.run(
        loss, lambda: word_error_rate(head, held, encoded, vocabulary), run.progress, run.report
    )

    def made() -> Path:
        with replacing(folder / HEAD) as part:
            shutil.copyfile(best.file, part)
        return folder / HEAD

    return Result(run.processes.once(made), written, best.value, best.loss, best.step)


def digest(utterances: Sequence[Utterance], encoded: Encoded) -> str:
    """Tells recordings and their texts from others, in whatever folder they lie."""
    told = [(encoded.key(one.audio), one.text) for one in utterances]
    return hashlib.sha256(repr(told).encode()).hexdigest()
