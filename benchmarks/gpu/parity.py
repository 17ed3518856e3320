"""Whether the device computes what the CPU and other implementations do. No timings.

    python benchmarks/gpu/parity.py --out DIR [--wheels DIR]

* `golden`: the recorded outputs of the released implementation (tests/golden), fused on the device
  in float32, with the CTC head as it runs (TF32 on a GPU) and in full float32. The tests allow 1e-4
  of the largest value; `rows_off` of `rows` are further away than that.
* `tiny`: a Qwen2-Audio of a megabyte against transformers' own, as tests/models/test_qwen2_audio.py
  has it on the CPU; in 4 and 8 bits against transformers with the weights dequantised.
* `linear`: layers of the real size in 4 and 8 bits against a product with dequantised weights, and
  whether the device and the CPU quantise to the same bytes.
* `streaming`: listening to blocks of any size against one pass over all windows, to the last bit.
* `low memory`: the same reply to the last bit, also after listening a second time.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Job, even_spans, job_parser, speech_like
from golden_cases import cases, ctc_head, read_case
from torch import Tensor

from fls_models.audio.windows import cut
from fls_models.core.budget import Budget
from fls_models.extractor import density as densities
from fls_models.extractor.density import density_from
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.extract import listen_to_frames
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, halving_schedule
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import Prompt
from fls_models.lslm.registry import load
from fls_models.weights.conversion.install import install
from fls_models.weights.conversion.layout import find
from fls_models.weights.conversion.quantization import pack

_CLOSE = 1e-4
_HEARD = Prompt(system="You are a helpful assistant.", opening="", audio=True)
_QUESTION = "What is the main argument?"


def golden(device: torch.device, *, exact: bool) -> dict[str, Any]:
    results: dict[str, Any] = {"cases": {}}
    with in_full() if exact else nullcontext():
        for path, row in cases():
            name = path.stem if row is None else f"{path.stem}-{row}"
            results["cases"][name] = golden_case(read_case(path, row), device)
    figures = results["cases"].values()
    for key in ("density_error", "fused_error"):
        results[key] = max(case[key] for case in figures)
    for key in ("rows", "rows_off"):
        results[key] = sum(case[key] for case in figures)
    results["passed"] = bool(max(results["density_error"], results["fused_error"]) < _CLOSE)
    return results


@contextmanager
def in_full() -> Iterator[None]:
    """Products of float32 without TF32, within it."""
    before = densities._tensor_cores
    densities._tensor_cores = lambda device: nullcontext()  # type: ignore[assignment]
    try:
        yield
    finally:
        densities._tensor_cores = before


def golden_case(case: dict[str, Any], device: torch.device) -> dict[str, Any]:
    density = density_from(ctc_head(case).to(device).fold().blank_probability)
    hidden = torch.from_numpy(case["frames"]).to(device)
    frames = Frames(hidden, density(hidden), even_spans(len(hidden), device))
    fused = fuse(frames, len(case["fused"]), density, case["schedule"]).frames.hidden.cpu().numpy()
    expected = case["fused"]
    scale = float(np.abs(expected).max())
    off = np.abs(fused - expected).max(axis=-1) > _CLOSE * scale
    density_error = np.abs(frames.density.cpu().numpy() - case["density"]).max()
    return {
        "density_error": float(density_error / np.abs(case["density"]).max()),
        "fused_error": float(np.abs(fused - expected).max() / scale),
        "rows": len(expected),
        "rows_off": int(off.sum()),
    }


def tiny_model(folder: Path, dtype: str, device: torch.device, **options: Any) -> LargeSpeechLM:
    """The tests' checkpoint, installed and loaded."""
    from tiny_checkpoints import write_qwen2_audio

    kind = torch.float32 if dtype == "float32" else torch.bfloat16
    if not (folder / "released").is_dir():
        write_qwen2_audio(folder / "released", dtype=kind, ctc=True)
        # As the hub has it without a CTC head: transformers would not know it.
        write_qwen2_audio(folder / "plain", dtype=kind)
    if not (folder / dtype).is_dir():
        install(find(folder / "released"), folder / dtype, dtype=dtype)
    return load(folder / dtype, device=str(device), **options)


def whole(model: LargeSpeechLM, audio: np.ndarray) -> Tensor:
    recording = listen_to_frames(model, [audio], Budget(target_length=10**6), max_frames=10**6)
    return model.project(recording.sections[0].hidden)


@torch.inference_mode()
def first_logits(model: LargeSpeechLM, embeddings: Tensor) -> Tensor:
    context = model.read(_HEARD, embeddings)
    request = model.request(context.prompt, _QUESTION)
    return model._forward(context, context.cache(), request, logits=1)[-1]


