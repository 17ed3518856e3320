"""What wildcards match, compared with what Python's own glob and bash find."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fls_cli.sources.patterns import fixed_part, matches

FILES = ("a", "b.mp3", "ab/a.mp3", "ab/b/ab.mp3", "ab/b/.b.mp3", ".a/b.mp3", "b/a/b/a", "b/[a]",
         "b/new\nline.mp3", "b/x\udcff.mp3")  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


PARTS = st.one_of(
    st.sampled_from(
        ["**", "*", "a", "ab", "b", ".a", ".*", "?", "[ab]", "[!a]*", "*.mp3", "[[]a]"]
    ),
    st.text(alphabet="ab*?[].!-\n", min_size=1, max_size=6).filter(lambda part: "**" not in part),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=st.lists(PARTS, min_size=1, max_size=4))
def test_the_same_matches_as_pythons_glob(tree: Path, parts: list[str]) -> None:
    if parts[-1] == "**" or any(part in (".", "..") for part in parts):
        # glob lists what a last ** is about; here the folder stands for that.
        parts = [*(part for part in parts if part not in (".", "..")), "*"]
    # Here a name that is there is a name.
    assume(parts[:2] != ["b", "[a]"])
    pattern = os.path.join(glob.escape(str(tree)), *parts)
    expected = {Path(name) for name in glob.glob(pattern, recursive=True)}
    assert set(matches(f"{tree}/{'/'.join(parts)}")) == expected


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    "pattern",
    ["*", "**/*.mp3", "**/a*", "*/*/*", "ab/**/b*", "**/.*.mp3", "b/[[]a]", "*/", "**/b/"],
)
def test_the_same_matches_as_a_shell(
    tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.chdir(tree)
    script = f"shopt -s globstar nullglob; printf '%s\\0' {pattern}"
    printed = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    expected = {Path(os.fsdecode(name)) for name in printed.split(b"\0") if name}
    assert set(matches(pattern)) == expected
    assert matches(pattern) == sorted(matches(pattern), key=lambda path: path.parts)


def test_the_fixed_part_ends_before_the_first_wildcard(tree: Path) -> None:
    assert fixed_part("a/b/*/c/*.mp3") == Path("a/b")
    assert fixed_part("*.mp3") == Path()
    assert fixed_part("/*.mp3") == Path("/")
    assert fixed_part("../x?") == Path("..")
    assert fixed_part(f"{tree}/b/[a]/*") == tree / "b" / "[a]"
    assert matches("/*")[0].is_absolute()


def test_a_last_double_star_is_the_folder_and_not_each_thing_in_it(tree: Path) -> None:
    assert matches(f"{tree}/**") == [tree]
    assert matches(f"{tree}/b/**/**") == [tree / "b"]


def test_what_is_not_there_matches_nothing(tree: Path) -> None:
    assert matches(f"{tree}/no/*") == []
    assert matches(f"{tree}/b/[a]/no") == []
    assert matches(f"{tree}/b/[a]") == [tree / "b" / "[a]"]


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "a.mp3").touch()
    assert matches(f"{tmp_path}/**/**/*.mp3") == [tmp_path / "a.mp3"]
    assert len(matches(f"{tmp_path}/*/*.mp3")) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_may_not_be_read_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "a.mp3").touch()
    assert matches(f"{tmp_path}/**/*.mp3") == [tmp_path / "a.mp3"]
