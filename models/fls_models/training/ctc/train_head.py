"""Stage 1 of the recipe: a CTC head is trained on what a frozen encoder hears (arXiv 2507.14815).

The head's norm is the model's own final norm and stays as it is; projector and output layer are
new. Nothing else of the model is touched. Encoding (`encoded_dataset`), the vocabulary and the loop
are others' work.

Shapes: T frames, B recordings of a batch, D encoder width, H inner width, V tokens and one blank.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fls_models.core.files import replacing
from fls_models.core.text.normalizer import normalise
from fls_models.extractor.ctc_decoding import greedy
from fls_models.extractor.density import CtcHead
from fls_models.lslm.large import LargeSpeechLM
from fls_models.training.core.batches import members
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Loop
from fls_models.training.ctc.vocabulary import Vocabulary, frames_needed
from fls_models.training.data.manifests import Utterance
from fls_models.transcription.word_errors import align

PREFIX = "ctc_decoder."
"""Before the names of the head's parameters in released checkpoints."""
HEAD = "head.safetensors"


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        path: the head's file or the connector's folder, the vocabulary with it: the best there was.
        word_error_rate: on what was held out, 0 upwards.
        loss: of the last step's batch.
        steps: after how many it was best.
    """

    path: Path
    word_error_rate: float
    loss: float
    steps: int


def usable(
    utterances: Iterable[Utterance], encoded: Encoded, vocabulary: Vocabulary
) -> tuple[list[Utterance], list[Utterance]]:
    """Those whose text CTC can write in their frames, and those of too few frames for it.

    What was not encoded is among neither.
    """
    fitting: list[Utterance] = []
    misfits: list[Utterance] = []
    for utterance in utterances:
        if utterance.audio not in encoded:
            continue
        ids = vocabulary.encode(utterance.text)
        fits = bool(ids) and frames_needed(ids) <= encoded.frames(utterance.audio)
        (fitting if fits else misfits).append(utterance)
    return fitting, misfits


def chosen(run: Run[Utterance], vocabulary: Vocabulary) -> Run[Utterance]:
    """With what is `usable` to train on, and encoded to hold out; UsageError where one is empty."""
    utterances, _ = usable(run.train, run.encoded, vocabulary)
    return replace(run, train=utterances).usable("recordings", "of 30 s at most")


def digests(run: Run[Utterance]) -> dict[str, str]:
    """Tells recordings and their texts from others, for a run's identity."""
    return {
        name: run.encoded.digest((utterance.audio, utterance.text) for utterance in utterances)
        for name, utterances in (("recordings", run.train), ("held out", run.dev))
    }


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
    padded = pad_sequence([states.to(device) for states in hidden])
    log_probabilities = head(padded).log_softmax(-1)
    return ctc_loss(log_probabilities, [len(states) for states in hidden], ids)


def ctc_loss(
    log_probabilities: Tensor, lengths: Sequence[int], ids: Sequence[Sequence[int]], **options: Any
) -> Tensor:
    """That of torch: (T, B, V + 1), of which the blank is last, B numbers of frames, B texts."""
    return F.ctc_loss(
        log_probabilities,
        torch.tensor([token for text in ids for token in text], device=log_probabilities.device),
        torch.tensor(lengths),
        torch.tensor([len(text) for text in ids]),
        blank=log_probabilities.shape[-1] - 1,
        **options,
    )


@torch.no_grad()
def write_down(head: CtcHead, hidden: Tensor, vocabulary: Vocabulary) -> str:
    """What the head makes of a recording: (T, D) -> text, greedily."""
    return vocabulary.decode(greedy(head(hidden.to(head.linear.weight.device))))


def word_error_rate(dev: Sequence[Utterance], transcribe: Callable[[Path], str]) -> float:
    """Errors per word over all texts together, both sides normalised as `fls bench asr` does."""
    texts = [normalise(utterance.text) for utterance in dev]
    transcripts = [normalise(transcribe(utterance.audio)) for utterance in dev]
    return float(align(texts, transcripts).wer)


def train_head(
    model: LargeSpeechLM,
    run: Run[Utterance],
    vocabulary: Vocabulary,
    *,
    identity: str,
    inner_width: int | None = None,
) -> Result:
    """Trains a head for a model, in float32 on the model's device; an interrupted run goes on.

    What is made is safetensors with the released names, which `--head` takes.
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
    run = chosen(run, vocabulary)
    utterances, encoded, batch_size = run.train, run.encoded, run.batch_size
    plan, folder = run.plan, run.folder
    norm, inner = model.final_norm, inner_width or model.width
    head = new_head(norm, inner, vocabulary.size, plan.seed).to(model.device)
    parameters = {
        f"{PREFIX}{name}": value for name, value in head.named_parameters() if value.requires_grad
    }
    run_identity = {
        "stage": "ctc",
        "model": identity,
        **digests(run),
        "vocabulary": vocabulary.identity,
        "batch": batch_size,
        "inner width": inner,
    }
    loop = Loop(parameters, plan, folder, identity=run_identity, processes=run.processes)
    # After the loop has agreed: another run's vocabulary is not written over.
    run.processes.once(lambda: vocabulary.save(folder))
    ids = [vocabulary.encode(utterance.text) for utterance in utterances]

    def loss(number: int, generator: torch.Generator) -> Tensor:
        batch = members(len(utterances), batch_size, number, plan.seed)
        hidden = [encoded[utterances[index].audio] for index in batch]
        return batch_loss(head, hidden, [ids[index] for index in batch])

    def evaluate() -> float:
        return word_error_rate(run.dev, lambda audio: write_down(head, encoded[audio], vocabulary))

    best = loop.run(loss, evaluate, run.progress, run.report)

    def save() -> Path:
        with replacing(folder / HEAD) as part:
            shutil.copyfile(best.file, part)
        return folder / HEAD

    return Result(run.processes.once(save), best.value, best.loss, best.step)
