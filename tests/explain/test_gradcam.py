import pytest
import torch

from neoresponse.data.batch import Batch
from neoresponse.explain.gradcam import grad_cam
from neoresponse.models.backbone import Backbone
from neoresponse.models.build import build_model
from neoresponse.models.fusion import ConcatFusion
from neoresponse.models.neck import Neck
from neoresponse.models.pathway import SeparatePathway, Trunk
from neoresponse.models.se_crosst import SECrossT
from neoresponse.settings import ModelSettings

SIDE = 32


class Looker(Backbone):
    """Sees the mean brightness of each 4 x 4 square, and pools only the top left corner."""

    def __init__(self):
        super().__init__()
        self.channels = (1, 1, 1, 1)
        self.strides = (4, 4, 4, 4)
        self.num_features = 1
        self.see = torch.nn.AvgPool2d(4)

    def stem(self, images):
        return self.see(images[:, :1]).permute(0, 2, 3, 1)

    def stage(self, index, grid):
        return grid

    def pool(self, grid):
        return grid[:, :2, :2].mean(dim=(1, 2))


def looking_model(sign=1.0):
    neck = Neck({"us_0": 1}, neck_dim=1)
    pathway = SeparatePathway({"us_0": Trunk(Looker(), None)}, neck=neck)
    fusion = ConcatFusion(1, num_clinical=0)
    torch.nn.init.constant_(neck.linear.weight, sign)
    torch.nn.init.ones_(fusion.head.weight)
    return SECrossT({"us_0": pathway}, fusion)


def batch_of(images, num):
    available = {name: torch.ones(num, dtype=torch.bool) for name in images}
    available["clinical"] = torch.ones(num, 4, dtype=torch.bool)
    ids = tuple(f"P{number}" for number in range(num))
    return Batch(ids, images, torch.zeros(num, 4), available, torch.zeros(num))


def tiny(**changes):
    torch.manual_seed(1)
    settings = {
        "embed_dim": 16,
        "depths": (1, 1, 1, 1),
        "num_heads": (1, 2, 2, 4),
        "group_size": 4,
        **changes,
    }
    return build_model(ModelSettings(**settings), image_px=SIDE)


def random_images(num, *names, patches=None):
    torch.manual_seed(2)
    images = {name: torch.randn(num, 3, SIDE, SIDE) for name in names}
    if patches:
        images["biopsy"] = torch.randn(num, patches, 3, SIDE, SIDE)
    return images


def test_the_heat_stands_where_the_network_looked():
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[:, :, 2:6, 3:7] = 1
    heat = grad_cam(looking_model(), batch_of({"us_0": image}, 1), stage=2)["us_0"][0]
    row, column = divmod(int(heat.argmax()), SIDE)
    assert row < 8
    assert column < 8
    assert heat[SIDE // 2 :].max() == 0
    assert heat.max() == pytest.approx(1)


def test_what_speaks_against_the_answer_is_cut():
    image = torch.ones(1, 3, SIDE, SIDE)
    batch = batch_of({"us_0": image}, 1)
    assert grad_cam(looking_model(-1.0), batch, stage=1, toward="pcr")["us_0"].max() == 0
    assert grad_cam(looking_model(-1.0), batch, stage=1, toward="residual")["us_0"].max() == 1
    assert grad_cam(looking_model(-1.0), batch, stage=1)["us_0"].max() == 1


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
@pytest.mark.parametrize("share", [True, False])
def test_every_image_gets_a_map_of_its_size(stage, share):
    images = random_images(2, "biopsy", "us_0", "us_1")
    heat = grad_cam(tiny(share_ultrasound_trunk=share), batch_of(images, 2), stage=stage)
    assert set(heat) == set(images)
    for part in heat.values():
        assert part.shape == (2, SIDE, SIDE)
        assert part.min() >= 0
        assert part.max() <= 1 + 1e-6


def test_all_patches_of_a_patient_share_one_scale():
    images = random_images(2, "us_0", "us_1", patches=3)
    heat = grad_cam(tiny(), batch_of(images, 2), stage=1, toward="pcr")
    assert heat["biopsy"].shape == (2, 3, SIDE, SIDE)
    highest = heat["biopsy"].flatten(1).amax(dim=1)
    torch.testing.assert_close(highest, torch.ones(2))
    assert heat["us_0"].shape == (2, SIDE, SIDE)


def test_a_map_ignores_the_rest_of_the_batch():
    model, images = tiny(), random_images(3, "biopsy", "us_0", "us_1")
    batch = batch_of(images, 3)
    alone = grad_cam(model, batch.first(1), stage=2)
    together = grad_cam(model, batch, stage=2)
    for name in images:
        torch.testing.assert_close(alone[name], together[name][:1], rtol=1e-3, atol=1e-4)


def test_a_missing_image_has_no_heat():
    images = random_images(2, "biopsy", "us_0", "us_1")
    batch = batch_of(images, 2)
    batch.available["biopsy"][0] = False
    heat = grad_cam(tiny(), batch, stage=1)["biopsy"]
    assert heat[0].max() == 0


def test_the_model_is_left_as_it_was():
    model = tiny().train()
    grad_cam(model, batch_of(random_images(1, "biopsy", "us_0", "us_1"), 1), stage=3)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not tap._forward_hooks for trunk, _ in model.streams() for tap in trunk.taps)
