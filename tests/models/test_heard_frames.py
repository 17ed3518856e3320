"""Frames kept for benches: found where the recording, the weights and the rates are the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fls_models.bench.caches.frames import FrameCache
from fls_models.bench.qa.conditions import FrameInputs
from fls_models.bench.qa.items import Item
from fls_models.core.budget import PAPER, Budget, FrameRates
from fls_models.extractor.frames import Frames
from fls_models.extractor.fused_recording import FusedRecording

HALF = replace(PAPER, ask={"fast": 50, "balanced": 200, "accurate": 400})
Blocks = Iterable[np.ndarray[Any, Any]]


@dataclass
class Model:
    """Hears 30 s of nothing in any file; `heard` is at which budgets."""

    rates: FrameRates = PAPER
    encoder_fingerprint: str = "ear"
    heard: list[str] = field(default_factory=list)
    language_model = None
    card = SimpleNamespace(name="tiny", max_frames=500)

    def hear(self, blocks: Blocks, budget: Budget) -> FusedRecording:
        self.heard.append(budget.label)
        count = budget.by(self.rates).frames(30)
        edges = torch.linspace(0, 30, count + 1, dtype=torch.float64)
        spans = torch.stack([edges[:-1], edges[1:]], dim=-1)
        frames = Frames(torch.zeros(count, 2), torch.zeros(count), spans)
        return FusedRecording((frames,), 750, 30.0, budget.label, True)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    (tmp_path / "a.wav").write_bytes(b"sound")
    return tmp_path / "a.wav"


def hearing(model: Any, work: Path) -> FrameCache:
    return FrameCache(model, lambda audio: [], work)


def test_frames_are_kept_by_the_rates_of_the_card(audio: Path, tmp_path: Path) -> None:
    def count(rates: FrameRates, budget: str) -> tuple[int, int]:
        """Frames there are, and how often it was heard for them."""
        model = Model(rates)
        found = hearing(model, tmp_path / "work").hear(audio, budget).fused
        return found.frames_after, len(model.heard)

    assert count(PAPER, "fast") == (100, 1)
    assert count(HALF, "fast") == (50, 1)
    assert (count(HALF, "fast"), count(PAPER, "fast")) == ((50, 0), (100, 0))
    assert count(PAPER, "balanced") == (200, 1)
    assert count(HALF, "balanced") == (200, 0)


def test_what_was_replied_belongs_to_the_rates(audio: Path, tmp_path: Path) -> None:
    item = Item("1", "a", "We counted them.", "Who?", ("we", "they"), 0, audio)

    def identity(rates: FrameRates, budget: str) -> dict[str, Any]:
        model: Any = Model(rates)
        return FrameInputs(model, hearing(model, tmp_path)).identity(item, budget, "Who?")

    assert identity(PAPER, "fast")["budget"] == "fast"
    assert identity(HALF, "fast") != identity(PAPER, "fast")
    assert identity(HALF, "balanced") == identity(PAPER, "balanced")
