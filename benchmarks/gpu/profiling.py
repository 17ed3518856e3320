"""Where the device's time goes: stages, kernels and launches of one answer about ten minutes.

    python benchmarks/gpu/profiling.py --out DIR [--wheels DIR] [--seconds 600]

The answer stops after 16 tokens, which makes the extractor's share larger than in a whole one. Then
the CTC head alone: in float32, as it runs (TF32 on a GPU) and in bfloat16, with the largest
difference that each makes to a density, and what the extractor takes for an hour of frames.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from timeit import repeat
from typing import Any

import torch
import torch.nn.functional as F
from common import Job, even_spans, free, job_parser, peak, speech_like, synchronize
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from fls_models.extractor.density import density_from
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, halving_schedule

_TOKENS = 16
_LAUNCH = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx")


def device_us(event: Any, of: str = "") -> float:
    """Microseconds on the device, or on the CPU where there is none; the name has changed."""
    names = ("device_time_total", "cuda_time_total") if torch.cuda.is_available() else ()
    name = next((name for name in names if hasattr(event, of + name)), "cpu_time_total")
    return float(getattr(event, of + name))


own_device_us = partial(device_us, of="self_")


def profiled(engine: Any, method: Any, blocks: Any) -> dict[str, Any]:
    """One run under the profiler. A stage's kernels are those launched while it ran."""
    import engines

    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    stages = engines.Stages()
    with engines.staged(engine.model, stages), profile(activities=activities) as profiler:
        run = engine.run(method, blocks, stages, _TOKENS)
        synchronize()
    figures: dict[str, Any] = {
        "seconds_while_profiled": run.total,
        "frames_before": run.before,
        "frames_after": run.after,
        "sections": run.sections,
        "stages_wall_s": stages.seconds,
        "stage_calls": stages.calls,
    }
    averages = [event for event in profiler.key_averages() if not event.key.startswith("stage:")]
    on_device = [event for event in averages if not is_host(event)] or averages
    ranked = sorted(on_device, key=own_device_us, reverse=True)
    total = sum(map(own_device_us, on_device))
    figures["device_s"] = total / 1e6
    figures["kernels"] = [
        {
            "name": event.key[:120],
            "calls": event.count,
            "ms": own_device_us(event) / 1e3,
            "share": own_device_us(event) / total if total else 0.0,
        }
        for event in ranked[:25]
    ]
    figures |= by_stage(profiler.events(), run.before, run.after, total)
    return figures


def is_host(event: Any) -> bool:
    """Whether a row of the profile is of the host, which launches, and not of the device."""
    kind = getattr(event, "device_type", None)
    return kind is None or "CPU" in str(kind)


def by_stage(events: Any, before: int, after: int, total: float) -> dict[str, Any]:
    """Device time and launches of each stage, without those of the stages within it."""
    stages = [event for event in events if event.name.startswith("stage:") and is_host(event)]
    # Features are made in a thread beside the others: neither within them nor around them.
    beside = [event for event in stages if event.name == "stage:log-mel"]
    stages = [event for event in stages if event.name != "stage:log-mel"]
    stages.sort(key=lambda event: (event.time_range.start, -event.time_range.end))
    inner: defaultdict[int, float] = defaultdict(float)
    inner_launches: defaultdict[int, int] = defaultdict(int)
    launches = sorted(
        event.time_range.start for event in events if event.name in _LAUNCH and is_host(event)
    )
    times: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, int] = defaultdict(int)

    def launched(event: Any) -> int:
        first = bisect_left(launches, event.time_range.start)
        return bisect_left(launches, event.time_range.end) - first

    open_stages: list[Any] = []
    for event in stages:
        while open_stages and open_stages[-1].time_range.end <= event.time_range.start:
            open_stages.pop()
        if open_stages:
            inner[id(open_stages[-1])] += device_us(event)
            inner_launches[id(open_stages[-1])] += launched(event)
        open_stages.append(event)
    for event in stages:
        name = event.name.removeprefix("stage:")
        times[name] += device_us(event) - inner[id(event)]
        counts[name] += launched(event) - inner_launches[id(event)]
    times["log-mel"] = sum(map(device_us, beside))
    extractor = times["density"] + times["fusion"]
    rounds = len(halving_schedule(before, after)) if 0 < after < before else 0
    return {
        "stages_device_ms": {name: us / 1e3 for name, us in times.items()},
        "launches": counts,
        "rounds": rounds,
        "fusion_launches_per_round": counts["fusion"] / rounds if rounds else 0.0,
        "extractor_share": extractor / total if total else 0.0,
        "extractor_within_2_percent": bool(total and extractor / total <= 0.02),
    }


def extractor(model: Any, frames: int, target: int, device: torch.device) -> dict[str, Any]:
    """Density and fusion alone, on random frames on the device."""
    generator = torch.Generator(device).manual_seed(1)
    hidden = torch.randn(frames, model.hidden_width, generator=generator, device=device)
    hidden = hidden.to(model._norm.weight.dtype)
    spans = even_spans(frames, device)
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
    generator = torch.Generator(device).manual_seed(2)
    hidden = torch.randn(frames, model.hidden_width, generator=generator, device=device)
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

    figures: dict[str, Any] = {"frames": frames, "classes": len(head.weight)}
    with torch.inference_mode():
        # As set by default: products of float32 in full.
        expected = densities(exact)
        ways = {"float32": exact, "as it runs": head.logits, "bfloat16": halved}
        for name, way in ways.items():
            density = densities(way)
            figures[f"{name}, s"] = fastest(partial(densities, way))
            figures[f"{name}, largest difference"] = float((density - expected).abs().max())
        figures["density_mean"] = float(expected.mean())
        figures["density_below_half"] = float((expected < 0.5).float().mean())
    return figures


def fastest(work: Callable[[], object], runs: int = 3) -> float:
    return min(repeat(lambda: (work(), synchronize()), synchronize, number=1, repeat=runs))


def main() -> int:
    parser = job_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    arguments = parser.parse_args()
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
