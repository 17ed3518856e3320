"""Where the device's time goes: stages, kernels and launches of one answer about ten minutes.

    python benchmarks/gpu/profiling.py --out DIR [--wheels DIR] [--seconds 600]

The answer stops after 16 tokens, which makes the extractor's share larger than in a whole one. Then
the CTC head alone: in float32, as it runs (TF32 on a GPU) and in bfloat16, with the largest
difference that each makes to a density, and what the extractor takes for an hour of frames.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from common import Job, free, parser, peak, speech_like, synchronize
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from fls_models.extractor.density import density_from
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, halving_schedule

_TOKENS = 16
_LAUNCH = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx")


def device_us(event: Any) -> float:
    """Microseconds on the device, or on the CPU where there is none; the name has changed."""
    names = ("device_time_total", "cuda_time_total") if torch.cuda.is_available() else ()
    for name in names:
        if hasattr(event, name):
            return float(getattr(event, name))
    return float(event.cpu_time_total)


def own_device_us(event: Any) -> float:
    names = ("self_device_time_total", "self_cuda_time_total")
    for name in names if torch.cuda.is_available() else ():
        if hasattr(event, name):
            return float(getattr(event, name))
    return float(event.self_cpu_time_total)


def profiled(engine: Any, method: Any, blocks: Any) -> dict[str, Any]:
    """One run under the profiler. A stage's kernels are those launched while it ran."""
    import engines

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    stages = engines.Stages()
    with engines.staged(engine.model, stages), profile(activities=activities) as taken:
        run = engine.run(method, blocks, stages, _TOKENS)
        synchronize()
    found: dict[str, Any] = {
        "seconds_while_profiled": run.total,
        "frames_before": run.before,
        "frames_after": run.after,
        "sections": run.sections,
        "stages_wall_s": stages.seconds,
        "stage_calls": stages.calls,
    }
    averages = [one for one in taken.key_averages() if not one.key.startswith("stage:")]
    on_device = [one for one in averages if not is_host(one)] or averages
    ranked = sorted(on_device, key=own_device_us, reverse=True)
    total = sum(map(own_device_us, on_device))
    found["device_s"] = total / 1e6
    found["kernels"] = [
        {
            "name": one.key[:120],
            "calls": one.count,
            "ms": own_device_us(one) / 1e3,
            "share": own_device_us(one) / total if total else 0.0,
        }
        for one in ranked[:25]
    ]
    found |= by_stage(taken.events(), run.before, run.after, total)
    return found


def is_host(event: Any) -> bool:
    """Whether a row of the profile is of the host, which launches, and not of the device."""
    kind = getattr(event, "device_type", None)
    return kind is None or "CPU" in str(kind)


def by_stage(events: Any, before: int, after: int, total: float) -> dict[str, Any]:
    """Device time and launches of each stage, without those of the stages within it."""
    stages = [one for one in events if one.name.startswith("stage:") and is_host(one)]
    # Features are made in a thread beside the others: neither within them nor around them.
    beside = [one for one in stages if one.name == "stage:log-mel"]
    stages = [one for one in stages if one.name != "stage:log-mel"]
    stages.sort(key=lambda one: (one.time_range.start, -one.time_range.end))
    inner: dict[int, float] = {}
    inner_launches: dict[int, int] = {}
    launches = sorted(
        one.time_range.start for one in events if one.name in _LAUNCH and is_host(one)
    )
    times: dict[str, float] = {}
    counts: dict[str, int] = {}

    def launched(one: Any) -> int:
        first = bisect_left(launches, one.time_range.start)
        return bisect_left(launches, one.time_range.end) - first

    open_stages: list[Any] = []
    for one in stages:
        while open_stages and open_stages[-1].time_range.end <= one.time_range.start:
            open_stages.pop()
        if open_stages:
            outer = id(open_stages[-1])
            inner[outer] = inner.get(outer, 0.0) + device_us(one)
            inner_launches[outer] = inner_launches.get(outer, 0) + launched(one)
        open_stages.append(one)
    for one in stages:
        name = one.name.removeprefix("stage:")
        times[name] = times.get(name, 0.0) + device_us(one) - inner.get(id(one), 0.0)
        own = launched(one) - inner_launches.get(id(one), 0)
        counts[name] = counts.get(name, 0) + own
    times["log-mel"] = sum(map(device_us, beside))
    extractor = times.get("density", 0.0) + times.get("fusion", 0.0)
    rounds = len(halving_schedule(before, after)) if 0 < after < before else 0
    return {
        "stages_device_ms": {name: us / 1e3 for name, us in times.items()},
        "launches": counts,
        "rounds": rounds,
        "fusion_launches_per_round": counts.get("fusion", 0) / rounds if rounds else 0.0,
        "extractor_share": extractor / total if total else 0.0,
        "extractor_within_2_percent": bool(total and extractor / total <= 0.02),
    }


