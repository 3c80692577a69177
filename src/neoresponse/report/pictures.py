"""Pictures -> text that stands inside the HTML file, so that it needs no other file."""

import base64
import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from neoresponse.errors import RunError

LARGEST_BYTES = 120_000
LARGEST_SIDE_PX = 512
QUALITY = 85
NEXT = "Make the heat maps again with `neoresponse explain`."


def inline_svg(content: bytes) -> str:
    """An SVG figure as the address of an image."""
    return _address("image/svg+xml", content)


def inline_picture(folder: Path, name: str) -> str:
    """A PNG as the address of an image; a large one is made smaller, for the page only.

    Args:
        folder: where it lies.
        name: its file name; a path is refused.

    Raises:
        RunError: it is missing, lies elsewhere, or is no PNG.
    """
    path = folder / name
    if Path(name).name != name or not name.endswith(".png"):
        raise RunError(f"{folder}: expected the name of a PNG in this folder, got {name!r}. {NEXT}")
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
                if len(content) <= LARGEST_BYTES:
                    picture.verify()
                    return _address("image/png", content)
                return _address("image/jpeg", _smaller(picture))
    except FileNotFoundError:
        raise RunError(f"{path}: expected this picture, got none. {NEXT}") from None
    except (
        OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        raise RunError(f"{path}: expected a PNG, got {error}. {NEXT}") from error


def _smaller(picture: Image.Image) -> bytes:
    """A JPEG whose longer side is at most `LARGEST_SIDE_PX`."""
    small = picture.convert("RGB")
    small.thumbnail((LARGEST_SIDE_PX, LARGEST_SIDE_PX))
    content = io.BytesIO()
    small.save(content, format="JPEG", quality=QUALITY)
    return content.getvalue()


def _address(kind: str, content: bytes) -> str:
    """Content as a data address."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
