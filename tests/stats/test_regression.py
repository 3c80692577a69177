import math
import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from neoresponse.stats.regression import (
    firth_model,
    logistic_model,
    nested_models_test,
    odds_ratio_of,
)
from neoresponse.stats.separation import independent_columns, separated_patients


def draw(num=120, seed=5):
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(num), rng.normal(size=(num, 2)) * [1, 50]])
    return design, (rng.random(num) < expit(design @ [-0.5, 1.0, 0.02])).astype(int)


def height(design, label, beta):
    logit = design @ beta
    return np.sum(np.where(label == 1, log_expit(logit), log_expit(-logit)))


def test_the_ends_of_a_profile_interval_lose_half_of_chi_square():
    design, label = draw()
    model = logistic_model(design, label)
    for end in (model.terms[1].profile.low, model.terms[1].profile.high):
        best = minimize(
            lambda rest, end=end: -height(design, label, [rest[0], end, rest[1] / 50]),
            [0.0, 0.0],
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000},
        )
        assert 2 * (model.log_likelihood + best.fun) == pytest.approx(1.959964**2, abs=1e-4)


def test_a_two_by_two_table_gives_woolf_s_interval():
    label = np.repeat([1, 0, 1, 0], [12, 5, 7, 20])
    design = np.column_stack([np.ones(44), np.repeat([1, 0], [17, 27])])
    term = logistic_model(design, label).terms[1]
    error = math.sqrt(1 / 12 + 1 / 5 + 1 / 7 + 1 / 20)
    assert term.wald.value == pytest.approx(math.log(12 * 20 / (5 * 7)), rel=1e-10)
    assert term.error == pytest.approx(error, rel=1e-10)
    assert odds_ratio_of(term.wald).high == pytest.approx(
        12 * 20 / 35 * math.exp(1.959963984540054 * error), rel=1e-9
    )


def test_firth_in_a_two_by_two_table_adds_one_half_to_each_cell():
    label = np.repeat([1, 0, 0], [6, 4, 9])  # a cell is empty: the classes are partly separated
    design = np.column_stack([np.ones(19), np.repeat([1, 0], [10, 9])])
    term = firth_model(design, label).terms[1]
    assert term.wald.value == pytest.approx(math.log(6.5 * 9.5 / (4.5 * 0.5)), rel=1e-9)
    assert term.profile.low > 0


def test_a_separating_column_has_one_finite_end_and_leaves_the_others_alone():
    design, label = draw()
    flag = np.zeros(len(label))
    flag[np.flatnonzero(label == 0)[:8]] = 1  # nobody with the flag has pCR
    with_flag = np.column_stack([design, flag])
    model, rest = (
        logistic_model(with_flag, label),
        logistic_model(design[flag == 0], label[flag == 0]),
    )
    lost = model.terms[3]
    assert (lost.wald.value, lost.profile.low, lost.error) == (None, None, None)
    assert lost.profile.high < 1
    assert "infinite" in lost.wald.note
    for one, other in zip(model.terms[:3], rest.terms, strict=True):
        assert one.wald.value == pytest.approx(other.wald.value, rel=1e-9)
        assert one.error == pytest.approx(other.error, rel=1e-8)
    assert model.log_likelihood == pytest.approx(rest.log_likelihood, rel=1e-12)
    assert lost.p_profile == pytest.approx(nested_models_test(with_flag, design, label).p_value)


def test_with_separated_classes_nothing_has_a_value():
    design = np.column_stack([np.ones(6), [-3, -2, 0, 1, 2, 3]])
    label = [0, 0, 0, 1, 1, 1]
    model = logistic_model(design, label)
    assert [term.wald.value for term in model.terms] == [None, None]
    assert model.log_likelihood == 0
    assert model.terms[1].profile.low > 0
    assert all(math.isfinite(term.wald.value) for term in firth_model(design, label).terms)


def test_a_likelihood_ratio_test_counts_collinear_columns_once():
    design, label = draw()
    doubled = np.column_stack([design, design[:, 1]])
    found = nested_models_test(doubled, design[:, :2], label)
    assert found.degrees == 1
    assert found.statistic == pytest.approx(
        2
        * (
            logistic_model(design, label).log_likelihood
            - logistic_model(design[:, :2], label).log_likelihood
        ),
        rel=1e-8,
    )
    assert nested_models_test(doubled, design, label).p_value is None


def test_events_per_variable_count_the_smaller_class():
    design, label = draw()
    model = logistic_model(design, label)
    assert model.events_per_variable == min(label.sum(), 120 - label.sum()) / 2
    assert logistic_model(design[:, :1], label).events_per_variable is None


def test_a_model_without_use_explains_nothing():
    _, label = draw()
    model = logistic_model(np.ones((120, 1)), label)
    assert model.mcfadden_r2 == pytest.approx(0, abs=1e-12)
    assert model.nagelkerke_r2 == pytest.approx(0, abs=1e-12)
    assert model.aic == pytest.approx(model.deviance + 2)


@pytest.mark.parametrize("fit", [logistic_model, firth_model])
def test_collinear_columns_are_refused(fit):
    design, label = draw()
    with pytest.raises(ValueError, match="independent columns"):
        fit(np.column_stack([design, design[:, 1]]), label)


