"""Seed + lesion -> B-mode pictures before and after two cycles, with the lesion's true border.

A scatterer field is weighed by an echogenicity map, smeared by a point spread function, attenuated,
partly compensated, detected and log-compressed; so speckle follows from the physics and is fully
developed (Wagner et al., IEEE Trans. Sonics Ultrason. 1983, 30:156-163). Lengths are in mm.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from neoresponse.types import FloatArray, Pixels

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

PSF_AXIAL_MM = 0.10
PSF_LATERAL_MM = (0.20, 0.45)
"""Standard deviation of the beam's width at the focus and far from it."""
FOCUS_SHARE = 0.42
"""Depth of the focus as a share of the picture."""
MIN_PSF_PX = 0.55
DYNAMIC_RANGE_DB = 60.0
NOISE_FLOOR_DB = -44.0
"""Electronic noise before compression, relative to the glandular tissue's mean level."""
LESION_DB = -16.0
GLAND_LEVEL_DB = -25.0
"""Where glandular tissue comes to lie below white."""


@dataclass(frozen=True)
class Lesion:
    """A lesion in the B-mode plane.

    Attributes:
        centre_mm: (x, y) from the upper left corner of the picture.
        half_axes_mm: half its width and half its height, before the border's irregularity.
        tilt_rad: rotation of the axes.
        waves: border irregularity, (waves, 3) as order, amplitude, phase.
    """

    centre_mm: tuple[float, float]
    half_axes_mm: tuple[float, float]
    tilt_rad: float
    waves: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Anatomy:
    """What stays the same between the two time points.

    Attributes:
        echo_db: echogenicity of the breast without a lesion, (height, width).
        lesion: the lesion before chemotherapy.
        texture_db: the lesion's inner texture, (height, width).
        shadow_db_per_mm: extra attenuation inside the lesion; negative gives enhancement.
        spacing_mm: size of a pixel.
    """

    echo_db: Float32
    lesion: Lesion
    texture_db: Float32
    shadow_db_per_mm: float
    spacing_mm: float


@dataclass(frozen=True)
class Visit:
    """What differs between the two time points.

    Attributes:
        relative_diameter: lesion diameter as a share of that before chemotherapy.
        echo_change_db: how much brighter the lesion is than before.
        shift_mm: displacement of the lesion by probe and patient, (x, y).
        gain_db: overall gain.
        is_visible: whether a lesion is drawn; else a faint scar.
    """

    relative_diameter: float = 1.0
    echo_change_db: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    gain_db: float = 0.0
    is_visible: bool = True


@dataclass(frozen=True)
class BModePicture:
    """One picture.

    Attributes:
        pixels: grey levels, (height, width).
        mask: inside the lesion's true border, (height, width).
        border: the true border in pixels, (vertices, 2) as x, y; None where nothing is visible.
    """

    pixels: Pixels
    mask: Mask
    border: FloatArray | None


def draw_anatomy(
    rng: np.random.Generator, *, size_mm: float, field_mm: float, frame_px: int
) -> Anatomy:
    """Draw a breast with a lesion.

    Args:
        rng: source of randomness.
        size_mm: longest diameter of the lesion.
        field_mm: width and depth of the picture.
        frame_px: side of the picture in pixels.
    """
    spacing = field_mm / frame_px
    shape = (frame_px, frame_px)
    lesion = _draw_lesion(rng, size_mm=size_mm, field_mm=field_mm)
    texture = 2.5 * smooth_noise(rng, shape, scale_px=1.6 / spacing)
    shadow = float(rng.choice([0.9, 0.4, 0.0, -0.35], p=[0.3, 0.25, 0.25, 0.2]))
    return Anatomy(
        echo_db=_draw_layers(rng, shape, spacing_mm=spacing),
        lesion=lesion,
        texture_db=texture,
        shadow_db_per_mm=shadow,
        spacing_mm=spacing,
    )


