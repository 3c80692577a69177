"""Grey levels and colours of a batch, changed on its device: stain, gain, speckle.

All take and give levels in [0, 1], before standardisation.
"""

import torch
import torch.nn.functional as nnf
from torch import Tensor

STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Red, green and blue absorption of haematoxylin, eosin and DAB, the rest.

Source: Ruifrok and Johnston, Anal. Quant. Cytol. Histol. 2001, 23:291-299, Table 1.
"""
_FAINTEST = 1 / 255
_GRAIN_PX = 3


def change_stain(images: Tensor, *, factor: Tensor, offset: Tensor) -> Tensor:
    """Make each stain of each image weaker or stronger, in optical density.

    Args:
        images: red, green, blue in [0, 1], (batch, 3, height, width).
        factor: of each stain, (batch, 3); 1 changes nothing.
        offset: added to each stain, (batch, 3); 0 changes nothing.

    Returns:
        Of the same shape; a white pixel takes on the offset alone.

    Source: Tellez et al., IEEE Trans. Med. Imaging 2018, 37:2126-2136, Data augmentation.
    """
    stains = torch.tensor(STAINS, device=images.device)
    stains = stains / stains.norm(dim=1, keepdim=True)
    apart = torch.linalg.inv(stains.cpu()).to(images.device)
    # Densities apart, each changed, back together: one matrix and one vector per image.
    matrix = apart @ (factor[:, :, None] * stains)
    vector = offset @ stains
    density = -torch.log(images.clamp(min=_FAINTEST))
    changed = torch.einsum("bchw,bcd->bdhw", density, matrix) + vector[:, :, None, None]
    return torch.exp(-changed).clamp(0, 1)


def change_gain(images: Tensor, gain: Tensor) -> Tensor:
    """Make ultrasound frames brighter or darker.

    Args:
        images: grey levels in [0, 1], (batch, 1, height, width).
        gain: factor, (batch,).
    """
    return (images * gain[:, None, None, None]).clamp(0, 1)


def add_speckle(images: Tensor, deviation: Tensor, *, noise: Tensor) -> Tensor:
    """Multiply grey levels by speckle with grains a few pixels wide; black stays black.

    Args:
        images: grey levels in [0, 1], (batch, 1, height, width).
        deviation: standard deviation of the factor, (batch,); 0 changes nothing.
        noise: standard normal numbers of the shape of `images`.
    """
    # The mean of n x n such numbers has deviation 1/n: n times that is standard again.
    grains = _GRAIN_PX * nnf.avg_pool2d(
        nnf.pad(noise, (_GRAIN_PX // 2,) * 4, mode="circular"), _GRAIN_PX, stride=1
    )
    return (images * (1 + deviation[:, None, None, None] * grains)).clamp(0, 1)
