"""Slide + outline -> the outlined region at one size, cut into patches.

Guo 2024, Methods: the region is standardised to 1536 x 1536 and cut into nine 512 x 512 patches.
"""

import numpy as np

from neoresponse.imaging.slide import Slide
from neoresponse.types import Box, Pixels, Roi


def region_box(slide: Slide, roi: Roi | None) -> Box:
    """The outlined rectangle in pixels of level 0, or the whole image where nothing is drawn."""
    return roi.bounds if roi is not None else Box(0, 0, slide.width, slide.height)


def cut_patches(region: Pixels, *, patch_px: int) -> Pixels:
    """Cut a square region into a grid of patches.

    Args:
        region: RGB, (side, side, 3), side a multiple of `patch_px`.
        patch_px: side of a patch in pixels.

    Returns:
        (patches, 3, patch_px, patch_px), row by row.
    """
    num = region.shape[0] // patch_px
    grid = region.reshape(num, patch_px, num, patch_px, 3)
    patches = grid.transpose(0, 2, 4, 1, 3).reshape(num * num, 3, patch_px, patch_px)
    return np.ascontiguousarray(patches)


def read_patches(slide: Slide, roi: Roi | None, *, region_px: int, patch_px: int) -> Pixels:
    """Read the outlined region at `region_px` a side and cut it.

    Returns:
        (patches, 3, patch_px, patch_px).

    Raises:
        ImageError: the region cannot be read.
    """
    region = slide.read_region(region_box(slide, roi), out_px=(region_px, region_px))
    return cut_patches(region, patch_px=patch_px)
