"""How memory is shared is settled before anything runs, unless the user has settled it."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from fls_cli import launcher


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A command's last step lets signals end it; here, it would be the tests that they end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the C library is asked for; nothing runs."""
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *call: calls.append(call))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(launcher.app, "main", lambda: None)
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    return calls


def test_threads_share_two_arenas(asked: list[tuple[int, int]]) -> None:
    launcher.main()
    # M_ARENA_MAX of glibc's malloc.h.
    assert asked == [(-8, 2)]


def test_the_user_settles_it(asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    launcher.main()
    assert asked == []


@pytest.mark.usefixtures("asked")
def test_other_libraries_have_no_such_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    launcher.main()
