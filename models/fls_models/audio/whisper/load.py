"""Whisper as it is loaded: faster-whisper's reading of several windows at once.

faster-whisper decides what is decoded again, where segments end and which words they have, one
recording after the other. Here several run side by side, and what they ask of the model is answered
together.
"""

import copy
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.together import Ask, Together
from fls_models.audio.whisper.engine import AlignmentRequest, Generated, Generation, WhisperEngine
from fls_models.audio.whisper.respelling import Respelling
from fls_models.audio.whisper.vocabulary import Vocabulary
from fls_models.audio.whisper.wording import PLAIN, Wording
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.machine.processor import multiplies_bfloat16

# Words in the vocabulary of a model that knows more than English, as CTranslate2 tells them apart.
_MULTILINGUAL = 51865
# Features every 10 ms, times every 20.
_FRAMES_A_TOKEN = 2
# Of 20 ms: so little speech behind a window's last word is its end.
_REST = 25
# Encodings that are at hand: which language it is and which words are asked of the same ones.
_AT_HAND = 32


def load_whisper(folder: Path) -> "Whisper":
    """Whisper in a folder of CTranslate2 files, in the precision that suits the processor."""
    dtype = torch.bfloat16 if multiplies_bfloat16() else torch.float32
    return Whisper(folder, WhisperEngine(folder, dtype))


