import pytest
import torch
from torch import nn

from neoresponse.models import convolution
from neoresponse.models.convolution import apply_convolution


def conv_of(kernel, step, *, channels=3, padding=None):
    torch.manual_seed(0)
    margin = (kernel - step) // 2 if padding is None else padding
    return nn.Conv2d(channels, 5, kernel, stride=step, padding=margin).double()


@pytest.fixture
def rearranged(monkeypatch):
    """The channels of the map that each rearranged convolution was given."""
    seen, original = [], nn.functional.pixel_unshuffle

    def unshuffle(tensor, step):
        seen.append(tensor.shape[1])
        return original(tensor, step)

    monkeypatch.setattr(convolution.nnf, "pixel_unshuffle", unshuffle)
    return seen


@pytest.mark.parametrize(("kernel", "step"), [(32, 4), (16, 4), (8, 2), (12, 3)])
@pytest.mark.parametrize(("height", "width"), [(48, 48), (50, 61), (33, 64)])
def test_blocks_of_pixels_give_the_convolution_and_its_gradients(
    rearranged, kernel, step, height, width
):
    conv, images = conv_of(kernel, step), torch.randn(2, 3, height, width, dtype=torch.float64)
    asked = [images.requires_grad_(), conv.weight, conv.bias]
    expected, found = conv(images), apply_convolution(conv, images)
    assert rearranged
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    cotangent = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, asked, cotangent),
        torch.autograd.grad(expected, asked, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "conv",
    [
        conv_of(8, 4),
        conv_of(18, 4),
        conv_of(5, 1),
        nn.Conv2d(3, 3, 16, stride=4, groups=3).double(),
        nn.Conv2d(3, 3, 16, stride=4, dilation=2).double(),
        nn.Conv2d(3, 3, (16, 8), stride=4).double(),
        nn.Conv2d(3, 3, 16, stride=4, padding=6, padding_mode="reflect").double(),
    ],
)
def test_any_other_convolution_runs_as_it_is(rearranged, conv):
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    assert torch.equal(apply_convolution(conv, images), conv(images))
    assert not rearranged


def test_who_listens_to_the_layer_hears_it(rearranged):
    conv, images, heard = conv_of(16, 4), torch.randn(1, 3, 32, 32, dtype=torch.float64), []
    conv.register_forward_hook(lambda *_: heard.append(1))
    apply_convolution(conv, images)
    assert heard == [1]
    assert not rearranged
