"""Image pathways: images -> one vector per image -> the features that a pathway hands on.

An image that a patient does not have is zeroed before the trunk, and its vector is replaced by a
learned one after it; so its content reaches nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neoresponse.errors import ConfigError
from neoresponse.models.backbone import NUM_STAGES, Backbone

Images = Mapping[str, Float[Tensor, "batch ... rgb image_height image_width"]]
"""Image -> standardised pixels; a biopsy may hold several patches per row."""
Masks = Mapping[str, Bool[Tensor, "batch ..."]]
"""Input -> which rows have it."""
Mixer = Callable[[Tensor], Tensor]


class Trunk(nn.Module):
    """A backbone with the pathway's position table; one vector per image.

    `taps[s]` sees the map after stage s + 1, (batch, height, width, channels), as it goes on to the
    next stage: the place for hooks. The taps change nothing.
    """

    def __init__(self, backbone: Backbone, position: "PositionTable | None") -> None:
        """Put the parts together.

        Args:
            backbone: stem and stages.
            position: added before stage 1; None where the backbone knows places by itself.
        """
        super().__init__()
        self.backbone = backbone
        self.position = position
        self.taps = nn.ModuleList(nn.Identity() for _ in range(NUM_STAGES))

    @property
    def num_features(self) -> int:
        """Length of an image's vector."""
        return self.backbone.num_features

    def forward(
        self,
        images: Float[Tensor, "batch rgb image_height image_width"],
        mixers: Mapping[int, Mixer] | None = None,
    ) -> Float[Tensor, "rows features"]:
        """Encode images.

        Args:
            images: standardised, (batch, 3, height, width).
            mixers: stage, counted from 1 -> what is done to the map after it; one that merges
                images leaves fewer rows.
        """
        mixers = mixers or {}
        grid = self.backbone.stem(images)
        if self.position is not None:
            grid = self.position(grid)
        for index, tap in enumerate(self.taps):
            grid = self.backbone.stage(index, grid)
            if index + 1 in mixers:
                grid = mixers[index + 1](grid)
            grid = tap(grid)
        return self.backbone.pool(grid)


class PositionTable(nn.Module):
    """A learned vector for every place of the first map, and for every time point.

    All time points get the same table: same place, same code. What tells them apart is one vector
    per time point, which starts at zero.
    """

    def __init__(self, side: int, channels: int, *, num_time_points: int = 1) -> None:
        """Draw the table.

        Args:
            side: of the first map, in tokens.
            channels: of the first map.
            num_time_points: streams that stand one after the other in a batch.
        """
        super().__init__()
        self.table = nn.Parameter(
            nn.init.trunc_normal_(torch.empty(side, side, channels), std=0.02)
        )
        self.num_time_points = num_time_points
        if num_time_points > 1:
            self.time_point = nn.Parameter(torch.zeros(num_time_points, channels))

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Add the table; with several time points the batch is [all of the first; all of ...].

        Raises:
            ConfigError: the image has another size than the table was made for.
        """
        if grid.shape[1:3] != self.table.shape[:2]:
            raise ConfigError(
                f"images: expected a first map of {tuple(self.table.shape[:2])} tokens, got "
                f"{tuple(grid.shape[1:3])}. Give images of the side the network was built for."
            )
        grid = grid + self.table
        if self.num_time_points == 1:
            return grid
        times = self.time_point.repeat_interleave(len(grid) // self.num_time_points, dim=0)
        return grid + times[:, None, None, :]


class Coherence(nn.Module):
    """Shares features between two time points, place by place.

    h = W [f0; f1] + b is added to both streams; it starts at zero. [f0; f1] at a place holds the
    change at that place, so both streams see it. Where either time point is missing there is
    nothing to share, and nothing is added.
    """

    def __init__(self, channels: int) -> None:
        """Build the layer, 2 x `channels` -> `channels`."""
        super().__init__()
        self.linear = nn.Linear(2 * channels, channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(
        self,
        grid: Float[Tensor, "streams height width channels"],
        has_both: Bool[Tensor, " batch"],
    ) -> Float[Tensor, "streams height width channels"]:
        """Mix; the rows are [all of the first time point; all of the second]."""
        both = torch.cat(grid.chunk(2), dim=-1)  # (2B, H, W, C) -> (B, H, W, 2C)
        shared = self.linear(both)
        shared = torch.where(has_both[:, None, None, None], shared, torch.zeros_like(shared))
        return grid + torch.cat([shared, shared])


def without_missing(
    images: Float[Tensor, "batch *pixels"], available: Bool[Tensor, " batch"]
) -> Float[Tensor, "batch *pixels"]:
    """Zeros in place of images that are missing, whatever they hold."""
    of_row = available.reshape(-1, *[1] * (images.ndim - 1))
    return torch.where(of_row, images, torch.zeros_like(images))


class Pathway(nn.Module, ABC):
    """Some images of a patient on their way to a few features.

    Attributes:
        inputs: images that the pathway works on.
        encodes: those of them that it encodes itself.
        borrowed: the rest -> the pathway that lends its vector.
        vectors: names of the vectors that it joins: one per input, unless inputs are merged.
        is_joint: whether its images see each other on their way, so that all must be encoded at
            once.
        neck: joins the vectors; one of neck.py.
    """

    inputs: tuple[str, ...]
    encodes: tuple[str, ...]
    borrowed: Mapping[str, str] = MappingProxyType({})
    vectors: tuple[str, ...]
    is_joint: bool
    neck: nn.Module

    @abstractmethod
    def encode(
        self, images: Images, available: Masks
    ) -> dict[str, Float[Tensor, "batch features"]]:
        """The vector of each image that is given and that the pathway encodes.

        A joint pathway must be given all that it encodes.
        """

    @abstractmethod
    def streams(self) -> list[tuple[Trunk, tuple[str, ...]]]:
        """Each trunk with the images in its batch, one after the other.

        Where the trunk merges its images, a map after that belongs to all of them.
        """

    def join(
        self,
        vectors: Mapping[str, Float[Tensor, "batch _"]],
        available: Masks,
    ) -> Float[Tensor, "batch neck"]:
        """The pathway's features from the vectors of all its inputs."""
        features: Tensor = self.neck(vectors, available)
        return features


