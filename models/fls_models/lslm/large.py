"""What the large models share: they hear with a tower of their own, and read what they heard.

Such a model is a `SpeechEncoder` and a `LanguageModel` in one, as its embeddings are made for no
other. Everything around the hidden states is here; each family's file knows its own tower.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, WhisperFeatureExtractor

from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import DamagedWeights, UsageError
from fls_models.extractor.density import FoldedCtcHead
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.decoder_inputs import DecoderComponents
from fls_models.lslm.transformers_body import TransformersBody
from fls_models.weights.conversion.install import PROCESSOR, open_tensors
from fls_models.weights.conversion.inventory import modules
from fls_models.weights.conversion.quantization import fill

_HEAD = ("linear.weight", "projector.weight", "projector.bias")
AUDIO = "<|AUDIO|>"
"""Where the chat templates of these families put a recording."""


class LargeSpeechLM(DecoderLanguageModel):
    """A large speech-language model on one device, from a folder that `conversion.install` wrote.

    With `low_memory`, the embedding table stays on the host, and the tower is on the device only
    while it encodes. `head` is a CTC head for a model that comes without one.
    """

    def __init__(
        self,
        folder: Path,
        raw: Mapping[str, Any],
        device: torch.device,
        *,
        low_memory: bool = False,
        head: Path | None = None,
    ) -> None:
        tensors, dtype = open_tensors(folder), str(raw["dtype"])
        parts = modules(str(raw["architecture"]), dict(raw))
        tower: Any = parts["audio_tower"]
        body: Any = parts["language_model"]
        host = torch.device("cpu")
        fill(body.embed_tokens, "language_model.embed_tokens", tensors, dtype, host)
        if not low_memory:
            body.embed_tokens.to(device)
        for name, module in parts.items():
            fill(module, name, tensors, dtype, host if low_memory and module is tower else device)
        self._tower = tower
        self._norm, self._projector = self._take_projection(parts)
        for part in (self._norm, self._projector):
            part.to(device)
        tokenizer = _read(AutoTokenizer, folder / PROCESSOR)
        self._extractor = _read(WhisperFeatureExtractor, folder / PROCESSOR)
        self._low_memory = low_memory
        self._ctc = _folded(tensors, self._norm, head)
        super().__init__(
            DecoderComponents(
                body=TransformersBody(body),
                head=parts["lm_head"],
                table=body.embed_tokens,
                tokenizer=tokenizer,
                template=_Template(tokenizer, _template_of(folder / PROCESSOR, tokenizer)),
                ends=_ends(folder, tokenizer),
                audio=AUDIO,
                form=f"{dtype}-1",
            )
        )

    @abstractmethod
    def _take_projection(self, parts: Mapping[str, nn.Module]) -> tuple[nn.LayerNorm, nn.Module]:
        """Takes the final norm and the projector out of the tower: `project` applies them."""

    def _log_mel(self, samples: Tensor, max_length: int) -> Tensor:
        """(n,) float32, padded to `max_length` samples -> (M, max_length / 160) float32."""
        mel: Tensor = self._extractor(
            samples.numpy(),
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            max_length=max_length,
            return_tensors="pt",
        )["input_features"][0]
        return mel

    @abstractmethod
    def features(self, samples: Tensor) -> Any:
        """What `encode` takes of one window: (n,) float32, n <= 480 000."""

    @abstractmethod
    def _encoded(self, features: Sequence[Any]) -> Tensor:
        """(B, 750, D) after pooling and before the final norm."""

    @property
    def hidden_width(self) -> int:
        """D."""
        return int(self._norm.weight.shape[0])

    @property
    def final_norm(self) -> nn.LayerNorm:
        """The encoder's final norm, which `project` and a CTC head begin with."""
        return self._norm

    @property
    def ctc_tokens(self) -> int | None:
        """V, without the blank; None where there is no CTC head."""
        return None if self._ctc is None else len(self._ctc.weight) - 1

    @torch.inference_mode()
    def encode(self, features: Sequence[Any]) -> Tensor:
        if self._low_memory:
            self._tower.to(self.device)
        return self._encoded(features)

    def blank_probability(self, hidden: Tensor) -> Tensor:
        if self._ctc is None:
            return torch.zeros(len(hidden), device=hidden.device)
        return self._ctc.blank_probability(hidden)

    def token_log_probabilities(self, hidden: Tensor, tokens: Tensor) -> Tensor | None:
        return None if self._ctc is None else self._ctc.log_probabilities(hidden, tokens)

    @torch.inference_mode()
    def project(self, hidden: Tensor) -> Tensor:
        projected: Tensor = self._projector(self._norm(hidden.to(self._norm.weight)))
        return projected

    def _forward(self, *values: Any, **named: Any) -> Tensor:
        if self._low_memory and self._tower.device != torch.device("cpu"):
            self._tower.to("cpu")
        return super()._forward(*values, **named)


