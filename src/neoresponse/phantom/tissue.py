"""Seed + lymphocyte density -> an H&E picture of a core-needle biopsy, with its lymphocytes.

Colour follows Beer-Lambert from the optical densities of two stains (Ruifrok and Johnston, Anal.
Quant. Cytol. Histol. 2001, 23:291-299). Every nucleus is an object of a size in micrometres.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from neoresponse.phantom.speckle import Float32, Mask, smooth_noise
from neoresponse.types import Pixels

HAEMATOXYLIN = (0.650, 0.704, 0.286)
EOSIN = (0.072, 0.990, 0.105)
"""Optical density of each stain in red, green and blue (Ruifrok and Johnston, Table 1)."""
LYMPHOCYTE_UM = 7.0
LYMPHOCYTE_PITCH_UM = 7.4
TUMOUR_NUCLEUS_UM = 10.5
TUMOUR_PITCH_UM = 13.5
FIBROBLAST_PITCH_UM = 34.0
NEST_SHARE = 0.5
CANVAS_RATIO = 1.25
"""Canvas side as a multiple of the outlined region's."""
NUM_STAMPS = 32
NUCLEUS_EDGE = 0.52
"""Haematoxylin at the border of a lymphocyte, about half of that inside."""
BLUR_UM = 0.35


@dataclass(frozen=True)
class Biopsy:
    """A digitised biopsy.

    Attributes:
        pixels: RGB, (side, side, 3).
        lymphocytes: where lymphocyte nuclei are, (side, side).
        region: left, top and side of the outlined square, in pixels.
    """

    pixels: Pixels
    lymphocytes: Mask
    region: tuple[int, int, int]


@dataclass(frozen=True)
class Stain:
    """How one batch of slides was stained and scanned.

    Attributes:
        haematoxylin: optical density per unit of stain, (3,).
        eosin: optical density per unit of stain, (3,).
        white: light of the empty slide, (3,).
    """

    haematoxylin: Float32
    eosin: Float32
    white: Float32


@dataclass(frozen=True)
class _Architecture:
    """Where tissue, nests and lymphocytes may be, and the fibres, each (side, side)."""

    is_tissue: Mask
    nest_depth: Float32
    lymph_affinity: Float32
    fibres: Float32


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw a batch's stain: hue and strength vary between batches."""
    strength = rng.uniform(0.85, 1.2, 2)
    vectors = np.array([HAEMATOXYLIN, EOSIN]) + rng.normal(0, 0.035, (2, 3))
    vectors = np.clip(vectors, 0.02, None)
    vectors *= (strength / np.linalg.norm(vectors, axis=1))[:, None]
    white = np.clip(rng.normal((243, 241, 244), 2.5), 230, 252)
    haematoxylin, eosin = vectors.astype(np.float32)
    return Stain(haematoxylin=haematoxylin, eosin=eosin, white=white.astype(np.float32))


def draw_biopsy(
    rng: np.random.Generator,
    *,
    lymphocyte_fraction: float,
    stain: Stain,
    region_px: int,
    mpp: float,
) -> Biopsy:
    """Draw a slide.

    Args:
        rng: source of randomness.
        lymphocyte_fraction: share of the tissue that lymphocyte nuclei shall cover.
        stain: the batch's stain.
        region_px: side of the outlined square in pixels.
        mpp: micrometres per pixel.
    """
    side = canvas_side(region_px)
    region = _place_region(rng, side=side, region_px=region_px)
    plan = _draw_architecture(rng, side=side, region=region, mpp=mpp)
    lymph_px = _lymphocyte_centres(rng, plan, fraction=lymphocyte_fraction, region=region, mpp=mpp)
    lymph = _stamp_nuclei(rng, lymph_px, side=side, kind="lymphocyte", mpp=mpp)
    is_lymph = lymph > NUCLEUS_EDGE
    haematoxylin = np.maximum(lymph, _other_nuclei(rng, plan, is_lymph=is_lymph, mpp=mpp))
    eosin = _draw_eosin(rng, plan, haematoxylin, mpp=mpp)
    pixels = _to_rgb(rng, haematoxylin, eosin, stain=stain, mpp=mpp)
    return Biopsy(pixels=pixels, lymphocytes=is_lymph, region=region)