def test_separation_along_two_directions_is_found_whole():
    matrix = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, -1.0]])
    is_pcr = np.array([True, True, True, False, False])
    assert separated_patients(matrix, is_pcr).tolist() == [True, True, False, False, False]


def test_of_collinear_columns_the_first_ones_are_kept():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 30))
    matrix = np.column_stack([one, 1e6 * one, two, one - 2 * two, np.zeros(30)])
    assert independent_columns(matrix) == [0, 2]


def test_firth_settles_where_the_likelihood_has_a_ledge():
    """A draw with nearly separated classes on which Newton's plain steps crept for ever."""
    rng = np.random.default_rng([51, 95])
    is_pcr = (np.arange(51) < 13).astype(int)
    values = rng.normal(size=51) + 2.326174307353348 * is_pcr
    noise = rng.normal(size=51)
    term = firth_model(np.column_stack([np.ones(51), values, noise]), is_pcr).terms[1]
    assert term.profile.low < term.profile.value < term.profile.high


@pytest.mark.parametrize(
    ("values", "label", "expected"),
    [
        # glm(y ~ x, family = binomial) settles at -1.70568 and -0.79639.
        ([99, 0, 0.8, -0.6, -0.2, -1.4], [0, 0, 0, 1, 0, 0], [-1.70568, -0.79639]),
        ([9999, 0, 0.8, -0.6, -0.2, -1.4], [0, 0, 0, 1, 0, 0], [-1.70568, -0.79639]),
    ],
)
def test_an_outlier_does_not_keep_newton_from_the_maximum(values, label, expected):
    design = np.column_stack([np.ones(6), values])
    model = logistic_model(design, label)
    found = np.array([term.wald.value for term in model.terms])
    assert found == pytest.approx(expected, abs=1e-5)
    assert design.T @ (label - expit(design @ found)) == pytest.approx([0, 0], abs=1e-9)
    high = model.terms[1].profile.high
    assert high is not None
    centred = np.column_stack([np.ones(6), (design[:, 1] - design[:, 1].mean()) / 40])
    other = logistic_model(centred, label).terms[1]  # far out, where the intercept must follow
    assert other.profile.high / 40 == pytest.approx(high, rel=1e-6)


def test_nearly_collinear_columns_have_the_maximum_that_orthogonal_ones_have():
    rng = np.random.default_rng(4)
    kilograms = np.round(rng.normal(70, 10, size=200), 2)
    pounds = np.round(2.20462 * kilograms, 2)
    label = (rng.random(200) < expit((kilograms - 70) / 10)).astype(int)
    model = logistic_model(np.column_stack([np.ones(200), kilograms, pounds]), label)
    apart = logistic_model(
        np.column_stack([np.ones(200), kilograms, pounds - 2.20462 * kilograms]), label
    )
    assert model.log_likelihood == pytest.approx(apart.log_likelihood, abs=1e-10)
    assert model.terms[2].wald.value == pytest.approx(apart.terms[2].wald.value, rel=1e-6)
    assert model.terms[2].error == pytest.approx(apart.terms[2].error, rel=1e-6)


def test_many_patients_need_no_square_as_large_as_they_are():
    rng = np.random.default_rng(5)
    design = np.column_stack([np.ones(30_000), rng.normal(size=(30_000, 2))])
    label = (rng.random(30_000) < expit(design @ [-1, 0.5, 0])).astype(int)
    tracemalloc.start()
    logistic_model(design, label)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # a square of the patients takes 7.2e9


def test_models_that_are_not_nested_are_refused():
    design, label = draw()
    with pytest.raises(ValueError, match="combinations of those of the larger model"):
        nested_models_test(design[:, :2], design[:, [0, 2]], label)
    # The same columns in another form are nested.
    turned = np.column_stack([design[:, 0], design[:, 1] + 2 * design[:, 0]])
    assert nested_models_test(design, turned, label).degrees == 1


def test_a_penalised_profile_is_the_highest_of_its_maxima():
    rng = np.random.default_rng(6)
    for _ in range(12):
        num = int(rng.integers(8, 16))
        design = np.column_stack([np.ones(num), rng.normal(size=(num, 2))])
        design[rng.integers(num), 1] = 30
        label = (rng.random(num) < 0.4).astype(int)
        if len(set(label)) < 2:
            continue
        model = firth_model(design, label)
        for end in (model.terms[1].profile.low, model.terms[1].profile.high):
            if end is None:
                continue

            def loss(rest, at=end, matrix=design, outcome=label):
                logit = matrix @ [rest[0], at, rest[1]]
                weight = expit(logit) * expit(-logit)
                fit = np.sum(log_expit(np.where(outcome == 1, logit, -logit)))
                return -fit - 0.5 * np.linalg.slogdet((matrix.T * weight) @ matrix)[1]

            starts = [(a, b) for a in (-20, -3, 0, 3, 20) for b in (-3, 0, 3)]
            best = max(-minimize(loss, start, method="Nelder-Mead").fun for start in starts)
            assert best <= model.log_likelihood - 1.920729410347062 + 1e-3
