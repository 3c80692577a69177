"""A moving average of the weights: validated and kept in place of the weights of one step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

PREFIX = "average/"


class WeightAverage:
    """Exponential moving average of a network's state; what is no float is taken as it is.

    The decay starts low, min(decay, (1 + t) / (10 + t)) after t steps, so that the first
    weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the network's weights.

        Args:
            network: whose weights are averaged.
            decay: share of the average that a step leaves.
        """
        self._network = network
        self._decay = decay
        self._average = {name: t.detach().clone() for name, t in network.state_dict().items()}

    @torch.no_grad()
    def update(self, num_steps: int) -> None:
        """Take in the weights after a step; `num_steps` counts this one too."""
        weight = 1 - min(self._decay, (1 + num_steps) / (10 + num_steps))
        current = self._network.state_dict()
        floats = [name for name, tensor in current.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(
            [self._average[name] for name in floats], [current[name] for name in floats], weight
        )
        for name in current.keys() - set(floats):
            self._average[name].copy_(current[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the average inside, and its own weights again after it."""
        own = {name: tensor.detach().clone() for name, tensor in self._network.state_dict().items()}
        self._network.load_state_dict(self._average)
        try:
            yield
        finally:
            self._network.load_state_dict(own)

    def tensors(self) -> dict[str, Tensor]:
        """The average, to be saved."""
        return {f"{PREFIX}{name}": tensor for name, tensor in self._average.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put a saved average back."""
        for name, tensor in self._average.items():
            tensor.copy_(tensors[f"{PREFIX}{name}"])
