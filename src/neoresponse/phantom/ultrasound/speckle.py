"""Seed + lesion -> B-mode pictures before and after two cycles, with the lesion's true border.

Scatterers weighed by an echogenicity map, and mirrors, are smeared by a point spread function,
attenuated, partly compensated, detected, compounded and log-compressed; so speckle follows from the
physics and is fully developed before compounding (Wagner et al., IEEE Trans. Sonics Ultrason. 1983,
30:156-163). Equations: docs/explanation/phantom.md. Lengths are in mm.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import fft, ifft, next_fast_len
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from neoresponse.phantom.noise import Float32, Mask
from neoresponse.phantom.ultrasound import breast, lesion
from neoresponse.phantom.ultrasound.breast import Plane, Tissue
from neoresponse.phantom.ultrasound.lesion import Lesion, LesionLook, Section
from neoresponse.types import FloatArray, Pixels

FREQUENCY_MHZ = 10.0
USUAL_FIELD_MM = 45.0
"""Deeper pictures need a lower frequency; it falls in proportion."""
PSF_AXIAL_MM = 0.075
PSF_LATERAL_MM = 0.14
"""Standard deviations of the point spread function at 10 MHz; laterally at the focus."""
MIN_PSF_PX = 0.55
FOCUS_SHARE = 0.42
"""Depth of the focus as a share of the picture."""
FOCAL_RANGE_MM = 18.0
"""Distance from the focus at which the beam is wider by the square root of two."""
COMPENSATION = 0.76
"""What time-gain compensation takes for the tissue's attenuation, in dB/cm/MHz."""
LARGEST_COMPENSATION_DB = 62.0
NOISE_DB = -82.0
"""Electronic noise at the skin, relative to the gland; compensation raises it with depth."""
NUM_LOOKS = 4
"""Independent views whose envelopes are averaged, as compounding does."""
DYNAMIC_RANGE_DB = 66.0
GLAND_LEVEL_DB = -28.5
"""Where glandular tissue comes to lie below white."""
GREY_CURVE = 2.0
"""Exponent of the machine's grey curve; it darkens what is dark."""
LESION_DB = -10.0
"""Brightness of the usual lesion before chemotherapy, relative to the gland."""
LESION_ATTENUATION = 0.65
"""Of a lesion with neither shadow nor enhancement, in dB/cm/MHz."""
EDGE_MM, ROUGH_MM = 0.2, 0.3
"""How soft and how uneven the lesion's edge looks; the true border is neither."""
RIM_DB, RIM_SLOPE, RIM_MM = 3.0, -0.3, 0.8
"""Brightness of the halo, how it follows the lesion's own, and where outside it is brightest."""
CAPSULE, CAPSULE_MM = 0.8, 0.25
"""Attenuation at the border in dB/cm/MHz; beams along it are weakened: edge shadows."""
APERTURE_MM = 0.5
"""Beams are not lines: shadows are smeared by so much."""
SCAR_DB, SCAR_MM = 2.5, (3.0, 1.6)
POINT_LEVEL, POINT_MM = 20.0, 0.12
"""Amplitude of a calcification relative to the gland's scattering, and its size."""


@dataclass(frozen=True)
class Anatomy:
    """What stays the same between the two time points.

    Attributes:
        lesion: the lesion before chemotherapy.
        seed: names the breast around it.
        field_mm: width and depth of the picture.
        frame_px: side of the picture in pixels.
    """

    lesion: Lesion
    seed: int
    field_mm: float
    frame_px: int

    @property
    def spacing_mm(self) -> float:
        """Size of a pixel."""
        return self.field_mm / self.frame_px


@dataclass(frozen=True)
class Scene:
    """What one scan meets.

    Attributes:
        level_db: mean power of scattering after all gains and losses, (height, width).
        mirror: amplitude of mirrors after all gains and losses, (height, width).
        noise_db: power of electronic noise, (height, 1).
        spacing_mm: size of a pixel.
        beam_factor: how much wider the point spread function is than usual.
    """

    level_db: FloatArray
    mirror: FloatArray
    noise_db: FloatArray
    spacing_mm: float
    beam_factor: float = 1.0


