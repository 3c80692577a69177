"""Convolutions with wide steps, rearranged into ones that libraries have fast code for."""

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as nnf

from neoresponse.models.linear import is_plain

_MANY_STEPS = 4
"""From so many steps per kernel on, rearranging pays; below, the copy costs what it gains."""


def apply_convolution(
    conv: nn.Conv2d, images: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch new_channels new_height new_width"]:
    """Run a convolution; one whose kernel is many steps wide, over blocks of pixels.

    A kernel of k pixels over C channels that moves s pixels at a time, where s divides k, is a
    kernel of k / s over the C s^2 channels of blocks of s x s pixels that moves one at a time: the
    same products, of the same parameters. For 32 pixels in steps of 4, processors without AVX-512
    have no fast code, and take 80 times as long as for the 8 blocks.
    """
    if not (is_plain(conv, nn.Conv2d) and _has_many_steps(conv)):
        return cast(Tensor, conv(images))
    step, margin = conv.stride[0], cast(tuple[int, int], conv.padding)[0]
    height, width = images.shape[-2:]
    # What no whole step reaches is left out, as the convolution does.
    below, beside = ((side + 2 * margin) % step for side in (height, width))
    padded = nnf.pad(images, (margin, margin - beside, margin, margin - below))
    blocks = nnf.pixel_unshuffle(padded, step)  # (B, C, H, W) -> (B, C*s*s, H/s, W/s)
    return nnf.conv2d(blocks, nnf.pixel_unshuffle(conv.weight, step), conv.bias)


def _has_many_steps(conv: nn.Conv2d) -> bool:
    """Whether kernel and steps are square, of zeros around, and many steps make a kernel."""
    (kernel, same), (step, as_far) = conv.kernel_size, conv.stride
    is_square = kernel == same and step == as_far and len(set(conv.padding)) == 1
    is_usual = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    return (
        is_square
        and is_usual
        and not isinstance(conv.padding, str)
        and step > 1
        and kernel % step == 0
        and kernel >= _MANY_STEPS * step
    )
