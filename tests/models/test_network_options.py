"""Every other reading of the paper that a setting can choose: DESIGN's named options."""

from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save

from neoresponse.data.batch import Batch
from neoresponse.explain.gradcam import grad_cam
from neoresponse.models.build import build_backbone, build_model
from neoresponse.models.crossformer import NAMED_SIZES
from neoresponse.models.se import JointExcite, PerScaleExcite, SqueezeExcite
from neoresponse.settings import ModelSettings, RunSettings
from neoresponse.settings.toml import run_settings

OPTIONS = {
    "per scale": {"se_place": "per_scale"},
    "after norm": {"se_place": "after_norm"},
    "joint": {"se_place": "joint"},
    "late difference": {"dou_ult": "late_difference"},
    "merged": {"dou_ult": "merge_after_stage_1"},
    "per image": {"neck": "per_image"},
    "joint and merged": {"se_place": "joint", "dou_ult": "merge_after_stage_1"},
    "shared and late": {"dou_ult": "late_difference", "share_ultrasound_trunk": True},
}
IMAGES = ("biopsy", "us_0", "us_1")
every_option = pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS)


@every_option
def test_each_option_gives_one_logit_that_ignores_the_rest_of_the_batch(tiny, patients, changes):
    model = tiny(**changes)
    images, clinical, available = patients(3)
    available["us_1"][2] = False
    with torch.no_grad():
        logits = model(images, clinical, available)
        alone = model(
            {name: image[1:2] for name, image in images.items()},
            clinical[1:2],
            {name: mask[1:2] for name, mask in available.items()},
        )
    assert logits.shape == (3,)
    torch.testing.assert_close(logits[1:2], alone, rtol=1e-5, atol=1e-6)


@every_option
def test_each_option_ignores_what_a_missing_image_holds(tiny, patients, changes):
    model = tiny(**changes)
    images, clinical, available = patients(2)
    with torch.no_grad():
        complete = model(images, clinical, available)
    for name in IMAGES:
        hidden = {**available, name: torch.tensor([False, True])}
        spoilt = {**images, name: images[name].clone()}
        spoilt[name][0] = float("nan")
        with torch.no_grad():
            before = model(images, clinical, hidden)
            assert torch.equal(before, model(spoilt, clinical, hidden))
        assert not torch.equal(before[:1], complete[:1])


@every_option
def test_each_option_predicts_a_patient_as_its_patches_one_by_one(tiny, patients, changes):
    model = tiny(**changes)
    images, clinical, available = patients(2)
    available["us_0"][1] = False
    patches = torch.randn(2, 3, *images["biopsy"].shape[1:], generator=torch.Generator())
    others = {name: image for name, image in images.items() if name != "biopsy"}
    with torch.no_grad():
        whole = model.predict_patient(patches, others, clinical, available)
        single = [
            model({**others, "biopsy": patches[:, number]}, clinical, available)
            for number in range(3)
        ]
    torch.testing.assert_close(whole, torch.stack(single, dim=1), rtol=1e-5, atol=1e-6)


@every_option
def test_each_option_gives_every_parameter_a_gradient(tiny, patients, changes):
    # Width 48: narrower, a norm over one or two features lets no gradient through.
    model = tiny(embed_dim=48, side=64, seed=3, se_ratio=1, **changes).train()
    images, clinical, available = patients(4, side=64)
    available["us_1"][0] = available["us_0"][1] = available["biopsy"][2] = False
    available["clinical"][3] = False
    torch.nn.functional.softplus(model(images, clinical, available)).sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert {name for name in still if not name.endswith("attn.pos.pos3.2.bias")} == set()


@every_option
def test_each_option_goes_through_safetensors_and_back(tiny, patients, changes):
    model, other = (tiny(seed=seed, **changes) for seed in (1, 2))
    other.load_state_dict(load(save(model.state_dict())))
    with torch.no_grad():
        assert torch.equal(model(*patients()), other(*patients()))


