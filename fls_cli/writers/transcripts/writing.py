"""What a transcript is written of, whatever the form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fls_cli.media.flaws import Flaw
from fls_cli.writers.transcripts.cues import SCREEN, Screen
from fls_cli.writers.transcripts.timed_words import one_line
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.speakers.turn import SpeakerTurn


@dataclass(frozen=True)
class Writing:
    """A transcript of the recording `source`, and how it is to be written.

    `words` says that every word has its time; `flaws` are what is wrong with the recording, `turns`
    who speaks when, `date` (ISO 8601) when it was made, where that is known.
    """

    transcript: Transcript
    source: str
    words: bool = False
    screen: Screen = SCREEN
    flaws: Sequence[Flaw] = ()
    turns: Sequence[SpeakerTurn] = ()
    date: str = ""

    @property
    def sentences(self) -> list[Sentence]:
        """Those in which anything is said."""
        return [s for s in self.transcript.sentences if s.words and one_line(s.text)]

    @property
    def speakers(self) -> list[str]:
        """Who speaks, in order of their first sentence."""
        names = dict.fromkeys(sentence.speaker for sentence in self.sentences)
        return [name for name in names if name is not None]


def speaker_of(said: Sentence | Word) -> dict[str, str]:
    """As a field of its own, where it is known."""
    return {} if said.speaker is None else {"speaker": said.speaker}
