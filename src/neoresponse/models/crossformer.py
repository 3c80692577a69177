"""CrossFormer, with or without squeeze-and-excitation in its cross-scale embeddings.

With `se_ratio` None this is the published network: same parameter names, same numbers. The names
of an official checkpoint are the names here, but for its classifier `head`, which is no part.
Source: Wang et al., CrossFormer, ICLR 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from neoresponse.models.attention import Attention
from neoresponse.models.backbone import NUM_STAGES, Backbone
from neoresponse.models.convolution import apply_convolution
from neoresponse.models.linear import apply_linear, draw_weights
from neoresponse.models.se import Excite, excite_together

PATCH_KERNELS = (4, 8, 16, 32)
MERGE_KERNELS = (2, 4)
MERGE_STRIDE = 2

Four = tuple[int, int, int, int]


@dataclass(frozen=True)
class CrossFormerSizes:
    """Everything that shapes a CrossFormer; one entry per stage where there are four.

    Attributes:
        embed_dim: width of stage 1; doubled at each further stage.
        depths: blocks.
        num_heads: attention heads.
        group_sizes: side of an attention group, in tokens.
        intervals: distance of tokens in long-distance attention; None: map side / group side,
            rounded up.
        mlp_ratios: hidden width of a block's MLP, as a multiple of its width.
        drop_path: largest rate of dropped residual branches, rising linearly with depth.
        se_ratio: reduction of the squeeze-and-excitation, or None for none.
        patch_kernels: kernels of the first embedding.
        merge_kernels: kernels of each further embedding.
    """

    embed_dim: int
    depths: Four
    num_heads: Four
    group_sizes: Four = (7, 7, 7, 7)
    intervals: Four | None = (8, 4, 2, 1)
    mlp_ratios: tuple[float, float, float, float] = (4.0, 4.0, 4.0, 4.0)
    drop_path: float = 0.0
    se_ratio: int | None = None
    patch_kernels: tuple[int, ...] = PATCH_KERNELS
    merge_kernels: tuple[tuple[int, ...], ...] = (MERGE_KERNELS,) * (NUM_STAGES - 1)


NAMED_SIZES = {
    "T": CrossFormerSizes(64, (1, 1, 8, 6), (2, 4, 8, 16), drop_path=0.1),
    "S": CrossFormerSizes(96, (2, 2, 6, 2), (3, 6, 12, 24), drop_path=0.2),
    "B": CrossFormerSizes(96, (2, 2, 18, 2), (3, 6, 12, 24), drop_path=0.3),
    "L": CrossFormerSizes(128, (2, 2, 18, 2), (4, 8, 16, 32), drop_path=0.5),
}
"""The published sizes."""


class CrossFormer(Backbone):
    """The trunk: embedding, four stages, final norm."""

    def __init__(
        self, sizes: CrossFormerSizes, *, excites: Sequence[Excite] = (excite_together,) * 4
    ) -> None:
        """Build the layers and draw their first weights.

        Args:
            sizes: of everything.
            excites: for each embedding, what makes its squeeze-and-excitation; not asked where
                `sizes.se_ratio` is None.
        """
        super().__init__()
        self.sizes = sizes
        widths = [sizes.embed_dim * 2**index for index in range(NUM_STAGES)]
        self.channels = (widths[0], widths[1], widths[2], widths[3])
        self.strides = (4, 8, 16, 32)
        self.num_features = widths[-1]
        self.patch_embed = PatchEmbedding(sizes, excite=excites[0])
        last = sum(sizes.depths) - 1
        rates = [sizes.drop_path * number / max(1, last) for number in range(last + 1)]
        ends = accumulate(sizes.depths)
        nexts = [*excites[1:], None]
        self.layers = nn.ModuleList(
            Stage(sizes, index=index, drop_rates=rates[end - depth : end], next_excite=after)
            for index, (depth, end, after) in enumerate(zip(sizes.depths, ends, nexts, strict=True))
        )
        self.norm = nn.LayerNorm(self.num_features)
        self.apply(draw_weights)

    def stem(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """The first cross-scale embedding: stride 4."""
        grid: Tensor = self.embedding(0)(images)
        return grid

    def stage(
        self, index: int, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """The embedding that opens the stage (the stem has opened the first), then its blocks."""
        if index > 0:
            grid = self.embedding(index)(grid)
        out: Tensor = self.layers[index](grid)
        return out

    def embedding(self, index: int) -> "PatchEmbedding | PatchMerging":
        """The embedding that opens stage `index`, counted from 0."""
        if index == 0:
            return self.patch_embed
        return cast(PatchMerging, self.layers[index - 1].get_submodule("downsample"))

    def pool(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch features"]:
        """Final norm, then the mean over all tokens."""
        pooled: Tensor = self.norm(grid).mean(dim=(1, 2))
        return pooled

    def forward(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch features"]:
        """The pooled vector of each image."""
        grid = self.stem(images)
        for index in range(NUM_STAGES):
            grid = self.stage(index, grid)
        return self.pool(grid)


class CrossScaleConvs(nn.ModuleList):
    """Convolutions with several kernels and one stride, side by side.

    Kernel k is padded by (k - stride) / 2, so all give maps of one size. The smallest kernel gets
    half of the output channels, the next a quarter, and so on; the last two share the rest alike.

    Attributes:
        widths: output channels of each kernel.
    """

    def __init__(self, channels: int, width: int, *, kernels: Sequence[int], stride: int) -> None:
        """Build one convolution per kernel.

        Args:
            channels: of the input.
            width: channels of the output, all kernels together.
            kernels: sides of the kernels, ascending.
            stride: of all of them.
        """
        last = len(kernels) - 1
        widths = [width // 2 ** min(index + 1, last) for index in range(len(kernels))]
        super().__init__(
            nn.Conv2d(channels, part, kernel, stride=stride, padding=(kernel - stride) // 2)
            for part, kernel in zip(widths, kernels, strict=True)
        )
        self.widths = widths

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """Concatenate what all kernels see, smallest first; the output is channels-last."""
        # (B, C, H, W) -> (B, H, W, C)
        maps = [apply_convolution(cast(nn.Conv2d, conv), images) for conv in self]
        return torch.cat(maps, dim=1).permute(0, 2, 3, 1)


class PatchEmbedding(nn.Module):
    """SE-CEL of stage 1: convolutions of the image, excitation over all scales, norm."""

    def __init__(self, sizes: CrossFormerSizes, *, excite: Excite = excite_together) -> None:
        """Build it; `excite` makes the excitation."""
        super().__init__()
        width = sizes.embed_dim
        self.projs = CrossScaleConvs(
            3, width, kernels=sizes.patch_kernels, stride=sizes.patch_kernels[0]
        )
        self.se = _excitation(self.projs.widths, sizes.se_ratio, excite)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Embed images."""
        return self.finish(self.se(self.scales(images)))

    def scales(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """All scales, concatenated, before any excitation."""
        scales: Tensor = self.projs(images)
        return scales

    def finish(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """What follows the excitation: the norm."""
        normed: Tensor = self.norm(grid)
        return normed


class PatchMerging(nn.Module):
    """SE-CEL of stages 2 to 4: norm, convolutions of the map, excitation over all scales."""

    def __init__(
        self,
        width: int,
        *,
        kernels: Sequence[int],
        se_ratio: int | None,
        excite: Excite = excite_together,
    ) -> None:
        """Build it.

        Args:
            width: channels of the incoming map; the outgoing has twice as many.
            kernels: sides of the kernels, ascending.
            se_ratio: reduction of the squeeze-and-excitation, or None.
            excite: makes it.
        """
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.reductions = CrossScaleConvs(width, 2 * width, kernels=kernels, stride=MERGE_STRIDE)
        self.se = _excitation(self.reductions.widths, se_ratio, excite)

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """Halve the map's sides, double its channels."""
        return self.finish(self.se(self.scales(grid)))

    def scales(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """All scales, concatenated, before any excitation."""
        # (B, H, W, C) -> (B, C, H, W)
        scales: Tensor = self.reductions(self.norm(grid).permute(0, 3, 1, 2))
        return scales

    def finish(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """What follows the excitation: nothing, for the norm came first."""
        return grid


class Stage(nn.Module):
    """Blocks of one width, short- and long-distance in turn; and the way to the next stage.

    `downsample` opens the next stage and is run by `CrossFormer.stage`; it is named and kept here
    because official checkpoints have it here.

    Attributes:
        is_recomputed: where gradients are wanted, keep only what enters each block and make the
            rest again in the backward pass.
    """

    def __init__(
        self,
        sizes: CrossFormerSizes,
        *,
        index: int,
        drop_rates: Sequence[float],
        next_excite: Excite | None,
    ) -> None:
        """Build stage `index`, counted from 0.

        Args:
            sizes: of everything.
            index: which stage.
            drop_rates: of its blocks.
            next_excite: makes the excitation of the next embedding; None after the last stage.
        """
        super().__init__()
        width = sizes.embed_dim * 2**index
        self.is_recomputed = False
        self.blocks = nn.ModuleList(
            Block(sizes, index=index, is_long=number % 2 == 1, drop_rate=rate)
            for number, rate in enumerate(drop_rates)
        )
        if next_excite is not None:
            kernels = sizes.merge_kernels[index]
            self.downsample = PatchMerging(
                width, kernels=kernels, se_ratio=sizes.se_ratio, excite=next_excite
            )

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Run the blocks."""
        for block in self.blocks:
            if self.is_recomputed and torch.is_grad_enabled():
                grid = checkpoint(block, grid, use_reentrant=False)
            else:
                grid = block(grid)
        return grid


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, sizes: CrossFormerSizes, *, index: int, is_long: bool, drop_rate: float
    ) -> None:
        """Build one block of stage `index`; a long-distance one if `is_long`."""
        super().__init__()
        width = sizes.embed_dim * 2**index
        interval = None if sizes.intervals is None else sizes.intervals[index]
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(
            width,
            num_heads=sizes.num_heads[index],
            group_size=sizes.group_sizes[index],
            interval=interval if is_long else 1,
        )
        self.drop_path = DropPath(drop_rate) if drop_rate > 0 else nn.Identity()
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, hidden=int(width * sizes.mlp_ratios[index]))

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Run the block."""
        grid = grid + self.drop_path(self.attn(self.norm1(grid)))
        grid = grid + self.drop_path(self.mlp(self.norm2(grid)))
        return grid


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int, *, hidden: int) -> None:
        """Build the layers, `width` -> `hidden` -> `width`."""
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, grid: Float[Tensor, "... channels"]) -> Float[Tensor, "... channels"]:
        """Run the layers on every token."""
        return apply_linear(self.fc2, apply_linear(self.fc1, grid, then="gelu"))


class DropPath(nn.Module):
    """In training, drops a residual branch of a whole sample; the kept ones are scaled up.

    Source: Huang et al., Deep Networks with Stochastic Depth, ECCV 2016.
    """

    def __init__(self, rate: float) -> None:
        """Drop a share `rate` of the samples, in [0, 1)."""
        super().__init__()
        self.rate = rate

    def forward(self, branch: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
        """Drop or scale; the identity in evaluation."""
        if not self.training:
            return branch
        kept = branch.new_empty([len(branch)] + [1] * (branch.ndim - 1)).bernoulli_(1 - self.rate)
        return branch * kept / (1 - self.rate)


def _excitation(widths: Sequence[int], ratio: int | None, excite: Excite) -> nn.Module:
    """A squeeze-and-excitation, or nothing."""
    return nn.Identity() if ratio is None else excite(widths, ratio=ratio)
