"""Where results go: as one would expect where that works, and never two to one place."""

from __future__ import annotations

import io
import os
import random
import tempfile
import unicodedata
from itertools import count
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_files import run_ffmpeg, sine

from fls_cli.media.source import Source
from fls_cli.session.output_tree import place_all
from fls_cli.sources.resolve import open_sources

NOTES = Path("notes")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def placed(*arguments: str, folder: Path = NOTES, suffix: str = ".md") -> dict[str, str]:
    """Where the results go, by the name of the source, relative to the folder."""
    with open_sources(arguments, stdin=io.BytesIO(b"x")) as sources:
        places = place_all(sources, folder, suffix)
        shuffled = random.Random(0).sample(sources, len(sources))
        assert place_all(shuffled, folder, suffix) == places
        assert list(places) == sources
    return {source.name: str(path.relative_to(folder)) for source, path in places.items()}


def test_the_tree_is_mirrored() -> None:
    make("podcasts/bread.mp3", "podcasts/season-2/bees.m4a", "talks/one.wav")
    assert placed("podcasts", "talks/one.wav", "https://host/x/Caf%C3%A9.mp3?a=b", "-") == {
        "podcasts/bread.mp3": "bread.md",
        "podcasts/season-2/bees.m4a": "season-2/bees.md",
        "talks/one.wav": "one.md",
        "https://host/x/Caf%C3%A9.mp3": "Café.md",
        "stdin": "stdin.md",
    }
    assert placed("**/s*/*.m4a") == {"podcasts/season-2/bees.m4a": "podcasts/season-2/bees.md"}


def test_what_shares_a_stem_keeps_its_suffix() -> None:
    make("in/talk.mp3", "in/talk.wav", "in/other.wav", "in/deep/talk.mp3")
    assert placed("in") == {
        "in/deep/talk.mp3": "deep/talk.md",
        "in/other.wav": "other.md",
        "in/talk.mp3": "talk.mp3.md",
        "in/talk.wav": "talk.wav.md",
    }


def test_names_are_not_shared_through_case_or_accents() -> None:
    composed, decomposed = "é", unicodedata.normalize("NFD", "é")
    make("in/Talk.mp3", "in/talk.wav", f"in/{composed}.mp3", f"in/{decomposed}.wav")
    make("in/A/x.mp3", "in/a/x.wav")
    assert set(placed("in").values()) == {
        "A/x.mp3.md",
        "a/x.wav.md",
        "Talk.mp3.md",
        "talk.wav.md",
        f"{composed}.mp3.md",
        f"{decomposed}.wav.md",
    }


def test_the_same_path_in_two_folders_is_told_apart_by_those() -> None:
    make("monday/a/talk.mp3", "tuesday/a/talk.mp3", "tuesday/only.mp3")
    assert placed("monday", "tuesday") == {
        "monday/a/talk.mp3": "monday/a/talk.mp3.md",
        "tuesday/a/talk.mp3": "tuesday/a/talk.mp3.md",
        "tuesday/only.mp3": "only.md",
    }
    make("x/days/talk.mp3", "y/days/talk.mp3")
    assert placed("x/days/talk.mp3", "y/days") == {
        "x/days/talk.mp3": "x/days/talk.mp3.md",
        "y/days/talk.mp3": "y/days/talk.mp3.md",
    }
    assert placed("https://h/1/ep.mp3", "https://h/2/ep.mp3", "http://k/ep.mp3") == {
        "https://h/1/ep.mp3": "1/ep.mp3.md",
        "https://h/2/ep.mp3": "2/ep.mp3.md",
        "http://k/ep.mp3": "k/ep.mp3.md",
    }


def test_what_no_folder_tells_apart_gets_digits_of_its_own() -> None:
    make("in/Talk.mp3", "in/talk.mp3", "in/b.mp3")
    both = placed("in")
    assert both.pop("in/b.mp3") == "b.md"
    assert len({path.lower() for path in both.values()}) == 2
    for name, path in both.items():
        stem, _, digits = path.removesuffix(".md").rpartition("-")
        assert (f"in/{stem}", len(digits)) == (name, 8)
    # They depend on the source alone.
    make("in/TALK.mp3")
    assert both.items() <= placed("in").items()
    addresses = ["https://h/get?id=1", "https://h/get?id=2", "https://me:secret@h/get?id=1"]
    with open_sources(addresses) as sources:
        places = place_all(sources, NOTES, ".md")
    assert len({path.name for path in places.values()}) == 3


def test_a_file_is_not_put_where_a_folder_must_be() -> None:
    make("in/talk.mp3", "in/talk.md/part.mp3", "in/TALK.MP3.MD/part.mp3")
    assert placed("in") == {
        "in/TALK.MP3.MD/part.mp3": "TALK.MP3.MD/part.md",
        "in/talk.md/part.mp3": "talk.md/part.md",
        "in/talk.mp3": "in/talk.mp3.md",
    }


def test_no_source_is_overwritten() -> None:
    # Sound by another name, in the folder that the results go to.
    make("in/talk.txt", "in/TALK2.TXT", "in/song.mp3")
    arguments = ("in/talk.txt", "in/TALK2.TXT", "in/song.mp3")
    assert placed(*arguments, folder=Path("in"), suffix=".txt") == {
        "in/talk.txt": "talk.txt.txt",
        "in/TALK2.TXT": "TALK2.TXT.txt",
        "in/song.mp3": "song.txt",
    }
    # By another way to the same folder, and through a link to the file.
    Path("link").symlink_to("in")
    found = placed(*arguments, folder=Path("link"), suffix=".txt")
    assert found["in/talk.txt"] == "talk.txt.txt"
    Path("notes").mkdir()
    Path("notes/song.md").symlink_to(Path("in/song.mp3").resolve())
    assert placed("in/song.mp3") == {"in/song.mp3": "song.mp3.md"}


