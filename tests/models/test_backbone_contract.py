"""What every backbone must keep: SE-CrossT's own and all five baselines, small twins and real."""

import importlib.util

import pytest
import torch
from safetensors.torch import load, save

from neoresponse.data.batch import Batch
from neoresponse.explain.gradcam import grad_cam
from neoresponse.models.build import build_backbone, build_model
from neoresponse.settings import ModelSettings

SIDE = 64
SMALLER = {"densenet121": 32}  # large for a quick test
# Maps of 16, 8, 4 and 2 tokens a side: padding, and attention over both distances.
SMALL = {"embed_dim": 48, "depths": (2, 1, 1, 1), "num_heads": (1, 2, 2, 4), "group_size": 3}
SWIN = "swin_tiny_patch4_window7_224"  # timm has no smaller one of its kind
# VGG has no small twin: it draws a classifier of 100 million weights before it is cut off.
REAL = ("vgg16", "resnet50", "vit_small_patch16_224")
BACKBONES = [
    pytest.param(SMALL, id="crossformer"),
    pytest.param({"backbone": "test_resnet"}, id="resnet"),
    pytest.param({"backbone": "densenet121"}, id="densenet"),
    pytest.param({"backbone": SWIN}, id="swin"),
    pytest.param({"backbone": "test_vit"}, id="vit"),
    pytest.param({"backbone": "test_convnext"}, id="another"),
    pytest.param({"backbone": "test_efficientnet"}, id="efficientnet"),
    *[pytest.param({"backbone": n}, id=f"{n}-real", marks=pytest.mark.slow) for n in REAL],
    pytest.param({}, id="crossformer-real", marks=pytest.mark.slow),
]
every_backbone = pytest.mark.parametrize("settings", BACKBONES)


@pytest.fixture(autouse=True)
def _timm(request):
    if "crossformer" not in request.node.name and importlib.util.find_spec("timm") is None:
        pytest.skip("the extra `baselines` is not installed")


def side_of(settings):
    return SMALLER.get(settings.get("backbone"), SIDE)


def backbone_of(settings, *, seed=1):
    torch.manual_seed(seed)
    return build_backbone(ModelSettings(**settings), image_px=side_of(settings)).eval()


def run(backbone, images):
    """All maps of the stages, and the pooled vector."""
    grids = [backbone.stem(images)]
    for index in range(4):
        grids.append(backbone.stage(index, grids[-1]))
    return grids[1:], backbone.pool(grids[-1])


@every_backbone
def test_a_backbone_keeps_its_word(settings):
    backbone, side = backbone_of(settings), side_of(settings)
    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        grids, pooled = run(backbone, images)
        alone = run(backbone, images[1:2])[1]
    sides = [side // stride for stride in backbone.strides]
    shapes = [(3, s, s, c) for s, c in zip(sides, backbone.channels, strict=True)]
    assert [tuple(grid.shape) for grid in grids] == shapes
    assert pooled.shape == (3, backbone.num_features)
    torch.testing.assert_close(pooled[1:2], alone, rtol=1e-4, atol=1e-5)

    other = backbone_of(settings, seed=2)
    state = load(
        save({name: tensor.contiguous() for name, tensor in backbone.state_dict().items()})
    )
    other.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(run(other, images)[1], pooled)


@every_backbone
def test_every_parameter_of_a_backbone_gets_a_gradient(settings):
    backbone, side = backbone_of(settings).train(), side_of(settings)
    for parameter in backbone.parameters():
        if not parameter.any():  # some networks start their residual branches at zero
            torch.nn.init.normal_(parameter, std=0.1)
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    pooled = run(backbone, images)[1]
    weights = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(1))
    (pooled * weights).sum().backward()
    still = {name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()}
    # The last bias of a position bias shifts all scores of a head alike: softmax hides it.
    assert {name for name in still if not name.endswith("attn.pos.pos3.2.bias")} == set()


@every_backbone
def test_a_backbone_shows_where_it_looked_in_the_whole_network(settings):
    torch.manual_seed(1)
    side = side_of(settings)
    pathways = {"pathways": ("dou_ult",)}
    model = build_model(ModelSettings(**settings, **pathways), image_px=side)
    images = {name: torch.randn(2, 3, side, side) for name in ("us_0", "us_1")}
    available = {name: torch.ones(2, dtype=torch.bool) for name in images}
    available["clinical"] = torch.ones(2, 4, dtype=torch.bool)
    batch = Batch(("A", "B"), images, torch.zeros(2, 4), available, torch.zeros(2))
    for stage in (2, 3):
        heat = grad_cam(model, batch, stage=stage)
        assert {name: tuple(part.shape) for name, part in heat.items()} == {
            "us_0": (2, side, side),
            "us_1": (2, side, side),
        }
        assert all(part.isfinite().all() for part in heat.values())
    assert sum(float(part.max()) for part in heat.values()) > 0
