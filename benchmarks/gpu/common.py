"""What the jobs in this folder share: paths, results that survive a kill, a random model, audio.

Importing it makes `fls_models` and the tests' helpers importable from any folder. Nothing here
needs a GPU, so that a rehearsal (`--toy`) takes the same steps on a CPU.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "models"), str(ROOT / "tests" / "models")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils import collect_env  # noqa: E402

Array = NDArray[np.float32]
RATE = 16_000

AUDIO: dict[str, Any] = {
    "model_type": "qwen2_audio_encoder",
    "num_mel_bins": 128,
    "d_model": 1280,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "max_source_positions": 1500,
}
TEXT: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000,
    "vocab_size": 156032,
    "tie_word_embeddings": False,
}
"""Qwen2-Audio-7B-Instruct, and the released CTC head's classes without the blank."""
CTC_TOKENS = 10_000


@dataclass(frozen=True)
class Sizes:
    """A model's dimensions: the real ones, or such as a CPU computes in no time."""

    name: str
    audio: Mapping[str, Any]
    text: Mapping[str, Any]
    ctc: int


REAL = Sizes("qwen2-audio-7b", AUDIO, TEXT, CTC_TOKENS)
TOY = Sizes(
    "toy",
    {
        **AUDIO,
        "num_mel_bins": 16,
        "d_model": 64,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 64,
    },
    {
        **TEXT,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 4096,
    },
    24,
)


def plain_parser(description: str | None) -> argparse.ArgumentParser:
    """Whose help shows a script's docstring as it is."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that every job takes."""
    parser = plain_parser(description)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder for the JSON")
    parser.add_argument("--wheels", type=Path, help="folder with wheels to install, offline")
    parser.add_argument("--minutes", type=float, default=9.0, help="begin nothing after so long")
    parser.add_argument("--toy", action="store_true", help="a rehearsal: tiny, on the CPU")
    parser.add_argument(
        "--place",
        type=Path,
        default=Path(tempfile.gettempdir()) / "fls-gpu",
        help="folder on a local disk for the random model (8 to 32 GB)",
    )
    parser.add_argument(
        "--dtype", choices=["nf4", "int8", "bf16", "float32"], help="of the weights"
    )
    return parser


