"""Drawing ahead: what comes out, in which order, how much is drawn, and that it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fls_models.audio.prefetch import ReadAhead, ahead


class Broken(BaseException):
    """Not even an Exception."""


def take(items, into):
    """Keeps what there is before an error."""
    for item in items:
        into.append(item)


@settings(max_examples=30, deadline=None)
@given(items=st.lists(st.none() | st.integers()), waiting=st.integers(1, 5))
def test_items_come_in_order_whatever_they_are(items, waiting):
    assert list(ahead(items, waiting)) == items
    assert list(ahead(iter(items), waiting)) == items


def test_errors_are_items_too_unless_they_are_raised():
    error = ValueError("an item")
    assert list(ahead([error, None], 2)) == [error, None]


@pytest.mark.parametrize("error", [OSError("torn"), MemoryError(), Broken()])
@pytest.mark.parametrize("waiting", [1, 10])
def test_an_error_comes_after_the_items_before_it(error, waiting):
    def source():
        yield from (1, 2, 3)
        raise error

    seen, items = [], ahead(source(), waiting)
    with pytest.raises(type(error)) as raised:
        take(items, seen)
    assert raised.value is error
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("waiting", [1, 2, 7])
def test_no_more_than_that_is_drawn_and_not_taken(waiting):
    drawn = 0

    def source():
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    with closing(ahead(source(), waiting)) as items:
        for taken in range(1, 20):
            assert next(items) == taken
            assert drawn <= taken + waiting
        deadline = time.monotonic() + 10
        while drawn < 19 + waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        # That much is drawn also when nobody takes anything.
        assert drawn == 19 + waiting


def test_more_is_drawn_when_more_may_wait():
    with closing(ReadAhead(count(), 1)) as numbers:
        items = numbers.items()
        assert next(items) == 0
        numbers.widen(3)
        deadline = time.monotonic() + 10
        while numbers._drawn.qsize() < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert numbers._drawn.qsize() == 4
        assert [next(items) for _ in range(9)] == list(range(1, 10))


def test_nothing_is_drawn_before_the_first_is_taken():
    before = threading.active_count()
    items = ahead(iter([1]), 3)
    assert threading.active_count() == before
    items.close()


@pytest.mark.parametrize("taken", [1, 5])
def test_closing_ends_the_thread_and_closes_the_source_in_it(taken):
    threads = set(threading.enumerate())
    ran, closed = [], []

    def source():
        ran.append(threading.get_ident())
        try:
            yield from count()
        finally:
            closed.append(threading.get_ident())

    generator = source()
    items = ahead(generator, 2)
    for _ in range(taken):
        next(items)
    items.close()
    assert closed == ran != [threading.get_ident()]
    assert set(threading.enumerate()) == threads
    assert list(generator) == []


def test_the_end_and_an_error_end_the_thread_too():
    threads = set(threading.enumerate())
    list(ahead(range(9), 2))
    with pytest.raises(ZeroDivisionError):
        list(ahead((1 // n for n in (1, 0)), 2))
    with closing(ahead(count(), 2)) as items:
        next(items)
    assert set(threading.enumerate()) == threads


def test_an_error_of_closing_the_source_is_seen():
    def source():
        yield 1
        raise OSError("the last words of a decoder")

    items = ahead(source(), 5)
    assert next(items) == 1
    with pytest.raises(OSError, match="last words"):
        next(items)


def test_work_overlaps():
    # Each waits for the other: taken in turns, this would never end.
    drawing = threading.Event()

    def source():
        yield 1
        drawing.set()
        yield 2

    items = ahead(source(), 2)
    assert next(items) == 1
    assert drawing.wait(10)
    assert list(items) == [2]


def test_at_least_one_is_drawn_ahead():
    with pytest.raises(ValueError, match="at least one"):
        next(ahead([], 0))


class Noted(ReadAhead[int]):
    """Puts a negative number before each of its own."""

    def __init__(self, waiting: int) -> None:
        self.put_ahead = 0
        super().__init__(self._numbers(), waiting)

    def _numbers(self):
        for number in count(1):
            self.put(-number)
            self.put_ahead = number
            yield number


def test_what_the_source_puts_comes_before_its_item_and_takes_room():
    noted = Noted(4)
    deadline = time.monotonic() + 10
    while noted.put_ahead < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    # -1, 1, -2, 2 are waiting.
    assert noted.put_ahead == 2
    with closing(noted.items()) as items:
        assert [next(items) for _ in range(6)] == [-1, 1, -2, 2, -3, 3]


@pytest.mark.parametrize("waiting", [2, 3])
def test_closing_ends_a_source_that_waits_for_room(waiting):
    threads = set(threading.enumerate())
    noted = Noted(waiting)
    time.sleep(0.02)
    noted.close()
    noted.close()
    assert set(threading.enumerate()) == threads
    assert list(noted.items()) == []


def left_open(source: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """A program that ends, with exit code 3, while something is drawn ahead."""
    program = f"""
import time, torch
from fls_models.audio import prefetch
{before}
def source():
    {source}
drawn = prefetch.ReadAhead(source(), 10_000).items()
next(drawn)
raise SystemExit(3)
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )


def test_a_program_may_end_while_its_thread_computes():
    # Python would take it down within C++, and the whole program with it.
    ended = left_open("while True: yield torch.randn(600, 600) @ torch.randn(600, 600)")
    assert (ended.returncode, ended.stderr) == (3, "")


def test_a_thread_that_never_ends_keeps_nobody():
    ended = left_open("yield 1; time.sleep(3600)", "prefetch._PATIENCE = 0.2")
    assert (ended.returncode, ended.stderr) == (3, "")
