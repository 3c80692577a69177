"""Pictures -> pairs that show one and the same picture, saved, turned, cropped or lit otherwise.

What is compared is detail of 1 to 4 pixels on a 64-pixel thumbnail, brought to one local contrast:
speckle and nuclei, which no two acquisitions share. Two coarse steps choose few of all pairs; for
these the detail is laid over each other under small rotations, magnifications and shifts, and its
correlation decides. Of unrelated pictures it stays near its level by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.ndimage import affine_transform, gaussian_filter

from neoresponse.types import Pixels

Planes = npt.NDArray[np.float32]
"""Thumbnails or what is made of them, (pictures, side, side)."""

SIDE, GRID = 64, 16
FINE, COARSE = (1.0, 4.0), (2.5, 10.0)
"""Detail kept, as widths in thumbnail pixels of the two blurs whose difference it is."""
LOCAL_PX, FLOOR = 8.0, 0.3
"""Contrast is measured over this width; where there is less than this share of it, none is made."""
ANGLES_DEG, SCALES = (-7.0, 0.0, 7.0), (0.9, 1.06, 1.25)
"""Coarse search: cropping enlarges, so magnifications reach further up."""
FINE_ANGLES_DEG, FINE_SCALES = (-4.0, -2.0, 0.0, 2.0, 4.0), (0.93, 0.965, 1.0, 1.036, 1.074)
NUM_NEAREST = 8
"""Pictures that each is looked at beside, after the coarse search."""
LARGEST_SHIFT_PX = 10
WORTH_A_LOOK = 0.36
SHIFTS = np.r_[-LARGEST_SHIFT_PX : LARGEST_SHIFT_PX + 1]
SAME = 0.68
"""Correlation of detail from which two pictures are one; see docs/how-to/find-leaks.md."""

Change = tuple[int, float, float]
"""Mirroring (bits: left-right, up-down, transposed), rotation in degrees, magnification."""


@dataclass(frozen=True)
class NearCopy:
    """Two pictures that are one.

    Attributes:
        first: index of one.
        second: index of the other, higher.
        correlation: of their detail, laid over each other as well as can be.
    """

    first: int
    second: int
    correlation: float


def thumbnail(pixels: Pixels) -> Planes:
    """A picture as 64 x 64 grey levels, its sides squeezed to a square.

    Args:
        pixels: grey (height, width) or RGB (height, width, 3).

    Returns:
        (64, 64).
    """
    picture = Image.fromarray(pixels).convert("L")
    way = Image.Resampling.BOX if min(picture.size) >= SIDE else Image.Resampling.BILINEAR
    return np.asarray(picture.resize((SIDE, SIDE), way), dtype=np.float32)


def near_copies(
    thumbnails: Planes, owner: Sequence[object], *, same: float = SAME
) -> list[NearCopy]:
    """Find pairs of different owners whose pictures are one.

    Args:
        thumbnails: from `thumbnail`, stacked, (pictures, 64, 64).
        owner: whose each picture is; pairs of one owner are not looked at.
        same: least correlation of detail.

    Returns:
        Pairs in order; of two pictures one pair.
    """
    owners = np.unique(np.array([str(one) for one in owner]), return_inverse=True)[1]
    if len(thumbnails) < 2 or owners.max() == 0:
        return []
    detail = _detail(thumbnails, FINE)
    spectra = rfft2(_unit(detail, WINDOW)).conj()
    found = []
    for (query, other), change in sorted(_candidates(thumbnails, owners).items()):
        reached = _overlaid(detail[query], spectra[other], change)
        if reached >= same:
            found.append(NearCopy(min(query, other), max(query, other), reached))
    return sorted(found, key=lambda pair: (pair.first, pair.second))


def _detail(planes: Planes, widths: tuple[float, float]) -> Planes:
    """What lies between two blurs, at one local contrast."""
    axes = (1, 2)
    band = gaussian_filter(planes, widths[0], axes=axes) - gaussian_filter(
        planes, widths[1], axes=axes
    )
    local = np.sqrt(gaussian_filter(band * band, LOCAL_PX, axes=axes))
    whole = np.sqrt(np.mean(band * band, axis=axes, keepdims=True))
    return np.asarray(band / (local + FLOOR * whole + 1e-6), dtype=np.float32)


def _round_window(side: int) -> Planes:
    """1 in the middle, 0 from the inscribed circle on: turned corners do not count."""
    row, column = np.mgrid[:side, :side] - (side - 1) / 2
    inside = np.clip((1 - np.hypot(row, column) / (side / 2)) / 0.3, 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * inside), dtype=np.float32)


WINDOW, SMALL_WINDOW = _round_window(SIDE), _round_window(GRID)


def _unit(planes: Planes, window: Planes) -> Planes:
    """Seen through a window, with mean 0 and length 1."""
    seen = planes * window
    seen -= window * (seen.sum(axis=(-2, -1), keepdims=True) / window.sum())
    length = np.sqrt(np.einsum("...rc,...rc->...", seen, seen))[..., None, None]
    return np.asarray(seen / (length + 1e-9))


def _candidates(thumbnails: Planes, owners: npt.NDArray[np.intp]) -> dict[tuple[int, int], Change]:
    """Pairs worth laying over each other: of each picture those of others most alike on a grid."""
    coarse = _detail(thumbnails, COARSE)
    changes = list(product(range(8), ANGLES_DEG, SCALES))
    fixed = _unit(_sampled(coarse), SMALL_WINDOW).reshape(len(coarse), -1).T
    num = min(NUM_NEAREST, len(coarse) - 1)
    best: dict[tuple[int, int], tuple[float, int, int, Change]] = {}
    for query, plane in enumerate(coarse):
        turned = np.stack([_turned(plane, *way, grid=GRID) for way in product(ANGLES_DEG, SCALES)])
        laid = np.concatenate([_mirrored(turned, bits) for bits in range(8)])
        alike = _unit(laid, SMALL_WINDOW).reshape(len(laid), -1) @ fixed  # (changes, pictures)
        highest = alike.max(axis=0)
        highest[owners == owners[query]] = -1
        for other in np.argpartition(-highest, num - 1)[:num].tolist():
            pair = min(query, other), max(query, other)
            if highest[other] > best.get(pair, (0.0,))[0]:
                way = changes[int(alike[:, other].argmax())]
                best[pair] = float(highest[other]), query, other, way
    return {(query, other): way for _, query, other, way in best.values()}


def _sampled(planes: Planes) -> Planes:
    """Every plane at the points of the coarse grid; its detail is wider than their distance."""
    return np.stack([_turned(plane, 0.0, 1.0, grid=GRID) for plane in planes])


def _turned(plane: Planes, angle_deg: float, scale: float, *, grid: int = SIDE) -> Planes:
    """A plane turned and magnified about its centre, at a grid of points."""
    angle, step = np.deg2rad(angle_deg), SIDE / grid
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    start = np.full(2, (SIDE - 1) / 2) - turn @ np.full(2, step * (grid - 1) / 2)
    turned = affine_transform(
        plane, turn * step, start, output_shape=(grid, grid), order=1, mode="reflect"
    )
    return np.asarray(turned)


def _mirrored(planes: Planes, bits: int) -> Planes:
    """Planes mirrored left-right (1), up-down (2), transposed (4)."""
    planes = planes[..., ::-1] if bits & 1 else planes
    planes = planes[..., ::-1, :] if bits & 2 else planes
    return planes.swapaxes(-1, -2) if bits & 4 else planes


def _overlaid(plane: Planes, spectrum: npt.NDArray[np.complex64], change: Change) -> float:
    """Correlation of two pictures' detail, laid over each other as well as can be."""
    bits, angle, scale = change

    def peaks(ways: list[tuple[float, float]]) -> Planes:
        laid = _mirrored(np.stack([_turned(plane, *way) for way in ways]), bits)
        over = irfft2(rfft2(_unit(laid, WINDOW)) * spectrum, s=(SIDE, SIDE))
        return np.asarray(over[:, SHIFTS[:, None], SHIFTS].max(axis=(1, 2)))

    found = float(peaks([(angle, scale)])[0])
    if found < WORTH_A_LOOK:
        return found
    angles = [angle + more for more in FINE_ANGLES_DEG]
    angle = angles[int(peaks([(one, scale) for one in angles]).argmax())]
    scales = [scale * factor for factor in FINE_SCALES]
    at_angle = peaks([(angle, one) for one in scales])
    scale = scales[int(at_angle.argmax())]
    return max(float(at_angle.max()), float(peaks([(one, scale) for one in angles]).max()))
