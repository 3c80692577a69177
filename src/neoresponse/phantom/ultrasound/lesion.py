"""How a lesion looks -> its shape, what is left of it after two cycles, and its masks.

A lesion is one or more foci with star-shaped borders. Everything that is left at a later visit,
pieces and smaller foci too, is placed and sized in units of the lesion's own remaining diameter, so
one picture alone tells how large the lesion is, but not how large it was. Lengths are in mm.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import pdist
from shapely import MultiPoint

from neoresponse.phantom.noise import Float32, Mask
from neoresponse.types import FloatArray

NUM_ANGLES = 1440
"""Directions in which a border's radius is tabulated."""
NUM_VERTICES = 144
FAR_MM, NEAR_MM = 50.0, 4.0
"""A pixel farther from a focus than the second is given the first for its distance."""
RIM_MM = 2.0
"""Width of the band around a lesion that the truth calls its rim."""
LOBE_ORDERS = (2, 3, 4, 5, 6, 7, 8)
LOBE_SIZE = 0.075
SPIKE_LENGTH = 0.42
"""Length of the longest spikes of a wholly spiculated border, as a share of the radius."""
SATELLITE_ANGLES = (-0.45, 0.55)
"""Directions in which smaller foci lie, up and down from the side."""
PIECE_GAP = 0.12
"""Tissue between the pieces of a lesion, as a share of its remaining radius."""
CALCIFIED_SHARE = 0.3
TEXTURE_DB = (2.5, 5.5)
"""Range of the standard deviation of a lesion's inner unevenness."""


@dataclass(frozen=True)
class LesionLook:
    """What is known of a lesion before it is drawn.

    Attributes:
        diameter_mm: longest diameter.
        shadow_db_per_mm: what a mm of lesion costs the echo beyond it; negative gives enhancement.
        spiculation: margin, from 0 for smooth and lobulated to 1 for spiculated.
        echo_db: brightness beside that of other lesions.
        num_satellites: smaller foci beside it.
    """

    diameter_mm: float
    shadow_db_per_mm: float = 0.3
    spiculation: float = 0.5
    echo_db: float = 0.0
    num_satellites: int = 0


@dataclass(frozen=True)
class Focus:
    """One area with a star-shaped border.

    Attributes:
        centre_mm: (x, y) from the upper left corner of the picture.
        half_axes_mm: half its width and half its height, before the border's irregularity.
        tilt_rad: rotation of the axes.
        profile: radius of the border relative to the ellipse by angle, (angles,).
    """

    centre_mm: tuple[float, float]
    half_axes_mm: tuple[float, float]
    tilt_rad: float
    profile: FloatArray


@dataclass(frozen=True)
class Lesion:
    """A lesion before chemotherapy.

    Attributes:
        look: what was known before.
        main: the focus that is followed.
        satellites: smaller foci; their centres are relative to the main one's.
        piece_angle_rad: direction in which small pieces lie if it breaks up.
        points: calcifications as (x, y) in units of the main focus's half axes, (points, 2).
        texture_db: standard deviation of its inner unevenness.
    """

    look: LesionLook
    main: Focus
    satellites: tuple[Focus, ...]
    piece_angle_rad: float
    points: FloatArray
    texture_db: float


@dataclass(frozen=True)
class Section:
    """A lesion as one picture cuts it.

    Attributes:
        pieces: of the followed lesion; none where the plane misses it.
        satellites: the smaller foci.
        points_mm: calcifications as (x, y), (points, 2); they show where there is lesion.
    """

    pieces: tuple[Focus, ...] = ()
    satellites: tuple[Focus, ...] = ()
    points_mm: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))


