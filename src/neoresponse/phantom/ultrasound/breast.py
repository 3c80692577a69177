"""Seed + plane -> the breast around a lesion: scattering, mirrors and attenuation per pixel.

Skin, fat with Cooper's ligaments, gland with fat between, retromammary fat, pectoral muscle and
chest wall. Two planes of the same breast are the more alike the nearer they are. Lengths in mm.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from neoresponse.phantom.noise import Float32
from neoresponse.types import FloatArray

ATTENUATION = {"skin": 1.57, "fat": 0.48, "gland": 0.75, "muscle": 1.09, "chest wall": 0.9}
"""In dB/cm/MHz. Fat, gland (breast) and muscle: Culjat et al., Ultrasound Med. Biol. 2010,
36:861-873; skin as connective tissue there; the chest wall is ours."""
MARGIN_MM = 6.0
"""How far a picture may lie beside its usual place."""
LOBULE_MM = np.array([8.0, 4.5])
"""Width and height of a lobule of fat."""
SEPTUM_STEP_PX = 2
"""Walls of lobules are found at every second pixel; they are smooth."""


@dataclass(frozen=True)
class Plane:
    """Where a picture cuts the breast.

    Attributes:
        frame_px: side of the picture in pixels.
        spacing_mm: size of a pixel.
        shift_mm: by how much what is seen lies farther right than usual.
        beside_mm: distance from the usual plane.
    """

    frame_px: int
    spacing_mm: float
    shift_mm: float = 0.0
    beside_mm: float = 0.0


@dataclass(frozen=True)
class Tissue:
    """What the beam meets, each (height, width).

    Attributes:
        echo_db: mean power of scattering; 0 is glandular tissue.
        mirror: amplitude of what reflects like a mirror, in units of the gland's scattering.
        attenuation: in dB/cm/MHz.
        texture: unevenness that a lesion at this place has inside; standard deviation 1.
    """

    echo_db: FloatArray
    mirror: FloatArray
    attenuation: FloatArray
    texture: FloatArray


class Fields:
    """Random fields of one breast, cut by a plane.

    A field beside the usual plane is rho * usual + sqrt(1 - rho^2) * other with
    rho = exp(-(d / scale)^2 / 2): a Gaussian field in three dimensions, the finer the sooner other.
    """

    def __init__(self, seed: int, plane: Plane) -> None:
        self._usual = np.random.default_rng([seed, 0])
        self._other = np.random.default_rng([seed, 1])
        self._plane = plane

    def numbers(self, shape: tuple[int, ...], *, scale_mm: float) -> Float32:
        """Standard normal numbers that belong to a structure of this size."""
        rho = np.float32(np.exp(-0.5 * (self._plane.beside_mm / scale_mm) ** 2))
        usual = self._usual.standard_normal(shape, dtype=np.float32)
        other = self._other.standard_normal(shape, dtype=np.float32)
        mixed: Float32 = rho * usual + np.sqrt(1 - rho**2) * other
        return mixed

    def field(self, down_mm: float, across_mm: float, *, num_rows: int | None = None) -> Float32:
        """Field of mean 0 and standard deviation near 1 with blobs of this size.

        Args:
            down_mm: height of the blobs.
            across_mm: width of the blobs, and thickness out of the plane.
            num_rows: rows of pixels; the picture's if not given.

        Returns:
            (num_rows, width).
        """
        plane = self._plane
        num_rows = num_rows or plane.frame_px
        down = max(1.0, down_mm / plane.spacing_mm)
        across = max(1.0, across_mm / plane.spacing_mm)
        beyond = MARGIN_MM / plane.spacing_mm
        coarse = self.numbers(
            (int(num_rows / down) + 4, int((plane.frame_px + 2 * beyond) / across) + 4),
            scale_mm=across_mm,
        )
        left = 1.5 + (beyond - plane.shift_mm / plane.spacing_mm) / across
        box = (left, 1.5, left + plane.frame_px / across, 1.5 + num_rows / down)
        size = (plane.frame_px, num_rows)
        fine = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC, box=box)
        values: Float32 = np.asarray(fine, dtype=np.float32) * np.float32(1.2)
        return values

    def line(self, across_mm: float) -> Float32:
        """Like `field`, along one row, (width,)."""
        values: Float32 = self.field(1e3, across_mm, num_rows=1)[0]
        return values


@dataclass(frozen=True)
class _Layers:
    """Where layers begin or end, in mm, each (1, width); how fatty and fibrous the gland is."""

    skin_end: Float32
    fat_end: Float32
    gland_end: Float32
    muscle_top: Float32
    chest_wall: Float32
    fat_threshold: float
    fibrous: float


def draw_tissue(seed: int, plane: Plane) -> Tissue:
    """Cut a breast.

    Args:
        seed: names the breast; the same plane of the same breast is the same to the last bit.
        plane: where to cut it.
    """
    fields = Fields(seed, plane)
    rng = np.random.default_rng([seed, 2])
    depth = ((np.arange(plane.frame_px) + 0.5) * plane.spacing_mm).astype(np.float32)[:, None]
    layers = _draw_layers(rng, fields, field_mm=plane.frame_px * plane.spacing_mm)
    echo, attenuation = _fill(fields, layers, depth)
    mirror = _draw_interfaces(fields, layers, depth, spacing_mm=plane.spacing_mm)
    mirror += _draw_ligaments(fields, layers, plane)
    sheets = _draw_sheets(fields, layers, depth)
    echo += 5.0 * np.minimum(sheets, 3.0)
    mirror += 2.2 * sheets
    mirror *= np.exp(0.5 * fields.field(0.6, 0.9))
    bend = 1.1 * fields.field(16.0, 16.0) + 0.45 * fields.field(8.0, 7.0)
    bend *= np.clip((depth - 0.5) / 9.0, 0, 1)
    slope = np.gradient(bend, axis=1) / np.float32(plane.spacing_mm)
    mirror *= np.exp(-((slope / 0.35) ** 2))  # a mirror that is tilted sends its echo elsewhere
    rows = bend / np.float32(plane.spacing_mm)
    shading = np.maximum(fields.line(2.6) - 0.5, 0) * 5.0 * np.clip((depth - 2.0) / 10.0, 0, 1)
    return Tissue(
        echo_db=_bent(echo, rows) - shading,
        mirror=_bent(mirror, rows) * np.power(10.0, -shading / 20, dtype=np.float32),
        attenuation=_bent(attenuation, rows),
        texture=_draw_texture(fields),
    )


def _draw_texture(fields: Fields) -> Float32:
    """Unevenness of a lesion: coarse, middle and fine; standard deviation 1."""
    coarse, middle, fine = (fields.field(*size) for size in ((4.5, 4.5), (1.6, 1.6), (0.5, 0.9)))
    return np.float32(0.58) * (coarse + middle) + np.float32(0.57) * fine


def _draw_layers(rng: np.random.Generator, fields: Fields, *, field_mm: float) -> _Layers:
    """Thickness of each layer, and how it changes across the picture."""
    skin_end = rng.uniform(1.2, 2.2)
    fat_end = field_mm * rng.uniform(0.13, 0.27)
    gland_end = field_mm * rng.uniform(0.55, 0.75)
    muscle_top = gland_end + field_mm * rng.uniform(0.02, 0.08)
    chest_wall = muscle_top + field_mm * rng.uniform(0.15, 0.45)
    crests = 3.0 * (np.abs(fields.line(9.0)) - 0.8)  # ligaments begin where gland points upward
    return _Layers(
        skin_end=np.maximum(skin_end + 0.15 * fields.line(8.0), 0.6)[None],
        fat_end=np.maximum(fat_end + crests, 2.5)[None],
        gland_end=(gland_end + 1.2 * fields.line(12.0))[None],
        muscle_top=(muscle_top + 0.6 * fields.line(18.0))[None],
        chest_wall=(chest_wall + 0.7 * fields.line(20.0))[None],
        fat_threshold=float(rng.uniform(-0.2, 1.6)),
        fibrous=float(rng.uniform(0.6, 1.5)),
    )


def _fill(fields: Fields, layers: _Layers, depth: Float32) -> tuple[Float32, Float32]:
    """Scattering in dB and attenuation in dB/cm/MHz of each layer, before it is bent."""
    streaks, lobules = fields.field(0.9, 4.0), fields.field(2.6, 6.5)
    patchy, fibres = fields.field(2.0, 3.0), fields.field(0.6, 10.0)
    fat_share = 1 / (1 + np.exp(-7 * (lobules - np.float32(layers.fat_threshold))))
    skin, in_fat, in_gland, muscle, wall = (np.float32(value) for value in ATTENUATION.values())
    is_above = [
        depth < end
        for end in (
            layers.skin_end,
            layers.fat_end,
            layers.gland_end,
            layers.muscle_top,
            layers.chest_wall,
        )
    ]
    fat = patchy - 8.0
    gland = 3.0 * streaks + 1.2 * patchy - 8.0 * fat_share
    echo = np.select(is_above, [np.float32(-1.0), fat, gland, fat, 3.5 * fibres - 7.0], -13.0)
    mixed = in_gland + (in_fat - in_gland) * fat_share
    attenuation = np.select(is_above, [skin, in_fat, mixed, in_fat, muscle], wall)
    return echo.astype(np.float32), attenuation.astype(np.float32)


def _draw_interfaces(
    fields: Fields, layers: _Layers, depth: Float32, *, spacing_mm: float
) -> Float32:
    """Mirrors at the probe and between layers."""
    mirror = np.repeat(5.0 * np.exp(-((depth / 0.25) ** 2)), layers.fat_end.shape[1], axis=1)
    lines = [
        (layers.skin_end, 0.14, 2.2),
        (layers.fat_end, 0.14, 2.5),
        (layers.gland_end, 0.16, 2.5),
        (layers.muscle_top, 0.18, 4.0),
        (layers.chest_wall, 0.25, 6.0),
    ]
    for line, width_mm, amplitude in lines:
        slope = np.gradient(line[0]) / np.float32(spacing_mm)
        strength = amplitude * np.exp(0.6 * fields.line(6.0) - (slope / 0.6) ** 2)
        mirror = mirror + strength * np.exp(-(((depth - line) / width_mm) ** 2))
    total: Float32 = mirror.astype(np.float32)
    return total


def _draw_sheets(fields: Fields, layers: _Layers, depth: Float32) -> Float32:
    """Short sheets of fibrous tissue, strength above 0 where there is one."""
    fine, coarse = fields.field(0.3, 2.2), fields.field(0.5, 6.0)
    dense = np.clip(0.8 + 0.6 * fields.field(7.0, 9.0), 0.1, 2.0)
    sheets = 0.9 * np.maximum(fine - 1.0, 0) + 1.5 * np.maximum(coarse - 1.1, 0)
    sheets *= layers.fibrous * dense
    sheets *= np.where(depth < layers.fat_end, 0.1, 1.0) * (depth < layers.chest_wall)
    strength: Float32 = sheets.astype(np.float32)
    return strength


def _draw_ligaments(fields: Fields, layers: _Layers, plane: Plane) -> Float32:
    """Cooper's ligaments: walls between lobules of fat; they mirror where they lie flat."""
    size, spacing = plane.frame_px, plane.spacing_mm
    num_rows = min(size, int(float(layers.fat_end.max()) / spacing) + 2)
    wobble = 0.6 * fields.field(4.0, 5.0)[:num_rows]
    centres = _lobule_centres(fields, plane)
    places = (np.arange(0, size, SEPTUM_STEP_PX, dtype=np.float32) + 0.5) * np.float32(spacing)
    x, y = np.meshgrid(places, places[: -(-num_rows // SEPTUM_STEP_PX)])
    y = y + wobble[::SEPTUM_STEP_PX, ::SEPTUM_STEP_PX]
    pixels = np.stack([x, y], axis=2).reshape(-1, 2) / LOBULE_MM
    away, nearest = (np.asarray(found).T for found in cKDTree(centres).query(pixels, k=2))
    wall_mm = (away[1] - away[0]) * LOBULE_MM[1]
    across = (centres[nearest[1]] - centres[nearest[0]]) * LOBULE_MM
    flatness = across[:, 1] ** 2 / np.sum(across**2, axis=1)
    strength = (0.5 + 2.2 * flatness) * np.exp(-((wall_mm / 0.22) ** 2))
    coarse = Image.fromarray(strength.reshape(x.shape).astype(np.float32))
    mirror = np.zeros((size, size), dtype=np.float32)
    mirror[:num_rows] = np.asarray(coarse.resize((size, num_rows), Image.Resampling.BILINEAR))
    depth = (np.arange(size, dtype=np.float32)[:, None] + 0.5) * np.float32(spacing)
    return mirror * ((depth > layers.skin_end) & (depth < layers.fat_end))


def _lobule_centres(fields: Fields, plane: Plane) -> FloatArray:
    """Middles of lobules of fat on an uneven lattice, (lobules, 2) as x, y in their own sizes."""
    width_mm = plane.frame_px * plane.spacing_mm
    num = np.ceil((width_mm + 2 * MARGIN_MM, width_mm / 2) / LOBULE_MM).astype(int) + 2
    grid = np.stack(np.meshgrid(np.arange(num[0]), np.arange(num[1])), axis=2).astype(np.float32)
    grid[1::2, :, 0] += 0.5  # every second row lies between
    grid += 0.22 * fields.numbers(grid.shape, scale_mm=float(LOBULE_MM[0])) - 0.5
    centres: FloatArray = grid.reshape(-1, 2) + (plane.shift_mm - MARGIN_MM, 0.0) / LOBULE_MM
    return centres


def _bent(layer: Float32, rows: FloatArray) -> Float32:
    """The layer moved down by so many rows at each place, by linear interpolation."""
    last = layer.shape[0] - 1
    place = np.clip(np.arange(layer.shape[0], dtype=np.float32)[:, None] - rows, 0, last)
    above = np.minimum(place.astype(np.int32), last - 1)
    part = (place - above).astype(np.float32)
    upper = np.take_along_axis(layer, above, axis=0)
    lower = np.take_along_axis(layer, above + 1, axis=0)
    bent: Float32 = upper + (lower - upper) * part
    return bent
