"""Whisper's encoder in torch: what CTranslate2 computes of a window, in batches on a GPU.

`convert` makes its weights of a CTranslate2 file, where they are packed; the rest runs where
training does. Letters: B clips, n samples, T frames at 25 Hz, W the encoder's width.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fls_models.audio.whisper.checkpoint import read_variables

WEIGHTS = "encoder.safetensors"
_FFT, _HOP, _MELS = 400, 160, 80
# A microphone and a room colour what they hear by so many dB, in curves of so many points.
_COLOUR, _POINTS = 6.0, 8


def convert(model: Path, target: Path) -> None:
    """From CTranslate2's `model.bin` to safetensors, float16, by the names of transformers.

    Raises ValueError for a file of another version, and where weights are 8-bit.
    """
    variables = read_variables(model)
    names = {
        "conv1.weight": "conv1/weight",
        "conv1.bias": "conv1/bias",
        "conv2.weight": "conv2/weight",
        "conv2.bias": "conv2/bias",
        "embed_positions.weight": "position_encodings/encodings",
        "layer_norm.weight": "layer_norm/gamma",
        "layer_norm.bias": "layer_norm/beta",
    }
    ends = "/ffn/linear_0/weight"
    count = sum(name.startswith("encoder/") and name.endswith(ends) for name in variables)
    weights: dict[str, Tensor] = {}
    for layer in range(count):
        new, old = f"layers.{layer}", f"layer_{layer}"
        pairs = {
            "self_attn.out_proj": "self_attention/linear_1",
            "fc1": "ffn/linear_0",
            "fc2": "ffn/linear_1",
        }
        for target_name, source_name in pairs.items():
            for side in ("weight", "bias"):
                names[f"{new}.{target_name}.{side}"] = f"{old}/{source_name}/{side}"
        norms = {
            "self_attn_layer_norm": "self_attention/layer_norm",
            "final_layer_norm": "ffn/layer_norm",
        }
        for target_name, source_name in norms.items():
            names[f"{new}.{target_name}.weight"] = f"{old}/{source_name}/gamma"
            names[f"{new}.{target_name}.bias"] = f"{old}/{source_name}/beta"
        for side in ("weight", "bias"):
            joined = variables[f"encoder/{old}/self_attention/linear_0/{side}"]
            for part, value in zip("qkv", joined.chunk(3), strict=True):
                # Keys have no bias in Whisper; CTranslate2 keeps zeros for it.
                if (part, side) != ("k", "bias"):
                    weights[f"{new}.self_attn.{part}_proj.{side}"] = value
    weights |= {name: variables[f"encoder/{place}"] for name, place in names.items()}
    if any(not weight.is_floating_point() for weight in weights.values()):
        raise ValueError(f"{model} is quantised; its weights are to be float16 or float32")
    shape = {
        "d_model": weights["conv2.weight"].shape[0],
        "num_mel_bins": weights["conv1.weight"].shape[1],
        "encoder_layers": count,
        "encoder_attention_heads": int(variables["encoder/num_heads"]),
        "encoder_ffn_dim": weights["layers.0.fc1.weight"].shape[0],
        "max_source_positions": weights["embed_positions.weight"].shape[0],
    }
    halved = {name: value.to(torch.float16).contiguous() for name, value in weights.items()}
    save_file(halved, target, metadata={"shape": json.dumps(shape)})


class Encoder:
    """An encoder from the file that `convert` wrote, on a device and in a precision."""

    def __init__(self, file: Path, device: torch.device, dtype: torch.dtype) -> None:
        from transformers import WhisperConfig, WhisperFeatureExtractor
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        with safe_open(file, "pt") as opened:
            shape: dict[str, Any] = json.loads(opened.metadata()["shape"])
        config = WhisperConfig(**shape)
        config._attn_implementation = "sdpa"
        model: Any = WhisperEncoder(config)
        model.load_state_dict({name: weight.float() for name, weight in load_file(file).items()})
        model.requires_grad_(False).train(False)
        self._model = model.to(device=device, dtype=dtype)
        self._dtype, self.device = dtype, device
        self.width = int(shape["d_model"])
        self._samples = 2 * _HOP * int(shape["max_source_positions"])
        extractor: Any = WhisperFeatureExtractor
        filters = extractor(feature_size=_MELS).mel_filters
        self._filters = torch.as_tensor(filters).float().T.contiguous().to(device)
        self._window = torch.hann_window(_FFT, device=device)

    def log_mel(self, samples: Tensor, colour: Tensor | None = None) -> Tensor:
        """(B, n) -> (B, 80, n / 160); `colour`: (B, 201), factors of the power by frequency."""
        spectrum = torch.stft(samples, _FFT, _HOP, window=self._window, return_complex=True)
        power = spectrum[..., :-1].abs().square()
        if colour is not None:
            power = power * colour[..., None]
        mel = (self._filters @ power).clamp_min(1e-10).log10()
        mel = torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8)
        return (mel + 4) / 4

    @torch.no_grad()
    def __call__(
        self, clips: Sequence[Tensor], generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Frames at 50 Hz of clips (n,) int16, 30 s at most: (2 T, W) float32, each its own.

        With a generator of the device, each clip sounds through another microphone.
        """
        from fls_models.core.constants import frame_count

        sound = pad_sequence([clip.to(self.device) for clip in clips], batch_first=True)
        sound = sound[:, : self._samples].float() / 32768
        sound = torch.nn.functional.pad(sound, (0, self._samples - sound.shape[1]))
        colour = None if generator is None else _colours(len(clips), generator)
        mel = self.log_mel(sound, colour).to(self._dtype)
        hidden: Tensor = self._model(mel).last_hidden_state.float()
        owned = (2 * frame_count(min(len(clip), self._samples)) for clip in clips)
        return [clip[:own] for clip, own in zip(hidden, owned, strict=True)]


def _colours(count: int, generator: torch.Generator) -> Tensor:
    """Smooth curves over frequency, (count, 201)."""
    noise = torch.randn(count, 1, _POINTS, generator=generator, device=generator.device)
    points = noise * _COLOUR / 2
    curve = torch.nn.functional.interpolate(
        points.clamp(-_COLOUR, _COLOUR), _FFT // 2 + 1, mode="linear", align_corners=True
    )
    return 10 ** (curve[:, 0] / 10)
