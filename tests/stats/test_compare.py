import numpy as np
import pytest

from neoresponse.stats.compare import paired_delong
from neoresponse.stats.discrimination import auc


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
