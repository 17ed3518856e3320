"""From a card with its weights to a model: what it is not asked for, how it reads, where it runs.

Which card that is, and how its weights came here, is for others to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.errors import UsageError
from fls_models.pipelines.large import LargeFrameModel, RuntimeConfig
from fls_models.weights import devices
from fls_models.weights.card import Card, frames_of
from fls_models.weights.store import Installed, InstalledFrames

if TYPE_CHECKING:
    from fls_models.pipelines.base import Pipeline


def check(card: Card, running: RuntimeConfig) -> None:
    """Raises UsageError for what a card's model cannot be asked for, before it is fetched."""
    if card.reads_text:
        _check_text(card, running)
    elif running.read == "text":
        raise UsageError(
            f"--read text: {card.name} hears by itself and reads frames; leave it out, or take a "
            "model that reads transcripts (`fls models list`)."
        )


def reads_frames(card: Card, connector: Path | None, running: RuntimeConfig) -> bool:
    """Whether a model reads frames; one that reads text by the connector that it has."""
    if not card.reads_text or running.read != "auto":
        return running.read != "text"
    # Without a connector nothing is refused that was not asked for.
    return (
        connector is not None and card.frames is not None and card.frames.favoured(running.budget)
    )


def build(
    found: Installed | InstalledFrames,
    running: RuntimeConfig,
    memory: Cache = NULL_CACHE,
    *,
    say: Callable[[str], None] = lambda text: None,
    reason: str = "",
) -> Pipeline:
    """The model; nothing is loaded yet. `reason` is why it is this one, and continues a sentence.

    Raises UsageError for what it cannot be asked for, WeightsMissing for a connector that is not
    there, and what `fls_models.weights.devices.place` does.
    """
    check(found.card, running)
    if isinstance(found, Installed):
        if reads_frames(found.card, found.connector, running):
            from fls_models.pipelines.mini import MiniFrameModel

            return MiniFrameModel(found, memory, compress=running.compress)
        from fls_models.pipelines.cascade import CascadeModel

        return CascadeModel(found, memory)
    from fls_models.weights.conversion.install import has_head

    name, low_memory = found.card.name, running.low_memory
    device = devices.place(found.card, running.device, found.dtype, low_memory=low_memory)
    say(f"using {name} in {found.dtype} on {device}{reason}")
    if running.head is None and not has_head(found.folder):
        say(f"{name} has no CTC head: frames are fused by likeness alone; see --head")
    return LargeFrameModel(found, memory, replace(running, device=device))


def _check_text(card: Card, running: RuntimeConfig) -> None:
    """Refuses what only a model that hears by itself can be asked for."""
    does, others = "reads a transcript", "models that read frames"
    if running.read == "frames":
        frames_of(card)
        does, others = "reads frames by its own connector", "large models"
    asked = {
        "--device": running.device not in ("auto", "cpu"),
        "--low-memory": running.low_memory,
        "--head": running.head is not None,
        "--ctc-vocab": running.vocabulary is not None,
        "--no-compress": not running.compress and running.read != "frames",
    }
    if refused := [option for option, wanted in asked.items() if wanted]:
        raise UsageError(
            f"{', '.join(refused)}: {card.name} {does} on the CPU; that is for {others} "
            "(`fls models list`)."
        )