def canvas_side(region_px: int) -> int:
    """Side of the slide in pixels, a multiple of 16."""
    return int(np.ceil(region_px * CANVAS_RATIO / 16)) * 16


def _place_region(rng: np.random.Generator, *, side: int, region_px: int) -> tuple[int, int, int]:
    """Left, top and side of the outlined square, near the middle."""
    free = side - region_px
    left, top = rng.integers(free * 2 // 5, free * 3 // 5 + 1, 2)
    return int(left), int(top), region_px


def _draw_architecture(
    rng: np.random.Generator, *, side: int, region: tuple[int, int, int], mpp: float
) -> _Architecture:
    """Core, nests, places that draw lymphocytes, and fibres."""
    shape = (side, side)
    islands = smooth_noise(rng, shape, scale_px=95 / mpp)
    islands = islands + 0.45 * smooth_noise(rng, shape, scale_px=38 / mpp)
    depth = islands - np.float32(np.quantile(islands[::8, ::8], 1 - NEST_SHARE))
    clusters = smooth_noise(rng, shape, scale_px=60 / mpp)
    near_nest = np.exp(-((np.minimum(depth, 0) / 0.6) ** 2))
    affinity = np.where(depth < 0.05, 1.2 * near_nest, -1.8) + 1.5 * clusters
    return _Architecture(
        is_tissue=_draw_core(rng, side=side, region=region, mpp=mpp),
        nest_depth=depth.astype(np.float32),
        lymph_affinity=affinity.astype(np.float32),
        fibres=_draw_fibres(rng, side=side, mpp=mpp),
    )


def _draw_core(
    rng: np.random.Generator, *, side: int, region: tuple[int, int, int], mpp: float
) -> Mask:
    """A strip from top to bottom with ragged edges, wide enough for the region."""
    left, _, region_px = region
    rag = smooth_noise(rng, (2, side), scale_px=(1, max(8.0, 40 / mpp)))
    reach = 0.4 * min(left, side - left - region_px)
    from_left = left - reach + np.clip(rag[0] * 0.35, -1, 0.9) * reach
    to_right = left + region_px + reach + np.clip(rag[1] * 0.35, -0.9, 1) * reach
    columns = np.arange(side)
    core: Mask = (columns >= from_left[:, None]) & (columns < to_right[:, None])
    return core


def _draw_fibres(rng: np.random.Generator, *, side: int, mpp: float) -> Float32:
    """Wavy collagen fibres as ridges of stretched noise, 0 between and 1 on a fibre."""
    step = 2 if side >= 512 else 1
    num = -(-side // step)
    scale = step * mpp
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:num, :num].astype(np.float32)
    bend = smooth_noise(rng, (num, num), scale_px=130 / scale) * np.float32(22 / scale)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle) + bend
    across, along = across - across.min(), along - along.min()
    reach = (int(across.max()) + 2, int(along.max()) + 2)
    stretched = smooth_noise(rng, reach, scale_px=(max(2.0, 6.0 / scale), 60 / scale))
    ridges = np.exp(-((map_coordinates(stretched, np.stack([across, along]), order=1) / 0.5) ** 2))
    fibres = zoom(ridges, step, order=1)[:side, :side]
    smooth: Float32 = fibres.astype(np.float32)
    return smooth


def _lymphocyte_centres(
    rng: np.random.Generator,
    plan: _Architecture,
    *,
    fraction: float,
    region: tuple[int, int, int],
    mpp: float,
) -> Float32:
    """Centres (nuclei, 2) as y, x: the wanted share of the region, and the same share outside."""
    centres = _jittered_grid(rng, len(plan.is_tissue), pitch_px=LYMPHOCYTE_PITCH_UM / mpp)
    rows, columns = centres.astype(int).T
    centres = centres[plan.is_tissue[rows, columns]]
    rows, columns = centres.astype(int).T
    # Gumbel top-k: a draw without replacement with odds exp(affinity)
    # (Efraimidis and Spirakis, Inf. Process. Lett. 2006, 97:181-185).
    rank = 1.6 * plan.lymph_affinity[rows, columns] + rng.gumbel(size=len(centres))
    left, top, side = region
    is_inside = (columns >= left) & (columns < left + side) & (rows >= top) & (rows < top + side)
    share = fraction * (LYMPHOCYTE_PITCH_UM / LYMPHOCYTE_UM) ** 2 * 4 / np.pi
    chosen = []
    for part in (is_inside, ~is_inside):
        places = np.flatnonzero(part)
        num = min(len(places), round(share * len(places)))
        chosen.append(places[np.argsort(-rank[places], kind="stable")[:num]])
    kept: Float32 = centres[np.concatenate(chosen)]
    return kept


