"""Training that goes on where it stopped: updates, evaluation, checkpoints; it knows no model.

What the loss is and how good the result is are callables given from outside. All that happens
depends on the seed, the number of the step and the parameters, which are kept, so that a run that
was interrupted ends with the same numbers as one that was not. What is kept is `checkpoints`' work,
what a gradient makes of a parameter `optimizer`'s. Several processes make the same steps together
that one makes (`distributed`).
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fls_models.core.interruptions import undisguised, undisturbed
from fls_models.core.progress import Progress, ignore
from fls_models.errors import OthersGone, UsageError
from fls_models.training.core import checkpoints
from fls_models.training.core.checkpoints import State
from fls_models.training.core.distributed import ALONE, Processes
from fls_models.training.core.optimizer import Optimiser

_EMPTY: Mapping[str, Any] = {}
_KEYS = {"warmup_ratio": "warm_up"}


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        steps: updates of the parameters.
        learning_rate: the highest one.
        warmup_ratio: share of the steps in which it is reached.
        accumulate: micro-batches whose gradients' mean makes an update.
        clip: bound of the gradients' norm, all parameters taken together.
        eval_every: steps from one evaluation and checkpoint to the next.
        seed: of all that is drawn.
    """

    steps: int
    learning_rate: float
    warmup_ratio: float = 0.03
    accumulate: int = 1
    clip: float = 1.0
    eval_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.accumulate, self.eval_every) < 1:
            raise ValueError("steps, accumulate and eval_every are at least 1")
        if not (0 <= self.warmup_ratio < 1 and self.learning_rate > 0 and self.clip > 0):
            raise ValueError("learning_rate and clip are above 0, warmup_ratio from 0 to below 1")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        With N steps, W = ceil(warm_up N) and peak r it is r (n + 1) / W for n < W, and then
        r / 2 (1 + cos(pi (n - W) / (N - W))): the cosine of arXiv 1608.03983, eq. 5, without
        restarts.
        """
        warm = min(math.ceil(self.warmup_ratio * self.steps), self.steps - 1)
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
        identity: Mapping[str, object] = _EMPTY,
        shares: Mapping[str, float] = _EMPTY,
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
        # When to look changes nothing of what is seen. Checkpoints have the ratio as `warm_up`.
        course = {_KEYS.get(name, name): value for name, value in asdict(plan).items()}
        del course["eval_every"]
        self._identity = {**course, **identity}
        if orthogonalised:
            matrices = len(set(orthogonalised))
            self._identity["optimiser"] = f"Muon for {matrices} matrices, AdamW for all else"
        self._optimiser = Optimiser(self._parameters, shares, orthogonalised)
        self._state = checkpoints.find(folder, self._identity) or State()

    def run(
        self,
        loss: Callable[[int, torch.Generator], Tensor],
        evaluate: Callable[[], float],
        progress: Progress = ignore,
        report: Callable[[Step], None] = ignore,
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
            progress = report = ignore
        if self._state.step:
            checkpoints.load(self._folder, self._state, self._parameters, self._optimiser)
        # All have read what the first may write anew from now on.
        processes.wait()
        processes.spread_(self._parameters.values())
        progress("train", self._state.step, plan.steps)
        try:
            while (step := self._state.step) < plan.steps or self._is_due(step):
                with undisguised():
                    # After an interruption, an evaluation may be all that is missing of a step.
                    update = None if self._is_due(step) else self._update(loss)
                    progress("train", self._state.step, plan.steps)
                    if self._is_due(self._state.step):
                        update = self._evaluated(processes.once(evaluate), update)
                    if update is not None:
                        report(update)
        except (KeyboardInterrupt, SystemExit, OthersGone):
            with undisturbed():
                self._keep(self._state)
            raise
        best = self._state
        return Best(best.best_step, best.best, checkpoints.best_file(self._folder, best), best.loss)

    def _is_due(self, step: int) -> bool:
        """Whether it is to be evaluated and has not been."""
        due = step > 0 and (step % self._plan.eval_every == 0 or step == self._plan.steps)
        return due and self._state.evaluated < step

    def _update(self, loss: Callable[[int, torch.Generator], Tensor]) -> Step:
        plan, step = self._plan, self._state.step
        self._optimiser.zero_grad()
        total = 0.0
        for turn in range(self._processes.index, plan.accumulate, self._processes.count):
            number = step * plan.accumulate + turn
            with _drawing(plan.seed, number, self._parameters) as generator, torch.enable_grad():
                batch_loss = loss(number, generator)
                (batch_loss / plan.accumulate).backward()  # type: ignore[no-untyped-call]
            total += batch_loss.item() / plan.accumulate
        total = self._agreed(total)
        parameters = list(self._parameters.values())
        # A process that left in the middle of this would keep the others' GPUs waiting for it.
        with undisturbed():
            self._processes.sum_(
                parameter.grad for parameter in parameters if parameter.grad is not None
            )
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
        reached = [float(parameter.grad is not None) for parameter in parameters]
        sums = torch.tensor([total, *reached], dtype=torch.float64)
        self._processes.sum_([sums])
        for parameter, count in zip(parameters, sums[1:].tolist(), strict=True):
            if count and parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return float(sums[0])

    def _keep(self, state: State) -> None:
        if self._processes.is_first:
            checkpoints.save(self._folder, state, self._identity, self._parameters, self._optimiser)

    def _evaluated(self, value: float, update: Step | None) -> Step:
        state = replace(self._state, evaluated=self._state.step)
        # The first counts even if it is no number; of equals, the one that was trained longest.
        better = not state.best_step or value <= state.best or math.isnan(state.best)
        if better:
            state = replace(state, best=value, best_step=state.step)
        with undisturbed():
            self._keep(state)
            self._state = state
        if update is None:
            # It was made before an interruption.
            rate = self._plan.rate(state.step - 1)
            update = Step(state.step, self._plan.steps, state.loss, rate, math.nan)
        return replace(update, value=value, best=better)


@contextmanager
def _drawing(
    seed: int, number: int, parameters: Mapping[str, nn.Parameter]
) -> Iterator[torch.Generator]:
    """A generator for a micro-batch; torch's own are set alike, and set back afterwards."""
    digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
    batch_seed = int.from_bytes(digest[:8], "big") >> 1
    gpus = {parameter.device.index or 0 for parameter in parameters.values() if parameter.is_cuda}
    with torch.random.fork_rng(devices=sorted(gpus)):
        torch.manual_seed(batch_seed)
        yield torch.Generator().manual_seed(batch_seed)