def extractor(model: Any, frames: int, target: int, device: torch.device) -> dict[str, Any]:
    """Density and fusion alone, on random frames on the device."""
    dice = torch.Generator(device).manual_seed(1)
    hidden = torch.randn(frames, model.hidden_width, generator=dice, device=device)
    hidden = hidden.to(model._norm.weight.dtype)
    edges = torch.arange(frames + 1, dtype=torch.float64, device=device) / 25
    spans = torch.stack([edges[:-1], edges[1:]], dim=-1)
    density = density_from(model.blank_probability)

    def work() -> Any:
        return fuse(Frames(hidden, density(hidden), spans), target, density)

    memory: dict[str, Any] = {}
    work()
    with torch.inference_mode(), peak(memory):
        seconds = fastest(work)
    return {"frames": frames, "target": target, "seconds": seconds} | memory


def head_alone(model: Any, frames: int, device: torch.device) -> dict[str, Any]:
    """The CTC head's precisions beside each other."""
    head = model._ctc
    dice = torch.Generator(device).manual_seed(2)
    hidden = torch.randn(frames, model.hidden_width, generator=dice, device=device)
    rows = max(1, 2**25 // len(head.weight))
    half = (head.weight.bfloat16(), head.bias.bfloat16())

    def exact(piece: Tensor) -> Tensor:
        return F.linear(normed(piece), head.weight, head.bias)

    def halved(piece: Tensor) -> Tensor:
        return F.linear(normed(piece).bfloat16(), *half)

    def normed(piece: Tensor) -> Tensor:
        width = (head.weight.shape[1],)
        return F.layer_norm(piece.float(), width, head.norm_weight, head.norm_bias, head.eps)

    def densities(logits: Callable[[Tensor], Tensor]) -> Tensor:
        pieces = (logits(piece).softmax(-1, dtype=torch.float32) for piece in hidden.split(rows))
        return 1.0 - torch.cat([piece[:, -1] for piece in pieces])

    found: dict[str, Any] = {"frames": frames, "classes": len(head.weight)}
    with torch.inference_mode():
        # As set by default: products of float32 in full.
        wanted = densities(exact)
        ways = {"float32": exact, "as it runs": head.logits, "bfloat16": halved}
        for name, way in ways.items():
            got = densities(way)
            found[f"{name}, s"] = fastest(partial(densities, way))
            found[f"{name}, largest difference"] = float((got - wanted).abs().max())
        found["density_mean"] = float(wanted.mean())
        found["density_below_half"] = float((wanted < 0.5).float().mean())
    return found


def fastest(work: Callable[[], object], runs: int = 3) -> float:
    best = float("inf")
    for _ in range(runs):
        synchronize()
        begun = perf_counter()
        work()
        synchronize()
        best = min(best, perf_counter() - begun)
    return best


def main() -> int:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=600.0)
    arguments = made.parse_args()
    job = Job("profiling", arguments)
    import engines
    import speed

    model, _ = speed.loaded(job)
    engine = engines.Engines(model, speed.card(arguments.toy), _TOKENS)
    toy = arguments.toy
    job.measure("head alone", lambda: head_alone(model, 500 if toy else 15_000, job.device))
    for frames, target in [(500, 40)] if toy else [(3325, 750), (15_000, 2000), (90_000, 4000)]:
        job.measure(
            f"extractor, {frames} to {target}",
            partial(extractor, model, frames, target, job.device),
        )
    blocks = speech_like(35.0 if toy else arguments.seconds)
    engine.run(engines.Method("warm", "fused", speed.FAST), blocks[:60], tokens=4)
    budgets = (("fast", speed.FAST), ("L=750", speed.L750))
    for name, budget in budgets[:1] if toy else budgets:
        method = engines.Method(name, "fused", budget)
        job.measure(f"profile, {name}", partial(profiled, engine, method, blocks), 40)
        free()
    return job.finish()


if __name__ == "__main__":
    sys.exit(main())
