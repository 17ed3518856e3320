"""Stage 2 on a GPU: mini's language model learns to read fused frames, from itself.

A LoRA, the projector and, slowly, the adapter with its CTC head. A batch is of single clips, each
fused as training fuses, or of whole recordings of several windows, fused together as where `fls`
runs; all of it to one length. It writes down, goes on, answers the questions of the documents, and
says what the language model itself says to the same request when it reads the transcript. Besides
the answers' tokens, the whole distribution of the reader of the transcript is learned, where there
is something to answer. When it stops and what is kept is `mini_train`'s affair.

Letters: W width of Whisper's frames, T frames of a recording at 25 Hz, D width of the hidden
states, L positions, H width of the language model, V its tokens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from common import even_spans
from mini_encoder import Encoder
from mini_own_answers import answers
from mini_takes import Take, Takes
from torch import Tensor, nn

from fls_models.core.constants import WINDOW_FRAMES
from fls_models.extractor.density import density_from
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, halving_schedule
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.connector_weights import LoraShape
from fls_models.lslm.prompts import ASK, question
from fls_models.training.compression.dynamic import fused, surprisals
from fls_models.training.compression.lora import Adapted, Settings
from fls_models.training.compression.trainable_mini import TrainableHearing
from fls_models.training.core.checkpoints import fill
from fls_models.training.core.precision import computing
from fls_models.training.data import instructions as exercises
from fls_models.training.data.documents import Question

# Of a window; the longest seldom, as it costs twice as much and is the easiest.
LENGTHS = (400, 200, 100, 50, 25, 12, 750)
_OFTEN = (4, 4, 4, 3, 2, 2, 1)
# Whole recordings are fused at least so far, and have at most so many windows.
_RECORDINGS = (200, 100, 50, 25, 12)
_MOST_WINDOWS = 8
# A transcription at a lower length is guessing.
_LEGIBLE = 100
_RECORDINGS_SHARE = 0.4
# How much is made of the whole distribution, beside the answer's own tokens.
_DISTRIBUTION = 0.5
# Of the learning rate, as `train_mini` has them.
_SHARES = {"projector.": 0.05, "adapter.": 0.1, "norm.": 0.1, "ctc.": 0.1}


@dataclass(frozen=True, eq=False)
class Exercise:
    """Clips that are heard as one, what is said in them, a request and its answer.

    `soft`: how much of the loss is that of the distribution; 0 where the transcript says it all.
    """

    sound: tuple[Tensor, ...]
    text: str
    request: str
    answer: str
    soft: float


class _Noted:
    """The language model, and the logits that were asked of it."""

    def __init__(self, model: TrainableHearing) -> None:
        self._model = model
        self.through = model.through
        self.last_logits = torch.empty(0)

    def logits(self, hidden: Tensor) -> Tensor:
        self.last_logits = self._model.logits(hidden)
        return self.last_logits


class AnsweringStage:
    """Batches and their loss; how often what is held out is answered rightly; the connector.

    Args:
        connector: the folder that stage 1 left, or one with a LoRA, which is gone on with.
        questions: of documents, by their names.
    """

    def __init__(
        self,
        llm: Path,
        connector: Path,
        encoder: Encoder,
        takes: Takes,
        questions: Mapping[str, Sequence[Question]],
        *,
        batch: int,
        rank: int,
        precision: str,
        seed: int,
        own_tokens: int = 48,
    ) -> None:
        # Whisper is in `encoder`; the folder is not looked at.
        self.model = TrainableHearing(
            llm, llm, connector, device=str(encoder.device), precision=precision
        )
        self._encoder, self._takes, self._questions = encoder, takes, questions
        self._batch, self._own_tokens = batch, own_tokens
        lora = self.model.config.lora
        settings = Settings(rank, 2.0 * rank, 0.0)
        if lora is not None:
            settings = Settings(lora.rank, lora.alpha, 0.0)
        self.lora = Adapted(self.model, settings, seed=seed)
        if lora is not None:
            pairs = connector_weights.read_lora(connector, self.model.config)
            sides = {f"{name}.lora_A.weight": pair.down for name, pair in pairs.items()}
            fill(
                self.lora.parameters,
                sides | {f"{name}.lora_B.weight": pair.up for name, pair in pairs.items()},
            )
        self.model.connector.requires_grad_(True)
        self.parameters: dict[str, nn.Parameter] = {
            **{f"lora.{name}": tensor for name, tensor in self.lora.parameters.items()},
            **{f"connector.{name}": part for name, part in self.model.connector.named_parameters()},
        }
        self.shares = {
            name: share
            for part, share in _SHARES.items()
            for name in self.parameters
            if name.startswith(f"connector.{part}")
        }
        self._rng = Random(seed)
        self._own: deque[Exercise] = deque()
        self._pools: dict[str, deque[Any]] = {}

    def ready(self) -> bool:
        self._takes.scan()
        return bool(self._takes.train)

    def loss(self) -> tuple[Tensor, str]:
        """Nats a token of the next batch, and what kind of batch it was."""
        is_whole = self._rng.random() < _RECORDINGS_SHARE
        [length] = self._rng.choices(LENGTHS, _OFTEN)
        if is_whole:
            length = self._rng.choice(_RECORDINGS)
        count = max(1, self._batch // (2 if is_whole or length == max(LENGTHS) else 1))
        batch = [self._drawn(is_whole, length) for _ in range(count)]
        # Those with a distribution first, so that their logits are a slice.
        batch.sort(key=lambda exercise: -exercise.soft)
        self.lora.train()
        kind = "recordings" if is_whole else "clips"
        return self._loss(batch, length), f"{kind} {length}"

    def _loss(self, batch: Sequence[Exercise], length: int) -> Tensor:
        model = self.model
        # All clips of the batch at once.
        frames = iter(self._encoder([clip for exercise in batch for clip in exercise.sound]))
        conversations = [
            model.conversation(
                ASK.heard(),
                self.read([next(frames) for _ in exercise.sound], length),
                exercise.request,
                exercise.answer,
            )
            for exercise in batch
        ]
        noted: Any = _Noted(model)
        with self._computing():
            hard = surprisals(model=noted, conversations=conversations)
        soft = [exercise for exercise in batch if exercise.soft]
        if not soft:
            return torch.cat(hard).mean()
        # Before the way back, which needs the LoRA's gradients as they are.
        targets = self._distribution(soft)
        log_probabilities = noted.last_logits[: len(targets)].float().log_softmax(-1)
        of_distribution = -(targets * log_probabilities).sum(-1)
        shares = torch.cat(
            [
                torch.full((len(nats),), exercise.soft, device=nats.device)
                for exercise, nats in zip(batch, hard, strict=True)
            ]
        )
        losses = torch.cat(hard) * (1 - shares)
        taught = len(of_distribution)
        total: Tensor = losses.sum() + (shares[:taught] * of_distribution).sum()
        return total / len(losses)

    @torch.no_grad()
    def _distribution(self, batch: Sequence[Exercise]) -> Tensor:
        """(positions, V): what the model without its LoRA says where it reads the transcripts."""
        model = self.model
        noted: Any = _Noted(model)
        conversations = [
            model.conversation(
                ASK,
                self._embedded(exercise.text),
                f"\n\n{exercise.request.strip()}",
                exercise.answer,
            )
            for exercise in batch
        ]
        with self.plain(), self._computing():
            surprisals(noted, conversations)
        probabilities: Tensor = noted.last_logits.float().softmax(-1)
        return probabilities

    def _embedded(self, text: str) -> Tensor:
        return self.model.embed(self.model.tokenize(f" {text}"))

    def read(self, frames: Sequence[Tensor], length: int) -> Tensor:
        """Windows (2 T, W), heard as one recording and fused: embeddings (L, H), with gradients."""
        model = self.model
        with self._computing():
            hidden = [model.heard(window.reshape(len(window) // 2, -1)) for window in frames]
        fused_frames = (
            fused(model, hidden[0], length, by_share=True)
            if len(hidden) == 1
            else _together(model, torch.cat(hidden), length)
        )
        with self._computing():
            return model.embedded(fused_frames)

    def plain(self) -> Any:
        """Within it, the language model is as it was."""
        return _Without(self.model.body)

    def _computing(self) -> Any:
        return computing(self.model.device, self.model.precision)

    # What is asked

    def _drawn(self, is_whole: bool, length: int) -> Exercise:
        rng = self._rng
        if is_whole:
            take = self._from("takes", self._several)
            questions = self._questions.get(take.source, ()) if take.whole else ()
            if questions and rng.random() < 0.6:
                question = rng.choice(exercises.own_questions(questions, [], rng, whole=True))
                return _exercise(take.sound, take.text, question, _DISTRIBUTION)
            return self._own_answer()
        take, at = self._from("clips", self._singles)
        clip, sound = take.said[at], take.sound[at]
        kind = rng.random()
        if kind < 0.35 and length >= _LEGIBLE:
            return _exercise((sound,), clip.text, exercises.transcription(clip.lines, rng), 0.0)
        if kind < 0.7:
            questions = self._questions.get(take.source, ())
            own_questions = exercises.own_questions(questions, clip.lines, rng, whole=False)
            if own_questions:
                return _exercise((sound,), clip.text, rng.choice(own_questions), _DISTRIBUTION)
        if kind < 0.8 and len(clip.lines) > 1:
            line_count = rng.randint(1, len(clip.lines) - 1)
            question = exercises.continuation(clip.lines, line_count, rng)
            text = " ".join(clip.lines[:line_count])
            return _exercise((sound[: clip.cuts[line_count - 1]],), text, question, _DISTRIBUTION)
        return self._own_answer()

    def _own_answer(self) -> Exercise:
        """One that the language model has answered; many are answered at once."""
        while not self._own:
            requests = []
            for _ in range(4 * self._batch):
                take, at = self._from("clips", self._singles)
                clip, sound = take.said[at], (take.sound[at],)
                text, lines, whole = clip.text, list(clip.lines), False
                if self._rng.random() < _RECORDINGS_SHARE:
                    take = self._from("takes", self._several)
                    windows = slice(0, _MOST_WINDOWS)
                    sound, lines = take.sound[windows], []
                    text = " ".join(window.text for window in take.said[windows])
                    whole = take.whole and len(take.said) <= _MOST_WINDOWS
                request = exercises.request(
                    self._questions.get(take.source, ()), lines, self._rng, whole=whole
                )
                requests.append((sound, text, request))
            prefixes = [
                self.model.conversation(request.prompt, self._embedded(text), request.request, "")
                for _, text, request in requests
            ]
            self.lora.train(False)
            with self.plain(), self._computing():
                replies = answers(self.model, prefixes, self._own_tokens)
            self._own += [
                Exercise(sound, text, request.question, answer, 1.0)
                for (sound, text, request), answer in zip(requests, replies, strict=True)
                if answer
            ]
            if not any(replies):
                # It has nothing to say at all (a random one): its own words are not needed.
                sound, text, request = requests[0]
                self._own.append(Exercise(sound, text, request.question, text, 1.0))
        return self._own.popleft()

    def _several(self) -> list[Any]:
        min_windows = min(2, max(len(take.said) for take in self._takes.train))
        takes = [
            take for take in self._takes.train if min_windows <= len(take.said) <= _MOST_WINDOWS
        ]
        return takes or [min(self._takes.train, key=lambda take: len(take.said))]

    def _singles(self) -> list[Any]:
        return [(take, at) for take in self._takes.train for at in range(len(take.said))]

    def _from(self, name: str, everything: Any) -> Any:
        """Each once before any comes again; those that have come meanwhile are in the next pass."""
        pool = self._pools.setdefault(name, deque())
        if not pool:
            self._takes.scan()
            items = everything()
            self._rng.shuffle(items)
            pool.extend(items)
        return pool.popleft()

    # How good it is

    @torch.no_grad()
    def chosen_rightly(self, length: int | None, max_questions: int) -> tuple[float, int]:
        """Of questions with choices about whole held out recordings: the share where the right
        choice has the likeliest tokens, and how many there were. None: the transcript is read.
        """
        self.lora.train(False)
        right = count = 0
        for take in self._takes.held:
            questions = [item for item in self._questions.get(take.source, ()) if item.choices]
            if not take.whole or not questions or count >= max_questions:
                continue
            for item in questions:
                right += self._choose(take, item, length) == item.choices.index(item.answer)
                count += 1
        return right / max(1, count), count

    def _choose(self, take: Take, item: Question, length: int | None) -> int:
        model, request = self.model, question(item.question)
        if length is None:
            recording, prompt = self._embedded(take.text), ASK
        else:
            recording, prompt = self.read(self._encoder(take.sound), length), ASK.heard()
        conversations = [
            model.conversation(prompt, recording, request, choice) for choice in item.choices
        ]
        if length is None:
            with self.plain(), self._computing():
                losses = surprisals(model, conversations)
        else:
            with self._computing():
                losses = surprisals(model, conversations)
        # Without the token that ends the reply.
        means = [float(nats[:-1].mean()) for nats in losses]
        return min(range(len(means)), key=means.__getitem__)

    def write(self, folder: Path) -> None:
        """The connector with its LoRA, as it is shipped."""
        settings = self.lora.settings
        config = replace(self.model.config, lora=LoraShape(settings.rank, settings.alpha))
        connector_weights.write(
            self.model.connector, config, folder, lora=dict(self.lora.parameters)
        )


class _Without:
    """Switches the LoRA's branches off, and on again."""

    def __init__(self, body: nn.Module) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer

        self._layers = [module for module in body.modules() if isinstance(module, BaseTunerLayer)]

    def __enter__(self) -> None:
        for layer in self._layers:
            layer.enable_adapters(False)

    def __exit__(self, *error: object) -> None:
        for layer in self._layers:
            layer.enable_adapters(True)


def _exercise(sound: tuple[Tensor, ...], text: str, question: Any, soft: float) -> Exercise:
    return Exercise(sound, text, question.question, question.answer, soft)


def _together(model: TrainableHearing, hidden: Tensor, length: int) -> Tensor:
    """A recording's frames, fused at once, as where it is read: (T, D) -> (T', D)."""
    density = torch.no_grad()(density_from(model.blank_probability))
    target = max(1, round(length * len(hidden) / WINDOW_FRAMES))
    frames = Frames(hidden, density(hidden), even_spans(len(hidden), hidden.device))
    return fuse(frames, target, density, halving_schedule).frames.hidden
