"""What a connector makes of a recording, for models to show that read its transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fls_models.weights import card as cards
from fls_models.weights.card import Card, FrameReading
from fls_models.weights.store import Installed, connector

if TYPE_CHECKING:
    from fls_models.core.budget import Budget
    from fls_models.extractor.fused_recording import FusedRecording
    from fls_models.lslm.mini.connected_encoder import ConnectedEncoder


@dataclass
class ConnectorExtractor:
    """A `FrameExtractor` without a language model, which only the words' spelling is taken from."""

    card: Card
    installed: Installed
    connector: Path
    reading: FrameReading

    @cached_property
    def language_model(self) -> ConnectedEncoder:
        from fls_models.lslm.mini.connected_encoder import ConnectedEncoder
        from fls_models.lslm.mini.tokenizer import ChatTokenizer

        decode = ChatTokenizer(self.installed.llm).decode
        return ConnectedEncoder(self.installed.speech, self.connector, decode)

    @property
    def ctc_text(self) -> Callable[[Sequence[int]], str]:
        return self.language_model.ctc_text

    def hear(
        self, blocks: Iterable[NDArray[np.float32]], budget: Budget, **options: Any
    ) -> FusedRecording:
        """`extract.listen_to_frames` at the rates and limits of the model that reads them."""
        from fls_models.extractor.extract import listen_to_frames

        rates, limit = self.reading.budgets, self.reading.max_frames
        encoder = self.language_model
        return listen_to_frames(encoder, blocks, budget.by(rates), max_frames=limit, **options)


def connector_extractor(installed: Installed) -> ConnectorExtractor | None:
    """By the model's own connector, else by the default model's, if both hear with the same ear."""
    own, default = installed.card, cards.load(cards.names()[0])
    if own.frames is not None:
        place = installed.connector
        return None if place is None else ConnectorExtractor(own, installed, place, own.frames)
    place = connector(default)
    if place is None or default.frames is None or default.parts[0] != own.speech:
        return None
    return ConnectorExtractor(own, installed, place, default.frames)
