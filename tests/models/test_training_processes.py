"""Several processes make the steps that one makes; with real ones, on the CPU."""

from __future__ import annotations

import importlib
import json
import math
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fls_models.errors import EnvironmentLacks, FlsError, UsageError
from fls_models.training.core.distributed import ALONE, Processes, joined, own_device
from fls_models.training.core.trainer import Best, Loop, Plan, Step

# Three batches a step: one of two processes has two of them.
PLAN = Plan(steps=12, learning_rate=0.05, accumulate=3, eval_every=5, seed=3)


class Run:
    """A line that is fitted to noisy points; one of its parameters is rarely reached."""

    def __init__(
        self,
        folder: Path,
        processes: Processes = ALONE,
        plan: Plan = PLAN,
        orthogonalised: Collection[str] = (),
    ) -> None:
        # Whatever a process begins with, it goes on with what the first has.
        torch.manual_seed(processes.index)
        self.module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.rare = nn.Parameter(torch.zeros(()))
        self.never = nn.Parameter(torch.zeros(2))
        self.steps: list[Step] = []
        self.evaluated = 0
        self.disturb: Callable[[int], float] = lambda number: 1.0
        named = {**dict(self.module.named_parameters()), "rare": self.rare, "never": self.never}
        self.parameters: dict[str, nn.Parameter] = named
        self.loop = Loop(named, plan, folder, orthogonalised=orthogonalised, processes=processes)

    def loss(self, number: int, dice: torch.Generator) -> Tensor:
        points = torch.randn(4, 3, generator=dice)
        off: Tensor = self.module(points) - points.sum(-1, keepdim=True)
        # In some steps by one process alone, in some by none.
        found = off.square().mean() + (self.rare - 1).square() * (number % 5 == 0)
        return found * self.disturb(number)

    def value(self) -> float:
        self.evaluated += 1
        points = torch.linspace(-1, 1, 12).reshape(4, 3)
        self.module.eval()
        with torch.no_grad():
            off = self.module(points) - points.sum(-1, keepdim=True)
        self.module.train()
        return float(off.square().mean())

    def go(self) -> Best:
        return self.loop.run(self.loss, self.value, report=self.steps.append)

    def interrupted(self, step: int) -> None:
        """In each process, at its first batch of a step."""

        def disturb(number: int) -> float:
            if number >= step * PLAN.accumulate:
                raise KeyboardInterrupt
            return 1.0

        self.disturb = disturb
        with pytest.raises(KeyboardInterrupt):
            self.go()

    def told(self) -> list[tuple[int, float, float]]:
        return [(one.number, one.loss, one.value or 0.0) for one in self.steps]

    def values(self) -> dict[str, Tensor]:
        return {name: one.detach().clone() for name, one in self.parameters.items()}


