"""Measures of an H&E picture, taken alike from simulated and from real breast tissue.

    from tissue_measures import compare
    values = compare(Path("he_breast_roi"), num_patients=24)

The folder holds real regions: `brecahad/images/*.jpg` and `torchstain/*.png`. Colour is measured in
all of them. Sizes are measured in the first kind alone, which says 40x but states no spacing: they
are taken at the usual 0.25 micrometres per pixel of a 40x scan, so they carry the word "nominal".
For the second kind nothing is known of the spacing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import (
    binary_fill_holes,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    label,
    maximum_filter,
)

from neoresponse.phantom import tumour
from neoresponse.phantom.biopsy import tissue
from neoresponse.phantom.biopsy.staining import EOSIN, HAEMATOXYLIN, draw_stain

Floats = npt.NDArray[np.floating]
Pixels = npt.NDArray[np.uint8]

MPP = 0.5
"""Micrometres per pixel at which everything is measured."""
NOMINAL_MPP = 0.25
"""Of a 40x scan; the real files say 40x, not the spacing."""
FIELD_PX = (512, 680)
"""Height and width of a real field at `MPP`; a field of the same size is cut from the phantom."""
REGION_PX = 1536
NUM_BATCHES = 6
WHITE = 245.0
"""Light of the empty slide that is taken for all pictures."""
WHITE_DENSITY = 0.06
"""Mean optical density below which nothing lies on the glass."""
STAINED_DENSITY = 0.10
"""Density in each channel above which a pixel says something of the stains' hue."""
SMALLEST_NUCLEUS_UM2 = 12.0
NUCLEUS_DISTANCE_UM = 3.5
"""Two nuclei in one clump have centres at least this far apart."""


def compare(data: Path, num_patients: int) -> dict[str, tuple[Floats, Floats]]:
    """Measure real and simulated fields.

    Args:
        data: folder with `brecahad/images` and `torchstain`.
        num_patients: simulated patients, one field each.

    Returns:
        Name with unit -> (values of the phantom, values of real pictures).

    Raises:
        FileNotFoundError: the folder holds no real regions.
    """
    real = [measure(pixels, has_spacing=known) for pixels, known in real_fields(data)]
    drawn = [measure(pixels, has_spacing=True) for pixels in phantom_fields(num_patients)]
    return {
        name: (
            np.array([found[name] for found in drawn]),
            np.array([found[name] for found in real if name in found]),
        )
        for name in drawn[0]
    }


def real_fields(data: Path) -> Iterator[tuple[Pixels, bool]]:
    """Real fields, RGB (height, width, 3), and whether their spacing is (nominally) known."""
    fields = sorted((data / "brecahad" / "images").glob("*.jpg"))
    others = sorted((data / "torchstain").glob("*.png"))
    if not fields or not others:
        raise FileNotFoundError(
            f"{data}: expected brecahad/images/*.jpg and torchstain/*.png, found {len(fields)} and "
            f"{len(others)} files. Name the folder that holds the real H&E regions."
        )
    for path in fields:
        yield np.asarray(Image.open(path).convert("RGB").reduce(round(MPP / NOMINAL_MPP))), True
    for path in others:
        yield np.asarray(Image.open(path).convert("RGB")), False


def phantom_fields(num_patients: int) -> Iterator[Pixels]:
    """One field from the outlined square of each of some simulated patients."""
    height, width = FIELD_PX
    for index in range(num_patients):
        rng = np.random.default_rng([2024, index])
        traits = rng.standard_normal(3)
        look = tissue.TissueLook(
            lymphocyte_fraction=tumour.lymphocyte_fraction(traits[0]),
            stroma_share=tumour.stroma_share(traits[1]),
            nuclear_growth=tumour.nuclear_growth(traits[2]),
        )
        stain = draw_stain(np.random.default_rng([2024, index % NUM_BATCHES, 1]))
        biopsy = tissue.draw_biopsy(rng, look=look, stain=stain, region_px=REGION_PX, mpp=MPP)
        left, top, side = biopsy.region
        top += (side - height) // 2
        left += (side - width) // 2
        yield biopsy.pixels[top : top + height, left : left + width]


