"""Seed + what the tumour's traits show -> an H&E slide of a core-needle biopsy, with its truth.

Two to three cores lie side by side on the glass; the outlined square lies in the widest. Tissue is
drawn once: the other cores are parts of the same tissue, turned by half a turn. All that a picture
shows of the outcome is in `TissueLook`.
"""

from dataclasses import dataclass

import numpy as np

from neoresponse.phantom.biopsy.ground import draw_ground
from neoresponse.phantom.biopsy.histology import Block, draw_habit, draw_histology
from neoresponse.phantom.biopsy.nuclei import draw_lymphocytes, draw_other_nuclei
from neoresponse.phantom.biopsy.staining import Stain, scanned
from neoresponse.phantom.noise import Mask, smooth_noise
from neoresponse.types import Pixels

SLIDE_RATIO = (1.30, 1.61)
"""Height and width of the slide picture as multiples of the outlined square's side."""
CORE_RATIO = 1.13
"""Width of the drawn tissue, white at its edges included."""
GAP_RATIO = 0.02
CLUSTER_CELL_UM = 2.0
CLUSTER_WINDOW_UM = 50.0
CLUSTER_COVER = 0.25
"""A lymphocyte cluster: lymphocyte nuclei cover this share of the square of that side around it."""


@dataclass(frozen=True)
class TissueLook:
    """What the biopsy shows of the tumour's traits, and all that it shows of them.

    Attributes:
        lymphocyte_fraction: share of the outlined square that lymphocyte nuclei cover, 0 to 0.4.
        stroma_share: stroma over stroma and tumour nests in the outlined square, 0 to 1.
        nuclear_growth: diameter of tumour nuclei relative to the usual; with it cells crowd and
            divide more often.
    """

    lymphocyte_fraction: float
    stroma_share: float
    nuclear_growth: float


@dataclass(frozen=True)
class Biopsy:
    """A digitised biopsy; all arrays are of the whole slide picture.

    Attributes:
        pixels: RGB, (height, width, 3).
        lymphocytes: where lymphocyte nuclei are, (height, width).
        clusters: where lymphocyte nuclei cover a share of at least `CLUSTER_COVER` of the square of
            `CLUSTER_WINDOW_UM` around, (height, width).
        region: left, top and side of the outlined square, in pixels.
    """

    pixels: Pixels
    lymphocytes: Mask
    clusters: Mask
    region: tuple[int, int, int]


def draw_biopsy(  # noqa: PLR0913 (what, how stained, how scanned)
    rng: np.random.Generator,
    *,
    look: TissueLook,
    stain: Stain,
    region_px: int,
    mpp: float,
    defocus_um: float = 0.0,
) -> Biopsy:
    """Draw a slide.

    Args:
        rng: source of randomness.
        look: what the tumour's traits make of the tissue.
        stain: the batch's stain.
        region_px: side of the outlined square in pixels.
        mpp: micrometres per pixel.
        defocus_um: standard deviation of the blur of a slide out of focus, in micrometres.
    """
    block = _plan_block(rng, region_px=region_px, mpp=mpp)
    histology = draw_histology(rng, block, draw_habit(rng), stroma_share=look.stroma_share)
    eosin, haematoxylin = draw_ground(rng, histology)
    lymph, is_lymph = draw_lymphocytes(rng, histology, fraction=look.lymphocyte_fraction)
    other = draw_other_nuclei(rng, histology, growth=look.nuclear_growth, taken=is_lymph)
    nuclei = np.maximum(lymph, other)
    eosin *= 1 - np.float32(0.45) * np.minimum(nuclei, 1)
    haematoxylin = np.maximum(haematoxylin, nuclei)
    tissue = scanned(rng, haematoxylin, eosin, stain=stain, defocus_px=defocus_um / mpp)
    width = slide_shape(region_px)[1]
    empty = np.zeros((block.shape[0], width), dtype=np.float32)
    glass = scanned(rng, empty[:64], empty[:64], stain=stain)
    pixels = np.resize(glass, (*empty.shape, 3))
    lymphocytes = np.zeros(empty.shape, dtype=bool)
    left = _lay_cores(rng, tissue, is_lymph, pixels=pixels, lymphocytes=lymphocytes)
    return Biopsy(
        pixels=pixels,
        lymphocytes=lymphocytes,
        clusters=find_clusters(lymphocytes, mpp=mpp),
        region=(left + block.region[0], block.region[1], region_px),
    )


