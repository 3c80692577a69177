"""Where each tissue is -> stain amounts of all that lies between nuclei.

Collagen, cytoplasm, fat, walls and blood; amounts are optical densities per length-1 stain vector.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from neoresponse.phantom.biopsy.cells import soft
from neoresponse.phantom.biopsy.histology import Block, Histology, Ring, resized, streaks
from neoresponse.phantom.noise import Float32, smooth_noise

FAT_RIM_UM = 1.1
"""Half of what stands between two vacuoles."""
SLIT = np.float32(0.65)
"""Tone of collagen: 1 dense, 0 loose, minus this in a slit."""
GRAIN = 0.10
"""Standard deviation of the fine unevenness of amounts, as a share."""
GRAIN_PX = 500
BLOOD_CELL_UM = 3.4
"""Radius of a red blood cell in a fixed section."""


def draw_ground(rng: np.random.Generator, histology: Histology) -> tuple[Float32, Float32]:
    """Draw eosin and haematoxylin between the nuclei.

    Args:
        rng: source of randomness.
        histology: where each tissue is.

    Returns:
        Amounts of eosin and of haematoxylin, each (height, width).
    """
    block = histology.block
    shape = block.ground_shape
    depth = resized(histology.nest_depth, shape)
    in_nest = soft(depth * 14)
    collagen, blue = _draw_collagen(rng, histology)
    cytoplasm, nest_blue = _draw_cytoplasm(rng, histology)
    solid = _solid(histology, shape) * _kept(rng, histology, depth)
    eosin = (collagen + in_nest * (cytoplasm - collagen)) * solid
    haematoxylin = (blue + in_nest * (nest_blue - blue)) * solid
    for ring in histology.rings:
        _draw_ring(rng, ring, eosin, haematoxylin, cell_um=block.ground_cell_um)
    grain = _grain(rng, block)
    return resized(eosin, block.shape) * grain, resized(haematoxylin, block.shape) * grain


def _draw_collagen(rng: np.random.Generator, histology: Histology) -> tuple[Float32, Float32]:
    """Eosin and haematoxylin of stroma: bundles of wavy fibres, dense or loose, with slits."""
    block, habit = histology.block, histology.habit
    shape = block.ground_shape
    across, along = histology.across_um, histology.along_um
    bundles = streaks(rng, across, along, size_um=(11.0, 110.0))
    dense = soft(1.6 * (habit.collagen + 0.9 * block.noise(rng, 140) + 0.5 * bundles))
    slits = soft(7 * (-bundles - 1.25 - 0.5 * habit.collagen))
    tone = resized(dense - slits * (dense + SLIT), shape)
    strands = streaks(rng, resized(across, shape), resized(along, shape), size_um=(3.2, 32.0))
    fibre = np.exp(-((strands / 0.9) ** 2))
    eosin = np.maximum(0.09 + 0.07 * fibre + tone * (0.14 + 0.07 * fibre), 0.01)
    eosin *= 1 + 0.14 * smooth_noise(rng, shape, scale_px=5 / block.ground_cell_um)
    blue: Float32 = 0.02 + (0.10 + 0.35 * habit.cytoplasm) * eosin
    return eosin, blue


def _draw_cytoplasm(rng: np.random.Generator, histology: Histology) -> tuple[Float32, Float32]:
    """Eosin and haematoxylin of tumour cytoplasm: grainy, with vacuoles."""
    block, habit = histology.block, histology.habit
    shape, cell_um = block.ground_shape, block.ground_cell_um
    fine = smooth_noise(rng, shape, scale_px=4.5 / cell_um)
    coarse = smooth_noise(rng, shape, scale_px=24 / cell_um)
    vacuoles = 1 - 0.75 * soft(6 * (fine - 1.7))
    eosin: Float32 = (0.17 + 0.03 * coarse + 0.03 * fine) * vacuoles
    blue: Float32 = habit.cytoplasm * (1 + 0.18 * coarse + 0.18 * fine) * vacuoles
    return eosin, blue


def _solid(histology: Histology, shape: tuple[int, int]) -> Float32:
    """1 in the core, 0 beside it and in the vacuoles of fat."""
    outside_um = np.where(histology.is_tissue, np.clip(histology.vacuole_um, -3, 5), 5)
    return soft((FAT_RIM_UM - resized(outside_um.astype(np.float32), shape)) / 0.3)


def _kept(rng: np.random.Generator, histology: Histology, depth: Float32) -> Float32:
    """Share of stain left where tissue has shrunk away from nests: white clefts."""
    block, habit = histology.block, histology.habit
    where = habit.cleft * soft(4 * (block.noise(rng, 55) - 0.3 + habit.cleft))
    at_border = np.exp(-(((depth + 0.11) / 0.09) ** 2))
    kept: Float32 = 1 - np.float32(0.9) * resized(where, block.ground_shape) * at_border
    return kept


def _grain(rng: np.random.Generator, block: Block) -> Float32:
    """Unevenness finer than the maps; one drawn piece is repeated over the block."""
    piece = rng.standard_normal((GRAIN_PX, GRAIN_PX), dtype=np.float32)
    piece = gaussian_filter(piece, max(0.5, 0.45 / block.mpp), mode="wrap", truncate=3.0)
    piece = 1 + GRAIN * piece / piece.std()
    times = [-(-size // GRAIN_PX) for size in block.shape]
    grain: Float32 = np.tile(piece, times)[: block.shape[0], : block.shape[1]]
    return grain


def _draw_ring(
    rng: np.random.Generator, ring: Ring, eosin: Float32, haematoxylin: Float32, *, cell_um: float
) -> None:
    """Paint a vessel's or duct's wall and lumen into the two maps."""
    whole = ring.radius_um + ring.wall_um
    y_um, x_um = ring.centre_um
    rows = slice(max(0, int((y_um - whole) / cell_um)), int((y_um + whole) / cell_um) + 2)
    columns = slice(max(0, int((x_um - whole) / cell_um)), int((x_um + whole) / cell_um) + 2)
    window = (rows, columns)
    y, x = np.ogrid[: eosin.shape[0], : eosin.shape[1]]
    y, x = (y[rows] + 0.5) * cell_um - y_um, (x[:, columns] + 0.5) * cell_um - x_um
    turn = np.arctan2(y, x) + rng.uniform(0, np.pi)
    wave = 1 + 0.10 * np.cos(2 * turn) + 0.06 * np.cos(3 * turn) * ring.is_duct
    beyond = np.hypot(y, x) - ring.radius_um * wave
    in_wall = soft(2.5 * (ring.wall_um - 1.5 - beyond))
    in_lumen = soft(-3.0 * beyond)
    wall = (0.16, 0.14) if ring.is_duct else (0.26, 0.05)
    for stained, amount in zip((eosin, haematoxylin), wall, strict=True):
        stained[window] += in_wall * (amount - stained[window])
        stained[window] *= 1 - in_lumen
    if ring.is_duct:
        return
    for _ in range(rng.poisson(0.045 * ring.radius_um**2)):
        angle, way = rng.uniform(0, 2 * np.pi), ring.radius_um * np.sqrt(rng.uniform(0, 0.8))
        near = np.hypot(y - way * np.sin(angle), x - way * np.cos(angle))
        cell = soft(3.0 * (BLOOD_CELL_UM - near))
        eosin[window] = np.maximum(eosin[window], 0.42 * cell)
