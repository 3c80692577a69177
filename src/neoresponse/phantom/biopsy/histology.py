"""Randomness + share of fibrous tissue -> where a core has tumour nests, stroma, fat and vessels.

Maps have cells of about two micrometres. The shares hold exactly in the outlined square; outside it
the same thresholds go on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from neoresponse.phantom.noise import Float32, Mask, smooth_noise

MAP_CELL_UM = 2.0
GROUND_CELL_UM = 1.0
ADIPOCYTE_UM = 62.0
ROUNDNESS = 0.63
"""Largest radius of a vacuole over the distance of neighbours."""
VESSELS_PER_MM2 = 5.0
DUCTS_PER_MM2 = 0.5
VESSEL_UM = (5.0, 13.0)
DUCT_UM = (12.0, 30.0)
"""Radius of the lumen."""
EPITHELIUM_UM = 14.0
"""Thickness of a duct's wall: two rows of cells."""
VESSEL_WALL_UM = 4.0


@dataclass(frozen=True)
class Block:
    """The rectangle of tissue that is drawn.

    Attributes:
        shape: height and width in pixels.
        region: left, top and side of the outlined square, in pixels of the block.
        mpp: micrometres per pixel.
    """

    shape: tuple[int, int]
    region: tuple[int, int, int]
    mpp: float

    @property
    def map_shape(self) -> tuple[int, int]:
        """Rows and columns of the maps that say where each tissue is."""
        return self._cells(MAP_CELL_UM)

    @property
    def ground_shape(self) -> tuple[int, int]:
        """Rows and columns of the maps of what lies between nuclei."""
        return self._cells(GROUND_CELL_UM)

    @property
    def map_cell_um(self) -> float:
        """Side of a cell of those maps."""
        return self.shape[0] * self.mpp / self.map_shape[0]

    @property
    def ground_cell_um(self) -> float:
        """Side of a cell of what lies between nuclei."""
        return self.shape[0] * self.mpp / self.ground_shape[0]

    @property
    def map_region(self) -> tuple[slice, slice]:
        """The outlined square in cells of a map."""
        left, top, side = (value * self.mpp / self.map_cell_um for value in self.region)
        return slice(round(top), round(top + side)), slice(round(left), round(left + side))

    def noise(self, rng: np.random.Generator, scale_um: float) -> Float32:
        """Smooth noise with blobs of a size in micrometres, of a map's shape."""
        return smooth_noise(rng, self.map_shape, scale_px=scale_um / self.map_cell_um)

    def _cells(self, cell_um: float) -> tuple[int, int]:
        step = max(1, round(cell_um / self.mpp))
        return -(-self.shape[0] // step), -(-self.shape[1] // step)


@dataclass(frozen=True)
class Habit:
    """What differs between patients and says nothing about the outcome.

    Attributes:
        cord_share: 0 for islands of tumour, 1 for cords along the fibres.
        fat_share: share of the outlined square that is fat, about.
        collagen: how dense the collagen is, about -1 to 1.
        cleft: how strongly tissue has shrunk away from the nests, 0 to 1.
        cytoplasm: haematoxylin in the cytoplasm of tumour cells.
        chromatin: haematoxylin inside tumour nuclei.
    """

    cord_share: float
    fat_share: float
    collagen: float
    cleft: float
    cytoplasm: float
    chromatin: float


@dataclass(frozen=True)
class Ring:
    """A vessel or a duct cut across.

    Attributes:
        centre_um: (y, x) from the block's upper left corner.
        radius_um: of the lumen.
        is_duct: a duct with its epithelium, else a vessel.
    """

    centre_um: tuple[float, float]
    radius_um: float
    is_duct: bool

    @property
    def wall_um(self) -> float:
        """Thickness of the wall."""
        return EPITHELIUM_UM if self.is_duct else VESSEL_WALL_UM


@dataclass(frozen=True)
class Histology:
    """Where each tissue is; maps of the block's `map_shape`.

    Attributes:
        block: what is drawn.
        habit: this patient's way.
        is_tissue: inside the core.
        is_fat: inside adipocytes.
        vacuole_um: distance inside an adipocyte's vacuole, negative outside.
        is_ring: inside a vessel or a duct, wall included.
        rings: the vessels and ducts.
        nest_depth: above 0 inside a tumour nest; about 1 per 35 micrometres.
        across_um: distance across the fibres, which follow its level lines.
        along_um: distance along the fibres.
    """

    block: Block
    habit: Habit
    is_tissue: Mask
    is_fat: Mask
    vacuole_um: Float32
    is_ring: Mask
    rings: tuple[Ring, ...]
    nest_depth: Float32
    across_um: Float32
    along_um: Float32

    @property
    def is_solid(self) -> Mask:
        """Tumour or stroma: tissue without fat, vessels and ducts."""
        solid: Mask = self.is_tissue & ~self.is_fat & ~self.is_ring
        return solid

    @property
    def is_nest(self) -> Mask:
        """Tumour nests."""
        nest: Mask = self.is_solid & (self.nest_depth > 0)
        return nest


def draw_habit(rng: np.random.Generator) -> Habit:
    """Draw what makes this patient's tissue look like no other's."""
    has_fat = rng.random() < 0.45
    return Habit(
        cord_share=float(rng.uniform(0.05, 0.75)),
        fat_share=float(rng.uniform(0.03, 0.20)) if has_fat else 0.0,
        collagen=float(rng.normal(0, 0.6)),
        cleft=float(rng.beta(0.8, 1.2)),
        cytoplasm=float(rng.uniform(0.07, 0.27)),
        chromatin=float(rng.uniform(0.34, 0.62)),
    )


def draw_histology(
    rng: np.random.Generator, block: Block, habit: Habit, *, stroma_share: float
) -> Histology:
    """Draw where each tissue is.

    Args:
        rng: source of randomness.
        block: what is drawn.
        habit: this patient's way.
        stroma_share: stroma over stroma and nests, in the outlined square.
    """
    is_tissue = _draw_core(rng, block)
    across, along = _fibre_coordinates(rng, block)
    depth = _nest_field(rng, block, across, along, cord_share=habit.cord_share)
    is_fat, vacuole_um = _draw_fat(rng, block, depth, share=habit.fat_share)
    rings, is_ring = _place_rings(rng, block, depth, is_open=is_tissue & ~is_fat)
    inside = block.map_region
    is_solid = (is_tissue & ~is_fat & ~is_ring)[inside]
    depth = depth - np.float32(np.quantile(depth[inside][is_solid], stroma_share))
    depth[is_fat] = np.minimum(depth[is_fat], -0.5)
    return Histology(
        block=block,
        habit=habit,
        is_tissue=is_tissue,
        is_fat=is_fat & is_tissue,
        vacuole_um=vacuole_um,
        is_ring=is_ring,
        rings=rings,
        nest_depth=depth,
        across_um=(across + 10 * np.clip(depth, -2, 2)).astype(np.float32),  # fibres wrap nests
        along_um=along,
    )


def resized(values: Float32, shape: tuple[int, int]) -> Float32:
    """A map at another number of rows and columns, linear in between."""
    if values.shape == shape:
        return values
    size = (shape[1], shape[0])
    image = Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32)