def draw_lesion(rng: np.random.Generator, look: LesionLook, *, field_mm: float) -> Lesion:
    """Draw the shape of a lesion and its place in the picture.

    Args:
        rng: source of randomness.
        look: what it must look like.
        field_mm: width and depth of the picture.
    """
    aspect = float(rng.uniform(0.45, 0.88))
    side = float(rng.choice([-1, 1]))
    lean = 0.10 * side if look.num_satellites else 0.0
    centre = field_mm * np.array([0.5 - lean + rng.uniform(-0.05, 0.05), rng.uniform(0.38, 0.44)])
    main = _fitted(
        Focus(
            centre_mm=(float(centre[0]), float(centre[1])),
            half_axes_mm=(1.0, aspect),
            tilt_rad=float(rng.uniform(-0.25, 0.25)),
            profile=_draw_profile(rng, look.spiculation),
        ),
        diameter_mm=look.diameter_mm,
    )
    satellites = tuple(
        _draw_satellite(rng, look, angle_rad=angle, side=side)
        for angle in SATELLITE_ANGLES[: look.num_satellites]
    )
    points = rng.uniform(-0.6, 0.6, (int(rng.integers(5, 16)), 2))
    return Lesion(
        look=look,
        main=main,
        satellites=satellites,
        piece_angle_rad=float(rng.uniform(0, 2 * np.pi)),
        points=points if rng.random() < CALCIFIED_SHARE else points[:0],
        texture_db=float(rng.uniform(*TEXTURE_DB)),
    )


def cut(
    lesion: Lesion,
    *,
    relative_diameter: float,
    fragmentation: float,
    shift_mm: tuple[float, float],
    plane_mm: float,
) -> Section:
    """The lesion as one visit's picture shows it.

    Args:
        lesion: before chemotherapy.
        relative_diameter: what is left, as a share of the first diameter.
        fragmentation: 0 for one concentric rest, 1 for three equal pieces of the same total area.
        shift_mm: displacement in the picture, (x, y).
        plane_mm: distance of the picture's plane from the lesion's middle: a lesion is an ellipsoid
            as thick as the mean of its width and height, so its section is sqrt(1 - (d/r)^2) as
            wide as through the middle.
    """
    x, y = lesion.main.centre_mm
    centre = (x + shift_mm[0], y + shift_mm[1])
    satellites = (
        _rest(focus, relative_diameter, centre_mm=_beside(centre, focus, relative_diameter))
        for focus in lesion.satellites
    )
    seen = tuple(focus for rest in satellites if (focus := _beside_middle(rest, plane_mm)))
    main = _beside_middle(_rest(lesion.main, relative_diameter, centre_mm=centre), plane_mm)
    if main is None:
        return Section(satellites=seen)
    return Section(
        pieces=_pieces(main, fragmentation, lesion.piece_angle_rad),
        satellites=seen,
        points_mm=lesion.points * main.half_axes_mm + main.centre_mm,
    )


def distance_mm(foci: tuple[Focus, ...], frame_px: int, *, spacing_mm: float) -> Float32:
    """Distance to the nearest focus along the line to its centre, in mm per pixel centre.

    Returns:
        Negative inside, (height, width); `FAR_MM` where no focus is near.
    """
    nearest = np.full((frame_px, frame_px), FAR_MM, dtype=np.float32)
    centres = (np.arange(frame_px, dtype=np.float32) + 0.5) * np.float32(spacing_mm)
    for focus in foci:
        reach = max(focus.half_axes_mm) * float(focus.profile.max()) + NEAR_MM
        rows, columns = (_around(middle, reach, centres) for middle in focus.centre_mm[::-1])
        x = centres[columns] - np.float32(focus.centre_mm[0])
        y = (centres[rows] - np.float32(focus.centre_mm[1]))[:, None]
        u, v = _own_axes(focus, x, y)
        share = np.sqrt(u**2 + v**2) / _radius_at(focus, np.arctan2(v, u))
        here = np.sqrt(x**2 + y**2) * (1 - 1 / np.maximum(share, np.float32(1e-3)))
        np.minimum(nearest[rows, columns], here, out=nearest[rows, columns])
    return nearest


def border_mm(section: Section) -> FloatArray | None:
    """What one who outlines the lesion draws around it, (vertices, 2) as x and y.

    The border itself; around several pieces their convex hull; None where there is no lesion.
    """
    borders = [_focus_border(focus, NUM_VERTICES) for focus in section.pieces]
    if len(borders) < 2:
        return borders[0] if borders else None
    hull = MultiPoint(np.concatenate(borders)).convex_hull.exterior
    steps = np.linspace(0, 1, NUM_VERTICES, endpoint=False)
    around: FloatArray = np.array([hull.interpolate(s, normalized=True).coords[0] for s in steps])
    return around


