from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from neoresponse.stats import adjust_p_values, auc, brier_score, equal_aucs_test, logistic_model
from neoresponse.stats.contingency import (
    chi_square,
    expected_counts,
    odds_ratio,
)
from neoresponse.stats.fisher import fisher_odds_ratio, fisher_test
from neoresponse.stats.groups import (
    Summary,
    kruskal_wallis,
    means_test,
    standardized_difference,
    summary,
    t_test,
)
from neoresponse.stats.rank_sum import mann_whitney

quick = settings(max_examples=40, deadline=None, derandomize=True)
cells = st.integers(0, 4)


@quick
@given(st.lists(st.integers(0, 99), min_size=2, max_size=9, unique=True), st.data())
def test_an_exact_rank_sum_equals_trying_every_choice_of_members(everybody, data):
    num = data.draw(st.integers(1, len(everybody) - 1))
    ranks = scipy_stats.rankdata(everybody)
    sums = [sum(ranks[list(c)]) for c in combinations(range(len(ranks)), num)]
    found = sum(ranks[:num])
    less, greater = np.mean(np.array(sums) <= found), np.mean(np.array(sums) >= found)
    chances = {"less": less, "greater": greater, "two-sided": min(1, 2 * min(less, greater))}
    for side, chance in chances.items():
        p_value = mann_whitney(everybody[:num], everybody[num:], way="exact", side=side).p_value
        assert p_value == pytest.approx(chance, abs=1e-12)


def test_a_rank_sum_takes_r_s_choice_of_method():
    rng = np.random.default_rng(0)
    assert mann_whitney(rng.random(49), rng.random(49)).method.endswith("exact")
    assert mann_whitney(rng.random(49), rng.random(50)).method.endswith("corrected")
    assert mann_whitney([1, 2, 2], [2, 3]).method.endswith("corrected")


@pytest.mark.parametrize(
    ("first", "way", "message"),
    [
        ([], "default", "finite numbers"),
        ([np.nan], "default", "finite"),
        ([1], "best", "expected"),
        ([1], "exact", "with ties"),
    ],
)
def test_an_impossible_rank_sum_is_refused(first, way, message):
    with pytest.raises(ValueError, match=message):
        mann_whitney(first, [1.0, 2.0], way=way)


@pytest.mark.parametrize("equal_spread", [False, True])
def test_t_tests_equal_scipy(equal_spread):
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=20), rng.normal(1, 3, size=31)
    twin = scipy_stats.ttest_ind(first, second, equal_var=equal_spread)
    found = t_test(summary(first), summary(second), equal_spread=equal_spread)
    ends = twin.confidence_interval()
    assert found.test.statistic == pytest.approx(twin.statistic, rel=1e-12)
    assert found.test.p_value == pytest.approx(twin.pvalue, rel=1e-10)
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(ends), rel=1e-10)


def test_groups_that_do_not_spread_have_no_test():
    flat = Summary(2.0, 0.0, 5)
    assert t_test(flat, Summary(3.0, 0.0, 4)).test.p_value is None
    assert standardized_difference(flat, flat) is None
    assert means_test([[1, 1], [2, 2]]).p_value is None
    assert means_test([[1, 2], [2]]).p_value is None
    assert kruskal_wallis([[1, 1], [1]]).p_value is None


def test_analysis_of_variance_equals_scipy():
    rng = np.random.default_rng(2)
    groups = [rng.normal(shift, size=num) for shift, num in ((0, 12), (0.5, 20), (1, 9))]
    twin = scipy_stats.f_oneway(*groups)
    found = means_test(groups, equal_spread=True)
    assert (found.statistic, found.p_value) == pytest.approx(tuple(twin), rel=1e-10)
    twin = scipy_stats.f_oneway(*groups, equal_var=False)
    found = means_test(groups)
    assert (found.statistic, found.p_value) == pytest.approx(tuple(twin), rel=1e-10)


def test_a_group_needs_two_finite_values():
    with pytest.raises(ValueError, match="at least two"):
        summary([1.0])
    with pytest.raises(ValueError, match="finite numbers"):
        summary([1.0, np.inf])


def brute_fisher(table):
    """Chance of all tables with these totals that are not likelier."""
    table = np.array(table)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    ways = product(*[range(min(r, c) + 1) for r in rows[:-1] for c in columns[:-1]])
    factorial = scipy_stats.multivariate_hypergeom
    chances = {}
    for way in ways:
        full = np.zeros(table.shape, dtype=int)
        full[:-1, :-1] = np.reshape(way, (len(rows) - 1, len(columns) - 1))
        full[:-1, -1] = rows[:-1] - full[:-1].sum(axis=1)
        full[-1] = columns - full[:-1].sum(axis=0)
        if (full >= 0).all():
            left, chance = columns.copy(), 1.0
            for row in full:
                chance *= factorial.pmf(row, m=left, n=row.sum())
                left = left - row
            chances[tuple(full.ravel())] = chance
    found = chances[tuple(table.ravel())]
    return sum(chance for chance in chances.values() if chance <= found * (1 + 1e-7))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=3, max_size=3))
