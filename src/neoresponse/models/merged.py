"""Dou-Ult that merges its two time points early: two streams in, one stream on.

A reading of "shares features when extracting low-level features"; see docs/explanation/paper.md.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.models.neck import MERGED
from neoresponse.models.pathway import Images, Masks, Pathway, Trunk, without_missing


class Merge(nn.Module):
    """Two maps -> one, place by place: W [f0; f1] + b.

    It starts as the mean of the two. At every place of a map whose image is missing stands a
    learned vector.
    """

    def __init__(self, channels: int, *, time_points: tuple[str, str]) -> None:
        """Build the layer, 2 x `channels` -> `channels`, and the vectors for missing images."""
        super().__init__()
        self.time_points = time_points
        self.linear = nn.Linear(2 * channels, channels)
        nn.init.zeros_(self.linear.bias)
        half = torch.eye(channels) / 2
        self.linear.weight.data.copy_(torch.cat([half, half], dim=1))
        self.missing = nn.ParameterDict(
            {name: nn.init.trunc_normal_(torch.empty(channels), std=0.02) for name in time_points}
        )

    def forward(
        self,
        grid: Float[Tensor, "streams height width channels"],
        available: Masks,
    ) -> Float[Tensor, "batch height width channels"]:
        """Merge; the batch is [all of the first time point; all of the second]."""
        both = [
            torch.where(available[name][:, None, None, None], part, self.missing[name])
            for name, part in zip(self.time_points, grid.chunk(2), strict=True)
        ]
        merged: Tensor = self.linear(torch.cat(both, dim=-1))  # (B, H, W, 2C) -> (B, H, W, C)
        return merged


class MergedPathway(Pathway):
    """Two time points through one trunk up to a stage, and as one map from there on.

    Attributes:
        stage: after which they are merged, counted from 1.
    """

    def __init__(self, trunk: Trunk, merge: Merge, *, neck: nn.Module, stage: int = 1) -> None:
        """Put the parts together.

        Args:
            trunk: its position table is made for two time points.
            merge: made for the map after `stage`.
            neck: made for the one vector.
            stage: after which the maps are merged, counted from 1.
        """
        super().__init__()
        self.trunk = trunk
        self.merge = merge
        self.neck = neck
        self.stage = stage
        self.inputs = self.encodes = merge.time_points
        self.vectors = (MERGED,)
        self.is_joint = True

    def encode(
        self, images: Images, available: Masks
    ) -> dict[str, Float[Tensor, "batch features"]]:
        """The one vector of both time points."""
        streams = [without_missing(images[name], available[name]) for name in self.encodes]
        mixers = {self.stage: partial(self.merge, available=available)}
        return {MERGED: self.trunk(torch.cat(streams), mixers)}

    def streams(self) -> list[tuple[Trunk, tuple[str, ...]]]:
        """Both time points in the one trunk."""
        return [(self.trunk, self.encodes)]
