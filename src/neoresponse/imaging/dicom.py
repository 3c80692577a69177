"""A DICOM file -> one ultrasound frame; the header is checked before any pixel is read.

No name, number or date of birth of a patient is read out of a header or put into a message.
"""

import struct
import warnings
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from neoresponse.errors import ImageError
from neoresponse.imaging import jpeg_lossless
from neoresponse.imaging.raster import MIN_SIDE_PX
from neoresponse.types import Box, FloatArray, Pixels, UltrasoundFrame

MAX_SAMPLES = 64_000_000
"""Rows x columns x samples of a frame; a header that claims more is refused."""
MAX_FILE_BYTES = 1 << 30
SPACING_MM = (0.001, 5.0)
"""Pixel sizes outside these bounds are taken as not stated."""
LUMINANCE = (0.299, 0.587, 0.114)
"""ITU-R BT.601, section 2.5.1."""
TISSUE, TWO_DIMENSIONAL, CENTIMETRE = 1, 1, 3
"""Codes of DICOM PS3.3 C.8.5.5.1: region data type, region spatial format, physical units."""
PLAIN_SYNTAXES: dict[tuple[bool | None, bool | None], UID] = {
    (True, True): ImplicitVRLittleEndian,
    (False, True): ExplicitVRLittleEndian,
    (False, False): ExplicitVRBigEndian,
}
"""How a data set without a stated syntax was read (implicit, little endian) -> its syntax."""
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
EXPORT_ADVICE = "Export the frame again."


@dataclass(frozen=True)
class _Region:
    """One B-mode region: where it is, and its pixel size as (row, column) in mm or None."""

    box: Box
    spacing_mm: tuple[float, float] | None


def is_dicom(path: Path) -> bool:
    """Whether the content is DICOM: the mark at byte 128, or a data set that starts at once."""
    with path.open("rb") as file:
        head = file.read(132)
    # group 0002 or 0008, as every data set starts
    starts_as_data = head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] in (b"\x00", b"\x10")
    return head[128:] == b"DICM" or starts_as_data


def read_dicom(path: Path) -> UltrasoundFrame:
    """Read one B-mode frame.

    Args:
        path: a DICOM file with one ultrasound frame.

    Returns:
        The frame; its spacing is None where the file states none.

    Raises:
        ImageError: it is broken, no ultrasound, has several frames, or claims an impossible size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd elements that are not used are no reason to worry
        header = _read_header(path)
        _check_header(path, header)
        pixels = _read_pixels(path)
    height, width = pixels.shape
    region = _b_mode_region(header, width=width, height=height)
    return UltrasoundFrame(
        pixels=pixels,
        region=region.box,
        spacing_mm=region.spacing_mm or _plain_spacing(header),
        acquired=_acquired(header),
    )


def names_patient(path: Path, patient_id: str) -> bool:
    """Whether a header gives this number beside a person's name; neither is handed out.

    Args:
        path: any file; one that is no DICOM names nobody.
        patient_id: the number that the cohort uses.
    """
    if not is_dicom(path):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = _read_header(path)
        same_number = str(header.get("PatientID", "")).strip() == patient_id
        return same_number and bool(str(header.get("PatientName", "")).strip(" ^"))


def _read_header(path: Path) -> pydicom.Dataset:
    """All elements but the pixels."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ImageError(
            f"{path}: expected a file of at most {MAX_FILE_BYTES >> 20} MiB, got "
            f"{path.stat().st_size >> 20} MiB. Export one frame."
        )
    try:
        syntax = _text(read_file_meta_info(path), "TransferSyntaxUID") if _has_mark(path) else ""
        if syntax == DeflatedExplicitVRLittleEndian:  # could unpack to any size
            raise ImageError(
                f"{path}: expected a data set that is not deflated, got a deflated one. "
                f"{EXPORT_ADVICE}"
            )
        return pydicom.dcmread(path, stop_before_pixels=True, force=True)
    except ImageError:
        raise
    except Exception as error:  # a parser of foreign bytes may raise anything
        raise ImageError(
            f"{path}: expected a whole DICOM header, got a broken one. {EXPORT_ADVICE}"
        ) from error