def test_fisher_equals_trying_every_table(table):
    if not (np.sum(table, axis=0).all() and np.sum(table, axis=1).all()):
        return
    assert fisher_test(table).p_value == pytest.approx(brute_fisher(table), rel=1e-9)
    assert fisher_test(np.transpose(table)).p_value == fisher_test(table).p_value


def test_fisher_of_three_columns_equals_trying_every_table():
    table = [[3, 1, 0], [1, 2, 2], [0, 1, 4]]
    assert fisher_test(table).p_value == pytest.approx(brute_fisher(table), rel=1e-9)


def test_a_table_too_large_to_count_is_simulated_and_says_so():
    table = [[5, 3, 1], [2, 6, 3], [0, 4, 9]]
    simulated = fisher_test(table, max_paths=0, seed=3)
    assert "100000 tables, seed 3" in simulated.note
    assert simulated.p_value == pytest.approx(fisher_test(table).p_value, abs=0.002)
    assert fisher_test(table).note == ""


def test_the_ends_of_an_odds_ratio_leave_half_of_the_rest_in_each_tail():
    estimate = fisher_odds_ratio([[3, 1], [10, 35]])
    law = scipy_stats.nchypergeom_fisher
    assert law.sf(2, 49, 4, 13, estimate.low) == pytest.approx(0.025, rel=1e-8)
    assert law.cdf(3, 49, 4, 13, estimate.high) == pytest.approx(0.025, rel=1e-8)
    assert law.mean(49, 4, 13, estimate.value) == pytest.approx(3, rel=1e-8)


def test_an_odds_ratio_with_an_empty_cell_is_open_on_one_side():
    estimate = fisher_odds_ratio([[0, 7], [13, 29]])
    assert (estimate.value, estimate.low) == (0, 0)
    turned = fisher_odds_ratio([[7, 0], [29, 13]])
    assert (turned.value, turned.high) == (np.inf, np.inf)
    assert turned.low == pytest.approx(1 / estimate.high, rel=1e-9)


@pytest.mark.parametrize("corrected", [False, True])
def test_chi_square_equals_its_definition(corrected):
    table = np.array([[12, 5], [7, 20]])
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = np.sum((np.abs(table - expected) - 0.5 * corrected) ** 2 / expected)
    found = chi_square(table, corrected=corrected)
    assert (found.statistic, found.degrees) == (pytest.approx(statistic), 1)
    assert found.p_value == pytest.approx(2 * scipy_stats.norm.sf(np.sqrt(statistic)))
    np.testing.assert_allclose(expected_counts(table), expected)


@pytest.mark.parametrize(
    ("table", "expected"),
    [([[2, 1], [1, 2]], 4.0), ([[1, 0], [1, 1]], np.inf), ([[0, 0], [1, 1]], None)],
)
def test_a_cross_product_may_be_infinite_or_missing(table, expected):
    assert odds_ratio(table) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chi_square([[1, 2]]), "at least 2 rows"),
        (lambda: chi_square([[1, 2], [0.5, 1]]), "whole numbers"),
        (lambda: chi_square([[1, 2], [0, 0]]), "no empty row"),
        (lambda: chi_square([[1, 2, 1], [2, 1, 1]], corrected=True), "2 x 2"),
        (lambda: fisher_odds_ratio([[1, 2, 1], [2, 1, 1]]), "2 x 2"),
    ],
)
def test_impossible_tables_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("value", [0.1, 0.7, 1e-9, 1234.1])
def test_what_rounding_leaves_of_equal_values_is_no_spread(value):
    first, second, third = [value] * 30, [value] * 60, [value * 3 / 3] * 7
    assert summary(first).sd == 0
    assert t_test(summary(first), summary(second)).test.p_value is None
    assert standardized_difference(summary(first), summary(second)) is None
    for equal_spread in (False, True):
        assert means_test([first, second, third], equal_spread=equal_spread).p_value is None
    assert kruskal_wallis([first, second]).p_value is None


def test_values_equal_but_for_rounding_have_no_ranks():
    assert mann_whitney([0.1 + 0.2] * 5, [0.3] * 5).p_value is None
    assert kruskal_wallis([[0.1 + 0.2] * 5, [0.3] * 5]).p_value is None


@pytest.mark.parametrize("table", [[[1.9, 2], [3, 4]], [[-1, 2], [3, 4]], [[1, 2, 3], [4, 5, 6]]])
def test_an_odds_ratio_is_of_four_counts(table):
    with pytest.raises(ValueError, match="table: expected"):
        odds_ratio(table)


def test_masked_values_are_refused_wherever_arrays_enter():
    label = [0, 1, 0, 1]
    values = np.ma.array([0.1, 0.9, 0.3, 0.7], mask=[0, 0, 1, 0])
    calls = [
        lambda: auc(label, values),
        lambda: auc(np.ma.array(label, mask=[1, 0, 0, 0]), [0.1, 0.2, 0.3, 0.4]),
        lambda: brier_score(label, values),
        lambda: summary(values),
        lambda: means_test([values, values]),
        lambda: mann_whitney(values, [1.0, 2.0]),
        lambda: adjust_p_values(values),
        lambda: chi_square(values.reshape(2, 2)),
        lambda: logistic_model(np.ma.column_stack([np.ones(4), values]), label),
        lambda: equal_aucs_test(label, [values, values]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"without a mask, got [12] masked"):
            call()
