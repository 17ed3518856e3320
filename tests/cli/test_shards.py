"""Several runs that share one folder of recordings: `--shard`."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

import pytest
from media_files import tone, write_wav
from tiny_model import TinyModel, play

from fls_cli.media.source import Source
from fls_cli.sources.shard import Shard
from fls_models.errors import UsageError

Capture = pytest.CaptureFixture[str]
QUESTION = "What stands along the streets?"


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Six talks in two folders, two of one name."""
    for number, name in enumerate(("a/x", "a/y", "b/x", "b/z", "c", "d")):
        place = tmp_path / "talks" / f"{name}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_wav(place, tone(300 + 20 * number, 3))
    return tmp_path / "talks"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(place.relative_to(folder)): place.read_bytes()
        for place in sorted(folder.rglob("*"))
        if place.is_file() and ".fls" not in place.parts
    }


@pytest.mark.parametrize(
    "words",
    [["transcribe", "-f", "txt,srt"], ["summarize"], ["ask", "-q", QUESTION]],
    ids=lambda words: words[0],
)
def test_all_shards_do_what_one_run_does(
    tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture, words: list[str]
) -> None:
    command, *more = words
    one, shared = tmp_path / "one", tmp_path / "shared"
    whole = play(capfd, command, str(talks), *more, "-o", f"{one}/")
    assert whole.code == 0
    counts = []
    for number in (3, 1, 2):
        before = tree(shared)
        # Where the recordings lie on that machine.
        there = tmp_path / f"mount-{number}" / "talks"
        shutil.copytree(talks, there)
        played = play(
            capfd, command, str(there), *more, "-o", f"{shared}/", "--shard", f"{number}/3"
        )
        assert played.code == 0
        assert played.out == "", "what is told of all is told by a run over all"
        counts.append(len(tree(shared)) - len(before))
        files = 2 if "txt,srt" in more else 1
        assert f"{counts[-1] // files} of 6 are in this part" in played.err
    assert tree(shared) == tree(one)
    assert 0 < max(counts) < sum(counts)
    # The last run, without a shard, finds all finished, wherever they lie.
    heard = len(tiny.transcriber.efforts)
    last = play(capfd, command, str(talks), *more, "-o", f"{shared}/")
    assert (last.code, last.out) == (0, whole.out)
    assert "6 of 6 were finished before" in last.err
    assert len(tiny.transcriber.efforts) == heard


def test_how_many_shards_there_are_is_kept(
    tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture
) -> None:
    notes = tmp_path / "notes"
    words = ["transcribe", str(talks), "-o", f"{notes}/", "--shard"]
    assert play(capfd, *words, "1/2").code == 0
    before = tree(notes)
    other = play(capfd, *words, "1/3")
    assert (other.code, other.out) == (2, "")
    assert f"the results in {notes} are shared out to 2 runs" in other.err
    assert tree(notes) == before
    (notes / ".fls" / "shards").unlink()
    assert play(capfd, *words, "1/3").code == 0


def test_shards_need_a_folder(tiny: TinyModel, talks: Path, capfd: Capture) -> None:
    played = play(capfd, "transcribe", str(talks), "--shard", "1/2")
    assert (played.code, played.out) == (2, "")
    assert "--shard needs a folder for the results" in played.err


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "/2", "a/b", "-1/2", "1/0", "1/2/3", ""])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2/8"):
        Shard.parse(text)


def test_a_source_is_in_one_shard_wherever_it_lies() -> None:
    for name in map(str, range(50)):
        below = PurePosixPath("season") / name
        sources = [
            Source(f"{mount}/season/{name}", "file", Path(mount), name, below)
            for mount in ("/mnt/a", "/data/b")
        ]
        holding = [[Shard(part, 4).has(source) for part in range(1, 5)] for source in sources]
        assert holding[0] == holding[1]
        assert sum(holding[0]) == 1


def test_a_recording_of_the_same_name_elsewhere_is_done_anew(
    tiny: TinyModel, talks: Path, tmp_path: Path, capfd: Capture
) -> None:
    notes = tmp_path / "notes"
    play(capfd, "transcribe", str(talks), "-o", f"{notes}/")
    other = tmp_path / "other" / "talks"
    shutil.copytree(talks, other)
    write_wav(other / "c.wav", tone(900, 3))
    played = play(capfd, "transcribe", str(other), "-o", f"{notes}/")
    assert played.code == 1
    assert "c.txt is the result for another recording" in played.err
    assert "5 of 6 were finished before" in played.err