@dataclass(frozen=True)
class Visit:
    """What differs between the two time points.

    Attributes:
        relative_diameter: lesion diameter as a share of that before chemotherapy.
        echo_change_db: how much brighter the lesion is than before.
        fragmentation: 0 where what is left is one piece, 1 where it is three equal ones.
        shift_mm: displacement by probe and patient, (x, y); y moves the lesion alone.
        plane_mismatch_mm: distance between this picture's plane and the lesion's middle.
        gain_db: overall gain.
        beam_factor: how much wider the point spread function is than usual.
        is_visible: whether a lesion is drawn; else a faint scar, the same in all patients.
    """

    relative_diameter: float = 1.0
    echo_change_db: float = 0.0
    fragmentation: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    plane_mismatch_mm: float = 0.0
    gain_db: float = 0.0
    beam_factor: float = 1.0
    is_visible: bool = True


@dataclass(frozen=True)
class BModePicture:
    """One picture.

    Attributes:
        pixels: grey levels, (height, width).
        mask: inside the true border of the followed lesion, (height, width).
        satellites: inside the smaller foci, (height, width).
        border: what one draws around the lesion, in pixels, (vertices, 2) as x, y; None where
            nothing is visible.
    """

    pixels: Pixels
    mask: Mask
    satellites: Mask
    border: FloatArray | None


def draw_anatomy(
    rng: np.random.Generator, *, look: LesionLook, field_mm: float, frame_px: int
) -> Anatomy:
    """Draw a breast with a lesion.

    Args:
        rng: source of randomness.
        look: what the lesion must look like.
        field_mm: width and depth of the picture.
        frame_px: side of the picture in pixels.
    """
    return Anatomy(
        lesion=lesion.draw_lesion(rng, look, field_mm=field_mm),
        seed=int(rng.integers(2**62)),
        field_mm=field_mm,
        frame_px=frame_px,
    )


def draw_picture(rng: np.random.Generator, anatomy: Anatomy, visit: Visit) -> BModePicture:
    """Scan an anatomy at one visit.

    Args:
        rng: source of scatterers and noise: the speckle of this visit.
        anatomy: what both visits share.
        visit: what this visit sees of it.
    """
    plane = Plane(
        frame_px=anatomy.frame_px,
        spacing_mm=anatomy.spacing_mm,
        shift_mm=float(np.clip(visit.shift_mm[0], -breast.MARGIN_MM, breast.MARGIN_MM)),
        beside_mm=visit.plane_mismatch_mm,
    )
    section = Section()
    if visit.is_visible:
        section = lesion.cut(
            anatomy.lesion,
            relative_diameter=visit.relative_diameter,
            fragmentation=visit.fragmentation,
            shift_mm=visit.shift_mm,
            plane_mm=visit.plane_mismatch_mm,
        )
    main, others = (
        lesion.distance_mm(foci, plane.frame_px, spacing_mm=plane.spacing_mm)
        for foci in (section.pieces, section.satellites)
    )
    tissue = breast.draw_tissue(anatomy.seed, plane)
    if visit.is_visible:
        away = np.minimum(main, others)
        tissue = _with_lesion(tissue, anatomy, visit, away_mm=away, points_mm=section.points_mm)
    else:
        tissue = _with_scar(tissue, anatomy, visit)
    scene = receive(
        tissue,
        spacing_mm=plane.spacing_mm,
        frequency_mhz=_frequency_mhz(anatomy),
        beam_factor=visit.beam_factor,
    )
    envelope = scan(rng, scene, num_looks=NUM_LOOKS)
    pixels = compress(envelope, gain_db=visit.gain_db)
    border = lesion.border_mm(section)
    return BModePicture(
        pixels=pixels,
        mask=main < 0,
        satellites=others < 0,
        border=None if border is None else border / anatomy.spacing_mm,
    )


