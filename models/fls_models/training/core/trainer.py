"""Training that goes on where it stopped: updates, evaluation, checkpoints; it knows no model.

What the loss is and how good the result is are callables given from outside. All that happens
depends on the seed, the number of the step and the parameters, which are kept, so that a run that
was interrupted ends with the same numbers as one that was not. What is kept is `checkpoints`' work,
what a gradient makes of a parameter `optimiser`'s. Several processes make the same steps together
that one makes (`processes`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fls_models.core.progress import Progress, silent
from fls_models.core.signals import undisguised, undisturbed
from fls_models.errors import OthersGone, UsageError
from fls_models.training.core import checkpoints
from fls_models.training.core.checkpoints import State
from fls_models.training.core.distributed import ALONE, Processes
from fls_models.training.core.optimizer import Optimiser

_NONE: Mapping[str, object] = {}
_ALIKE: Mapping[str, float] = {}


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        steps: updates of the parameters.
        learning_rate: the highest one.
        warm_up: share of the steps in which it is reached.
        accumulate: micro-batches whose gradients' mean makes an update.
        clip: bound of the gradients' norm, all parameters taken together.
        every: steps from one evaluation and checkpoint to the next.
        seed: of all that is drawn.
    """

    steps: int
    learning_rate: float
    warm_up: float = 0.03
    accumulate: int = 1
    clip: float = 1.0
    every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.accumulate, self.every) < 1:
            raise ValueError("steps, accumulate and every are at least 1")
        if not (0 <= self.warm_up < 1 and self.learning_rate > 0 and self.clip > 0):
            raise ValueError("learning rate and clip are above 0, warm_up is from 0 to below 1")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        With N steps, W = ceil(warm_up N) and peak r it is r (n + 1) / W for n < W, and then
        r / 2 (1 + cos(pi (n - W) / (N - W))): the cosine of arXiv 1608.03983, eq. 5, without
        restarts.
        """
        warm = min(math.ceil(self.warm_up * self.steps), self.steps - 1)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        passed = (step - warm) / (self.steps - warm)
        return self.learning_rate / 2 * (1 + math.cos(math.pi * passed))


@dataclass(frozen=True)
class Step:
    """One update that was made.

    Attributes:
        number: from 1 on.
        steps: how many there will be.
        loss: mean of its micro-batches, before the update.
        learning_rate, norm: the rate it was made with; the gradients' norm before clipping.
        value: what `evaluate` said after it, where it was asked.
        best: whether that is the lowest so far.
    """

    number: int
    steps: int
    loss: float
    learning_rate: float
    norm: float
    value: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Best:
    """The parameters with the lowest evaluation, of equals the last: its step, its value, its file.

    `file` is safetensors with the names that the loop was given. `loss` is the last step's.
    """

    step: int
    value: float
    file: Path
    loss: float


def unheard(step: Step, *more: object) -> None:
    """A report that nobody reads."""


class Loop:
    """Trains `parameters` and nothing else, by AdamW or, where it is asked for, by Muon.

    Args:
        parameters: what is trained, by the names it is kept with.
        folder: for checkpoints; a run that is found there goes on.
        identity: what the run depends on besides the plan, as JSON.
        shares: of the plan's learning rate, by parameter; 1 for those that are not named.
        orthogonalised: names of the matrices that Muon trains. Where there are some, they are of
            the run's identity.
        processes: share out the micro-batches of each step; how many there are may change from
            one run in a folder to the next.

    Raises:
        UsageError: the folder holds a run with another plan or identity, or a damaged one; there
            are more processes than micro-batches.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        plan: Plan,
        folder: Path,
        *,
        identity: Mapping[str, object] = _NONE,
        shares: Mapping[str, float] = _ALIKE,
        orthogonalised: Collection[str] = (),
        processes: Processes = ALONE,
    ) -> None:
        if not parameters:
            raise ValueError("nothing to train")
        if plan.accumulate < processes.count:
            raise UsageError(
                f"{processes.count} processes share out the batches of an update, and there is "
                f"{plan.accumulate}; --accumulate takes at least {processes.count} then."
            )
        self._processes = processes
        self._parameters = dict(parameters)
        self._plan = plan
        self._folder = folder
        told = asdict(plan)
        # When to look changes nothing of what is seen.
        del told["every"]
        self._identity = {**told, **identity}
        if orthogonalised:
            matrices = len(set(orthogonalised))
            self._identity["optimiser"] = f"Muon for {matrices} matrices, AdamW for all else"
        self._optimiser = Optimiser(self._parameters, shares, orthogonalised)
        self._state = checkpoints.find(folder, self._identity) or State()

    def run(
        self,
        loss: Callable[[int, torch.Generator], Tensor],
        evaluate: Callable[[], float],
        progress: Progress = silent,
        report: Callable[[Step], None] = unheard,
    ) -> Best:
        """Makes the steps that are left.

        The parameters are those after the last step then; those of the best are in its file. When
        interrupted (KeyboardInterrupt, SystemExit) a checkpoint is written first: the step that
        was under way is lost, nothing else. The same holds when another process ends.

        Of several processes, the first evaluates, writes and reports.

        Args:
            loss: of a micro-batch, counted from 0 over the whole run. All it draws comes from its
                generator, on the CPU, whose state is a function of the seed and that number;
                torch's own generators, which dropout draws from, are set in the same way.
            evaluate: how good the parameters are; lower is better.
            progress: its stage `train` counts steps.
            report: told of each step.

        Raises:
            UsageError: loss or gradients are no finite numbers. The last checkpoint stays.
            OthersGone: another process has ended.
        """
        plan, processes = self._plan, self._processes
        if not processes.is_first:
            progress, report = silent, unheard
        if self._state.step:
            checkpoints.load(self._folder, self._state, self._parameters, self._optimiser)
        # All have read what the first may write anew from now on.
        processes.wait()
        processes.spread_(self._parameters.values())
        progress("train", self._state.step, plan.steps)
        try:
            while (done := self._state.step) < plan.steps or self._is_due(done):
                with undisguised():
                    # After an interruption, an evaluation may be all that is missing of a step.
                    made = None if self._is_due(done) else self._update(loss)
                    progress("train", self._state.step, plan.steps)
                    if self._is_due(self._state.step):
                        made = self._evaluated(processes.once(evaluate), made)
                    if made is not None:
                        report(made)
        except (KeyboardInterrupt, SystemExit, OthersGone):
            with undisturbed():
                self._keep(self._state)
            raise
        best = self._state
        return Best(best.best_step, best.best, checkpoints.best_file(self._folder, best), best.loss)

    def _is_due(self, step: int) -> bool:
        """Whether it is to be evaluated and has not been."""
        due = step > 0 and (step % self._plan.every == 0 or step == self._plan.steps)
        return due and self._state.evaluated < step

    def _update(self, loss: Callable[[int, torch.Generator], Tensor]) -> Step:
        plan, step = self._plan, self._state.step
        self._optimiser.zero_grad()
        total = 0.0
        for turn in range(self._processes.index, plan.accumulate, self._processes.count):
            number = step * plan.accumulate + turn
            with _drawing(plan.seed, number, self._parameters) as dice, torch.enable_grad():
                found = loss(number, dice)
                (found / plan.accumulate).backward()  # type: ignore[no-untyped-call]
            total += found.item() / plan.accumulate
        total = self._agreed(total)
        parameters = list(self._parameters.values())
        # A process that left in the middle of this would keep the others' GPUs waiting for it.
        with undisturbed():
            self._processes.sum_(one.grad for one in parameters if one.grad is not None)
            norm = float(nn.utils.clip_grad_norm_(parameters, plan.clip))
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise UsageError(
                f"Step {step + 1}: the loss is {total:g}, its gradients' norm {norm:g}. A lower "
                "--lr, with --fresh, helps where training diverges."
            )
        rate = plan.rate(step)
        # Half an update would be neither this step nor the next.
        with undisturbed():
            self._optimiser.step(rate)
            self._state = replace(self._state, step=step + 1, loss=total)
        return Step(step + 1, plan.steps, total, rate, norm)

    def _agreed(self, total: float) -> float:
        """The loss of all processes' micro-batches; what one of them reached has a gradient in all.

        A parameter that none reached has none: it is passed over, which with zeros it would not be.
        """
        parameters = list(self._parameters.values())
        reached = [float(one.grad is not None) for one in parameters]
        told = torch.tensor([total, *reached], dtype=torch.float64)
        self._processes.sum_([told])
        for one, count in zip(parameters, told[1:].tolist(), strict=True):
            if count and one.grad is None:
                one.grad = torch.zeros_like(one)
        return float(told[0])

    def _keep(self, state: State) -> None:
        if self._processes.is_first:
            checkpoints.save(self._folder, state, self._identity, self._parameters, self._optimiser)

    def _evaluated(self, value: float, made: Step | None) -> Step:
        state = replace(self._state, evaluated=self._state.step)
        # The first counts even if it is no number; of equals, the one that was trained longest.
        better = not state.best_step or value <= state.best or math.isnan(state.best)
        if better:
            state = replace(state, best=value, best_step=state.step)
        with undisturbed():
            self._keep(state)
            self._state = state
        if made is None:
            # It was made before an interruption.
            rate = self._plan.rate(state.step - 1)
            made = Step(state.step, self._plan.steps, state.loss, rate, math.nan)
        return replace(made, value=value, best=better)


@contextmanager
def _drawing(
    seed: int, number: int, parameters: Mapping[str, nn.Parameter]
) -> Iterator[torch.Generator]:
    """A generator for a micro-batch; torch's own are set alike, and set back afterwards."""
    digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") >> 1
    devices = {one.device for one in parameters.values() if one.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted({device.index or 0 for device in devices})):
        torch.manual_seed(drawn)
        yield torch.Generator().manual_seed(drawn)
