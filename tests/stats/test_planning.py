import numpy as np
import pytest
from scipy import stats

from neoresponse.stats import auc
from neoresponse.stats.planning import (
    chance_of_best,
    cox_snell_of_auc,
    difference_error,
    expected_best,
    paired_size,
)


def test_r2_of_an_auc_agrees_with_the_published_example():
    # Riley et al. 2021: AUC 0.81 at a prevalence of 0.77 gives an R squared of about 0.21
    assert cox_snell_of_auc(0.81, 0.77) == pytest.approx(0.21, abs=0.005)


def test_r2_of_an_auc_is_that_of_simulated_patients():
    rng = np.random.default_rng(0)
    label = (rng.random(200_000) < 0.27).astype(int)
    spread = np.sqrt(2) * stats.norm.ppf(0.8)
    logit = np.log(0.27 / 0.73) + (label - 0.5) * spread**2 + rng.normal(0, spread, label.size)
    assert auc(label, logit) == pytest.approx(0.8, abs=0.003)
    gained = -np.logaddexp(0, -(2 * label - 1) * logit).mean()
    gained -= label.mean() * np.log(label.mean()) + (1 - label.mean()) * np.log(1 - label.mean())
    assert cox_snell_of_auc(0.8, 0.27) == pytest.approx(1 - np.exp(-2 * gained), abs=0.004)


def test_an_auc_of_one_half_explains_nothing():
    assert cox_snell_of_auc(0.5, 0.3) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("num_models", "correlation"), [(1, 0.0), (6, 0.5), (20, 0.8)])
def test_the_best_of_equal_models_is_that_of_simulated_estimates(num_models, correlation):
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(200_000, 1)) * np.sqrt(correlation)
    own = rng.normal(size=(200_000, num_models)) * np.sqrt(1 - correlation)
    best = 0.8 + 0.07 * (shared + own).max(axis=1)
    given = {"auc": 0.8, "error": 0.07, "num_models": num_models, "correlation": correlation}
    assert chance_of_best(0.85, **given) == pytest.approx((best >= 0.85).mean(), abs=0.005)
    assert expected_best(**given) == pytest.approx(best.mean(), abs=0.001)


def test_perfectly_alike_estimates_would_have_no_error_of_the_difference():
    sizes = {"num_pcr": 13, "num_residual": 36}
    assert difference_error(0.8, 0.8, correlation=0.0, **sizes) == pytest.approx(
        np.sqrt(2) * difference_error(0.8, 0.8, correlation=0.5, **sizes)
    )


def test_paired_size_is_the_first_that_reaches_the_power():
    num = paired_size(0.8, 0.9, prevalence=0.5, correlation=0.5)
    powers = []
    for size in (num, num - 2):
        error = difference_error(
            0.8, 0.9, num_pcr=size // 2, num_residual=size - size // 2, correlation=0.5
        )
        powers.append(stats.norm.cdf(0.1 / error - stats.norm.ppf(0.975)))
    assert powers[0] >= 0.8 > powers[1]


def test_equal_aucs_have_no_size():
    with pytest.raises(ValueError, match="expected two that differ"):
        paired_size(0.8, 0.8, prevalence=0.3, correlation=0.5)


def test_the_best_of_equal_models_is_never_better_than_perfect():
    found = expected_best(auc=0.8, error=0.32, num_models=6, correlation=0.5)
    assert 0.8 < found < 1
