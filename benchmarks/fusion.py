"""Times the extractor: CTC head and iterative fusion, vectorised against the plain loop.

    python benchmarks/fusion.py [--frames 90000] [--target 4000] [--loop-frames 6000] [--json]

Both versions are timed in the same run and on the same hidden states; the loop on a shorter
stretch, with the vectorised one timed on that stretch again. No number is extrapolated. Memory is
the process's own peak (VmHWM, Linux) while the extractor runs, hidden states included.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import checkout  # noqa: F401
import torch
from fusion_loop import LoopHead, loop_fuse, loop_halving

from fls_models.extractor.density import CtcHead, density_from
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse


def hidden_states(frames: int, width: int) -> torch.Tensor:
    """(frames, width) noise with the slow drift of speech, made in place."""
    hidden = torch.randn(frames, width, generator=torch.Generator().manual_seed(0))
    for earlier, later in pairwise(hidden):
        later.mul_(0.6).add_(earlier, alpha=0.8)
    return hidden


def extract(hidden: torch.Tensor, target: int, head: CtcHead) -> torch.Tensor:
    """Density of all frames, then fusion: what a recording goes through after the encoder."""
    density = density_from(head.fold().blank_probability)
    edges = torch.arange(len(hidden) + 1, dtype=torch.float64) / 25
    spans = torch.stack([edges[:-1], edges[1:]], dim=-1)
    return fuse(Frames(hidden, density(hidden), spans), target, density).frames.hidden


def extract_by_loop(hidden: torch.Tensor, target: int, head: CtcHead) -> torch.Tensor:
    """The same, frame by frame."""
    state = {name: value.numpy() for name, value in head.state_dict().items()}
    loop_head = LoopHead(
        state["layer_norm.weight"],
        state["layer_norm.bias"],
        state["projector.weight"],
        state["projector.bias"],
        state["linear.weight"],
    )
    lengths = loop_halving(len(hidden), target)
    fused, _ = loop_fuse(hidden.numpy(), lengths, loop_head.density)
    return torch.from_numpy(fused)


def timed(run: Callable[[], torch.Tensor], repeats: int) -> tuple[float, torch.Tensor]:
    """Best wall-clock seconds of so many runs, and the last result."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best, result


def memory_mb(field: str) -> float:
    """A field of /proc/self/status in MB: VmRSS now, VmHWM the peak since it was reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(field)


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """All numbers, named with their units."""
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    head = CtcHead(arguments.width, arguments.width, arguments.classes - 1)
    torch.nn.init.normal_(head.linear.weight, std=0.3)

    # Warm-up on a little, so that libraries and thread pools are not counted as the extractor's.
    extract(hidden_states(2_000, arguments.width), 200, head)
    before = memory_mb("VmRSS")
    hidden = hidden_states(arguments.frames, arguments.width)
    # Forget the peak so far; proc(5), /proc/pid/clear_refs.
    Path("/proc/self/clear_refs").write_text("5")
    seconds, _ = timed(lambda: extract(hidden, arguments.target, head), arguments.repeats)
    peak = memory_mb("VmHWM") - before
    size = hidden.numel() * hidden.element_size() / 1e6

    short = hidden[: arguments.loop_frames].clone()
    short_target = max(1, round(len(short) * arguments.target / arguments.frames))
    fast, ours = timed(lambda: extract(short, short_target, head), arguments.repeats)
    slow, loops = timed(lambda: extract_by_loop(short, short_target, head), 1)
    return {
        "frames": arguments.frames,
        "target": arguments.target,
        "width": arguments.width,
        "classes": arguments.classes,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 3),
        "input_mb": round(size, 1),
        "peak_mb": round(peak, 1),
        "peak_over_input": round(peak / size, 2),
        "compared_frames": len(short),
        "compared_target": short_target,
        "compared_seconds": round(fast, 4),
        "compared_loop_seconds": round(slow, 3),
        "times_faster": round(slow / fast, 1),
        "largest_difference": float((ours - loops).abs().max() / loops.abs().max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=90_000, help="an hour is 90 000")
    parser.add_argument("--target", type=int, default=4_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--classes", type=int, default=32, help="of the CTC head, with the blank")
    parser.add_argument("--loop-frames", type=int, default=6_000, help="both are timed on these")
    parser.add_argument("--repeats", type=int, default=3, help="the best run counts")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments)
    if figures["largest_difference"] > 1e-3:
        raise SystemExit("the two versions disagree; their times mean nothing")
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(
        f"{figures['frames']} -> {figures['target']} frames, D {figures['width']}, "
        f"{figures['classes']} classes, {figures['threads']} threads\n"
        f"  vectorised    {figures['seconds']:8.3f} s   peak {figures['peak_mb']:.0f} MB, "
        f"{figures['peak_over_input']:.2f} x the input of {figures['input_mb']:.0f} MB\n"
        f"{figures['compared_frames']} -> {figures['compared_target']} frames\n"
        f"  vectorised    {figures['compared_seconds']:8.3f} s\n"
        f"  plain loop    {figures['compared_loop_seconds']:8.3f} s   "
        f"{figures['times_faster']:.0f} times slower"
    )


if __name__ == "__main__":
    main()