def rim(mask: Mask, *, spacing_mm: float) -> Mask:
    """The band around a lesion, up to 2 mm outside of its border, (height, width)."""
    if not mask.any():
        return mask.copy()
    band: Mask = ~mask & (distance_transform_edt(~mask) * spacing_mm <= RIM_MM)
    return band


def changed_area(
    before: Mask, after: Mask, *, shift_mm: tuple[float, float], spacing_mm: float
) -> Mask:
    """Where lesion was and is no more, or was not and is, (height, width).

    Args:
        before: inside the lesion at US-0.
        after: inside the lesion at US-1.
        shift_mm: by how much US-1 shows the lesion elsewhere than US-0, (x, y).
        spacing_mm: size of a pixel.

    Returns:
        In the coordinates of US-1.
    """
    columns, rows = (round(shift / spacing_mm) for shift in shift_mm)
    height, width = before.shape
    room = ((max(rows, 0), max(-rows, 0)), (max(columns, 0), max(-columns, 0)))
    top, left = max(-rows, 0), max(-columns, 0)
    moved = np.pad(before, room)[top : top + height, left : left + width]
    change: Mask = moved != after
    return change


def _draw_profile(rng: np.random.Generator, spiculation: float) -> FloatArray:
    """Radius by angle: lobes that every border has, and spikes as long as it is spiculated."""
    angle = np.linspace(0, 2 * np.pi, NUM_ANGLES, endpoint=False)
    profile = np.ones(NUM_ANGLES)
    for order in LOBE_ORDERS:
        size = LOBE_SIZE * rng.uniform(0.5, 1.0) / np.sqrt(order / 2)
        profile += size * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    num_spikes = int(rng.integers(9, 15))
    places = (np.arange(num_spikes) + rng.uniform(-0.35, 0.35, num_spikes)) / num_spikes
    lengths = SPIKE_LENGTH * rng.uniform(0.35, 1.0, num_spikes)
    widths = rng.uniform(0.06, 0.13, num_spikes)
    for place, length, width in zip(places, lengths, widths, strict=True):
        away = (angle - 2 * np.pi * place + np.pi) % (2 * np.pi) - np.pi
        profile += spiculation * length * np.exp(-np.abs(away) / width)
    return profile


def _draw_satellite(
    rng: np.random.Generator, look: LesionLook, *, angle_rad: float, side: float
) -> Focus:
    """A smaller focus beside the main one, its centre relative to that one's."""
    size = float(rng.uniform(0.35, 0.55))
    angle = angle_rad + rng.uniform(-0.15, 0.15)
    distance = look.diameter_mm / 2 * (1 + size + rng.uniform(0.1, 0.25))
    focus = Focus(
        centre_mm=(side * distance * float(np.cos(angle)), distance * float(np.sin(angle))),
        half_axes_mm=(1.0, float(rng.uniform(0.6, 0.95))),
        tilt_rad=float(rng.uniform(-0.4, 0.4)),
        profile=_draw_profile(rng, look.spiculation),
    )
    return _fitted(focus, diameter_mm=size * look.diameter_mm)


def _fitted(focus: Focus, *, diameter_mm: float) -> Focus:
    """The focus scaled so that its border's longest diameter is as asked."""
    border = _focus_border(focus, NUM_VERTICES)
    longest = float(pdist(border).max())
    return replace(focus, half_axes_mm=_scaled(focus.half_axes_mm, diameter_mm / longest))


def _scaled(pair: tuple[float, float], factor: float) -> tuple[float, float]:
    """Both numbers times the factor."""
    return pair[0] * factor, pair[1] * factor


def _rest(focus: Focus, relative_diameter: float, *, centre_mm: tuple[float, float]) -> Focus:
    """The focus after two cycles."""
    axes = _scaled(focus.half_axes_mm, relative_diameter)
    return replace(focus, half_axes_mm=axes, centre_mm=centre_mm)


