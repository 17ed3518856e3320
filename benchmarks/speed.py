"""How fast a model loads, reads and answers on this machine, medians of several runs.

    python benchmarks/speed.py [--model mini] [--busy N] [--json]

Against: the same weights as float32 linear layers in stock transformers, in the same run. `--busy`
has N other processes compute for nothing meanwhile. Needs the model's weights (`fls models pull
mini`). Loading leaves the imports out and the file in the page cache, as it is from the second run
on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

import torch
from torch import nn

from fls_cli.places import cache_folder
from fls_models import card, prompts, weights
from fls_models.lslm.int8 import Int8Linear
from fls_models.lslm.mini import MiniLanguageModel

_PREFILL = 400
_DECODE = 48
_RUNS = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", default="mini")
    arguments.add_argument("--busy", type=int, default=0, metavar="N")
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(chosen.busy)
    ]
    try:
        found = _measured(chosen.model)
    finally:
        for other in others:
            other.kill()
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:26} {value:8.2f}")


def _measured(name: str) -> dict[str, float]:
    folder = weights.locate(card.load(name), cache_folder()).llm

    loads = [_seconds(lambda: MiniLanguageModel(folder)) for _ in range(3)]
    found = {"load s": statistics.median(loads[1:])}
    model = MiniLanguageModel(folder)
    found |= _measure(model, "int8")
    _to_float32(model)
    found |= _measure(model, "float32")
    found["prefill ratio"] = found["prefill 400 s, float32"] / found["prefill 400 s, int8"]
    found["decode ratio"] = found["tokens/s, int8"] / found["tokens/s, float32"]
    return found


def _measure(model: MiniLanguageModel, name: str) -> dict[str, float]:
    recording = model.embed(model.tokenize("The trees along the street give shade. " * 60))
    recording = recording[:_PREFILL]
    prefill = [_seconds(lambda: model.read(prompts.ASK, recording)) for _ in range(_RUNS)]
    context = model.read(prompts.ASK, recording)
    request = prompts.question("Tell me a long story about these trees.")
    rates = []
    for _ in range(_RUNS):
        stream = model.generate(context, request, max_tokens=_DECODE)
        next(stream)
        begun = perf_counter()
        tokens = len(model.tokenize("".join(stream)))
        rates.append(tokens / (perf_counter() - begun))
    return {
        f"prefill 400 s, {name}": statistics.median(prefill),
        f"tokens/s, {name}": statistics.median(rates),
    }


def _to_float32(model: MiniLanguageModel) -> None:
    inner = model._model
    for name, module in list(inner.named_modules()):
        if isinstance(module, Int8Linear):
            rows, columns = module.weight.shape
            linear = nn.Linear(columns, rows, bias=module.bias is not None)
            weight = module.weight.to(torch.float32) * module.scale[:, None]
            linear.weight = nn.Parameter(weight, requires_grad=False)
            if module.bias is not None:
                linear.bias = nn.Parameter(module.bias, requires_grad=False)
            inner.set_submodule(name, linear)


def _seconds(work: Callable[[], object]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun


if __name__ == "__main__":
    main()
