"""Linear layers: their first weights, a faster kernel without gradients, and full precision."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch.nn.modules import module as every_module

_KERNEL = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""oneDNN's linear layer with what follows it in the same pass; not in every build of torch."""


def draw_weights(module: nn.Module) -> None:
    """First weights as in CrossFormer: linear layers normal 0.02, biases zero; for `apply`."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def apply_linear(
    layer: nn.Linear,
    tokens: Float[Tensor, "*batch channels"],
    *,
    then: Literal["none", "gelu"] = "none",
) -> Float[Tensor, "*batch new_channels"]:
    """Run a linear layer, and an exact GELU after it if wanted.

    On a processor without gradients, oneDNN's own kernel is a tenth faster than what torch takes
    for float32, and does the GELU while the result is still at hand.
    """
    if _KERNEL is not None and is_plain(layer, nn.Linear) and _is_inference(layer, tokens):
        out: Tensor = _KERNEL(tokens, layer.weight, layer.bias, then, [], "none")
        return out
    out = layer(tokens)
    return gelu(out) if then == "gelu" else out


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """No autocast inside; `meta`, a device that only counts, does not know autocast at all."""
    if torch.amp.autocast_mode.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def is_plain(layer: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a layer does no more than its kernel: just of this kind, and nobody listens."""
    listeners = (
        layer._forward_hooks,
        layer._forward_pre_hooks,
        every_module._global_forward_hooks,
        every_module._global_forward_pre_hooks,
    )
    return type(layer) is kind and not any(listeners)


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16; else it takes many times as long."""
    is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return is_supported is not None and bool(is_supported())


def _is_inference(layer: nn.Linear, tokens: Tensor) -> bool:
    """Whether the kernel can run: CPU, no gradient, no autocast, one number format it knows."""
    return (
        not torch.is_grad_enabled()
        and tokens.device.type == "cpu"
        and tokens.dtype == layer.weight.dtype
        and _is_known(tokens.dtype)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _is_known(number_format: torch.dtype) -> bool:
    """Whether oneDNN can work in a number format on this processor."""
    if number_format == torch.bfloat16:
        return has_bfloat16()
    return number_format == torch.float32
