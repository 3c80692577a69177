"""Patho-Ult with one excitation over both of its streams.

The two trunks keep their own weights and run side by side; at each embedding one gate, made from
the means of both, weighs the channels of both. What becomes of one image then depends on the other:
ultrasound is encoded anew for every patch. See docs/explanation/paper.md.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.models.crossformer import CrossFormer
from neoresponse.models.linear import draw_weights
from neoresponse.models.pathway import Images, Masks, Pathway, Trunk, without_missing
from neoresponse.models.se import JointExcite


class JointPathway(Pathway):
    """Images with a CrossFormer trunk each, excited together at each of the four embeddings."""

    def __init__(self, trunks: Mapping[str, Trunk], *, neck: nn.Module, ratio: int) -> None:
        """Put the parts together.

        Args:
            trunks: image -> its trunk, all of one width, a CrossFormer without excitation.
            neck: made for all of the images.
            ratio: reduction of the channels of all streams together.
        """
        super().__init__()
        self.trunks = nn.ModuleDict(trunks)
        widths = next(iter(trunks.values())).backbone.channels
        self.excitation = nn.ModuleList(
            JointExcite([width], ratio=ratio, num_streams=len(trunks)) for width in widths
        )
        self.excitation.apply(draw_weights)
        self.neck = neck
        self.inputs = self.encodes = self.vectors = tuple(trunks)
        self.is_joint = True

    def encode(
        self, images: Images, available: Masks
    ) -> dict[str, Float[Tensor, "batch features"]]:
        """Encode all images, stage by stage."""
        grids = [without_missing(images[name], available[name]) for name in self.encodes]
        trunks = [trunk for trunk, _ in self.streams()]
        for index, excite in enumerate(self.excitation):
            openings = [_crossformer(trunk).embedding(index) for trunk in trunks]
            scales = [part.scales(grid) for part, grid in zip(openings, grids, strict=True)]
            excited = excite(torch.cat(scales)).chunk(len(trunks))
            opened = [part.finish(grid) for part, grid in zip(openings, excited, strict=True)]
            grids = [
                _run_blocks(trunk, index, grid) for trunk, grid in zip(trunks, opened, strict=True)
            ]
        vectors = [trunk.backbone.pool(grid) for trunk, grid in zip(trunks, grids, strict=True)]
        return dict(zip(self.encodes, vectors, strict=True))

    def streams(self) -> list[tuple[Trunk, tuple[str, ...]]]:
        """One image per trunk; one row per patch."""
        return [(t, (name,)) for name, t in self.trunks.items() if isinstance(t, Trunk)]


def _run_blocks(
    trunk: Trunk, index: int, grid: Float[Tensor, "batch height width channels"]
) -> Float[Tensor, "batch height width channels"]:
    """What is left of a stage once it is opened; `index` counts from 0."""
    if index == 0 and trunk.position is not None:
        grid = trunk.position(grid)
    out: Tensor = trunk.taps[index](_crossformer(trunk).layers[index](grid))
    return out


def _crossformer(trunk: Trunk) -> CrossFormer:
    """The trunk's network, which must be a CrossFormer."""
    assert isinstance(trunk.backbone, CrossFormer)
    return trunk.backbone
