"""LoRA (arXiv 2106.09685) by PEFT on the attention of a model's language model, and on disk.

`Adapted` puts it on, names its parameters, writes it as PEFT does and takes it off again. The base
is never changed; which loss trains it is left to others, and `lora` merges what is written.
"""

import math
import re
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from fls_models.core.files import replacing
from fls_models.core.optional import optional
from fls_models.errors import EnvironmentLacks
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.qwen2_5_omni import Qwen25Omni
from fls_models.weights.conversion.quantization import bitsandbytes

WEIGHTS = "adapter_model.safetensors"

_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
# For PEFT on the whole model of transformers: its tower has projections of these names, too.
_WITHIN = r".*(language_model|thinker\.model)\.(.*\.)?self_attn\.[qkvo]_proj"
_NAME = "default"


@dataclass(frozen=True)
class Settings:
    """Of a LoRA, the paper's by default: `W + alpha / rank * B A`, A's input dropped out."""

    rank: int = 128
    alpha: float = 256
    dropout: float = 0.05

    def __post_init__(self) -> None:
        if self.rank < 1 or not math.isfinite(self.alpha) or not 0 <= self.dropout < 1:
            raise ValueError("rank is at least 1, alpha finite, dropout from 0 to below 1")


class Adapted(AbstractContextManager["Adapted"]):
    """A LoRA on a model's language model; used with `with`, it is taken off in the end.

    A is drawn with `seed`, B is 0: the model answers as before until B is trained. Both are
    float32 whatever the base is in, as updates of a learning rate of 2e-4 are lost in bfloat16.
    With `checkpointing`, activations are computed again on the way back instead of being kept.

    Attributes:
        settings: of the LoRA.
        parameters: all that is trained, by the names that `save` writes, or `connector_weights`.

    Raises:
        EnvironmentLacks: PEFT is not installed.
    """

    def __init__(
        self,
        model: DecoderLanguageModel,
        settings: Settings,
        *,
        seed: int = 0,
        checkpointing: bool = False,
    ) -> None:
        peft, body = _peft(), cast(Any, model.body)
        self.settings = settings
        self._body = body
        config = self._config(target_modules=list(_TARGETS))
        if model.device.type == "cpu":
            # Where the model has answered before, bitsandbytes may have repacked 4 bits for the
            # CPU (see `train`), and unpacks them when they are asked for.
            body.state_dict()
        # PEFT asks the model and not the layers, which `quantization` has put there by itself.
        kinds = {type(module).__name__ for module in body.modules()}
        flags = {
            "is_loaded_in_4bit": "Linear4bit" in kinds,
            "is_loaded_in_8bit": "Linear8bitLt" in kinds,
        }
        body.__dict__.update(flags)
        with torch.random.fork_rng(devices=[]):
            # The CPU's alone: that is where PEFT draws.
            torch.default_generator.manual_seed(seed)
            peft.inject_adapter_in_model(config, body, _NAME)
        for name in (*flags, "peft_config"):
            body.__dict__.pop(name, None)
        self.parameters = self._trainable(_prefix(model))
        if checkpointing:
            _switch(body, "enable", {"use_reentrant": False})
        self._checkpointing = checkpointing
        self.train(False)

    def train(self, mode: bool = True) -> None:
        """With dropout, and computing again if asked for; or (False) as the model answers."""
        self._body.train(mode)
        for module in self._body.modules():
            # When nothing is trained, bitsandbytes repacks 4 bits for some CPUs, and cannot find
            # a way back through what it has packed.
            module.training |= type(module).__name__ == "Linear4bit"

    def save(self, folder: Path, base: str) -> None:
        """Writes `adapter_config.json` and `adapter_model.safetensors` as PEFT does, in float32.

        For large models; a connector has its LoRA in its own folder. `base` is a name for people;
        nothing that reads the adapter here looks for it. Raises EnvironmentLacks when the folder
        cannot be written to.
        """
        config = self._config(
            target_modules=_WITHIN,
            base_model_name_or_path=base,
            task_type="CAUSAL_LM",
            inference_mode=True,
        )
        values = {
            name: value.detach().cpu().contiguous() for name, value in self.parameters.items()
        }
        size = sum(value.nbytes for value in values.values())
        try:
            with replacing(folder / WEIGHTS) as part:
                save_file(values, part, metadata={"format": "pt"})
            # The settings last: a folder with both is whole.
            config.save_pretrained(folder)
        except (OSError, SafetensorError) as error:
            raise EnvironmentLacks(
                f"{folder} cannot be written ({error}); with {size / 1e6:.0f} MB "
                "free there, the same command goes on from what is kept."
            ) from error

    def __exit__(self, *_: object) -> None:
        """The model as it was."""
        if self._checkpointing:
            _switch(self._body, "disable")
        layers = _peft().tuners.lora.LoraLayer
        for name, module in list(self._body.named_modules()):
            if isinstance(module, layers):
                self._body.set_submodule(name, module.get_base_layer())
        self._body.train(False)

    def _config(self, **more: Any) -> Any:
        shape = self.settings
        return _peft().LoraConfig(
            r=shape.rank, lora_alpha=shape.alpha, lora_dropout=shape.dropout, **more
        )

    def _trainable(self, prefix: str) -> dict[str, nn.Parameter]:
        parameters = {}
        for name, parameter in self._body.named_parameters():
            # Nothing but the adapter has a gradient.
            parameter.requires_grad_(f".{_NAME}." in name and ".lora_" in name)
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
                plain = re.sub(rf"\.{_NAME}(?=\.weight$)", "", name)
                parameters[f"{prefix}{plain}"] = parameter
        return parameters


def _prefix(model: DecoderLanguageModel) -> str:
    """Where a released checkpoint of the family has the language model, which PEFT goes by.

    Those of a connector (`connector_weights`) are named from the language model itself.
    """
    if not isinstance(model, LargeSpeechLM):
        return ""
    layout = "thinker.model" if isinstance(model, Qwen25Omni) else "language_model.model"
    return f"base_model.model.{layout}."


def _switch(body: Any, action: str, *arguments: Any) -> None:
    """Checkpointing of activations, which transformers has renamed."""
    renamed = getattr(body, f"activation_checkpointing_{action}", None)
    (renamed or getattr(body, f"gradient_checkpointing_{action}"))(*arguments)


def _peft() -> Any:
    # It imports this, too, where it is installed, and less carefully.
    with suppress(EnvironmentLacks):
        bitsandbytes()
    return optional("peft", "Training an adapter")
