"""Tasks side by side: who is answered with whom, and that all of them end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fls_models.audio.together import Ask, Together


class Desk:
    """Doubles and triples, and notes what it is asked at once."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, list[int]]] = []
        self.answers = {"double": self._noted("double", 2), "triple": self._noted("triple", 3)}

    def _noted(self, kind: str, factor: int) -> Callable[[list[Any]], list[Any]]:
        def answer(requests: list[int]) -> list[int]:
            assert threading.current_thread() is threading.main_thread()
            self.groups.append((kind, requests))
            return [factor * request for request in requests]

        return answer


def asking(*kinds: str, first: int) -> Callable[[Ask], list[int]]:
    def task(ask: Ask) -> list[int]:
        found = [first]
        for kind in kinds:
            found.append(ask(kind, found[-1]))
        return found

    return task


def finish(together: Together[Any]) -> None:
    while len(together):
        together.step()


def test_what_several_ask_is_answered_at_once() -> None:
    desk = Desk()
    with Together[list[int]](desk.answers) as together:
        tasks = [together.start(asking("double", "triple", first=n)) for n in (1, 2, 3)]
        finish(together)
    assert [task.result() for task in tasks] == [[1, 2, 6], [2, 4, 12], [3, 6, 18]]
    assert desk.groups == [("double", [1, 2, 3]), ("triple", [2, 4, 6])]


def test_the_first_kind_waits_for_nobody() -> None:
    desk = Desk()
    with Together[list[int]](desk.answers) as together:
        together.start(asking("triple", first=1))
        together.start(asking("double", "double", "triple", first=5))
        finish(together)
    # The triple of the first is computed along with that of the second.
    assert desk.groups == [("double", [5]), ("double", [10]), ("triple", [1, 20])]


def test_a_task_that_comes_later_joins_those_that_wait() -> None:
    desk = Desk()
    with Together[list[int]](desk.answers) as together:
        first = together.start(asking("double", "triple", first=1))
        together.step()
        assert not first.is_done
        together.start(asking("triple", first=7))
        finish(together)
    assert desk.groups == [("double", [1]), ("triple", [2, 7])]


def test_a_step_without_tasks_does_nothing() -> None:
    with Together[list[int]](Desk().answers) as together:
        together.step()
        assert len(together) == 0


def test_what_a_task_raises_is_raised_by_its_result_alone() -> None:
    def broken(ask: Ask) -> list[int]:
        ask("double", 1)
        raise OSError("torn")

    with Together[list[int]](Desk().answers) as together:
        bad, good = together.start(broken), together.start(asking("double", first=2))
        finish(together)
    assert good.result() == [2, 4]
    with pytest.raises(OSError, match="torn"):
        bad.result()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_no_thread_is_left_when_an_answer_fails(error: BaseException) -> None:
    before = threading.active_count()
    ended: list[str] = []

    def task(ask: Ask) -> None:
        try:
            ask("any", None)
        finally:
            ended.append("ended")

    def answer(requests: list[Any]) -> list[Any]:
        raise error

    def run() -> None:
        with Together[None]({"any": answer}) as together:
            for _ in range(3):
                together.start(task)
            together.step()

    with pytest.raises(type(error)):
        run()
    assert ended == ["ended"] * 3
    assert threading.active_count() == before


def test_leaving_early_ends_tasks_that_wait() -> None:
    before = threading.active_count()
    with Together[list[int]](Desk().answers) as together:
        task = together.start(asking("double", "double", first=1))
        together.step()
    assert threading.active_count() == before
    assert not task.is_done or task.asked is None
