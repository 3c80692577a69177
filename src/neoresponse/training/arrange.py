"""How a training uses the machine: algorithms, memory, compiled code. None changes what is learnt.

What each costs and gives: docs/explanation/speed.md.
"""

import ctypes
import shutil
import sys
from contextlib import AbstractContextManager
from typing import cast

import torch
from torch import nn

from neoresponse.data.forward import Precision
from neoresponse.errors import ConfigError, RunError
from neoresponse.models.crossformer import Block, CrossFormer, Stage
from neoresponse.models.linear import has_bfloat16
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import TrainSettings

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt
_KEPT_BYTES = 2**30
_MAX_SHAPES = 4096
"""Graphs of all blocks together, far more than there are; at the limit torch goes on uncompiled."""


def arrange(network: SECrossT, settings: TrainSettings) -> None:
    """Compile the network, or let it forget activations, as the settings wish.

    Raises:
        ConfigError: activations are to be made again in a network that is no CrossFormer.
        RunError: there is no C++ compiler.
    """
    if settings.checkpoint_activations:
        recompute_activations(network)
    if settings.compile:
        if not any(shutil.which(name) for name in ("g++", "clang++", "cl")):
            raise RunError(
                "train.compile: expected a C++ compiler, got none. Install g++ or set it to false."
            )
        compile_parts(network)


def compile_parts(network: SECrossT, *, backend: str = "inductor") -> None:
    """Compile what repeats: CrossFormer's blocks, each shape of them once; else the network.

    Args:
        network: compiled at its first batch of each shape; its parameters keep their names.
        backend: as torch names it.
    """
    blocks: list[nn.Module] = [part for part in network.modules() if isinstance(part, Block)]
    torch._dynamo.config.recompile_limit = _MAX_SHAPES
    torch._dynamo.config.accumulated_recompile_limit = _MAX_SHAPES
    for part in blocks or [network]:
        part.compile(dynamic=False, backend=backend)


def uncompiled() -> AbstractContextManager[object]:
    """Compiled parts run as they are written inside: only training's shapes are worth compiling."""
    eager: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return eager


def choose_precision(wish: str, device: torch.device) -> Precision:
    """Number format of the forward pass; `auto` is bfloat16 on a GPU that has it, else float32.

    Raises:
        ConfigError: bfloat16 is asked for on a processor that has none.
    """
    is_on_gpu = device.type == "cuda"
    if wish == "auto":
        is_half = is_on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if is_half else "float32"
    if wish == "bfloat16" and not is_on_gpu and not has_bfloat16():
        raise ConfigError(
            "train.precision: expected `float32` on this processor, got `bfloat16`, for which it "
            "has no instructions and needs many times as long. Set it to float32."
        )
    return "bfloat16" if wish == "bfloat16" else "float32"


def choose_algorithms(device: torch.device) -> None:
    """The same bytes on the same machine: on a CPU always, on a GPU wherever torch has a way.

    On a GPU an algorithm without such a way warns once and runs (the largest of a pooling window
    in VGG and ResNet is one); the products of matrices repeat themselves there as long as one
    stream is used, which is so here.
    """
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # Fresh memory is written before it is read in every network here; filling it first costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Float32 means float32: a GPU would round what enters a convolution to ten bits of mantissa.
    torch.backends.cudnn.allow_tf32 = False


def keep_memory() -> None:
    """Let the process keep freed memory for the next step, where the C library is glibc.

    By default large blocks go back to the system at once, and every step pays for fresh pages.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def recompute_activations(network: SECrossT) -> None:
    """Tell every CrossFormer to keep only what enters its blocks."""
    for trunk, _ in network.streams():
        if not isinstance(trunk.backbone, CrossFormer):
            raise ConfigError(
                "train.checkpoint_activations: expected backbone `crossformer`, got another. "
                "Set it to false."
            )
        for stage in trunk.backbone.layers:
            cast(Stage, stage).is_recomputed = True