def measure(pixels: Pixels, *, has_spacing: bool) -> Mapping[str, float]:
    """All measures of one field.

    Args:
        pixels: RGB, (height, width, 3), at `MPP` where `has_spacing`.
        has_spacing: whether sizes can be measured.
    """
    density = optical_density(pixels)
    mean = density.mean(axis=2)
    is_tissue = mean > WHITE_DENSITY
    stains = stain_vectors(density)
    found = {
        "haematoxylin, angle to the published vector (degrees)": _angle(stains[0], HAEMATOXYLIN),
        "eosin, angle to the published vector (degrees)": _angle(stains[1], EOSIN),
        "angle between the stains (degrees)": _angle(stains[0], stains[1]),
        "share of white (1)": float(1 - is_tissue.mean()),
    }
    for percent in (5, 50, 95):
        name = f"optical density of tissue, {percent}th percentile (1)"
        found[name] = float(np.percentile(mean[is_tissue], percent))
    if not has_spacing:
        return found
    nuclei = segment_nuclei(density, stains)
    areas_um2 = np.bincount(nuclei.ravel())[1:] * MPP**2
    tissue_mm2 = is_tissue.sum() * MPP**2 / 1e6
    low, median, high = np.percentile(areas_um2, [25, 50, 75]) if areas_um2.size else [np.nan] * 3
    return {
        **found,
        "nuclei per mm² of tissue (nominal)": areas_um2.size / tissue_mm2,
        "median nuclear area (µm², nominal)": float(median),
        "interquartile range of nuclear area (µm², nominal)": float(high - low),
        "share of tissue covered by nuclei (1)": float((nuclei > 0).sum() / is_tissue.sum()),
    }


def optical_density(pixels: Pixels) -> Floats:
    """-log10 of light over white, 0 for what is brighter, (height, width, 3)."""
    light = np.maximum(pixels, 1).astype(np.float32) / np.float32(WHITE)
    density: Floats = np.maximum(-np.log10(light), 0)
    return density


def stain_vectors(density: Floats) -> Floats:
    """Unit optical densities of haematoxylin and eosin in one picture, (2, 3).

    The extreme directions (1st and 99th percentile) in the plane that holds most of the density.

    Source: Macenko et al., Proc. IEEE ISBI 2009, 1107-1110.
    """
    stained = density[(density > STAINED_DENSITY).all(axis=2)]
    plane = np.linalg.eigh(np.cov(stained.T))[1][:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    along = stained @ plane
    angle = np.arctan2(along[:, 1], along[:, 0])
    ends = np.percentile(angle, [1, 99])
    vectors = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ordered: Floats = vectors[np.argsort(-vectors[:, 0])]  # haematoxylin takes more red
    return ordered


def stain_amounts(density: Floats, stains: Floats) -> Floats:
    """Least-squares amounts of two stains, (height, width, 2)."""
    amounts: Floats = density @ np.linalg.pinv(stains)
    return amounts


def segment_nuclei(density: Floats, stains: Floats) -> npt.NDArray[np.integer]:
    """Number of the nucleus at each pixel, 0 outside, (height, width).

    Haematoxylin, smoothed over 0.7 micrometres, above Otsu's threshold among stained pixels; holes
    filled, specks opened away; clumps split between the peaks of the distance to the border, each
    pixel going to the nearest peak.
    """
    amount = gaussian_filter(stain_amounts(density, stains)[..., 0], 0.7 / MPP)
    stained = amount[density.mean(axis=2) > WHITE_DENSITY]
    is_nucleus = binary_opening(amount > otsu(stained), iterations=2)
    is_nucleus = binary_fill_holes(is_nucleus)
    depth = gaussian_filter(distance_transform_edt(is_nucleus), 1.0)
    reach = 2 * round(NUCLEUS_DISTANCE_UM / MPP) + 1
    peaks, num = label((maximum_filter(depth, reach) == depth) & is_nucleus)
    nearest = distance_transform_edt(peaks == 0, return_distances=False, return_indices=True)
    clumps, _ = label(is_nucleus)
    pairs = np.where(is_nucleus, clumps.astype(np.int64) * (num + 1) + peaks[tuple(nearest)], 0)
    _, parts, sizes = np.unique(pairs, return_inverse=True, return_counts=True)
    kept = sizes * MPP**2 >= SMALLEST_NUCLEUS_UM2
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    return numbers[parts].reshape(is_nucleus.shape)


def otsu(values: Floats) -> float:
    """The threshold that splits values into two groups of least spread.

    Source: Otsu, IEEE Trans. Syst. Man Cybern. 1979, 9:62-66.
    """
    counts, edges = np.histogram(values, bins=256)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = total / below - (total[-1] - total) / above
    return float(middle[np.nanargmax(below * above * gap**2)])


def _angle(one: Floats, other: Floats | tuple[float, float, float]) -> float:
    """Angle between two directions in degrees."""
    cosine = np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
