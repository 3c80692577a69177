"""Kinds of nuclei -> small drawings of them in haematoxylin, and a canvas to lay them on.

A nucleus is an object of a size in micrometres. Each takes one of a few drawn shapes of its kind.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from neoresponse.phantom.noise import Float32
from neoresponse.types import FloatArray, IntArray

NUM_SHAPES = 48
EDGE_UM, EDGE_SPREAD = 0.27, 0.4
"""Softness of a nucleus's edge (logistic), median and standard deviation of the logarithm: 0.27 is
a blur of 0.5 micrometres, and nuclei do not all lie in the plane of focus."""
CYTOPLASM_UM = 1.3
"""Thickness of that rim."""
PAD_UM = 16.0
"""Room around the canvas: nuclei may reach over its edge."""
LEAST = 0.02
"""Haematoxylin below which a shape has ended."""


@dataclass(frozen=True)
class Kind:
    """What nuclei of one kind look like.

    Attributes:
        diameter_um: median diameter of the circle of the same area.
        size_spread: standard deviation of the diameter's logarithm.
        aspect: mean logarithm of length over width.
        aspect_spread: its standard deviation.
        amount: median haematoxylin inside.
        amount_spread: standard deviation of its logarithm between nuclei.
        clumps: unevenness of chromatin.
        rim: extra haematoxylin along the border.
        nucleoli: extra haematoxylin in nucleoli.
        cytoplasm: haematoxylin in the thin rim of cytoplasm around, where it is to be seen.
    """

    diameter_um: float
    size_spread: float
    aspect: float
    aspect_spread: float
    amount: float
    amount_spread: float = 0.10
    clumps: float = 0.08
    rim: float = 0.0
    nucleoli: float = 0.0
    cytoplasm: float = 0.0


LYMPHOCYTE = Kind(7.0, 0.09, 0.14, 0.10, amount=0.74, amount_spread=0.09, cytoplasm=0.11)
LYMPHOCYTE_EDGE = 0.36
"""Haematoxylin at the border of a lymphocyte, about half of that inside."""
FIBROBLAST = Kind(6.6, 0.18, 1.15, 0.30, amount=0.60, amount_spread=0.16)
EPITHELIUM = Kind(6.8, 0.12, 0.22, 0.16, amount=0.62)
ENDOTHELIUM = Kind(5.2, 0.10, 1.00, 0.20, amount=0.62)


def tumour_kind(*, diameter_um: float, chromatin: float) -> Kind:
    """Tumour nuclei, uneven in size; the paler their chromatin, the plainer rim and nucleoli."""
    return Kind(
        diameter_um=diameter_um,
        size_spread=0.20,
        aspect=0.24,
        aspect_spread=0.16,
        amount=chromatin,
        amount_spread=0.17,
        clumps=0.09,
        rim=0.36 * (1 - chromatin),
        nucleoli=0.55 * (1 - chromatin),
    )


def draw_shapes(rng: np.random.Generator, kind: Kind, *, mpp: float) -> Float32:
    """Draw nuclei of one kind in the middle of small squares.

    Args:
        rng: source of randomness.
        kind: which nuclei.
        mpp: micrometres per pixel.

    Returns:
        Haematoxylin, (shapes, pixels, pixels); the long axis turns by equal steps of a half turn.
    """
    # beyond two standard deviations there is no nucleus; waves add some
    half_um = (
        kind.diameter_um / 2 * np.exp(2 * kind.size_spread + kind.aspect / 2 + kind.aspect_spread)
    )
    y, x = _square(min(half_um * (1 + 0.4 * kind.size_spread) + CYTOPLASM_UM, PAD_UM - 2), mpp=mpp)
    column = (NUM_SHAPES, 1, 1)
    drawn = np.clip(rng.standard_normal((4, *column), dtype=np.float32), -2, 2)
    size, length, darkness, focus = drawn
    shift = (rng.random((2, *column), dtype=np.float32) - 0.5) * np.float32(mpp)
    phase = rng.random((2, *column), dtype=np.float32) * np.float32(2 * np.pi)
    angle = np.arange(NUM_SHAPES, dtype=np.float32).reshape(column) * np.float32(np.pi / NUM_SHAPES)
    stretch = np.exp((kind.aspect + kind.aspect_spread * length) / 2)
    u = ((x - shift[1]) * np.cos(angle) + (y - shift[0]) * np.sin(angle)) / stretch
    v = ((y - shift[0]) * np.cos(angle) - (x - shift[1]) * np.sin(angle)) * stretch
    turn = np.arctan2(v, u)
    wave = 1 + 0.35 * kind.size_spread * (np.cos(2 * turn + phase[0]) + np.cos(3 * turn + phase[1]))
    radius_um = kind.diameter_um / 2 * np.exp(kind.size_spread * size)
    beyond_um = np.hypot(u, v) - radius_um * wave
    clumps = _clumps(rng, beyond_um.shape, mpp=mpp)
    inside = kind.amount * np.exp(kind.amount_spread * darkness) + kind.clumps * clumps
    inside += kind.rim * np.exp(-((beyond_um / 0.8 + 0.7) ** 2))
    inside += kind.nucleoli * soft(8 * (clumps - 1.9))
    body = soft(-beyond_um / np.maximum(EDGE_UM * np.exp(EDGE_SPREAD * focus), 0.3 * mpp))
    cytoplasm = kind.cytoplasm * soft((CYTOPLASM_UM - beyond_um) / 0.4)
    shapes: Float32 = np.maximum(body * np.maximum(inside, 0.1), cytoplasm)
    return shapes


def draw_mitoses(rng: np.random.Generator, *, diameter_um: float, mpp: float) -> Float32:
    """Draw mitotic figures: dark, ragged plates, some of them already two.

    Args:
        rng: source of randomness.
        diameter_um: of the tumour's nuclei.
        mpp: micrometres per pixel.

    Returns:
        Haematoxylin, (shapes, pixels, pixels).
    """
    half_um = 0.55 * diameter_um
    y, x = _square(half_um + 4.0, mpp=mpp)
    column = (NUM_SHAPES, 1, 1)
    angle = rng.uniform(0, np.pi, column).astype(np.float32)
    apart_um = np.where(rng.random(column) < 0.3, rng.uniform(2.0, 3.2, column), 0.0)
    thick_um = rng.uniform(1.2, 2.2, column)
    length_um = half_um * rng.uniform(0.75, 1.1, column)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    plate = np.hypot(u / length_um, (np.abs(v) - apart_um) / thick_um)
    beyond_um = (plate - 1) * thick_um + 0.45 * _clumps(rng, u.shape, mpp=mpp)
    figures: Float32 = (1.1 * soft(-beyond_um / 0.3)).astype(np.float32)
    return figures


def shape_of(angle: FloatArray) -> IntArray:
    """Number of the shape whose long axis is turned by an angle from x toward y."""
    return np.round(angle * (NUM_SHAPES / np.pi)).astype(np.int64) % NUM_SHAPES


def soft(values: FloatArray) -> Float32:
    """From 0 far below 0 to 1 far above."""
    share: Float32 = np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), dtype=np.float32)
    return share


@dataclass(frozen=True)
class Canvas:
    """Haematoxylin of nuclei, with room around for those at the edge.

    Attributes:
        values: (height + 2 pad, width + 2 pad).
        pad: room on each side in pixels.
    """

    values: Float32
    pad: int

    @classmethod
    def empty(cls, shape: tuple[int, int], *, mpp: float) -> "Canvas":
        """A canvas without nuclei, for (height, width) pixels."""
        pad = int(np.ceil(PAD_UM / mpp)) + 2
        return cls(np.zeros((shape[0] + 2 * pad, shape[1] + 2 * pad), dtype=np.float32), pad)

    @property
    def inner(self) -> Float32:
        """The canvas without the room around, (height, width)."""
        return self.values[self.pad : -self.pad, self.pad : -self.pad]

    def stamp(self, shapes: Float32, centres: Float32, choice: IntArray) -> None:
        """Lay nuclei over what is there; where two overlap, the darker one is seen.

        Args:
            shapes: haematoxylin, (shapes, pixels, pixels).
            centres: y, x in pixels, (nuclei, 2).
            choice: number of each nucleus's shape, (nuclei,).
        """
        row = np.array([self.values.shape[1], 1])
        middle = (np.round(centres).astype(np.int64) + self.pad) @ row
        flat = self.values.reshape(-1)
        for number, shape in enumerate(shapes):
            used = np.argwhere(shape > LEAST)
            places = middle[choice == number, None] + (used - shape.shape[0] // 2) @ row
            np.maximum.at(flat, places, np.broadcast_to(shape[tuple(used.T)], places.shape))


def _square(half_um: float, *, mpp: float) -> tuple[Float32, Float32]:
    """Vertical and horizontal places in micrometres around the middle, (1, pixels, pixels) each."""
    reach = int(np.ceil(half_um / mpp))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32) * np.float32(mpp)
    return y[None], x[None]


def _clumps(rng: np.random.Generator, shape: tuple[int, ...], *, mpp: float) -> Float32:
    """Blobs of about a micrometre, of standard deviation 1."""
    sigma = max(0.45, 0.55 / mpp)
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = gaussian_filter(noise, (0, sigma, sigma), truncate=2.5)
    clumps: Float32 = noise / noise.std()
    return clumps
