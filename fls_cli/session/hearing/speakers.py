"""Who speaks when in a recording: found while it is heard, or where an earlier run kept it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from fls_cli.session.hearing.entry import Entry
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.request import ListenRequest
from fls_models.core.cache import Cache
from fls_models.core.progress import ignore

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks
    from fls_cli.session.hearing.speaker_names import FoundSpeakers
    from fls_models.core.results import Transcript
    from fls_models.speakers.diarization import Diarization
    from fls_models.speakers.diarizer import Diarizer
    from fls_models.speakers.turn import SpeakerTurn

KIND = "speakers"
# Change when the same recording gives other turns or voices, or is heard otherwise.
FORM = "turns-2"
_HEARD_FORM = "heard-1"


class SpeakerSearch:
    """Finds who speaks in one recording; `say` is told what could not be found."""

    def __init__(
        self, request: ListenRequest, wish: SpeakerWish, memory: Cache, say: Callable[[str], None]
    ) -> None:
        self._request, self._wish, self._say = request, wish, say
        parts = {"form": FORM, "fewest": wish.fewest, "most": wish.most}
        self._entry = Entry(request, KIND, parts, memory, ignore)
        self._content = self._entry.get()
        # What was heard of the voices, whatever was asked of it.
        self._heard_entry = Entry(request, KIND, {"form": _HEARD_FORM}, memory, ignore)
        self._heard = self._heard_entry.get() if self._content is None else None
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

    def find(self) -> FoundSpeakers:
        """Who speaks; raises what decoding the recording does."""
        from fls_cli.session.hearing.speaker_names import FoundSpeakers
        from fls_models.speakers.identification import Voice
        from fls_models.speakers.turn import SpeakerTurn

        if self._content is None:
            self._content = self._diarized()
            self._entry.put(self._content)
        payload = json.loads(self._content)
        return FoundSpeakers(
            tuple(SpeakerTurn(**turn) for turn in payload["turns"]),
            {label: Voice.from_json(voice) for label, voice in payload["voices"].items()},
            payload["count"],
        )

    def name_words(self, transcript: Transcript) -> Transcript:
        """The transcript with the speaker of each word, under the user's names; or, where that
        fails, as it is."""
        from fls_models.speakers.assignment import with_speakers

        named: list[Transcript] = []

        def name() -> None:
            self.turns = self._named(transcript)
            named.append(with_speakers(transcript, self.turns))

        self._try(name)
        if self._failure:
            self._say(f"who speaks was not found out ({self._failure}); the words are all there")
            return transcript
        return named[0]

    def _named(self, transcript: Transcript) -> list[SpeakerTurn]:
        from fls_cli.session.hearing.speaker_names import names_of
        from fls_models.speakers.turn import SpeakerTurn

        found = self.find()
        count, fewest, most = len(found.labels), self._wish.fewest, self._wish.most
        if count > found.count:
            self._say(
                f"{_voices(found.count)} heard; cut into {count}, since {fewest} were asked for: "
                "one person may be two"
            )
        elif found.turns and count < fewest:
            self._say(f"{fewest} speakers were asked for; {_voices(count)} heard")
        elif most is not None and count < found.count:
            self._say(
                f"{_voices(found.count)} heard; the most alike are taken for one, as --speakers "
                f"asks for {most if fewest == most else f'at most {most}'}"
            )
        if not transcript.sentences:
            # Where nothing is said, nobody says it.
            return []
        if not found.turns:
            # Too little to tell voices apart is of one speaker.
            start = self._request.audio_range.start
            whole = SpeakerTurn(start, max(start + transcript.duration, start + 0.01), "S1")
            found = replace(found, turns=(whole,), count=1)
        names = names_of(found, self._wish, self._say)
        return [
            replace(turn, speaker=names.get(turn.speaker, turn.speaker)) for turn in found.turns
        ]

    def _diarized(self) -> bytes:
        heard = self._diarization()
        wish, start = self._wish, self._request.audio_range.start
        alone = turns = heard.turns()
        if wish.fewest > 1 or wish.most is not None:
            turns = heard.turns(wish.fewest, wish.most)
        voices = heard.voices(turns)
        payload = {
            "turns": [
                {
                    **asdict(turn),
                    "start": round(start + turn.start, 3),
                    "end": round(start + turn.end, 3),
                }
                for turn in turns
            ],
            "voices": {label: voice.as_json() for label, voice in voices.items()},
            "count": len({turn.speaker for turn in alone}),
        }
        return json.dumps(payload).encode()

    def _diarization(self) -> Diarization:
        from fls_models.speakers.diarization import Diarization
        from fls_models.speakers.diarizer import Diarizer

        if self._heard is not None:
            return Diarization.from_bytes(self._heard)
        if self._diarizer is None or not self._is_complete:
            self._diarizer = Diarizer()
            with closing(self._request.decode(ignore)) as blocks:
                for block in blocks:
                    self._diarizer.add(block)
        heard = self._diarizer.finish()
        self._heard_entry.put(heard.to_bytes())
        return heard

    def _add(self, block: Any) -> None:
        from fls_models.speakers.diarizer import Diarizer

        if self._content is None and self._heard is None:
            self._diarizer = self._diarizer or Diarizer()
            self._diarizer.add(block)

    def _try(self, step: Callable[[], None]) -> None:
        """Whatever goes wrong with speakers, the transcript is not to be lost for it."""
        if not self._failure:
            try:
                step()
            except Exception as error:
                self._failure = (str(error).strip() or repr(error)).splitlines()[0]


def _voices(count: int) -> str:
    return "one voice is" if count == 1 else f"{count} voices are"
