"""Memory and disk, as files of a made-up system say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fls_cli.storage.resources import existing, free_disk
from fls_models.core.machine.memory import Memory, memory

GIB = 2**30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system of 16 GiB, of which 12 are available."""
    write(tmp_path / "proc/meminfo", f"MemTotal: {16 * 2**20} kB\nMemAvailable: {12 * 2**20} kB\n")
    return tmp_path


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def version_2(folder: Path, limit: object, used: int, cached: int) -> None:
    write(folder / "memory.max", limit)
    write(folder / "memory.current", used)
    write(folder / "memory.stat", f"anon 5\ninactive_file {cached}")


def version_1(folder: Path, limit: int, used: int, cached: int) -> None:
    write(folder / "memory.limit_in_bytes", limit)
    write(folder / "memory.usage_in_bytes", used)
    write(folder / "memory.stat", f"inactive_file 7\ntotal_inactive_file {cached}")


def test_without_groups_it_is_the_machine_s(root: Path) -> None:
    assert memory(root) == Memory(12 * GIB, 16 * GIB)
    assert memory(root / "elsewhere") is None
    write(root / "proc/meminfo", "MemTotal: many kB")
    assert memory(root) is None


def test_a_group_s_limit_counts_and_cached_files_do_not(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/user/job")
    version_2(root / "sys/fs/cgroup/user/job", 4 * GIB, 3 * GIB, GIB)
    assert memory(root) == Memory(2 * GIB, 4 * GIB)


def test_groups_above_count_too(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/user/job")
    version_2(root / "sys/fs/cgroup/user/job", "max", 3 * GIB, 0)
    version_2(root / "sys/fs/cgroup/user", 8 * GIB, 7 * GIB, 0)
    assert memory(root) == Memory(GIB, 8 * GIB)
    version_2(root / "sys/fs/cgroup/user", 8 * GIB, 9 * GIB, 0)
    assert memory(root) == Memory(0, 8 * GIB)


def test_a_container_whose_group_is_named_as_outside(root: Path) -> None:
    write(root / "proc/self/cgroup", "5:cpu,cpuacct:/docker/ab:c\n4:memory:/docker/ab:c\n0::/")
    version_1(root / "sys/fs/cgroup/memory", 4 * GIB, 3 * GIB, GIB)
    assert memory(root) == Memory(2 * GIB, 4 * GIB)


def test_no_limit_is_a_huge_one_in_version_1(root: Path) -> None:
    write(root / "proc/self/cgroup", "4:memory:/")
    version_1(root / "sys/fs/cgroup/memory", 9223372036854771712, 3 * GIB, 0)
    assert memory(root) == Memory(12 * GIB, 16 * GIB)


def test_this_machine_has_memory_and_disk(tmp_path: Path) -> None:
    found = memory()
    assert found is None or 0 <= found.available <= found.total
    assert free_disk(tmp_path / "not" / "there") > 0


def test_the_closest_folder_that_is_there(tmp_path: Path) -> None:
    assert existing(tmp_path) == tmp_path
    assert existing(tmp_path / "not" / "there") == tmp_path
