"""How fast a model loads, reads and answers on this machine, medians of several runs.

    python benchmarks/speed.py [--model mini] [--busy N] [--json]

Against: the same weights as float32 linear layers in stock transformers, and in the blocks' layers
as NF4 (bitsandbytes, the engine of the large models), in the same run. `--busy` has N other
processes compute for nothing meanwhile. Needs the model's weights (`fls models pull mini`). Loading
leaves the imports out and the file in the page cache, as it is from the second run on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from timeit import timeit

import torch
from checkout import located
from torch import nn

from fls_models.lslm import prompts
from fls_models.lslm.mini.int8 import Int8Linear
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.weights.conversion.quantization import bitsandbytes

_PREFILL = 400
_DECODE = 48
_RUNS = 5


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", default="mini")
    arguments.add_argument("--busy", type=int, default=0, metavar="N")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)
    ]
    try:
        figures = _measured(options.model)
    finally:
        for process in processes:
            process.kill()
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:26} {value:8.2f}")


def _measured(name: str) -> dict[str, float]:
    folder = located(name).llm
    loads = [timeit(lambda: MiniLanguageModel(folder), number=1) for _ in range(3)]
    figures = {"load s": statistics.median(loads[1:])}
    figures |= _measure(MiniLanguageModel(folder), "int8")
    for engine, linear in (("float32", _float32), ("nf4", _nf4)):
        model = MiniLanguageModel(folder)
        _replace(model, linear)
        figures |= _measure(model, engine)
        ratio = figures[f"prefill 400 s, {engine}"] / figures["prefill 400 s, int8"]
        figures[f"prefill, int8 : {engine}"] = ratio
        figures[f"decode, int8 : {engine}"] = (
            figures["tokens/s, int8"] / figures[f"tokens/s, {engine}"]
        )
    return figures


def _measure(model: MiniLanguageModel, name: str) -> dict[str, float]:
    recording = model.embed(model.tokenize("The trees along the street give shade. " * 60))
    recording = recording[:_PREFILL]
    prefill = [timeit(lambda: model.read(prompts.ASK, recording), number=1) for _ in range(_RUNS)]
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


def _replace(model: MiniLanguageModel, linear: Callable[[Int8Linear], nn.Module]) -> None:
    """Puts another engine in the place of every 8-bit layer."""
    parts = model._parts
    for name, module in list(parts.body.named_modules()):
        if isinstance(module, Int8Linear):
            parts.body.set_submodule(name, linear(module))
    if linear is _float32:
        assert isinstance(parts.head, Int8Linear)
        model._parts = replace(parts, head=_float32(parts.head))


def _float32(module: Int8Linear) -> nn.Module:
    rows, columns = module.weight.shape
    linear = nn.Linear(columns, rows, bias=module.bias is not None)
    linear.weight = nn.Parameter(_weight(module), requires_grad=False)
    if module.bias is not None:
        linear.bias = nn.Parameter(module.bias, requires_grad=False)
    return linear


def _nf4(module: Int8Linear) -> nn.Module:
    layers = bitsandbytes().nn
    rows, columns = module.weight.shape
    linear: nn.Module = layers.LinearNF4(
        columns, rows, bias=module.bias is not None, compute_dtype=torch.bfloat16
    )
    linear.weight = layers.Params4bit(
        _weight(module), requires_grad=False, compress_statistics=True, quant_type="nf4"
    )
    if module.bias is not None:
        linear.bias = nn.Parameter(module.bias, requires_grad=False)
    # It quantises when it is moved.
    return linear.to("cpu")


def _weight(module: Int8Linear) -> torch.Tensor:
    return module.weight.to(torch.float32) * module.scale[:, None]


if __name__ == "__main__":
    main()
