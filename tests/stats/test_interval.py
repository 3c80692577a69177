import math

import numpy as np
import pytest
from hypothesis import settings
from scipy.special import ndtri

from neoresponse.stats import (
    Bootstrap,
    Summary,
    calibration_curve,
    firth_model,
    fisher_odds_ratio,
    log_score_difference,
    t_test,
    wilson_interval,
)
from neoresponse.stats.discrimination import placements
from neoresponse.stats.interval import (
    auc_interval,
    delong_interval,
    delong_variance,
    hanley_mcneil_error,
    newcombe_interval,
    newcombe_variance,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)


def test_delong_variance_equals_the_formula_of_the_paper():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, size=60)
    probability = np.round(rng.random(60), 1)
    pcr, residual = probability[label == 1], probability[label == 0]
    kernel = np.array([[(p > q) + 0.5 * (p == q) for q in residual] for p in pcr])
    twin = np.var(kernel.mean(axis=1), ddof=1) / len(pcr)
    twin += np.var(kernel.mean(axis=0), ddof=1) / len(residual)
    assert delong_variance(placements(label, probability)) == pytest.approx(twin, rel=1e-12)


def test_an_interval_is_cut_at_one():
    label = [0] * 5 + [1] * 5
    probability = [0.1, 0.2, 0.3, 0.4, 0.6, 0.5, 0.7, 0.8, 0.9, 0.95]
    estimate = delong_interval(label, probability)
    assert estimate.high == 1.0
    assert 0 < estimate.low < estimate.value < 1


@pytest.mark.parametrize(
    ("label", "probability", "value", "note"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], None, "only one of the two classes"),
        ([], [], None, "only one of the two classes"),
        ([1, 0, 0], [0.2, 0.1, 0.3], 0.5, "fewer than two patients"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 1.0, "variance is zero"),
        ([0, 0, 1, 1], [0.4, 0.3, 0.2, 0.1], 0.0, "variance is zero"),
        ([0, 0, 0, 1, 1, 1], [0.3] * 6, 0.5, "variance is zero"),
    ],
)
def test_what_cannot_be_estimated_has_a_note_and_no_interval(label, probability, value, note):
    estimate = delong_interval(label, probability)
    assert estimate.value == value
    assert (estimate.low, estimate.high) == (None, None)
    assert note in estimate.note
    assert estimate.num_patients == len(label)


def test_the_logit_scale_stays_inside_and_mirrors_with_the_labels():
    label = np.array([0] * 5 + [1] * 5)
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.5, 0.7, 0.8, 0.9, 0.95])
    estimate = delong_interval(label, probability, scale="logit")
    mirrored = delong_interval(1 - label, probability, scale="logit")
    assert 0 < estimate.low < estimate.value < estimate.high < 1
    assert estimate.low == pytest.approx(1 - mirrored.high, rel=1e-12)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="expected 'plain' or 'logit'"):
        delong_interval([0, 1], [0.1, 0.2], scale="log")


def test_the_ends_of_newcombe_solve_its_equation():
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], [36, 13])
    estimate = newcombe_interval(label, rng.normal(size=49) + label)
    for end in (estimate.low, estimate.high):
        error = math.sqrt(newcombe_variance(end, 13, 36))
        assert abs(estimate.value - end) / error == pytest.approx(1.959963984540054, rel=1e-9)


def test_newcombe_has_an_interval_for_a_perfect_model():
    estimate = newcombe_interval([0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.9])
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert 0.3 < estimate.low < 0.9
    error = math.sqrt(newcombe_variance(estimate.low, 2, 3))
    assert (1 - estimate.low) / error == pytest.approx(1.959963984540054, rel=1e-9)


def test_newcombe_needs_both_classes():
    assert newcombe_interval([1, 1], [0.2, 0.3]).value is None


def test_hanley_and_mcneil_equal_their_published_example():
    # Radiology 1982, 143:29-36, table II: 58 normal and 51 abnormal images, area 0.893.
    assert hanley_mcneil_error(0.893, 51, 58) == pytest.approx(0.032, abs=1e-3)


def test_the_interval_to_trust_takes_its_variance_from_both_sources():
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], [60, 13])
    probability = 2 * rng.normal(size=73) * label + rng.normal(size=73) + label
    found, placed = auc_interval(label, probability), placements(label, probability)
    ratio = delong_variance(placed) / newcombe_variance(placed.auc, 13, 60)
    factor = (13 * ratio + 20) / (13 + 20)
    for end in (found.low, found.high):
        error = math.sqrt(factor * newcombe_variance(end, 13, 60))
        assert abs(found.value - end) / error == pytest.approx(1.959963984540054, rel=1e-9)
    assert found.method == "Newcombe, with DeLong's variance"


@pytest.mark.parametrize("num_pcr", [3, 6, 10, 40])
@pytest.mark.parametrize("prevalence", [0.03, 0.1, 0.35])
@pytest.mark.parametrize("area", [0.5, 0.9])
def test_few_pcr_patients_do_not_narrow_the_interval(num_pcr, prevalence, area):
    rng = np.random.default_rng([11, num_pcr, round(100 * prevalence), round(10 * area)])
    label = np.arange(round(num_pcr / prevalence)) < num_pcr
    shift = math.sqrt(2) * ndtri(area) * label
    found = [auc_interval(label, rng.normal(size=label.size) + shift) for _ in range(800)]
    share = np.mean([one.low <= area <= one.high for one in found])
    assert 0.925 < share < 0.985  # of 800; DeLong's on the logit scale falls to 0.80


@pytest.mark.parametrize("confidence", [95, 1, 0, -0.1, math.nan])
def test_a_confidence_that_is_no_share_is_refused_with_one_sentence(confidence):
    label, values = [0, 1, 0, 1, 1, 0], [0.1, 0.4, 0.3, 0.2, 0.9, 0.5]
    design = np.column_stack([np.ones(6), values])
    group = Summary(1.0, 1.0, 9)
    calls = [
        lambda: auc_interval(label, values, confidence=confidence),
        lambda: newcombe_interval([1, 1], [0.2, 0.3], confidence=confidence),
        lambda: delong_interval([1, 1], [0.2, 0.3], confidence=confidence),
        lambda: wilson_interval(0, 0, confidence=confidence),
        lambda: t_test(group, group, confidence=confidence),
        lambda: fisher_odds_ratio([[3, 1], [1, 3]], confidence=confidence),
        lambda: calibration_curve(label, values, confidence=confidence),
        lambda: log_score_difference(label, values, values[::-1], confidence=confidence),
        lambda: firth_model(design, label, confidence=confidence),
        lambda: Bootstrap(confidence=confidence),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^confidence: expected a number between 0 and 1"):
            call()
