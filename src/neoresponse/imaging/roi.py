"""An outline file (ImageScope XML, ImageJ, GeoJSON, QuPath JSON, mask picture) -> a `Roi`.

What a file is, is found from its content. Holes are dropped: a `Roi` is its outer rings.
An outline that crosses itself is mended (GEOS `make_valid`, structure method): a bow tie becomes
two triangles. Parts below a tenth of the largest part are slips of the hand and left out.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from neoresponse.errors import ImageError, RoiError
from neoresponse.imaging.imagej import ellipse_ring, imagej_rings, is_imagej
from neoresponse.imaging.mask import MIN_SHARE, mask_from_roi, read_mask, roi_from_mask
from neoresponse.imaging.raster import is_raster, raster_size
from neoresponse.types import FloatArray, Roi

__all__ = ["check_inside", "mask_from_roi", "mask_size", "read_roi", "roi_from_mask"]

MAX_FILE_BYTES = 50_000_000
MAX_VERTICES = 1_000_000
MAX_COORDINATE = 1e7
EDGE_TOLERANCE_PX = 1.0
"""How far an outline may reach over the edge: half a line width of the drawing tools."""
RECTANGLE, ELLIPSE, ARROW, RULER = "1", "2", "3", "4"
"""Region types of ImageScope; all others are drawn by hand."""
DRAW_ADVICE = "Draw the outline again."
Rings = list[FloatArray]


def read_roi(path: Path) -> Roi:
    """Read an outline.

    Args:
        path: ImageScope XML, ImageJ .roi or .zip of them, GeoJSON or QuPath JSON, or a mask
            picture as PNG, JPEG, BMP or TIFF.

    Returns:
        Outer rings in pixels of the image that was drawn on, largest first.

    Raises:
        RoiError: it cannot be read, holds no area, or has impossible vertices.
    """
    if not path.is_file():
        raise RoiError(f"{path}: expected an outline, found no file. Check the path.")
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE_BYTES:
        raise RoiError(
            f"{path}: expected an outline of 1 to {MAX_FILE_BYTES} bytes, got {size}. {DRAW_ADVICE}"
        )
    if is_raster(path):
        return read_mask(path)
    content = path.read_bytes()
    try:
        return Roi(polygons=_mend(_rings(content)))
    except RoiError as error:
        raise RoiError(f"{path}: {error}") from None


def check_inside(roi: Roi, *, width: int, height: int) -> None:
    """Check that an outline lies in its image, up to one pixel over the edge.

    Raises:
        RoiError: a vertex lies outside.
    """
    box = roi.bounds
    slack = EDGE_TOLERANCE_PX
    if min(box.left, box.top) < -slack or box.right > width + slack or box.bottom > height + slack:
        raise RoiError(
            f"expected an outline inside its image of {width} x {height} pixels, got x "
            f"{box.left:g} to {box.right:g} and y {box.top:g} to {box.bottom:g}. "
            "Check that it was drawn on this image at full size."
        )


def mask_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a mask picture, or None where the outline is not a picture.

    Raises:
        RoiError: the picture is too large.
    """
    if not is_raster(path):
        return None
    try:
        return raster_size(path)
    except ImageError as error:
        raise RoiError(str(error)) from error


def _rings(content: bytes) -> Rings:
    """Outer rings as they are drawn, in whatever format."""
    if is_imagej(content):
        return imagej_rings(content)
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"<" or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _imagescope_rings(content)
    if start in (b"{", b"["):
        return _geojson_rings(content)
    raise RoiError(
        "expected ImageScope XML, ImageJ .roi, GeoJSON, QuPath JSON or a mask picture, got "
        f"something else. {DRAW_ADVICE}"
    )


def _mend(rings: Rings) -> tuple[FloatArray, ...]:
    """Check rings, mend those that cross themselves, leave out slips; largest first."""
    parts = [part for ring in rings for part in _valid_parts(ring)]
    if not parts:
        raise RoiError(f"expected an outlined area, got none. {DRAW_ADVICE}")
    parts.sort(key=shapely.area, reverse=True)
    kept = [part for part in parts if part.area >= MIN_SHARE * parts[0].area]
    return tuple(shapely.get_coordinates(part.exterior)[:-1] for part in kept)