class Whisper:
    """Hears windows, at most `max_windows` together.

    `merging` is after how many of its encoder's layers frames are merged from now on.
    """

    merging: int | None = None

    def __init__(self, folder: Path, engine: WhisperEngine) -> None:
        self._reader = _reader(folder)
        self._engine = engine
        self._encodings: dict[tuple[bytes, int | None], Tensor] = {}
        self._known_respelling: Respelling | None = None
        self.max_windows = engine.max_windows
        self.language_probabilities = engine.language_probabilities

    @property
    def supported_languages(self) -> list[str]:
        languages: list[str] = self._reader.supported_languages
        return languages

    def features(self, samples: NDArray[np.float32], padding: int = 160) -> NDArray[np.float32]:
        """(n,) samples, at most 30 s of them -> (80, 3000) log-mel features, zeros behind them.

        As faster-whisper takes them: of the sound and so many silent samples, without the last.
        """
        from faster_whisper.audio import pad_or_trim

        features = self._reader.feature_extractor(samples, padding=padding)
        trimmed: NDArray[np.float32] = pad_or_trim(features[..., : -1 if padding else None])
        return trimmed

    def encode(self, features: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Windows' features, each as (T, D); those that were asked for before are at hand."""
        keys = [
            (hashlib.sha1(np.ascontiguousarray(window).data).digest(), self.merging)
            for window in features
        ]
        new = {key: at for at, key in enumerate(keys) if key not in self._encodings}
        encoded = self._engine.encode([features[at] for at in new.values()], self.merging)
        self._encodings |= zip(new, encoded, strict=True)
        results = [self._encodings[key] for key in keys]
        while len(self._encodings) > _AT_HAND:
            self._encodings.pop(next(iter(self._encodings)))
        return results

    def side_by_side(self) -> Together[list[Any]]:
        """For tasks of `transcription`."""
        return Together(
            {
                "encode": self.encode,
                "align": self._engine.align,
                "generate": self._generate,
                "score": self._engine.score,
            }
        )

    def transcription(
        self,
        samples: NDArray[np.float32],
        language: str,
        *,
        beams: int,
        temperatures: Sequence[float],
        silence: int = 0,
        wording: Wording = PLAIN,
    ) -> Callable[[Ask], list[Any]]:
        """A task: of (n,) samples, at most 30 s, faster-whisper's segments with words and times.

        In the last `silence` samples nobody speaks.
        """
        options = {
            "language": language,
            "beam_size": beams,
            "temperature": list(temperatures),
            "task": "translate" if wording.translates else "transcribe",
            "initial_prompt": wording.prompt or None,
        }
        return partial(self._transcribe, samples, silence, wording.vocabulary, options)

    def _transcribe(
        self,
        samples: NDArray[np.float32],
        silence: int,
        vocabulary: tuple[str, ...],
        options: dict[str, Any],
        ask: Ask,
    ) -> list[Any]:
        reader = copy.copy(self._reader)
        respelling = self._respelling(vocabulary) if vocabulary else None
        is_multilingual = reader.model.is_multilingual
        reader.model = _Model(ask, silence, respelling, is_multilingual=is_multilingual)
        reader.encode = reader.model.encode
        segments, _ = reader.transcribe(
            samples,
            # Earlier text as a prompt costs sentences at the joints of pieces and feeds loops.
            condition_on_previous_text=False,
            word_timestamps=True,
            **options,
        )
        return list(segments)

    def _respelling(self, entries: tuple[str, ...]) -> Respelling:
        # The entries are gone through once, not for every window.
        if self._known_respelling is None or self._known_respelling.vocabulary.entries != entries:
            tokenizer = self._reader.hf_tokenizer
            special = tokenizer.token_to_id("<|endoftext|>")
            self._known_respelling = Respelling(Vocabulary(entries), tokenizer, special)
        return self._known_respelling

    def _generate(self, requests: list[Generation]) -> list[Any]:
        results: list[Any] = [None] * len(requests)
        for places in _alike(requests, self.max_windows):
            generated = self._engine.generate([requests[place] for place in places])
            for place, result in zip(places, generated, strict=True):
                results[place] = result
        return results


class _Model:
    """CTranslate2's model as faster-whisper takes it, which asks for each of its answers.

    In the last `silence` samples of what is heard nobody speaks.
    """

    def __init__(
        self,
        ask: Ask,
        silence: int = 0,
        respelling: Respelling | None = None,
        *,
        is_multilingual: bool,
    ) -> None:
        self._ask = ask
        self._silence = silence
        self._respelling = respelling
        self._speech_end: int | None = None
        self.is_multilingual = is_multilingual

    def encode(self, features: NDArray[np.float32]) -> Any:
        """(80, 3000) features of a window, zeros behind the sound; None for too little speech."""
        is_first = self._speech_end is None
        sound = int(np.flatnonzero(features.any(axis=0))[-1:].sum()) // _FRAMES_A_TOKEN
        self._speech_end = sound - self._silence // (SAMPLE_RATE // 50)
        # Behind the last word that was heard: of nothing it would make words up.
        if not is_first and self._speech_end < _REST:
            return None
        return self._ask("encode", features)

    def generate(self, encoded: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        if encoded is None:
            return [Generated([[]], [-math.inf], 1.0)]
        [prompt] = prompts
        request = Generation(encoded, tuple(prompt), options, self._speech_end or 0)
        generated = self._ask("generate", request)
        if self._respelling is None:
            return [generated]
        [tokens] = generated.sequences_ids
        respelt = self._respelling.respell(encoded, prompt, tokens, self._ask)
        return [Generated([respelt], generated.scores, generated.no_speech_prob)]

    def align(
        self,
        encoded: Any,
        prompt: Sequence[int],
        texts: list[list[int]],
        frames: int,
        median_filter_width: int,
    ) -> list[Any]:
        [text] = texts
        request = AlignmentRequest(encoded, tuple(prompt), text, frames)
        return [self._ask("align", request)]


def _reader(folder: Path) -> Any:
    """A WhisperModel of faster-whisper without the model, which it would load by CTranslate2."""
    from faster_whisper import WhisperModel
    from faster_whisper.feature_extractor import FeatureExtractor
    from faster_whisper.utils import get_logger
    from tokenizers import Tokenizer

    reader = WhisperModel.__new__(WhisperModel)
    reader.logger = get_logger()
    reader.hf_tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    is_multilingual = reader.hf_tokenizer.get_vocab_size() >= _MULTILINGUAL
    reader.model = _Model(_nobody, is_multilingual=is_multilingual)
    reader.feat_kwargs = reader._get_feature_kwargs(str(folder), None)
    reader.feature_extractor = FeatureExtractor(**reader.feat_kwargs)
    reader.input_stride = 2
    reader.num_samples_per_token = 2 * reader.feature_extractor.hop_length
    reader.frames_per_second = SAMPLE_RATE // reader.feature_extractor.hop_length
    reader.tokens_per_second = reader.frames_per_second // 2
    reader.time_precision = 1 / reader.tokens_per_second
    reader.max_length = 448
    return reader


def _nobody(kind: str, request: Any, /) -> Any:
    raise RuntimeError(f"asked to {kind} outside a task")


def _alike(requests: Sequence[Generation], limit: int) -> Iterator[list[int]]:
    """Places of requests that may be answered at once: alike, and so many texts."""
    groups: dict[str, list[int]] = {}
    for place, request in enumerate(requests):
        alike = repr(sorted(request.options.items()))
        groups.setdefault(f"{alike} {len(request.prompt)}", []).append(place)
    for places in groups.values():
        sampling = requests[places[0]].sampling
        count = max(1, limit // sampling.texts) if sampling else limit
        yield from (places[first : first + count] for first in range(0, len(places), count))
