import dataclasses
import math

import numpy as np
import pytest
import torch

from neoresponse.data.augment import apply_changes, draw_samples
from neoresponse.data.intensity import STAINS, add_speckle, change_gain, change_stain
from neoresponse.data.variation import draw_variation, placement
from neoresponse.settings import AugmentSettings, VarySettings

ALL = VarySettings(
    flips=True, max_rotation_deg=15, max_scaling=0.2, stain=0.1, gain=0.3, speckle=0.25
)
STILL = dict.fromkeys(("stain_factor", "stain_offset", "gain", "speckle"))


def draw(num=500, settings=ALL, seed=1):
    return draw_variation(num, settings, rng=np.random.default_rng(seed))


def test_what_is_off_changes_nothing():
    found = draw(settings=VarySettings())
    assert not found.changes_stain
    assert not found.changes_levels
    assert not any(v.any() for v in (found.angle_deg, found.us_angle_deg, found.is_flipped_ud))
    assert (found.scale == 1).all()
    assert (found.us_scale == 1).all()


def test_changes_stay_within_what_is_allowed_and_reach_for_it():
    found = draw()
    for values, low, high in (
        (found.angle_deg, -15, 15),
        (found.us_scale, 0.8, 1.2),
        (found.stain_factor, 0.9, 1.1),
        (found.stain_offset, -0.1, 0.1),
        (found.gain, 0.7, 1.3),
        (found.speckle, 0, 0.25),
    ):
        assert low - 1e-6 <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high + 1e-6
    assert 0.4 < found.is_flipped_lr.mean() < 0.6


def image(side=8):
    return torch.arange(side * side, dtype=torch.float32).reshape(1, 1, side, side) / side**2


def placed(image, rows):
    flip_ud, flip_lr, angle_deg, scale = torch.from_numpy(rows.astype(np.float32)).unbind(0)
    return apply_changes(image, angle_deg=angle_deg, scale=scale, flip_ud=flip_ud, flip_lr=flip_lr)


@pytest.mark.parametrize("fixed", [(0, 0, 90.0), (1, 0, 90.0), (0, 1, 180.0), (1, 0, 0.0)])
@pytest.mark.parametrize("drawn", [(0, 0, 90.0), (1, 0, 0.0), (0, 1, 90.0), (1, 1, 90.0)])
def test_both_changes_at_once_are_one_after_the_other(fixed, drawn):
    """By quarter turns, which move whole pixels."""
    samples = draw_samples(
        ["A"], [0], [0], AugmentSettings(flips=False, num_variants=0, us_factor=1), seed=1
    )
    one = np.ones(1, np.float32)
    samples = dataclasses.replace(
        samples,
        is_flipped_ud=one * fixed[0],
        is_flipped_lr=one * fixed[1],
        angle_deg=one * fixed[2],
    )
    variation = dataclasses.replace(
        draw(1, VarySettings()),
        is_flipped_ud=one * drawn[0],
        is_flipped_lr=one * drawn[1],
        angle_deg=one * drawn[2],
    )
    rows = [np.array([[f[0]], [f[1]], [f[2]], [1.0]]) for f in (fixed, drawn)]
    expected = placed(placed(image(), rows[0]), rows[1])
    together, _ = placement(samples, np.array([0]), variation)
    torch.testing.assert_close(placed(image(), together), expected, rtol=1e-3, atol=1e-3)


def test_ultrasound_is_flipped_left_right_alone():
    samples = draw_samples(
        [f"P{i}" for i in range(50)],
        range(50),
        [0] * 50,
        AugmentSettings(flips=False, num_variants=0, us_factor=1),
        seed=1,
    )
    _, frames = placement(samples, np.arange(50), draw(50))
    assert not frames[0].any()
    assert frames[1].any()


def colours():
    return torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)) * 0.8 + 0.1


def test_a_stain_that_is_not_changed_leaves_its_colours():
    same = change_stain(colours(), factor=torch.ones(2, 3), offset=torch.zeros(2, 3))
    torch.testing.assert_close(same, colours(), rtol=1e-4, atol=1e-5)


def test_stains_change_as_written_out_pixel_by_pixel():
    factor, offset = torch.tensor([[0.8, 1.1, 1.0]] * 2), torch.tensor([[0.05, -0.02, 0.0]] * 2)
    found = change_stain(colours(), factor=factor, offset=offset)
    stains = np.array(STAINS) / np.linalg.norm(STAINS, axis=1, keepdims=True)
    pixel = colours()[1, :, 2, 3].numpy().astype(float)
    amounts = -np.log(pixel) @ np.linalg.inv(stains)
    expected = np.exp(-((amounts * factor[1].numpy() + offset[1].numpy()) @ stains))
    np.testing.assert_allclose(found[1, :, 2, 3].numpy(), np.clip(expected, 0, 1), rtol=1e-4)


def test_gain_multiplies_and_stays_within_grey_levels():
    found = change_gain(torch.full((2, 1, 2, 2), 0.6), torch.tensor([0.5, 2.0]))
    assert found[:, 0, 0, 0].tolist() == pytest.approx([0.3, 1.0])


def test_speckle_has_the_deviation_asked_for_its_grains_and_leaves_black_black():
    noise = torch.randn(1, 1, 400, 400, generator=torch.Generator().manual_seed(1))
    grey = torch.full_like(noise, 0.4)
    grey[..., :10] = 0
    found = add_speckle(grey, torch.tensor([0.1]), noise=noise)
    assert not found[..., :10].any()
    ratio = found[..., 10:] / 0.4 - 1
    assert ratio.std().item() == pytest.approx(0.1, rel=0.05)
    beside = (ratio[..., 1:] * ratio[..., :-1]).mean() / ratio.var()
    apart = (ratio[..., 4:] * ratio[..., :-4]).mean() / ratio.var()
    assert beside.item() == pytest.approx(2 / 3, abs=0.05)  # grains of three pixels overlap in two
    assert abs(apart.item()) < 0.05
    assert torch.equal(add_speckle(grey, torch.zeros(1), noise=noise), grey)


def test_an_image_gets_its_own_change():
    grey = torch.full((2, 1, 3, 3), 0.4)
    found = add_speckle(grey, torch.tensor([0.0, 0.2]), noise=torch.randn(2, 1, 3, 3))
    assert torch.equal(found[0], grey[0])
    assert not torch.equal(found[1], grey[1])
    assert math.isfinite(found.sum())
