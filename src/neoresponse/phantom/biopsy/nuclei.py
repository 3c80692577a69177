"""Where each tissue is -> where nuclei are: lymphocytes, tumour, mitoses, stroma, walls."""

import numpy as np

from neoresponse.phantom.biopsy.cells import (
    ENDOTHELIUM,
    EPITHELIUM,
    FIBROBLAST,
    LYMPHOCYTE,
    LYMPHOCYTE_EDGE,
    NUM_SHAPES,
    Canvas,
    draw_mitoses,
    draw_shapes,
    shape_of,
    tumour_kind,
)
from neoresponse.phantom.biopsy.histology import Block, Histology, at_places
from neoresponse.phantom.noise import Float32, Mask
from neoresponse.types import FloatArray

LYMPHOCYTE_PITCH_UM = 6.6
TUMOUR_NUCLEUS_UM = 10.0
"""Median diameter of tumour nuclei at growth 1."""
TUMOUR_PITCH_UM = 12.8
FIBROBLAST_PITCH_UM = 26.0
MITOSES_PER_MM2 = 6.0
"""Per area of nests, at growth 1."""
MITOSES_GROWTH = 12.0
"""The logarithm of that rate rises by this much per unit of growth."""
ROUNDS = 8
"""Rounds in which lymphocytes come nearer and nearer to the wanted share."""


def mitosis_rate(growth: float) -> float:
    """Mitotic figures per mm² of nests: 1.3 at growth 0.87, 6 at 1, 29 at 1.13."""
    return float(MITOSES_PER_MM2 * np.exp(MITOSES_GROWTH * (growth - 1)))


def tumour_pitch_um(growth: float) -> float:
    """Distance of neighbouring tumour nuclei: cells that grow crowd."""
    return float(TUMOUR_PITCH_UM / np.sqrt(growth))


def draw_lymphocytes(
    rng: np.random.Generator, histology: Histology, *, fraction: float
) -> tuple[Float32, Mask]:
    """Draw lymphocytes until their nuclei cover a share of the outlined square.

    Places are drawn without replacement with odds that are higher at nest borders and in clusters
    (Gumbel ranks: Efraimidis and Spirakis, Inf. Process. Lett. 2006, 97:181-185).

    Args:
        rng: source of randomness.
        histology: where each tissue is.
        fraction: share of the outlined square to cover.

    Returns:
        Haematoxylin, and where lymphocyte nuclei lie, each (height, width).
    """
    block = histology.block
    places = jittered_places(rng, block, pitch_um=LYMPHOCYTE_PITCH_UM)
    places = places[at_places(histology.is_solid, block, places)]
    odds = at_places(_lymphocyte_log_odds(rng, histology), block, places)
    rank = odds + rng.gumbel(size=len(places))
    order = np.argsort(-rank, kind="stable")
    places, rank = places[order], rank[order]
    left, top, side = block.region
    is_inside = ((places >= [top, left]) & (places < [top + side, left + side])).all(axis=1)
    shapes = draw_shapes(rng, LYMPHOCYTE, mpp=block.mpp)
    canvas = Canvas.empty(block.shape, mpp=block.mpp)
    num = _cover_region(canvas, shapes, places[is_inside], block, fraction=fraction)
    if num:  # beyond the square, whoever ranks as high as the last one inside
        beyond = places[~is_inside & (rank >= rank[is_inside][num - 1])]
        canvas.stamp(shapes, beyond, rng.integers(0, NUM_SHAPES, len(beyond)))
    return canvas.inner, canvas.inner > LYMPHOCYTE_EDGE


def draw_other_nuclei(
    rng: np.random.Generator, histology: Histology, *, growth: float, taken: Mask
) -> Float32:
    """Draw tumour, stroma and wall nuclei.

    Args:
        rng: source of randomness.
        histology: where each tissue is.
        growth: diameter of tumour nuclei relative to the usual.
        taken: where lymphocytes lie already, (height, width).

    Returns:
        Haematoxylin, (height, width).
    """
    block = histology.block
    canvas = Canvas.empty(block.shape, mpp=block.mpp)
    _draw_tumour(rng, histology, canvas, growth=growth, taken=taken)
    places = jittered_places(rng, block, pitch_um=FIBROBLAST_PITCH_UM)
    is_stroma = histology.is_solid & (histology.nest_depth < -0.12)
    places = places[at_places(is_stroma, block, places) & ~at_places(taken, block, places)]
    along = at_places(_fibre_direction(histology), block, places)
    shapes = draw_shapes(rng, FIBROBLAST, mpp=block.mpp)
    canvas.stamp(shapes, places, shape_of(along + rng.normal(0, 0.15, len(places))))
    _draw_walls(rng, histology, canvas)
    return canvas.inner


