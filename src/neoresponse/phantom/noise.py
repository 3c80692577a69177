"""Random fields that ultrasound and tissue share, and the types of their arrays."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def smooth_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    scale_px: float | tuple[float, float],
) -> Float32:
    """Random field of mean 0 and standard deviation near 1 whose blobs are `scale_px` wide.

    Args:
        rng: source of randomness.
        shape: (height, width).
        scale_px: distance of independent values, one number or (down, across).
    """
    down, across = (scale_px, scale_px) if isinstance(scale_px, int | float) else scale_px
    down, across = max(1.0, down), max(1.0, across)
    rows, columns = int(shape[0] / down) + 4, int(shape[1] / across) + 4
    coarse = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
    box = (1.5, 1.5, 1.5 + shape[1] / across, 1.5 + shape[0] / down)
    fine = coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.asarray(fine, dtype=np.float32) * np.float32(1.2)