def draw_picture(rng: np.random.Generator, anatomy: Anatomy, visit: Visit) -> BModePicture:
    """Scan an anatomy at one visit.

    Args:
        rng: source of scatterers and noise: the speckle of this visit.
        anatomy: what both visits share.
        visit: what this visit sees of it.
    """
    shape = anatomy.echo_db.shape
    lesion = _lesion_at(anatomy.lesion, visit)
    radius = relative_radius(lesion, shape, spacing_mm=anatomy.spacing_mm)
    echo_db = anatomy.echo_db + _lesion_change(radius, anatomy, lesion, visit)
    envelope = scan(rng, echo_db, spacing_mm=anatomy.spacing_mm)
    pixels = compress(envelope, gain_db=visit.gain_db)
    if not visit.is_visible:
        return BModePicture(pixels=pixels, mask=np.zeros(shape, dtype=bool), border=None)
    border = lesion_border(lesion, num_vertices=72) / anatomy.spacing_mm
    return BModePicture(pixels=pixels, mask=radius < 1, border=border)


def scan(rng: np.random.Generator, echo_db: FloatArray, *, spacing_mm: float) -> Float32:
    """Envelope of the echo of random scatterers.

    Args:
        rng: source of scatterers and noise.
        echo_db: echogenicity with all gains and losses, (height, width); 0 is glandular tissue.
        spacing_mm: size of a pixel.

    Returns:
        Envelope, (height, width); its mean square is 1 where `echo_db` is 0.

    Source: Bamber and Dickinson, Phys. Med. Biol. 1980, 25:463-479 (convolution model).
    """
    amplitude = np.power(10.0, echo_db / 20, dtype=np.float32)
    depth = np.linspace(0, 1, echo_db.shape[0], dtype=np.float32)[:, None]
    blur = np.clip(np.abs(depth - FOCUS_SHARE) / (1 - FOCUS_SHARE), 0, 1)
    narrow, wide = PSF_LATERAL_MM
    field = np.sqrt(1 - blur) * _echo(rng, amplitude, lateral_mm=narrow, spacing_mm=spacing_mm)
    field += np.sqrt(blur) * _echo(rng, amplitude, lateral_mm=wide, spacing_mm=spacing_mm)
    noise = rng.standard_normal((2, *echo_db.shape), dtype=np.float32)
    field += np.float32(10 ** (NOISE_FLOOR_DB / 20) / np.sqrt(2)) * noise * (0.5 + depth)
    envelope: Float32 = np.hypot(field[0], field[1])
    return envelope


def compress(envelope: FloatArray, *, gain_db: float = 0.0) -> Pixels:
    """Log compression to 8 bit: white at 0 dB, black at -60 dB.

    Args:
        envelope: envelope, (height, width), mean square 1 in glandular tissue.
        gain_db: overall gain.
    """
    level_db = 20 * np.log10(np.maximum(envelope, 1e-6)) + GLAND_LEVEL_DB + gain_db
    grey = 255 * (1 + level_db / DYNAMIC_RANGE_DB)
    pixels: Pixels = np.clip(np.round(grey), 0, 255).astype(np.uint8)
    return pixels