@every_option
@pytest.mark.parametrize(("stage", "patches"), [(1, None), (4, 3)])
def test_each_option_shows_where_it_looked(tiny, patients, changes, stage, patches):
    images, clinical, available = patients(2)
    available["us_1"][0] = available["biopsy"][1] = False
    if patches:
        shape = (2, patches, *images["biopsy"].shape[1:])
        images["biopsy"] = torch.randn(shape, generator=torch.Generator())
    batch = Batch(("A", "B"), images, clinical, available, torch.zeros(2))
    model = tiny(**changes)
    heat = grad_cam(model, batch, stage=stage, toward="pcr")
    against = grad_cam(model, batch, stage=stage, toward="residual")
    for name in IMAGES:
        side = images[name].shape[-1]
        assert heat[name].shape == (*images[name].shape[:-3], side, side)
        for number in range(2):
            shown = max(part[name][number].max() for part in (heat, against))
            assert shown == pytest.approx(float(available[name][number]), abs=1e-5)


@pytest.mark.parametrize(("changes", "passes"), [({}, 12), (OPTIONS["joint"], 20)])
def test_joint_excitation_costs_one_ultrasound_pass_per_patch(tiny, patients, changes, passes):
    model, seen = tiny(**changes), []
    for trunk, _ in model.streams():
        trunk.taps[0].register_forward_hook(lambda _module, _inputs, grid: seen.append(len(grid)))
    images, clinical, available = patients(2)
    patches = images.pop("biopsy")[:, None].repeat_interleave(9, dim=1)
    with torch.no_grad():
        model.predict_patient(patches, images, clinical, available)
    assert sum(seen) == 2 * passes


def test_a_merged_pathway_goes_on_with_one_stream(tiny, patients):
    pathway = tiny(**OPTIONS["merged"]).pathways["dou_ult"]
    shapes = []
    for tap in pathway.trunk.taps:
        tap.register_forward_hook(lambda _module, _inputs, grid: shapes.append(tuple(grid.shape)))
    images, _, available = patients(3)
    with torch.no_grad():
        vectors = pathway.encode(images, available)
    assert shapes == [(3, 8, 8, 16), (3, 4, 4, 32), (3, 2, 2, 64), (3, 1, 1, 128)]
    assert {name: tuple(vector.shape) for name, vector in vectors.items()} == {"merged": (3, 128)}


def test_merging_starts_as_the_mean_of_both_maps():
    torch.manual_seed(0)
    settings = ModelSettings(embed_dim=16, num_heads=(1, 1, 1, 1), **OPTIONS["merged"])
    merge = build_model(settings, image_px=32).pathways["dou_ult"].merge
    both = torch.randn(4, 3, 3, 16)
    everywhere = {name: torch.ones(2, dtype=torch.bool) for name in ("us_0", "us_1")}
    with torch.no_grad():
        torch.testing.assert_close(merge(both, everywhere), both.unflatten(0, (2, 2)).mean(dim=0))


def test_late_fusion_lets_no_time_point_see_the_other_before_the_neck(tiny, patients):
    pathway = tiny(**OPTIONS["late difference"]).pathways["dou_ult"]
    images, _, available = patients(2)
    other = {**images, "us_1": -images["us_1"]}
    with torch.no_grad():
        before, after = (pathway.encode(i, available)["us_0"] for i in (images, other))
    assert torch.equal(before, after)
    assert pathway.neck.linear.in_features == 3 * 128


def test_a_missing_time_point_leaves_no_change_to_be_seen(tiny, patients):
    pathway = tiny(**OPTIONS["late difference"]).pathways["dou_ult"]
    vectors = {name: torch.randn(2, 128) for name in ("us_0", "us_1")}
    available = {"us_0": torch.tensor([True, True]), "us_1": torch.tensor([True, False])}
    neck = pathway.neck
    with torch.no_grad():
        found = pathway.join(vectors, available)
        early, late = vectors["us_0"], vectors["us_1"]
        whole = torch.cat([early[0], late[0], late[0] - early[0]])
        lacking = torch.cat([early[1], neck.missing["us_1"], neck.missing["change"]])
        torch.testing.assert_close(found, neck.linear(torch.stack([whole, lacking])))


def test_a_neck_per_image_gives_four_features_to_each(tiny, patients):
    model = tiny(**OPTIONS["per image"])
    neck = model.pathways["patho_ult"].neck
    assert [linear.out_features for linear in neck.linears.values()] == [4, 4]
    assert model.fusion.head.in_features == 20
    _, _, available = patients(2)
    vectors = {name: torch.randn(2, 128) for name in ("biopsy", "us_0")}
    with torch.no_grad():
        before = neck(vectors, available)
        after = neck({**vectors, "us_0": -vectors["us_0"]}, available)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize(
    ("place", "kind", "num"),
    [
        ("after_concat", SqueezeExcite, 3 * 4),
        ("per_scale", PerScaleExcite, 3 * 4),
        ("after_norm", SqueezeExcite, 3 * 4),
        ("joint", JointExcite, 2 * 4),
    ],
)
def test_each_place_has_its_excitation_at_every_embedding(tiny, place, kind, num):
    model = tiny(se_place=place)
    assert sum(isinstance(module, kind) for module in model.modules()) == num
    without = tiny(se_place=place, se=False)
    assert not any(isinstance(module, SqueezeExcite) for module in without.modules())


