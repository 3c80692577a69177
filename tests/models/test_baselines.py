import importlib
import importlib.util

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from neoresponse.errors import ConfigError, MissingExtraError
from neoresponse.models import baselines
from neoresponse.models.baselines import timm_backbone
from neoresponse.models.build import build_backbone, build_model
from neoresponse.models.torchvision_cure import import_torchvision
from neoresponse.settings import ModelSettings

SMALL_NET = "test_resnet"  # timm's own test networks: real, but tiny
SMALL_VIT = "test_vit"
SWIN = "swin_tiny_patch4_window7_224"


@pytest.fixture(autouse=True)
def _timm():
    if importlib.util.find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")


def timm():
    """The optional package."""
    import_torchvision()
    return importlib.import_module("timm")


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


@pytest.mark.parametrize("name", [SMALL_NET, "test_efficientnet", "mobilenetv3_small_050"])
def test_stages_one_by_one_equal_timm_s_own_maps(name):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 96, 96)
    backbone = timm_backbone(name, image_px=96, weights=None).eval()
    whole = timm().create_model(name, features_only=True)
    ours = [tensor for key, tensor in backbone.state_dict().items() if not key.startswith("norm.")]
    whole.load_state_dict(dict(zip(whole.state_dict(), ours, strict=True)))
    with torch.no_grad():
        expected = whole.eval()(images)[-4:]
        grid = backbone.stem(images)
        for index in range(4):
            grid = backbone.stage(index, grid)
            torch.testing.assert_close(grid, expected[index].permute(0, 2, 3, 1))


def test_a_vit_in_four_runs_equals_timm_s_own_pass():
    torch.manual_seed(0)
    backbone = timm_backbone(SMALL_VIT, image_px=160, weights=None).eval()
    images = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        grid = backbone.stem(images)
        for index in range(4):
            grid = backbone.stage(index, grid)
        expected = backbone.vit.forward_features(images)
    torch.testing.assert_close(backbone.vit.norm(grid).flatten(1, 2), expected)


