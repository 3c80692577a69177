"""ImageJ outlines (.roi, or a .zip of them) -> rings of vertices."""

import io
import zipfile
import zlib

import numpy as np
import roifile
import shapely

from neoresponse.errors import RoiError
from neoresponse.types import FloatArray

MAX_ENTRY_BYTES = 10_000_000
MAX_ENTRIES = 100
NUM_ELLIPSE_VERTICES = 64
AREAS = (
    roifile.ROI_TYPE.POLYGON,
    roifile.ROI_TYPE.FREEHAND,
    roifile.ROI_TYPE.TRACED,
    roifile.ROI_TYPE.RECT,
    roifile.ROI_TYPE.OVAL,
)
DRAW_ADVICE = "Draw the outline again."


def is_imagej(content: bytes) -> bool:
    """Whether the content is an ImageJ outline or a zip file."""
    return content[:4] in (b"Iout", b"PK\x03\x04")


def imagej_rings(content: bytes) -> list[FloatArray]:
    """Rings of one ImageJ outline or of all outlines in a zip file.

    Returns:
        Outer rings, each (vertices, 2) as x, y.

    Raises:
        RoiError: it is broken, or a line, point or text instead of an area.
    """
    if content[:4] == b"Iout":
        return _rings(content)
    return [ring for entry in _zip_entries(content) for ring in _rings(entry)]


def ellipse_ring(low: FloatArray, high: FloatArray) -> FloatArray:
    """The ellipse in the box from corner `low` to corner `high`, each (x, y)."""
    turns = np.arange(NUM_ELLIPSE_VERTICES) * (2 * np.pi / NUM_ELLIPSE_VERTICES)
    directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    ring: FloatArray = (low + high) / 2 + directions * (high - low) / 2
    return ring


def _zip_entries(content: bytes) -> list[bytes]:
    """Each outline in a zip file, at most so many and so large."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if e.filename.lower().endswith(".roi")]
            if not 0 < len(entries) <= MAX_ENTRIES:
                raise RoiError(
                    f"expected 1 to {MAX_ENTRIES} .roi files in the zip, got {len(entries)}. "
                    f"{DRAW_ADVICE}"
                )
            outlines = []
            for entry in entries:
                with archive.open(entry) as file:
                    outlines.append(file.read(MAX_ENTRY_BYTES))
            return outlines
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        # What zipfile says may hold names of files.
        raise RoiError(
            f"expected a whole zip of .roi files, got {type(error).__name__}. {DRAW_ADVICE}"
        ) from error


def _rings(content: bytes) -> list[FloatArray]:
    """Rings of one outline."""
    try:
        outline = roifile.ImagejRoi.frombytes(content)
        paths: list[FloatArray] = [
            np.asarray(path, dtype=np.float64) for path in outline.coordinates(multi=True)
        ]
    except Exception as error:  # a parser of foreign bytes may raise anything
        raise RoiError(
            f"expected a whole ImageJ outline, got a broken one. {DRAW_ADVICE}"
        ) from error
    if outline.roitype not in AREAS or outline.subtype == roifile.ROI_SUBTYPE.TEXT:
        raise RoiError(
            f"expected an ImageJ area, got {outline.roitype.name.lower()}. "
            "Draw a polygon, rectangle, oval or freehand outline."
        )
    if outline.multi_coordinates is not None:
        return _without_holes(paths)
    if outline.roitype in (roifile.ROI_TYPE.RECT, roifile.ROI_TYPE.OVAL):
        return [_box_ring(outline)]
    return paths


def _box_ring(outline: roifile.ImagejRoi) -> FloatArray:
    """A rectangle or oval, from whole pixels or from fractions."""
    low, high = np.array([outline.left, outline.top]), np.array([outline.right, outline.bottom])
    if outline.subpixelrect:
        low = np.array([outline.xd, outline.yd])
        high = low + np.array([outline.widthd, outline.heightd])
    if outline.roitype == roifile.ROI_TYPE.OVAL:
        return ellipse_ring(low.astype(np.float64), high.astype(np.float64))
    (left, top), (right, bottom) = low, high
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.asarray(corners, dtype=np.float64)


def _without_holes(rings: list[FloatArray]) -> list[FloatArray]:
    """Rings of a composite that do not lie inside another of its rings."""
    closed = [ring for ring in rings if len(ring) >= 3]
    if not all(np.isfinite(ring).all() for ring in closed):
        raise RoiError(f"expected vertices in pixels, got impossible numbers. {DRAW_ADVICE}")
    areas = [shapely.Polygon(ring).buffer(0) for ring in closed]
    return [
        ring
        for i, ring in enumerate(closed)
        if not any(j != i and areas[j].contains_properly(areas[i]) for j in range(len(areas)))
    ]