def _beside(
    centre_mm: tuple[float, float], satellite: Focus, relative_diameter: float
) -> tuple[float, float]:
    """Where a satellite lies; the tissue between contracts as the tumour does."""
    x, y = _scaled(satellite.centre_mm, relative_diameter)
    return centre_mm[0] + x, centre_mm[1] + y


def _beside_middle(focus: Focus, plane_mm: float) -> Focus | None:
    """The focus cut beside its middle; None where the plane misses it."""
    radius = sum(focus.half_axes_mm) / 2
    share = 1 - (plane_mm / radius) ** 2
    if share <= 0:
        return None
    return replace(focus, half_axes_mm=_scaled(focus.half_axes_mm, float(np.sqrt(share))))


def _pieces(main: Focus, fragmentation: float, angle_rad: float) -> tuple[Focus, ...]:
    """The same area in a large and two small pieces; at 1 all three are equal.

    Centres lie so that borders are `PIECE_GAP` apart and the whole stays around the old centre.
    """
    if fragmentation <= 0:
        return (main,)
    shares = np.array([1 - 2 * fragmentation / 3, fragmentation / 3, fragmentation / 3])
    radii = np.sqrt(shares)
    directions = angle_rad + np.array([-1, 1]) * np.pi / 6
    reach = radii[0] + radii[1] + PIECE_GAP
    offsets = np.zeros((3, 2))
    offsets[1:] = reach * np.stack([np.cos(directions), np.sin(directions)], axis=1)
    offsets -= shares @ offsets  # the centre of mass stays
    width, height = main.half_axes_mm
    cosine, sine = np.cos(main.tilt_rad), np.sin(main.tilt_rad)
    pieces = []
    for number, ((u, v), radius) in enumerate(zip(offsets, radii, strict=True)):
        x, y = u * width, v * height
        place = (
            main.centre_mm[0] + float(x * cosine - y * sine),
            main.centre_mm[1] + float(x * sine + y * cosine),
        )
        turned = np.roll(main.profile, number * NUM_ANGLES // 3)
        axes = _scaled(main.half_axes_mm, float(radius))
        pieces.append(replace(main, centre_mm=place, half_axes_mm=axes, profile=turned))
    return tuple(pieces)


def _own_axes(focus: Focus, x_mm: Float32, y_mm: Float32) -> tuple[Float32, Float32]:
    """Place relative to the centre, along the axes and in units of them."""
    cosine, sine = np.cos(focus.tilt_rad), np.sin(focus.tilt_rad)
    width, height = focus.half_axes_mm
    u = np.float32(cosine / width) * x_mm + np.float32(sine / width) * y_mm
    v = np.float32(cosine / height) * y_mm - np.float32(sine / height) * x_mm
    return u, v


def _around(middle_mm: float, reach_mm: float, centres_mm: Float32) -> slice:
    """The pixels whose centres lie within reach."""
    first, end = np.searchsorted(centres_mm, [middle_mm - reach_mm, middle_mm + reach_mm])
    return slice(int(first), int(end))


def _radius_at(focus: Focus, angle: FloatArray) -> Float32:
    """The border's radius relative to the ellipse at any angle."""
    number = (angle * np.float32(NUM_ANGLES / (2 * np.pi)) + np.float32(0.5)).astype(np.int32)
    radius: Float32 = focus.profile.astype(np.float32)[number]  # angles below 0 count from the end
    return radius


def _focus_border(focus: Focus, num_vertices: int) -> FloatArray:
    """The border as (vertices, 2), x and y in mm."""
    angle = np.linspace(0, 2 * np.pi, num_vertices, endpoint=False)
    radius = _radius_at(focus, angle)
    u = focus.half_axes_mm[0] * radius * np.cos(angle)
    v = focus.half_axes_mm[1] * radius * np.sin(angle)
    cosine, sine = np.cos(focus.tilt_rad), np.sin(focus.tilt_rad)
    return np.stack([u * cosine - v * sine, u * sine + v * cosine], axis=1) + focus.centre_mm
