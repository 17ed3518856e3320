"""Which class runs which large model."""

import json
from pathlib import Path
from typing import Any

import torch

from fls_models.errors import DamagedWeights
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.qwen2_5_omni import Qwen25Omni
from fls_models.lslm.qwen2_audio import Qwen2Audio

_FAMILIES = {"qwen2_audio": Qwen2Audio, "qwen2_5_omni": Qwen25Omni}


def load(
    folder: Path, *, device: str = "cpu", low_memory: bool = False, head: Path | None = None
) -> LargeSpeechLM:
    """The model in a folder that `fls_models.weights.conversion.install.install` wrote.

    `head` is safetensors with the released CTC head's names. Raises DamagedWeights for a folder
    that is not whole, UsageError for a head that does not fit.
    """
    try:
        raw: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        family = _FAMILIES[raw["architecture"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedWeights(
            f"{folder} holds no whole model ({error!r}); remove it and pull it again."
        ) from error
    return family(folder, raw, torch.device(device), low_memory=low_memory, head=head)