def slide_shape(region_px: int) -> tuple[int, int]:
    """Height and width of the slide picture in pixels, multiples of 16."""
    height, width = (round(region_px * ratio / 16) * 16 for ratio in SLIDE_RATIO)
    return height, width


def find_clusters(lymphocytes: Mask, *, mpp: float) -> Mask:
    """Where lymphocyte nuclei are dense.

    Args:
        lymphocytes: where lymphocyte nuclei are, (height, width).
        mpp: micrometres per pixel.

    Returns:
        The picture is cut into cells of about `CLUSTER_CELL_UM`; a cell is in a cluster where they
        cover at least `CLUSTER_COVER` of the square of cells, about `CLUSTER_WINDOW_UM` wide,
        around it. Beyond the picture there are none. (height, width)
    """
    step = max(1, round(CLUSTER_CELL_UM / mpp))
    half = max(1, round(CLUSTER_WINDOW_UM / mpp / step / 2))
    side = 2 * half + 1
    height, width = (-(-size // step) * step for size in lymphocytes.shape)
    beyond = ((0, height - lymphocytes.shape[0]), (0, width - lymphocytes.shape[1]))
    cells = np.pad(lymphocytes, beyond).reshape(height // step, step, width // step, step)
    covered = np.pad(cells.sum(axis=(1, 3), dtype=np.int64), ((half + 1, half), (half + 1, half)))
    covered = covered.cumsum(axis=0).cumsum(axis=1)  # sums of squares follow from four corners
    covered = covered[side:] - covered[:-side]
    covered = covered[:, side:] - covered[:, :-side]
    dense = covered >= CLUSTER_COVER * (side * step) ** 2
    clusters: Mask = dense.repeat(step, axis=0).repeat(step, axis=1)
    return clusters[: lymphocytes.shape[0], : lymphocytes.shape[1]]


def _plan_block(rng: np.random.Generator, *, region_px: int, mpp: float) -> Block:
    """The tissue to draw, with the outlined square near its middle."""
    height = slide_shape(region_px)[0]
    width = round(CORE_RATIO * region_px)
    free_down, free_right = height - region_px, width - region_px
    top = int(rng.integers(free_down * 2 // 5, free_down * 3 // 5 + 1))
    left = int(rng.integers(free_right * 2 // 5, free_right * 3 // 5 + 1))
    return Block(shape=(height, width), region=(left, top, region_px), mpp=mpp)


def _lay_cores(
    rng: np.random.Generator, tissue: Pixels, is_lymph: Mask, *, pixels: Pixels, lymphocytes: Mask
) -> int:
    """Lay the drawn tissue on the glass, and turned parts of it beside; gives its left edge."""
    free = pixels.shape[1] - tissue.shape[1]
    left = int(rng.choice([0, free // 2, free]))
    window = (slice(None), slice(left, left + tissue.shape[1]))
    pixels[window], lymphocytes[window] = tissue, is_lymph
    gap = round(GAP_RATIO * tissue.shape[1])
    for start, stop in ((gap, left), (left + tissue.shape[1], pixels.shape[1] - gap)):
        if stop - start < 4 * gap + 8:
            continue
        strip = slice(start, stop)
        shape = (pixels.shape[0], stop - start)
        is_core = _strip_core(rng, shape)
        first = int(rng.uniform(0.1 * tissue.shape[1], 0.9 * tissue.shape[1] - shape[1]))
        source = (slice(None), slice(first, first + shape[1]))
        np.copyto(pixels[:, strip], tissue[source][::-1, ::-1], where=is_core[..., None])
        lymphocytes[:, strip] = is_lymph[source][::-1, ::-1] & is_core
    return left


def _strip_core(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """A narrow strip with ragged sides and ends."""
    height, width = shape
    down = np.arange(height)[:, None]
    right = np.arange(width)[None, :]
    sides = smooth_noise(rng, (2, height), scale_px=(1, width * 1.2))
    sides += 0.25 * smooth_noise(rng, (2, height), scale_px=(1, width / 18))
    ends = smooth_noise(rng, (2, width), scale_px=(1, width / 5))
    inset = width * (0.06 + 0.025 * np.clip(sides, -2, 2))
    top, bottom = height * (rng.uniform(0.05, 0.2, 2)[:, None] + 0.012 * ends)
    core: Mask = (right > inset[0][:, None]) & (right < width - inset[1][:, None])
    core &= (down > top) & (down < height - bottom)
    return core
