"""Optimism and pairs: neither rewards noise, neither punishes levels."""

import numpy as np
import pytest

from neoresponse.describe import added_value, leave_pair_out, mean_of_pairs
from neoresponse.stats import (
    Bootstrap,
    auc,
    fit_logistic,
    logistic_probability,
    nested_models_test,
    paired_delong,
)

FEW = Bootstrap(num_replicates=40)


def patients(num=160, seed=1, strength=1.2):
    rng = np.random.default_rng(seed)
    label = (np.arange(num) % 4 == 0).astype(int)
    useful = rng.normal(label * strength)
    return label, useful[:, np.newaxis], rng.normal(size=(num, 12))


def apparent_auc(label, design):
    matrix = np.column_stack([np.ones(len(label)), design])
    return auc(label, logistic_probability(matrix, fit_logistic(matrix, label)))


def test_noise_adds_nothing_once_optimism_is_taken_off():
    label, useful, noise = patients()
    larger = np.hstack([useful, noise])
    found = added_value(label, useful, larger, rng=np.random.default_rng(1), plan=FEW)
    assert apparent_auc(label, larger) - apparent_auc(label, useful) > 0.015
    assert found.auc_gain.value < 0.01
    assert found.auc_gain.low < 0


def test_a_useful_column_adds():
    label, useful, noise = patients()
    larger = np.hstack([noise[:, :1], useful])
    found = added_value(label, noise[:, :1], larger, rng=np.random.default_rng(1), plan=FEW)
    assert found.auc_gain.low > 0.1
    assert found.auc_gain.value == pytest.approx(found.auc_after.value - found.auc_before.value)


def test_the_test_is_that_of_plain_likelihoods():
    label, useful, noise = patients()
    ones = np.ones((len(label), 1))
    larger = np.hstack([useful, noise])
    found = added_value(label, useful, larger, rng=np.random.default_rng(1), plan=FEW)
    expected = nested_models_test(np.hstack([ones, larger]), np.hstack([ones, useful]), label)
    assert found.test == expected


def test_one_seed_gives_one_answer():
    label, useful, noise = patients(num=60)
    one, two = (
        added_value(
            label, useful, np.hstack([useful, noise]), rng=np.random.default_rng(9), plan=FEW
        )
        for _ in range(2)
    )
    assert one == two


def test_another_kind_of_bootstrap_is_refused():
    label, useful, noise = patients(num=60)
    with pytest.raises(ValueError, match="plan: expected the percentile kind, got 'bca'"):
        added_value(label, useful, noise, rng=np.random.default_rng(1), plan=Bootstrap(kind="bca"))


def test_the_unit_of_a_column_does_not_matter():
    label, useful, noise = patients(num=60)
    one, two = (
        added_value(
            label,
            noise[:, :1],
            np.column_stack([noise[:, :1], scale * useful]),
            rng=np.random.default_rng(9),
            plan=FEW,
        )
        for scale in (1.0, 1e-4)
    )
    assert one.auc_after.value == pytest.approx(two.auc_after.value, abs=1e-9)


def test_patients_who_are_alike_are_tied_where_pooling_turns_them_round():
    """One level for everybody: nothing is known, so the AUC is a half."""
    label, same = np.array([1] * 6 + [0] * 14), np.zeros((20, 1))
    pooled = [np.delete(label, place).mean() for place in range(20)]
    assert auc(label, pooled) == 0.0
    assert mean_of_pairs(leave_pair_out(label, same)).value == 0.5


def test_pairs_do_not_reward_noise():
    found = []
    for seed in range(5):
        label, _, noise = patients(num=24, seed=seed)
        found.append(leave_pair_out(label, noise).mean())
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)
    label, _, noise = patients(num=40)
    assert apparent_auc(label, noise[:, :8]) > 0.7


def test_a_model_that_needs_no_fit_gets_its_own_auc_and_interval():
    label, useful, _ = patients(num=28)
    order = leave_pair_out(label, useful)
    assert order.mean() == pytest.approx(auc(label, useful[:, 0]), abs=1e-12)
    other = np.zeros((28, 1))
    found = mean_of_pairs(order - leave_pair_out(label, other))
    expected = paired_delong(label, useful[:, 0], other[:, 0]).difference
    assert [found.value, found.low, found.high] == pytest.approx(
        [expected.value, expected.low, expected.high]
    )
