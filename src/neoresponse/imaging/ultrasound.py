"""An ultrasound file (DICOM, or a plain image) -> one B-mode frame with its pixel size.

What a file is, is found from its content, never from its name.
"""

from dataclasses import replace
from pathlib import Path

from neoresponse.errors import ImageError
from neoresponse.imaging.dicom import is_dicom, names_patient, read_dicom
from neoresponse.imaging.raster import is_raster, read_grey
from neoresponse.types import Box, UltrasoundFrame

__all__ = ["names_patient", "read_ultrasound"]


def read_ultrasound(path: Path, *, spacing_mm: float | None = None) -> UltrasoundFrame:
    """Read one B-mode frame.

    Args:
        path: DICOM with one frame, or PNG, JPEG, BMP, TIFF.
        spacing_mm: size of a pixel in mm to fall back on where the file states none.

    Returns:
        The frame; a plain image is all region and has no date.

    Raises:
        ImageError: it cannot be read, is no ultrasound, or is too small or too large.
    """
    if not path.is_file():
        raise ImageError(f"{path}: expected an ultrasound frame, found no file. Check the path.")
    if is_dicom(path):
        frame = read_dicom(path)
    elif is_raster(path):
        frame = _read_plain(path)
    else:
        found = f"{path.stat().st_size} bytes that are neither"
        raise ImageError(
            f"{path}: expected DICOM or a plain image (PNG, JPEG, BMP, TIFF), got "
            f"{found if path.stat().st_size else 'an empty file'}. Export the frame again."
        )
    if frame.spacing_mm is None and spacing_mm is not None:
        return replace(frame, spacing_mm=(spacing_mm, spacing_mm))
    return frame


def _read_plain(path: Path) -> UltrasoundFrame:
    """A plain image as a frame."""
    pixels = read_grey(path)
    height, width = pixels.shape
    return UltrasoundFrame(
        pixels=pixels, region=Box(0, 0, width, height), spacing_mm=None, acquired=None
    )
