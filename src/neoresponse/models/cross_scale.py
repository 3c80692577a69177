"""Where squeeze-and-excitation stands in the cross-scale embeddings of a CrossFormer.

Shapes and arguments: docs/explanation/paper.md.
"""

from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.models.crossformer import CrossFormer, CrossFormerSizes, CrossScaleConvs
from neoresponse.models.se import JointExcite, PerScaleExcite

Place = Literal["after_concat", "per_scale", "after_norm", "joint"]


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


def excited_crossformer(
    sizes: CrossFormerSizes, place: Place, *, num_streams: tuple[int, ...]
) -> CrossFormer:
    """A CrossFormer with its excitation in some place; names of all other parameters stay.

    Args:
        sizes: with `se_ratio` None there is no excitation, and the place does not matter.
        place: after the scales are concatenated; one for each scale; after the first embedding's
            norm (the others have theirs before); or one over all streams of a batch.
        num_streams: images that stand one after the other in the batch at each embedding.
    """
    if place == "per_scale":
        return CrossFormer(sizes, excites=(PerScaleExcite,) * len(num_streams))
    if place == "joint":
        joint = [partial(JointExcite, num_streams=num) for num in num_streams]
        return CrossFormer(sizes, excites=joint)
    trunk = CrossFormer(sizes)
    if place == "after_norm":
        first = trunk.patch_embed
        trunk.add_module("patch_embed", NormedEmbedding(first.projs, first.norm, first.se))
    return trunk