def at_places(values: npt.NDArray[Any], block: Block, centres: Float32) -> npt.NDArray[Any]:
    """A map's values at places (places, 2) given as y, x in pixels of the block."""
    rows, columns = values.shape
    y = (centres[:, 0] * (rows / block.shape[0])).astype(np.int64)
    x = (centres[:, 1] * (columns / block.shape[1])).astype(np.int64)
    found: npt.NDArray[Any] = values[np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)]
    return found


def streaks(
    rng: np.random.Generator, across_um: Float32, along_um: Float32, *, size_um: tuple[float, float]
) -> Float32:
    """Noise stretched along the fibres, with streaks of a width and a length in micrometres."""
    texture = rng.standard_normal((512, 64), dtype=np.float32)
    places = np.stack([across_um / size_um[0], along_um / size_um[1]])
    drawn = map_coordinates(texture, places, order=1, mode="grid-wrap", output=np.float32)
    streaky: Float32 = drawn * np.float32(1.5)  # averaging neighbours took a third
    return streaky


def _draw_core(rng: np.random.Generator, block: Block) -> Mask:
    """Tissue covers the outlined square and ends, ragged, before the block's edge."""
    rows, columns = block.map_shape
    inside_y, inside_x = block.map_region
    reach_y = _reach(rows, inside_y)[:, None]
    reach_x = _reach(columns, inside_x)[None, :]
    rag = 0.6 * block.noise(rng, 130) + 0.3 * block.noise(rng, 40) + 0.18 * block.noise(rng, 9)
    core: Mask = np.hypot(reach_y, reach_x) < 0.55 + 0.35 * np.clip(rag, -1, 1)
    return core


def _reach(num: int, inside: slice) -> Float32:
    """0 along the outlined square, rising to 1 at both ends, (num,)."""
    cell = np.arange(num, dtype=np.float32) + 0.5
    before = (inside.start - cell) / max(1, inside.start)
    after = (cell - inside.stop) / max(1, num - inside.stop)
    reach: Float32 = np.maximum(np.maximum(before, after), 0)
    return reach


def _fibre_coordinates(rng: np.random.Generator, block: Block) -> tuple[Float32, Float32]:
    """Distance across and along wavy fibres, in micrometres."""
    rows, columns = block.map_shape
    angle = np.float32(rng.uniform(0, np.pi))
    y = np.arange(rows, dtype=np.float32)[:, None] * np.float32(block.map_cell_um)
    x = np.arange(columns, dtype=np.float32)[None, :] * np.float32(block.map_cell_um)
    bend = 42 * block.noise(rng, 190) + 9 * block.noise(rng, 60) + 2.2 * block.noise(rng, 19)
    across = y * np.cos(angle) - x * np.sin(angle) + bend
    along = x * np.cos(angle) + y * np.sin(angle) + 20 * block.noise(rng, 150)
    return across.astype(np.float32), along.astype(np.float32)


