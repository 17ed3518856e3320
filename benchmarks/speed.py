"""How fast a model loads, reads and answers on this machine, medians of several runs.

    python benchmarks/speed.py [ITEMS.jsonl] [--model mini] [--busy N] [--json]

Texts and questions are those of items as `fls bench qa` takes them, 12 at most; a reply is greedy
and its first token, which comes with the prefill, is not counted.

Against, in the same run: without drafts; single tokens by the weight-only kernel, too; the way
until 2026-11 (that, and transformers' layers); transformers' layers with float32, and with all but
the last one as NF4 (bitsandbytes, the engine of the large models). `--busy` has N other processes
compute for nothing meanwhile. Needs the model's weights (`fls models pull mini`). Loading leaves
the imports out and the file in the page cache, as it is from the second run on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from timeit import timeit

import torch
from checkout import located
from torch import nn

from fls_models.bench.qa.items import load_items
from fls_models.lslm import prompts
from fls_models.lslm.mini.int8 import Int8Linear
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.mini.network import Qwen2
from fls_models.lslm.transformers_body import TransformersBody
from fls_models.training.compression.trainable_mini import dequantised, stock_layers
from fls_models.weights.conversion.quantization import bitsandbytes

_PREFILL = 400
_RUNS = 5
_SAMPLE = Path(__file__).parents[1] / "examples" / "qa-sample" / "sample.jsonl"
_ITEMS = 12
_MOST = 128


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("items", nargs="?", type=Path, default=_SAMPLE, metavar="ITEMS.jsonl")
    arguments.add_argument("--model", default="mini")
    arguments.add_argument("--busy", type=int, default=0, metavar="N")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)
    ]
    try:
        figures = _measured(options.model, _questions(options.items))
    finally:
        for process in processes:
            process.kill()
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:34} {value:8.2f}")


def _questions(items: Path) -> list[tuple[str, str]]:
    """Texts, and what is asked about them."""
    return [(item.text, item.question) for item in load_items(items, _ITEMS)]


def _measured(name: str, questions: Sequence[tuple[str, str]]) -> dict[str, float]:
    folder = located(name).llm
    loads = [timeit(lambda: MiniLanguageModel(folder), number=1) for _ in range(3)]
    figures = {"load s": statistics.median(loads[1:])}
    for engine, change in ENGINES.items():
        model = MiniLanguageModel(folder)
        change(model)
        figures |= _measure(model, engine, questions)
        if engine == NOW:
            continue
        for what in ("prefill 400 s", "tokens/s"):
            theirs, ours = figures[f"{what}, {engine}"], figures[f"{what}, {NOW}"]
            ratio = theirs / ours if what.endswith(" s") else ours / theirs
            figures[f"{what}, times {engine}"] = ratio
    return figures


def _measure(
    model: MiniLanguageModel, name: str, questions: Sequence[tuple[str, str]]
) -> dict[str, float]:
    recording = model.embed(model.tokenize("The trees along the street give shade. " * 60))
    recording = recording[:_PREFILL]
    prefill = [timeit(lambda: model.read(prompts.ASK, recording), number=1) for _ in range(_RUNS)]
    tokens, seconds = 0, 0.0
    for text, question in questions:
        context = model.read(prompts.ASK, model.embed(model.tokenize(text)), text=text)
        stream = model.generate(context, prompts.question(question), max_tokens=_MOST)
        next(stream)
        begun = perf_counter()
        tokens += len(model.tokenize("".join(stream)))
        seconds += perf_counter() - begun
    return {
        f"prefill 400 s, {name}": statistics.median(prefill),
        f"tokens/s, {name}": tokens / seconds,
    }


def _without_drafts(model: MiniLanguageModel) -> None:
    model._parts = replace(model._parts, draft_length=0)


def _weight_only(model: MiniLanguageModel) -> None:
    """Single tokens by the weight-only kernel, whatever the processor is good at; no drafts."""
    _without_drafts(model)
    for module in (*model.body.modules(), model._parts.head):
        if isinstance(module, Int8Linear):
            module._weight_only_rows = 1


def _before(model: MiniLanguageModel) -> None:
    _weight_only(model)
    _replace(model, lambda module: module)


def _float32(model: MiniLanguageModel) -> None:
    _without_drafts(model)
    head = model._parts.head
    assert isinstance(head, Int8Linear)
    _replace(model, dequantised)
    model._parts = replace(model._parts, head=dequantised(head))


def _in_nf4(model: MiniLanguageModel) -> None:
    _without_drafts(model)
    _replace(model, _nf4)


def _replace(model: MiniLanguageModel, linear: Callable[[Int8Linear], nn.Module]) -> None:
    """Puts transformers in the place of the layers, with another engine in them."""
    network = model._parts.body
    assert isinstance(network, Qwen2)
    body = TransformersBody(stock_layers(network, linear))
    model._parts = replace(model._parts, body=body)


def _nf4(module: Int8Linear) -> nn.Module:
    layers = bitsandbytes().nn
    rows, columns = module.weight.shape
    linear: nn.Module = layers.LinearNF4(
        columns, rows, bias=module.bias is not None, compute_dtype=torch.bfloat16
    )
    linear.weight = layers.Params4bit(
        dequantised(module).weight.data,
        requires_grad=False,
        compress_statistics=True,
        quant_type="nf4",
    )
    if module.bias is not None:
        linear.bias = nn.Parameter(module.bias, requires_grad=False)
    # It quantises when it is moved.
    return linear.to("cpu")


NOW = "now"
ENGINES: dict[str, Callable[[MiniLanguageModel], None]] = {
    NOW: lambda model: None,
    "no drafts": _without_drafts,
    "weight-only": _weight_only,
    "before": _before,
    "float32": _float32,
    "nf4": _in_nf4,
}

if __name__ == "__main__":
    main()
