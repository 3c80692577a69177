import pytest
import torch
from safetensors.torch import load, save

from neoresponse.errors import ConfigError
from neoresponse.models.attention import Attention
from neoresponse.models.fusion import ConcatFusion
from neoresponse.models.se import SqueezeExcite

PATHWAY_SETS = [
    ("patho_ult", "dou_ult"),
    ("patho_ult",),
    ("dou_ult",),
    ("biopsy",),
    ("us_0",),
    ("us_1",),
    ("us_0", "us_1"),
    ("biopsy", "us_0", "us_1"),
    (),
]


def only(inputs, num):
    """The inputs of the first patients alone."""
    images, clinical, available = inputs
    few = [{name: t[:num] for name, t in part.items()} for part in (images, available)]
    return few[0], clinical[:num], few[1]


def whole_patients(inputs, num_patches=3, seed=5):
    """Patches for each patient, and the rest of the inputs."""
    images, clinical, available = inputs
    num, side = len(clinical), images["us_0"].shape[-1]
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(num, num_patches, 3, side, side, generator=generator)
    others = {name: image for name, image in images.items() if name != "biopsy"}
    return patches, others, clinical, available


@pytest.mark.parametrize(
    ("pathways", "clinical"),
    [(p, c) for p in PATHWAY_SETS for c in (True, False) if p or c],
)
def test_every_set_of_pathways_gives_one_logit_per_patient(tiny, patients, pathways, clinical):
    model = tiny(pathways=pathways, clinical=clinical)
    images, values, available = patients()
    needed = {name: images[name] for name in model.inputs}
    with torch.no_grad():
        logits = model(needed, values, available)
    assert logits.shape == (3,)
    assert logits.isfinite().all()


def test_the_small_networks_pad_their_maps_and_look_far(tiny, patients):
    seen = set()
    model = tiny()
    for module in model.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(
                lambda layer, given, _: seen.add(
                    (given[0].shape[1], *layer.layout(given[0].shape[1]))
                )
            )
    with torch.no_grad():
        model(*patients())
    assert {(8, 3, 1), (8, 3, 3)} <= seen  # (side, group, interval): 8 is no multiple of 3


def test_the_fusion_of_the_whole_network_sees_twenty_numbers(tiny):
    assert tiny().fusion.head.in_features == 20


def test_every_parameter_gets_a_gradient(tiny, patients):
    # Width 48: narrower, the hidden layer of the position bias has one or two features, and a norm
    # over so few lets no gradient through. A narrow ReLU of the excitation may be dead by chance.
    model = tiny(embed_dim=48, side=64, seed=3, se_ratio=1).train()
    images, clinical, available = patients(4, side=64)
    available["us_1"][0] = available["us_0"][1] = available["biopsy"][2] = False
    available["clinical"][3] = False
    torch.nn.functional.softplus(model(images, clinical, available)).sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # The last bias of a position bias shifts all scores of a head alike: softmax hides it.
    assert {name for name in still if not name.endswith("attn.pos.pos3.2.bias")} == set()


@pytest.mark.parametrize("share", [True, False])
def test_logit_of_a_patient_ignores_the_rest_of_the_batch(tiny, patients, share):
    model, inputs = tiny(share_ultrasound_trunk=share), patients(3)
    with torch.no_grad():
        torch.testing.assert_close(
            model(*only(inputs, 1)), model(*inputs)[:1], rtol=1e-5, atol=1e-6
        )


