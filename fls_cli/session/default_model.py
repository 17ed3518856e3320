"""Which of the models that read text `auto` stands for on this machine.

None is downloaded to choose: of those that are here the best that suits the machine, and where none
is here, the best that does.
"""

from __future__ import annotations

import os
from pathlib import Path

from fls_cli.storage.paces import known_pace
from fls_cli.storage.resources import instructions
from fls_models.core.machine.memory import memory
from fls_models.weights import card as cards
from fls_models.weights.card import Preference, TextCard

# What both are asked about, where it is known how fast they are.
_SECONDS, _BUDGET = 600.0, "balanced"
# A machine of 8 GB says that it has a little less.
_ABOUT = 0.95


def text_model(cache: Path, device: str, *, frames: bool, low_memory: bool) -> tuple[TextCard, str]:
    """The card, of one that reads `frames` if need be, and why it is that: a sentence's end."""
    from fls_models.weights.store import store_of

    texts = [
        card
        for card in map(cards.load, cards.shipped_names())
        if isinstance(card, TextCard) and (card.frames or not frames)
    ]
    here = [card for card in texts if store_of(card, cache).is_ready()]
    default, *others = texts
    for card in others:
        if card.preference is not None and card in (here or texts):
            both = [default, card] if default in here and card in here else []
            paces = _paces(both, cache, device, low_memory=low_memory)
            if _suits(card.preference, paces):
                return card, f"which answers better than {default.name} and suits this machine"
    if here and default not in here:
        return here[0], f"as {default.name} is not downloaded"
    return default, "the model that runs on any CPU"


def _suits(preference: Preference, paces: list[float]) -> bool:
    if paces:
        first, second = paces
        return second <= preference.slower * first
    there = memory()
    return (
        any(name in instructions() for name in preference.instructions)
        and len(os.sched_getaffinity(0)) >= preference.cores
        and there is not None
        and there.total >= _ABOUT * preference.memory_gb * 1e9
    )


def _paces(models: list[TextCard], cache: Path, device: str, *, low_memory: bool) -> list[float]:
    """Seconds that an answer takes of each that is here; none where one's pace is not known."""
    from fls_models.weights.store import store_of

    seconds = []
    for card in models:
        folders = store_of(card, cache).locate().folders()
        pace = known_pace(folders, reads_by="text", device=device, low_memory=low_memory)
        if pace is None:
            return []
        from fls_models.planning.plan import planned

        seconds.append(pace.expected([planned(card, "text", _BUDGET, _SECONDS)]))
    return seconds