def _other_nuclei(
    rng: np.random.Generator, plan: _Architecture, *, is_lymph: Mask, mpp: float
) -> Float32:
    """Haematoxylin of tumour and stroma nuclei; lymphocytes take precedence."""
    side = len(plan.is_tissue)
    total = np.zeros((side, side), dtype=np.float32)
    pitches = {"tumour": TUMOUR_PITCH_UM, "fibroblast": FIBROBLAST_PITCH_UM}
    for kind, pitch_um in pitches.items():
        centres = _jittered_grid(rng, side, pitch_px=pitch_um / mpp)
        rows, columns = centres.astype(int).T
        depth = plan.nest_depth[rows, columns]
        fits = depth > 0.08 if kind == "tumour" else depth < -0.05
        fits &= plan.is_tissue[rows, columns] & ~is_lymph[rows, columns]
        fits &= rng.random(len(fits)) < 0.93
        total = np.maximum(total, _stamp_nuclei(rng, centres[fits], side=side, kind=kind, mpp=mpp))
    return total


def _jittered_grid(rng: np.random.Generator, side: int, *, pitch_px: float) -> Float32:
    """Places at least half a pitch apart, (places, 2) as y, x inside the canvas."""
    num = int(side / pitch_px)
    y, x = np.mgrid[:num, :num].reshape(2, -1)
    places = np.stack([y, x + 0.5 * (y % 2)], axis=1) + rng.uniform(0.27, 0.73, (num * num, 2))
    places = places * pitch_px
    inside: Float32 = places[(places < side - 1).all(axis=1)].astype(np.float32)
    return inside


def _stamp_nuclei(
    rng: np.random.Generator, centres: Float32, *, side: int, kind: str, mpp: float
) -> Float32:
    """Haematoxylin of many nuclei; each takes one of a few drawn shapes, (side, side)."""
    stamps = _draw_stamps(rng, kind=kind, mpp=mpp)
    reach = stamps.shape[1] // 2
    canvas = np.zeros((side + 2 * reach + 2, side + 2 * reach + 2), dtype=np.float32)
    choice = rng.integers(0, len(stamps), len(centres))
    strength = rng.uniform(0.82, 1.12, len(centres)).astype(np.float32)
    offsets = np.arange(stamps.shape[1])
    within = (offsets[:, None] * canvas.shape[1] + offsets).ravel()
    corner = np.floor(centres).astype(np.int64) @ np.array([canvas.shape[1], 1])
    flat = canvas.ravel()
    for start in range(0, len(centres), 2048):
        part = slice(start, start + 2048)
        values = stamps[choice[part]].reshape(-1, within.size) * strength[part, None]
        np.maximum.at(flat, corner[part, None] + within, values)
    return canvas[reach : reach + side, reach : reach + side]


