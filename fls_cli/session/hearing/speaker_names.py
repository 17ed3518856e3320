"""What the speakers of one recording are called: by what the user says, or by a voice that has a
name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fls_cli.session.hearing.speaker_wish import SpeakerWish, shown
from fls_models.core.timestamps import clock_time
from fls_models.speakers.turn import SpeakerTurn

if TYPE_CHECKING:
    from fls_models.speakers.identification import Voice

# Seconds from a time at which nobody speaks to the speaker that it names.
_NEAR = 2.0


@dataclass(frozen=True)
class FoundSpeakers:
    """Who speaks when, under S1, S2 ..., and how they sound.

    `voices` are of those who are heard alone; `count` are told apart if no number is asked for.
    """

    turns: tuple[SpeakerTurn, ...]
    voices: Mapping[str, Voice]
    count: int

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(turn.speaker for turn in self.turns))

    def at(self, time: float) -> SpeakerTurn | None:
        """A turn of whoever speaks then, or next to it."""
        nearest = min(self.turns, key=lambda turn: _distance(turn, time), default=None)
        return nearest if nearest is not None and _distance(nearest, time) <= _NEAR else None

    def label(self, key: str | float, say: Callable[[str], None]) -> str:
        """Whom a label or a time stands for; nobody is the empty string. Says what is not clear."""
        if isinstance(key, str):
            return key if key in self.labels else ""
        turn = self.at(key)
        if turn is None:
            return ""
        if _distance(turn, key) > 0:
            say(
                f"nobody speaks at {clock_time(key)}; taken for {turn.speaker}, who speaks from "
                f"{clock_time(turn.start)} to {clock_time(turn.end)}"
            )
        return turn.speaker


def _distance(turn: SpeakerTurn, time: float) -> float:
    """Seconds from a time; none where they begin within its second, as clocks show it."""
    return (
        0.0 if turn.start - 1 < time <= turn.start else max(turn.start - time, time - turn.end, 0.0)
    )


def names_of(found: FoundSpeakers, wish: SpeakerWish, say: Callable[[str], None]) -> dict[str, str]:
    """By label, what they are called; says what cannot be, and whom a voice names.

    What the user says of this recording counts more than how somebody sounds.
    """
    from fls_models.speakers.identification import identify

    said: dict[str, str] = {}
    for key, name in wish.names:
        label = found.label(key, say)
        if not label:
            at = isinstance(key, float)
            reason = f"nobody speaks at {shown(key)}" if at else f"there is no {key}"
            say(f"{name} names nobody: {reason} ({_there(found.labels)})")
        elif label in said:
            say(f"{shown(key)} is {label}, who is {said[label]} already; {name} names nobody")
        else:
            said[label] = name
    for name in dict.fromkeys(said.values()):
        labels = [label for label, called in said.items() if called == name]
        if len(labels) > 1:
            say(f"{' and '.join(labels)} are both {name}")
    known = {each.name: each.voices for each in wish.known.voices if each.name not in said.values()}
    voices = {label: voice for label, voice in found.voices.items() if label not in said}
    heard = identify(voices, known)
    for label, like in heard.items():
        names = " or ".join(f"{each.name} ({min(1.0, each.likeness):.2f})" for each in like)
        not_sure = "" if len(like) == 1 else "; nobody is named, as they are too much alike"
        say(f"{label} sounds like {names}{not_sure}")
    return said | {label: like[0].name for label, like in heard.items() if len(like) == 1}


def _there(labels: Sequence[str]) -> str:
    return f"there is {labels[0]} only" if len(labels) == 1 else f"there are {', '.join(labels)}"
