"""How soon an answer begins and ends, at full size with random weights, and the memory it takes.

    python benchmarks/gpu/speed.py --out DIR [--wheels DIR] [--lengths 133 30 600 3600]
    python benchmarks/gpu/speed.py --out DIR --memory plain      (or low)

Audio is decoded and in memory, in blocks of a second. For each length: fused at three budgets and
at L = 750 in total, everything uncompressed with its positions stretched (NTK-RoPE), and a plain
loop written from the description of the method. From the first sample to the first token of the
answer that is shown, and to the 64th, greedy. Medians of three runs after a warm-up, of one for an
hour; stages come from a run of their own in which the device is waited for between them. Log-mel
features are made by a thread meanwhile, so that stages add up to more than the total.

`asked` are the same by way of `fls_models.answering.answerer`: it judges the question before it
answers, and so reads more. For several sections, the first token is that of the answer from the
notes of all.

`--memory`: an hour at the budget fast, answered once by way of `fls_models.answering.answerer`, in
a process of its own.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import common
import torch
from common import Array, Job, free, job_parser, peak, speech_like

from fls_models.core.budget import Budget
from fls_models.errors import UsageError
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.registry import load
from fls_models.weights import card as cards

FAST, BALANCED, ACCURATE = (Budget(name) for name in ("fast", "balanced", "accurate"))
L750 = Budget(target_length=750)
_STAGES = ("log-mel", "encode", "density", "fusion", "project", "prefill", "decode")
_RATIOS = ("first_token", "total")
# Seconds that one run of an hour may take, so that none is begun that cannot end.
_HOUR = {"fast": 20.0, "L=750": 15.0, "balanced": 35.0, "accurate": 60.0, "loop": 40.0}


def methods(seconds: float, engines: Any) -> list[Any]:
    """In order of interest: what runs out of time is missed the least."""
    method = engines.Method
    # A window has 750 frames: L = 750 would leave a loop nothing to do.
    loop = L750 if seconds > 30 else FAST
    return [
        method("L=750", "fused", L750),
        method("uncompressed", "uncompressed", ACCURATE),
        # Without the mask that pieces need, attention has a faster kernel: the stricter rival.
        method("uncompressed at once", "uncompressed", ACCURATE, 10**6),
        method("fast", "fused", FAST),
        method(f"loop {loop.label}", "loop", loop),
        method("balanced", "fused", BALANCED),
        method("accurate", "fused", ACCURATE),
    ]


def medians(runs: Sequence[Any]) -> dict[str, Any]:
    last = runs[-1]
    return {
        "first_token_s": statistics.median(run.first for run in runs),
        "total_s": statistics.median(run.total for run in runs),
        "listened_s": statistics.median(run.listened for run in runs),
        "frames_before": last.before,
        "frames_after": last.after,
        "sections": last.sections,
        "tokens_decoded": last.tokens,
        "runs": len(runs),
        "all_first_token_s": [run.first for run in runs],
        "all_total_s": [run.total for run in runs],
    }


def measured(engine: Any, method: Any, blocks: Sequence[Array], runs: int) -> dict[str, Any]:
    """One method at one length: timed, timed by stage, and by way of a question."""
    import engines

    memory: dict[str, Any] = {}
    with peak(memory):
        figures = medians([engine.run(method, blocks) for _ in range(runs)])
    figures |= memory
    stages = engines.Stages()
    with engines.staged(engine.model, stages):
        staged = engine.run(method, blocks, stages)
    figures["stages_s"] = {name: stages.seconds.get(name, 0.0) for name in _STAGES}
    figures["staged_total_s"] = staged.total
    extractor = figures["stages_s"]["density"] + figures["stages_s"]["fusion"]
    figures["extractor_share"] = extractor / staged.total
    if method.kind != "loop":
        memory = {}
        with peak(memory):
            answers = [engine.ask(method, blocks) for _ in range(min(runs, 2))]
        figures["asked"] = medians(answers) | memory | {"usage_s": answers[-1].usage}
    return figures


def at_length(job: Job, engine: Any, folder: Path, seconds: float, runs: int) -> None:
    import engines

    blocks = speech_like(seconds)
    name = f"{seconds:g} s"
    hour = seconds > 1000
    warm = False
    for method in methods(seconds, engines):
        key = f"{name}, {method.name}"
        if key in job.results["measurements"]:
            continue
        if method.kind == "uncompressed" and refused(job, engine, seconds, key):
            continue
        once = _HOUR.get(method.name.split()[0], 40.0) if hour else 4.0 + seconds / 100
        count = 1 if hour else runs

        def take(method: Any = method, count: int = count, warm: bool = warm) -> dict[str, Any]:
            # In float32, which nobody else needs: not a part of others' memory.
            engine.give_head(folder if method.kind == "loop" else None)
            if not warm:
                # Kernels are chosen and loaded when they first run; not their sizes' fault.
                engine.run(method, blocks[:700], tokens=4)
            return measured(engine, method, blocks, count)

        warm |= job.measure(key, take, once * (count + 1 + min(count, 2))) is not None
        free()
    compare(job, name)


def refused(job: Job, engine: Any, seconds: float, key: str) -> bool:
    """Whether that many frames are refused; keeps the sentence. Nothing is encoded for it."""
    from fls_models.answering.readers.frames import FrameReader, FusedFrames
    from fls_models.extractor.frames import Frames
    from fls_models.extractor.fused_recording import FusedRecording

    count = round(seconds * 25)
    hidden = torch.zeros(count, engine.model.hidden_width, dtype=torch.bfloat16)
    frames = Frames(hidden, torch.zeros(count), common.even_spans(count))
    recording = FusedRecording((frames,), count, seconds, ACCURATE.label, True)
    reader = FrameReader(engine.model, FusedFrames(recording), engine.card.window)
    try:
        reader.readings(ACCURATE, None)
    except UsageError as error:
        message = str(error)
        job.measure(key, lambda: {"refused": message, "frames_before": count})
        return True
    return False


def compare(job: Job, name: str) -> None:
    """How many times sooner L = 750 and fast are than the others at the same length."""
    measurements = job.results["measurements"]
    ratios = job.results.setdefault("ratios", {})
    for ours in ("L=750", "fast"):
        figures = measurements.get(f"{name}, {ours}", {})
        for key, rival in measurements.items():
            if not key.startswith(f"{name}, ") or key == f"{name}, {ours}":
                continue
            if "first_token_s" not in figures or "first_token_s" not in rival:
                continue
            ratio = {name: rival[f"{name}_s"] / figures[f"{name}_s"] for name in _RATIOS}
            if "asked" in figures and "asked" in rival:
                asked, own = rival["asked"], figures["asked"]
                ratio |= {
                    f"asked_{name}": asked[f"{name}_s"] / own[f"{name}_s"] for name in _RATIOS
                }
            ratios[f"{key} / {ours}"] = ratio
    job.write()


def card(toy: bool) -> Any:
    full_card: Any = cards.load("fastlongspeech")
    # So small that a few seconds make several sections, and that 40 s do not fit uncompressed.
    return replace(full_card, max_frames=150, window=200) if toy else full_card


def loaded(job: Job, low_memory: bool = False) -> tuple[LargeSpeechLM, Path]:
    dtype = job.dtype()
    job.results["dtype"] = dtype
    folder = common.model_folder(job, dtype)
    memory: dict[str, Any] = {}
    with peak(memory):
        begun = perf_counter()
        model = load(folder, device=str(job.device), low_memory=low_memory)
        common.synchronize()
        seconds = perf_counter() - begun
    weights = {"weights_gb": torch.cuda.memory_allocated() / 1e9} if memory else {}
    job.results["loaded"] = (
        {"seconds": seconds, "host_peak_gb": common.host_peak_gb()} | memory | weights
    )
    job.write()
    return model, folder


def memory_of_an_hour(job: Job, kind: str) -> None:
    """Answers a question about an hour at the budget fast; the peak of everything after loading."""

    def take() -> dict[str, Any]:
        import engines

        model, _ = loaded(job, low_memory=kind == "low")
        engine = engines.Engines(model, card(job.arguments.toy), 4 if job.arguments.toy else 64)
        seconds = 40.0 if job.arguments.toy else 3600.0
        blocks = speech_like(seconds)
        method = engines.Method("fast", "fused", FAST)
        figures: dict[str, Any] = {"seconds": seconds}
        steps: dict[str, Callable[[], Any]] = {
            "listening": lambda: engine.hear(method, blocks, engines.Stages()),
            "without judging": lambda: engine.run(method, blocks),
            "asked": lambda: engine.ask(method, blocks),
        }
        for name, step in steps.items():
            memory: dict[str, Any] = {}
            begun = perf_counter()
            with peak(memory):
                step()
            figures[name] = memory | {"seconds": perf_counter() - begun}
            gc.collect()
        figures["host_peak_gb"] = common.host_peak_gb()
        if torch.cuda.is_available():
            for key in ("peak_allocated_gb", "peak_reserved_gb"):
                figures[key] = max(figures[name][key] for name in steps)
            # What the driver counts, the context of CUDA itself included.
            free_bytes, all_bytes = torch.cuda.mem_get_info()
            figures["in_use_at_the_end_gb"] = (all_bytes - free_bytes) / 1e9
            figures["most_allowed_gb"] = 8.0 if kind == "low" else 10.0
            figures["within"] = bool(figures["peak_allocated_gb"] <= figures["most_allowed_gb"])
        return figures

    job.measure(kind, take, 90.0)


def main() -> int:
    parser = job_parser(__doc__)
    parser.add_argument("--lengths", type=float, nargs="+", help="seconds of audio")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", choices=["plain", "low"])
    arguments = parser.parse_args()
    if arguments.memory:
        job = Job("memory" if arguments.memory == "plain" else "memory-low", arguments)
        memory_of_an_hour(job, arguments.memory)
        return job.finish()
    job = Job("speed", arguments)
    import engines

    model, folder = loaded(job)
    engine = engines.Engines(model, card(arguments.toy), 4 if arguments.toy else 64)
    lengths = arguments.lengths or ([31.0, 40.0] if arguments.toy else [133, 30, 600, 3600])
    for seconds in lengths:
        at_length(job, engine, folder, seconds, 1 if arguments.toy else arguments.runs)
    return job.finish()


if __name__ == "__main__":
    sys.exit(main())
