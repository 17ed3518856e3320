"""Tasks that run side by side, so that what several of them ask for is computed at once."""

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

T = TypeVar("T")


class Ask(Protocol):
    """A task's way to what it needs: waits for the answer."""

    def __call__(self, kind: str, request: Any, /) -> Any: ...


class _Abandoned(Exception):
    """Raised in a task whose answer will not come."""


class Running(Generic[T]):
    """A task that was started: what it waits for, and what has come of it."""

    def __init__(self, task: Callable[[Ask], T], stopped: "SimpleQueue[None]") -> None:
        self.asked: tuple[str, Any] | None = None
        self.is_done = False
        self._answers: SimpleQueue[tuple[Any, bool]] = SimpleQueue()
        self._stopped = stopped
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, args=(task,), daemon=True)
        self._thread.start()

    def result(self) -> T:
        """What the task returned, once it is done; raises what it raised."""
        if self._error is not None:
            raise self._error
        result: T = self._result
        return result

    def answer(self, result: Any, *, is_abandoned: bool = False) -> None:
        self.asked = None
        self._answers.put((result, is_abandoned))

    def join(self) -> None:
        self._thread.join()

    def _ask(self, kind: str, request: Any, /) -> Any:
        self.asked = kind, request
        self._stopped.put(None)
        result, is_abandoned = self._answers.get()
        if is_abandoned:
            raise _Abandoned
        return result

    def _run(self, task: Callable[[Ask], T]) -> None:
        try:
            self._result = task(self._ask)
        except BaseException as error:  # raised again by whoever wants the result
            self._error = error
        self.is_done = True
        self._stopped.put(None)


class Together(Generic[T]):
    """Runs tasks, each in a thread, and answers what they ask for in the thread that calls `step`.

    A task asks by the name of one of `answers`, each of which answers requests in their order. Who
    is answered together depends on nothing but the tasks and when they were started.
    """

    def __init__(self, answers: Mapping[str, Callable[[list[Any]], list[Any]]]) -> None:
        self._answers = answers
        self._tasks: list[Running[T]] = []
        self._stopped: SimpleQueue[None] = SimpleQueue()
        # Tasks that have not yet said that they wait or have ended.
        self._busy = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._settle()
        for task in self._tasks:
            if task.asked is not None:
                task.answer(None, is_abandoned=True)
            task.join()

    def __len__(self) -> int:
        """Tasks that are not done."""
        return len(self._tasks)

    def start(self, task: Callable[[Ask], T]) -> Running[T]:
        running: Running[T] = Running(task, self._stopped)
        self._tasks.append(running)
        self._busy += 1
        return running

    def step(self) -> None:
        """Waits until every task asks or is done, and answers the first kind that is asked for.

        Raises what the answer raises.
        """
        self._settle()
        for kind, answer in self._answers.items():
            asking = [task for task in self._tasks if task.asked and task.asked[0] == kind]
            if not asking:
                continue
            results = answer([task.asked[1] for task in asking if task.asked])
            for task, result in zip(asking, results, strict=True):
                task.answer(result)
            self._busy += len(asking)
            break
        self._settle()

    def _settle(self) -> None:
        while self._busy:
            self._stopped.get()
            self._busy -= 1
        self._tasks = [task for task in self._tasks if not task.is_done]
