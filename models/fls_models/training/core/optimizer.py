"""What a gradient makes of a parameter: AdamW, and Muon for the matrices that are named.

AdamW (arXiv 1711.05101) sees numbers. Muon (Jordan et al. 2024, "Muon: An optimizer for hidden
layers in neural networks", https://kellerjordan.github.io/posts/muon/) sees a matrix: its update is
the momentum with all singular values brought to about 1, so that directions in which the gradient
is weak are learnt as well. Times 0.2 sqrt(max(rows, columns)), as arXiv 2502.16982 has it, its
numbers are as large as AdamW's usually are, and one learning rate serves both. When a step is made
and what becomes of moments are `trainer`'s and `checkpoints`' affairs.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

_Groups = list[dict[str, Any]]
_adamw: Callable[[_Groups], torch.optim.Optimizer] = partial(torch.optim.AdamW, weight_decay=0.0)
_muon: Callable[[_Groups], torch.optim.Optimizer] = partial(
    torch.optim.Muon,
    weight_decay=0.0,
    momentum=0.95,
    nesterov=True,
    adjust_lr_fn="match_rms_adamw",
)


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
        self._by_name: dict[str, torch.optim.Optimizer] = {}
        for make, matrices in ((_adamw, False), (_muon, True)):
            names = [name for name in parameters if (name in orthogonalised) is matrices]
            groups: dict[float, list[nn.Parameter]] = {}
            for name in names:
                groups.setdefault(shares.get(name, 1.0), []).append(parameters[name])
            # Neither takes an empty list.
            if names:
                optimizer = make(
                    [{"params": members, "share": share} for share, members in groups.items()]
                )
                self._by_name |= dict.fromkeys(names, optimizer)
        self._optimizers = list(dict.fromkeys(self._by_name.values()))

    def zero_grad(self) -> None:
        """Forgets all gradients; none is left, not even zeros."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """One update of all that has a gradient, with a learning rate."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            optimizer.step()

    def moments(self) -> dict[str, Tensor]:
        """What is remembered of earlier gradients, as `MOMENT.PARAMETER`."""
        return {
            f"{moment}.{name}": value.contiguous()
            for name, parameter in self._parameters.items()
            for moment, value in self._by_name[name].state.get(parameter, {}).items()
        }

    def remember(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes moments in the place of those that are there; `parameter.NAME` is passed over."""
        for key, value in tensors.items():
            moment, _, name = key.partition(".")
            if moment != "parameter" and (parameter := self._parameters.get(name)) is not None:
                # AdamW counts on the CPU.
                value = value.to("cpu" if moment == "step" else parameter.device)
                self._by_name[name].state[parameter][moment] = value
