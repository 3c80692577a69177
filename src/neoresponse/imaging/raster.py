"""Plain image files (PNG, JPEG, BMP, TIFF) -> upright 8-bit pictures, sized from the header first.

What a file is, is found from its content, never from its name.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from neoresponse.errors import ImageError
from neoresponse.types import Pixels

MAX_PIXELS = 100_000_000
"""Larger plain images are refused from their header, before anything is decoded."""
MIN_SIDE_PX = 32
"""Smaller pictures cannot show a lesion."""
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF")
EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
EXPORT_ADVICE = "Export the image again as PNG or JPEG."


def is_raster(path: Path) -> bool:
    """Whether the content is that of a plain image, read from the header alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(path, formats=FORMATS).close()
    except Image.DecompressionBombError:
        return True
    except Exception:  # a parser of foreign bytes may raise anything
        return False
    return True


def read_grey(path: Path) -> Pixels:
    """Read a plain image as grey levels.

    Returns:
        Luminance (ITU-R BT.601), uint8, (height, width); transparent parts are black.

    Raises:
        ImageError: it is no image, is broken, too small, too large or has several pages.
    """
    return np.array(_decode(path, background=BLACK).convert("L"))


def read_brightest(path: Path) -> Pixels:
    """Read a plain image as the brightest of its colours, so that pure red counts as bright.

    Returns:
        uint8, (height, width); transparent parts are black.

    Raises:
        ImageError: as `read_grey`.
    """
    brightest: Pixels = np.asarray(_decode(path, background=BLACK)).max(axis=2)
    return brightest


def read_rgb(path: Path) -> Image.Image:
    """Read a plain image in colour; transparent parts are white, as glass is.

    Returns:
        A picture of mode RGB.

    Raises:
        ImageError: as `read_grey`.
    """
    return _decode(path, background=WHITE)


def raster_size(path: Path) -> tuple[int, int]:
    """Width and height of a plain image in pixels as stored, read from the header alone.

    Raises:
        ImageError: it is no image, or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _open(path) as image:
            return image.size


def _decode(path: Path, *, background: tuple[int, int, int]) -> Image.Image:
    """Open, check and decode an image as RGB, upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is no reason to worry anyone
        with _open(path) as image:
            try:
                _check_header(path, image)
                image.load()
                upright = ImageOps.exif_transpose(image)
                return _as_rgb(upright, background=background)
            except ImageError:
                raise
            except Exception as error:  # a decoder of foreign bytes may raise anything
                raise ImageError(
                    f"{path}: expected a whole image, got a broken one ({_first_line(error)}). "
                    f"{EXPORT_ADVICE}"
                ) from error


def _open(path: Path) -> Image.Image:
    """Parse the header; the pixel limit is ours, so Pillow's own warning is moot."""
    try:
        image = Image.open(path, formats=FORMATS)
    except FileNotFoundError:
        raise ImageError(f"{path}: expected an image, found no file. Check the path.") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{path}: expected at most {MAX_PIXELS} pixels, got many more. Export a smaller image."
        ) from None
    except Exception as error:  # a parser of foreign bytes may raise anything
        size = path.stat().st_size if path.is_file() else 0
        found = f"{size} bytes that are none" if size else "an empty file"
        raise ImageError(
            f"{path}: expected an image (PNG, JPEG, BMP, TIFF), got {found}. {EXPORT_ADVICE}"
        ) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise ImageError(
            f"{path}: expected at most {MAX_PIXELS} pixels, got {width} x {height}. "
            "Export a smaller image."
        )
    return image


def _check_header(path: Path, image: Image.Image) -> None:
    """Refuse what a header tells is unusable."""
    num_pages = getattr(image, "n_frames", 1)
    if image.format != "MPO" and num_pages != 1:
        raise ImageError(f"{path}: expected one picture, got {num_pages}. Export a single frame.")
    if min(image.size) < MIN_SIDE_PX:
        raise ImageError(
            f"{path}: expected at least {MIN_SIDE_PX} pixels a side, got "
            f"{image.width} x {image.height}. Export the full image."
        )
    if image.mode not in EIGHT_BIT_MODES and not image.mode.startswith("I;16"):
        raise ImageError(
            f"{path}: expected 8 or 16 bits per sample, got pixel type {image.mode!r}. "
            f"{EXPORT_ADVICE}"
        )


def _as_rgb(image: Image.Image, *, background: tuple[int, int, int]) -> Image.Image:
    """Any accepted mode as RGB; 16-bit grey is scaled from its full range, not clipped."""
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.float32) * (255 / 65535)
        return Image.fromarray(np.rint(levels).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        picture = image.convert("RGBA")
        canvas = Image.new("RGBA", picture.size, (*background, 255))
        return Image.alpha_composite(canvas, picture).convert("RGB")
    return image.convert("RGB")


def _first_line(error: Exception) -> str:
    """What a decoder said, short."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