def _has_mark(path: Path) -> bool:
    """Whether file meta information follows a preamble."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _check_header(path: Path, header: pydicom.Dataset) -> None:
    """Refuse what cannot be one ultrasound frame, before pixels are read."""
    modality = _text(header, "Modality")
    if modality != "US":
        raise ImageError(
            f"{path}: expected a DICOM header of modality 'US', got {modality or None!r}. "
            "Name an ultrasound frame in the table."
        )
    rows, columns = _whole(header, "Rows"), _whole(header, "Columns")
    samples, frames = _whole(header, "SamplesPerPixel", 1), _whole(header, "NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(f"{path}: expected one frame, got {frames}. Export the frame to be used.")
    if rows * columns * samples > MAX_SAMPLES:
        raise ImageError(
            f"{path}: expected at most {MAX_SAMPLES} samples, got {columns} x {rows} x {samples}. "
            f"{EXPORT_ADVICE}"
        )
    if min(rows, columns) < MIN_SIDE_PX:
        raise ImageError(
            f"{path}: expected at least {MIN_SIDE_PX} pixels a side, got {columns} x {rows}. "
            f"{EXPORT_ADVICE}"
        )
    photometric = _text(header, "PhotometricInterpretation")
    if photometric not in (*GREY, *COLOUR, PALETTE):
        raise ImageError(
            f"{path}: expected grey, RGB, YBR or palette pixels, got {photometric or None!r}. "
            f"{EXPORT_ADVICE}"
        )


def _read_pixels(path: Path) -> Pixels:
    """Decode the one frame as grey levels."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        if "PixelData" not in dataset:
            raise ImageError(f"{path}: expected pixel data, got only a header. {EXPORT_ADVICE}")
        dataset.ensure_file_meta()
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = PLAIN_SYNTAXES[dataset.original_encoding]
        if dataset.file_meta.TransferSyntaxUID.is_compressed:
            _check_coded_size(path, dataset)
        if str(dataset.file_meta.TransferSyntaxUID) in jpeg_lossless.DECODER_DEPENDENCIES:
            jpeg_lossless.register()
        return _to_grey(dataset)
    except ImageError:
        raise
    except Exception as error:  # a decoder of foreign bytes may raise anything
        raise ImageError(
            f"{path}: expected whole pixel data, got some that cannot be decoded. {EXPORT_ADVICE}"
        ) from error


def _check_coded_size(path: Path, dataset: pydicom.Dataset) -> None:
    """Refuse a compressed frame that is larger than its header says: it may be made to burst."""
    coded = _coded_size(get_frame(dataset.PixelData, 0, number_of_frames=1))
    stated = (_whole(dataset, "Columns"), _whole(dataset, "Rows"))
    if coded is not None and coded != stated:
        raise ImageError(
            f"{path}: expected {stated[0]} x {stated[1]} pixels as the header says, got "
            f"{coded[0]} x {coded[1]} in the picture. {EXPORT_ADVICE}"
        )


