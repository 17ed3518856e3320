"""`mini` as it reads fused frames: a text model's parts, joined by a trained connector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.errors import DamagedWeights, WeightsMissing
from fls_models.pipelines.frames import FrameModel
from fls_models.weights.card import frames_of
from fls_models.weights.store import fingerprint

if TYPE_CHECKING:
    from fls_models.lslm.mini.speech_model import MiniSpeechLM
    from fls_models.weights.store import Installed

# Changes when the same weights give other frames.
FORM = "mini-frames-1"


class MiniFrameModel(FrameModel):
    """Whisper's encoder, a connector and the language model that else reads transcripts.

    Its card is the text model's, with the limits of a pass of frames and their thresholds.

    Raises:
        UsageError: the card has no connector.
        WeightsMissing: it has one, which is not there.
    """

    def __init__(
        self, installed: Installed, memory: Cache = NULL_CACHE, *, compress: bool = True
    ) -> None:
        limits = frames_of(installed.card)
        if installed.connector is None:
            raise WeightsMissing(
                f"The connector with which {installed.card.name} reads frames did not come with "
                "this fls; install a release of it, or use --read text."
            )
        card = replace(installed.card, max_frames=limits.max_frames, thresholds=limits.thresholds)
        super().__init__(card, memory)
        self.compress = compress
        self._installed = installed
        self._connector = installed.connector

    @cached_property
    def encoder_fingerprint(self) -> str:
        name = f"{FORM} {fingerprint(self._installed.speech)} {fingerprint(self._connector)}"
        return name if self.compress else f"{name} unfused"

    @property
    def window(self) -> int:
        return min(super().window, self.language_model.window)

    @property
    def ctc_text(self) -> Callable[[Sequence[int]], str]:
        return self.language_model.ctc_text

    @cached_property
    def language_model(self) -> MiniSpeechLM:
        from fls_models.lslm.mini.connector_weights import read_config
        from fls_models.lslm.mini.speech_model import MiniSpeechLM

        installed, config = self._installed, read_config(self._connector)
        made_for = config.speech, config.llm
        parts = installed.card.speech.name, installed.card.llm.name
        if made_for != parts:
            raise DamagedWeights(
                f"The connector in {self._connector} was trained for {' and '.join(made_for)}, "
                f"and {installed.card.name} is {' and '.join(parts)}. Install fls anew, or use "
                "--read text."
            )
        return MiniSpeechLM(installed.speech, installed.llm, self._connector)
