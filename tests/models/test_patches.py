"""Attention pooling over the patches of a biopsy, by itself and in the whole network."""

import math

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save

from neoresponse.data.batch import Batch
from neoresponse.data.forward import batch_logits, batch_probability
from neoresponse.errors import ConfigError
from neoresponse.explain.gradcam import grad_cam
from neoresponse.models.patches import AttentionPooling
from neoresponse.settings import ModelSettings

POOLED = {"patch_pooling": "attention"}


def bags(inputs, num_patches=3):
    """The inputs with several patches of each patient."""
    images, clinical, available = inputs
    shape = (len(clinical), num_patches, *images["biopsy"].shape[1:])
    patches = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    return {**images, "biopsy": patches}, clinical, available


def drawn_pooling(num_features=6, seed=0):
    torch.manual_seed(seed)
    pooling = AttentionPooling(num_features)
    for parameter in pooling.parameters():  # far from the start, where all patches count alike
        torch.nn.init.normal_(parameter)
    return pooling


def test_pooling_equals_its_formula_number_by_number():
    pooling = drawn_pooling(2).double()
    vectors = torch.randn(1, 3, 2, dtype=torch.float64)
    v, u = pooling.tanh.weight.tolist(), pooling.gate.weight.tolist()
    w = pooling.weigh.weight[0].tolist()
    scores = []
    for h in vectors[0].tolist():
        total = 0.0
        for row in range(128):
            seen = sum(a * b for a, b in zip(v[row], h, strict=True))
            gate = sum(a * b for a, b in zip(u[row], h, strict=True))
            total += w[row] * math.tanh(seen) / (1 + math.exp(-gate))
        scores.append(math.exp(total))
    shares = [score / sum(scores) for score in scores]
    pooled = [sum(a * float(h[i]) for a, h in zip(shares, vectors[0], strict=True)) for i in (0, 1)]
    with torch.no_grad():
        assert pooling.weights(vectors)[0].tolist() == pytest.approx(shares)
        assert pooling(vectors)[0].tolist() == pytest.approx(pooled)


def test_weights_sum_to_one_and_differ():
    weights = drawn_pooling().weights(torch.randn(4, 9, 6))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    assert weights.min() > 0
    assert (weights.amax(dim=1) > 2 * weights.amin(dim=1)).all()


def test_one_patch_is_its_own_vector():
    vectors = torch.randn(2, 1, 6)
    assert torch.equal(drawn_pooling()(vectors), vectors[:, 0])


def test_patients_are_pooled_apart():
    pooling, vectors = drawn_pooling(), torch.randn(3, 4, 6)
    torch.testing.assert_close(pooling(vectors)[1:2], pooling(vectors[1:2]))