class SeparatePathway(Pathway):
    """Images with a trunk each, which meet at the neck.

    Patho-Ult is this with biopsy and US-0; a pathway of a single image is this with one.
    """

    def __init__(
        self,
        trunks: Mapping[str, nn.Module],
        *,
        neck: nn.Module,
        borrowed: Mapping[str, str] | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            trunks: image -> its `Trunk`, or a part with one in it, such as `PatchBag`.
            neck: made for all inputs.
            borrowed: image that has no trunk here -> the pathway that lends its vector.
        """
        super().__init__()
        self.trunks = nn.ModuleDict(trunks)
        self.neck = neck
        self.encodes = tuple(trunks)
        self.borrowed = dict(borrowed or {})
        self.inputs = self.vectors = (*self.encodes, *self.borrowed)
        self.is_joint = False

    def encode(
        self, images: Images, available: Masks
    ) -> dict[str, Float[Tensor, "batch features"]]:
        """Encode each given image by its own trunk."""
        return {
            name: trunk(without_missing(images[name], available[name]))
            for name, trunk in self.trunks.items()
            if name in images
        }

    def streams(self) -> list[tuple[Trunk, tuple[str, ...]]]:
        """One image per trunk."""
        return [
            (part, (name,))
            for name, holder in self.trunks.items()
            for part in holder.modules()
            if isinstance(part, Trunk)
        ]


class SiamesePathway(Pathway):
    """Two time points through one trunk, both streams in one batch; Dou-Ult.

    Attributes:
        coherence: stage, counted from 1, as text -> the module after it; none for late fusion.
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        coherence: Mapping[int, Coherence],
        neck: nn.Module,
        time_points: tuple[str, str] = ("us_0", "us_1"),
    ) -> None:
        """Put the parts together.

        Args:
            trunk: its position table is made for two time points.
            coherence: stage, counted from 1 -> the module after it.
            neck: made for both time points.
            time_points: names of the two images, earlier first.
        """
        super().__init__()
        self.trunk = trunk
        self.coherence = nn.ModuleDict({str(s): module for s, module in coherence.items()})
        self.neck = neck
        self.inputs = self.encodes = self.vectors = time_points
        self.is_joint = True

    def encode(
        self, images: Images, available: Masks
    ) -> dict[str, Float[Tensor, "batch features"]]:
        """Encode both time points at once."""
        streams = [without_missing(images[name], available[name]) for name in self.encodes]
        has_both = available[self.encodes[0]] & available[self.encodes[1]]
        mixers = {int(s): partial(mix, has_both=has_both) for s, mix in self.coherence.items()}
        early, late = self.trunk(torch.cat(streams), mixers).chunk(2)
        return dict(zip(self.encodes, (early, late), strict=True))

    def streams(self) -> list[tuple[Trunk, tuple[str, ...]]]:
        """Both time points in the one trunk."""
        return [(self.trunk, self.encodes)]
