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
from collections.abc import Callable, Iterator, Mapping
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


def parser(what: str | None) -> argparse.ArgumentParser:
    """The arguments that every job takes."""
    made = argparse.ArgumentParser(
        description=what, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder for the JSON")
    made.add_argument("--wheels", type=Path, help="folder with wheels to install, offline")
    made.add_argument("--minutes", type=float, default=9.0, help="begin nothing after so long")
    made.add_argument("--toy", action="store_true", help="a rehearsal: tiny, on the CPU")
    made.add_argument(
        "--place",
        type=Path,
        default=Path(tempfile.gettempdir()) / "fls-gpu",
        help="folder on a local disk for the random model (8 to 32 GB)",
    )
    made.add_argument("--dtype", choices=["nf4", "int8", "bf16", "float32"], help="of the weights")
    return made


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
        told = {key: str(value) for key, value in vars(arguments).items()}
        self.found: dict[str, Any] = {"job": name, "toy": arguments.toy, "done": False}
        self.found |= {"machine": machine(), "arguments": told, "measurements": {}, "problems": {}}
        earlier = read_json(self.path)
        # Figures of two machines do not belong into one file.
        if earlier and earlier.get("machine", {}).get("gpu") == self.found["machine"]["gpu"]:
            self.found["measurements"] = earlier.get("measurements", {})
        self.left_out: list[str] = []
        self.write()

    def write(self) -> None:
        write_json(self.path, self.found)

    def measure(
        self, key: str, take: Callable[[], Mapping[str, Any]], seconds: float = 0.0
    ) -> dict[str, Any] | None:
        """Takes a measurement unless it is there, or `seconds` are not left. None: it is not."""
        there: dict[str, Any] = self.found["measurements"]
        if key in there:
            return dict(there[key])
        if self.left() < (0.0 if self.arguments.toy else seconds) or self.left() <= 0:
            self.left_out.append(key)
            print(f"{key}: left out, no time", flush=True)
            return None
        try:
            there[key] = dict(take())
        except Exception as error:
            # Of an unattended run, the rest is to be had all the same.
            self.found["problems"][key] = {
                "error": f"{type(error).__name__}: {error}",
                "where": traceback.format_exc()[-3000:],
            }
            print(f"{key}: {type(error).__name__}: {error}", flush=True)
            free()
            self.write()
            return None
        self.write()
        print(f"{key}: {line(there[key])}", flush=True)
        return dict(there[key])

    def left(self) -> float:
        """Seconds in which something may be begun."""
        return float(60 * self.arguments.minutes - (perf_counter() - self.begun))

    def finish(self) -> int:
        """The exit status: 0 done, 3 something was left out for want of time, 1 an error."""
        self.found["left_out"] = self.left_out
        self.found["done"] = not self.left_out and not self.found["problems"]
        self.found["seconds"] = round(perf_counter() - self.begun, 1)
        self.write()
        if self.left_out:
            return 3
        return 1 if self.found["problems"] else 0

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
            self.found["problems"]["nf4"] = {"error": f"{type(error).__name__}: {error}"}
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
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
    found: dict[str, Any] = {
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
        found["gpu"] = properties.name
        found["gpu_memory_gb"] = properties.total_memory / 1e9
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
            found["driver"] = told.stdout.strip()
        except (OSError, subprocess.SubprocessError) as error:
            found["driver"] = str(error)
    return found


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
    for entry in Path("/proc/self/status").read_text().splitlines():
        if entry.startswith("VmHWM"):
            return int(entry.split()[1]) * 1024 / 1e9
    raise LookupError("VmHWM")


def speech_like(seconds: float, seed: int = 0) -> list[Array]:
    """Noise with the slope and the rhythm of speech, in blocks of a second.

    Syllables, a quarter of a second each, differ in loudness and colour; a fifth of them are
    silent, so that there are pauses to end a section in.
    """
    dice = np.random.default_rng(seed)
    blocks: list[Array] = []
    left = round(seconds * RATE)
    while left > 0:
        count = min(RATE, left)
        noise = dice.standard_normal(count + 15).astype(np.float32)
        dark = np.convolve(noise, np.ones(16, np.float32) / 4, "valid")
        size = RATE // 4
        loud = dice.uniform(0.02, 0.2, -(-count // size)) * (dice.random(-(-count // size)) > 0.2)
        colour = dice.random(-(-count // size))
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

    dice = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int, std: float = 0.02) -> Tensor:
        drawn = torch.randn(shape, generator=dice, device=device, dtype=torch.bfloat16)
        return drawn.mul_(std)

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
    """A model as `installing.install` writes it, with random weights; made if it is not there."""
    folder = Path(job.arguments.place) / f"{job.sizes.name}-{dtype}"
    if not (folder / "whole").is_file():
        seconds, peaks = write_model(folder, job.sizes, dtype, job.device)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        job.found["model_written"] = {"seconds": seconds, "gb": size / 1e9} | peaks
        job.write()
    return folder


def write_model(
    folder: Path, sizes: Sizes, dtype: str, device: torch.device
) -> tuple[float, dict[str, Any]]:
    from safetensors.torch import save_file

    from fls_models.weights.conversion.install import FORM, PROCESSOR
    from fls_models.weights.conversion.quantization import pack

    begun = perf_counter()
    peaks: dict[str, Any] = {}
    folder.mkdir(parents=True, exist_ok=True)
    where: dict[str, str] = {}
    kept: dict[str, Tensor] = {}

    def flush() -> None:
        file = f"model-{len(set(where.values())) + 1:05d}.safetensors"
        save_file(kept, folder / file, metadata={"format": "pt"})
        where.update(dict.fromkeys(kept, file))
        kept.clear()

    with peak(peaks), torch.inference_mode():
        for name, weight in tensors(sizes, device):
            packed = pack(name, weight, dtype)
            kept |= {key: part.cpu().contiguous() for key, part in packed.items()}
            if sum(part.nbytes for part in kept.values()) > 10**9:
                flush()
        if kept:
            flush()
    write_json(folder / "model.index.json", {"weight_map": where})
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
        from fls_models.lslm import decoder

        self._before = decoder._pick, decoder._loops, self._model._parts
        decoder._pick = self._pick
        decoder._loops = lambda tokens: False
        self._model._parts = replace(self._model._parts, ends=())
        return self

    def __exit__(self, *_: object) -> None:
        from fls_models.lslm import decoder

        decoder._pick, decoder._loops, self._model._parts = self._before

    def _pick(self, logits: Tensor, temperature: float, dice: torch.Generator) -> int:
        # All of them are looked at, as in earnest; then one that is text is taken.
        int(logits.argmax())
        token = int(self._plain[logits[self._plain].argmax()])
        # Logits lie on the host: whatever they wait for is done.
        self.times.append(perf_counter())
        return token
