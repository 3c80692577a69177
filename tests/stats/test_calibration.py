import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from neoresponse.stats.bootstrap import Bootstrap
from neoresponse.stats.calibration import (
    brier_parts,
    brier_score,
    calibration_curve,
    calibration_line,
    expected_calibration_error,
    hosmer_lemeshow,
    log_loss,
    observed_over_expected,
    scaled_brier_score,
    spiegelhalter_test,
)
from neoresponse.stats.decision import decision_curve, net_benefit
from neoresponse.stats.discrimination import auc
from neoresponse.stats.recalibration import fit_isotonic, fit_platt, fit_temperature

patients = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=1, max_size=30)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def split(rows):
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]) / 10


def draw(num=300, factor=1.0, seed=8):
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 1.2, size=num)
    return (rng.random(num) < expit(truth)).astype(int), expit(factor * truth)


@quick
@given(patients)
def test_the_parts_of_the_brier_score_add_up_to_it(rows):
    label, probability = split(rows)
    parts = brier_parts(label, probability)
    total = parts.reliability - parts.resolution + parts.uncertainty
    assert total == pytest.approx(brier_score(label, probability), abs=1e-12)


@quick
@given(patients)
def test_calibration_error_equals_a_loop_over_bins(rows):
    label, probability = split(rows)
    twin = 0.0
    for number in range(10):
        inside = np.array([min(int(p * 10), 9) == number for p in probability])
        if inside.any():
            twin += abs(label[inside].sum() - probability[inside].sum()) / len(label)
    assert expected_calibration_error(label, probability) == pytest.approx(twin, abs=1e-12)


@pytest.mark.parametrize("by", ["width", "count"])
def test_a_calibration_curve_places_every_patient_once(by):
    label, probability = draw()
    bins = calibration_curve(label, probability, num_bins=5, by=by)
    assert sum(one.observed.num_patients for one in bins) == 300
    means = [one.mean_probability for one in bins]
    assert means == sorted(means)
    assert sum(one.observed.value * one.observed.num_patients for one in bins) == label.sum()
    if by == "count":
        assert {one.observed.num_patients for one in bins} == {60}


def test_probabilities_twice_too_extreme_have_a_slope_of_one_half():
    label, probability = draw()
    line, stretched = calibration_line(label, probability), calibration_line(*draw(factor=2.0))
    assert stretched.slope.value == pytest.approx(line.slope.value / 2, rel=1e-9)
    assert stretched.intercept.value == pytest.approx(line.intercept.value, rel=1e-8)
    assert stretched.slope_test.p_value < 1e-4
    assert line.slope.low < 1 < line.slope.high


def test_calibration_in_the_large_makes_the_numbers_equal():
    label, probability = draw()
    shift = calibration_line(label, probability).in_the_large.value
    assert expit(logit(probability) + shift).sum() == pytest.approx(label.sum(), rel=1e-10)


@pytest.mark.parametrize(
    ("label", "probability"),
    [([1, 1], [0.2, 0.3]), ([0, 1], [0.5, 0.5]), ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])],
)
def test_without_a_line_there_is_a_note(label, probability):
    line = calibration_line(label, probability)
    assert line.slope.value is None
    assert line.slope_test.p_value is None
    assert "not estimable" in line.slope.note


def test_probabilities_of_zero_and_one_are_left_out_of_the_line_and_counted():
    label, probability = draw()
    line = calibration_line([*label, 0, 1], [*probability, 0.0, 1.0])
    assert line.num_left_out == 2
    assert line.slope == calibration_line(label, probability).slope


def test_the_platt_map_makes_the_line_perfect_and_keeps_the_auc():
    label, probability = draw(factor=3.0)
    mapped = fit_platt(label, probability).apply(probability)
    line = calibration_line(label, mapped)
    assert line.slope.value == pytest.approx(1, rel=1e-8)
    assert line.intercept.value == pytest.approx(0, abs=1e-8)
    assert auc(label, mapped) == auc(label, probability)


def test_no_other_temperature_near_by_fits_better():
    label, probability = draw(factor=3.0)
    best = fit_temperature(label, probability)
    losses = [
        log_loss(label, expit(logit(probability) / (best.temperature * factor)))
        for factor in (0.99, 1.0, 1.01)
    ]
    assert min(losses) == losses[1]
    assert best.apply([0.0, 0.5, 1.0]).tolist() == [0.0, 0.5, 1.0]