def relative_radius(lesion: Lesion, shape: tuple[int, ...], *, spacing_mm: float) -> Float32:
    """Distance from the lesion's centre as a share of its border's, per pixel centre.

    Returns:
        Below 1 inside the border, (height, width).
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    x_mm = (x + 0.5) * spacing_mm - lesion.centre_mm[0]
    y_mm = (y + 0.5) * spacing_mm - lesion.centre_mm[1]
    cosine, sine = np.cos(lesion.tilt_rad), np.sin(lesion.tilt_rad)
    u = ((x_mm * cosine + y_mm * sine) / lesion.half_axes_mm[0]).astype(np.float32)
    v = ((y_mm * cosine - x_mm * sine) / lesion.half_axes_mm[1]).astype(np.float32)
    radius: Float32 = np.hypot(u, v) / _wobble(lesion, np.arctan2(v, u)).astype(np.float32)
    return radius


def lesion_border(lesion: Lesion, *, num_vertices: int) -> FloatArray:
    """The border as (vertices, 2), x and y in mm."""
    angle = np.linspace(0, 2 * np.pi, num_vertices, endpoint=False)
    wobble = _wobble(lesion, angle)
    u = lesion.half_axes_mm[0] * wobble * np.cos(angle)
    v = lesion.half_axes_mm[1] * wobble * np.sin(angle)
    cosine, sine = np.cos(lesion.tilt_rad), np.sin(lesion.tilt_rad)
    return np.stack([u * cosine - v * sine, u * sine + v * cosine], axis=1) + lesion.centre_mm


def smooth_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    scale_px: float | tuple[float, float],
) -> Float32:
    """Random field of mean 0 and standard deviation near 1 whose blobs are `scale_px` wide.

    Args:
        rng: source of randomness.
        shape: (height, width).
        scale_px: distance of independent values, one number or (down, across).
    """
    down, across = (scale_px, scale_px) if isinstance(scale_px, int | float) else scale_px
    down, across = max(1.0, down), max(1.0, across)
    rows, columns = int(shape[0] / down) + 4, int(shape[1] / across) + 4
    coarse = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    box = (1.5, 1.5, 1.5 + shape[1] / across, 1.5 + shape[0] / down)
    fine = coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(fine, dtype=np.float32) * np.float32(1.2)


def _draw_lesion(rng: np.random.Generator, *, size_mm: float, field_mm: float) -> Lesion:
    """A lesion as wide as the tumour is long, flatter than wide, in the glandular layer."""
    half_width = size_mm / 2
    half_height = min(half_width * rng.uniform(0.55, 0.8), 0.30 * field_mm)
    orders = np.array([2, 3, 4, 5, 7, 9, 12])
    amplitudes = rng.uniform(0.5, 1.0, orders.size) * 0.085 / np.sqrt(orders)
    phases = rng.uniform(0, 2 * np.pi, orders.size)
    return Lesion(
        centre_mm=(
            field_mm * (0.5 + rng.uniform(-0.06, 0.06)),
            field_mm * 0.13 + half_height * 1.1 + rng.uniform(0.02, 0.10) * field_mm,
        ),
        half_axes_mm=(half_width, half_height),
        tilt_rad=float(rng.uniform(-0.18, 0.18)),
        waves=tuple(zip(orders.tolist(), amplitudes.tolist(), phases.tolist(), strict=True)),
    )


def _draw_layers(rng: np.random.Generator, shape: tuple[int, int], *, spacing_mm: float) -> Float32:
    """Skin, fat with septa, gland, retromammary fat, pectoral muscle: echogenicity in dB."""
    height_mm = shape[0] * spacing_mm
    depth = ((np.arange(shape[0]) + 0.5) * spacing_mm).astype(np.float32)[:, None]
    bends = smooth_noise(rng, (4, shape[1]), scale_px=(1, 9 / spacing_mm))
    tops = np.array([0.13, 0.62, 0.69, 0.90]) * height_mm + rng.normal(0, 0.012 * height_mm, 4)
    bend_mm = np.array([0.9, 1.0, 0.7, 0.5])[:, None] * bends
    fat_end, gland_end, muscle_top, chest_wall = (tops[:, None] + bend_mm)[:, None, :]
    echo = np.where(depth < 1.6, 2.0, -9.0) + np.zeros(shape)
    echo = np.where(depth > fat_end, _gland(rng, shape, spacing_mm=spacing_mm), echo)
    echo = np.where(depth > gland_end, -11.0, echo)
    fibres = smooth_noise(rng, shape, scale_px=(0.7 / spacing_mm, 9 / spacing_mm))
    echo = np.where(depth > muscle_top, -10.0 + 4.5 * fibres, echo)
    echo = np.where(depth > chest_wall, -16.0, echo)
    septa = np.abs(smooth_noise(rng, shape, scale_px=(2.2 / spacing_mm, 5.5 / spacing_mm)))
    is_fat = ((depth > 1.6) & (depth < fat_end)) | ((depth > gland_end) & (depth < muscle_top))
    echo += np.where(is_fat, 13.0 * np.exp(-((septa / 0.10) ** 2)), 0.0)
    for line, width_mm in ((muscle_top, 0.35), (chest_wall, 0.5), (fat_end, 0.2)):
        echo += 11.0 * np.exp(-(((depth - line) / width_mm) ** 2))
    echo += 8.0 * np.exp(-((depth / 0.35) ** 2)) + 7.0 * np.exp(-(((depth - 1.5) / 0.25) ** 2))
    coupling = 1.6 * smooth_noise(rng, (4, shape[1]), scale_px=(1, 7 / spacing_mm))[0]
    echo = echo + coupling + _gain_over_depth(depth / height_mm)
    layers: Float32 = echo.astype(np.float32)
    return layers


def _gland(rng: np.random.Generator, shape: tuple[int, int], *, spacing_mm: float) -> Float32:
    """Glandular tissue: bright, streaky, with fat lobules between."""
    streaks = smooth_noise(rng, shape, scale_px=(0.8 / spacing_mm, 4.0 / spacing_mm))
    lobules = smooth_noise(rng, shape, scale_px=(3.0 / spacing_mm, 7.0 / spacing_mm))
    is_fat = 1 / (1 + np.exp(-9 * (lobules - 0.75)))
    gland: Float32 = 3.2 * streaks + 1.0 * lobules - 8.0 * is_fat
    return gland


def _gain_over_depth(depth: FloatArray) -> FloatArray:
    """Attenuation less what time-gain compensation gives back, in dB over relative depth."""
    focal_gain = 2.5 * np.exp(-(((depth - FOCUS_SHARE) / 0.25) ** 2))
    gain: FloatArray = focal_gain - 7.0 * depth**2
    return gain


def _lesion_at(lesion: Lesion, visit: Visit) -> Lesion:
    """The lesion as this visit finds it: smaller, and displaced."""
    scale = visit.relative_diameter
    half_width, half_height = lesion.half_axes_mm
    return Lesion(
        centre_mm=(
            lesion.centre_mm[0] + visit.shift_mm[0],
            lesion.centre_mm[1] + visit.shift_mm[1],
        ),
        half_axes_mm=(half_width * scale, half_height * scale),
        tilt_rad=lesion.tilt_rad,
        waves=lesion.waves,
    )


def _lesion_change(radius: Float32, anatomy: Anatomy, lesion: Lesion, visit: Visit) -> Float32:
    """What the lesion does to the echo, inside, at its rim and behind it, in dB."""
    scale_mm = float(np.sqrt(lesion.half_axes_mm[0] * lesion.half_axes_mm[1]))
    beyond_mm = (radius - 1) * np.float32(scale_mm)
    inside = 1 / (1 + np.exp(np.clip(beyond_mm / 0.22, -30, 30)))
    if not visit.is_visible:
        scar: Float32 = (2.5 * inside * (1 + 0.4 * anatomy.texture_db)).astype(np.float32)
        return scar
    level = LESION_DB + visit.echo_change_db
    core = inside * (level + anatomy.texture_db - anatomy.echo_db)
    rim_db = 3.0 + 0.5 * visit.echo_change_db
    rim = rim_db * np.exp(-(((beyond_mm - 0.7) / 0.7) ** 2))
    depth_inside = np.cumsum(inside, axis=0) * np.float32(anatomy.spacing_mm)
    behind = gaussian_filter1d(depth_inside, sigma=0.8 / anatomy.spacing_mm, axis=1)
    shadow = -anatomy.shadow_db_per_mm * behind * (1 - 0.5 * inside)
    change: Float32 = (core + rim + np.clip(shadow, -16, 5)).astype(np.float32)
    return change


def _echo(
    rng: np.random.Generator, amplitude: Float32, *, lateral_mm: float, spacing_mm: float
) -> Float32:
    """Complex echo of random scatterers as (2, height, width), mean square 1 at amplitude 1."""
    scatterers: Float32 = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    scatterers = scatterers * amplitude
    axial, lateral = (max(MIN_PSF_PX, mm / spacing_mm) for mm in (PSF_AXIAL_MM, lateral_mm))
    echo = gaussian_filter(scatterers, sigma=(0, axial, lateral), mode="reflect", truncate=3.0)
    power = _kernel_power(axial) * _kernel_power(lateral)
    scaled: Float32 = echo / np.float32(np.sqrt(2 * power))
    return scaled


def _kernel_power(sigma_px: float) -> float:
    """Sum of squares of the sampled Gaussian that the filter uses."""
    reach = int(3.0 * sigma_px + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return float(np.sum((kernel / kernel.sum()) ** 2))


def _wobble(lesion: Lesion, angle: FloatArray) -> FloatArray:
    """Radius of the border relative to the ellipse, by angle."""
    total = np.ones_like(angle)
    for order, amplitude, phase in lesion.waves:
        total = total + amplitude * np.cos(order * angle + phase)
    return total
