"""The optimiser, and its state as named tensors so that it can be saved without pickle."""

import torch
from torch import Tensor, nn

from neoresponse.config import TrainSettings
from neoresponse.errors import RunError

_PREFIX = "optimiser/"


def make_optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Adam with a constant learning rate (Guo 2024, Experiments); on a GPU in one pass."""
    parameters = list(model.parameters())
    on_gpu = all(parameter.device.type == "cuda" for parameter in parameters)
    return torch.optim.Adam(parameters, lr=settings.learning_rate, fused=on_gpu or None)


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
