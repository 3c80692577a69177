"""Ultrasound frame + outline -> a square crop around the lesion, the same size for everyone.

Guo 2024, Methods: instrument text is removed, then a square centred on the tumour is cut out;
a tumour that is no longer visible is looked for where it was before treatment.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from neoresponse.types import Box, Pixels, Roi, UltrasoundFrame

MIN_WINDOW_PX = 16
"""A window around a tiny lesion is at least this wide; fewer pixels show nothing."""


@dataclass(frozen=True)
class Window:
    """A square piece of tissue.

    Attributes:
        centre: (x, y) in pixels of the frame.
        side: its side, in mm where `is_mm`, else in pixels.
        is_mm: whether the frame's pixel size is known.
    """

    centre: tuple[float, float]
    side: float
    is_mm: bool


def lesion_window(frame: UltrasoundFrame, roi: Roi, *, margin_ratio: float) -> Window:
    """The square around a lesion.

    Args:
        frame: the frame that the outline was drawn on.
        roi: outline of the lesion in pixels of the frame.
        margin_ratio: tissue kept on each side, as a share of the lesion's longest side.
    """
    bounds = roi.bounds
    row_mm, column_mm = frame.spacing_mm or (1.0, 1.0)
    longest = max(bounds.width * column_mm, bounds.height * row_mm)
    least = MIN_WINDOW_PX * max(row_mm, column_mm)
    side = max(longest * (1 + 2 * margin_ratio), least)
    return Window(centre=bounds.centre, side=side, is_mm=frame.spacing_mm is not None)


def lesion_mm(frame: UltrasoundFrame, roi: Roi | None) -> float | None:
    """Longest side of the box around a lesion in mm.

    Args:
        frame: the frame that the outline was drawn on.
        roi: outline of the lesion, or None where it is no longer visible.

    Returns:
        0 where nothing is visible; None where the size of a pixel is not known.
    """
    if roi is None:
        return 0.0
    if frame.spacing_mm is None:
        return None
    row_mm, column_mm = frame.spacing_mm
    return max(roi.bounds.width * column_mm, roi.bounds.height * row_mm)


def follow_up_window(
    before: Window, frame_0: UltrasoundFrame, frame_1: UltrasoundFrame, roi_1: Roi | None
) -> Window:
    """The square at US-1 that shows as much tissue as the one at US-0.

    Args:
        before: the window at US-0.
        frame_0: the US-0 frame.
        frame_1: the US-1 frame.
        roi_1: outline at US-1, or None where the lesion is no longer visible; then the window
            stands at the same place of the B-mode picture as at US-0.
    """
    if roi_1 is not None:
        centre = roi_1.bounds.centre
    else:
        x_share = (before.centre[0] - frame_0.region.left) / frame_0.region.width
        y_share = (before.centre[1] - frame_0.region.top) / frame_0.region.height
        centre = (
            frame_1.region.left + x_share * frame_1.region.width,
            frame_1.region.top + y_share * frame_1.region.height,
        )
    if before.is_mm and frame_1.spacing_mm is not None:
        return Window(centre=centre, side=before.side, is_mm=True)
    side_px = before.side / (min(frame_0.spacing_mm) if frame_0.spacing_mm else 1.0)
    scale = frame_1.region.width / frame_0.region.width
    return Window(centre=centre, side=side_px * scale, is_mm=False)


def window_box(frame: UltrasoundFrame, window: Window) -> Box:
    """The window in pixels of the frame; it may reach over the frame's edge."""
    row_mm, column_mm = frame.spacing_mm if window.is_mm and frame.spacing_mm else (1.0, 1.0)
    half_width, half_height = window.side / column_mm / 2, window.side / row_mm / 2
    x, y = window.centre
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def crop_frame(frame: UltrasoundFrame, window: Window, *, image_px: int) -> Pixels:
    """Cut a window out of a frame.

    Args:
        frame: the frame; all that stands outside its B-mode region is blanked first.
        window: what to cut; black where it reaches over the edge.
        image_px: side of the result in pixels.

    Returns:
        Grey levels, (image_px, image_px).
    """
    box = window_box(frame, window)
    only_region = np.zeros_like(frame.pixels)
    rows = slice(max(0, round(frame.region.top)), round(frame.region.bottom))
    columns = slice(max(0, round(frame.region.left)), round(frame.region.right))
    only_region[rows, columns] = frame.pixels[rows, columns]
    height, width = only_region.shape
    pad = int(np.ceil(max(0, -box.left, -box.top, box.right - width, box.bottom - height)))
    padded = Image.fromarray(np.pad(only_region, pad))
    edges = (box.left + pad, box.top + pad, box.right + pad, box.bottom + pad)
    resized = padded.resize((image_px, image_px), Image.Resampling.BILINEAR, box=edges)
    return np.asarray(resized)
