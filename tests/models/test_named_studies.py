"""The studies that come with the software load, and every network in them can be built."""

import importlib.util

import pytest
import torch

from neoresponse.models.build import build_model, image_inputs
from neoresponse.settings.toml import named_config, run_settings, study_settings

TINY = ("model.embed_dim=16", "model.depths=[1,1,1,1]", "model.num_heads=[1,1,2,2]")
ABLATIONS = {
    "se_crosst": (("biopsy", "us_0", "us_1"), 20),
    "without_se": (("biopsy", "us_0", "us_1"), 20),
    "without_clinical": (("biopsy", "us_0", "us_1"), 16),
    "biopsy": (("biopsy",), 8),
    "biopsy_clinical": (("biopsy",), 12),
    "ultrasound": (("us_0", "us_1"), 8),
    "ultrasound_clinical": (("us_0", "us_1"), 12),
    "ultrasound_before": (("us_0",), 8),
    "ultrasound_after": (("us_1",), 8),
    "biopsy_ultrasound_before": (("biopsy", "us_0"), 8),
}
SIX = {
    "se_crosst": "crossformer",
    "vgg16": "vgg16",
    "resnet50": "resnet50",
    "densenet121": "densenet121",
    "vit": "vit_small_patch16_224",
    "swin": "swin_tiny_patch4_window7_224",
}
SMALL_TWINS = {"vgg16": "vgg11", "resnet50": "test_resnet", "vit_small_patch16_224": "test_vit"}


def study(name, *changes):
    return study_settings(str(named_config(name)), ("cohort=c", *changes))


def test_the_ablations_take_the_inputs_that_their_names_say():
    ablations = study("ablations", *TINY)
    found = {}
    for name in ablations.runs:
        settings = ablations.run(name).model
        with torch.device("meta"):
            model = build_model(settings, image_px=32)
        assert settings.se == (name != "without_se")
        found[name] = (image_inputs(settings), model.fusion.head.in_features)
    assert found == ABLATIONS


def test_the_six_architectures_differ_in_the_backbone_alone():
    architectures = study("architectures")
    models = {name: architectures.run(name).model for name in architectures.runs}
    assert {name: model.backbone for name, model in models.items()} == SIX
    assert all(model.pretrained == (name != "se_crosst") for name, model in models.items())
    plain = {m.model_copy(update={"backbone": "", "pretrained": False}) for m in models.values()}
    assert plain == {models["se_crosst"].model_copy(update={"backbone": ""})}


@pytest.mark.parametrize("name", SIX)
def test_each_of_the_six_can_be_built(name):
    settings = study("architectures", *TINY).run(name).model
    if name != "se_crosst" and importlib.util.find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")
    small = SMALL_TWINS.get(settings.backbone, settings.backbone)
    plain = settings.model_copy(update={"backbone": small, "pretrained": False})
    with torch.device("meta"):
        model = build_model(plain, image_px=32)
    assert model.fusion.head.in_features == 20


@pytest.mark.parametrize("name", ["ablations", "architectures"])
def test_both_studies_follow_the_published_protocol(name):
    shared, published = study(name), run_settings("guo2024")
    for section in ("prepare", "model", "train", "evaluate"):
        assert getattr(shared, section) == getattr(published, section)
    assert (shared.split.sizes, shared.split.ratio) == (None, (8, 1, 1))
