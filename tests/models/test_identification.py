"""A voice that is known is known again; one that may be another's is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fls_models.speakers.clustering import Clusters
from fls_models.speakers.diarizer import Diarizer
from fls_models.speakers.identification import Voice, identify


def voice(*numbers: float, seconds: float = 12.0) -> Voice:
    mean = np.array(numbers) / np.linalg.norm(numbers)
    each = np.full(4, seconds / 4)
    return Voice(Clusters.of(np.tile(mean, (4, 1)), each).grouped(np.zeros(4, np.int64), 1))


A, B, BETWEEN = voice(1, 0, 0), voice(0, 1, 0), voice(1, 1, 0)


def named(voices: dict[str, Voice], **known: Voice) -> dict[str, list[str]]:
    found = identify(voices, {name: [sample] for name, sample in known.items()})
    return {label: [each.name for each in like] for label, like in found.items()}


def test_who_is_known_is_named_and_nobody_else() -> None:
    voices = {"S1": A, "S2": B, "S3": voice(0, 0, 1)}
    assert named(voices, Bo=B, Cy=voice(1, 0.1, 0)) == {"S1": ["Cy"], "S2": ["Bo"]}
    [[like]] = identify({"S1": A}, {"Cy": [A]}).values()
    assert like.likeness == pytest.approx(1.0, abs=0.05)
    assert named({"S1": BETWEEN}, Bo=B, Cy=A) == {}
    assert named({}, Bo=B) == {}
    assert named({"S1": A}) == identify({"S1": A}, {"Cy": []}) == {}


def test_who_may_as_well_be_another_is_told_with_both() -> None:
    twin = voice(1, 0.05, 0)
    assert named({"S1": A}, Cy=A, Di=twin) == {"S1": ["Cy", "Di"]}
    # Of two who are as much like a name, nobody knows who it is.
    assert named({"S1": A, "S2": twin}, Cy=A) == {}


def test_of_too_little_nothing_is_said() -> None:
    assert named({"S1": voice(1, 0, 0, seconds=1)}, Cy=A) == {}


def test_any_sample_will_do() -> None:
    found = identify({"S1": A, "S2": B}, {"Cy": [voice(0, 0, 1), A], "Di": [B]})
    assert {label: like[0].name for label, like in found.items()} == {"S1": "Cy", "S2": "Di"}


def test_a_voice_as_json_is_the_same() -> None:
    again = Voice.from_json(A.as_json())
    assert again.as_json() == A.as_json()
    assert again.likeness(B) == pytest.approx(A.likeness(B))


@pytest.mark.parametrize(
    "change", [{"encoder": "another"}, {"sums": "x"}, {"sums": [1e999]}, {"seconds": None}]
)
def test_what_is_no_voice(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Voice.from_json({**A.as_json(), **change})


def test_real_voices_are_known_again() -> None:
    from fls_cli.sources.decode import decode

    file = Path(__file__).parents[2] / "examples" / "podcasts" / "bread-and-time.mp3"
    heard = []
    for start, end in ((0.0, 40.0), (40.0, 80.0)):
        diarizer = Diarizer()
        for block in decode(file, start=start, end=end):
            diarizer.add(block)
        found = diarizer.finish()
        turns = found.turns()
        heard.append((turns, found.voices(turns)))
    (turns, known), (_, later) = heard
    assert set(known) == {turn.speaker for turn in turns} == {"S1", "S2"}
    for label, each in known.items():
        spoken = sum(turn.end - turn.start for turn in turns if turn.speaker == label)
        assert 0.6 * spoken < each.seconds < 1.1 * spoken
    found = named(later, Anna=known["S1"], Martin=known["S2"])
    assert sorted(found.values()) == [["Anna"], ["Martin"]]