def test_the_isotonic_map_rises_and_fits_no_worse_than_any_constant_part():
    label, probability = draw(80)
    mapped = fit_isotonic(label, probability).apply(probability)
    assert (np.diff(mapped[np.argsort(probability)]) >= 0).all()
    assert mapped.mean() == pytest.approx(label.mean())
    assert brier_score(label, mapped) < brier_score(label, probability)
    assert brier_parts(label, mapped).reliability == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("fit", [fit_platt, fit_temperature])
def test_a_map_in_log_odds_refuses_what_has_none(fit):
    with pytest.raises(ValueError, match="got 0 or 1 itself"):
        fit([0, 1], [0.0, 0.5])
    with pytest.raises(ValueError, match="expected"):
        fit([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])


def test_true_probabilities_pass_and_shifted_ones_fail():
    label, probability = draw(2000)
    assert spiegelhalter_test(label, probability).p_value > 0.01
    assert spiegelhalter_test(label, probability**2).p_value < 1e-6
    assert hosmer_lemeshow(label, probability).p_value > 0.01
    assert hosmer_lemeshow(label, probability**2).p_value < 1e-6
    assert hosmer_lemeshow(label, probability, fitted_here=True).degrees == 8


def test_too_few_groups_have_no_hosmer_lemeshow_test():
    assert hosmer_lemeshow([0, 1], [0.5, 0.5], fitted_here=True).p_value is None
    assert spiegelhalter_test([0, 1], [0.5, 0.5]).p_value is None


def test_observed_over_expected_is_open_without_both_classes():
    label, probability = draw()
    ratio = observed_over_expected(label, probability)
    assert ratio.value == pytest.approx(label.sum() / probability.sum())
    assert ratio.low * ratio.high == pytest.approx(ratio.value**2)
    assert observed_over_expected([0, 0], [0.2, 0.3]).low is None
    assert scaled_brier_score([0, 0], [0.2, 0.3]) is None


def test_an_impossible_outcome_costs_infinitely_much():
    assert log_loss([1, 0], [0.0, 0.5]) == np.inf
    assert log_loss([1, 0], [1.0, 0.0]) == 0.0


@pytest.mark.parametrize("probability", [[0.5, 1.1], [-0.1, 0.5]])
def test_numbers_that_are_no_probabilities_are_refused(probability):
    with pytest.raises(ValueError, match="all from 0 to 1"):
        brier_score([0, 1], probability)


def test_impossible_bins_are_refused():
    with pytest.raises(ValueError, match="num_bins and by"):
        calibration_curve([0, 1], [0.2, 0.3], num_bins=0)


@quick
@given(patients, st.integers(1, 19))
def test_net_benefit_equals_counting(rows, cut):
    label, probability = split(rows)
    threshold = cut / 20
    true = sum(y == 1 and p >= threshold for y, p in zip(label, probability, strict=True))
    false = sum(y == 0 and p >= threshold for y, p in zip(label, probability, strict=True))
    expected = (true - false * threshold / (1 - threshold)) / len(label)
    assert net_benefit(label, probability, threshold=threshold) == pytest.approx(
        expected, abs=1e-12
    )


def test_a_decision_curve_counts_patients_per_hundred():
    curve = decision_curve([1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.2, 0.1], thresholds=[0.5])
    assert curve.true_positives_per_100.tolist() == [20.0]
    assert curve.false_positives_per_100.tolist() == [20.0]
    assert curve.treat_all[0] == pytest.approx(0.4 - 0.6)
    assert curve.avoided_per_100[0] == pytest.approx(100 * (0.0 - (-0.2)))
    assert curve.standardized[0] == 0.0
    assert curve.low is None


def test_the_interval_of_net_benefit_has_the_width_of_its_standard_error():
    label, probability = draw(400)
    curve = decision_curve(label, probability, thresholds=[0.2, 0.5], rng=np.random.default_rng(1))
    for index, threshold in enumerate((0.2, 0.5)):
        worth = (probability >= threshold) * np.where(label == 1, 1, -threshold / (1 - threshold))
        width = 2 * 1.96 * worth.std(ddof=1) / 20
        assert curve.high[index] - curve.low[index] == pytest.approx(width, rel=0.08)


@pytest.mark.parametrize(
    ("thresholds", "plan", "message"),
    [([0.0], None, "between 0 and 1"), ([0.5], Bootstrap(kind="bca"), "percentile kind")],
)
def test_impossible_decision_curves_are_refused(thresholds, plan, message):
    with pytest.raises(ValueError, match=message):
        decision_curve([0, 1], [0.2, 0.3], thresholds=thresholds, plan=plan)
