import importlib
import importlib.util

import pytest
import torch
from safetensors.torch import save_file

from neoresponse.config import ModelSettings
from neoresponse.errors import ConfigError, MissingExtraError
from neoresponse.models import baselines
from neoresponse.models.baselines import timm_backbone
from neoresponse.models.build import build_model
from neoresponse.models.torchvision_cure import import_torchvision

SMALL_NET = "test_resnet"  # timm's own test networks: real, but tiny
SMALL_VIT = "test_vit"


@pytest.fixture(autouse=True)
def _timm():
    if importlib.util.find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")


@pytest.mark.parametrize("name", [SMALL_NET, SMALL_VIT])
def test_a_baseline_sits_in_the_same_frame(patients, name):
    torch.manual_seed(0)
    model = build_model(ModelSettings(backbone=name), image_px=32)
    images, clinical, available = patients(3)
    available["us_1"][0] = False
    model(images, clinical, available).sum().backward()
    assert model.fusion.head.in_features == 20
    for part in ("trunks.biopsy", "trunks.us_0", "trunk", "coherence"):
        assert any(
            f".{part}." in key and p.grad is not None and p.grad.any()
            for key, p in model.named_parameters()
        )
    with torch.no_grad():
        logits = model.eval()(images, clinical, available)
        again = model(
            {**images, "us_1": torch.full_like(images["us_1"], float("nan"))},
            clinical,
            {**available, "us_1": torch.zeros(3, dtype=torch.bool)},
        )
    assert again[0] == logits[0]


@pytest.mark.parametrize("name", [SMALL_NET, SMALL_VIT])
def test_stages_one_by_one_equal_timm_s_own_pass(name):
    torch.manual_seed(0)
    side = 160
    backbone = timm_backbone(name, image_px=side, weights=None).eval()
    images = torch.randn(1, 3, side, side)
    with torch.no_grad():
        grid = backbone.stem(images)
        for index in range(4):
            grid = backbone.stage(index, grid)
        if name == SMALL_VIT:
            expected = backbone.vit.forward_features(images)
            torch.testing.assert_close(backbone.vit.norm(grid).flatten(1, 2), expected)
            return
        timm = importlib.import_module("timm")
        whole = timm.create_model(name, features_only=True)
        keys = list(whole.state_dict())
        ours = [v for k, v in backbone.state_dict().items() if not k.startswith("norm.")]
        whole.load_state_dict(dict(zip(keys, ours, strict=True)))
        expected = whole.eval()(images)[-1].permute(0, 2, 3, 1)
    torch.testing.assert_close(grid, expected)


@pytest.mark.parametrize("name", [SMALL_NET, SMALL_VIT])
def test_weights_in_timm_s_naming_are_loaded_and_fitted(tmp_path, name):
    timm = importlib.import_module("timm")
    donor = timm.create_model(name)
    state = donor.state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    backbone = timm_backbone(name, image_px=96, weights=tmp_path / "weights.safetensors")
    loaded = {tuple(p.shape): p for p in backbone.parameters()}
    first = next(p for p in donor.parameters() if p.ndim == 4)
    torch.testing.assert_close(loaded[tuple(first.shape)], first)


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match="expected weights of timm's test_resnet, got"):
        timm_backbone(SMALL_NET, image_px=64, weights=tmp_path / "weights.safetensors")


def test_an_unknown_backbone_is_answered_with_near_names():
    with pytest.raises(ConfigError, match=r"got 'resnet5'\. Near names: .*'resnet50'"):
        timm_backbone("resnet5", image_px=64, weights=None)


def test_a_backbone_without_four_maps_in_a_row_is_refused():
    with pytest.raises(
        ConfigError, match="four maps that come out in a row, got 'efficientnet_b0'"
    ):
        timm_backbone("efficientnet_b0", image_px=64, weights=None)


def test_a_missing_extra_is_named_with_its_command(monkeypatch):
    def absent():
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    monkeypatch.setattr(baselines, "import_torchvision", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'neoresponse\[baselines\]'"):
        timm_backbone("resnet50", image_px=64, weights=None)


def test_torchvision_is_imported_more_than_once_without_harm():
    import_torchvision()
    import_torchvision()
    assert torch.ops.torchvision.nms is not None