@torch.inference_mode()
def tiny(dtype: str, device: torch.device) -> dict[str, Any]:
    """The first token's logits and a greedy reply, against transformers on the same device."""
    from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

    audio = noise(12.34)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = tiny_model(folder, dtype, device)
        kind = torch.float32 if dtype == "float32" else torch.bfloat16
        reference: Any = Qwen2AudioForConditionalGeneration.from_pretrained(
            folder / "plain", dtype=kind
        )
        processor = AutoProcessor.from_pretrained(folder / "plain")
        if dtype in ("nf4", "int8"):
            dequantise(reference, dtype)
        reference.to(device).train(False)
        content = [{"type": "audio", "audio_url": "a"}, {"type": "text", "text": _QUESTION}]
        messages = [
            {"role": "system", "content": _HEARD.system},
            {"role": "user", "content": content},
        ]
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        inputs = processor(text=text, audio=[audio], sampling_rate=16_000, return_tensors="pt")
        inputs = inputs.to(device)
        expected = reference(**inputs).logits[0, -1].float().cpu()
        embeddings = whole(model, audio)
        logits = first_logits(model, embeddings)
        context = model.read(_HEARD, embeddings)
        ours = reply(model, context)
        generated = reference.generate(
            **inputs, max_new_tokens=12, do_sample=False, min_new_tokens=1
        )
        replied = generated[0, inputs["input_ids"].shape[1] :].tolist()
    error = float((logits - expected).abs().max() / expected.abs().max())
    # Two ways to the same sums: as far apart as rounding takes them, four layers deep.
    close = {"float32": 1e-5, "bf16": 2e-2, "nf4": 5e-2, "int8": 1e-1}[dtype]
    if device.type == "cuda" and dtype == "float32":
        close = 1e-3
    return {
        "error": error,
        "same_first_token": bool(logits.argmax() == expected.argmax()),
        "same_reply": replied[: len(ours)] == ours,
        "ours": ours,
        "theirs": replied,
        "passed": bool(error < close),
    }


def dequantise(reference: Any, dtype: str) -> None:
    """Puts into transformers' model what the quantised weights stand for."""
    for name, weight in reference.model.language_model.named_parameters():
        canonical = f"language_model.{name}"
        tensors = pack(canonical, weight.data, dtype)
        if len(tensors) > 1:
            weight.data = unpacked(canonical, tensors, weight.shape).to(weight.dtype)


def unpacked(name: str, tensors: dict[str, Tensor], shape: torch.Size) -> Tensor:
    """The weight that packed tensors stand for: of NF4 by the library, of int8 by the formula."""
    import bitsandbytes

    weight = tensors[name]
    if weight.dtype == torch.int8:
        return weight.float() * tensors[f"{name.removesuffix('.weight')}.SCB"][:, None] / 127
    state = {key.removeprefix(f"{name}."): part for key, part in tensors.items() if key != name}
    described = bitsandbytes.functional.QuantState.from_dict(state, device=weight.device)
    weight_values: Tensor = bitsandbytes.functional.dequantize_4bit(weight, described)
    return weight_values.reshape(shape)


@torch.inference_mode()
def linear(dtype: str, rows: int, columns: int, device: torch.device) -> dict[str, Any]:
    """A layer as `quantization.fill` makes it, for 1, 7 and 512 positions."""
    from torch import nn

    from fls_models.weights.conversion.quantization import _int8_linear, _nf4_linear

    name = "language_model.layers.0.mlp.up_proj.weight"
    generator = torch.Generator().manual_seed(3)
    weight = (torch.randn(rows, columns, generator=generator) * 0.02).bfloat16()
    tensors = pack(name, weight.to(device), dtype)
    host = pack(name, weight, dtype)
    same_bytes = {key: bool(torch.equal(tensors[key].cpu(), part)) for key, part in host.items()}
    with torch.device("meta"):
        empty = nn.Linear(columns, rows, bias=False)
    fill = _nf4_linear if dtype == "nf4" else _int8_linear
    on_host = {key: part.cpu() for key, part in tensors.items()}
    layer = fill(name.removesuffix(".weight"), empty, on_host, device).train(False)
    plain = unpacked(name, on_host, weight.shape).float()
    results: dict[str, Any] = {"same_bytes_as_the_cpu": same_bytes}
    bytes_off = (tensors[name].cpu() != host[name]).float().mean()
    results["share_of_bytes_that_differ"] = float(bytes_off)
    for positions in (1, 7, 512):
        inputs = torch.randn(1, positions, columns, generator=generator).bfloat16()
        # The CPU's own product in float32: nothing that the device could get wrong.
        expected = inputs.float() @ plain.bfloat16().float().T
        outputs = layer(inputs.to(device)).float().cpu()
        results[f"error, {positions}"] = float((outputs - expected).norm() / expected.norm())
    max_error = max(results[f"error, {positions}"] for positions in (1, 7, 512))
    results["passed"] = bool(max_error < (0.01 if dtype == "nf4" else 0.03))
    return results


