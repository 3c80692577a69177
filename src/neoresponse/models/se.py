"""Squeeze-and-excitation: a gate per channel from the mean of every channel.

Source: Hu, Shen and Sun, Squeeze-and-Excitation Networks, CVPR 2018.
"""

from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weighs the channels of a map against each other.

    z = mean over the map; y = x * sigmoid(W2 relu(W1 z)); no biases. W1 is (hidden, channels) with
    hidden = channels / ratio, at least 1.
    """

    def __init__(self, channels: int, *, ratio: int) -> None:
        """Build the two layers.

        Args:
            channels: of the map.
            ratio: how many times narrower the layer between is.
        """
        super().__init__()
        hidden = max(1, channels // ratio)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Multiply each channel by its gate."""
        return grid * self.gate(grid)[:, None, None, :]

    def gate(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch channels"]:
        """The weight of each channel, in (0, 1)."""
        squeezed = grid.mean(dim=(1, 2))
        gate: Tensor = self.fc2(self.fc1(squeezed).relu()).sigmoid()
        return gate