def _nest_field(
    rng: np.random.Generator,
    block: Block,
    across_um: Float32,
    along_um: Float32,
    *,
    cord_share: float,
) -> Float32:
    """Islands with ragged borders, drawn out into cords; higher is deeper in the tumour."""
    islands = 0.9 * block.noise(rng, 85) + 0.42 * block.noise(rng, 34)
    cords = streaks(rng, across_um, along_um, size_um=(26.0, 120.0))
    mixed = (1 - cord_share) * islands + cord_share * cords
    ragged: Float32 = mixed + 0.24 * block.noise(rng, 14)
    return ragged


def _draw_fat(
    rng: np.random.Generator, block: Block, depth: Float32, *, share: float
) -> tuple[Mask, Float32]:
    """Adipocytes: where they are, and the distance inside their vacuoles, negative outside."""
    shape, pitch = block.map_shape, ADIPOCYTE_UM / block.map_cell_um
    is_fat, vacuole_um = np.zeros(shape, dtype=bool), np.full(shape, -50, dtype=np.float32)
    if share == 0 or block.region[2] * block.mpp < 3 * ADIPOCYTE_UM:
        return is_fat, vacuole_um  # none, or no room for some and tumour besides
    field = block.noise(rng, 210) + 0.4 * block.noise(rng, 70) - 0.35 * depth
    centres = _jittered_places(rng, shape, pitch=pitch)
    y, x = np.clip(centres.astype(int), 0, np.array(shape) - 1).T
    is_chosen = field[y, x] > np.quantile(field[block.map_region], 1 - share)
    is_near, reach = np.zeros(shape, dtype=bool), int(1.2 * pitch)
    for row, column in zip(y[is_chosen], x[is_chosen], strict=True):
        is_near[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach] = True
    found = cKDTree(centres).query(np.argwhere(is_near), k=2)
    distance, nearest = np.asarray(found[0]), np.asarray(found[1])
    to_border = (distance[:, 1] - distance[:, 0]) / 2
    to_corner = ROUNDNESS * pitch - distance[:, 0]
    is_inside = is_chosen[nearest[:, 0]]
    inside = np.where(is_inside, np.minimum(to_border, to_corner), -to_border)
    is_fat[is_near], vacuole_um[is_near] = is_inside, inside * block.map_cell_um
    return is_fat, vacuole_um


def _jittered_places(rng: np.random.Generator, shape: tuple[int, int], *, pitch: float) -> Float32:
    """Places about a pitch apart, also just beyond the edges, (places, 2)."""
    rows, columns = int(shape[0] / pitch) + 3, int(shape[1] / pitch) + 3
    y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float32)
    places = np.stack([y, x + 0.5 * (y % 2)], axis=1) - 1 + rng.uniform(0.15, 0.85, (y.size, 2))
    spread: Float32 = (places * pitch).astype(np.float32)
    return spread


def _place_rings(
    rng: np.random.Generator, block: Block, depth: Float32, *, is_open: Mask
) -> tuple[tuple[Ring, ...], Mask]:
    """Vessels and ducts, where there is least tumour, and the map of them."""
    cell_um = block.map_cell_um
    area_mm2 = depth.size * cell_um**2 / 1e6
    is_ring = np.zeros(depth.shape, dtype=bool)
    rings: list[Ring] = []
    sizes = [(True, DUCT_UM)] * rng.poisson(DUCTS_PER_MM2 * area_mm2)
    sizes += [(False, VESSEL_UM)] * rng.poisson(VESSELS_PER_MM2 * area_mm2)
    for is_duct, limits in sizes:
        ring = Ring((0.0, 0.0), float(rng.uniform(*limits)), is_duct)
        whole = int(np.ceil((ring.radius_um + ring.wall_um) / cell_um)) + 1
        if 2 * whole + 2 > min(depth.shape):
            continue  # a small picture has no room for it
        tries = np.stack([rng.integers(whole, size - whole, 24) for size in depth.shape], axis=1)
        y, x = tries[np.argmin(depth[tries[:, 0], tries[:, 1]])]
        window = (slice(y - whole, y + whole + 1), slice(x - whole, x + whole + 1))
        if is_ring[window].any() or not is_open[window].all():
            continue
        down, right = np.ogrid[-whole : whole + 1, -whole : whole + 1]
        distance = np.hypot(down, right) * cell_um
        is_ring[window] = distance < ring.radius_um + ring.wall_um
        centre = ((y + 0.5) * cell_um, (x + 0.5) * cell_um)
        rings.append(Ring(centre, ring.radius_um, is_duct))
    return tuple(rings), is_ring
