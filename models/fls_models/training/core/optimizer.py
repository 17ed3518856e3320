"""What a gradient makes of a parameter: AdamW, and Muon for the matrices that are named.

AdamW (arXiv 1711.05101) sees numbers. Muon (Jordan et al. 2024, "Muon: An optimizer for hidden
layers in neural networks", https://kellerjordan.github.io/posts/muon/) sees a matrix: its update is
the momentum with all singular values brought to about 1, so that directions in which the gradient
is weak are learnt as well. Times 0.2 sqrt(max(rows, columns)), as arXiv 2502.16982 has it, its
numbers are as large as AdamW's usually are, and one learning rate serves both. When a step is made
and what becomes of moments are `loop`'s and `checkpoints`' affairs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_MOMENTS: Mapping[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("exp_avg", "exp_avg_sq", "step"),
    torch.optim.Muon: ("momentum_buffer",),
}


class Optimiser:
    """Trains each parameter by one of the two, without weight decay.

    What has no gradient is passed over: neither its value nor its moments change.

    Args:
        parameters: what is trained, by name.
        shares: of the learning rate, by parameter; 1 for those that are not named.
        orthogonalised: names of the matrices that Muon trains.
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        shares: Mapping[str, float],
        orthogonalised: Collection[str],
    ) -> None:
        if unknown := set(orthogonalised) - parameters.keys():
            raise ValueError(f"not trained at all: {', '.join(sorted(unknown))}")
        self._parameters = dict(parameters)
        self._trains: dict[str, torch.optim.Optimizer] = {}
        for make, matrices in ((_adamw, False), (_muon, True)):
            names = [name for name in parameters if (name in orthogonalised) is matrices]
            groups: dict[float, list[nn.Parameter]] = {}
            for name in names:
                groups.setdefault(shares.get(name, 1.0), []).append(parameters[name])
            # Neither takes an empty list.
            if names:
                made = make([{"params": held, "share": share} for share, held in groups.items()])
                self._trains |= dict.fromkeys(names, made)
        self._both = list(dict.fromkeys(self._trains.values()))

    def zero_grad(self) -> None:
        """Forgets all gradients; none is left, not even zeros."""
        for one in self._both:
            one.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """One update of all that has a gradient, with a learning rate."""
        for one in self._both:
            for group in one.param_groups:
                group["lr"] = rate * group["share"]
            one.step()

    def moments(self) -> dict[str, Tensor]:
        """What is remembered of earlier gradients, as `MOMENT.PARAMETER`."""
        return {
            f"{moment}.{name}": value.contiguous()
            for name, one in self._parameters.items()
            for moment, value in self._trains[name].state.get(one, {}).items()
        }

    def remember(self, kept: Mapping[str, Tensor]) -> None:
        """Takes moments in the place of those that are there; all else in `kept` is passed over."""
        for name, one in self._parameters.items():
            trains = self._trains[name]
            moments = {
                # AdamW counts on the CPU.
                moment: kept[f"{moment}.{name}"].to("cpu" if moment == "step" else one.device)
                for moment in _MOMENTS[type(trains)]
                if f"{moment}.{name}" in kept
            }
            if moments:
                trains.state[one] = moments


def _adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, weight_decay=0.0)


def _muon(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.Muon(
        groups,
        weight_decay=0.0,
        momentum=0.95,
        nesterov=True,
        adjust_lr_fn="match_rms_adamw",
    )
