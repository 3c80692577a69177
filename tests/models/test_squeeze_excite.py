"""The excitations against plain code; reference files: test_crossformer_goldens.py."""

import pytest
import torch

from neoresponse.models.se import JointExcite, PerScaleExcite, SqueezeExcite


@pytest.mark.parametrize("has_bias", [False, True])
def test_a_gate_equals_its_formula_channel_by_channel(has_bias):
    torch.manual_seed(0)
    module = SqueezeExcite(32, ratio=8, bias=has_bias).double()
    grid = torch.randn(2, 3, 5, 32, dtype=torch.float64)
    with torch.no_grad():
        out = module(grid)
        for image in range(2):
            means = [grid[image, :, :, channel].mean() for channel in range(32)]
            hidden = module.fc1(torch.stack(means)).clamp(min=0)
            gate = 1 / (1 + torch.exp(-module.fc2(hidden)))
            torch.testing.assert_close(out[image], grid[image] * gate)


def test_biases_are_left_out_unless_asked_for():
    assert SqueezeExcite(16, ratio=4).fc1.bias is None
    assert SqueezeExcite(16, ratio=4, bias=True).fc2.bias.shape == (16,)


def test_the_hidden_layer_never_vanishes():
    assert SqueezeExcite(8, ratio=16).fc1.weight.shape == (1, 8)


def test_excitation_per_scale_equals_each_scale_alone():
    torch.manual_seed(0)
    module = PerScaleExcite((16, 8, 4, 4), ratio=16)
    scales = [torch.randn(2, 3, 3, width) for width in (16, 8, 4, 4)]
    with torch.no_grad():
        whole = module(torch.cat(scales, dim=-1))
        alone = [se(scale) for se, scale in zip(module.scales, scales, strict=True)]
    torch.testing.assert_close(whole, torch.cat(alone, dim=-1))


def test_a_joint_gate_sees_both_streams_and_keeps_patients_apart():
    torch.manual_seed(0)
    module = JointExcite((8, 4, 4), num_streams=2, ratio=4)
    early, late = torch.randn(2, 3, 4, 4, 16)
    with torch.no_grad():
        first, second = module(torch.cat([early, late])).chunk(2)
        both = module.se(torch.cat([early[1], late[1]], dim=-1)[None])[0]
        other = module(torch.cat([early, 3 * late])).chunk(2)[0]
    torch.testing.assert_close(torch.cat([first[1], second[1]], dim=-1), both)
    assert not torch.equal(first, other)


def test_a_joint_gate_of_one_stream_is_the_usual_one():
    module = JointExcite((8, 4, 4), num_streams=1, ratio=4)
    grid = torch.randn(2, 4, 4, 16)
    with torch.no_grad():
        assert torch.equal(module(grid), module.se(grid))
