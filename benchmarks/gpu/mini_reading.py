"""Stage 1 on a GPU: adapter and CTC head learn to read speech that is still being spoken.

`train_connector.ConnectorTrainee` in large batches, each encoded anew: every clip comes by often,
through another microphone each time. One clip in eight is real speech, several recordings joined.
When it stops and what is kept is `mini_train`'s affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import jiwer
import torch
from mini_encoder import Encoder
from mini_takes import Take, Takes
from torch import Tensor

from fls_models.core.constants import SAMPLE_RATE, WINDOW_SAMPLES, frame_count
from fls_models.core.text.normalizer import normalise
from fls_models.extractor.ctc_decoding import greedy
from fls_models.lslm.mini.connector import Connector
from fls_models.training.core.batches import LikeLengths
from fls_models.training.core.precision import computing
from fls_models.training.ctc.spec_augment import disturbed
from fls_models.training.ctc.train_connector import ConnectorTrainee
from fls_models.training.ctc.unigram_vocabulary import Spelling
from fls_models.training.ctc.vocabulary import Characters, frames_needed

_REAL = 8
# Real recordings are joined to clips of 8 to 29 s, with silence between them.
_SHORTEST, _LONGEST = 8.0, 29.0
_GAP = 0.2, 0.6
# Batches after which clips that have come meanwhile are taken in.
_FRESH = 100


@dataclass(frozen=True, eq=False)
class Example:
    """A clip, what is said in it, and that as ids of both vocabularies."""

    sound: Tensor
    text: str
    tokens: list[int]
    characters: list[int]


class ReadingStage:
    """Batches and their loss; and how well what is held out is read.

    Args:
        real: recordings of people, which may be none.
        precision: `bf16` or `float32`.
    """

    def __init__(
        self,
        reading: ConnectorTrainee,
        encoder: Encoder,
        spelling: Spelling,
        letters: Characters,
        takes: Takes,
        real: Sequence[Take],
        *,
        batch: int,
        precision: str,
        seed: int,
    ) -> None:
        self.reading, self._encoder, self._precision = reading, encoder, precision
        self._spelling, self._letters, self._takes = spelling, letters, takes
        self._batch, self._seed = batch, seed
        self._real = [
            example
            for take in real
            for clip, sound in zip(take.said, take.sound, strict=True)
            if (example := self._example(sound, clip.text)) is not None
        ]
        self._clips: list[Example] = []
        self._take_count = 0
        self._order: LikeLengths | None = None
        self._next = self._turn = self._among = 0
        self._generator = torch.Generator(encoder.device).manual_seed(seed)
        self._rng = Random(seed)

    def ready(self) -> bool:
        """Whether there is a batch to train on; looks for clips that have come."""
        self._take_new()
        return len(self._clips) >= self._batch

    def loss(self) -> Tensor:
        """Of the next batch."""
        examples = self._chosen()
        device = self._encoder.device
        frames = self._encoder([example.sound for example in examples], self._generator)
        # `disturbed` makes its tensors where others are made by default.
        with torch.device(device):
            frames = [disturbed(clip_frames, self._generator) for clip_frames in frames]
        self.reading.train()
        with computing(device, self._precision):
            return self.reading.loss(
                frames, [clip.tokens for clip in examples], [clip.characters for clip in examples]
            )

    def _take_new(self) -> None:
        self._takes.scan()
        for take in self._takes.train[self._take_count :]:
            for clip, sound in zip(take.said, take.sound, strict=True):
                if (example := self._example(sound, clip.text)) is not None:
                    self._clips.append(example)
        self._take_count = len(self._takes.train)

    def _example(self, sound: Tensor, text: str) -> Example | None:
        tokens, characters = self._spelling.encode(text), self._letters.encode(text)
        fits = len(sound) <= WINDOW_SAMPLES and frames_needed(tokens) <= frame_count(len(sound))
        return Example(sound, text, tokens, characters) if tokens and fits else None

    def _chosen(self) -> list[Example]:
        """Clips of like length, all of those that are there before any comes again."""
        if self._order is None:
            self._take_new()
            self._turn += 1
            lengths = [len(example.sound) for example in self._clips]
            self._order = LikeLengths(lengths, self._batch, (self._seed << 10) + self._turn)
            self._next, self._among = 0, len(lengths)
        examples = [self._clips[index] for index in self._order(self._next)]
        self._next += 1
        if self._next * self._batch >= self._among or self._next == _FRESH:
            self._order = None
        if self._real:
            count = len(examples) // _REAL
            examples[:count] = [self._joined() for _ in range(count)]
        return examples

    def _joined(self) -> Example:
        min_samples = self._rng.uniform(_SHORTEST, _LONGEST) * SAMPLE_RATE
        parts: list[Tensor] = []
        texts: list[str] = []
        length = 0
        while length < min_samples:
            example = self._rng.choice(self._real)
            gap = example.sound.new_zeros(int(self._rng.uniform(*_GAP) * SAMPLE_RATE))
            if parts and length + len(example.sound) + len(gap) > WINDOW_SAMPLES:
                break
            parts += [example.sound, gap]
            texts.append(example.text)
            length += len(example.sound) + len(gap)
        joined = self._example(torch.cat(parts)[:WINDOW_SAMPLES], " ".join(texts))
        return joined or self._rng.choice(self._real)


@torch.no_grad()
def word_error_rate(
    connector: Connector,
    encoder: Encoder,
    spelling: Spelling,
    takes: Sequence[Take],
    precision: str,
) -> float:
    """Errors per word of the head read greedily, both sides normalised as `fls bench asr` does."""
    connector.train(False)
    clips = [clip for take in takes for clip in take.said if normalise(clip.text)]
    sound = [
        samples
        for take in takes
        for clip, samples in zip(take.said, take.sound, strict=True)
        if normalise(clip.text)
    ]
    hypotheses = []
    for first in range(0, len(sound), 16):
        for frames in encoder(sound[first : first + 16]):
            with computing(encoder.device, precision):
                logits = connector.logits(connector.adapter(frames[None]))
            hypotheses.append(normalise(spelling.decode(greedy(logits[0]))))
    return float(jiwer.process_words([normalise(clip.text) for clip in clips], hypotheses).wer)
