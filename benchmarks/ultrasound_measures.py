"""Measures of a breast ultrasound picture, taken alike from simulated and from real ones.

    from ultrasound_measures import compare
    values = compare(Path("data"), num_patients=60)

The folder holds real pictures with outlines: `us_breast_usg` (BrEaST, Pawlowska et al., Sci. Data
2024, 11:148) and `us_busbra` (BUS-BRA, Gomez-Flores et al., Med. Phys. 2024, 51:3110-3123). Only
malignant lesions count: all simulated patients have cancer. BUS-BRA is here resampled and without
spacing, so it counts for shape and grey levels, not for speckle and millimetres.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, uniform_filter
from shapely import MultiPoint

from neoresponse.phantom import tumour
from neoresponse.phantom.clinical import SIZE_LAW, SIZE_RANGE_MM
from neoresponse.phantom.formats import MACHINES
from neoresponse.phantom.ultrasound import speckle
from neoresponse.phantom.ultrasound.lesion import LesionLook

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

RANGE_DB = 60.0
"""Taken as the display range of every picture, simulated or real: no file states its own and 60 dB
is usual. The inverse of log compression is then envelope = 10^(grey / 255 * 60 / 20)."""
BLOCK_MM = 2.0
"""Side of the squares in which speckle is measured."""
USUAL_WIDTH_MM = 40.0
"""Of a picture without spacing; it only sets the width of rings there."""
FRAME_PX = 512
LARGEST_LESION_SHARE = 0.70
"""A simulated picture is made wide enough for its lesion, as in a phantom's folder."""


@dataclass(frozen=True)
class Frame:
    """A picture with a lesion.

    Attributes:
        grey: grey levels 0-255, (height, width).
        mask: inside the outline, (height, width).
        spacing_mm: size of a pixel; a guess where `is_original` is false.
        is_original: neither resampled nor without spacing.
    """

    grey: Floats
    mask: Mask
    spacing_mm: float
    is_original: bool = True


def compare(data: Path, num_patients: int) -> dict[str, tuple[Floats, Floats]]:
    """Measure real and simulated pictures.

    Args:
        data: folder with `us_breast_usg` and `us_busbra`.
        num_patients: simulated patients, one US-0 each.

    Returns:
        Name with unit -> (values of the phantom, values of real pictures).

    Raises:
        FileNotFoundError: the folder holds no real pictures.
    """
    real = [measure(frame) for frame in real_frames(data)]
    drawn = [measure(frame) for frame in phantom_frames(num_patients)]
    return {name: (_column(drawn, name), _column(real, name)) for name in drawn[0]}


def real_frames(data: Path) -> Iterator[Frame]:
    """Real pictures of malignant lesions."""
    table = data / "us_breast_usg" / "clinical_subset.csv"
    others = sorted((data / "us_busbra" / "images").glob("*malignant*.png"))
    if not table.is_file() or not others:
        raise FileNotFoundError(
            f"{data}: expected us_breast_usg/clinical_subset.csv and us_busbra/images/*.png. "
            "Name the folder that holds both."
        )
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Classification"] == "malignant"]
    folder = table.parent / "images"
    for row in rows:
        grey = _read_grey(folder / row["Image_filename"])
        mask = _read_grey(folder / row["Mask_tumor_filename"]) > 127
        yield Frame(grey, mask, spacing_mm=10 * float(row["Pixel_size"]))  # cm -> mm
    for path in others:
        grey = _read_grey(path)
        mask = np.asarray(Image.open(data / "us_busbra" / "masks" / path.name).convert("RGB"))
        width = np.count_nonzero(lit_area(grey).any(axis=0))
        yield Frame(grey, mask.max(axis=2) > 127, USUAL_WIDTH_MM / width, is_original=False)


def phantom_frames(num_patients: int) -> Iterator[Frame]:
    """US-0 of simulated patients: sizes as in the study's Table 1, all traits normal."""
    for index in range(num_patients):
        rng = np.random.default_rng([2024, index])
        machine = MACHINES[rng.integers(len(MACHINES))]
        diameter_mm = float(np.clip(SIZE_LAW.rvs(random_state=rng), *SIZE_RANGE_MM))
        stroma, margin, echo = rng.standard_normal(3)
        look = LesionLook(
            diameter_mm=diameter_mm,
            shadow_db_per_mm=tumour.shadow_db_per_mm(stroma),
            spiculation=tumour.spiculation(margin),
            echo_db=float(tumour.BASELINE_ECHO_SD_DB * echo),
        )
        field_mm = max(machine.field_mm, diameter_mm / LARGEST_LESION_SHARE)
        anatomy = speckle.draw_anatomy(rng, look=look, field_mm=field_mm, frame_px=FRAME_PX)
        visit = speckle.Visit(gain_db=machine.gain_db + float(rng.normal()))
        picture = speckle.draw_picture(rng, anatomy, visit)
        yield Frame(picture.pixels.astype(float), picture.mask, anatomy.spacing_mm)