def receive(
    tissue: Tissue, *, spacing_mm: float, frequency_mhz: float, beam_factor: float
) -> Scene:
    """What is left after attenuation there and back, and time-gain compensation.

    Args:
        tissue: what the beam meets.
        spacing_mm: size of a pixel.
        frequency_mhz: centre frequency.
        beam_factor: how much wider the point spread function is than usual.
    """
    step = np.float32(2 * frequency_mhz * spacing_mm / 10)  # there and back, mm -> cm
    loss_db = np.cumsum(tissue.attenuation, axis=0) * step
    loss_db = gaussian_filter1d(loss_db, APERTURE_MM / spacing_mm, axis=1, truncate=2.5)
    depth_px = np.arange(1, len(loss_db) + 1, dtype=np.float32)[:, None]
    compensation_db = np.minimum(COMPENSATION * step * depth_px, LARGEST_COMPENSATION_DB)
    net_db = compensation_db - loss_db
    return Scene(
        level_db=tissue.echo_db + net_db,
        mirror=tissue.mirror * np.power(10.0, net_db / 20, dtype=np.float32),
        noise_db=NOISE_DB + compensation_db,
        spacing_mm=spacing_mm,
        beam_factor=beam_factor * FREQUENCY_MHZ / frequency_mhz,
    )


def scan(rng: np.random.Generator, scene: Scene, *, num_looks: int) -> Float32:
    """Mean envelope of the echo over several independent looks.

    Args:
        rng: source of scatterers and noise.
        scene: what the beam meets, and the beam.
        num_looks: how many; one gives fully developed speckle.

    Returns:
        Envelope, (height, width); one look's mean square is 1 where `level_db` is 0.

    Source: Bamber and Dickinson, Phys. Med. Biol. 1980, 25:463-479 (convolution model).
    """
    height, width = scene.level_db.shape
    axial_px, lateral_px = _beam_px(scene)
    room = int(np.ceil(3 * lateral_px.max()))
    columns = int(next_fast_len(width + 2 * room))
    beside = ((0, 0), (room, columns - width - room))
    waves = np.fft.fftfreq(columns).astype(np.float32)
    lateral = np.exp(-0.5 * (2 * np.pi * waves * lateral_px[:, None]) ** 2)  # (height, columns)
    kernel_power = _kernel_power(axial_px) * np.mean(lateral**2, axis=1, keepdims=True)
    power = _power(scene.level_db) + _power(scene.noise_db)
    amplitude = np.sqrt(np.pad(power, beside, mode="edge") / (2 * kernel_power))[..., None]
    mirror = np.pad(scene.mirror, beside, mode="edge")
    total = np.zeros((height, width), dtype=np.float32)
    for _ in range(num_looks):
        field = rng.standard_normal((height, columns, 2), dtype=np.float32) * amplitude
        field[..., 0] += mirror
        field = gaussian_filter1d(field, axial_px, axis=0, mode="nearest", truncate=3.0)
        smeared = ifft(fft(field.view(np.complex64)[..., 0], axis=1) * lateral, axis=1)
        total += np.abs(smeared[:, room : room + width])
    envelope: Float32 = total / np.float32(num_looks)
    return envelope


def compress(envelope: FloatArray, *, gain_db: float = 0.0) -> Pixels:
    """Log compression and grey curve to 8 bit: white at 0 dB, black at the end of the range.

    Args:
        envelope: envelope, (height, width), about 1 in glandular tissue.
        gain_db: overall gain.
    """
    level_db = 20 * np.log10(np.maximum(envelope, 1e-6)) + GLAND_LEVEL_DB + gain_db
    share = np.clip(1 + level_db / DYNAMIC_RANGE_DB, 0, 1)
    pixels: Pixels = np.round(255 * share**GREY_CURVE).astype(np.uint8)
    return pixels