def test_a_seed_fixes_the_logits(tiny, patients):
    with torch.no_grad():
        first, second, other = (tiny(seed=s)(*patients()) for s in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("content", [5.0, float("nan")])
@pytest.mark.parametrize("name", ["biopsy", "us_0", "us_1", "clinical"])
@pytest.mark.parametrize("share", [True, False])
def test_content_of_a_missing_input_changes_no_bit(tiny, patients, name, content, share):
    model = tiny(share_ultrasound_trunk=share)
    images, clinical, available = patients(2)
    available[name] = torch.zeros_like(available[name])
    with torch.no_grad():
        before = model(images, clinical, available)
        if name == "clinical":
            clinical = torch.full_like(clinical, content)
        else:
            images = {**images, name: torch.full_like(images[name], content)}
        after = model(images, clinical, available)
    assert torch.equal(before, after)
    assert after.isfinite().all()


def test_missing_content_spoils_no_gradient(tiny, patients):
    model = tiny()
    images, clinical, available = patients(2)
    available["us_1"][0] = False
    images["us_1"][0] = float("nan")
    model(images, clinical, available).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_an_input_that_is_there_matters(tiny, patients):
    model = tiny()
    images, clinical, available = patients(2)
    with torch.no_grad():
        before = model(images, clinical, available)
        for name in images:
            changed = model({**images, name: images[name] * 2}, clinical, available)
            assert not torch.equal(before, changed)


@pytest.mark.parametrize("pathways", PATHWAY_SETS)
def test_a_patient_whole_equals_its_patches_one_by_one(tiny, patients, pathways):
    model = tiny(pathways=pathways)
    patches, others, clinical, available = whole_patients(patients(2))
    with torch.no_grad():
        whole = model.predict_patient(patches, others, clinical, available)
        single = [
            model({**others, "biopsy": patches[:, number]}, clinical, available)
            for number in range(patches.shape[1])
        ]
    torch.testing.assert_close(whole, torch.stack(single, dim=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("share", "passes"), [(False, 12), (True, 11)])
def test_a_patient_costs_twelve_trunk_passes(tiny, patients, share, passes):
    model = tiny(share_ultrasound_trunk=share)
    seen = []
    for trunk, _ in model.streams():
        trunk.taps[0].register_forward_hook(lambda _module, _inputs, grid: seen.append(len(grid)))
    with torch.no_grad():
        model.predict_patient(*whole_patients(patients(2), num_patches=9))
    assert sum(seen) == 2 * passes


def test_a_shared_trunk_lends_the_vector_of_us_0(tiny):
    model = tiny(share_ultrasound_trunk=True)
    patho = model.pathways["patho_ult"]
    assert patho.encodes == ("biopsy",)
    assert patho.inputs == ("biopsy", "us_0")


def test_the_lender_is_dou_ult_whatever_stands_before_it(tiny, patients):
    pathways = ("us_0", "patho_ult", "dou_ult")
    model = tiny(share_ultrasound_trunk=True, pathways=pathways)
    images, clinical, available = patients(2)
    joined, encoded = [], []
    model.pathways["patho_ult"].neck.register_forward_pre_hook(
        lambda _module, given: joined.append(given[0]["us_0"])
    )
    with torch.no_grad():
        model(images, clinical, available)
        model.predict_patient(*whole_patients(patients(2)))
        for name in ("dou_ult", "us_0"):
            encoded.append(model.pathways[name].encode(images, available)["us_0"])
    lent, other = encoded
    assert torch.equal(joined[0], lent)
    assert torch.equal(joined[1], lent.repeat_interleave(3, dim=0))
    assert not torch.equal(lent, other)


def test_a_shared_trunk_alone_is_the_pathway_s_own(tiny):
    model = tiny(share_ultrasound_trunk=True, pathways=("patho_ult",))
    assert model.pathways["patho_ult"].encodes == ("biopsy", "us_0")


def test_squeeze_and_excitation_can_be_left_out(tiny):
    def count(model):
        return sum(isinstance(module, SqueezeExcite) for module in model.modules())

    assert count(tiny(se=True)) == 3 * 4
    assert count(tiny(se=False)) == 0


def test_both_time_points_stand_on_the_same_ground_at_first(tiny, patients):
    pathway = tiny(as_built=True).pathways["dou_ult"]
    images, _, available = patients(2)
    with torch.no_grad():
        vectors = pathway.encode({"us_0": images["us_0"], "us_1": images["us_0"]}, available)
        swapped = pathway.encode({"us_0": images["us_1"], "us_1": images["us_0"]}, available)
    torch.testing.assert_close(vectors["us_0"], vectors["us_1"])
    torch.testing.assert_close(vectors["us_0"], swapped["us_1"])


def test_the_coherence_module_lets_one_time_point_see_the_other(tiny, patients):
    images, _, available = patients(2)
    other = {**images, "us_1": -images["us_1"]}
    for stages, is_seen in (((1, 2), True), ((), False)):
        pathway = tiny(coherence_stages=stages).pathways["dou_ult"]
        with torch.no_grad():
            before, after = (pathway.encode(i, available)["us_0"] for i in (images, other))
        assert torch.equal(before, after) is not is_seen


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize(("missing", "kept"), [("us_1", "us_0"), ("us_0", "us_1")])
def test_nothing_of_a_missing_time_point_is_shared(tiny, patients, stage, missing, kept):
    pathway = tiny().pathways["dou_ult"]
    images, _, available = patients(3)
    available[missing][0] = False
    rows = slice(3, 6) if missing == "us_1" else slice(0, 3)

    def spoil(_module, _inputs, grid):
        return torch.cat([grid[: rows.start], grid[rows] * 5 - 1, grid[rows.stop :]])

    with torch.no_grad():
        before = pathway.encode(images, available)[kept]
        pathway.trunk.backbone.layers[stage].register_forward_hook(spoil)
        after = pathway.encode(images, available)[kept]
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def test_both_time_points_of_a_complete_patient_are_shared_by_the_formula(tiny):
    coherence = tiny().pathways["dou_ult"].coherence["1"]
    grid = torch.randn(4, 3, 3, 16)
    with torch.no_grad():
        found = coherence(grid, torch.tensor([True, False]))
        weight, bias = coherence.linear.weight, coherence.linear.bias
        shared = grid[0] @ weight[:, :16].T + grid[2] @ weight[:, 16:].T + bias
    torch.testing.assert_close(found[0], grid[0] + shared)
    torch.testing.assert_close(found[2], grid[2] + shared)
    assert torch.equal(found[[1, 3]], grid[[1, 3]])


def test_the_logit_is_not_rounded_to_the_number_format_of_the_trunks():
    torch.manual_seed(0)
    fusion = ConcatFusion(8)
    features = [torch.randn(5, 8, dtype=torch.bfloat16)]
    clinical, known = torch.randn(5, 4), torch.ones(5, 4, dtype=torch.bool)
    with torch.no_grad():
        expected = fusion([features[0].float()], clinical, known)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = fusion(features, clinical, known)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_state_goes_through_safetensors_and_back(tiny, patients):
    model, other = tiny(seed=1), tiny(seed=2)
    other.load_state_dict(load(save(model.state_dict())))
    with torch.no_grad():
        assert torch.equal(model(*patients()), other(*patients()))


def test_a_lacking_image_is_named(tiny, patients):
    images, clinical, available = patients()
    del images["us_1"]
    with pytest.raises(ConfigError, match=r"images: expected .*'us_1'.*got \['biopsy', 'us_0'\]"):
        tiny()(images, clinical, available)


def test_images_of_another_side_are_refused(tiny, patients):
    with pytest.raises(ConfigError, match=r"expected a first map of \(8, 8\) tokens"):
        tiny()(*patients(side=64))
