import json

import numpy as np
import pytest
import torch

from neoresponse.models.se import SqueezeExcite


@pytest.mark.parametrize("case", [0, 2])
def test_squeeze_and_excitation_equals_its_formula(shared, case):
    golden = np.load(shared / "goldens" / "crossformer" / "se_block.npz")
    meta = json.loads(bytes(golden["meta_json"]))[case]
    part = {
        key.split("/")[1]: torch.from_numpy(golden[key])
        for key in golden.files
        if key.startswith(f"case{case}/")
    }
    module = SqueezeExcite(meta["C"], ratio=meta["reduction"])
    module.load_state_dict({f"{fc}.weight": part[f"{fc}_weight"] for fc in ("fc1", "fc2")})
    grid = part["x"].permute(0, 2, 3, 1).requires_grad_()
    out = module(grid).permute(0, 3, 1, 2)
    torch.testing.assert_close(module.gate(grid), part["gate"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out, part["y"], rtol=1e-5, atol=1e-6)
    (out * part["grad_coef"]).sum().backward()
    torch.testing.assert_close(grid.grad.permute(0, 3, 1, 2), part["grad_x"], rtol=1e-4, atol=1e-5)
    for fc in ("fc1", "fc2"):
        gradient = module.get_submodule(fc).weight.grad
        torch.testing.assert_close(gradient, part[f"grad_{fc}_weight"], rtol=1e-4, atol=1e-4)


def test_the_hidden_layer_never_vanishes():
    assert SqueezeExcite(8, ratio=16).fc1.weight.shape == (1, 8)
