"""Weights in 4 bits, in 8 bits or as they are: how they are kept, how modules are filled with them.

Only the linear layers inside the language model's blocks are ever quantised, by bitsandbytes, and
they are kept as its own layers keep them. Whose names the tensors have is `layout`'s affair.
"""

import inspect
import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fls_models.core.optional import installing, optional
from fls_models.errors import DamagedWeights, EnvironmentLacks, UsageError
from fls_models.weights.conversion.formats import DTYPES as DTYPES
from fls_models.weights.conversion.formats import checked_dtype

_LINEAR = re.compile(r"language_model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj\.weight")
_BLOCK = 64
_STATE = "quant_state.bitsandbytes__nf4"
_NF4 = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", _STATE)
_PURPOSE, _OTHERWISE = "Quantising to 4 or 8 bits", "; bf16 does without"
# From here on, a feature of the activations is multiplied in 16 bits: the paper's own threshold.
_OUTLIER = 6.0


def plain_dtype(dtype: str) -> torch.dtype:
    """What everything has that is not quantised."""
    return torch.float32 if dtype == "float32" else torch.bfloat16


def is_quantised(name: str, dtype: str) -> bool:
    """Whether the tensor with that canonical name is kept in fewer than 16 bits."""
    return dtype in ("nf4", "int8") and _LINEAR.fullmatch(name) is not None


def pack(name: str, weight: Tensor, dtype: str) -> dict[str, Tensor]:
    """The tensors to keep for one tensor of a model: (N, K) for a linear layer's weight."""
    checked_dtype(dtype)
    if not is_quantised(name, dtype):
        return {name: weight.to(plain_dtype(dtype)).contiguous()}
    functional: Any = bitsandbytes().functional
    # Minutes on a CPU are seconds on a GPU.
    weight = weight.to("cuda" if torch.cuda.is_available() else "cpu")
    if dtype == "int8":
        rows, scale, _ = functional.int8_vectorwise_quant(weight.to(torch.float16))
        return {name: rows.cpu(), f"{name.removesuffix('.weight')}.SCB": scale.cpu()}
    if weight.shape[1] % _BLOCK:
        raise UsageError(
            f"{name} has rows of {weight.shape[1]}: 4 bits take multiples of {_BLOCK}. Use int8."
        )
    packed, state = functional.quantize_4bit(
        weight.to(torch.bfloat16).contiguous(),
        blocksize=_BLOCK,
        compress_statistics=True,
        quant_type="nf4",
    )
    tensors = {name: packed} | {f"{name}.{key}": x for key, x in state.as_dict(True).items()}
    return {key: part.cpu() for key, part in tensors.items()}


@torch.no_grad()
def fill(
    module: nn.Module,
    prefix: str,
    tensors: Mapping[str, Tensor],
    dtype: str,
    device: torch.device | str,
) -> None:
    """Gives a module that was built on the meta device its weights, one after the other.

    Args:
        module: changed in place: linear layers become those of bitsandbytes where `dtype` asks
            for it, buffers that are no weights are computed.
        prefix: `tensors` has the module's parameter `x` as `prefix.x`.
        tensors: what `pack` made; read by name, so it may read from files.

    Raises DamagedWeights for tensors that are missing or of another shape.
    """
    checked_dtype(dtype)
    if dtype in ("nf4", "int8") and torch.device(device).type == "cuda":
        _check_kernels()
    for name, linear in list(module.named_modules()):
        path = f"{prefix}.{name}"
        if isinstance(linear, nn.Linear) and is_quantised(f"{path}.weight", dtype):
            make_layer = _nf4_linear if dtype == "nf4" else _int8_linear
            layer = make_layer(path, linear, tensors, torch.device(device))
            if linear.bias is not None:
                layer.bias = _parameter(f"{path}.bias", linear.bias, tensors, dtype, device)
            module.set_submodule(name, layer)
    for name, part in list(module.named_modules()):
        compute_buffers(module, name, part, device)
    for name, part in module.named_modules():
        path = f"{prefix}.{name}" if name else prefix
        for key, value in list(part.named_parameters(recurse=False)):
            if value.is_meta:
                setattr(part, key, _parameter(f"{path}.{key}", value, tensors, dtype, device))
        for key, value in list(part.named_buffers(recurse=False)):
            if value.is_meta:
                filled_buffer = _parameter(f"{path}.{key}", value, tensors, dtype, device)
                setattr(part, key, filled_buffer.data)
    module.train(False)


