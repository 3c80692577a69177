import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit

from neoresponse.stats.logistic import fit_logistic, logistic_probability


def draw(num_patients=120):
    rng = np.random.default_rng(5)
    design = np.column_stack([np.ones(num_patients), rng.normal(size=(num_patients, 2)) * [1, 50]])
    logit = design @ [-0.5, 1.0, 0.02]
    return design, (rng.random(num_patients) < 1 / (1 + np.exp(-logit))).astype(int)


def loss(coefficients, design, label, penalty):
    logit = design @ coefficients
    fit = -np.sum(np.where(label == 1, log_expit(logit), log_expit(-logit)))
    return fit + 0.5 * np.sum(penalty * coefficients**2)


@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_no_other_coefficients_near_by_fit_better(ridge):
    design, label = draw()
    penalty = np.array([0, ridge, ridge])
    found = fit_logistic(design, label, ridge=ridge)
    twin = minimize(loss, found, args=(design, label, penalty), method="Nelder-Mead")
    assert loss(found, design, label, penalty) <= twin.fun + 1e-9


def test_mean_probability_equals_the_share_of_pcr():
    design, label = draw()
    probability = logistic_probability(design, fit_logistic(design, label))
    assert probability.mean() == pytest.approx(label.mean(), rel=1e-10)


def test_a_ridge_leaves_the_intercept_free():
    design, label = draw()
    probability = logistic_probability(design, fit_logistic(design, label, ridge=1e10))
    np.testing.assert_allclose(probability, label.mean(), rtol=1e-3)


@pytest.mark.parametrize("last", [0.0, 1.0])
def test_separated_classes_need_a_ridge(last):
    design = np.column_stack([np.ones(6), [-3, -2, 0, last, 2, 3]])
    label = [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="got separated ones"):
        fit_logistic(design, label)
    assert np.isfinite(fit_logistic(design, label, ridge=0.1)).all()


def test_collinear_columns_need_a_ridge():
    design, label = draw()
    doubled = np.column_stack([design, design[:, 1]])
    with pytest.raises(ValueError, match="independent columns"):
        fit_logistic(doubled, label)
    coefficients = fit_logistic(doubled, label, ridge=1.0)
    assert coefficients[1] == pytest.approx(coefficients[3])


@pytest.mark.parametrize(
    ("design", "label", "ridge", "message"),
    [
        ([1, 1], [0, 1], 0.0, "expected shapes"),
        ([[1], [1]], [0, 1, 1], 0.0, "expected shapes"),
        ([[1], [1]], [1, 1], 0.0, "expected both 0 and 1"),
        ([[1], [np.inf]], [0, 1], 0.0, "finite"),
        ([[1], [1]], [0, 1], -1.0, "ridge"),
    ],
)
def test_impossible_arguments_are_refused(design, label, ridge, message):
    with pytest.raises(ValueError, match=message):
        fit_logistic(design, label, ridge=ridge)