class Job:
    """One script's results: a JSON file that is whole after every measurement.

    What is in the file already is not measured again, so that a job that ran out of time goes on
    where it stopped. An error belongs to its measurement; the others are taken all the same.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.begun = perf_counter()
        self.arguments = arguments
        use_wheels(arguments.wheels)
        on_cpu = arguments.toy or getattr(arguments, "cpu", False)
        self.device = torch.device("cpu" if on_cpu else "cuda")
        if not on_cpu and not torch.cuda.is_available():
            raise SystemExit("No CUDA device; --toy rehearses on the CPU.")
        self.sizes = TOY if arguments.toy else REAL
        self.path = arguments.out / f"{name}.json"
        options = {key: str(value) for key, value in vars(arguments).items()}
        self.results: dict[str, Any] = {"job": name, "toy": arguments.toy, "done": False}
        self.results |= {"machine": machine(), "arguments": options}
        self.results |= {"measurements": {}, "problems": {}}
        earlier = read_json(self.path)
        # Figures of two machines do not belong into one file.
        if earlier and earlier.get("machine", {}).get("gpu") == self.results["machine"]["gpu"]:
            self.results["measurements"] = earlier.get("measurements", {})
        self.left_out: list[str] = []
        self.write()

    def write(self) -> None:
        write_json(self.path, self.results)

    def measure(
        self, key: str, take: Callable[[], Mapping[str, Any]], seconds: float = 0.0
    ) -> dict[str, Any] | None:
        """Takes a measurement unless it is there, or `seconds` are not left. None: it is not."""
        measurements: dict[str, Any] = self.results["measurements"]
        if key in measurements:
            return dict(measurements[key])
        if self.left() < (0.0 if self.arguments.toy else seconds) or self.left() <= 0:
            self.left_out.append(key)
            print(f"{key}: left out, no time", flush=True)
            return None
        try:
            measurements[key] = dict(take())
        except Exception as error:
            # Of an unattended run, the rest is to be had all the same.
            self.results["problems"][key] = {
                "error": f"{type(error).__name__}: {error}",
                "where": traceback.format_exc()[-3000:],
            }
            print(f"{key}: {type(error).__name__}: {error}", flush=True)
            free()
            self.write()
            return None
        self.write()
        print(f"{key}: {line(measurements[key])}", flush=True)
        return dict(measurements[key])

    def left(self) -> float:
        """Seconds in which something may be begun."""
        return float(60 * self.arguments.minutes - (perf_counter() - self.begun))

    def finish(self) -> int:
        """The exit status: 0 done, 3 something was left out for want of time, 1 an error."""
        self.results["left_out"] = self.left_out
        self.results["done"] = not self.left_out and not self.results["problems"]
        self.results["seconds"] = round(perf_counter() - self.begun, 1)
        self.write()
        if self.left_out:
            return 3
        return 1 if self.results["problems"] else 0

    def dtype(self) -> str:
        """What the weights are kept as: asked for, or nf4; bf16 where that is not to be had."""
        if self.arguments.dtype:
            return str(self.arguments.dtype)
        if self.arguments.toy:
            return "float32"
        try:
            library = importlib.import_module("bitsandbytes")
            assert library.cextension.lib.compiled_with_cuda, "no kernels for this CUDA"
        except Exception as error:
            self.results["problems"]["nf4"] = {"error": f"{type(error).__name__}: {error}"}
            return "bf16"
        return "nf4"


def line(values: Mapping[str, Any]) -> str:
    """What fits into a line of a log."""
    short = {key: value for key, value in values.items() if isinstance(value, int | float | str)}
    return "  ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {str(value)[:60]}"
        for key, value in short.items()
    )


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: object) -> None:
    """Writes it beside and moves it there: whoever kills us finds the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(content, indent=1, default=str), "utf-8")
    beside.replace(path)