def _draw_stamps(rng: np.random.Generator, *, kind: str, mpp: float) -> Float32:
    """Nuclei of one kind in the middle of small squares, (stamps, pixels, pixels)."""
    mean_um, spread, stretch = {
        "lymphocyte": (LYMPHOCYTE_UM, 0.06, 0.06),
        "tumour": (TUMOUR_NUCLEUS_UM, 0.20, 0.25),
        "fibroblast": (6.5, 0.15, 1.05),
    }[kind]
    reach = int(np.ceil(mean_um * 1.15 / mpp)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    stamps = []
    for _ in range(NUM_STAMPS):
        radius_px = mean_um / 2 / mpp * np.clip(rng.normal(1, spread), 0.6, 1.6)
        long = np.exp(abs(rng.normal(0, 0.3)) * stretch + 0.55 * (kind == "fibroblast"))
        angle, phase = rng.uniform(0, np.pi, 2)
        shift_y, shift_x = rng.uniform(-0.5, 0.5, 2)
        u = ((x - shift_x) * np.cos(angle) + (y - shift_y) * np.sin(angle)) / long
        v = ((y - shift_y) * np.cos(angle) - (x - shift_x) * np.sin(angle)) * long
        wave = 1 + spread * 0.4 * np.cos(3 * np.arctan2(v, u) + phase)
        beyond_px = np.hypot(u, v) - radius_px * wave
        body = 1 / (1 + np.exp(np.clip(beyond_px / 0.35, -30, 30)))
        stamps.append(body * _chromatin(rng, beyond_px, body.shape, kind=kind, mpp=mpp))
    return np.stack(stamps).astype(np.float32)


def _chromatin(
    rng: np.random.Generator,
    beyond_px: Float32,
    shape: tuple[int, int],
    *,
    kind: str,
    mpp: float,
) -> Float32:
    """Stain inside a nucleus: dense in lymphocytes, open with a dark rim and nucleoli in tumour."""
    clumps = smooth_noise(rng, shape, scale_px=1.6 / mpp)
    if kind == "lymphocyte":
        dense: Float32 = 1.15 + 0.14 * clumps
        return dense
    if kind == "fibroblast":
        plain: Float32 = 0.80 + 0.08 * clumps
        return plain
    rim = 0.26 * np.exp(-((beyond_px * mpp / 0.7 + 0.6) ** 2))
    nucleoli = 0.40 / (1 + np.exp(-8 * (clumps - 1.25)))
    open_chromatin: Float32 = rng.uniform(0.44, 0.66) + 0.09 * clumps + rim + nucleoli
    return open_chromatin


def _draw_eosin(
    rng: np.random.Generator, plan: _Architecture, haematoxylin: Float32, *, mpp: float
) -> Float32:
    """Eosin of stroma fibres and tumour cytoplasm; the empty slide has none."""
    shape = plan.is_tissue.shape
    in_nest = 1 / (1 + np.exp(-np.clip(plan.nest_depth * 14, -30, 30)))
    uneven = smooth_noise(rng, shape, scale_px=45 / mpp)
    grain = smooth_noise(rng, shape, scale_px=max(1.0, 1.8 / mpp))
    stroma = 0.11 + 0.24 * plan.fibres**2 + 0.035 * uneven
    cytoplasm = 0.22 + 0.035 * uneven + 0.04 * grain
    eosin = (1 - in_nest) * stroma + in_nest * cytoplasm + 0.02 * grain
    eosin *= 1 - 0.55 * np.clip(haematoxylin, 0, 1)
    clear = smooth_noise(rng, shape, scale_px=16 / mpp)
    crack = np.clip((clear - 1.9) * 4, 0, 1) * (1 - in_nest)
    eosin *= (1 - crack) * plan.is_tissue
    positive: Float32 = np.clip(eosin, 0, None).astype(np.float32)
    return positive


def _to_rgb(
    rng: np.random.Generator, haematoxylin: Float32, eosin: Float32, *, stain: Stain, mpp: float
) -> Pixels:
    """Beer-Lambert, after the optics' blur and with the scanner's noise."""
    blur_px = max(0.35, BLUR_UM / mpp)
    # a little haematoxylin lies in every tissue, more in cytoplasm than in collagen
    background = 0.22 * np.clip(eosin, 0, 0.5)
    h = gaussian_filter(haematoxylin + background, blur_px, truncate=3.0)
    e = gaussian_filter(eosin, blur_px, truncate=3.0)
    noise = rng.standard_normal(h.shape, dtype=np.float32)
    pixels = np.empty((*h.shape, 3), dtype=np.uint8)
    for channel in range(3):
        density = h * stain.haematoxylin[channel] + e * stain.eosin[channel]
        light = stain.white[channel] * np.exp(-np.log(np.float32(10)) * density)
        light += 1.6 * np.roll(noise, 7 * channel, axis=1)
        pixels[..., channel] = np.clip(np.round(light), 0, 255)
    return pixels
