"""Optimiser, learning rate of each step, and the optimiser's state as named tensors."""

import math

import torch
from torch import Tensor, nn

from neoresponse.errors import RunError
from neoresponse.settings import TrainSettings

_PREFIX = "optimiser/"


def make_optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Adam (Guo 2024, Experiments) or AdamW; on a GPU in one pass.

    AdamW's decay leaves biases, norms and other lone vectors alone.
    """
    parameters = list(model.parameters())
    fused = all(parameter.device.type == "cuda" for parameter in parameters) or None
    if settings.optimiser == "adam":
        return torch.optim.Adam(parameters, lr=settings.learning_rate, fused=fused)
    groups = [
        {
            "params": [p for p in parameters if (p.ndim >= 2) == is_matrix],
            "weight_decay": settings.weight_decay if is_matrix else 0.0,
        }
        for is_matrix in (True, False)
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=fused)


def learning_rate(settings: TrainSettings, *, step: int, steps_per_epoch: int) -> float:
    """The learning rate of one step: linear warm-up, then constant or half a cosine.

    It follows from the step's number alone, so no state of a schedule needs to be saved.

    Args:
        settings: of the training.
        step: steps taken before it, from the first epoch on.
        steps_per_epoch: steps of an epoch.
    """
    peak = settings.learning_rate
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return peak
    total = settings.epochs * steps_per_epoch
    done = (step - warmup) / max(1, total - 1 - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use this learning rate from the next step on."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_gradients(model: nn.Module, max_norm: float | None) -> Tensor:
    """The norm of all gradients together; larger ones are scaled down where there is a limit."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if max_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def state_tensors(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state, each tensor under its parameter's name."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{_PREFIX}{key}/{name}"] = torch.as_tensor(value)
    return tensors


def restore_state(
    optimiser: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Put saved state back.

    Raises:
        RunError: a tensor belongs to no parameter of the model.
    """
    parameters = dict(model.named_parameters())
    for full_name, tensor in tensors.items():
        if not full_name.startswith(_PREFIX):
            continue
        key, _, name = full_name.removeprefix(_PREFIX).partition("/")
        if name not in parameters:
            raise RunError(
                f"{full_name}: expected a parameter of this network, got none of that name. "
                "The checkpoint is foreign: run train again with --force."
            )
        parameter = parameters[name]
        # Adam keeps its step counter on the CPU, but for the one-pass kind.
        stays = key == "step" and not optimiser.defaults["fused"]
        device = tensor.device if stays else parameter.device
        optimiser.state[parameter][key] = tensor.to(device)
