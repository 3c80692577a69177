"""What a backbone is: a stem and four stages that run one by one, then a pooled vector.

Every map that passes between parts is channels-last, (batch, height, width, channels).
"""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

NUM_STAGES = 4


class Backbone(nn.Module, ABC):
    """One image network, cut where other parts may join.

    Attributes:
        channels: width of the map after each stage.
        strides: image pixels per token of each stage's map, along one side.
        num_features: length of the pooled vector.
    """

    channels: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]
    num_features: int

    @abstractmethod
    def stem(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Turn images into the map on which stage 1 works."""

    @abstractmethod
    def stage(
        self, index: int, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """Run one stage; `index` counts from 0."""

    @abstractmethod
    def pool(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch features"]:
        """Final norm, then the mean over the last map."""