def bitsandbytes() -> Any:
    """The library that quantises; EnvironmentLacks says how to get it."""
    # It warns of every cast in every layer, and of kernels that nobody asked for.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if "bitsandbytes" in sys.modules or "kernels" in sys.modules:
        return optional("bitsandbytes", _PURPOSE, otherwise=_OTHERWISE)
    # On some CPUs (AVX-512 with bfloat16) 0.50 fetches compiled code from the hub when it is
    # imported, if the package `kernels` is there. Nothing that is downloaded is executed here.
    sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        return optional("bitsandbytes", _PURPOSE, otherwise=_OTHERWISE)
    finally:
        del sys.modules["kernels"]


def _check_kernels() -> None:
    # A bitsandbytes without kernels for the installed CUDA loads, and fails in the first layer.
    if not bitsandbytes().cextension.lib.compiled_with_cuda:
        raise EnvironmentLacks(
            "This bitsandbytes has no kernels for the CUDA that torch brings; "
            f"`{installing('-U', 'bitsandbytes')}` brings newer ones, or choose bf16."
        )


def fetch(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """A tensor by its name; DamagedWeights where it is missing."""
    try:
        return tensors[name]
    except KeyError:
        raise DamagedWeights(
            f"The weights lack {name}; remove the model and install it again."
        ) from None


def _misshapen(name: str, value: object, target: object) -> DamagedWeights:
    return DamagedWeights(
        f"{name} is {value} and has to be {target}; remove the model and install it again."
    )


def _parameter(
    name: str,
    empty: Tensor,
    tensors: Mapping[str, Tensor],
    dtype: str,
    device: torch.device | str,
) -> nn.Parameter:
    value = fetch(name, tensors)
    if value.shape != empty.shape:
        raise _misshapen(name, tuple(value.shape), tuple(empty.shape))
    target = plain_dtype(dtype) if value.is_floating_point() else value.dtype
    return nn.Parameter(value.to(device=device, dtype=target), requires_grad=False)


def _nf4_linear(
    path: str, linear: nn.Linear, tensors: Mapping[str, Tensor], device: torch.device
) -> Any:
    layers: Any = bitsandbytes().nn
    name = f"{path}.weight"
    packed = fetch(name, tensors)
    state = {key: fetch(f"{name}.{key}", tensors) for key in _NF4}
    shape = [linear.out_features, linear.in_features]
    try:
        stored_shape = json.loads(bytes(state[_STATE].tolist()))["shape"]
    except (ValueError, KeyError, TypeError) as error:
        raise _misshapen(f"{name}.{_STATE}", "unreadable", "a description") from error
    if stored_shape != shape or packed.numel() * 2 != shape[0] * shape[1]:
        raise _misshapen(name, stored_shape, shape)
    layer = layers.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        compute_dtype=torch.bfloat16,
        compress_statistics=True,
        quant_type="nf4",
        device="meta",
    )
    layer.weight = layers.Params4bit.from_prequantized(
        data=packed, quantized_stats=state, requires_grad=False, device=device, module=layer
    )
    return layer


def _int8_linear(
    path: str, linear: nn.Linear, tensors: Mapping[str, Tensor], device: torch.device
) -> Any:
    layers: Any = bitsandbytes().nn
    rows, scale = fetch(f"{path}.weight", tensors), fetch(f"{path}.SCB", tensors)
    shape = (linear.out_features, linear.in_features)
    if rows.shape != shape or rows.dtype != torch.int8 or scale.shape != shape[:1]:
        raise _misshapen(f"{path}.weight", f"{rows.dtype} {tuple(rows.shape)}", f"int8 {shape}")
    layer = layers.Linear8bitLt(
        linear.in_features,
        linear.out_features,
        bias=linear.bias is not None,
        has_fp16_weights=False,
        threshold=_OUTLIER,
        device="meta",
    )
    data = rows.to(device)
    layer.weight = layers.Int8Params(
        data, requires_grad=False, has_fp16_weights=False, CB=data, SCB=scale.to(device)
    )
    return layer


def compute_buffers(
    module: nn.Module, name: str, part: nn.Module, device: torch.device | str
) -> None:
    """Puts a real module in the place of one whose buffers are no weights.

    Positions and rotary frequencies are computed when such a module is made, which on the meta
    device came to nothing. It is made again from its own attributes, which bear the names of the
    arguments it was made with.
    """
    computed = (part._buffers[key] for key in part._non_persistent_buffers_set)
    if not any(buffer is not None and buffer.is_meta for buffer in computed):
        return
    arguments = list(inspect.signature(type(part).__init__).parameters)[1:]
    # Some releases of transformers take a device, too, and keep nothing of it.
    attributes = [argument for argument in arguments if hasattr(part, argument)]
    fresh_module = type(part)(**{argument: getattr(part, argument) for argument in attributes})
    module.set_submodule(name, fresh_module.to(device))
