"""Where squeeze-and-excitation stands in the cross-scale embeddings of a CrossFormer.

The trunk itself has it after the concatenation of the scales. The other places are made by putting
other parts into a trunk without any; names of all other parameters stay those of the trunk.
Shapes and arguments: docs/explanation/paper.md.
"""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.models.backbone import NUM_STAGES
from neoresponse.models.crossformer import CrossFormer, CrossScaleConvs, PatchMerging
from neoresponse.models.se import JointExcite, PerScaleExcite, SqueezeExcite


class NormedEmbedding(nn.Module):
    """SE-CEL of stage 1 in another order: convolutions of the image, norm, excitation."""

    def __init__(self, projs: CrossScaleConvs, norm: nn.Module, se: nn.Module) -> None:
        """Put the parts together."""
        super().__init__()
        self.projs = projs
        self.norm = norm
        self.se = se

    def forward(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Embed images."""
        grid: Tensor = self.se(self.norm(self.projs(images)))
        return grid


def excite_per_scale(trunk: CrossFormer, *, ratio: int) -> None:
    """Give each scale of each embedding an excitation of its own."""
    for index in range(NUM_STAGES):
        widths = [cast(nn.Conv2d, conv).out_channels for conv in _convs(trunk, index)]
        _embedding(trunk, index).add_module("se", PerScaleExcite(widths, ratio=ratio))


def excite_after_norm(trunk: CrossFormer, *, ratio: int) -> None:
    """Excite the first embedding after its norm; the others, whose norm comes first, at their end.

    So the difference to the usual place is in stage 1 alone.
    """
    for index, width in enumerate(trunk.channels):
        se = SqueezeExcite(width, ratio=ratio)
        for layer in (se.fc1, se.fc2):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        _embedding(trunk, index).add_module("se", se)
    first = trunk.patch_embed
    trunk.add_module("patch_embed", NormedEmbedding(first.projs, first.norm, first.se))


def excite_jointly(trunk: CrossFormer, *, ratio: int, num_streams: tuple[int, ...]) -> None:
    """Excite streams that share the trunk, one after the other in the batch, with one gate.

    Args:
        trunk: gets the parts.
        ratio: reduction of the channels of all streams together.
        num_streams: at each embedding.
    """
    for index, (width, num) in enumerate(zip(trunk.channels, num_streams, strict=True)):
        joint = JointExcite(width, num_streams=num, ratio=ratio)
        _embedding(trunk, index).add_module("se", joint)


def open_stage(
    trunk: CrossFormer, index: int, grid: Float[Tensor, "batch _ _ _"]
) -> Float[Tensor, "batch height width channels"]:
    """All scales of the embedding that opens a stage, concatenated, before any excitation.

    Args:
        trunk: the network.
        index: of the stage, counted from 0.
        grid: images, (batch, 3, height, width), for stage 0; else the map of the stage before,
            (batch, height, width, channels).
    """
    if index > 0:
        # (B, H, W, C) -> (B, C, H, W)
        grid = merging(trunk, index).norm(grid).permute(0, 3, 1, 2)
    scales: Tensor = _convs(trunk, index)(grid)
    return scales


def merging(trunk: CrossFormer, index: int) -> PatchMerging:
    """The embedding that opens stage `index` > 0, counted from 0."""
    return cast(PatchMerging, trunk.layers[index - 1].get_submodule("downsample"))


def _embedding(trunk: CrossFormer, index: int) -> nn.Module:
    """The embedding that opens a stage, counted from 0."""
    return trunk.patch_embed if index == 0 else merging(trunk, index)


def _convs(trunk: CrossFormer, index: int) -> CrossScaleConvs:
    """Its convolutions."""
    return trunk.patch_embed.projs if index == 0 else merging(trunk, index).reductions