def _coded_size(code: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG or JPEG 2000 stream states, or None where it states none.

    Source: ITU-T T.81 B.2.2 (frame header), ITU-T T.800 A.5.1 (SIZ).
    """
    if code[:4] == b"\xff\x4f\xff\x51":
        right, bottom, left, top = struct.unpack(">4I", code[8:24])
        return right - left, bottom - top
    position = 2
    while code[:2] == b"\xff\xd8" and position + 9 <= len(code) and code[position] == 0xFF:
        marker = code[position + 1]
        if (
            0xC0 <= marker <= 0xF7
            and marker not in (0xC4, 0xC8, 0xCC)
            and not 0xD0 <= marker < 0xF0
        ):
            height, width = struct.unpack(">2H", code[position + 5 : position + 9])
            return width, height
        position += 2 + int.from_bytes(code[position + 2 : position + 4], "big")
    return None


def _to_grey(dataset: pydicom.Dataset) -> Pixels:
    """Stored values as grey levels 0-255, black = no echo."""
    values = pixel_array(dataset, index=0)  # (rows, columns[, 3]); YBR comes back as RGB
    photometric = _text(dataset, "PhotometricInterpretation")
    if photometric == PALETTE:
        return _luminance(_as_bytes_scale(apply_color_lut(values, dataset)))
    bits = _whole(dataset, "BitsStored", 8)
    levels = values.astype(np.float32)
    if _whole(dataset, "PixelRepresentation", 0) == 1:
        levels = levels + 2 ** (bits - 1)
    levels = levels * (255 / (2**bits - 1))
    if photometric == "MONOCHROME1":
        levels = 255 - levels
    return _luminance(levels)


def _as_bytes_scale(colours: Any) -> FloatArray:  # noqa: ANN401 (pydicom's array)
    """Palette colours on the scale 0-255; 16-bit tables may hold 8-bit values."""
    scale = 255 / 65535 if colours.dtype.itemsize == 2 and colours.max() > 255 else 1.0
    scaled: FloatArray = colours.astype(np.float32) * scale
    return scaled


def _luminance(levels: FloatArray) -> Pixels:
    """(rows, columns[, 3]) on the scale 0-255 -> uint8 (rows, columns)."""
    grey = levels @ np.asarray(LUMINANCE, dtype=np.float32) if levels.ndim == 3 else levels
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)


def _b_mode_region(header: pydicom.Dataset, *, width: int, height: int) -> _Region:
    """The largest two-dimensional tissue region that lies in the frame, or the whole frame."""
    regions = [
        region
        for item in header.get("SequenceOfUltrasoundRegions") or []
        if _whole(item, "RegionSpatialFormat", 0) == TWO_DIMENSIONAL
        and _whole(item, "RegionDataType", 0) == TISSUE
        and (region := _region(item, width=width, height=height)) is not None
    ]
    whole_frame = _Region(box=Box(0, 0, width, height), spacing_mm=None)
    return max(regions, key=lambda r: r.box.width * r.box.height, default=whole_frame)


def _region(item: pydicom.Dataset, *, width: int, height: int) -> _Region | None:
    """One stated region; one that reaches out of the frame was made for another frame size."""
    left, top = _whole(item, "RegionLocationMinX0", -1), _whole(item, "RegionLocationMinY0", -1)
    right, bottom = _whole(item, "RegionLocationMaxX1", -1), _whole(item, "RegionLocationMaxY1", -1)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        return None
    box = Box(left, top, min(right + 1, width), min(bottom + 1, height))  # corners are inclusive
    if min(box.width, box.height) < MIN_SIDE_PX:
        return None
    units = (
        _whole(item, "PhysicalUnitsYDirection", 0),
        _whole(item, "PhysicalUnitsXDirection", 0),
    )
    deltas_cm = _number(item, "PhysicalDeltaY") or 0.0, _number(item, "PhysicalDeltaX") or 0.0
    is_length = units == (CENTIMETRE, CENTIMETRE)
    spacing = _sane_spacing([10 * delta for delta in deltas_cm]) if is_length else None
    return _Region(box=box, spacing_mm=spacing)


def _plain_spacing(header: pydicom.Dataset) -> tuple[float, float] | None:
    """Pixel Spacing (row, column) in mm, where a file has it outside a region."""
    stated = header.get("PixelSpacing") or []
    try:
        return _sane_spacing([float(value) for value in stated])
    except (TypeError, ValueError):
        return None


def _sane_spacing(spacing_mm: list[float]) -> tuple[float, float] | None:
    """A pair of pixel sizes, or None where they cannot be sizes of an ultrasound pixel."""
    low, high = SPACING_MM
    if len(spacing_mm) != 2 or not all(low <= abs(value) <= high for value in spacing_mm):
        return None
    return abs(spacing_mm[0]), abs(spacing_mm[1])


def _acquired(header: pydicom.Dataset) -> date | None:
    """Day of acquisition, else of the study."""
    for keyword in ("AcquisitionDate", "AcquisitionDateTime", "StudyDate"):
        text = _text(header, keyword).replace(".", "")[:8]
        try:
            return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
        except ValueError:
            continue
    return None


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """An element as short text, empty where it is absent or unreadable."""
    try:
        return str(dataset.get(keyword) or "").strip()[:64]
    except Exception:  # a malformed value raises when it is first looked at
        return ""


def _whole(dataset: pydicom.Dataset, keyword: str, default: int = 0) -> int:
    """An element as a whole number, the default where it is absent or unreadable."""
    number = _number(dataset, keyword)
    return default if number is None else int(number)


def _number(dataset: pydicom.Dataset, keyword: str) -> float | None:
    """An element as a number, None where it is absent or unreadable."""
    try:
        number = float(dataset[keyword].value)
    except Exception:  # absent, or a malformed value, which raises when it is first looked at
        return None
    return number if np.isfinite(number) else None
