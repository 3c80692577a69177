"""A biopsy slide, or an image of one of its regions -> pixels of any rectangle, read lazily."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import openslide
from PIL import Image

from neoresponse.errors import ImageError, RoiError
from neoresponse.imaging.raster import WHITE, is_raster, read_rgb
from neoresponse.types import Box, Pixels

MPP_BOUNDS = (0.05, 20.0)
"""Micrometres per pixel outside these bounds are taken as not stated (a printer's dpi, mostly)."""
BLOCK_PX = 2048
"""Side of what is held in memory at once while a large region is made smaller."""
MAX_READ_PIXELS = 4_000_000_000
"""A region that needs more pixels of a slide, for want of coarser levels, is refused."""
EDGE_TOLERANCE_PX = 1.0
"""How far a region may reach over the edge of the slide."""
EXPORT_ADVICE = "Scan or export the slide again."


class Slide:
    """An open slide; use it in a `with` block.

    Attributes:
        path: the file.
        width: of level 0, in pixels.
        height: of level 0, in pixels.
        mpp: micrometres per pixel at level 0, or None where nobody says.
        levels: (width, height) of each level, level 0 first.
    """

    def __init__(self, path: Path, source: openslide.AbstractSlide, *, mpp: float | None) -> None:
        self.path = path
        self.mpp = mpp
        self.width, self.height = source.dimensions
        self.levels: tuple[tuple[int, int], ...] = tuple(source.level_dimensions)
        self._source = source

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def read_region(self, box: Box, *, out_px: tuple[int, int]) -> Pixels:
        """Read a rectangle at a chosen size, from the coarsest level that is still fine enough.

        Args:
            box: in pixels of level 0; it may reach one pixel over the edge.
            out_px: (width, height) of the result in pixels.

        Returns:
            RGB, (height, width, 3); glass that was not scanned is white.

        Raises:
            RoiError: the box is empty or lies outside the slide.
            ImageError: the slide is broken there.
        """
        box = self._clipped(box)
        shrink = box.width / out_px[0], box.height / out_px[1]
        level = self._source.get_best_level_for_downsample(max(min(shrink), 1.0))
        scale = float(self._source.level_downsamples[level])
        # whole pixels of the level that cover the box
        left, top = math.floor(box.left / scale), math.floor(box.top / scale)
        right = min(math.ceil(box.right / scale), self.levels[level][0])
        bottom = min(math.ceil(box.bottom / scale), self.levels[level][1])
        # A region far larger than the result is first averaged over whole pixels, block by block.
        by_x, by_y = (max(1, math.floor(ratio / scale / 2)) for ratio in shrink)
        covering = self._averaged(level, (left, top, right, bottom), by=(by_x, by_y))
        edges = (
            max(0.0, (box.left / scale - left) / by_x),
            max(0.0, (box.top / scale - top) / by_y),
            min(float(covering.width), (box.right / scale - left) / by_x),
            min(float(covering.height), (box.bottom / scale - top) / by_y),
        )
        resized = covering.resize(out_px, Image.Resampling.LANCZOS, box=edges)
        return np.array(resized)

    def _clipped(self, box: Box) -> Box:
        """The box without what reaches a pixel over the edge."""
        slack = EDGE_TOLERANCE_PX
        is_inside = (
            -slack <= box.left < box.right <= self.width + slack
            and -slack <= box.top < box.bottom <= self.height + slack
        )
        clipped = Box(
            max(0.0, box.left),
            max(0.0, box.top),
            min(float(self.width), box.right),
            min(float(self.height), box.bottom),
        )
        if not is_inside or min(clipped.width, clipped.height) <= 0:
            raise RoiError(
                f"{self.path}: expected a region inside {self.width} x {self.height} pixels, got "
                f"x {box.left:g} to {box.right:g} and y {box.top:g} to {box.bottom:g}. "
                "Check that it was drawn on this slide at full size."
            )
        return clipped

    def _averaged(
        self, level: int, corners: tuple[int, int, int, int], *, by: tuple[int, int]
    ) -> Image.Image:
        """A rectangle of a level (left, top, right, bottom), `by` pixels (across, down) as one."""
        left, top, right, bottom = corners
        width, height = right - left, bottom - top
        if width * height > MAX_READ_PIXELS:
            raise ImageError(
                f"{self.path}: expected at most {MAX_READ_PIXELS} pixels to read, got {width} x "
                f"{height} at its coarsest fitting level. Outline a smaller region."
            )
        if by == (1, 1):
            return self._read(level, left, top, (width, height))
        canvas = Image.new("RGB", (math.ceil(width / by[0]), math.ceil(height / by[1])), WHITE)
        across, down = (max(1, BLOCK_PX // number) * number for number in by)
        for y in range(top, bottom, down):
            for x in range(left, right, across):
                part_px = (min(across, right - x), min(down, bottom - y))
                part = self._read(level, x, y, part_px).reduce(by)
                canvas.paste(part, ((x - left) // by[0], (y - top) // by[1]))
        return canvas

    def _read(self, level: int, left: int, top: int, size: tuple[int, int]) -> Image.Image:
        """Pixels of one level as RGB on white; left and top in pixels of that level."""
        scale = float(self._source.level_downsamples[level])
        corner = (round(left * scale), round(top * scale))
        with _broken_slide_as_image_error(self.path):
            pixels = self._source.read_region(corner, level, size)
        canvas = Image.new("RGBA", size, (*WHITE, 255))
        return Image.alpha_composite(canvas, pixels).convert("RGB")


def open_slide(path: Path, *, mpp: float | None = None) -> Slide:
    """Open a slide.

    Args:
        path: any format that OpenSlide reads, or a region as PNG, JPEG, BMP or TIFF.
        mpp: micrometres per pixel at level 0 to fall back on where the file states none.

    Raises:
        ImageError: it is missing, broken or of an unknown format.
    """
    if not path.is_file():
        raise ImageError(f"{path}: expected a slide, found no file. Check the path.")
    with _broken_slide_as_image_error(path):
        is_slide = openslide.OpenSlide.detect_format(str(path)) is not None
        if is_slide:
            source = openslide.OpenSlide(str(path))
            return Slide(path, source, mpp=_stated_mpp(source) or mpp)
    if not is_raster(path):
        raise ImageError(
            f"{path}: expected a slide that OpenSlide reads or a plain image, got neither. "
            f"{EXPORT_ADVICE}"
        )
    return Slide(path, openslide.ImageSlide(read_rgb(path)), mpp=mpp)


@contextmanager
def _broken_slide_as_image_error(path: Path) -> Iterator[None]:
    """Say in one sentence what OpenSlide could not read."""
    try:
        yield
    except openslide.OpenSlideError as error:
        text = (str(error).splitlines() or ["OpenSlide failed"])[0][:120]
        # A path stands only at the start of a message, where findings cut it off.
        names_file = any(part in text for part in ("/", "\\", path.stem))
        reason = "" if names_file else f" ({text})"
        raise ImageError(
            f"{path}: expected a whole slide, got a broken one{reason}. {EXPORT_ADVICE}"
        ) from error


def _stated_mpp(source: openslide.OpenSlide) -> float | None:
    """Micrometres per pixel that the file states, or None where it is absent or impossible."""
    names = (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    try:
        across, down = (float(source.properties[name]) for name in names)
    except (KeyError, ValueError):
        return None
    low, high = MPP_BOUNDS
    if not (low <= across <= high and low <= down <= high):
        return None
    return (across + down) / 2
