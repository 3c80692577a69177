"""Changes of training samples that are drawn anew at each step: drawn, recorded, put together.

They are drawn for an epoch at once, from the seed and the epoch's number alone, so that a training
that goes on after a stop shows each sample as it would have been shown.
"""

from dataclasses import dataclass, fields

import numpy as np

from neoresponse.data.augment import Samples
from neoresponse.settings import VarySettings
from neoresponse.types import FloatArray, IntArray

NUM_STAINS = 3


@dataclass(frozen=True)
class Variation:
    """How each shown sample differs from its fixed variant; first axis (samples shown,).

    Attributes:
        is_flipped_ud: up-down flip of the biopsy.
        is_flipped_lr: left-right flip of the biopsy.
        angle_deg: further rotation of the biopsy, counter-clockwise, in degrees.
        scale: further magnification of the biopsy.
        us_is_flipped_lr: left-right flip of both ultrasound frames.
        us_angle_deg: further rotation of both frames, in degrees.
        us_scale: further magnification of both frames.
        stain_factor: of haematoxylin, eosin and the rest, (samples, 3).
        stain_offset: added to each stain's optical density, (samples, 3).
        gain: factor of brightness of both frames.
        speckle: standard deviation of the speckle, as a share of the grey level.
    """

    is_flipped_ud: FloatArray
    is_flipped_lr: FloatArray
    angle_deg: FloatArray
    scale: FloatArray
    us_is_flipped_lr: FloatArray
    us_angle_deg: FloatArray
    us_scale: FloatArray
    stain_factor: FloatArray
    stain_offset: FloatArray
    gain: FloatArray
    speckle: FloatArray

    def part(self, some: slice) -> "Variation":
        """Of some shown samples."""
        return Variation(*(getattr(self, column.name)[some] for column in fields(self)))

    @property
    def changes_stain(self) -> bool:
        """Whether any biopsy gets other colours."""
        return bool((self.stain_factor != 1).any() or (self.stain_offset != 0).any())

    @property
    def changes_levels(self) -> bool:
        """Whether any ultrasound frame gets other grey levels."""
        return bool((self.gain != 1).any() or (self.speckle != 0).any())

    def columns(self) -> dict[str, FloatArray]:
        """Name -> numbers, (samples,); a column per stain."""
        named = {}
        for column in fields(self):
            value = getattr(self, column.name)
            several = value.T if value.ndim == 2 else value[None]
            ends = [f"_{i}" for i in range(NUM_STAINS)] if value.ndim == 2 else [""]
            named.update(
                {f"{column.name}{end}": part for end, part in zip(ends, several, strict=True)}
            )
        return named


def draw_variation(num: int, settings: VarySettings, *, rng: np.random.Generator) -> Variation:
    """Draw the changes of so many shown samples.

    Args:
        num: samples shown.
        settings: how far changes go.
        rng: of the epoch.
    """
    turn, zoom = settings.max_rotation_deg, settings.max_scaling
    chance = 0.5 if settings.flips else 0.0
    flips = (rng.random((3, num)) < chance).astype(np.float32)
    angles = rng.uniform(-turn, turn, (2, num)).astype(np.float32)
    scales = rng.uniform(1 - zoom, 1 + zoom, (2, num)).astype(np.float32)
    stains = rng.uniform(-settings.stain, settings.stain, (2, num, NUM_STAINS)).astype(np.float32)
    gain = rng.uniform(1 - settings.gain, 1 + settings.gain, num).astype(np.float32)
    speckle = rng.uniform(0, settings.speckle, num).astype(np.float32)
    return Variation(
        is_flipped_ud=flips[0],
        is_flipped_lr=flips[1],
        angle_deg=angles[0],
        scale=scales[0],
        us_is_flipped_lr=flips[2],
        us_angle_deg=angles[1],
        us_scale=scales[1],
        stain_factor=1 + stains[0],
        stain_offset=stains[1],
        gain=gain,
        speckle=speckle,
    )


def placement(
    samples: Samples, chosen: IntArray, variation: Variation | None
) -> tuple[FloatArray, FloatArray]:
    """Flips, rotation and magnification of the biopsy and of ultrasound, all changes together.

    Angles add, magnifications multiply, two flips along one axis undo each other.

    Args:
        samples: all training samples.
        chosen: which are shown.
        variation: of those that are shown, or none.

    Returns:
        Two arrays (4, shown): flip up-down, flip left-right, angle in degrees, magnification.
    """
    flips = np.stack([samples.is_flipped_ud[chosen], samples.is_flipped_lr[chosen]])
    biopsy = [*flips, samples.angle_deg[chosen], samples.scale[chosen]]
    frames = [*flips, samples.us_angle_deg[chosen], samples.us_scale[chosen]]
    if variation is not None:
        drawn = variation
        never = np.zeros_like(drawn.us_is_flipped_lr)
        biopsy = _follow(biopsy, drawn.is_flipped_ud, drawn.is_flipped_lr)
        frames = _follow(frames, never, drawn.us_is_flipped_lr)
        biopsy[2:] = [biopsy[2] + drawn.angle_deg, biopsy[3] * drawn.scale]
        frames[2:] = [frames[2] + drawn.us_angle_deg, frames[3] * drawn.us_scale]
    return np.stack(biopsy).astype(np.float32), np.stack(frames).astype(np.float32)


def _follow(placed: list[FloatArray], flip_ud: FloatArray, flip_lr: FloatArray) -> list[FloatArray]:
    """A flip after a placement; one flip alone turns the rotation before it the other way round."""
    is_turned = flip_ud != flip_lr
    angle_deg = np.where(is_turned, -placed[2], placed[2])
    return [placed[0] != flip_ud, placed[1] != flip_lr, angle_deg, placed[3]]