def use_wheels(folder: Path | None) -> None:
    """Installs the wheels of a folder into a temporary one, once, and makes them importable."""
    if folder is None:
        return
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise SystemExit(f"{folder} holds no wheels.")
    name = "-".join(wheel.name.split("-")[0] for wheel in wheels)
    target = Path(tempfile.gettempdir()) / f"fls-gpu-wheels-{name}"
    if not (target / ".complete").is_file():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        command += ["--no-cache-dir", "--upgrade", "--target", str(target), *map(str, wheels)]
        subprocess.run(command, check=True)
        (target / ".complete").touch()
    # In front: a wheel was brought because the one that is there, if any, would not do.
    sys.path.insert(0, str(target))
    importlib.invalidate_caches()


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    versions = {"torch": str(torch.__version__)}
    for package in ("transformers", "bitsandbytes", "safetensors", "tokenizers", "numpy", "triton"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    facts: dict[str, Any] = {
        "gpu": "none",
        "driver": "none",
        "cuda": torch.version.cuda,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        facts["gpu"] = properties.name
        facts["gpu_memory_gb"] = properties.total_memory / 1e9
        facts["driver"] = str(collect_env.get_nvidia_driver_version(collect_env.run))
    return facts


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def free() -> None:
    """Lets go of what nobody holds, on the device, too."""
    import gc

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def peak(into: dict[str, Any]) -> Iterator[None]:
    """Puts the device memory at its highest into a dictionary, as GB; nothing without a device."""
    free()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    yield
    if torch.cuda.is_available():
        synchronize()
        into["peak_allocated_gb"] = torch.cuda.max_memory_allocated() / 1e9
        into["peak_reserved_gb"] = torch.cuda.max_memory_reserved() / 1e9


def host_peak_gb() -> float:
    """This process's own peak of resident memory; pages of mapped files count."""
    from fls_models.bench.longspeech.peak_memory import PeakMemory

    return PeakMemory(torch.device("cpu")).bytes() / 1e9


def even_spans(count: int, device: torch.device | None = None) -> Tensor:
    """(count, 2) seconds of frames at 25 Hz."""
    edges = torch.arange(count + 1, dtype=torch.float64, device=device) / 25
    return torch.stack([edges[:-1], edges[1:]], dim=-1)


def speech_like(seconds: float, seed: int = 0) -> list[Array]:
    """Noise with the slope and the rhythm of speech, in blocks of a second.

    Syllables, a quarter of a second each, differ in loudness and colour; a fifth of them are
    silent, so that there are pauses to end a section in.
    """
    generator = np.random.default_rng(seed)
    blocks: list[Array] = []
    left = round(seconds * RATE)
    while left > 0:
        count = min(RATE, left)
        noise = generator.standard_normal(count + 15).astype(np.float32)
        dark = np.convolve(noise, np.ones(16, np.float32) / 4, "valid")
        size = RATE // 4
        loud = generator.uniform(0.02, 0.2, -(-count // size)) * (
            generator.random(-(-count // size)) > 0.2
        )
        colour = generator.random(-(-count // size))
        loudness = np.repeat(loud, size)[:count]
        mixed = np.repeat(colour, size)[:count]
        block = loudness * (mixed * dark + (1 - mixed) * noise[:count])
        blocks.append(block.astype(np.float32))
        left -= count
    return blocks


def tensors(sizes: Sizes, device: torch.device, seed: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Random weights by canonical name, one after the other: bfloat16, on the device.

    Normal with a deviation of 0.02, as the models are initialised, and norms of 1: activations
    stay finite. The CTC head is such that its blank comes and goes.
    """
    from fls_models.weights.conversion.inventory import modules

    generator = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int, std: float = 0.02) -> Tensor:
        weights = torch.randn(shape, generator=generator, device=device, dtype=torch.bfloat16)
        return weights.mul_(std)

    config = {"audio_config": dict(sizes.audio), "text_config": dict(sizes.text)}
    for part, module in modules("qwen2_audio", config).items():
        for name, empty in module.state_dict().items():
            if name.endswith("weight") and empty.ndim == 1:
                yield f"{part}.{name}", torch.ones(empty.shape, dtype=torch.bfloat16, device=device)
            else:
                yield f"{part}.{name}", normal(*empty.shape)
    inner, width = int(sizes.text["hidden_size"]), int(sizes.audio["d_model"])
    bias = normal(inner, std=1.0)
    yield "ctc_decoder.projector.weight", normal(inner, width)
    yield "ctc_decoder.projector.bias", bias
    out = normal(sizes.ctc + 1, inner)
    # The blank's logit is about that of all tokens together, give or take two.
    out[-1] = float(np.log(sizes.ctc)) * bias / bias.float().square().sum().to(bias.dtype)
    out[-1] += normal(inner, std=2.0 / (0.02 * (inner * width) ** 0.5))
    yield "ctc_decoder.linear.weight", out


def model_folder(job: Job, dtype: str) -> Path:
    """A model as `conversion.install` writes it, with random weights; made if it is not there."""
    folder = Path(job.arguments.place) / f"{job.sizes.name}-{dtype}"
    if not (folder / "whole").is_file():
        seconds, peaks = write_model(folder, job.sizes, dtype, job.device)
        job.results["model_written"] = {"seconds": seconds, "gb": size_gb(folder)} | peaks
        job.write()
    return folder


def size_gb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


def write_shards(
    weights: Iterable[tuple[str, Tensor]], folder: Path, max_bytes: int
) -> dict[str, str]:
    """Writes weights to files of some more than `max_bytes`; each one's file by its name."""
    from safetensors.torch import save_file

    weight_map: dict[str, str] = {}
    shard: dict[str, Tensor] = {}

    def flush() -> None:
        file = f"model-{len(set(weight_map.values())) + 1:05d}.safetensors"
        save_file(shard, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(shard, file))
        shard.clear()

    for name, weight in weights:
        shard[name] = weight.cpu().contiguous()
        if sum(part.nbytes for part in shard.values()) > max_bytes:
            flush()
    if shard:
        flush()
    return weight_map


def write_model(
    folder: Path, sizes: Sizes, dtype: str, device: torch.device
) -> tuple[float, dict[str, Any]]:
    from fls_models.weights.conversion.formats import FORM
    from fls_models.weights.conversion.install import PROCESSOR
    from fls_models.weights.conversion.quantization import pack

    begun = perf_counter()
    peaks: dict[str, Any] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with peak(peaks), torch.inference_mode():
        named = tensors(sizes, device)
        packed = (part for name, weight in named for part in pack(name, weight, dtype).items())
        weight_map = write_shards(packed, folder, 10**9)
    write_json(folder / "model.index.json", {"weight_map": weight_map})
    settings = {"architecture": "qwen2_audio", "dtype": dtype, "form": FORM}
    settings |= {"audio_config": dict(sizes.audio), "text_config": dict(sizes.text)}
    write_json(folder / "config.json", settings | {"ctc_tokens": sizes.ctc})
    write_processor(folder / PROCESSOR, int(sizes.audio["num_mel_bins"]))
    (folder / "processor" / "generation_config.json").replace(folder / "generation_config.json")
    (folder / "whole").touch()
    free()
    return perf_counter() - begun, peaks


# Trained once on what the project says and asks, so that a question takes few tokens: tables are
# comparable as long as it stays.
_TOKENIZER = Path(__file__).with_name("tokenizer.json")


def write_processor(folder: Path, bins: int) -> None:
    """What turns sound and text into a model's input, with the tokenizer of these benchmarks."""
    import tiny_checkpoints as tiny
    from tokenizers import AddedToken, Tokenizer

    tokenizer = Tokenizer.from_file(str(_TOKENIZER))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in tiny.CONTROL])
    before = tiny._tokenizer, tiny.BINS
    tiny._tokenizer, tiny.BINS = lambda: tokenizer, bins
    try:
        tiny.write_processor(folder)
    finally:
        tiny._tokenizer, tiny.BINS = before


class Ticks:
    """When each token of a reply was there; within it, a reply has as many tokens as it may.

    What random weights say ends anywhere. So nothing ends it, tokens are those that are plain
    text, and a reply that goes round in circles is not cut off.
    """

    def __init__(self, model: Any) -> None:
        self.times: list[float] = []
        self._model = model
        tokenizer = model._tokenizer
        words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        plain = [at for at, word in enumerate(words) if word and word[1:].isascii() and at > 300]
        plain = [at for at in plain if words[at].strip("Ġ").isalpha()]
        self._plain = torch.tensor(plain)

    def __enter__(self) -> Ticks:
        from fls_models.lslm.replies import reply

        self._before = reply.Reply.pick, reply._loops, self._model._parts
        reply.Reply.pick = lambda _, logits: self._pick(logits)
        reply._loops = lambda tokens: False
        self._model._parts = replace(self._model._parts, ends=())
        return self

    def __exit__(self, *_: object) -> None:
        from fls_models.lslm.replies import reply

        reply.Reply.pick, reply._loops, self._model._parts = self._before

    def _pick(self, logits: Tensor) -> int:
        # All of them are looked at, as in earnest; then one that is text is taken.
        int(logits.argmax())
        token = int(self._plain[logits[self._plain].argmax()])
        # Logits lie on the host: whatever they wait for is done.
        self.times.append(perf_counter())
        return token
