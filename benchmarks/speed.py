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
from pathlib import Path
from time import perf_counter

import torch
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from fls_cli.storage.paths import cache_folder  # noqa: E402
from fls_models.lslm import prompts  # noqa: E402
from fls_models.lslm.mini.int8 import Int8Linear  # noqa: E402
from fls_models.lslm.mini.language_model import MiniLanguageModel  # noqa: E402
from fls_models.weights import card  # noqa: E402
from fls_models.weights import store as weights  # noqa: E402
from fls_models.weights.conversion.quantization import bitsandbytes  # noqa: E402

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
    folder = weights.store_of(card.load(name), cache_folder()).locate().llm

    loads = [_seconds(lambda: MiniLanguageModel(folder)) for _ in range(3)]
    found = {"load s": statistics.median(loads[1:])}
    found |= _measure(MiniLanguageModel(folder), "int8")
    for other, linear in (("float32", _float32), ("nf4", _nf4)):
        model = MiniLanguageModel(folder)
        _replace(model, linear)
        found |= _measure(model, other)
        ratio = found[f"prefill 400 s, {other}"] / found["prefill 400 s, int8"]
        found[f"prefill, int8 : {other}"] = ratio
        found[f"decode, int8 : {other}"] = found["tokens/s, int8"] / found[f"tokens/s, {other}"]
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


def _seconds(work: Callable[[], object]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun


if __name__ == "__main__":
    main()
