"""Lists of recordings as people and the hub write them; what is said of those that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fls_models.bench.longspeech.items import load_spoken_items
from fls_models.errors import UsageError


def listed(folder: Path, *entries: Any, name: str = "items.jsonl") -> Path:
    """A list beside an empty `a.wav` and `b.wav`."""
    folder.mkdir(exist_ok=True)
    for letter in "ab":
        (folder / f"{letter}.wav").write_bytes(b"")
    path = folder / name
    if path.suffix == ".json":
        path.write_text(json.dumps(list(entries)))
    else:
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_a_manifest_with_everything(tmp_path: Path) -> None:
    path = listed(
        tmp_path,
        {
            "id": 7,
            "audio": "a.wav",
            "question": " Which day? ",
            "answer": 1,
            "choices": ["Monday", "Friday"],
            "facts": ["It is Friday.", "It rains."],
            "task": "dialogue",
            "turns": [{"speaker": "a", "text": "Friday."}, {"speaker": "b", "text": "Rain."}],
        },
        {"audio": "b.wav", "task": "asr", "transcript": "hello there"},
        {"audio": "b.wav", "question": "Why?"},
    )
    first, second, third = load_spoken_items(path)
    assert (first.name, first.question, first.task) == ("7", "Which day?", "dialogue")
    assert (first.answer, first.correct, first.choices) == ("Friday", 1, ("Monday", "Friday"))
    assert first.facts == ("It is Friday.", "It rains.")
    assert first.transcript == "Friday. Rain."
    assert (second.task, second.transcript, second.answer) == ("asr", "hello there", None)
    assert second.question
    assert (third.task, third.correct, third.choices) == ("qa", None, ())
    # Items are told apart even where the list does not.
    assert second.name != third.name


def test_emotions_are_choices_without_a_question(tmp_path: Path) -> None:
    names = ["angry", "happy", "neutral", "sad"]
    entries = [{"audio": "a.wav", "task": "emotion", "choices": names, "answer": "Happy"}]
    entries.append({"audio": "b.wav", "task": "emotion", "label": 0, "answer": "angry"})
    first, second = load_spoken_items(listed(tmp_path, *entries), ["emotion"])
    assert first.question == second.question == "Which emotion does the speaker's voice express?"
    assert (first.correct, first.answer) == (1, "happy")
    assert (second.correct, second.answer) == (None, "angry")


@pytest.mark.parametrize("answer", ["friday.", "B", 1])
def test_the_correct_choice_in_words_by_letter_or_by_index(tmp_path: Path, answer: Any) -> None:
    choices = ["Monday", "Friday"]
    entry = {"audio": "a.wav", "question": "?", "answer": answer, "choices": choices}
    path = listed(tmp_path, entry)
    assert load_spoken_items(path)[0].correct == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "x/y/a.wav", "question": "Why?", "answer": "So."},
        {"wav": "/home/somebody/data/a.wav", "query": "Why?", "reference": "So."},
        {"audio": {"path": "a.wav"}, "instruction": "Why?", "output": "So."},
    ],
)
@pytest.mark.parametrize("name", ["test.json", "test.jsonl"])
def test_layouts_of_a_folder(tmp_path: Path, entry: dict[str, Any], name: str) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"")
    (tmp_path / "dataset_infos.json").write_text('{"default": {"features": {}}}')
    (tmp_path / "lists").mkdir()
    text = json.dumps([entry]) if name.endswith(".json") else json.dumps(entry)
    (tmp_path / "lists" / name).write_text(text)
    [item] = load_spoken_items(tmp_path)
    assert item.audio == tmp_path / "audio" / "a.wav"
    assert (item.question, item.answer, item.task) == ("Why?", "So.", "qa")


def test_tasks_and_limits_choose(tmp_path: Path) -> None:
    entries = [
        {"audio": "a.wav", "question": f"{n}?", "task": task}
        for n, task in enumerate(("qa", "dialogue", "qa", "summary", "qa"))
    ]
    path = listed(tmp_path, *entries)
    assert [one.question for one in load_spoken_items(path, ["qa"], 2)] == ["0?", "2?"]
    assert len(load_spoken_items(path)) == 5
    with pytest.raises(UsageError, match=r"no items of emotion; it has 3 of qa, 1 of dialogue"):
        load_spoken_items(path, ["emotion"])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"question": "Why?"}, "names its recording"),
        ({"audio": "c.wav", "question": "Why?"}, "there is no recording c.wav"),
        ({"audio": "a.wav"}, "qa needs a question"),
        ({"audio": "a.wav", "question": "Why?", "task": "song"}, "no task 'song'"),
        ({"audio": "a.wav", "question": "?", "choices": ["x"]}, "one choice is no choice"),
        ({"audio": "a.wav", "question": "?", "choices": ["x", "y"]}, "one of the choices"),
        ({"audio": "a.wav", "question": "?", "choices": ["x", "y"], "answer": 2}, "one of the"),
        ({"audio": "a.wav", "question": "?", "choices": "xy"}, "choices are a list"),
        ({"audio": "a.wav", "question": "?", "facts": [1]}, "facts are a list"),
        ({"audio": "a.wav", "question": "?", "answer": 3}, "is a text"),
        ({"audio": "a.wav", "task": "asr"}, "needs a transcript"),
        ({"audio": "a.wav", "task": "asr", "transcript": "..."}, "needs a transcript"),
        ([], "is no JSON object"),
    ],
)
@pytest.mark.parametrize(("name", "where"), [("i.jsonl", "line 2"), ("i.json", "entry 2")])
def test_what_does_not_fit_is_named_with_its_line(
    tmp_path: Path, entry: Any, said: str, name: str, where: str
) -> None:
    path = listed(tmp_path, {"audio": "a.wav", "question": "Why?"}, entry, name=name)
    with pytest.raises(UsageError) as refused:
        load_spoken_items(path)
    assert said in str(refused.value)
    assert f"{name}, {where}" in str(refused.value)


def test_two_recordings_of_one_name_are_not_guessed_between(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.wav").write_bytes(b"")
    (tmp_path / "list.jsonl").write_text('{"audio": "three/a.wav", "question": "Why?"}')
    with pytest.raises(UsageError, match=r"no recording three/a\.wav"):
        load_spoken_items(tmp_path)


def test_places_that_hold_no_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_spoken_items(tmp_path / "nowhere.jsonl")
    (tmp_path / "test.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match=r"holds no list of .*Parquet files are not"):
        load_spoken_items(tmp_path)
    (tmp_path / "broken.json").write_text("[")
    with pytest.raises(UsageError, match="is no JSON"):
        load_spoken_items(tmp_path / "broken.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UsageError, match="no JSON array"):
        load_spoken_items(tmp_path / "other.json")
