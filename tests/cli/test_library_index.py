"""The index of what was said: what is looked for, how it is spelt, and that it is never lost."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_model import sentence

from fls_cli.library.index import Found, Index, open_index
from fls_cli.library.meaning import find_meant, fused
from fls_cli.library.passages import SpokenPassage, passages_of
from fls_cli.library.query import Query
from fls_cli.library.search import Hit, Shelf, find, shelve
from fls_cli.library.spelling import Spellings
from fls_cli.storage.cache import DiskCache, key
from fls_models.core.progress import ignore
from fls_models.core.results import Transcript
from fls_models.errors import EnvironmentLacks, UsageError

BAKER = ["My guest is Martin Reed.", "His bread rests for fourteen hours.", "Time is all."]
BEES = ["We keep bees on the roof.", "The price of honey rose last year.", "Katarzyna sells it."]
ROOT = Path(__file__).parents[2]


def transcript(texts: Sequence[str], every: float = 10.0) -> Transcript:
    """A sentence every so many seconds."""
    spoken = tuple(sentence(text, every * place) for place, text in enumerate(texts))
    return Transcript("en" if spoken else None, spoken, every * len(spoken))


def filled(index: Index, **talks: list[str]) -> dict[str, int]:
    for audio, said in talks.items():
        index.add(audio, transcript(said, every=60.0), "balanced")
    return index.recordings_of(talks)


def texts(index: Index, wanted: str, most: int = 10) -> list[str]:
    numbers = index.recordings_of(["baker", "bees", "talk"])
    shelf = Shelf({number: audio for audio, number in numbers.items()}, [])
    return [hit.passage.text for hit in find(index, shelf, Query.parse(wanted), most)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("bread", [BAKER[1]]),
        ("BREAD hours", [BAKER[1]]),
        ("breads resting", [BAKER[1]]),
        ('"honey rose"', [BEES[1]]),
        ('"rose honey"', []),
        ("hon*", [BEES[1]]),
        ("NEAR(price honey, 3)", [BEES[1]]),
        ("NEAR(price honey, 0)", []),
        ("bees OR bread", [BEES[0], BAKER[1]]),
        ("rose NOT honey", []),
        ("rose NOT bread", [BEES[1]]),
        # As it may have been heard.
        ("Catarina", [BEES[2]]),
        ("Marten", [BAKER[0]]),
        # One of the words is better than nothing.
        ("honey zeppelin", [BEES[1]]),
        ("zeppelin", []),
        ('say "', []),
        ("a-b (honey) :price^", [BEES[1]]),
    ],
)
def test_what_is_looked_for_is_found(wanted: str, found: list[str]) -> None:
    with open_index(None, ignore) as index:
        filled(index, baker=BAKER, bees=BEES)
        assert sorted(texts(index, wanted)) == sorted(found)


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_query_or_nothing(wanted: str) -> None:
    with open_index(None, ignore) as index:
        filled(index, bees=BEES)
        # There may be no word in it.
        with suppress(UsageError):
            assert len(texts(index, wanted)) <= len(BEES)


def test_scripts_without_blanks_are_found_by_part() -> None:
    with open_index(None, ignore) as index:
        filled(index, talk=["蜂蜜の値段は去年上がりました。", "パンは十四時間休みます。"])
        assert texts(index, "値段") == ["蜂蜜の値段は去年上がりました。"]
        assert texts(index, "段値") == []


def test_all_words_come_before_some_of_them() -> None:
    with open_index(None, ignore) as index:
        filled(index, talk=["Honey is sweet, honey is gold.", "The price of honey.", "A price."])
        assert texts(index, "honey price", most=1) == ["The price of honey."]
        assert len(texts(index, "honey price")) == 3


def test_passages_are_sentences_in_a_row() -> None:
    # Three sentences of twelve words and five seconds each fit into one, then the third again.
    said = [f"{' '.join(['word'] * 11)} {number}." for number in range(8)]
    spoken = tuple(sentence(text, 5.0 * place, 0.3) for place, text in enumerate(said))
    passages = list(passages_of(Transcript("en", spoken, 40.0)))
    assert [passage.text for passage in passages] == [
        " ".join(said[:5]),
        " ".join(said[4:]),
    ]
    assert (passages[0].start, passages[1].start) == (0.0, 20.0)
    assert list(passages_of(transcript([]))) == []
    # A sentence that is too long stands alone, and is in no other.
    long = [" ".join(["long"] * 90) + ".", "Short.", " ".join(["long"] * 90) + "."]
    assert [passage.text for passage in passages_of(transcript(long, 40.0))] == long


def test_a_neighbour_with_the_same_sentence_is_not_shown_twice() -> None:
    said = [f"{' '.join(['word'] * 11)} {number}." for number in range(8)]
    spoken = tuple(sentence(text, 5.0 * place, 0.3) for place, text in enumerate(said))
    with open_index(None, ignore) as index:
        index.add("talk", Transcript("en", spoken, 40.0), "fast")
        # The fifth sentence is in both passages.
        assert len(texts(index, "4")) == 1


@pytest.mark.parametrize(
    ("word", "heard"),
    [
        ("Katarzyna", "catarina"),
        ("Stephen", "steven"),
        ("Catherine", "kathryn"),
        ("Schmidt", "schmitt"),
        ("Lindqvist", "lindquist"),
        ("Oakhill", "oak hill"),
        ("Lumidyne", "luma dine"),
        ("Winterbourne", "winter barn"),
    ],
)
def test_names_are_spelt_as_they_were_heard(word: str, heard: str) -> None:
    vocabulary = [*heard.split(), "theater", "morning", "stone", "river", "market", "carpenter"]
    assert Spellings(vocabulary)(word) == [f'"{heard}"']


def test_what_was_said_as_it_is_written_is_no_other_word() -> None:
    vocabulary = ["honey", "money", "hunny", "oakhill", "oak", "hill", "price", "pride"]
    spellings = Spellings(vocabulary)
    assert spellings("honey") == ['"hunny"']
    assert spellings("oakhill") == ['"oak hill"']
    assert spellings("price") == []


def test_short_words_and_numbers_are_what_they_are() -> None:
    spellings = Spellings(["bee", "1924", "beta"])
    assert spellings("bed") == spellings("1925") == []


def test_more_effort_takes_the_place_of_less() -> None:
    with open_index(None, ignore) as index:
        for said, budget in ((BEES, "balanced"), (BAKER, "accurate"), (BEES, "fast")):
            index.add("talk", transcript(said), budget)
        assert len(index.recordings_of(["talk"])) == 1
        assert (bool(texts(index, "bread")), texts(index, "honey")) == (True, [])


def kept(cache: DiskCache, audio: str, said: list[str], **heard: object) -> None:
    """An entry as `listen` keeps it."""
    plain = {"audio": audio, "start": 0.0, "end": None, "track": None, "channels": "mix"}
    parts = {**plain, "raw": None, "effort": {"budget": "balanced"}, **heard}
    payload = {"heard": parts, "warnings": [], "transcript": transcript(said).as_json()}
    cache.put("transcripts", key(**parts), json.dumps(payload).encode())


def test_what_is_kept_is_taken_in_once(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "recordings", 10**9)
    kept(cache, "baker", BAKER)
    # Parts of a recording and single channels are not the recording.
    kept(cache, "bees", BEES, start=10.0)
    kept(cache, "bees", BEES, channels="left")
    taken: list[int] = []
    for _ in range(2):
        with open_index(tmp_path / "index", ignore) as index:
            index.update(cache, lambda done, total: taken.append(total))
            assert list(index.recordings_of(["baker", "bees"])) == ["baker"]
    assert taken == [3, 3, 3]
    kept(cache, "bees", BEES)
    with open_index(tmp_path / "index", ignore) as index:
        index.update(cache, lambda done, total: taken.append(total))
        assert len(texts(index, "honey")) == 1
    assert taken == [3, 3, 3, 1]


def test_a_translation_is_not_what_was_said(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "recordings", 10**9)
    kept(cache, "baker", BAKER, translates=True)
    kept(cache, "bees", BEES, vocabulary=["Katarzyna"], language="en")
    with open_index(None, ignore) as index:
        index.update(cache, lambda done, total: None)
        assert list(index.recordings_of(["baker", "bees"])) == ["bees"]


@pytest.mark.parametrize("damage", ["cut", "noise", "version", "empty"])
def test_a_damaged_index_is_built_anew(tmp_path: Path, damage: str) -> None:
    cache = DiskCache(tmp_path / "recordings", 10**9)
    kept(cache, "baker", BAKER)
    place = tmp_path / "index"
    with open_index(place, ignore) as index:
        index.update(cache, lambda done, total: None)
    whole = place.read_bytes()
    if damage == "version":
        connection = sqlite3.connect(place)
        connection.execute("PRAGMA user_version = 7")
        connection.close()
    else:
        made = {"cut": whole[:5000], "noise": b"no database" * 999, "empty": b""}
        place.write_bytes(made[damage])
    said: list[str] = []
    with open_index(place, said.append) as index:
        index.update(cache, lambda done, total: None)
        assert len(texts(index, "bread")) == 1
    assert said == ["the index was damaged and is built anew"] * (damage in ("cut", "noise"))


def test_files_are_known_by_their_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    one.write_text("baker")
    two.write_text("baker")
    asked: list[Path] = []

    def digest(path: Path) -> str:
        asked.append(path)
        return path.read_text()

    with open_index(tmp_path / "index", ignore) as index:
        filled(index, baker=BAKER)
        shelf = shelve(index, {"1": one, "2": two, "3": tmp_path / "none.wav"}, digest)
        assert (list(shelf.heard.values()), shelf.unheard) == (["1"], ["3"])
        assert asked == [one, two, tmp_path / "none.wav"]
        two.write_text("bees!")
        os.utime(two, (1, 1))
        shelf = shelve(index, {"1": one, "2": two}, digest)
        assert (list(shelf.heard.values()), shelf.unheard) == (["1"], ["2"])
        assert asked[3:] == [two]


def test_what_failed_has_failed_until_it_changes(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("noise")
    with open_index(tmp_path / "index", ignore) as index:
        assert index.failed([bad]) == []
        index.note_failures([bad, tmp_path / "none.wav"])
        assert index.failed([bad, tmp_path / "none.wav"]) == [bad]
        bad.write_text("other noise")
        assert index.failed([bad]) == []


def test_processes_share_an_index(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "recordings", 10**9)
    for number in range(120):
        kept(cache, f"talk{number}", [f"Word{number} was said."])
    script = (
        "import sys; from pathlib import Path\n"
        "from fls_cli.library.index import open_index\n"
        "from fls_cli.storage.cache import DiskCache\n"
        f"place = Path({str(tmp_path)!r})\n"
        "with open_index(place / 'index', print) as index:\n"
        "    index.update(DiskCache(place / 'recordings', 10**9), lambda done, total: None)\n"
    )
    road = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'models'}"}
    processes = [
        subprocess.Popen([sys.executable, "-c", script], env=road, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [process.communicate()[1] for process in processes] == [b""] * 3
    connection = sqlite3.connect(tmp_path / "index")
    counts = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("recordings", "passages", "words")
    ]
    connection.close()
    assert counts == [120] * 3


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EnvironmentLacks, match="set FLS_CACHE to another folder"),
        open_index(tmp_path / "file" / "index", ignore),
    ):
        pass


TOPICS = ("honey price cost sweet", "bread loaf baker rest", "train rails night")


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """By topics: words of one mean the same."""
    vectors = np.zeros((len(texts), len(TOPICS) + 1), np.float32)
    for row, text in enumerate(texts):
        words = text.casefold().replace(".", "").split()
        for column, topic in enumerate(TOPICS):
            vectors[row, column] = sum(word in topic.split() for word in words)
        vectors[row, -1] = 0.01
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def meant(index: Index, wanted: str, most: int = 10) -> list[str]:
    return [found.passage.text for found in find_meant(index, encode, Query.parse(wanted), most)]


def test_what_means_the_same_is_found() -> None:
    with open_index(None, ignore) as index:
        numbers = filled(index, bees=["The honey is sweet.", "Nobody is here."], night=["A train."])
        index.want(numbers.values())
        assert meant(index, "cost") == ["The honey is sweet."]
        assert meant(index, "rails OR cost", most=1) == ["A train."]
        assert meant(index, "cost NOT honey") == []
        index.want([numbers["night"]])
        assert meant(index, "cost") == []


def test_meanings_are_kept_and_those_of_what_was_replaced_are_not() -> None:
    read: list[str] = []

    def counting(texts: Sequence[str]) -> NDArray[np.float32]:
        read.extend(texts)
        return encode(texts)

    with open_index(None, ignore) as index:
        index.want(filled(index, bees=["The honey is sweet.", "A loaf."]).values())
        for _ in range(2):
            find_meant(index, counting, Query.parse("cost"), 1)
        assert read == ["The honey is sweet.", "A loaf.", "cost", "cost"]
        index.add("bees", transcript(["A night train."], every=60.0), "accurate")
        assert meant(index, "cost") == []
        assert meant(index, "rails") == ["A night train."]
        assert len(index.meanings()) == 1


def test_what_another_process_replaced_meanwhile_gets_no_wrong_meaning(tmp_path: Path) -> None:
    place = tmp_path / "index"

    def replacing(texts: Sequence[str]) -> NDArray[np.float32]:
        if texts == ["The honey is sweet."]:
            with open_index(place, ignore) as other:
                other.add("bees", transcript(["A night train."], every=60.0), "accurate")
        return encode(texts)

    with open_index(place, ignore) as index:
        index.want(filled(index, bees=["The honey is sweet."]).values())
        assert find_meant(index, replacing, Query.parse("cost"), 1) == []
        assert index.unread() == [(1, "A night train.")]
        assert meant(index, "cost") == []
        assert meant(index, "rails") == ["A night train."]


def test_what_words_and_meaning_find_comes_first() -> None:
    shelf = Shelf({1: "one", 2: "two"}, [])

    def passage(start: float) -> SpokenPassage:
        return SpokenPassage(start, start + 10, f"at {start}")

    hits = [Hit("one", passage(start), "all") for start in (0.0, 20.0, 40.0)]
    others = [Found(2, passage(0.0)), Found(1, passage(40.0)), Found(1, passage(25.0))]
    found = fused(hits, others, shelf, 10)
    assert [(hit.source, hit.passage.start, hit.match) for hit in found] == [
        ("one", 40.0, "all"),
        ("one", 0.0, "all"),
        ("two", 0.0, "meaning"),
        ("one", 20.0, "all"),
    ]
    assert fused(hits, others, shelf, 2) == found[:2]
