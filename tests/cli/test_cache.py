"""What is kept of recordings: whole or absent, within its limit, this user's alone; `fls cache`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import fls_cli.storage.cache
from fls_cli.commands.setup.cache import app
from fls_cli.console.sizes import parse_size
from fls_cli.storage.cache import DEFAULT_LIMIT, DiskCache, Info, Kind, key, open_cache
from fls_models.core.files import digest
from fls_models.errors import EnvironmentLacks, UsageError

KEYS = [key(number=number) for number in range(200)]
# Of every entry's file, beside its content.
HEADER = 36


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's cache lies; not there yet."""
    monkeypatch.setenv("FLS_CACHE", str(tmp_path))
    monkeypatch.delenv("FLS_CACHE_SIZE", raising=False)
    return tmp_path / "recordings"


@pytest.fixture
def cache(folder: Path) -> DiskCache:
    return DiskCache(folder, 1_000_000)


def entry(cache: DiskCache, number: int, kind: str = "pieces") -> Path:
    return cache.folder / kind / f"{KEYS[number]}.fls"


def age(path: Path, seconds: float) -> None:
    """Makes a file look as if it was last used so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)


@pytest.mark.parametrize("content", [b"", b"x", b"fls1", bytes(range(256)) * 900])
def test_what_was_put_is_there_for_every_cache_of_the_folder(
    cache: DiskCache, content: bytes
) -> None:
    assert cache.get("pieces", KEYS[0]) is None
    cache.put("pieces", KEYS[0], content)
    assert DiskCache(cache.folder, cache.limit).get("pieces", KEYS[0]) == content
    assert cache.get("states", KEYS[0]) is None
    assert cache.get("pieces", KEYS[1]) is None


def test_the_last_put_counts_and_drop_removes(cache: DiskCache) -> None:
    cache.put("pieces", KEYS[0], b"old")
    cache.put("pieces", KEYS[0], b"new")
    assert cache.get("pieces", KEYS[0]) == b"new"
    assert cache.info().entries == 1
    cache.drop("pieces", KEYS[0])
    cache.drop("pieces", KEYS[0])
    assert cache.get("pieces", KEYS[0]) is None
    assert files(cache.folder) == set()


@pytest.mark.parametrize("position", [0, 3, 4, 35, 36, -1])
def test_a_damaged_byte_removes_the_entry(cache: DiskCache, position: int) -> None:
    cache.put("pieces", KEYS[0], b"twelve bytes")
    data = bytearray(entry(cache, 0).read_bytes())
    data[position] ^= 1
    entry(cache, 0).write_bytes(data)
    assert cache.get("pieces", KEYS[0]) is None
    assert not entry(cache, 0).exists()
    cache.put("pieces", KEYS[0], b"twelve bytes")
    assert cache.get("pieces", KEYS[0]) == b"twelve bytes"


@pytest.mark.parametrize("length", [0, 2, 20, HEADER, HEADER + 11])
def test_a_truncated_entry_is_removed(cache: DiskCache, length: int) -> None:
    cache.put("pieces", KEYS[0], b"twelve bytes")
    os.truncate(entry(cache, 0), length)
    assert cache.get("pieces", KEYS[0]) is None
    assert not entry(cache, 0).exists()


def test_files_are_for_this_user_alone(cache: DiskCache) -> None:
    before = os.umask(0)
    try:
        cache.put("transcripts", KEYS[0], b"private")
    finally:
        os.umask(before)
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (cache.folder, cache.folder / "transcripts", entry(cache, 0, "transcripts"))
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_the_least_recently_used_go_first_whichever_process_used_them(folder: Path) -> None:
    size = 1000
    ours, theirs = DiskCache(folder, 10 * size), DiskCache(folder, 10 * size)
    for number in range(9):
        ours.put("pieces", KEYS[number], bytes(size - HEADER))
        age(entry(ours, number), 900 - number)
    assert theirs.get("pieces", KEYS[0]) is not None
    assert theirs.get("pieces", KEYS[2]) is not None
    # The kind makes no difference to the order.
    ours.put("states", KEYS[9], bytes(size - HEADER))
    ours.put("states", KEYS[10], bytes(size - HEADER))
    left = [number for number in range(9) if entry(ours, number).exists()]
    assert left == [0, 2, 4, 5, 6, 7, 8]
    assert theirs.get("states", KEYS[9]) is not None
    assert theirs.get("states", KEYS[10]) is not None


def test_reading_counts_as_using_and_atime_does_not(cache: DiskCache) -> None:
    cache.put("pieces", KEYS[0], b"x")
    long_ago = time.time() - 5000
    os.utime(entry(cache, 0), (time.time(), long_ago))
    assert cache.get("pieces", KEYS[0]) == b"x"
    assert entry(cache, 0).stat().st_mtime > long_ago + 4000


def test_one_process_never_leaves_more_than_the_limit(folder: Path) -> None:
    limit = 50_000
    cache = DiskCache(folder, limit)
    for number, name in enumerate(KEYS):
        cache.put("pieces", name, bytes(number * 37 % 2000))
        assert cache.info().bytes <= limit
    assert cache.info().bytes > limit * 0.8


def test_a_smaller_limit_applies_at_the_first_put(folder: Path) -> None:
    before = DiskCache(folder, 1_000_000)
    for number in range(10):
        before.put("pieces", KEYS[number], bytes(1000))
    DiskCache(folder, 5000).put("pieces", KEYS[10], b"x")
    assert before.info().bytes <= 5000
    assert before.get("pieces", KEYS[10]) == b"x"


@pytest.mark.parametrize(("more", "kept"), [(0, True), (1, False)])
def test_more_than_a_quarter_of_the_limit_is_not_kept(folder: Path, more: int, kept: bool) -> None:
    cache = DiskCache(folder, 4000)
    cache.put("pieces", KEYS[0], b"small")
    cache.put("pieces", KEYS[1], bytes(1000 - HEADER + more))
    assert (cache.get("pieces", KEYS[1]) is not None) == kept
    assert cache.get("pieces", KEYS[0]) == b"small"


def test_a_limit_of_nothing_keeps_and_finds_nothing(folder: Path) -> None:
    nothing = DiskCache(folder, 0)
    nothing.put("pieces", KEYS[0], b"")
    assert not folder.exists()
    other = DiskCache(folder, 1000)
    other.put("pieces", KEYS[0], b"x")
    assert nothing.get("pieces", KEYS[0]) is None
    assert nothing.prune() == HEADER + 1
    assert other.get("pieces", KEYS[0]) is None


def test_many_small_puts_do_not_walk_the_folder_each_time(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked = []
    listed = os.scandir

    def scandir(path: Any) -> Any:
        walked.append(Path(path))
        return listed(path)

    monkeypatch.setattr(fls_cli.storage.cache.os, "scandir", scandir)
    for name in KEYS:
        cache.put("pieces", name, bytes(1000))
    # 200 kB in a cache of 1 MB: at the first put, and each time 50 kB were written.
    assert 1 <= len({*walked}) <= 2
    assert 4 <= walked.count(cache.folder / "pieces") <= 10


@pytest.mark.parametrize("blocked", ["", "pieces"])
def test_where_nothing_can_be_written_nothing_fails(folder: Path, blocked: str) -> None:
    place = folder / blocked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")
    cache = DiskCache(folder, 1_000_000)
    cache.put("pieces", KEYS[0], b"x")
    assert cache.get("pieces", KEYS[0]) is None
    cache.drop("pieces", KEYS[0])
    assert place.read_text() == "mine"


def test_a_folder_that_cannot_be_listed_is_a_sentence(folder: Path) -> None:
    folder.write_text("mine")
    for wanted in (
        DiskCache(folder, 1).info,
        DiskCache(folder, 1).clear,
        DiskCache(folder, 1).prune,
    ):
        with pytest.raises(EnvironmentLacks, match=r"Not a directory.*set FLS_CACHE"):
            wanted()


def test_a_full_disk_leaves_no_half_entry(folder: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from fls_cli.storage.cache import DiskCache
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
cache = DiskCache(Path(sys.argv[1]), 1_000_000)
cache.put("pieces", "0" * 64, bytes(100_000))
assert cache.get("pieces", "0" * 64) is None
cache.put("pieces", "1" * 64, bytes(10_000))
assert cache.get("pieces", "1" * 64) == bytes(10_000)
"""
    done = start(code, folder)
    assert (done.communicate()[1], done.returncode) == ("", 0)
    assert files(folder) == {f"pieces/{'1' * 64}.fls"}


