"""What faster-whisper asks of a Whisper, computed in torch: several requests at once.

In bfloat16 where the processor multiplies such matrices, else in float32: then, too, it is faster
than CTranslate2's 8-bit weights, which take a window's tokens one by one (`benchmarks/hearing.py`).
Beams are CTranslate2's, of the same encoded windows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from fls_models.audio.whisper.alignment import Alignment, align_tokens
from fls_models.audio.whisper.decoding import Sampling, SpecialTokens, decode_windows
from fls_models.audio.whisper.network import WhisperNetwork
from fls_models.audio.whisper.respelling import ScoreRequest


@dataclass(frozen=True, eq=False)
class Generation:
    """What is asked of the decoder: (T, D) of a window, a prompt, CTranslate2's options.

    `speech_end`, of 20 ms, is where someone speaks last, as far as that is known.
    """

    encoded: Tensor
    prompt: tuple[int, ...]
    options: Mapping[str, Any]
    speech_end: int = 0

    @property
    def sampling(self) -> Sampling | None:
        if "sampling_temperature" not in self.options:
            return None
        return Sampling(self.options["sampling_temperature"], self.options["num_hypotheses"])


@dataclass(frozen=True)
class Generated:
    """As CTranslate2's `WhisperGenerationResult`: scores are the mean of log-probabilities."""

    sequences_ids: list[list[int]]
    scores: list[float]
    no_speech_prob: float


@dataclass(frozen=True, eq=False)
class AlignmentRequest:
    """What CTranslate2's `align` takes for one window; `frames` are of the features."""

    encoded: Tensor
    prompt: tuple[int, ...]
    text: list[int]
    frames: int


class WhisperEngine:
    """Whisper in a folder of CTranslate2 files, on the CPU. Answers are in the order of requests.

    `max_windows` may be decoded together: with more, a window's numbers would depend on how many
    they are.
    """

    max_windows = 16

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self._folder = folder
        self._network = WhisperNetwork(folder / "model.bin", dtype)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        self._heads = [(layer, head) for layer, head in config["alignment_heads"]]
        self._languages: list[int] = config["lang_ids"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    @torch.inference_mode()
    def encode(
        self, features: Sequence[NDArray[np.float32]], merging: int | None = None
    ) -> list[Tensor]:
        """Windows' (80, 3000) log-mel features, each as (T, D): see `WhisperNetwork.encode`.

        All of it goes to the decoder: without the silence behind short sounds it makes words up.
        """
        return [self._network.encode(torch.from_numpy(window), merging) for window in features]

    @torch.inference_mode()
    def language_probabilities(self, encoded: Sequence[Tensor]) -> list[dict[str, float]]:
        """Of (T, D) windows how likely each language is in them, by its ISO 639-1 code."""
        tokens = (self._tokenizer.id_to_token(index) for index in self._languages)
        names = [str(token)[2:-2] for token in tokens]
        results = []
        for first in range(0, len(encoded), self.max_windows):
            windows = encoded[first : first + self.max_windows]
            state = self._network.begin(windows, 1)
            start = torch.full((len(windows), 1), self._id("<|startoftranscript|>"))
            logits = self._network.logits(self._network.decode(start, state)[:, 0])
            for row in logits[:, self._languages].softmax(dim=-1).tolist():
                results.append(dict(zip(names, row, strict=True)))
        return results

    def generate(self, requests: Sequence[Generation]) -> Sequence[Any]:
        """Results as CTranslate2's, of requests that differ in windows and languages only."""
        options = requests[0].options
        sampling = requests[0].sampling
        if sampling is None and options["beam_size"] > 1:
            return self._search(requests, options)
        first_timestamp = self._id("<|notimestamps|>") + 1
        decoded = decode_windows(
            self._network,
            [request.encoded for request in requests],
            [request.prompt for request in requests],
            SpecialTokens(
                self._id("<|endoftext|>"),
                self._id("<|nospeech|>", "<|nocaptions|>"),
                first_timestamp,
            ),
            suppressed=[*options["suppress_tokens"], first_timestamp - 1],
            # As CTranslate2 and openai/whisper: half of what the decoder has positions for.
            max_tokens=min(
                options["max_length"] // 2, options["max_length"] - len(requests[0].prompt)
            ),
            max_initial_timestamp=options["max_initial_timestamp_index"],
            speech_ends=[request.speech_end for request in requests],
            sampling=sampling,
        )
        return [Generated([each.tokens], [each.score], each.no_speech) for each in decoded]

    def align(self, requests: Sequence[AlignmentRequest]) -> list[Alignment]:
        """When the tokens of texts are said."""
        end, silent = self._id("<|endoftext|>"), self._id("<|notimestamps|>")
        return [
            align_tokens(
                self._network,
                request.encoded,
                [*request.prompt, silent],
                request.text,
                end,
                frames=request.frames // 2,
                heads=self._heads,
            )
            for request in requests
        ]

    @torch.inference_mode()
    def score(self, requests: Sequence[ScoreRequest]) -> list[float]:
        """The log-probabilities of tokens in texts, summed, in nats."""
        return [self._score(request) for request in requests]

    def _score(self, request: ScoreRequest) -> float:
        written = [*request.prompt, *request.tokens[: request.end]]
        state = self._network.begin([request.encoded], len(written))
        hidden = self._network.decode(torch.tensor([written[:-1]]), state)[0]
        asked = torch.tensor(request.tokens[request.first : request.end])
        logits = self._network.logits(hidden[len(hidden) - len(asked) :])
        return float(logits.log_softmax(dim=-1).gather(1, asked[:, None]).sum())

    @cached_property
    def _ctranslate2(self) -> Any:
        from ctranslate2.models import Whisper

        return Whisper(
            str(self._folder),
            device="cpu",
            compute_type="int8",
            intra_threads=torch.get_num_threads(),
        )

    def _search(self, requests: Sequence[Generation], options: Mapping[str, Any]) -> Sequence[Any]:
        from ctranslate2 import StorageView

        encoded = torch.stack([request.encoded for request in requests]).float().numpy()
        results: Sequence[Any] = self._ctranslate2.generate(
            StorageView.from_array(encoded),
            [list(request.prompt) for request in requests],
            **options,
        )
        return results

    def _id(self, *names: str) -> int:
        numbers = (self._tokenizer.token_to_id(name) for name in names)
        return next(number for number in numbers if number is not None)
