"""Scores with their uncertainty, and comparisons of groups: against slow twins, by simulation."""

import numpy as np
import pytest
from scipy.special import expit

from neoresponse.stats import (
    Bootstrap,
    auc_interval,
    binned_brier,
    bootstrap_brier,
    brier_score,
    calibration_error_by_chance,
    decision_curve,
    expected_calibration_error,
    heterogeneity_test,
    log_loss,
    log_score_difference,
    net_benefit_differences,
    newcombe_interval,
    score_step,
    unpaired_delong,
)


def draw(seed, num=80):
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 4, num)
    label = (rng.random(num) < truth).astype(int)
    return label, truth, np.clip(truth + rng.normal(0, 0.2, num), 0.01, 0.99)


def generator():
    return np.random.default_rng(5)


def test_an_auc_of_one_has_newcombes_interval_and_says_so():
    label, probability = [0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.9]
    found = auc_interval(label, probability)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == newcombe_interval(label, probability).low < 1
    assert found.note.startswith("Newcombe's interval")


@pytest.mark.parametrize(
    ("label", "probability", "note"),
    [([0, 0, 1], [0.1, 0.2, 0.9], "fewer than two"), ([0, 0, 1, 1], [0.5] * 4, "variance is zero")],
)
def test_one_positive_or_only_ties_have_no_interval(label, probability, note):
    found = auc_interval(label, probability)
    assert found.low is None
    assert note in found.note


def test_the_interval_of_a_brier_score_is_that_of_a_plain_loop():
    label, _, probability = draw(2)
    plan = Bootstrap(num_replicates=400)
    found = bootstrap_brier(label, probability, rng=generator(), plan=plan)
    rng, scores = np.random.default_rng(9), []
    for _ in range(4000):
        rows = rng.integers(0, len(label), len(label))
        scores.append(brier_score(label[rows], probability[rows]))
    assert found.value == brier_score(label, probability)
    assert (found.low, found.high) == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.008)


def test_parts_of_a_binned_brier_score_add_up():
    label, _, probability = draw(3)
    found = binned_brier(label, probability)
    parts = found.parts
    total = parts.reliability - parts.resolution + parts.uncertainty + found.within_bins
    assert total == pytest.approx(brier_score(label, probability), abs=1e-15)


def test_true_probabilities_show_a_calibration_error_within_the_range_of_chance():
    inside = 0
    for seed in range(40):
        label, truth, _ = draw(seed)
        chance = calibration_error_by_chance(
            truth, rng=generator(), plan=Bootstrap(num_replicates=300)
        )
        inside += chance.low <= expected_calibration_error(label, truth) <= chance.high
    assert inside >= 34


def test_wrong_probabilities_show_a_calibration_error_above_chance():
    label, truth, _ = draw(4, num=400)
    wrong = 0.5 + truth / 2
    chance = calibration_error_by_chance(wrong, rng=generator())
    assert expected_calibration_error(label, wrong) > chance.high


def test_a_difference_of_log_scores_is_that_of_log_losses():
    label, truth, probability = draw(5)
    found = log_score_difference(label, truth, probability)
    assert found.value == pytest.approx(
        log_loss(label, probability) - log_loss(label, truth), abs=1e-14
    )
    assert found.low < found.value < found.high


def test_a_difference_of_log_scores_says_why_it_is_missing():
    assert log_score_difference([1, 0], [0.0, 0.5], [0.5, 0.5]).note.startswith("not estimable")
    assert log_score_difference([1, 0], [0.4, 0.5], [0.4, 0.5]).note.startswith("no CI")


def test_one_step_of_the_score_is_newtons_first_step():
    label, truth, _ = draw(10)
    marker = np.random.default_rng(1).normal(size=len(label))
    found = score_step(label, truth, marker)
    gradient = np.sum((label - truth) * marker)
    curvature = np.sum(truth * (1 - truth) * marker**2)
    assert found.value == pytest.approx(gradient / curvature, rel=1e-12)
    assert found.low < found.value < found.high


def test_one_step_is_near_the_coefficient_of_a_regression_with_an_offset():
    rng = np.random.default_rng(2)
    marker, offset = rng.normal(size=(2, 4000))
    label = (rng.random(4000) < expit(offset - 1 + 0.2 * marker)).astype(int)
    found = score_step(label, expit(offset - 1), marker)
    assert found.low < 0.2 < found.high


def test_a_marker_without_spread_has_no_step():
    assert score_step([0, 1], [0.4, 0.6], [0.0, 0.0]).value is None
    assert score_step([0, 1], [0.0, 1.0], [1.0, 2.0]).note.startswith("not estimable")
    with pytest.raises(ValueError, match="marker: expected finite numbers"):
        score_step([0, 1], [0.4, 0.6], [1.0])


def test_differences_of_net_benefit_are_those_of_the_curves():
    label, truth, probability = draw(6)
    cuts = [0.2, 0.4]
    found = net_benefit_differences(label, (truth, probability), thresholds=cuts, rng=generator())
    first, second = (decision_curve(label, p, thresholds=cuts) for p in (truth, probability))
    expected = first.net_benefit - second.net_benefit
    assert [one.value for one in found] == pytest.approx(expected.tolist(), abs=1e-15)
    assert all(one.low <= one.value <= one.high for one in found)


def test_equal_calls_have_no_interval_of_their_difference():
    label, truth, _ = draw(7)
    (found,) = net_benefit_differences(label, (truth, truth), thresholds=[0.3], rng=generator())
    assert (found.value, found.low) == (0.0, None)
    assert "same patients" in found.note


def test_heterogeneity_of_two_groups_is_the_square_of_their_z():
    one, two = draw(8)[::2], draw(9)[::2]
    found = heterogeneity_test([one, two])
    difference = unpaired_delong(one, two)
    assert found.statistic == pytest.approx(difference.z**2, rel=1e-12)
    assert found.degrees == 1


def test_groups_without_a_variance_are_left_out_and_counted():
    label, _, probability = draw(8)
    lone = ([0, 0, 1], [0.1, 0.2, 0.9])
    found = heterogeneity_test([(label, probability), draw(9)[::2], lone])
    assert found.degrees == 1
    assert found.note == "1 of 3 groups left out: no variance"
    assert heterogeneity_test([lone, lone]).p_value is None


def test_heterogeneity_keeps_its_level():
    num_small = sum(
        heterogeneity_test([draw(3 * n + k, num=120)[::2] for k in range(3)]).p_value < 0.05
        for n in range(300)
    )
    assert num_small <= 30
