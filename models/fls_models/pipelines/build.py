"""From a card with its weights to a model: what it is not asked for, how it reads, where it runs.

Which card that is, and how its weights came here, is for others to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.progress import ignore
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
    installed: Installed | InstalledFrames,
    running: RuntimeConfig,
    memory: Cache = NULL_CACHE,
    *,
    say: Callable[[str], None] = ignore,
    reason: str = "",
) -> Pipeline:
    """The model; nothing is loaded yet. `reason` is why it is this one, and continues a sentence.

    Raises UsageError for what it cannot be asked for, WeightsMissing for a connector that is not
    there, and what `fls_models.weights.devices.place` does.
    """
    check(installed.card, running)
    if isinstance(installed, Installed):
        if reads_frames(installed.card, installed.connector, running):
            from fls_models.pipelines.mini import MiniFrameModel

            return MiniFrameModel(installed, memory, compress=running.compress)
        from fls_models.pipelines.cascade import CascadeModel

        return CascadeModel(installed, memory)
    from fls_models.weights.conversion.install import has_head

    name, low_memory = installed.card.name, running.low_memory
    device = devices.place(installed.card, running.device, installed.dtype, low_memory=low_memory)
    say(f"using {name} in {installed.dtype} on {device}{reason}")
    if running.head is None and not has_head(installed.folder):
        say(f"{name} has no CTC head: frames are fused by likeness alone; see --head")
    return LargeFrameModel(installed, memory, replace(running, device=device))


def _check_text(card: Card, running: RuntimeConfig) -> None:
    """Refuses what only a model that hears by itself can be asked for."""
    description, audience = "reads a transcript", "models that read frames"
    if running.read == "frames":
        frames_of(card)
        description, audience = "reads frames by its own connector", "large models"
    refusals = {
        "--device": running.device not in ("auto", "cpu"),
        "--low-memory": running.low_memory,
        "--head": running.head is not None,
        "--ctc-vocab": running.vocabulary is not None,
        "--no-compress": not running.compress and running.read != "frames",
    }
    if refused := [option for option, is_refused in refusals.items() if is_refused]:
        raise UsageError(
            f"{', '.join(refused)}: {card.name} {description} on the CPU; that is for {audience} "
            "(`fls models list`)."
        )