def test_order_of_the_patches_does_not_change_the_logit(tiny, patients):
    model = tiny(**POOLED)
    images, clinical, available = bags(patients(2))
    with torch.no_grad():
        logits = model(images, clinical, available)
        turned = model({**images, "biopsy": images["biopsy"].flip(1)}, clinical, available)
        other = model({**images, "biopsy": -images["biopsy"]}, clinical, available)
    torch.testing.assert_close(turned, logits, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(other, logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("share", [True, False])
def test_with_one_patch_the_network_is_the_one_that_averages(tiny, patients, share):
    plain = tiny(share_ultrasound_trunk=share)
    pooled = tiny(**POOLED, share_ultrasound_trunk=share)
    state = {
        name.replace("trunks.biopsy.", "trunks.biopsy.trunk."): tensor
        for name, tensor in plain.state_dict().items()
    }
    missing, unknown = pooled.load_state_dict(state, strict=False)
    assert all(".pooling." in name for name in missing)
    assert not unknown
    images, clinical, available = patients(2)
    whole = {**images, "biopsy": images["biopsy"][:, None]}
    with torch.no_grad():
        expected = plain(images, clinical, available)
        torch.testing.assert_close(pooled(whole, clinical, available), expected)


@pytest.mark.parametrize("pathways", [("biopsy",), ("patho_ult",), ("biopsy", "patho_ult")])
def test_every_parameter_gets_a_gradient(tiny, patients, pathways):
    model = tiny(**POOLED, embed_dim=48, side=64, se_ratio=1, pathways=pathways).train()
    images, clinical, available = bags(patients(3, side=64))
    available["biopsy"][1] = available["us_0"][0] = available["clinical"][2] = False
    images = {name: images[name] for name in model.inputs}
    batch = Batch(("A", "B", "C"), images, clinical, available, torch.zeros(3))
    logits = batch_logits(model, batch)
    assert logits.shape == (3, 1)
    torch.nn.functional.softplus(logits).sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert {name for name in still if not name.endswith("attn.pos.pos3.2.bias")} == set()


@pytest.mark.parametrize(("share", "passes"), [(False, 12), (True, 11)])
def test_prediction_is_the_same_pass_as_training_and_costs_no_more(tiny, patients, share, passes):
    model = tiny(**POOLED, share_ultrasound_trunk=share)
    seen = []
    for trunk, _ in model.streams():
        trunk.taps[0].register_forward_hook(lambda _module, _inputs, grid: seen.append(len(grid)))
    images, clinical, available = bags(patients(2), num_patches=9)
    batch = Batch(("A", "B"), images, clinical, available, torch.zeros(2))
    probability = batch_probability(model, batch)
    assert sum(seen) == 2 * passes
    with torch.no_grad():
        logits = model(images, clinical, available)
        others = {name: image for name, image in images.items() if name != "biopsy"}
        whole = model.predict_patient(images["biopsy"], others, clinical, available)
    assert torch.equal(whole, logits[:, None])
    assert torch.equal(probability, torch.sigmoid(logits.double()))


def test_a_missing_biopsy_changes_no_bit_and_spoils_no_gradient(tiny, patients):
    model = tiny(**POOLED)
    images, clinical, available = bags(patients(2))
    available["biopsy"][0] = False
    spoilt = {**images, "biopsy": images["biopsy"].clone()}
    spoilt["biopsy"][0] = float("nan")
    before, after = (model(given, clinical, available) for given in (images, spoilt))
    assert torch.equal(before, after)
    after.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_patient_ignores_the_rest_of_the_batch(tiny, patients):
    model = tiny(**POOLED)
    images, clinical, available = bags(patients(3))
    alone = [{name: part[1:2] for name, part in given.items()} for given in (images, available)]
    with torch.no_grad():
        together = model(images, clinical, available)[1:2]
        torch.testing.assert_close(model(alone[0], clinical[1:2], alone[1]), together)


def test_each_patch_gets_its_heat_map(tiny, patients):
    images, clinical, available = bags(patients(2))
    available["biopsy"][1] = False
    batch = Batch(("A", "B"), images, clinical, available, torch.zeros(2))
    model = tiny(**POOLED)
    pair = [grad_cam(model, batch, stage=2, toward=way)["biopsy"] for way in ("pcr", "residual")]
    heat = torch.maximum(*pair)
    assert heat.shape == (2, 3, 32, 32)
    assert heat[0].flatten(1).amax(dim=1).gt(0).all()
    assert heat[1].max() == 0


def test_state_goes_through_safetensors_and_back(tiny, patients):
    model, other = tiny(**POOLED, seed=1), tiny(**POOLED, seed=2)
    other.load_state_dict(load(save(model.state_dict())))
    with torch.no_grad():
        assert torch.equal(model(*bags(patients())), other(*bags(patients())))


def test_a_single_patch_in_place_of_all_is_refused(tiny, patients):
    with pytest.raises(ConfigError, match=r"biopsy: expected all patches .*, got \(3, 3, 32, 32\)"):
        tiny(**POOLED)(*patients())


def test_a_network_says_whether_it_pools_patches(tiny):
    assert tiny(**POOLED).pools_patches
    assert not tiny().pools_patches
    assert not tiny(**POOLED, pathways=("dou_ult",)).pools_patches


def test_joint_excitation_leaves_no_patch_a_vector_of_its_own():
    with pytest.raises(
        ValidationError, match="patch_pooling attention needs a separate vector for each"
    ):
        ModelSettings(**POOLED, se_place="joint")
    assert ModelSettings(**POOLED, se_place="joint", pathways=("biopsy", "dou_ult"))