def test_no_source_is_where_a_folder_must_be() -> None:
    make("in/part.mp3/x.wav", "notes/part.mp3")
    places = placed("in", "notes/part.mp3")
    assert places["notes/part.mp3"] == "part.md"
    assert places["in/part.mp3/x.wav"] == "in/part.mp3/x.wav.md"
    # Not even the folders above help here.
    make("a/a/a/x.wav", "x/a")
    places = placed(str(Path("a").resolve()), "x/a", folder=Path("x"))
    assert PurePosixPath(places[str(Path("a/a/a/x.wav").resolve())]).parts[0] != "a"


def test_dots_in_names_are_no_suffixes() -> None:
    make("in/Part 3.5 on bees", "in/v1.2", "in/.x.mp3", "in/a.b.mp3", "in/x.dat", "in/end.")
    found = placed(*(f"in/{name.name}" for name in Path("in").iterdir()))
    assert sorted(found.values()) == [
        ".x.md",
        "Part 3.5 on bees.md",
        "a.b.md",
        "end..md",
        "v1.2.md",
        "x.md",
    ]


def test_long_names_are_cut_after_a_whole_letter() -> None:
    # The longest that a file may be called: 255 bytes.
    long = "é" * 125 + "x.mp3"
    twins = [f"{'n' * 249}{letter}.wav" for letter in "12"]
    make(*(f"in/{name}" for name in (long, *twins, "🐝" * 62 + "\udcff.mp3")))
    found = placed("in", suffix=".jsonl")
    assert found[f"in/{long}"] == "é" * 124 + ".jsonl"
    assert len({found[f"in/{name}"] for name in twins}) == 2
    for path in found.values():
        assert len(os.fsencode(path)) <= 255
        make(f"notes/{path}")


def test_what_climbs_stays_in_the_folder() -> None:
    make("in/a/x.mp3", "in/y.mp3")
    assert placed("in/*/../y.mp3", "no/..") == {
        "in/a/../y.mp3": "a/y.md",
        "no/..": "stdin.md",
    }


def test_results_beside_the_sources_are_not_read_the_next_time() -> None:
    Path("podcasts/season").mkdir(parents=True)
    run_ffmpeg(*sine(440, 1), "podcasts/bread.mp3", "podcasts/season/bees.flac")
    run_ffmpeg(*sine(440, 1), "-f", "wav", "podcasts/season/no suffix")
    folder = Path("podcasts/notes")
    with open_sources(["podcasts"]) as first:
        for suffix in (".txt", ".md", ".srt", ".vtt", ".json", ".jsonl"):
            for path in place_all(first, folder, suffix).values():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("What was said.\n")
    with open_sources(["podcasts"]) as second:
        assert second == first
        assert len(second) == 3
    assert len(list(folder.rglob("*.md"))) == 3


# Few enough letters that much is shared, and such that fold, combine and take several bytes.
NAMES = st.one_of(
    st.builds(
        str.__add__,
        st.text(alphabet="aAßsé\u0301eE.-", min_size=1, max_size=3),
        st.sampled_from(["", ".mp3", ".MP3", ".wav", ".md", ".mp3.md"]),
    ),
    st.builds(str.__mul__, st.sampled_from(["a", "é", "🐝", "\udcff"]), st.integers(60, 255)),
).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) <= 255)
TREES = st.lists(
    st.tuples(st.lists(st.sampled_from(["a", "A", "a.md", "b"]), max_size=3), NAMES),
    min_size=1,
    max_size=12,
)


def folded(path: Path | PurePosixPath) -> tuple[str, ...]:
    return tuple(
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
        for part in path.parts
    )


@settings(deadline=None, max_examples=150)
@given(
    tree=TREES,
    depths=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    suffix=st.sampled_from([".md", ".jsonl"]),
    inside=st.sampled_from(["out", "", "a"]),
    chance=st.randoms(use_true_random=False),
)
def test_no_two_results_and_no_source_share_a_place(
    tree: list[tuple[list[str], str]],
    depths: list[int],
    suffix: str,
    inside: str,
    chance: random.Random,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        numbers = count()
        sources = []
        for folders, file in tree:
            path = root.joinpath(*folders, file)
            below = PurePosixPath(*folders[min(depths[next(numbers)], len(folders)) :], file)
            sources.append(Source(str(path), "file", path, file, below))
        for part in ("x", "y", "Y"):
            address = f"https://host/{part}?secret={len(tree)}"
            sources.append(Source(address, "url", None, address, PurePosixPath(tree[0][1])))
        sources.append(Source("-", "stdin", root / "tmp", "stdin"))
        places = place_all(sources, root / inside, suffix)
        chance.shuffle(sources)
        assert place_all(sources, root / inside, suffix) == places

        taken = [folded(path) for path in places.values()]
        assert len(set(taken)) == len(places) == len(set(sources))
        parents = {key[:end] for key in taken for end in range(len(key))}
        assert not parents & set(taken)
        assert not {folded(source.path) for source in sources if source.path} & set(taken)
        for path in places.values():
            below = path.relative_to(root / inside)
            assert ".." not in below.parts
            assert all(len(os.fsencode(part)) <= 255 for part in below.parts)
            assert path.name.endswith(suffix)
        for written in places.values():
            target = root / "written" / written.relative_to(root / inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.open("x").close()
