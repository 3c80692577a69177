import pytest
import torch
from safetensors.torch import save_file

from neoresponse.errors import ConfigError
from neoresponse.models.build import build_backbone, build_model, image_inputs
from neoresponse.settings import ModelSettings

SMALL = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4), "group_size": 4}


@pytest.mark.parametrize(
    ("pathways", "inputs"),
    [
        (("patho_ult", "dou_ult"), ("biopsy", "us_0", "us_1")),
        (("dou_ult",), ("us_0", "us_1")),
        (("us_1", "biopsy"), ("biopsy", "us_1")),
        ((), ()),
    ],
)
def test_only_the_images_that_pathways_need_are_asked_for(pathways, inputs):
    assert image_inputs(ModelSettings(pathways=pathways)) == inputs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dim": 20}, "model.embed_dim: expected a multiple of 8, got 20"),
        ({"num_heads": (3, 6, 12, 24)}, "model.num_heads: expected divisors"),
        ({"depths": (1, 0, 1, 1)}, "expected depths and intervals of at least 1"),
        ({"intervals": (1, 0, 1, 1)}, "expected depths and intervals of at least 1"),
    ],
)
def test_sizes_that_make_no_network_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        build_model(ModelSettings(**{**SMALL, **changes}), image_px=32)


def test_images_smaller_than_the_last_stride_are_refused():
    with pytest.raises(ConfigError, match="image_px: expected at least 32, got 16"):
        build_model(ModelSettings(**SMALL), image_px=16)


def test_pretrained_weights_come_from_a_local_file(tmp_path):
    settings = ModelSettings(**SMALL)
    donor = build_backbone(settings.model_copy(update={"se": False}), image_px=32)
    state = {**donor.state_dict(), "head.weight": torch.zeros(3, 128)}
    save_file(state, tmp_path / "weights.safetensors")
    settings = settings.model_copy(update={"weights": tmp_path / "weights.safetensors"})
    loaded = build_backbone(settings, image_px=32).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in donor.state_dict().items())
    assert any(".se." in name for name in loaded)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": (1, 1, 2, 1)}, "missing and 0 unknown, such as"),
        ({"mlp_ratio": 2.0}, "expected layers.*of shape .*, got"),
    ],
)
def test_weights_of_other_sizes_are_refused(tmp_path, changes, message):
    donor = build_backbone(ModelSettings(**SMALL, se=False), image_px=32)
    path = tmp_path / "weights.safetensors"
    save_file(donor.state_dict(), path)
    settings = ModelSettings(**{**SMALL, **changes}, se=False, weights=path)
    with pytest.raises(ConfigError, match=message):
        build_model(settings, image_px=32)


@pytest.mark.parametrize("name", ["weights.pth", "absent.safetensors"])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, name):
    (tmp_path / "weights.pth").write_bytes(b"pickle")
    settings = ModelSettings(**SMALL, weights=tmp_path / name)
    with pytest.raises(ConfigError, match=r"expected a local \.safetensors file"):
        build_model(settings, image_px=32)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    settings = ModelSettings(**SMALL, weights=tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match="expected safetensors, got"):
        build_model(settings, image_px=32)
