"""From a released checkpoint to a loaded model: seconds, and the host's memory at its highest.

    python benchmarks/gpu/load.py --out DIR [--wheels DIR] [--layers 32] [--cpu]

A checkpoint as the hub has it, full-size, of random bfloat16 in shards, with a LoRA of rank 128, is
written to a local disk (17.6 GB), installed by `conversion.install` in a process of its own, loaded
in another and removed. Where the disk or the time is short, `--layers` leaves blocks out of the
language model; the JSON says how many there were. Files lie in the page cache when they are read.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import common
import torch
from common import Job, Sizes, job_parser, tensors
from torch import Tensor

_SHARD = 4 * 10**9
_RANK = 128


def hub_name(name: str) -> str:
    """What the tensor is called in the release."""
    if name.startswith("lm_head"):
        return f"language_model.{name}"
    return name.replace("language_model.", "language_model.model.", 1)


def write_release(folder: Path, sizes: Sizes, device: torch.device, rank: int) -> dict[str, Any]:
    from safetensors.torch import save_file

    begun = perf_counter()
    base, adapter = folder / "base", folder / "adapter"
    base.mkdir(parents=True)
    adapter.mkdir()
    pairs: dict[str, Tensor] = {}
    generator = torch.Generator(device).manual_seed(9)

    def small(*shape: int) -> Tensor:
        weights = torch.randn(shape, generator=generator, device=device, dtype=torch.bfloat16)
        return weights.mul_(0.01).cpu()

    def hub_weights() -> Iterator[tuple[str, Tensor]]:
        for name, weight in tensors(sizes, device):
            if "self_attn" in name and name.startswith("language_model") and weight.ndim == 2:
                module = f"base_model.model.{hub_name(name).removesuffix('.weight')}"
                pairs[f"{module}.lora_A.weight"] = small(rank, weight.shape[1])
                pairs[f"{module}.lora_B.weight"] = small(weight.shape[0], rank)
            yield hub_name(name), weight

    weight_map = common.write_shards(hub_weights(), base, _SHARD)
    common.write_json(
        base / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map}
    )
    common.write_json(
        base / "config.json",
        {
            "model_type": "long_speech_qwen2audio",
            "audio_config": dict(sizes.audio),
            "text_config": dict(sizes.text),
        },
    )
    save_file(pairs, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    common.write_json(
        adapter / "adapter_config.json",
        {
            "base_model_name_or_path": "/nowhere",
            "bias": "none",
            "fan_in_fan_out": False,
            "lora_alpha": 2 * rank,
            "lora_dropout": 0.05,
            "modules_to_save": None,
            "peft_type": "LORA",
            "r": rank,
            "rank_pattern": {},
            "alpha_pattern": {},
            "target_modules": [f"{side}_proj" for side in "qkvo"],
            "task_type": "CAUSAL_LM",
            "use_dora": False,
            "use_rslora": False,
        },
    )
    common.write_processor(adapter, int(sizes.audio["num_mel_bins"]))
    common.free()
    files = len(set(weight_map.values()))
    return {"seconds": perf_counter() - begun, "gb": common.size_gb(folder), "files": files}


def child(step: str, source: Path, target: Path, dtype: str, device: str) -> dict[str, Any]:
    """Runs in a process of its own, for its memory's sake."""
    from fls_models.lslm.registry import load
    from fls_models.weights.conversion import layout as released
    from fls_models.weights.conversion.install import install

    before = common.host_peak_gb()
    begun = perf_counter()
    figures: dict[str, Any] = {}
    if step == "install":
        install(released.find(source), target, dtype=dtype)
    else:
        load(target, device=device)
        if device != "cpu":
            torch.cuda.synchronize()
            figures["peak_allocated_gb"] = torch.cuda.max_memory_allocated() / 1e9
            figures["peak_reserved_gb"] = torch.cuda.max_memory_reserved() / 1e9
            figures["weights_gb"] = torch.cuda.memory_allocated() / 1e9
    return {
        "seconds": perf_counter() - begun,
        "host_peak_gb": common.host_peak_gb(),
        "host_before_gb": before,
        "gb": common.size_gb(target),
    } | figures


def apart(job: Job, step: str, source: Path, target: Path, dtype: str) -> dict[str, Any]:
    arguments = job.arguments
    command = [sys.executable, __file__, "--child", step, str(source), str(target), dtype]
    command += ["--child-device", str(job.device)]
    if arguments.wheels:
        command += ["--wheels", str(arguments.wheels)]
    process = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, timeout=max(10.0, job.left())
    )
    if process.returncode:
        raise RuntimeError(f"{step} failed with status {process.returncode}; see the log")
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return figures


def run(job: Job, layers: int) -> None:
    text = {**job.sizes.text, "num_hidden_layers": layers}
    sizes = replace(job.sizes, text=text)
    dtype = job.dtype()
    job.results |= {"layers": layers, "dtype": dtype}
    place = Path(job.arguments.place) / "release"
    shutil.rmtree(place, ignore_errors=True)
    rank = 8 if job.arguments.toy else _RANK
    try:
        source, target = place / "released", place / "installed"
        checkpoint = job.measure(
            "checkpoint written", lambda: write_release(source, sizes, job.device, rank), 30
        )
        if checkpoint is None or not source.is_dir():
            return
        job.measure("installed", lambda: apart(job, "install", source, target, dtype), 60)
        shutil.rmtree(source, ignore_errors=True)
        if target.is_dir():
            job.measure("loaded", lambda: apart(job, "load", source, target, dtype), 10)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    parser = job_parser(__doc__)
    parser.add_argument("--layers", type=int, help="blocks of the language model")
    parser.add_argument("--cpu", action="store_true", help="full-size, but without a GPU")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--child-device", default="cpu", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        step, source, target, dtype = arguments.child
        common.use_wheels(arguments.wheels)
        figures = child(step, Path(source), Path(target), dtype, arguments.child_device)
        print(json.dumps(figures))
        return 0
    job = Job("load", arguments)
    layers = arguments.layers or int(job.sizes.text["num_hidden_layers"])
    if not arguments.toy and not arguments.layers:
        Path(arguments.place).mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(arguments.place).free
        # A block is 0.41 GB and its quantised copy 0.11; all else is 4 GB in both.
        layers = min(layers, max(2, int((room / 1e9 - 12) / 0.52)))
    if {"installed", "loaded"} <= job.results["measurements"].keys():
        return job.finish()
    # What was measured of an attempt that did not end belongs to files that are gone.
    job.results["measurements"] = {}
    run(job, layers)
    return job.finish()


if __name__ == "__main__":
    sys.exit(main())