@pytest.mark.parametrize("place", ["per_scale", "after_norm", "joint"])
def test_official_names_stay_wherever_the_excitation_stands(place):
    sizes = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}
    plain = build_backbone(ModelSettings(**sizes, se=False), image_px=32)
    other = build_backbone(ModelSettings(**sizes, se_place=place), image_px=32)
    names = [name for name in other.state_dict() if ".se." not in name]
    assert sorted(names) == sorted(plain.state_dict())


def test_excitation_after_the_norm_leaves_it_where_it_was_in_later_stages(tiny, patients):
    usual, moved = tiny(), tiny(se_place="after_norm")
    moved.load_state_dict(usual.state_dict())
    image = patients(1)[0]["us_0"]
    one, other = (m.pathways["dou_ult"].trunk.backbone for m in (usual, moved))
    with torch.no_grad():
        assert not torch.equal(one.stem(image), other.stem(image))
        grid = torch.randn(1, 8, 8, 16)
        for index in (1, 2, 3):
            after, same = one.stage(index, grid), other.stage(index, grid)
            assert torch.equal(after, same)
            grid = after


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"neck": "per_image", "neck_dim": 5}, "neck per_image needs an even neck_dim, got 5"),
        ({"neck": "per_image", "dou_ult": "late_difference"}, "neck per_image has no place for"),
        ({"share_ultrasound_trunk": True, **OPTIONS["merged"]}, "no US-0 vector to be shared"),
        ({"share_ultrasound_trunk": True, **OPTIONS["joint"]}, "se_place joint needs both trunks"),
        ({"weights": "a.safetensors", "pretrained": True}, "weights and pretrained exclude"),
        ({"size": "S", "embed_dim": 32}, r"size 'S' means embed_dim 96, got 32; leave one out"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(changes, sentence):
    with pytest.raises(ValidationError, match=sentence):
        ModelSettings(**changes)


def test_a_size_by_its_letter_is_the_published_one():
    for letter, sizes in NAMED_SIZES.items():
        settings = ModelSettings(size=letter)
        found = (settings.embed_dim, settings.depths, settings.num_heads)
        assert found == (sizes.embed_dim, sizes.depths, sizes.num_heads)
        assert ModelSettings.model_validate(settings.model_dump(mode="json")) == settings
    assert ModelSettings(size="T").model_copy(update={"size": None}) == ModelSettings()


def test_a_study_s_run_may_name_a_size_over_spelled_out_defaults():
    settings = run_settings("guo2024", ("model.size=S",))
    assert settings.model.embed_dim == 96


def test_224_px_with_groups_of_7_is_the_official_layout():
    settings: RunSettings = run_settings("guo2024_224")
    assert settings.prepare.image_px == 224
    assert settings.prepare.num_patches == 9
    with torch.device("meta"):
        backbone = build_backbone(settings.model, image_px=224)
    sides = [224 // stride for stride in backbone.strides]
    assert sides == [56, 28, 14, 7]
    blocks = [next(layer.blocks.children()) for layer in backbone.layers]
    attention = [block.attn for block in blocks]
    assert [a.group_size for a in attention] == [7, 7, 7, 7]
    long = [layer.blocks[1].attn for layer in backbone.layers if len(layer.blocks) > 1]
    assert [a.layout(side) for a, side in zip(long, sides[2:], strict=True)] == [(7, 2), (7, 1)]
    assert all(a % b == 0 for a, b in pairwise(sides))


def test_coherence_may_stand_after_any_stages(tiny):
    pathway = tiny(coherence_stages=(3, 4)).pathways["dou_ult"]
    layers = {stage: module.linear for stage, module in pathway.coherence.items()}
    shapes = {stage: (layer.in_features, layer.out_features) for stage, layer in layers.items()}
    assert shapes == {"3": (128, 64), "4": (256, 128)}
