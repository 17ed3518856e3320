"""Who speaks when in a recording: found while it is heard, or where an earlier run kept it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from fls_cli.session.hearing.entry import Entry
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.request import ListenRequest
from fls_models.core.cache import Cache
from fls_models.core.progress import ignore

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks
    from fls_models.core.results import Transcript
    from fls_models.speakers.diarizer import Diarizer
    from fls_models.speakers.turn import SpeakerTurn

KIND = "speakers"
# Changes when the same recording gives other turns.
FORM = "turns-1"
# Seconds from a time at which nobody speaks to the speaker that it names.
_NEAR = 2.0


class SpeakerSearch:
    """Finds who speaks in one recording; `say` is told what could not be found."""

    def __init__(
        self, request: ListenRequest, wish: SpeakerWish, memory: Cache, say: Callable[[str], None]
    ) -> None:
        self._request, self._wish, self._say = request, wish, say
        parts = {"form": FORM, "fewest": wish.fewest, "most": wish.most}
        self._entry = Entry(request, KIND, parts, memory, ignore)
        self._content = self._entry.get()
        self._diarizer: Diarizer | None = None
        self._is_complete = False
        self._failure = ""
        # Who speaks when, once words were named.
        self.turns: list[SpeakerTurn] = []

    def overhear(self, blocks: Blocks) -> Blocks:
        """The blocks of a recording as they are heard; unless it is known, who speaks in them."""
        with closing(blocks):
            for block in blocks:
                self._try(partial(self._add, block))
                yield block
        self._is_complete = self._diarizer is not None

    def name_words(self, transcript: Transcript) -> Transcript:
        """The transcript with the speaker of each word, under the user's names; or, where that
        fails, as it is."""
        from fls_models.speakers.assignment import with_speakers

        turns = self._turns(transcript)
        if self._failure:
            self._say(f"who speaks was not found out ({self._failure}); the words are all there")
            return transcript
        self.turns = self._named(turns)
        return with_speakers(transcript, self.turns)

    def _turns(self, transcript: Transcript) -> list[SpeakerTurn]:
        from fls_models.speakers.turn import SpeakerTurn

        if self._content is None:
            self._try(self._find)
        if self._failure or self._content is None:
            return []
        turns = [SpeakerTurn(**turn) for turn in json.loads(self._content)]
        count = len({turn.speaker for turn in turns})
        if turns and count < self._wish.fewest:
            voices = "one voice is" if count == 1 else f"{count} voices are"
            self._say(f"{self._wish.fewest} speakers were asked for; {voices} told apart")
        # Too little to tell voices apart is of one speaker.
        start = self._request.audio_range.start
        whole = SpeakerTurn(start, max(start + transcript.duration, start + 0.01), "S1")
        return turns or [whole]

    def _find(self) -> None:
        from fls_models.speakers.diarizer import Diarizer

        if self._diarizer is None or not self._is_complete:
            self._diarizer = Diarizer()
            with closing(self._request.decode(ignore)) as blocks:
                for block in blocks:
                    self._diarizer.add(block)
        self._diarizer.finish()
        start = self._request.audio_range.start
        turns = [
            {
                "start": round(start + t.start, 3),
                "end": round(start + t.end, 3),
                "speaker": t.speaker,
            }
            for t in self._diarizer.turns(self._wish.fewest, self._wish.most)
        ]
        self._content = json.dumps(turns).encode()
        self._entry.put(self._content)

    def _add(self, block: Any) -> None:
        from fls_models.speakers.diarizer import Diarizer

        if self._content is None:
            self._diarizer = self._diarizer or Diarizer()
            self._diarizer.add(block)

    def _try(self, step: Callable[[], None]) -> None:
        """Whatever goes wrong with speakers, the transcript is not to be lost for it."""
        if not self._failure:
            try:
                step()
            except Exception as error:
                self._failure = (str(error).strip() or repr(error)).splitlines()[0]

    def _named(self, turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
        from fls_models.speakers.turn import SpeakerTurn

        names: dict[str, str] = {}
        for key, name in self._wish.names:
            label = speaker_at(turns, key) if isinstance(key, float) else key
            if label in {turn.speaker for turn in turns}:
                names[label] = name
            else:
                there = ", ".join(dict.fromkeys(turn.speaker for turn in turns))
                at = isinstance(key, float)
                reason = f"nobody speaks at {key:g} s" if at else f"there is no {key}"
                self._say(f"{name} names nobody: {reason} (there are {there})")
        return [SpeakerTurn(t.start, t.end, names.get(t.speaker, t.speaker)) for t in turns]


def speaker_at(turns: Sequence[SpeakerTurn], time: float) -> str:
    """Whoever speaks then, or next to it; nobody is the empty string."""
    near = [(max(turn.start - time, time - turn.end, 0.0), turn.speaker) for turn in turns]
    distance, speaker = min(near, key=lambda pair: pair[0])
    return speaker if distance <= _NEAR else ""
