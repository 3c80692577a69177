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


def test_a_hook_or_a_subclass_of_the_layer_is_run_without_gradients():
    class Doubled(nn.Linear):
        def forward(self, tokens):
            return 2 * super().forward(tokens)

    tokens, seen = torch.randn(2, 4), []
    plain, doubled = nn.Linear(4, 3), Doubled(4, 3)
    doubled.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected = apply_linear(plain, tokens)
        torch.testing.assert_close(apply_linear(doubled, tokens), 2 * expected)
        for register in (
            plain.register_forward_hook,
            plain.register_forward_pre_hook,
            nn.modules.module.register_module_forward_hook,
            nn.modules.module.register_module_forward_pre_hook,
        ):
            handle = register(lambda *_: seen.append(1))
            apply_linear(plain, tokens)
            handle.remove()
    assert len(seen) == 4


def test_a_processor_without_bfloat16_runs_the_layer(monkeypatch):
    kernel = lambda *_: pytest.fail("the kernel was asked")  # noqa: E731
    monkeypatch.setattr(linear, "_KERNEL", kernel)
    monkeypatch.setattr(linear, "has_bfloat16", lambda: False)
    layer, tokens = nn.Linear(4, 3).bfloat16(), torch.randn(2, 4).bfloat16()
    with torch.no_grad():
        assert torch.equal(apply_linear(layer, tokens), layer(tokens))
