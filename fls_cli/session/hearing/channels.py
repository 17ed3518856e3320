"""A speaker a channel: each is heard alone, and what leaks from one into another is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fls_cli.media.flaws import Flaw
from fls_cli.session.hearing.speaker_wish import SpeakerWish
from fls_cli.session.request import ListenRequest
from fls_models.core.progress import Progress, ignore
from fls_models.errors import InputError, UsageError

if TYPE_CHECKING:
    from fls_models.audio.crosstalk import ChannelLevels
    from fls_models.core.results import Sentence, Transcript
    from fls_models.speakers.turn import SpeakerTurn

# More than field recorders have; a sentence of which less is left is somebody else's.
_MOST = 32
_LEAST_LEFT = 0.5
# Seconds between two sentences of one turn.
_PAUSE = 2.0

Hear = Callable[[ListenRequest, Progress, Callable[[Flaw], None]], "Transcript"]


@dataclass
class Channels:
    """Sentences of all channels in order, S1 for those on the first; `language` and `until` are
    known once all were heard."""

    request: ListenRequest
    hear: Hear
    progress: Progress
    warn: Callable[[Flaw], None]
    language: str | None = None
    until: float = 0.0

    def sentences(self) -> Iterator[Sentence]:
        """Raises InputError for a recording of one channel, or of too many."""
        count = channel_count(self.request)
        found: list[Sentence] = []
        flaws: list[Flaw] = []
        seconds: Counter[str] = Counter()

        def warn(flaw: Flaw) -> None:
            # A channel on which nobody speaks is no fault, and the file's are those of all.
            if flaw.kind != "silent" and flaw not in flaws:
                flaws.append(flaw)
                self.warn(flaw)

        for number in range(1, count + 1):
            one = replace(self.request.audio_range, channels=str(number))
            request = replace(self.request, audio_range=one)
            transcript = self.hear(request, self._share(number - 1, count), warn)
            self.until = max(self.until, transcript.duration)
            for sentence in transcript.sentences:
                seconds[transcript.language or ""] += round(sentence.end - sentence.start) + 1
                found.append(_named(sentence, f"S{number}"))
        self.language = next((code for code, _ in seconds.most_common(1) if code), None)
        if _speakers(found) > 1:
            levels = self._levels(count)
            single = list(_without(found, levels.is_double))
            if _speakers(single) == 1:
                # One sound on all of them: nobody is told apart.
                found = [_named(sentence, None) for sentence in single]
            else:
                found = list(_without(single, levels.is_leak))
        yield from sorted(found, key=lambda sentence: sentence.start)

    def _share(self, before: int, count: int) -> Progress:
        """The progress of one channel as that of all."""

        def progress(stage: str, done: float, total: float | None) -> None:
            whole = None if total is None else total * count
            self.progress(stage, done + before * (total or done), whole)

        return progress

    def _levels(self, count: int) -> ChannelLevels:
        """Of the whole recording: a part may not tell how loud somebody is by their own measure."""
        import numpy as np

        from fls_models.audio.crosstalk import ChannelLevels

        levels = ChannelLevels(count)
        whole = replace(self.request.audio_range, start=0.0, end=None)
        ranges = (replace(whole, channels=str(number)) for number in range(1, count + 1))
        with ExitStack() as opened:
            streams = [
                opened.enter_context(
                    closing(replace(self.request, audio_range=each).decode(ignore))
                )
                for each in ranges
            ]
            rests: list[Any] = [np.zeros(0, np.float32)] * count
            while True:
                blocks = [next(stream, None) for stream in streams]
                if any(block is None for block in blocks):
                    break
                rests = [
                    np.concatenate([rest, block]) for rest, block in zip(rests, blocks, strict=True)
                ]
                common = min(map(len, rests))
                levels.add(np.stack([rest[:common] for rest in rests], axis=1))
                rests = [rest[common:] for rest in rests]
        return levels


class ChannelSpeakers:
    """Stands in for `SpeakerSearch` where each channel is a speaker: nothing is to be found out."""

    def __init__(self, wish: SpeakerWish | None, say: Callable[[str], None]) -> None:
        self._wish, self._say = wish or SpeakerWish(), say
        self.turns: list[SpeakerTurn] = []
        if self._wish.fewest > 1 or self._wish.most is not None:
            raise UsageError(
                "--channels each has a speaker a channel; leave the number of --speakers out."
            )

    def overhear(self, blocks: Any) -> Any:
        return blocks

    def name_words(self, transcript: Transcript) -> Transcript:
        """The transcript with the names that the user gave."""
        from fls_cli.session.hearing.speaker_names import FoundSpeakers, names_of

        if transcript.sentences and not _speakers(transcript.sentences):
            self._say(
                "its channels hold the same sound, so they tell nobody apart; --speakers auto does "
                "by the sound of voices"
            )
            return transcript
        turns = list(_turns(transcript))
        found = FoundSpeakers(tuple(turns), {}, len({turn.speaker for turn in turns}))
        names = names_of(found, self._wish, self._say)
        self.turns = [replace(t, speaker=names.get(t.speaker, t.speaker)) for t in turns]
        sentences = tuple(
            _named(sentence, names.get(sentence.speaker or "", sentence.speaker))
            for sentence in transcript.sentences
        )
        return replace(transcript, sentences=sentences)


def channel_count(request: ListenRequest) -> int:
    """How many channels are to be heard; raises InputError where `each` makes no sense."""
    _, track = request.layout()
    count = track.channels or 1
    if not 1 < count <= _MOST:
        channels = "one channel" if count == 1 else f"{count} channels"
        raise InputError(
            f"{request.source.name} has {channels}; --channels each is for 2 to {_MOST}. "
            "--speakers auto tells voices apart by their sound."
        )
    return count


def _speakers(sentences: Iterable[Sentence]) -> int:
    return len({sentence.speaker for sentence in sentences} - {None})


def _named(sentence: Sentence, speaker: str | None) -> Sentence:
    words = tuple(replace(word, speaker=speaker) for word in sentence.words)
    return replace(sentence, words=words)


def _without(
    sentences: list[Sentence], is_others: Callable[[int, float, float], bool]
) -> Iterator[Sentence]:
    """What is left of sentences without words of which that is so, by channel, start and end."""
    for sentence in sentences:
        channel = int((sentence.speaker or "S1")[1:]) - 1
        words = tuple(
            word for word in sentence.words if not is_others(channel, word.start, word.end)
        )
        if len(words) >= _LEAST_LEFT * len(sentence.words):
            yield replace(sentence, words=words)


def _turns(transcript: Transcript) -> Iterator[SpeakerTurn]:
    """Sentences of one speaker that follow each other at once are a turn."""
    from fls_models.speakers.turn import SpeakerTurn

    open_turns: dict[str, SpeakerTurn] = {}
    turns: list[SpeakerTurn] = []
    for sentence in transcript.sentences:
        speaker, end = sentence.speaker or "S1", max(sentence.end, sentence.start + 0.01)
        before = open_turns.get(speaker)
        if before is not None and sentence.start - before.end < _PAUSE:
            open_turns[speaker] = replace(before, end=max(before.end, end))
            continue
        if before is not None:
            turns.append(before)
        open_turns[speaker] = SpeakerTurn(sentence.start, end, speaker)
    yield from sorted([*turns, *open_turns.values()], key=lambda turn: (turn.start, turn.speaker))
