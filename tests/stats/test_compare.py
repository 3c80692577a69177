import math

import numpy as np
import pytest
from scipy.stats import t as student

from neoresponse.stats.compare import (
    delong_covariance,
    equal_aucs_test,
    mcnemar_tests,
    paired_delong,
    unpaired_delong,
)
from neoresponse.stats.discrimination import auc, placements
from neoresponse.stats.interval import delong_variance


def draw(seed=3, num_patients=80):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, size=num_patients)
    first = np.round(rng.random(num_patients) + 0.4 * label, 2)
    second = np.round(rng.random(num_patients) + 0.2 * label, 2)
    return label, first, second


def kernel(label, probability):
    pcr, residual = probability[label == 1], probability[label == 0]
    return np.array([[(p > q) + 0.5 * (p == q) for q in residual] for p in pcr])


def test_the_comparison_equals_the_covariance_form_of_the_paper():
    label, first, second = draw()
    one, two = kernel(label, first), kernel(label, second)
    by_pcr = np.cov(one.mean(axis=1), two.mean(axis=1))
    by_residual = np.cov(one.mean(axis=0), two.mean(axis=0))
    covariance = by_pcr / one.shape[0] + by_residual / one.shape[1]
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    found = paired_delong(label, first, second)
    assert found.difference.value == pytest.approx(one.mean() - two.mean(), abs=1e-14)
    assert found.z == pytest.approx((one.mean() - two.mean()) / np.sqrt(variance), rel=1e-10)


def test_swapping_the_models_mirrors_the_comparison():
    label, first, second = draw()
    there, back = paired_delong(label, first, second), paired_delong(label, second, first)
    assert there.difference.value == -back.difference.value
    assert there.difference.low == -back.difference.high
    assert there.p_value == back.p_value


def test_the_difference_is_the_difference_of_the_aucs():
    label, first, second = draw(seed=4)
    found = paired_delong(label, first, second).difference.value
    assert found == pytest.approx(auc(label, first) - auc(label, second), abs=1e-15)


def test_equal_probabilities_have_no_p_value():
    label, first, _ = draw()
    found = paired_delong(label, first, first)
    assert found.difference.value == 0
    assert found.p_value is None
    assert "variance of the difference is zero" in found.difference.note


def test_a_perfect_model_is_compared_with_a_warning():
    label = np.array([0, 0, 0, 1, 1, 1])
    found = paired_delong(label, label * 0.5, np.array([0.1, 0.6, 0.3, 0.5, 0.2, 0.9]))
    assert found.p_value is not None
    assert "too narrow" in found.difference.note


@pytest.mark.parametrize(("label", "value"), [([1, 0, 0], 0.5), ([1, 1, 1], None)])
def test_too_few_patients_have_no_interval(label, value):
    found = paired_delong(label, [0.5, 0.1, 0.2], [0.15, 0.1, 0.2])
    assert found.difference.value == value
    assert found.difference.low is None
    assert found.difference.note


def test_the_unpaired_comparison_equals_welch_with_delong_variances():
    label, first, _ = draw(seed=5)
    other_label, other, _ = draw(seed=6, num_patients=50)
    found = unpaired_delong((label, first), (other_label, other))
    variances = [
        delong_variance(placements(*group)) for group in ((label, first), (other_label, other))
    ]
    t = (auc(label, first) - auc(other_label, other)) / np.sqrt(sum(variances))
    degrees = sum(variances) ** 2 / (variances[0] ** 2 / 79 + variances[1] ** 2 / 49)
    assert found.z == pytest.approx(t, rel=1e-12)
    assert found.degrees == pytest.approx(degrees, rel=1e-12)
    assert found.p_value == pytest.approx(2 * student.sf(abs(t), degrees), rel=1e-10)
    assert found.difference.high - found.difference.value == pytest.approx(
        student.ppf(0.975, degrees) * np.sqrt(sum(variances)), rel=1e-10
    )
    assert found.p_less + found.p_greater == pytest.approx(1)


@pytest.mark.parametrize(
    ("label", "note"), [([1, 1], "only one"), ([1, 0, 0], "fewer than two"), ([0, 0, 1, 1], "zero")]
)
def test_an_unpaired_comparison_says_why_it_has_no_p_value(label, note):
    group = (label, np.arange(len(label)) / 10)
    found = unpaired_delong(group, group)
    assert (found.z, found.p_value, found.p_less) == (None, None, None)
    assert note in found.difference.note


def test_the_covariance_of_two_models_gives_the_variance_of_their_difference():
    label, first, second = draw()
    covariance = delong_covariance(label, [first, second])
    found = paired_delong(label, first, second)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert found.z == pytest.approx(found.difference.value / np.sqrt(variance), rel=1e-10)


def test_the_test_of_two_equal_aucs_is_the_square_of_the_paired_one():
    label, first, second = draw()
    test = equal_aucs_test(label, [first, second])
    assert test.statistic == pytest.approx(paired_delong(label, first, second).z ** 2, rel=1e-9)
    assert test.p_value == pytest.approx(paired_delong(label, first, second).p_value, rel=1e-8)


def test_models_that_order_alike_have_no_test_of_equal_aucs():
    label, first, _ = draw()
    assert "variance of the difference is zero" in equal_aucs_test(label, [first, 2 * first]).note
    assert "fewer than two" in equal_aucs_test([1, 0, 0], [[1, 2, 3], [3, 1, 2]]).note


@pytest.mark.parametrize("pair", [(4, 1), (6, 6), (0, 5), (0, 0), (9, 2)])
def test_mcnemar_equals_adding_up_binomial_chances(pair):
    fewer, num = min(pair), sum(pair)
    below = sum(math.comb(num, k) for k in range(fewer + 1)) / 2**num
    found = mcnemar_tests(*pair)
    assert found["exact"].p_value == pytest.approx(min(1, 2 * below), rel=1e-12)
    half = math.comb(num, fewer) / 2**num / 2
    is_even = pair[0] == pair[1]
    expected = 1 - half if is_even and num else min(1, 2 * (below - half)) if num else 1
    assert found["mid-P"].p_value == pytest.approx(expected, rel=1e-12)


def test_mcnemar_without_differences_has_no_chi_square():
    found = mcnemar_tests(0, 0)["chi-square"]
    assert (found.statistic, found.p_value) == (None, None)
    assert "never differ" in found.note


def test_impossible_counts_of_differences_are_refused():
    with pytest.raises(ValueError, match="expected >= 0"):
        mcnemar_tests(-1, 3)