def measure(frame: Frame) -> Mapping[str, float]:
    """All measures of one picture; those that need spacing only where it is known."""
    lit = lit_area(frame.grey)
    found = dict(lesion_measures(frame, lit)) | dict(picture_measures(frame, lit))
    if frame.is_original:
        found |= speckle_measures(frame, lit)
    return found


def lit_area(grey: Floats) -> Mask:
    """Where the picture is, without the black around a sector or the padding."""
    return uniform_filter((grey > 3).astype(float), 15) > 0.3


def lesion_measures(frame: Frame, lit: Mask) -> Mapping[str, float]:
    """Size, shape and contrast of the outlined lesion."""
    grey, mask, spacing = frame.grey, frame.mask, frame.spacing_mm
    core = distance_transform_edt(mask) * spacing > 1
    away = distance_transform_edt(~mask) * spacing
    inside, ring = grey[core if core.sum() >= 50 else mask], grey[(away > 1) & (away < 5) & lit]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    corners = np.argwhere(mask)[:, ::-1]
    hull = MultiPoint(corners).convex_hull.buffer(0.5)
    found = {
        "lesion area (share of picture)": mask.sum() / lit.sum(),
        "lesion height / width": height / width,
        "lesion solidity": mask.sum() / hull.area,
        "lesion contrast, ring - inside (grey levels)": ring.mean() - inside.mean(),
        "lesion contrast-to-noise ratio": (ring.mean() - inside.mean())
        / np.sqrt(ring.var() + inside.var()),
        "posterior contrast, behind - beside (grey levels)": _posterior(frame, lit),
    }
    return found | ({"lesion width (mm)": width * spacing} if frame.is_original else {})


def picture_measures(frame: Frame, lit: Mask) -> Mapping[str, float]:
    """Grey levels of the whole picture."""
    low, middle, high = np.percentile(frame.grey[lit], [5, 50, 95])
    rows = np.flatnonzero(lit.any(axis=1))
    share = (np.arange(len(lit)) - rows[0]) / np.ptp(rows)

    def level(first: float, last: float) -> float:
        chosen = lit & ((share >= first) & (share < last))[:, None]
        return float(frame.grey[chosen].mean())

    return {
        "grey level, 5th percentile": low,
        "grey level, median": middle,
        "grey level, 95th percentile": high,
        "lowest fifth - middle (grey levels)": level(0.8, 1.0) - level(0.3, 0.6),
    }


def speckle_measures(frame: Frame, lit: Mask) -> Mapping[str, float]:
    """Speckle and structure, in squares of `BLOCK_MM`, as medians over squares."""
    num = round(BLOCK_MM / frame.spacing_mm)
    grey = _squares(frame.grey, num)
    rest = _without_slope(grey)
    spread = rest.std(axis=(1, 2))
    covered = _squares(frame.mask.astype(float), num).mean(axis=(1, 2))
    is_lit = _squares(lit, num).all(axis=(1, 2))
    tissue = is_lit & (covered == 0)
    rows = np.flatnonzero(frame.mask.any(axis=1))
    middle = _squares(np.broadcast_to(np.arange(len(lit))[:, None], lit.shape), num).mean((1, 2))
    beside = tissue & (middle > rows[0]) & (middle < rows[-1])
    beside = beside if beside.sum() >= 4 else tissue
    means = grey.mean(axis=(1, 2))
    bright = beside & (means >= np.median(means[beside]))  # gland more than fat
    inside = covered == 1
    quiet = is_lit & (spread <= np.quantile(spread[is_lit], 0.25))
    smooth = gaussian_filter(frame.grey, 0.5 / frame.spacing_mm)
    down, across = np.gradient(smooth)
    found = {
        "local SD in all tissue (grey levels)": _median(spread[tissue]),
        "local SD in gland beside lesion (grey levels)": _median(spread[bright]),
        "local SD in lesion (grey levels)": _median(spread[inside]),
        "SD of 2 mm means (grey levels)": float(means[tissue].std()),
        "grain, axial width (mm)": _grain_mm(rest[quiet], 1, frame.spacing_mm),
        "grain, lateral width (mm)": _grain_mm(rest[quiet], 2, frame.spacing_mm),
        "gradient energy, vertical / horizontal": np.mean(down[lit] ** 2)
        / np.mean(across[lit] ** 2),
    }
    for place, chosen in (("gland", bright), ("lesion", inside)):
        envelope = 10 ** (grey[chosen] / 255 * RANGE_DB / 20)
        found[f"envelope SNR in {place} (60 dB assumed)"] = _median(signal_to_noise(envelope))
        found[f"Nakagami m in {place} (60 dB assumed)"] = _median(nakagami_m(envelope))
    return found


