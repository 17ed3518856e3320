"""Training that goes on where it stopped, with the very same numbers."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fls_models.errors import UsageError
from fls_models.training.core import checkpoints
from fls_models.training.core.trainer import Best, Loop, Plan, Step

PLAN = Plan(steps=30, learning_rate=0.05, accumulate=2, eval_every=7, seed=3)
# Of the line's: three columns, eight rows.
MATRIX = ("0.weight",)


class Line:
    """A line that is fitted to noisy points: what is drawn decides what is learnt."""

    def __init__(
        self,
        folder: Path,
        plan: Plan = PLAN,
        *,
        orthogonalised: Collection[str] = (),
        **identity: object,
    ) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.steps: list[Step] = []
        self.values: list[float] = []
        self.disturb: Callable[[int], None] = lambda number: None
        self.disturb_value: Callable[[], None] = lambda: None
        named = dict(self.module.named_parameters())
        self.loop = Loop(named, plan, folder, identity=identity, orthogonalised=orthogonalised)

    def loss(self, number: int, dice: torch.Generator) -> Tensor:
        self.disturb(number)
        points = torch.randn(4, 3, generator=dice)
        found: Tensor = (self.module(points) - points.sum(-1, keepdim=True)).square().mean()
        return found

    def value(self) -> float:
        self.disturb_value()
        points = torch.linspace(-1, 1, 12).reshape(4, 3)
        self.module.eval()
        with torch.no_grad():
            off = self.module(points) - points.sum(-1, keepdim=True)
        self.module.train()
        return float(off.square().mean())

    def run(self) -> Best:
        return self.loop.run(self.loss, self.value, report=self.steps.append)

    @property
    def told(self) -> list[tuple[object, ...]]:
        return [(one.number, one.loss, one.learning_rate, one.value) for one in self.steps]

    @property
    def weights(self) -> list[list[float]]:
        return [one.flatten().tolist() for one in self.module.parameters()]


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Line, Best]:
    line = Line(tmp_path / "whole")
    return line, line.run()


def interrupt_at(wanted: int) -> Callable[[int], None]:
    def disturb(number: int) -> None:
        if number == wanted:
            raise KeyboardInterrupt

    return disturb


def test_the_loss_falls_and_the_best_is_kept(whole: tuple[Line, Best]) -> None:
    line, best = whole
    losses = [one.loss for one in line.steps]
    assert sum(losses[-10:]) < sum(losses[:10]) / 2
    values = {one.number: one.value for one in line.steps if one.value is not None}
    assert list(values) == [7, 14, 21, 28, 30]
    assert best.value == min(value for value in values.values() if value is not None)
    assert values[best.step] == best.value
    assert best.loss == line.steps[-1].loss
    line.module.load_state_dict(load_file(best.file))
    assert line.value() == best.value


def test_rates_rise_and_fall() -> None:
    plan = Plan(steps=100, learning_rate=2.0, warmup_ratio=0.1)
    rates = [plan.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(1 + math.cos(math.pi * 89 / 90))
    assert Plan(steps=1, learning_rate=2.0).rate(0) == 2.0


def test_a_step_is_what_adamw_makes_of_the_mean_of_its_batches(tmp_path: Path) -> None:
    plan = Plan(steps=1, learning_rate=0.1, accumulate=2, clip=1e9)
    trained, plain = Line(tmp_path, plan), Line(tmp_path / "other", plan)
    for one in (trained, plain):
        one.module.eval()
    draws: list[Tensor] = []
    made = trained.loss

    def loss(number: int, dice: torch.Generator) -> Tensor:
        draws.append(dice.get_state().clone())
        return made(number, dice)

    trained.loop.run(loss, lambda: 0.0)
    dice = [torch.Generator() for _ in draws]
    for one, state in zip(dice, draws, strict=True):
        one.set_state(state)
    parts = [plain.loss(number, one) for number, one in enumerate(dice)]
    (sum(parts[1:], parts[0]) / 2).backward()  # type: ignore[no-untyped-call]
    torch.optim.AdamW(plain.module.parameters(), lr=0.1, weight_decay=0.0).step()
    for one_, other in zip(trained.module.parameters(), plain.module.parameters(), strict=True):
        torch.testing.assert_close(one_, other)


def test_an_orthogonalised_matrix_moves_alike_in_all_directions(tmp_path: Path) -> None:
    plan = Plan(steps=1, learning_rate=0.1, clip=1e9)
    trained, alone = Line(tmp_path / "both", plan, orthogonalised=MATRIX), Line(tmp_path, plan)
    before = trained.module[0].weight.detach().clone()
    trained.run()
    alone.run()
    left, strengths, right = torch.linalg.svd(alone.module[0].weight.grad, full_matrices=False)
    assert strengths[0] > 5 * strengths[-1]
    # 0.2 sqrt(max(rows, columns)): arXiv 2502.16982.
    update = (before - trained.module[0].weight.detach()) / (0.1 * 0.2 * math.sqrt(8))
    # Five iterations bring singular values near 1, not to it.
    assert (update - left @ right).norm() < 0.35 * math.sqrt(3)
    singular = torch.linalg.svdvals(update)
    assert ((singular > 0.6) & (singular < 1.3)).all()
    for name, one in trained.module.named_parameters():
        assert torch.equal(one, alone.module.get_parameter(name)) == (name not in MATRIX)


def test_what_is_not_named_is_trained_as_by_adamw_alone(tmp_path: Path) -> None:
    def trained(folder: Path, orthogonalised: Collection[str], share: float) -> dict[str, Tensor]:
        shapes = {"matrix": (4, 6), "other": (4, 6), "vector": (5,), "never": (3, 3)}
        held = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}

        def loss(number: int, dice: torch.Generator) -> Tensor:
            # Apart, so that none changes what another's gradient is.
            parts = [
                (one - torch.randn(one.shape, generator=dice)).square().sum()
                for name, one in held.items()
                if name != "never"
            ]
            return torch.stack(parts).sum()

        plan = Plan(9, 0.01, clip=1e9, eval_every=9)
        loop = Loop(held, plan, folder, shares={"matrix": share}, orthogonalised=orthogonalised)
        loop.run(loss, lambda: 0.0)
        return load_file(folder / "state-0000009.safetensors")

    plain = trained(tmp_path / "plain", (), 1.0)
    both = trained(tmp_path / "both", ("matrix", "never"), 1.0)
    half = trained(tmp_path / "half", ("matrix", "never"), 0.5)
    for name in ("other", "vector"):
        for kept in ("parameter", "exp_avg", "exp_avg_sq", "step"):
            assert torch.equal(plain[f"{kept}.{name}"], both[f"{kept}.{name}"])
    assert not torch.allclose(plain["parameter.matrix"], both["parameter.matrix"], rtol=0.1)
    # What none reaches stays, and has no moments.
    assert [name for name in both if name.endswith("never")] == ["parameter.never"]
    assert not both["parameter.never"].any()
    moments = {name.split(".")[0] for name in both if name.endswith("matrix")}
    assert moments == {"parameter", "momentum_buffer"}
    # The schedule is that of both, and shares are.
    share = half["parameter.matrix"].norm() / both["parameter.matrix"].norm()
    assert 0.4 < share < 0.6


def test_only_what_is_trained_can_be_orthogonalised(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not trained at all: 1\.weight"):
        Line(tmp_path, orthogonalised=("0.weight", "1.weight"))
    with pytest.raises(ValueError, match="2D"):
        Line(tmp_path, orthogonalised=("0.bias",))


def test_the_loss_falls_with_both(tmp_path: Path) -> None:
    line = Line(tmp_path, orthogonalised=MATRIX)
    line.run()
    losses = [one.loss for one in line.steps]
    assert sum(losses[-10:]) < sum(losses[:10]) / 2


@pytest.mark.parametrize("orthogonalised", [(), MATRIX, ("0.weight", "2.weight")])
@pytest.mark.parametrize("batch", [1, 13, 14, 15, 31, 59])
def test_after_an_interruption_the_same_numbers_follow(
    tmp_path: Path, batch: int, orthogonalised: Collection[str]
) -> None:
    line = Line(tmp_path / "whole", orthogonalised=orthogonalised)
    best = line.run()
    first = Line(tmp_path / "cut", orthogonalised=orthogonalised)
    first.disturb = interrupt_at(batch)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert len(first.steps) == batch // 2
    torch.manual_seed(99)
    again = Line(tmp_path / "cut", orthogonalised=orthogonalised)
    with torch.no_grad():
        for one in again.module.parameters():
            one.zero_()
    if batch == 1:
        # Nothing was made, nothing was kept.
        again = Line(tmp_path / "cut", orthogonalised=orthogonalised)
    found = again.run()
    assert first.told + again.told == line.told
    assert again.weights == line.weights
    assert (found.step, found.value, found.loss) == (best.step, best.value, best.loss)
    assert load_file(found.file).keys() == load_file(best.file).keys()


def test_an_interrupted_evaluation_is_made_up_for(whole: tuple[Line, Best], tmp_path: Path) -> None:
    line, best = whole
    first = Line(tmp_path / "cut")

    def disturb() -> None:
        if len(first.steps) > 10:
            raise KeyboardInterrupt

    first.disturb_value = disturb
    with pytest.raises(KeyboardInterrupt):
        first.run()
    again = Line(tmp_path / "cut")
    found = again.run()
    # The step itself was made, but not told of: it is told of now.
    assert first.told + again.told == line.told
    assert (found.step, found.value) == (best.step, best.value)


def test_a_crash_loses_what_came_after_the_last_checkpoint(
    whole: tuple[Line, Best], tmp_path: Path
) -> None:
    line, _ = whole
    first = Line(tmp_path / "cut")

    def crash(number: int) -> None:
        if number == 40:
            raise MemoryError

    first.disturb = crash
    with pytest.raises(MemoryError):
        first.run()
    again = Line(tmp_path / "cut")
    again.run()
    assert again.told == line.told[14:]


def test_a_finished_run_is_not_done_again(tmp_path: Path) -> None:
    best = Line(tmp_path).run()
    again = Line(tmp_path)
    assert again.run() == best
    assert again.steps == []


def test_what_is_drawn_elsewhere_changes_nothing(tmp_path: Path, whole: tuple[Line, Best]) -> None:
    line, _ = whole
    other = Line(tmp_path / "other")
    torch.manual_seed(1234)
    before = torch.get_rng_state()
    other.run()
    assert other.told == line.told
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_holds_one_checkpoint_and_no_pickle(tmp_path: Path) -> None:
    best = Line(tmp_path).run()
    (tmp_path / "notes.txt").write_text("mine")
    assert {file.name for file in tmp_path.iterdir()} == {
        "state.json",
        "state-0000030.safetensors",
        best.file.name,
        "notes.txt",
    }
    checkpoints.forget(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert len([one for one in [Line(tmp_path)] if one.run()]) == 1


@pytest.mark.parametrize(
    ("plan", "identity", "said"),
    [
        (Plan(30, 0.05, accumulate=2, eval_every=7, seed=4), {}, "seed 3, not 4"),
        (Plan(30, 0.06, accumulate=2, eval_every=7, seed=3), {}, "learning_rate 0.05, not 0.06"),
        (PLAN, {"corpus": "b"}, "corpus 'a', not 'b'"),
    ],
)
def test_another_run_is_not_gone_on_with(
    tmp_path: Path, plan: Plan, identity: dict[str, object], said: str
) -> None:
    Line(tmp_path, corpus="a").run()
    with pytest.raises(UsageError, match="--fresh begins anew there; another folder") as refused:
        Line(tmp_path, plan, **{"corpus": "a", **identity})
    assert said in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("before", [(), MATRIX])
def test_another_optimiser_is_another_run(tmp_path: Path, before: Collection[str]) -> None:
    Line(tmp_path, orthogonalised=before).run()
    with pytest.raises(UsageError, match=r"optimiser .*'Muon for 1 matrices.*--fresh"):
        Line(tmp_path, orthogonalised=() if before else MATRIX)
    kept = json.loads((tmp_path / "state.json").read_text())["identity"]
    # Runs from before there were two go on.
    usual = {"steps", "learning_rate", "warm_up", "accumulate", "clip", "seed"}
    assert set(kept) == usual | ({"optimiser"} if before else set())


def test_how_often_it_is_evaluated_may_change(tmp_path: Path) -> None:
    Line(tmp_path).run()
    Line(tmp_path, Plan(30, 0.05, accumulate=2, eval_every=5, seed=3)).run()


@pytest.mark.parametrize("damage", ["state.json", "state-0000030.safetensors"])
def test_a_damaged_checkpoint_is_said(tmp_path: Path, damage: str) -> None:
    Line(tmp_path).run()
    (tmp_path / damage).write_bytes(b"{}")
    with pytest.raises(UsageError, match=r"cannot be read.*--fresh"):
        Line(tmp_path).run()


def test_a_checkpoint_of_other_parameters_is_said(tmp_path: Path) -> None:
    Line(tmp_path).run()
    with pytest.raises(UsageError, match="--fresh"):
        Loop({"0.weight": nn.Parameter(torch.zeros(2, 2))}, PLAN, tmp_path).run(
            lambda number, dice: torch.zeros(()), lambda: 0.0
        )


def test_what_is_no_number_stops_training_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    line = Line(tmp_path)

    def loss(number: int, dice: torch.Generator) -> Tensor:
        return line.loss(number, dice) * (math.nan if number == 40 else 1)

    with pytest.raises(UsageError, match=r"Step 21: the loss is nan.*--lr"):
        line.loop.run(loss, line.value)
    assert json.loads((tmp_path / "state.json").read_text())["state"]["step"] == 14


def test_ctrl_c_that_a_library_makes_an_error_of_leaves_a_checkpoint(tmp_path: Path) -> None:
    line = Line(tmp_path)

    def loss(number: int, dice: torch.Generator) -> Tensor:
        if number == 40:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            raise ValueError("could not determine the shape of an object")
        return line.loss(number, dice)

    with pytest.raises(KeyboardInterrupt):
        line.loop.run(loss, line.value)
    assert json.loads((tmp_path / "state.json").read_text())["state"]["step"] == 20


def test_ctrl_c_that_is_lost_in_a_library_ends_the_step(tmp_path: Path) -> None:
    line = Line(tmp_path)

    def loss(number: int, dice: torch.Generator) -> Tensor:
        if number == 40:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        return line.loss(number, dice)

    with pytest.raises(KeyboardInterrupt):
        line.loop.run(loss, line.value)
    assert json.loads((tmp_path / "state.json").read_text())["state"]["step"] == 21


def test_progress_and_plans(tmp_path: Path) -> None:
    seen: list[tuple[str, float, float | None]] = []
    line = Line(tmp_path, Plan(3, 0.1))
    line.loop.run(line.loss, line.value, lambda *told: seen.append(told))
    assert seen == [("train", done, 3) for done in range(4)]
    for wrong in ({"steps": 0}, {"learning_rate": 0.0}, {"warmup_ratio": 1.0}, {"eval_every": 0}):
        with pytest.raises(ValueError, match=r"above 0|at least 1"):
            Plan(**{"steps": 1, "learning_rate": 0.1, **wrong})  # type: ignore[arg-type]
