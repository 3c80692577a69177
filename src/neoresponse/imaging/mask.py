"""Masks: a picture whose bright pixels are the lesion -> its outline, and back.

Pixel (column, row) covers the square from (column, row) to (column + 1, row + 1), so an outline
runs along pixel edges and gives its mask back exactly.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage

from neoresponse.errors import ImageError, RoiError
from neoresponse.imaging.raster import read_brightest
from neoresponse.types import FloatArray, Roi

Mask = npt.NDArray[np.bool_]

MIN_SHARE = 0.1
"""Parts below this share of the largest part's area are specks and left out."""
MAX_DISTINCT_LEVELS = 16
"""A picture with more levels is no clean mask: JPEG noise or soft edges."""
MAX_RUNS = 200_000
"""More stretches of foreground than this are noise, not an outline."""


def read_mask(path: Path) -> Roi:
    """Read a mask picture.

    Args:
        path: a plain image; all that is not black is lesion, whatever its colour. In a picture
            with many levels (JPEG noise, soft edges), what is brighter than half of the maximum.

    Raises:
        RoiError: it cannot be read, is empty, is all foreground, or is no mask.
    """
    try:
        levels = read_brightest(path)
    except ImageError as error:
        raise RoiError(str(error)) from error
    if len(np.unique(levels)) <= MAX_DISTINCT_LEVELS:
        mask = levels > 0
    else:
        mask = levels > levels.max() / 2
    try:
        return roi_from_mask(mask)
    except RoiError as error:
        raise RoiError(f"{path}: {error}") from None


def roi_from_mask(mask: Mask) -> Roi:
    """Outline the foreground of a mask.

    Args:
        mask: True = lesion, (height, width).

    Returns:
        One polygon per part, largest first, along pixel edges; holes are filled, parts that touch
        only at a corner are apart, and parts below a tenth of the largest are left out.

    Raises:
        RoiError: there is no foreground, no background, or too much noise.
    """
    if not mask.any():
        raise RoiError("expected some foreground, got an empty mask. Draw the outline again.")
    if mask.all():
        raise RoiError("expected some background, got none. Check that it is a mask.")
    kept = _large_parts(ndimage.binary_fill_holes(mask))
    runs = _runs(kept)
    if len(runs) > MAX_RUNS:
        raise RoiError(f"expected a smooth mask, got {len(runs)} pieces. Draw the outline again.")
    rows, starts, ends = runs.T
    outline = shapely.union_all(shapely.box(starts, rows, ends, rows + 1))
    parts = sorted(shapely.get_parts(outline), key=shapely.area, reverse=True)
    return Roi(polygons=tuple(_ring(part) for part in parts))


def mask_from_roi(roi: Roi, *, height: int, width: int) -> Mask:
    """Fill an outline.

    Args:
        roi: the outline; what lies outside the picture is cut off.
        height: of the mask, in pixels.
        width: of the mask, in pixels.

    Returns:
        True where the centre of a pixel lies inside one of the polygons, (height, width).
    """
    mask = np.zeros((height, width), dtype=bool)
    for polygon in roi.polygons:
        mask |= _fill(polygon, height=height, width=width)
    return mask


def _large_parts(mask: Mask) -> Mask:
    """Leave out parts that are small beside the largest; parts are joined along pixel edges."""
    labelled, _ = ndimage.label(mask)
    areas = np.bincount(labelled.ravel())
    areas[0] = 0
    kept: Mask = (areas >= MIN_SHARE * areas.max())[labelled] & mask
    return kept


def _runs(mask: Mask) -> npt.NDArray[np.int64]:
    """Stretches of foreground as (row, first column, column after the last), (runs, 3)."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return np.stack([rows, starts, ends], axis=1)


def _ring(part: shapely.Polygon) -> FloatArray:
    """Corners of a part, without those in the middle of a straight edge."""
    ring = shapely.get_coordinates(part.exterior)[:-1]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    is_corner = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    corners: FloatArray = ring[is_corner]
    return corners


def _fill(polygon: FloatArray, *, height: int, width: int) -> Mask:
    """Even-odd fill: each edge flips all pixels to its right in the rows it crosses."""
    flips = np.zeros((height, width + 1), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        first, last = max(0, int(np.ceil(low - 0.5))), min(height, int(np.ceil(high - 0.5)))
        rows = np.arange(first, last)
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
        flips[rows, columns] ^= True
    inside: Mask = np.logical_xor.accumulate(flips, axis=1)[:, :width]
    return inside