def signal_to_noise(envelope: Floats) -> Floats:
    """Mean over standard deviation in each square, (squares,); 1.91 for Rayleigh speckle."""
    return envelope.mean(axis=(1, 2)) / envelope.std(axis=(1, 2))


def nakagami_m(envelope: Floats) -> Floats:
    """Moment estimate E[R^2]^2 / Var[R^2] in each square, (squares,); 1 for Rayleigh speckle."""
    power = envelope**2
    return power.mean(axis=(1, 2)) ** 2 / power.var(axis=(1, 2))


def _column(rows: list[Mapping[str, float]], name: str) -> Floats:
    """The values that are there."""
    values = np.array([row.get(name, np.nan) for row in rows], dtype=float)
    return values[np.isfinite(values)]


def _read_grey(path: Path) -> Floats:
    """Grey levels, (height, width)."""
    return np.asarray(Image.open(path).convert("L"), dtype=float)


def _median(values: Floats) -> float:
    """NaN where there is none."""
    return float(np.median(values)) if values.size else float("nan")


def _posterior(frame: Frame, lit: Mask) -> float:
    """Mean grey 1-5 mm below the middle of the lesion, less that beside it at the same depth."""
    px = 1 / frame.spacing_mm
    rows = np.flatnonzero(frame.mask.any(axis=1))
    columns = np.flatnonzero(frame.mask.any(axis=0))
    y, x = np.indices(lit.shape, sparse=True)
    band = lit & (y > rows[-1] + px) & (y < rows[-1] + 5 * px)
    fifth = np.ptp(columns) / 5
    behind = band & (x >= columns[0] + fifth) & (x <= columns[-1] - fifth)
    left = (x < columns[0] - px) & (x > columns[0] - 9 * px)
    right = (x > columns[-1] + px) & (x < columns[-1] + 9 * px)
    beside = band & (left | right)
    if min(behind.sum(), beside.sum()) < 100:
        return float("nan")
    return float(frame.grey[behind].mean() - frame.grey[beside].mean())


def _squares(picture: npt.NDArray, num: int) -> npt.NDArray:
    """(height, width) -> (squares, num, num); what is left over at the edges is dropped."""
    rows, columns = picture.shape[0] // num, picture.shape[1] // num
    cut = picture[: rows * num, : columns * num].reshape(rows, num, columns, num)
    return cut.transpose(0, 2, 1, 3).reshape(-1, num, num)


def _without_slope(squares: Floats) -> Floats:
    """Squares less the plane that fits each best, (squares, num, num)."""
    num = squares.shape[1]
    y, x = (grid.ravel() - (num - 1) / 2 for grid in np.indices((num, num)))
    base = np.stack([np.ones(num * num), y, x], axis=1)
    flat = squares.reshape(len(squares), -1)
    fitted = flat @ np.linalg.pinv(base).T @ base.T
    return (flat - fitted).reshape(squares.shape)


def _grain_mm(squares: Floats, axis: int, spacing_mm: float) -> float:
    """Full width at half height of the mean autocorrelation along one axis."""
    lines = np.moveaxis(squares, axis, -1)
    num = lines.shape[-1]
    products = [np.mean(lines[..., : num - lag] * lines[..., lag:]) for lag in range(num // 2)]
    likeness = np.array(products) / products[0]
    below = np.flatnonzero(likeness < 0.5)
    if not below.size:
        return float("nan")
    end = int(below[0])
    part = (likeness[end - 1] - 0.5) / (likeness[end - 1] - likeness[end])
    return float(2 * spacing_mm * (end - 1 + part))
