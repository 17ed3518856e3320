"""Diarization errors: worked out by hand, and against counting frames under every mapping."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.bench.scoring.diarization import (
    DiarizationErrors,
    WordDiarizationErrors,
    diarization_errors,
    speaker_mapping,
    word_diarization_errors,
)
from fls_models.speakers.turn import SpeakerTurn

FRAME = 0.01
quickly = settings(max_examples=200, deadline=None)


def turns(text: str) -> list[SpeakerTurn]:
    """`A 0-4` is a turn of A from 0 s to 4 s."""
    found = []
    for part in text.split(","):
        if part.strip():
            name, span = part.split()
            start, end = map(float, span.split("-"))
            found.append(SpeakerTurn(start, end, name))
    return found


# Anna 4 s, Ben 6 s.
TALK = "A 0-4, B 4-10"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "collar", "missed", "false_alarm", "confused", "total"),
    [
        pytest.param(TALK, "A 0-4, B 4-10", 0, 0, 0, 0, 10, id="perfect"),
        pytest.param(TALK, "B 0-4, A 4-10", 0, 0, 0, 0, 10, id="names swapped"),
        pytest.param(TALK, "x 0-10", 0, 0, 0, 4, 10, id="one for all"),
        pytest.param(TALK, "x 0-4, y 4-6, z 6-10", 0, 0, 0, 2, 10, id="one taken for two"),
        pytest.param(TALK, "x 0-4, y 5-9.5", 0, 1.5, 0, 0, 10, id="missed"),
        pytest.param(TALK, "", 0, 10, 0, 0, 10, id="nothing found"),
        pytest.param("A 1-4", "x 0.5-4.25, y 6-7", 0, 0, 1.75, 0, 3, id="false alarm"),
        pytest.param(TALK, "x 0-6, y 6-10", 0, 0, 0, 2, 10, id="a late change"),
        pytest.param(TALK, "x 0-6, y 6-10", 0.5, 0, 0, 1.5, 8, id="a late change, collar"),
        pytest.param(TALK, "x 0-4.5, y 4.5-9.75", 0.5, 0, 0, 0, 8, id="all within collars"),
        pytest.param("A 0-6, B 4-10", "x 0-6, y 6-10", 0, 2, 0, 0, 12, id="overlap missed"),
        pytest.param("A 0-6, B 4-10", "x 0-6, y 4-10", 0, 0, 0, 0, 12, id="overlap found"),
        pytest.param("A 0-6", "x 0-6, y 4-5", 0, 0, 1, 0, 6, id="overlap put in"),
        # From 4 s to 6 s two speak and two were found, but y, who is B elsewhere, is not there.
        pytest.param("A 0-6, B 4-10", "x 0-6, z 4-6, y 6-10", 0, 0, 0, 2, 12, id="a third voice"),
        pytest.param("A 0-3, A 2-5, A 5-6", "x 0-6", 0, 0, 0, 0, 6, id="of one speaker"),
        # Where its turns meet there is no collar: of 1 s to 5 s the middle second is missed.
        pytest.param("A 0-3, A 2-6", "x 0-2.5, x 3.5-6", 1, 1, 0, 0, 4, id="no inner collar"),
        # Another's collar within a turn is not scored either.
        pytest.param("A 0-10, B 4-6", "x 0-10", 0.5, 1, 0, 0, 8, id="collars for everybody"),
        # Scored is what the collars leave: there, A is y.
        pytest.param("A 0-4", "x 0-1.5, y 1.5-2.5, x 2.5-4", 1.5, 0, 0, 0, 1, id="mapped outside"),
    ],
)
def test_by_hand(reference, hypothesis, collar, missed, false_alarm, confused, total):
    errors = diarization_errors(turns(reference), turns(hypothesis), collar)
    assert (errors.missed, errors.false_alarm) == (missed, false_alarm)
    assert (errors.confused, errors.total) == (confused, total)
    assert errors.rate == pytest.approx((missed + false_alarm + confused) / total)
    assert errors.reference_speakers == (len({turn.speaker for turn in turns(reference)}),)
    assert errors.hypothesis_speakers == (len({turn.speaker for turn in turns(hypothesis)}),)


def test_nothing_is_a_rate_of_nothing():
    swallowed = diarization_errors(turns(TALK), turns("x 0-5"), collar=3)
    assert swallowed == DiarizationErrors(0, 0, 0, 0, (2,), (1,))
    assert math.isnan(swallowed.rate)
    alarm = diarization_errors([], turns("x 0-5"))
    assert alarm.false_alarm == 5
    assert math.isnan(alarm.rate)
    assert diarization_errors([], []) == DiarizationErrors(0, 0, 0, 0, (0,), (0,))
    assert speaker_mapping(turns(TALK), turns("x 0-5"), collar=3) == {}


def test_what_comes_after_the_duration_is_not_scored():
    reference, hypothesis = turns("A 0-4, B 6-8, C 12-13"), turns("x 0-5, y 9-14, z 10-12")
    errors = diarization_errors(reference, hypothesis, duration=10)
    assert errors == DiarizationErrors(2, 2, 0, 6, (2,), (2,))
    assert diarization_errors(reference, hypothesis, duration=100) == diarization_errors(
        reference, hypothesis
    )
    # A turn that is cut off there has no collar there.
    cut = diarization_errors(turns("A 0-10"), turns("x 0-5"), collar=1, duration=8)
    assert (cut.missed, cut.total) == (3, 7)
    assert diarization_errors(reference, hypothesis, duration=0).total == 0


def test_seconds_below_zero_are_refused():
    with pytest.raises(ValueError, match="a collar of -1"):
        diarization_errors(turns(TALK), [], collar=-1)
    with pytest.raises(ValueError, match="a duration of -1"):
        diarization_errors(turns(TALK), [], duration=-1)


def test_floats_that_nearly_meet_do_meet():
    reference = [SpeakerTurn(0.0, 0.1 + 0.2, "A"), SpeakerTurn(0.3, 1.0, "A")]
    errors = diarization_errors(reference, [SpeakerTurn(0.0, 1.0, "x")], collar=0.1)
    assert (errors.total, errors.rate) == (0.8, 0)


def test_recordings_add_up():
    first = diarization_errors(turns(TALK), turns("x 0-10"))
    second = diarization_errors(turns("A 0-10"), turns("x 0-5, y 20-21"))
    both = sum([first, second], DiarizationErrors())
    assert both == first + second == DiarizationErrors(5, 1, 4, 20, (2, 1), (1, 2))
    assert both.rate == 0.5
    assert math.isnan(DiarizationErrors().rate)


def test_a_name_goes_to_whom_it_shares_the_most_with_all_together():
    # x shares more with A than y does, but x has B, and y nobody else.
    reference = turns("A 0-7, B 7-12")
    hypothesis = turns("x 0-4, y 4-7, x 7-12, z 20-30")
    assert speaker_mapping(reference, hypothesis) == {"x": "B", "y": "A"}
    assert speaker_mapping(turns("A 0-4"), turns("x 0-1.5, y 1.5-2.5, x 2.5-4")) == {"x": "A"}
    assert speaker_mapping(turns("A 0-4"), turns("x 0-1.5, y 1.5-2.5, x 2.5-4"), 1.5) == {"y": "A"}


# As frames: start, length, speaker.
spans = st.lists(
    st.tuples(st.integers(0, 150), st.integers(1, 80), st.integers(0, 3)), max_size=10
)  # fmt: skip


def spoken(frames: list[tuple[int, int, int]]) -> list[SpeakerTurn]:
    return [
        SpeakerTurn(at * FRAME, (at + length) * FRAME, "ABCD"[speaker])
        for at, length, speaker in frames
    ]


def all_frames(side: list[tuple[int, int, int]]) -> list[set[int]]:
    """Who speaks in each of the frames there can be."""
    return [{who for at, length, who in side if at <= frame < at + length} for frame in range(240)]


def scored(
    reference: list[tuple[int, int, int]],
    hypothesis: list[tuple[int, int, int]],
    collar: int,
    duration: int = 240,
) -> list[tuple[set[int], set[int]]]:
    """Frames outside of collars: who speaks in the reference, and in the hypothesis."""
    speakers, names = all_frames(reference), all_frames(hypothesis)
    inside = set(range(min(duration, 240)))
    for who in range(4):
        # At -1 and behind the end nobody speaks.
        speaks = [False, *(who in frame for frame in speakers), False]
        for edge, (before, after) in enumerate(pairwise(speaks)):
            if before != after:
                inside -= set(range(edge - collar, edge + collar))
    return [(speakers[frame], names[frame]) for frame in sorted(inside)]


def most_correct(pairs: list[tuple[set[int], set[int]]]) -> int:
    return max(
        sum(len({mapping[name] for name in names} & speakers) for speakers, names in pairs)
        for mapping in permutations(range(4))
    )


@quickly
@given(spans, spans, st.integers(0, 30), st.none() | st.integers(0, 250))
def test_frames_and_every_mapping_come_to_the_same(reference, hypothesis, collar, duration):
    errors = diarization_errors(
        spoken(reference),
        spoken(hypothesis),
        collar * FRAME,
        None if duration is None else duration * FRAME,
    )
    pairs = scored(reference, hypothesis, collar, 240 if duration is None else duration)
    counts = (
        sum(max(0, len(speakers) - len(names)) for speakers, names in pairs),
        sum(max(0, len(names) - len(speakers)) for speakers, names in pairs),
        sum(min(len(speakers), len(names)) for speakers, names in pairs) - most_correct(pairs),
        sum(len(speakers) for speakers, _ in pairs),
    )
    found = errors.missed, errors.false_alarm, errors.confused, errors.total
    assert found == pytest.approx([count * FRAME for count in counts], abs=1e-9)


@quickly
@given(spans, spans, st.integers(0, 30), st.permutations("ABCD"), st.permutations("ABCD"))
def test_names_and_order_do_not_matter(reference, hypothesis, collar, names, others):
    sides = spoken(reference), spoken(hypothesis)
    errors = diarization_errors(*sides, collar * FRAME)
    renamed = [
        [replace(turn, speaker=new["ABCD".index(turn.speaker)]) for turn in reversed(side)]
        for side, new in zip(sides, (names, others), strict=True)
    ]
    assert diarization_errors(*renamed, collar * FRAME) == errors


@quickly
@given(spans, spans, st.integers(0, 30))
def test_no_mapping_shares_more(reference, hypothesis, collar):
    mapping = speaker_mapping(spoken(reference), spoken(hypothesis), collar * FRAME)
    assert len(set(mapping.values())) == len(mapping)
    pairs = scored(reference, hypothesis, collar)
    shared = {
        name: sum(
            "ABCD".index(name) in names and "ABCD".index(who) in speakers
            for speakers, names in pairs
        )
        for name, who in mapping.items()
    }
    assert all(shared.values())
    assert sum(shared.values()) == most_correct(pairs)


@quickly
@given(spans, spans)
def test_the_other_way_round_missed_is_false_alarm(reference, hypothesis):
    there = diarization_errors(spoken(reference), spoken(hypothesis))
    back = diarization_errors(spoken(hypothesis), spoken(reference))
    assert (there.missed, there.false_alarm) == (back.false_alarm, back.missed)
    assert there.confused == back.confused


WORDS = [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.5, 4.5), (4.0, 5.0), (8.0, 9.0), (20.0, 21.0)]


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["x", "x", "x", "y", "y", "y", "y"], 0),
        (["B", "B", "B", "A", "A", "A", None], 0),
        (["x", "x", "x", "x", "x", "x", "x"], 3),
        (["x", "x", "y", "y", "y", "y", "y"], 1),
        (["x", "x", None, "y", "y", "y", "x"], 1),
        (["x", "x", "x", "y", "y", "z", "x"], 1),
        ([None] * 7, 6),
    ],
)
def test_words_by_hand(names, wrong):
    # The middle of the fourth is the moment at which B takes over; nobody speaks at the last one's.
    errors = word_diarization_errors(WORDS, turns(TALK), names)
    assert errors == WordDiarizationErrors(wrong, 6)
    assert errors.rate == wrong / 6


def test_where_two_speak_either_is_right():
    reference = turns("A 0-6, B 4-10")
    words = [(0.0, 1.0), (4.0, 5.0), (5.0, 6.0), (8.0, 9.0)]
    assert word_diarization_errors(words, reference, ["x", "x", "y", "y"]).wrong == 0
    assert word_diarization_errors(words, reference, ["x", "z", "y", "y"]).wrong == 1


def test_a_mapping_by_time_may_stand_for_that_by_words():
    names = ["x", "x", "x", "x", "x", "x", "x"]
    assert word_diarization_errors(WORDS, turns(TALK), names, {"x": "B"}).wrong == 3
    assert word_diarization_errors(WORDS[:4], turns(TALK), names[:4], {"x": "B"}).wrong == 3
    assert word_diarization_errors(WORDS[:4], turns(TALK), names[:4]).wrong == 1
    assert word_diarization_errors(WORDS, turns(TALK), names, {}).wrong == 6


def test_words_add_up():
    total = sum([WordDiarizationErrors(1, 4), WordDiarizationErrors(0, 4)], WordDiarizationErrors())
    assert (total.wrong, total.words, total.rate) == (1, 8, 0.125)
    assert math.isnan(word_diarization_errors(WORDS, [], ["x"] * 7).rate)
    with pytest.raises(ValueError, match="shorter"):
        word_diarization_errors(WORDS, turns(TALK), ["x"])


@quickly
@given(
    spans,
    st.lists(
        st.tuples(st.integers(0, 230), st.integers(0, 8), st.none() | st.sampled_from("wxyz")),
        max_size=30,
    ),
)
def test_words_under_every_mapping_come_to_the_same(reference, found):
    frames = all_frames(reference)
    # Words of an even number of frames: their middle is where a frame begins.
    words = [(at * FRAME, (at + 2 * half) * FRAME) for at, half, _ in found]
    names = [name for *_, name in found]
    spoken_at = [frames[at + half] if at + half < 240 else set() for at, half, _ in found]
    counted = [(name, who) for name, who in zip(names, spoken_at, strict=True) if who]
    right = max(
        sum(name is not None and mapping["wxyz".index(name)] in who for name, who in counted)
        for mapping in permutations(range(4))
    )
    errors = word_diarization_errors(words, spoken(reference), names)
    assert (errors.words, errors.words - errors.wrong) == (len(counted), right)