def work(index: int, count: int, port: int, folder: Path) -> None:
    """What each process does; what it saw is in a file of its own."""
    os.environ |= {
        "RANK": str(index),
        "LOCAL_RANK": str(index),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    torch.set_num_threads(1)
    seen: dict[str, object] = {}

    def keep() -> None:
        (folder / f"seen-{index}.json").write_text(json.dumps(seen), "utf-8")

    def leave(number: int) -> float:
        if number == 8 * PLAN.accumulate + 1:
            keep()
            os._exit(9)
        return 1.0

    with joined("cpu") as processes:
        seen["place"] = [processes.index, processes.count]
        with processes.first_ahead():
            seen["found"] = (folder / "mark").exists()
            (folder / "mark").touch()
        few = Plan(3, 0.1, accumulate=1)
        seen["few"] = refused(lambda: Run(folder / "few", processes, few))
        whole = Run(folder / "whole", processes)
        best = whole.go()
        seen["best"] = [best.step, best.value, best.loss]
        seen["told"], seen["evaluated"] = whole.told(), whole.evaluated
        save_file(whole.values(), folder / f"whole-{index}.safetensors")
        on = Run(folder / "begun alone", processes)
        on.go()
        save_file(on.values(), folder / f"on-{index}.safetensors")
        both = Run(folder / "both", processes, orthogonalised=["0.weight"])
        both.go()
        save_file(both.values(), folder / f"both-{index}.safetensors")
        Run(folder / "begun together", processes).interrupted(7)
        odd = Run(folder / "odd", processes)
        # A batch of the second process.
        odd.disturb = lambda number: math.nan if number == 4 else 1.0
        seen["odd"] = refused(odd.go)
        # Last, as nothing can be agreed on any more when the second has left.
        left = Run(folder / "left alone", processes)
        left.disturb = leave
        seen["left alone"] = refused(left.go)
        keep()
        os._exit(0)


def leave_group(port: int, folder: Path) -> None:
    """A process of two, whose libraries are imported when it has joined the other."""
    os.environ["MASTER_PORT"] = str(port)
    late = "torch.distributed.nn.functional"
    was_early = late in sys.modules
    threads = len(os.listdir("/proc/self/task"))
    with joined("cpu") as processes:
        importlib.import_module(late)
        processes.wait()
    left = len(os.listdir("/proc/self/task")) - threads
    (folder / f"left-{processes.index}.json").write_text(json.dumps([was_early, left]), "utf-8")


def refused(task: Callable[[], object]) -> str:
    try:
        task()
    except FlsError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Best]:
    run = Run(tmp_path_factory.mktemp("alone"))
    return run, run.go()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left."""
    folder = tmp_path_factory.mktemp("together")
    Run(folder / "begun alone").interrupted(7)
    spawning, port = multiprocessing.get_context("spawn"), free_port()
    started = [spawning.Process(target=work, args=(turn, 2, port, folder)) for turn in range(2)]
    for one in started:
        one.start()
    for one in started:
        one.join(300)
        one.kill()
    assert [one.exitcode for one in started] == [0, 9]
    return folder


def seen(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"seen-{turn}.json").read_text("utf-8")) for turn in range(2)]


def assert_same(found: dict[str, Tensor], run: Run) -> None:
    wanted = run.values()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, msg=name)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by Linux")
def test_no_thread_of_the_group_is_left(tmp_path: Path) -> None:
    port = free_port()
    script = "import sys, pathlib, test_training_processes as t; "
    script += "t.leave_group(int(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", script, str(port), str(tmp_path)]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | group | {"RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": path},
        )
        for rank in ("0", "1")
    ]
    assert [process.wait(300) for process in started] == [0, 0]
    for rank in range(2):
        was_early, left = json.loads((tmp_path / f"left-{rank}.json").read_text("utf-8"))
        assert (was_early, left) == (False, 0)


def test_two_processes_make_the_steps_of_one(folder: Path, alone: tuple[Run, Best]) -> None:
    run, best = alone
    first, second = seen(folder)
    assert [first["place"], second["place"]] == [[0, 2], [1, 2]]
    for turn in range(2):
        assert_same(load_file(folder / f"whole-{turn}.safetensors"), run)
    assert first["best"] == second["best"]
    assert first["best"] == pytest.approx([best.step, best.value, best.loss], rel=1e-3)
    for found, wanted in zip(first["told"], run.told(), strict=True):
        assert found == pytest.approx(wanted, rel=1e-3)
    kept = load_file(folder / "whole" / "state-0000012.safetensors")
    # As with one process, what no batch reached has no moments.
    assert "exp_avg.rare" in kept
    assert "exp_avg.never" not in kept


def test_matrices_stay_the_same_in_all_processes(folder: Path, tmp_path: Path) -> None:
    first, second = (load_file(folder / f"both-{turn}.safetensors") for turn in range(2))
    run = Run(tmp_path, orthogonalised=["0.weight"])
    run.go()
    for name, value in run.values().items():
        assert torch.equal(first[name], second[name])
        # Muon computes in 16 bits, of which bfloat16 keeps eight.
        torch.testing.assert_close(first[name], value, rtol=0.02, atol=2e-3)


def test_what_is_done_once_the_first_does(folder: Path) -> None:
    first, second = seen(folder)
    assert (first["found"], second["found"]) == (False, True)
    assert (first["evaluated"], second["evaluated"]) == (3, 0)
    assert second["told"] == []


def test_a_run_goes_on_with_more_processes_or_fewer(folder: Path, alone: tuple[Run, Best]) -> None:
    run, _ = alone
    for turn in range(2):
        assert_same(load_file(folder / f"on-{turn}.safetensors"), run)
    on = Run(folder / "begun together")
    on.go()
    assert [step.number for step in on.steps] == [8, 9, 10, 11, 12]
    assert_same(on.values(), run)


def test_each_process_needs_a_batch(folder: Path) -> None:
    for one in seen(folder):
        assert one["few"].startswith("UsageError: 2 processes share out the batches")
        assert "--accumulate takes at least 2" in one["few"]


def test_what_is_no_number_for_one_stops_both(folder: Path) -> None:
    for one in seen(folder):
        assert one["odd"].startswith("UsageError: Step 2: the loss is nan")


def test_when_one_has_gone_a_checkpoint_is_left(folder: Path, alone: tuple[Run, Best]) -> None:
    assert seen(folder)[0]["left alone"].startswith("OthersGone: Another of the processes")
    on = Run(folder / "left alone")
    on.go()
    assert [step.number for step in on.steps] == [9, 10, 11, 12]
    assert_same(on.values(), alone[0])


def test_without_a_launcher_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in its place makes any import of it fail.
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for count in (None, "1"):
        if count is not None:
            monkeypatch.setenv("WORLD_SIZE", count)
        with joined("cpu") as processes, processes.first_ahead():
            value = torch.ones(2)
            processes.sum_([value])
            processes.spread_([value])
            processes.wait()
            assert (processes, processes.once(lambda: 7)) == (ALONE, 7)
            assert value.tolist() == [1, 1]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EnvironmentLacks, match="pip install accelerate`"), joined("cpu"):
        pass


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_device("auto", lambda: 4) == "auto"
    assert own_device("cuda:1", lambda: 4) == "cuda:1"
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device("auto", lambda: 4) == own_device("cuda", lambda: 4) == "cuda:3"
    assert own_device("auto", lambda: 0) == "auto"
    assert own_device("cpu", lambda: 4) == "cpu"
    with pytest.raises(UsageError, match="leave --device out"):
        own_device("cuda:1", lambda: 4)
