"""Which words a speaker said: turns by time, changes where a speaker would stop.

Turns are exact to a tenth of a second or so, words' times to a few: so a change of speaker goes to
the end of a sentence or a pause near by, and no word stands alone in somebody else's sentence. The
cheapest way through the words (Viterbi), by how much of a word lies in whose turns.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fls_models.core.results import Sentence, Transcript, Word
from fls_models.speakers.turn import SpeakerTurn

# What a change of speaker costs before a word: behind a sentence or a pause, a comma, any word.
_AT_SENTENCE, _AT_CLAUSE, _ANYWHERE = 0.4, 1.0, 2.0
_PAUSE = 0.4
_SENTENCE_ENDS, _CLAUSE_ENDS = tuple(".?!。？！…"), tuple(",;:，、；：")
# A word in nobody's turn costs as much for each speaker, and more the further away theirs are.
_NOBODY, _NEAR = 0.5, 2.0
# Seconds: what a word of usual length weighs 1.
_USUAL = 0.3


def with_speakers(transcript: Transcript, turns: Sequence[SpeakerTurn]) -> Transcript:
    """The transcript with each word's speaker; a sentence that changes speaker is cut there.

    `turns` are in order of their begin, on the transcript's clock. Without any, nothing changes.
    """
    words = transcript.words
    if not turns or not words:
        return transcript
    speakers = iter(_speakers(words, turns))
    sentences = [
        Sentence(part)
        for sentence in transcript.sentences
        for part in _parts(tuple(replace(word, speaker=next(speakers)) for word in sentence.words))
    ]
    return replace(transcript, sentences=tuple(sentences))


def _parts(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    first = 0
    for place in range(1, len(words) + 1):
        if place == len(words) or words[place].speaker != words[first].speaker:
            yield words[first:place]
            first = place


def _speakers(words: Sequence[Word], turns: Sequence[SpeakerTurn]) -> list[str]:
    names = list(dict.fromkeys(turn.speaker for turn in turns))
    costs = list(_costs(words, turns, names))
    total, came_from = costs[0], []
    for place in range(1, len(words)):
        best = min(range(len(names)), key=total.__getitem__)
        changed = total[best] + _change(words[place - 1], words[place])
        came_from.append([own if total[own] <= changed else best for own in range(len(names))])
        total = [min(total[own], changed) + cost for own, cost in enumerate(costs[place])]
    chosen = [min(range(len(names)), key=total.__getitem__)]
    for before in reversed(came_from):
        chosen.append(before[chosen[-1]])
    return [names[speaker] for speaker in reversed(chosen)]


def _change(before: Word, after: Word) -> float:
    text = before.text.rstrip("\"'”’) ")
    if text.endswith(_SENTENCE_ENDS) or after.start - before.end > _PAUSE:
        return _AT_SENTENCE
    return _AT_CLAUSE if text.endswith(_CLAUSE_ENDS) else _ANYWHERE


def _costs(
    words: Sequence[Word], turns: Sequence[SpeakerTurn], names: Sequence[str]
) -> Iterator[list[float]]:
    """By word and speaker: how little of the word lies in turns of theirs, 0 to its weight."""
    by_speaker = [[turn for turn in turns if turn.speaker == name] for name in names]
    ends = [[turn.end for turn in own] for own in by_speaker]
    for word in words:
        length = max(word.end - word.start, 0.02)
        weight = min(1.5, max(0.5, length / _USUAL))
        shared, gaps = [], []
        for own, own_ends in zip(by_speaker, ends, strict=True):
            place = bisect_left(own_ends, word.start)
            share, gap = 0.0, _NEAR
            if place:
                gap = min(gap, word.start - own_ends[place - 1])
            for turn in own[place:]:
                if turn.start > word.start + length:
                    gap = min(gap, turn.start - word.start - length)
                    break
                share += max(0.0, min(turn.end, word.start + length) - max(turn.start, word.start))
                gap = 0.0
            shared.append(min(1.0, share / length))
            gaps.append(gap)
        if any(shared):
            yield [weight * (1 - share) for share in shared]
        else:
            yield [_NOBODY * weight * gap / _NEAR for gap in gaps]