def test_what_a_killed_process_leaves_is_no_entry_and_goes_after_an_hour(folder: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from fls_cli.storage.cache import DiskCache
os.replace = lambda *_: os._exit(9)
DiskCache(Path(sys.argv[1]), 1_000_000).put("pieces", "0" * 64, bytes(1000))
"""
    assert start(code, folder).wait() == 9
    (leftover,) = folder.rglob("*.fls")
    cache = DiskCache(folder, 1_000_000)
    assert cache.get("pieces", "0" * 64) is None
    assert cache.info().entries == 0
    age(leftover, 3500)
    assert cache.prune() == 0
    assert leftover.exists()
    age(leftover, 3700)
    assert cache.prune() == HEADER + 1000
    assert not leftover.exists()


def test_files_of_others_are_neither_counted_nor_removed(cache: DiskCache) -> None:
    cache.put("pieces", KEYS[0], b"x")
    outside = cache.folder.parent / "weights"
    foreign = [
        outside,
        cache.folder / "notes",
        cache.folder / f"{KEYS[1]}.fls",
        cache.folder / "pieces" / "holiday.fls",
        cache.folder / "pieces" / f"{KEYS[1]}.flac",
        cache.folder / "pieces" / f".{KEYS[1]}.fls",
        cache.folder / "My Files" / f"{KEYS[1]}.fls",
        cache.folder / "pieces" / "deeper" / f"{KEYS[1]}.fls",
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(5000))
        age(path, 10**6)
    link = cache.folder / "pieces" / f"{KEYS[2]}.fls"
    link.symlink_to(outside)
    assert cache.info() == Info(cache.folder, cache.limit, (Kind("pieces", 1, HEADER + 1),))
    assert DiskCache(cache.folder, 0).prune() == HEADER + 1
    cache.put("pieces", KEYS[0], b"x")
    assert cache.clear() == HEADER + 1
    assert link.is_symlink()
    assert [path.stat().st_size for path in foreign] == [5000] * len(foreign)


def test_clear_removes_entries_and_leftovers_of_any_age(cache: DiskCache) -> None:
    for number, kind in enumerate(("transcripts", "pieces", "states")):
        cache.put(kind, KEYS[number], bytes(100))
    (cache.folder / "pieces" / ".0123456789abcdef.fls").write_bytes(bytes(50))
    assert cache.clear() == 3 * (HEADER + 100) + 50
    assert files(cache.folder) == set()
    assert cache.clear() == 0
    assert cache.info().kinds == ()


def test_entries_that_vanish_while_counting_are_no_error(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        cache.put("pieces", KEYS[number], bytes(100))
    unlink = Path.unlink

    def quicker(path: Path, missing_ok: bool = False) -> None:
        """Another process removes every entry just before."""
        unlink(path)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", quicker)
    assert cache.clear() == 0
    assert files(cache.folder) == set()


def test_two_processes_write_read_and_evict_at_once(folder: Path) -> None:
    code = """
import random, sys
from pathlib import Path
from fls_cli.storage.cache import DiskCache, key
cache, draw = DiskCache(Path(sys.argv[1]), 200_000), random.Random(int(sys.argv[2]))
found = 0
for _ in range(1500):
    number = draw.randrange(120)
    name = key(number=number)
    content = name.encode() * (number * 2 + 1)
    there = cache.get("pieces", name)
    assert there is None or there == content
    found += there is not None
    cache.put("pieces", name, content)
    if draw.random() < 0.05:
        cache.prune(), cache.info()
assert found > 100, found
"""
    both = [start(code, folder, seed) for seed in (1, 2)]
    assert [(done.communicate(timeout=120)[1], done.returncode) for done in both] == [("", 0)] * 2
    cache = DiskCache(folder, 200_000)
    # Each may have written a twentieth of the limit since it last looked.
    assert 100_000 < cache.info().bytes <= 200_000 + 2 * 10_000 + 2 * 20_000
    assert not list(folder.rglob(".*.fls"))
    cache.prune()
    assert cache.info().bytes <= 200_000
    for number in range(120):
        there = cache.get("pieces", KEYS[number])
        assert there is None or there == KEYS[number].encode() * (number * 2 + 1)


@pytest.mark.parametrize(
    ("kind", "name"), [("../up", KEYS[0]), ("", KEYS[0]), ("pieces", "../up"), ("pieces", "ab")]
)
def test_a_place_outside_the_cache_is_a_mistake(cache: DiskCache, kind: str, name: str) -> None:
    for use in (cache.get, cache.drop, lambda *place: cache.put(*place, b"x")):
        with pytest.raises(ValueError, match="no kind and key"):
            use(kind, name)


def test_a_key_depends_on_every_part_and_on_nothing_else() -> None:
    assert key(model="mini", beams=5) == key(beams=5, model="mini")
    assert key(part={"a": 1, "b": (2, None)}) == key(part={"b": [2, None], "a": 1})
    different = [{}, {"a": 1}, {"a": 2}, {"a": "1"}, {"a": 1, "b": None}, {"b": 1}, {"a": [1]}]
    assert len({key(**parts) for parts in different}) == len(different)
    canonical = b'{"a":"\\u00e9","b":[1,true]}'
    assert key(b=[1, True], a="é") == hashlib.sha256(canonical).hexdigest()
    with pytest.raises(TypeError):
        key(path=Path("a"))
    with pytest.raises(ValueError, match="JSON"):
        key(temperature=float("nan"))


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_the_digest_of_a_file(tmp_path: Path, size: int) -> None:
    content = bytes(size)
    (tmp_path / "talk.mp3").write_bytes(content)
    assert digest(tmp_path / "talk.mp3") == hashlib.sha256(content).hexdigest()
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "gone.mp3")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("0MB", 0),
        ("500MB", 500_000_000),
        ("4GB", 4_000_000_000),
        ("4 gb", 4_000_000_000),
        (" 4g ", 4_000_000_000),
        ("2.01GB", 2_010_000_000),
        ("20k", 20_000),
        ("1T", 10**12),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", " ", "4", "4096", "-4GB", "+4GB", "4GiB", "GB", "4XB", "1e3MB", "4,5GB", "nan", "٣GB"],
)
def test_nonsense_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size; write 500MB, 4GB or 0"):
        parse_size(text)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_size(text) >= 0


@pytest.mark.parametrize(
    ("text", "limit"),
    [(None, DEFAULT_LIMIT), ("", DEFAULT_LIMIT), ("500MB", 500_000_000), ("0", 0)],
)
def test_the_users_cache(
    folder: Path, text: str | None, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        monkeypatch.setenv("FLS_CACHE_SIZE", text)
    found = open_cache()
    assert (found.folder, found.limit) == (folder, limit)
    assert not folder.exists()


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_info_is_a_table(folder: Path) -> None:
    cache = open_cache()
    for number in range(3):
        cache.put("transcripts", KEYS[number], bytes(500_000 - HEADER))
    cache.put("states", KEYS[3], bytes(12_000_000 - HEADER))
    result = run("info")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "kind         entries        size",
        "states             1     12.0 MB",
        "transcripts        3      1.5 MB",
        "total              4     13.5 MB",
        "",
        f"folder:  {folder}",
        "limit:   4000.0 MB; FLS_CACHE_SIZE sets another",
    ]


def test_info_as_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLS_CACHE_SIZE", "10MB")
    open_cache().put("pieces", KEYS[0], bytes(64))
    assert json.loads(run("info", "--json").stdout) == {
        "folder": str(folder),
        "limit": 10_000_000,
        "entries": 1,
        "bytes": 100,
        "kinds": [{"name": "pieces", "entries": 1, "bytes": 100}],
        "index": 0,
    }


def test_info_of_a_cache_that_is_not_there_yet(folder: Path) -> None:
    assert run("info").stdout.splitlines()[:2] == [
        "kind   entries        size",
        "total        0      0.0 MB",
    ]
    assert json.loads(run("info", "--json").stdout)["kinds"] == []
    assert not folder.exists()


def test_clear_says_how_much(folder: Path) -> None:
    open_cache().put("pieces", KEYS[0], bytes(2_300_000))
    first, second = run("clear"), run("clear")
    assert (first.exit_code, first.stdout, first.stderr) == (0, "", "2.3 MB freed.\n")
    assert (second.exit_code, second.stdout, second.stderr) == (0, "", "Nothing to remove.\n")
    assert files(folder) == set()


def test_prune_keeps_what_was_used_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache()
    for number in range(4):
        cache.put("pieces", KEYS[number], bytes(1_000_000))
        age(entry(cache, number), 100 - number)
    assert run("prune").stderr == "Nothing to remove.\n"
    monkeypatch.setenv("FLS_CACHE_SIZE", "3MB")
    result = run("prune")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "2.0 MB freed.\n")
    assert files(folder) == {f"pieces/{KEYS[2]}.fls", f"pieces/{KEYS[3]}.fls"}


@pytest.mark.parametrize("command", ["info", "clear", "prune"])
def test_a_size_that_is_none_is_a_usage_error(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLS_CACHE_SIZE", "lots")
    with pytest.raises(UsageError, match=r"^FLS_CACHE_SIZE: 'lots' is not a size; write 500MB"):
        run(command)


@pytest.mark.parametrize("command", ["info", "clear", "prune"])
def test_help_has_an_example(command: str) -> None:
    assert f"Example: fls cache {command}" in run(command, "--help").stdout


def test_the_commands_load_nothing_heavy(folder: Path) -> None:
    code = """
import sys
from fls_cli.commands.setup.cache import app
from fls_cli.console.sizes import parse_size
app(["clear"], standalone_mode=False)
heavy = {"torch", "transformers", "numpy", "tqdm", "huggingface_hub"} & set(sys.modules)
sys.exit(str(heavy) if heavy else 0)
"""
    done = start(code)
    assert (done.communicate()[1], done.returncode) == ("Nothing to remove.\n", 0)