def streaming(device: torch.device, dtype: str) -> dict[str, Any]:
    """Blocks of a tenth of a second, of a second and a bit, all at once, and from all windows."""
    audio = np.concatenate(speech_like(70.0, seed=5))
    budget = Budget(target_length=200)
    with tempfile.TemporaryDirectory() as place:
        model = tiny_model(Path(place), dtype, device)
        frames = Frames.concatenate([part for _, part in encode_windows(model, cut([audio]))])
        density = density_from(model.blank_probability)
        offline = fuse(frames, 200, density, halving_schedule).frames.hidden.cpu()
        results: dict[str, Any] = {"frames": len(frames)}
        for size in (1600, 17_123, len(audio)):
            blocks = [audio[i : i + size] for i in range(0, len(audio), size)]
            recording = listen_to_frames(model, blocks, budget, max_frames=10**6)
            [section] = recording.sections
            results[f"same, blocks of {size}"] = bool(torch.equal(section.hidden, offline))
    results["passed"] = all(value for key, value in results.items() if key.startswith("same"))
    return results


def low_memory(device: torch.device, dtype: str) -> dict[str, Any]:
    """Plain and with low memory, twice: the tower comes and goes."""
    audio = noise(40.0)
    with tempfile.TemporaryDirectory() as place:
        plain = tiny_model(Path(place), dtype, device)
        low = tiny_model(Path(place), dtype, device, low_memory=True)
        expected = first_logits(plain, whole(plain, audio))
        results: dict[str, Any] = {}
        for attempt in ("first", "second"):
            embeddings = whole(low, audio)
            results[f"tower_while_hearing, {attempt}"] = str(low._tower.device)
            results[f"same, {attempt}"] = bool(torch.equal(first_logits(low, embeddings), expected))
            results[f"tower_after_reading, {attempt}"] = str(low._tower.device)
        context = low.read(_HEARD, embeddings)
        replied = reply(low, context)
        stretched = low.read(_HEARD, embeddings, rope_scale=2.0)
        results["reply"] = replied
        results["stretched_tokens"] = stretched.tokens
        results["surprisal"] = float(low.surprisal(context, _QUESTION).mean())
        packed = low.pack(context)
        again = low.unpack(packed, _HEARD)
        results["same, unpacked"] = reply(low, again) == replied
        usual = plain.read(_HEARD, whole(plain, audio))
        results["same, reply"] = reply(plain, usual) == replied
    results["passed"] = all(value for key, value in results.items() if key.startswith("same"))
    return results


def reply(model: LargeSpeechLM, context: Any) -> list[int]:
    """The tokens of a greedy reply: the text of random weights is hardly any."""
    from fls_models.lslm.replies.reply import Reply

    tokens: list[int] = []
    before = Reply.pick

    def pick(reply: Reply, logits: Tensor) -> int:
        tokens.append(before(reply, logits))
        return tokens[-1]

    Reply.pick = pick
    try:
        for _ in model.generate(context, _QUESTION, max_tokens=12):
            pass
    finally:
        Reply.pick = before
    # One that ends a reply is not of it.
    return tokens[:-1] if tokens[-1] in model._parts.ends else tokens


def noise(seconds: float) -> np.ndarray:
    generator = np.random.default_rng(0)
    return (0.1 * generator.standard_normal(round(seconds * 16_000))).astype(np.float32)


def main() -> int:
    arguments = job_parser(__doc__).parse_args()
    job = Job("parity", arguments)
    device = job.device
    job.measure("golden, as it runs", lambda: golden(device, exact=False))
    job.measure("golden, in full float32", lambda: golden(device, exact=True))
    for dtype in ("bf16", "float32", "nf4", "int8"):
        job.measure(f"tiny, {dtype}", partial(tiny, dtype, device))
    rows, columns = (128, 192) if arguments.toy else (11008, 4096)
    for dtype in ("nf4", "int8"):
        job.measure(f"linear, {dtype}", partial(linear, dtype, rows, columns, device))
    for dtype in ("float32", "bf16"):
        job.measure(f"streaming, {dtype}", partial(streaming, device, dtype))
    for dtype in ("bf16", "nf4"):
        job.measure(f"low memory, {dtype}", partial(low_memory, device, dtype))
    measurements = job.results["measurements"]
    job.results["passed"] = {
        name: bool(measurement.get("passed")) for name, measurement in measurements.items()
    }
    print(json.dumps(job.results["passed"], indent=1))
    return job.finish()


if __name__ == "__main__":
    sys.exit(main())