def jittered_places(rng: np.random.Generator, block: Block, *, pitch_um: float) -> Float32:
    """Places about a pitch apart, (places, 2) as y, x in pixels inside the block."""
    height, width = block.shape
    pitch = pitch_um / block.mpp
    y, x = np.mgrid[: int(height / pitch) + 1, : int(width / pitch) + 1].reshape(2, -1)
    places = np.stack([y, x + 0.5 * (y % 2)], axis=1) + rng.uniform(-0.32, 0.32, (y.size, 2))
    places = places * pitch
    is_inside = ((places >= 0) & (places < [height - 1, width - 1])).all(axis=1)
    inside: Float32 = places[is_inside].astype(np.float32)
    return inside


def _lymphocyte_log_odds(rng: np.random.Generator, histology: Histology) -> Float32:
    """Logarithm of the odds that a lymphocyte takes a place: stroma near nests, in clusters."""
    depth, noise = histology.nest_depth, histology.block.noise
    in_stroma = 2.4 * np.exp(-((np.minimum(depth, 0) / 0.8) ** 2))
    clusters = 2.2 * noise(rng, 85) + 1.3 * noise(rng, 38)
    odds: Float32 = np.where(depth < 0, in_stroma, np.float32(-0.6)) + clusters
    return odds


def _cover_region(
    canvas: Canvas, shapes: Float32, places: Float32, block: Block, *, fraction: float
) -> int:
    """Stamp the first places until the share is reached; gives how many it took."""
    left, top, side = block.region
    region = canvas.inner[top : top + side, left : left + side]
    wanted = fraction * side**2
    gain = 1.5 * max(1.0, np.pi / 4 * (LYMPHOCYTE.diameter_um / block.mpp) ** 2)
    done, covered = 0, 0
    for _ in range(ROUNDS):
        num = min(len(places) - done, int((wanted - covered) / gain + 0.5))
        if num <= 0:
            break
        choice = np.arange(done, done + num) % NUM_SHAPES  # places come in random order
        canvas.stamp(shapes, places[done : done + num], choice)
        before, covered = covered, int((region > LYMPHOCYTE_EDGE).sum())
        gain = max((covered - before) / num, 0.2 * gain)  # pixels that the last ones added
        done += num
    return done


def _draw_tumour(
    rng: np.random.Generator, histology: Histology, canvas: Canvas, *, growth: float, taken: Mask
) -> None:
    """Tumour nuclei and mitotic figures."""
    block = histology.block
    places = jittered_places(rng, block, pitch_um=tumour_pitch_um(growth))
    is_inside = histology.is_nest & (histology.nest_depth > 0.05)
    fits = at_places(is_inside, block, places) & ~at_places(taken, block, places)
    places = rng.permutation(places[fits])
    nest_mm2 = histology.is_nest.mean() * block.shape[0] * block.shape[1] * block.mpp**2 / 1e6
    num = min(len(places), int(rng.poisson(mitosis_rate(growth) * nest_mm2)))
    diameter_um = TUMOUR_NUCLEUS_UM * growth
    figures = draw_mitoses(rng, diameter_um=diameter_um, mpp=block.mpp)
    canvas.stamp(figures, places[:num], rng.integers(0, NUM_SHAPES, num))
    kind = tumour_kind(diameter_um=diameter_um, chromatin=histology.habit.chromatin)
    shapes = draw_shapes(rng, kind, mpp=block.mpp)
    canvas.stamp(shapes, places[num:], rng.integers(0, NUM_SHAPES, len(places) - num))


def _fibre_direction(histology: Histology) -> FloatArray:
    """Angle of the fibres, which run where the distance across them does not change."""
    down, right = np.gradient(histology.across_um)
    angle: FloatArray = np.arctan2(-right, down)
    return angle


def _draw_walls(rng: np.random.Generator, histology: Histology, canvas: Canvas) -> None:
    """Nuclei of the ducts' two rows of cells, and of the vessels' flat lining."""
    mpp = histology.block.mpp
    for is_duct, kind, rows, gap_um in (
        (True, EPITHELIUM, (4.0, 10.0), 6.8),
        (False, ENDOTHELIUM, (1.4,), 15.0),
    ):
        shapes = draw_shapes(rng, kind, mpp=mpp)
        rings = [ring for ring in histology.rings if ring.is_duct == is_duct]
        for ring, radius in [(ring, ring.radius_um + row) for ring in rings for row in rows]:
            num = max(3, int(2 * np.pi * radius / gap_um))
            turn = (np.arange(num) + rng.uniform(-0.4, 0.4, num)) * 2 * np.pi / num
            outward = np.stack([np.sin(turn), np.cos(turn)], axis=1)
            centres = np.array(ring.centre_um) + outward * (radius + rng.normal(0, 1.0, (num, 1)))
            lean = turn if is_duct else turn + np.pi / 2  # upright in ducts, flat in vessels
            canvas.stamp(shapes, (centres / mpp).astype(np.float32), shape_of(lean))