def _with_lesion(
    tissue: Tissue, anatomy: Anatomy, visit: Visit, *, away_mm: Float32, points_mm: FloatArray
) -> Tissue:
    """The breast with the lesion in it: inside, at its rim, and what it takes from the beam.

    What depends on the response is the lesion's own brightness, size and place alone.
    """
    look = anatomy.lesion.look
    away = away_mm + np.float32(ROUGH_MM) * tissue.texture
    inside = expit(-away / np.float32(EDGE_MM))
    own_db = look.echo_db + visit.echo_change_db
    level = LESION_DB + own_db + anatomy.lesion.texture_db * tissue.texture
    rim_db = RIM_DB + RIM_SLOPE * own_db
    rim = _bump((away - RIM_MM) / RIM_MM) * np.clip(1 + 0.5 * tissue.texture, 0, 2)
    extra = 10 * look.shadow_db_per_mm / (2 * _frequency_mhz(anatomy))  # dB/mm -> dB/cm/MHz
    capsule = CAPSULE * _bump(away / CAPSULE_MM)
    points = _points(anatomy, points_mm)
    return replace(
        tissue,
        echo_db=tissue.echo_db + inside * (level - tissue.echo_db) + rim_db * rim,
        mirror=tissue.mirror * (1 - inside) + points * inside,
        attenuation=tissue.attenuation
        + inside * (LESION_ATTENUATION + extra - tissue.attenuation)
        + capsule,
    )


def _with_scar(tissue: Tissue, anatomy: Anatomy, visit: Visit) -> Tissue:
    """The breast with a faint scar, the same in all patients, where the lesion was."""
    centres = (np.arange(anatomy.frame_px, dtype=np.float32) + 0.5) * anatomy.spacing_mm
    x, y = (c + s for c, s in zip(anatomy.lesion.main.centre_mm, visit.shift_mm, strict=True))
    across, down = (centres - x) / SCAR_MM[0], (centres[:, None] - y) / SCAR_MM[1]
    scar = (SCAR_DB * np.exp(-(across**2 + down**2) / 2)).astype(np.float32)
    return replace(tissue, echo_db=tissue.echo_db + scar)


def _bump(share: FloatArray) -> FloatArray:
    """1 at 0, falling on both sides."""
    height: FloatArray = np.exp(-(share**2))
    return height


def _points(anatomy: Anatomy, points_mm: FloatArray) -> Float32:
    """Calcifications as mirrors, (height, width)."""
    mirror = np.zeros((anatomy.frame_px, anatomy.frame_px), dtype=np.float32)
    reach = int(np.ceil(3 * POINT_MM / anatomy.spacing_mm))
    for x, y in points_mm / anatomy.spacing_mm - 0.5:
        rows, columns = (np.arange(round(c) - reach, round(c) + reach + 1) for c in (y, x))
        rows, columns = (line[(line >= 0) & (line < anatomy.frame_px)] for line in (rows, columns))
        away = np.hypot(rows[:, None] - y, columns - x) * anatomy.spacing_mm
        mirror[np.ix_(rows, columns)] += POINT_LEVEL * np.exp(-0.5 * (away / POINT_MM) ** 2)
    return mirror


def _frequency_mhz(anatomy: Anatomy) -> float:
    """Centre frequency: lower where the picture is deeper than usual."""
    return FREQUENCY_MHZ * min(1.0, USUAL_FIELD_MM / anatomy.field_mm)


def _beam_px(scene: Scene) -> tuple[float, Float32]:
    """Standard deviations of the point spread function: axial, and lateral for each row.

    A Gaussian beam: at a distance d from the focus it is sqrt(1 + (d / range)^2) times as wide.
    """
    height = scene.level_db.shape[0]
    depth_mm = (np.arange(height) + 0.5) * scene.spacing_mm
    from_focus = (depth_mm - FOCUS_SHARE * height * scene.spacing_mm) / FOCAL_RANGE_MM
    factor = scene.beam_factor / scene.spacing_mm
    axial = max(MIN_PSF_PX, PSF_AXIAL_MM * factor)
    lateral = np.maximum(MIN_PSF_PX, PSF_LATERAL_MM * factor * np.sqrt(1 + from_focus**2))
    return axial, lateral.astype(np.float32)


def _power(level_db: FloatArray) -> Float32:
    """Decibels -> power."""
    power: Float32 = np.power(10.0, level_db / 10, dtype=np.float32)
    return power


def _kernel_power(sigma_px: float) -> float:
    """Sum of squares of the sampled Gaussian that the axial filter uses."""
    reach = int(3.0 * sigma_px + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return float(np.sum((kernel / kernel.sum()) ** 2))
