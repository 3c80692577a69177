"""Heat over an image, as pixels to look at."""

import numpy as np
from matplotlib import colormaps

from neoresponse.types import FloatArray, Pixels

COLOUR_MAP = "inferno"
"""Perceptually even, readable in grey and by the colour-blind."""


def overlay(image: Pixels, heat: FloatArray, *, strength: float = 0.6) -> Pixels:
    """Lay heat over an image; where there is no heat the image stays as it is.

    Args:
        image: grey (height, width) or RGB (height, width, 3).
        heat: (height, width) in [0, 1].
        strength: how opaque the hottest place is, in [0, 1].

    Returns:
        RGB, (height, width, 3), uint8.
    """
    rgb = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
    clipped = np.clip(heat, 0, 1)
    colour = 255 * np.asarray(colormaps[COLOUR_MAP](clipped))[:, :, :3]
    opacity = strength * clipped[:, :, None]
    mixed: Pixels = np.rint((1 - opacity) * rgb + opacity * colour).astype(np.uint8)
    return mixed
