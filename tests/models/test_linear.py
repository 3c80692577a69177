import pytest
import torch
from torch import nn
from torch.nn.functional import gelu

from neoresponse.models import linear
from neoresponse.models.linear import apply_linear


@pytest.mark.parametrize("then", ["none", "gelu"])
@pytest.mark.parametrize(("number_format", "tolerance"), [("float32", 1e-6), ("bfloat16", 2e-2)])
def test_the_kernel_without_gradients_equals_the_layer(then, number_format, tolerance):
    torch.manual_seed(0)
    kind = getattr(torch, number_format)
    layer = nn.Linear(16, 24).to(kind)
    tokens = torch.randn(2, 5, 7, 16, dtype=kind)
    expected = gelu(layer(tokens)) if then == "gelu" else layer(tokens)
    with torch.no_grad():
        found = apply_linear(layer, tokens, then=then)
    torch.testing.assert_close(found, expected.detach(), rtol=tolerance, atol=tolerance)


def test_with_gradients_the_layer_itself_is_run():
    layer = nn.Linear(4, 3)
    tokens = torch.randn(2, 4, requires_grad=True)
    assert torch.equal(apply_linear(layer, tokens, then="gelu"), gelu(layer(tokens)))
    apply_linear(layer, tokens).sum().backward()
    assert layer.weight.grad is not None


def test_a_torch_without_the_kernel_runs_the_layer(monkeypatch):
    monkeypatch.setattr(linear, "_KERNEL", None)
    layer, tokens = nn.Linear(4, 3), torch.randn(2, 4)
    with torch.no_grad():
        assert torch.equal(apply_linear(layer, tokens), layer(tokens))


def test_under_autocast_torch_chooses_the_number_format():
    layer, tokens = nn.Linear(4, 3), torch.randn(2, 4)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert apply_linear(layer, tokens).dtype == torch.bfloat16
