import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.data.augment import apply_changes, draw_samples
from neoresponse.settings import AugmentSettings

PAPER = AugmentSettings()


def test_published_counts_follow_from_the_split():
    label = [1] * 105 + [0] * 286
    ids = [f"P{i}" for i in range(391)]
    count = lambda change: len(draw_samples(ids, range(391), label, change, seed=1))  # noqa: E731
    assert count(AugmentSettings(num_variants=0, us_factor=1)) == 601
    assert count(AugmentSettings(us_factor=1)) == 3005
    assert count(PAPER) == 12_020


def test_draws_of_a_patient_do_not_depend_on_who_else_is_trained_on():
    few = draw_samples(["B", "X", "Y"], [1, 0, 2], [1, 0, 0], PAPER, seed=3)
    many = draw_samples(list("ABCDE"), range(5), [0, 1, 0, 0, 0], PAPER, seed=3)
    np.testing.assert_array_equal(many.us_angle_deg[many.row == 1], few.us_angle_deg[few.row == 1])
    np.testing.assert_array_equal(many.scale[many.row == 1], few.scale[few.row == 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 30), st.floats(0, 0.5))
def test_draws_stay_within_their_bounds(seed, angle, scaling):
    change = AugmentSettings(max_rotation_deg=angle, max_scaling=scaling, us_factor=1)
    samples = draw_samples(["A", "B"], [0, 1], [0, 1], change, seed=seed)
    assert np.all(np.abs(samples.angle_deg) <= angle + 1e-5)
    assert np.all(np.abs(samples.scale - 1) <= scaling + 1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 30), st.floats(0, 0.5))
def test_ultrasound_changed_twice_stays_within_two_changes(seed, angle, scaling):
    change = AugmentSettings(max_rotation_deg=angle, max_scaling=scaling)
    samples = draw_samples(["A", "B"], [0, 1], [0, 1], change, seed=seed)
    assert np.all(np.abs(samples.us_angle_deg) <= 2 * angle + 1e-5)
    assert np.all(samples.us_scale <= (1 + scaling) ** 2 + 1e-6)
    assert np.all(samples.us_scale >= (1 - scaling) ** 2 - 1e-6)


def test_the_second_change_of_ultrasound_starts_from_the_first():
    """Its first version is the sample itself; the others lie around it, beyond 10 degrees too."""
    samples = draw_samples([f"P{i}" for i in range(99)], range(99), [0] * 99, PAPER, seed=1)
    by_sample = np.arange(len(samples)).reshape(-1, PAPER.us_factor)
    np.testing.assert_array_equal(
        samples.us_angle_deg[by_sample[:, 0]], samples.angle_deg[by_sample[:, 0]]
    )
    np.testing.assert_array_equal(samples.us_scale[by_sample[:, 0]], samples.scale[by_sample[:, 0]])
    assert np.all(np.abs(samples.us_angle_deg - samples.angle_deg) <= 10 + 1e-5)
    assert 10 < np.abs(samples.us_angle_deg).max() <= 20


def changed(images, **how):
    zeros = torch.zeros(len(images))
    given_changes = {"angle_deg": zeros, "scale": zeros + 1, "flip_ud": zeros, "flip_lr": zeros}
    return apply_changes(images, **{**given_changes, **{k: zeros + v for k, v in how.items()}})


@pytest.fixture
def images():
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_no_change_returns_the_same_bits(images):
    assert torch.equal(changed(images), images)


def test_flips_mirror_rows_and_columns(images):
    torch.testing.assert_close(changed(images, flip_ud=1.0), images.flip(2))
    torch.testing.assert_close(changed(images, flip_lr=1.0), images.flip(3))


def test_a_quarter_turn_is_counter_clockwise(images):
    expected = torch.rot90(images, 1, dims=(2, 3))
    torch.testing.assert_close(changed(images, angle_deg=90.0), expected, atol=1e-4, rtol=0)


def test_scaling_magnifies_around_the_centre():
    image = torch.zeros(1, 1, 32, 32)
    image[:, :, 12:20, 12:20] = 1
    assert float(changed(image, scale=1.5).sum()) == pytest.approx(8 * 8 * 1.5**2, rel=0.1)


def test_each_image_of_a_batch_is_changed_in_its_own_way(images):
    one = torch.tensor([0.0, 1.0])
    zeros = torch.zeros(2)
    both = apply_changes(images, angle_deg=zeros, scale=zeros + 1, flip_ud=one, flip_lr=zeros)
    assert torch.equal(both[0], images[0])
    torch.testing.assert_close(both[1], images[1].flip(1))


def test_the_record_names_every_sample():
    change = AugmentSettings(num_variants=1, us_factor=2)
    samples = draw_samples(["A", "B", "C"], [4, 5, 6], [1, 0, 0], change, seed=0)
    lines = samples.to_csv().splitlines()
    assert lines[0] == "row,is_flipped_ud,is_flipped_lr,angle_deg,scale,us_angle_deg,us_scale"
    assert len(lines) == 1 + len(samples) == 1 + (3 + 1 + 1) * 2 * 2