@pytest.mark.parametrize("name", [SMALL_NET, "test_efficientnet"])
def test_weights_in_timm_s_naming_are_loaded_to_the_last_one(tmp_path, name):
    donor = timm().create_model(name)
    for tensor in donor.buffers():  # else a norm's buffers hold what a new one holds
        if tensor.is_floating_point():
            torch.nn.init.uniform_(tensor, 0.5, 2)
    save_file(donor.state_dict(), tmp_path / "weights.safetensors")
    backbone = timm_backbone(name, image_px=96, weights=tmp_path / "weights.safetensors")
    ours = [tensor for key, tensor in backbone.state_dict().items() if not key.startswith("norm.")]
    theirs = list(donor.state_dict().values())[: len(ours)]
    assert len(ours) > 50
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("has_place", [True, False])
@pytest.mark.parametrize("side", [160, 96])
def test_the_position_table_of_a_vit_is_fitted_to_the_images(tmp_path, has_place, side):
    donor = timm().create_model(SMALL_VIT, no_embed_class=not has_place)
    save_file(donor.state_dict(), tmp_path / "weights.safetensors")
    vit = timm_backbone(SMALL_VIT, image_px=side, weights=tmp_path / "weights.safetensors").vit
    patches = donor.pos_embed[:, 1:] if has_place else donor.pos_embed
    assert patches.shape[1] == (160 // 16) ** 2
    resample = importlib.import_module("timm.layers").resample_abs_pos_embed
    sides = [side // 16] * 2
    expected = patches if side == 160 else resample(patches, sides, num_prefix_tokens=0)
    assert torch.equal(vit.pos_embed, expected)
    assert torch.equal(vit.blocks[-1].attn.qkv.weight, donor.blocks[-1].attn.qkv.weight)
    assert "state_dict" not in vit.pretrained_cfg


@pytest.mark.parametrize(
    ("name", "dropped"), [(SMALL_NET, 0.3), (SMALL_VIT, 0.3), (SWIN, 0.0), (SWIN, 0.2)]
)
def test_dropped_paths_are_as_many_as_the_settings_say(name, dropped):
    with torch.device("meta"):
        backbone = timm_backbone(name, image_px=224, weights=None, drop_path=dropped)
    assert highest_rate(backbone) == pytest.approx(dropped)


def highest_rate(backbone):
    """The largest share of dropped paths; 0 where none can be dropped."""
    kind = importlib.import_module("timm.layers").DropPath
    rates = [part.drop_prob for part in backbone.modules() if isinstance(part, kind)]
    return max(rates, default=0.0)


@pytest.mark.parametrize("name", ["vgg11", "densenet121"])
def test_a_network_that_drops_no_paths_is_built_without_and_refused_with(name):
    with torch.device("meta"):
        assert timm_backbone(name, image_px=64, weights=None, drop_path=0.0)
        with pytest.raises(ConfigError, match=rf"expected 0 for timm's {name}, .* got 0\.1\. Set"):
            timm_backbone(name, image_px=64, weights=None, drop_path=0.1)


def test_the_setting_reaches_the_network():
    settings = ModelSettings(backbone=SMALL_NET, drop_path=0.3)
    with torch.device("meta"):
        backbone = build_backbone(settings, image_px=64)
    assert highest_rate(backbone) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "changes", [{"size": "S"}, {"intervals": (8, 4, 2, 1)}, {"se_place": "per_scale"}]
)
def test_what_only_a_crossformer_has_is_refused_beside_another_backbone(changes):
    named = next(iter(changes))
    with pytest.raises(ValidationError, match=f"backbone resnet50 has no {named}, which is Cross"):
        ModelSettings(backbone="resnet50", **changes)
    assert ModelSettings(**changes)


def test_weights_without_the_buffers_of_a_norm_are_refused(tmp_path):
    state = timm().create_model(SMALL_NET).state_dict()
    lost = next(key for key in state if key.endswith("running_mean"))
    del state[lost]
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match=rf"got none for 1 names such as '{lost}'"):
        timm_backbone(SMALL_NET, image_px=64, weights=tmp_path / "weights.safetensors")


def test_weights_that_do_not_count_batches_are_taken(tmp_path):
    state = timm().create_model(SMALL_NET).state_dict()
    old = {key: tensor for key, tensor in state.items() if "num_batches_tracked" not in key}
    assert len(old) < len(state)
    save_file(old, tmp_path / "weights.safetensors")
    assert timm_backbone(SMALL_NET, image_px=64, weights=tmp_path / "weights.safetensors")


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match="expected weights of timm's test_resnet, got"):
        timm_backbone(SMALL_NET, image_px=64, weights=tmp_path / "weights.safetensors")


def test_an_unknown_backbone_is_answered_with_near_names():
    with pytest.raises(ConfigError, match=r"got 'resnet5'\. Near names: .*'resnet50'"):
        timm_backbone("resnet5", image_px=64, weights=None)


def test_an_unknown_variant_of_weights_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"got 'resnet50\.typo'\. Known: .*'resnet50\.tv_in1k'"):
        timm_backbone("resnet50.typo", image_px=64, weights=None)


@pytest.mark.parametrize("name", ["hrnet_w18_small", "beit_base_patch16_224"])
def test_a_backbone_without_four_maps_in_a_row_is_refused(name):
    with (
        torch.device("meta"),
        pytest.raises(ConfigError, match=f"four maps that come out in a row, got '{name}'"),
    ):
        timm_backbone(name, image_px=224, weights=None)


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "test_vit2"])
def test_a_vit_with_other_tokens_is_refused(name):
    with (
        torch.device("meta"),
        pytest.raises(ConfigError, match=f"with only patch tokens, got '{name}'"),
    ):
        timm_backbone(name, image_px=224, weights=None)


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