def _valid_parts(ring: FloatArray) -> list[shapely.Polygon]:
    """One drawn ring as valid polygons without holes."""
    if len(ring) > MAX_VERTICES:
        raise RoiError(f"expected at most {MAX_VERTICES} vertices, got {len(ring)}. {DRAW_ADVICE}")
    if not (np.isfinite(ring).all() and (np.abs(ring) < MAX_COORDINATE).all()):
        raise RoiError(f"expected vertices in pixels, got impossible numbers. {DRAW_ADVICE}")
    num_distinct = len(np.unique(ring, axis=0))
    if num_distinct < 3:
        raise RoiError(f"expected at least 3 vertices, got {num_distinct}. {DRAW_ADVICE}")
    polygon = shapely.Polygon(ring)
    if not polygon.is_valid:
        polygon = shapely.make_valid(polygon, method="structure", keep_collapsed=False)
    parts = [part for part in shapely.get_parts(polygon) if isinstance(part, shapely.Polygon)]
    if not any(part.area > 0 for part in parts):
        raise RoiError(f"expected an outlined area, got a line. {DRAW_ADVICE}")
    return parts


def _imagescope_rings(content: bytes) -> Rings:
    """Regions of Aperio ImageScope XML; those that mark what to leave out are passed over."""
    try:
        root = ElementTree.fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise RoiError(
            f"expected XML without a document type or entities, got some. {DRAW_ADVICE}"
        ) from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise RoiError(f"expected whole XML, got {error}. {DRAW_ADVICE}") from None
    regions = [r for r in root.iter("Region") if r.get("NegativeROA", "0") in ("0", "")]
    areas = [r for r in regions if r.get("Type", "0") not in (ARROW, RULER)]
    if not areas:
        raise RoiError(f"expected an outlined region, got none. {DRAW_ADVICE}")
    return [_imagescope_ring(region) for region in areas]


def _imagescope_ring(region: Any) -> FloatArray:  # noqa: ANN401 (an XML element)
    """Vertices of one region; a rectangle or ellipse may be given by two opposite corners."""
    try:
        vertices = [(float(v.get("X")), float(v.get("Y"))) for v in region.iter("Vertex")]
    except (TypeError, ValueError):
        raise RoiError(
            f"region {region.get('Id')}: expected vertices with X and Y as numbers, got others. "
            f"{DRAW_ADVICE}"
        ) from None
    ring = np.asarray(vertices, dtype=np.float64).reshape(-1, 2)
    kind = region.get("Type", "0")
    if kind == ELLIPSE and 2 <= len(ring) <= 4:
        return ellipse_ring(ring.min(axis=0), ring.max(axis=0))
    if kind == RECTANGLE and len(ring) == 2:
        (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
        return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return ring


def _geojson_rings(content: bytes) -> Rings:
    """Outer rings of all areas in GeoJSON, in whichever wrapping QuPath wrote it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RoiError(f"expected whole JSON, got {type(error).__name__}. {DRAW_ADVICE}") from None
    try:
        rings: Rings = [
            np.asarray(ring, dtype=np.float64)[:, :2]
            for geometry in _geometries(document)
            for ring in _outer_rings(geometry)
        ]
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError):
        raise RoiError(f"expected GeoJSON polygons, got malformed ones. {DRAW_ADVICE}") from None
    if not rings:
        raise RoiError(f"expected a Polygon or MultiPolygon, got none. {DRAW_ADVICE}")
    return rings


def _geometries(document: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 (any JSON value)
    """Geometries of drawn annotations; cells that QuPath detected are passed over."""
    if isinstance(document, list):
        features = document
    elif document.get("type") == "FeatureCollection":
        features = document["features"]
    elif document.get("type") == "Feature":
        features = [document]
    else:
        features = [{"geometry": document}]
    for feature in features:
        kind = (feature.get("properties") or {}).get("objectType") or feature.get("id")
        if kind not in ("detection", "cell", "PathDetectionObject", "PathCellObject"):
            yield feature["geometry"]


def _outer_rings(geometry: dict[str, Any]) -> list[Any]:
    """The outer ring of each polygon of a geometry; lines and points have none."""
    if geometry.get("type") == "Polygon":
        return [geometry["coordinates"][0]]
    if geometry.get("type") == "MultiPolygon":
        return [polygon[0] for polygon in geometry["coordinates"]]
    return []