@dataclass(frozen=True)
class _Template:
    """The chat template that came with the weights; tokenizers are saved without one for audio."""

    tokenizer: Any
    text: str

    def apply_chat_template(self, messages: list[dict[str, Any]], **options: Any) -> Any:
        return self.tokenizer.apply_chat_template(messages, chat_template=self.text, **options)


def _read(kind: Any, folder: Path) -> Any:
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedWeights(
            f"{folder} holds no usable tokenizer or feature extractor ({error}); pull it again."
        ) from error


def _template_of(folder: Path, tokenizer: Any) -> str:
    """The template of the processor; it lies in a file of its own, of one form or the other."""
    if (file := folder / "chat_template.jinja").is_file():
        return file.read_text("utf-8")
    if (file := folder / "chat_template.json").is_file():
        return str(json.loads(file.read_text("utf-8"))["chat_template"])
    if isinstance(tokenizer.chat_template, str):
        return tokenizer.chat_template
    raise DamagedWeights(f"{folder} has no chat template; pull the model again.")


def _ends(folder: Path, tokenizer: Any) -> set[int]:
    """Tokens that end a reply: the tokenizer's, the template's, and what generation_config says."""
    ends = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}
    if (file := folder / "generation_config.json").is_file():
        eos_ids = json.loads(file.read_text("utf-8")).get("eos_token_id", [])
        ends |= set(eos_ids if isinstance(eos_ids, list) else [eos_ids])
    return {int(token) for token in ends if token is not None}


def _folded(
    tensors: Mapping[str, Tensor], norm: nn.LayerNorm, head: Path | None
) -> FoldedCtcHead | None:
    """The CTC head beside the norm, its two linear maps multiplied out; one that is given wins."""
    head_tensors = tensors if head is None else _read_head(head)
    if "ctc_decoder.linear.weight" not in head_tensors:
        return None
    width, device = norm.weight.shape[0], norm.weight.device
    linear, inner, bias = (
        head_tensors[f"ctc_decoder.{name}"].to(device, torch.float32) for name in _HEAD
    )
    fits = inner.ndim == 2 and linear.ndim == 2 and bias.shape == inner.shape[:1]
    if not fits or inner.shape[1] != width or linear.shape[1] != len(inner):
        raise UsageError(
            f"The CTC head maps {tuple(inner.shape)} and {tuple(linear.shape)}; frames of this "
            f"model have width {width}. --head takes one that was trained for it."
        )
    weights = norm.weight.float(), norm.bias.float(), linear @ inner, linear @ bias
    return FoldedCtcHead(*weights, eps=norm.eps)


def _read_head(head: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(head)
    except (OSError, SafetensorError) as error:
        raise UsageError(
            f"{head} is no CTC head ({error}); --head takes a safetensors file."
        ) from error
    by_name = {name.rpartition("ctc_decoder.")[2]: value for name, value in tensors.items()}
    if missing := [name for name in _HEAD if name not in by_name]:
        raise UsageError(f"{head} is no CTC head: {', '.join(missing)} is missing.")
    return {f"ctc_decoder.{name}": by_name[name] for name in _HEAD}
