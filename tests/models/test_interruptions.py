"""Signals wait for what has to be whole, and stay signals whatever a library makes of them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from types import FrameType

import pytest

from fls_models.core.interruptions import undisguised, undisturbed


@pytest.fixture(autouse=True)
def terminated() -> Iterator[None]:
    """SIGTERM raises, as in `fls`; and all is as before in the end."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    yield
    assert signal.getsignal(signal.SIGTERM) is leave
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGTERM, before)


def swallow(number: signal.Signals) -> None:
    """As native code does that asks whether a call failed, and not how."""
    with suppress(KeyboardInterrupt, SystemExit):
        signal.raise_signal(number)


SIGNALS = pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
    ids=["ctrl-c", "sigterm"],
)


@SIGNALS
def test_a_signal_waits_until_the_work_is_whole(
    number: signal.Signals, expected: type[BaseException]
) -> None:
    done = []

    def work() -> None:
        with undisturbed():
            signal.raise_signal(number)
            done.append("whole")

    with pytest.raises(expected):
        work()
    assert done == ["whole"]


@SIGNALS
def test_an_error_in_the_place_of_a_signal_is_the_signal(
    number: signal.Signals, expected: type[BaseException]
) -> None:
    def work() -> None:
        with undisguised():
            swallow(number)
            raise ValueError("could not determine the shape")

    with pytest.raises(expected):
        work()


@SIGNALS
def test_a_signal_that_was_lost_comes_at_the_end(
    number: signal.Signals, expected: type[BaseException]
) -> None:
    done = []

    def work() -> None:
        with undisguised():
            swallow(number)
            done.append("whole")

    with pytest.raises(expected):
        work()
    assert done == ["whole"]


def test_a_signal_that_was_lost_in_a_command_that_ended_well() -> None:
    def work() -> None:
        with undisguised():
            swallow(signal.SIGINT)
            sys.exit(0)

    with pytest.raises(KeyboardInterrupt):
        work()


def test_an_error_without_a_signal_is_itself() -> None:
    with pytest.raises(ValueError, match="its own"), undisguised():
        raise ValueError("its own")


def test_what_the_inner_one_ended_is_no_matter_of_the_outer() -> None:
    with undisguised():
        with suppress(KeyboardInterrupt), undisguised():
            swallow(signal.SIGINT)
        # As in a conversation, which Ctrl-C stops the answer of.
        with pytest.raises(ValueError, match="later"):
            raise ValueError("later")


def test_a_signal_that_had_to_wait_is_noticed() -> None:
    def work() -> None:
        with undisguised():
            with suppress(KeyboardInterrupt), undisturbed():
                signal.raise_signal(signal.SIGINT)
            raise ValueError("of what was half done")

    with pytest.raises(KeyboardInterrupt):
        work()


def test_other_threads_have_no_signals() -> None:
    def work() -> None:
        with undisguised(), undisturbed():
            done.append("whole")

    done: list[str] = []
    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["whole"]
