"""Squeeze-and-excitation: a gate per channel from the mean of every channel.

Source: Hu, Shen and Sun, Squeeze-and-Excitation Networks, CVPR 2018.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Excite(Protocol):
    """Makes the excitation of an embedding from the widths of its scales and a reduction."""

    def __call__(self, widths: Sequence[int], *, ratio: int) -> nn.Module:
        """Make it."""


def excite_together(widths: Sequence[int], *, ratio: int) -> nn.Module:
    """One excitation over all scales of an embedding: each is weighed against the others."""
    return SqueezeExcite(sum(widths), ratio=ratio)


class SqueezeExcite(nn.Module):
    """Weighs the channels of a map against each other.

    z = mean over the map; y = x * sigmoid(W2 relu(W1 z)), without biases unless asked for. W1 is
    (hidden, channels) with hidden = channels / ratio, at least 1.
    """

    def __init__(self, channels: int, *, ratio: int, bias: bool = False) -> None:
        """Build the two layers.

        Args:
            channels: of the map.
            ratio: how many times narrower the layer between is.
            bias: whether the two layers have biases.
        """
        super().__init__()
        hidden = max(1, channels // ratio)
        self.fc1 = nn.Linear(channels, hidden, bias=bias)
        self.fc2 = nn.Linear(hidden, channels, bias=bias)

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


class PerScaleExcite(nn.Module):
    """An own excitation for each scale of an embedding.

    A gate hangs on the mean of its own scale's channels alone; so exciting each scale before the
    concatenation is the same as exciting its slice of the concatenated map, which is done here.
    """

    def __init__(self, widths: Sequence[int], *, ratio: int) -> None:
        """Build one excitation per scale.

        Args:
            widths: channels of each scale, in the order of concatenation.
            ratio: reduction of each, with at least one hidden unit.
        """
        super().__init__()
        self.widths = list(widths)
        self.scales = nn.ModuleList(SqueezeExcite(width, ratio=ratio) for width in widths)

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Excite the channels of each scale by themselves."""
        parts = torch.split(grid, self.widths, dim=-1)
        return torch.cat([se(part) for se, part in zip(self.scales, parts, strict=True)], dim=-1)


class JointExcite(nn.Module):
    """One excitation over the channels of several streams.

    Streams stand one after the other in the batch. z = [z0; z1] holds the means of both, and a gate
    of either stream sees all of z: an image can call for a channel of the other.
    """

    def __init__(self, widths: Sequence[int], *, ratio: int, num_streams: int) -> None:
        """Build the layers.

        Args:
            widths: channels of each scale of one stream.
            ratio: reduction of the channels of all streams together.
            num_streams: maps that stand one after the other in the batch.
        """
        super().__init__()
        self.num_streams = num_streams
        self.se = SqueezeExcite(num_streams * sum(widths), ratio=ratio)

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Excite; the batch is [all of the first stream; all of the second]."""
        both = torch.cat(grid.chunk(self.num_streams), dim=-1)  # (SB, H, W, C) -> (B, H, W, SC)
        excited: Tensor = self.se(both)
        return torch.cat(excited.chunk(self.num_streams, dim=-1))
