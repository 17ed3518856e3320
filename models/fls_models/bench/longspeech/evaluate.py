"""Every item under every method and length, side by side: replies, seconds, operations, memory.

A recording is encoded once for all of them. What was measured is kept item by item, method by
method, so that an interrupted bench goes on where it stopped. It scores nothing, which is for
`scoring.scores`, and reads no media: blocks of samples are handed to it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

from fls_models.answering.model import Model
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.caches.transcripts import Decode, TranscriptCache
from fls_models.bench.counting import counted
from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.measure import Measuring, prompt_for
from fls_models.bench.longspeech.measurement import Measurement, Row
from fls_models.bench.longspeech.methods import Length, Method
from fls_models.bench.longspeech.replies import request_for
from fls_models.core.files import digest
from fls_models.core.progress import Progress, ignore
from fls_models.errors import UsageError

# Changes when the same item, method and length give another reply.
FORM = "longspeech-2"


class LongSpeechEval:
    """Runs items through one model.

    Args:
        model: reads frames; for the cascade alone, any.
        hearing: writes transcripts for the cascade, at the effort of each budget.
        encoder_fingerprint: tells whose transcripts these are from others.
        max_tokens: of a reply; transcripts have their own limit, window by window.
        replies: False scores choices only, and reads without replying otherwise.
    """

    def __init__(
        self,
        model: Model,
        decode: Decode,
        results: ResultCache,
        *,
        hearing: TranscriptCache | None = None,
        encoder_fingerprint: str = "",
        max_tokens: int = 128,
        replies: bool = True,
        progress: Progress = ignore,
    ) -> None:
        self._model = model
        self._measuring = Measuring(model, decode, hearing, max_tokens, replies)
        self._results = results
        self._encoder_fingerprint = None if hearing is None else encoder_fingerprint
        self._max_tokens = max_tokens
        self._replies = replies
        self._progress = progress
        self._content = cache(digest)

    def run(
        self, items: Sequence[SpokenItem], methods: Sequence[Method], lengths: Sequence[Length]
    ) -> list[Row]:
        """All rows, recording by recording and method by method.

        Raises UsageError for a method that this model cannot be measured with.
        """
        self._check(methods)
        by_audio: dict[Path, list[SpokenItem]] = {}
        for item in items:
            by_audio.setdefault(item.audio, []).append(item)
        runs = [
            (item, method, length)
            for group in by_audio.values()
            for method in methods
            for length in method.lengths(lengths)
            # A recording's questions share what was read of it.
            for item in group
        ]
        rows = []
        for item, method, length in counted(runs, "measured", self._progress):
            make = partial(self._measured, item, method, length)
            raw = self._results.get(self._key(item, method, length), make)
            rows.append(Row(item, method, length, Measurement(**raw)))
        return rows

    def _measured(self, item: SpokenItem, method: Method, length: Length | None) -> dict[str, Any]:
        return asdict(self._measuring.measure(item, method, length))

    def _check(self, methods: Sequence[Method]) -> None:
        hearing = [method.name for method in methods if method.reads != "text"]
        if hearing and self._model.reads_by != "frames":
            raise UsageError(
                f"{self._model.card.name} reads text; {', '.join(hearing)} are for models that "
                "read frames (`fls models list`). --methods cascade measures it."
            )
        if self._encoder_fingerprint is None and any(method.reads == "text" for method in methods):
            raise ValueError("the cascade needs somebody who writes transcripts")

    def _key(self, item: SpokenItem, method: Method, length: Length | None) -> dict[str, Any]:
        """All that a result depends on and that can be written down."""
        return {
            "form": FORM,
            # Several language models read behind one ear.
            "name": self._model.card.name,
            "model": self._model.encoder_fingerprint,
            "reader": self._model.reads_by,
            "dtype": self._model.language_model.context_form,
            "device": self._measuring.device.type,
            "audio": self._content(item.audio),
            "task": item.task,
            "request": request_for(item.task, item.question),
            "prompt": asdict(prompt_for(item, method)),
            "choices": item.choices,
            "method": method.name,
            "length": None if length is None else asdict(length),
            "most": [self._model.card.max_frames, self._max_tokens],
            "ear": self._encoder_fingerprint if method.reads == "text" else None,
            "replies": self._replies,
        }
