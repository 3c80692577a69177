import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from neoresponse.stats import auc
from neoresponse.stats.consistency import (
    Span,
    auc_bounds,
    least_auc_variance,
    least_width_of_auc,
    least_width_of_share,
    match_matrices,
    predictive_values,
    weighted_accuracy,
)
from neoresponse.stats.proportion import proportion_interval
from neoresponse.stats.recompute import (
    MeanSpan,
    logarithm,
    p_span_of_estimate,
    p_span_of_means,
    p_values_of_counts,
)

Z = 1.959963984540054


def exactly(value):
    return Span(value, value)


def rounded(value, places=3):
    half = 0.5 / 10**places
    return Span(round(value, places) - half, round(value, places) + half)


def grid(span):
    return np.linspace(span.low, span.high, 7)


def test_accuracy_is_the_weighted_mean_over_all_that_was_rounded_away():
    spans = Span(0.6, 0.62), Span(0.8, 0.83), Span(0.2, 0.3)
    twin = [p * a + (1 - p) * b for a, b, p in itertools.product(*map(grid, spans))]
    assert weighted_accuracy(*spans) == pytest.approx((min(twin), max(twin)))


def test_predictive_values_are_those_of_bayes_over_all_that_was_rounded_away():
    spans = Span(0.6, 0.62), Span(0.8, 0.83), Span(0.2, 0.3)
    ppv = [p * a / (p * a + (1 - p) * (1 - b)) for a, b, p in itertools.product(*map(grid, spans))]
    npv = [
        (1 - p) * b / ((1 - p) * b + p * (1 - a))
        for a, b, p in itertools.product(*map(grid, spans))
    ]
    found = predictive_values(*spans)
    assert found[0] == pytest.approx((min(ppv), max(ppv)))
    assert found[1] == pytest.approx((min(npv), max(npv)))


def test_nobody_called_pcr_leaves_ppv_open():
    ppv, npv = predictive_values(exactly(0.0), exactly(1.0), exactly(0.3))
    assert ppv == (0.0, 1.0)
    assert npv == pytest.approx((0.7, 0.7))


@pytest.mark.parametrize(("tp", "fn", "tn", "fp"), [(2, 1, 3, 1), (1, 2, 2, 2), (3, 0, 1, 3)])
def test_auc_bounds_are_the_extremes_over_all_orders_of_the_patients(tp, fn, tn, fp):
    found = set()
    for above in set(itertools.permutations([1] * tp + [0] * fp)):
        for below in set(itertools.permutations([1] * fn + [0] * tn)):
            label = [*below, *above]
            found.add(auc(label, np.arange(len(label))))
    bounds = auc_bounds(exactly(tp / (tp + fn)), exactly(tn / (tn + fp)))
    assert bounds == pytest.approx((min(found), max(found)))


@pytest.mark.parametrize("seed", range(12))
def test_matrices_match_as_a_plain_loop_in_fractions_says(seed):
    rng = np.random.default_rng(seed)
    num_patients = int(rng.integers(5, 14))
    names = ("ACC", "SENS", "SPEC", "PPV", "NPV")
    printed = {name: round(float(rng.random()), 1) for name in names}
    nums = range(1, num_patients)
    sets, possible = set(), set()
    for num_pcr in nums:
        for tp, tn in itertools.product(range(num_pcr + 1), range(num_patients - num_pcr + 1)):
            shares = {
                "ACC": (tp + tn, num_patients),
                "SENS": (tp, num_pcr),
                "SPEC": (tn, num_patients - num_pcr),
                "PPV": (tp, tp + num_patients - num_pcr - tn),
                "NPV": (tn, tn + num_pcr - tp),
            }
            given = frozenset(
                name
                for name, (k, m) in shares.items()
                if abs(Fraction(k, m or 1) - Fraction(str(printed[name]))) <= Fraction(1, 20)
            )
            sets.add(given)
            possible |= {num_pcr} if given == set(names) else set()
    spans = {name: rounded(value, 1) for name, value in printed.items()}
    found = match_matrices(spans, num_patients=num_patients, nums_pcr=nums)
    assert found.nums_pcr == tuple(sorted(possible))
    for size in range(1, 6):
        for chosen in map(set, itertools.combinations(names, size)):
            is_impossible = not any(chosen <= given for given in sets)
            assert is_impossible == any(set(columns) <= chosen for columns in found.impossible)


def test_an_auc_that_no_order_gives_is_impossible_only_with_its_operating_point():
    spans = {"AUC": rounded(0.70), "SENS": exactly(0.9), "SPEC": exactly(0.9)}
    found = match_matrices(spans, num_patients=40, nums_pcr=[20])
    assert found.impossible == (("AUC", "SENS", "SPEC"),)


def test_too_many_matrices_are_not_tried():
    assert match_matrices({"ACC": exactly(0.5)}, num_patients=20_000, nums_pcr=[9000]) is None


@pytest.mark.parametrize(("num_pcr", "num_residual"), [(3, 4), (2, 7), (5, 5)])
def test_no_order_of_patients_has_less_auc_variance_than_the_bound(num_pcr, num_residual):
    ratios = []
    for rows in itertools.combinations_with_replacement(range(num_residual + 1), num_pcr):
        columns = [sum(row > place for row in rows) for place in range(num_residual)]
        area = sum(rows) / (num_pcr * num_residual)
        variance = np.var(rows) / num_residual**2 / num_pcr
        variance += np.var(columns) / num_pcr**2 / num_residual
        bound = least_auc_variance(area, num_pcr, num_residual)
        assert variance >= bound - 1e-12
        ratios.append(bound / variance if variance else 1.0)
    assert np.median(ratios) > 0.8


def test_least_auc_variance_is_symmetric_and_zero_at_the_ends():
    assert least_auc_variance(0.8, 13, 36) == pytest.approx(least_auc_variance(0.2, 36, 13))
    assert least_auc_variance(1.0, 13, 36) == 0


@pytest.mark.parametrize("num_trials", [5, 13, 36, 105])
def test_no_usual_interval_of_a_proportion_is_narrower_than_the_least(num_trials):
    for num in range(num_trials + 1):
        least = least_width_of_share(exactly(num / num_trials), num_trials, z=Z)
        for method in ("Wilson", "Clopper-Pearson", "Wald", "Jeffreys", "Agresti-Coull"):
            found = proportion_interval(num, num_trials, method=method)
            assert found.high - found.low >= 0.88 * least


def test_least_width_of_an_auc_is_cut_at_one():
    wide = least_width_of_auc(exactly(0.95), 5, 20, z=Z)
    half = Z * math.sqrt(least_auc_variance(0.95, 5, 20))
    assert wide == pytest.approx(half + 0.05)


@pytest.mark.parametrize("counts", [[[42, 121], [113, 320]], [[28, 59], [119, 367], [8, 15]]])
def test_p_values_of_counts_are_those_of_scipy(counts):
    found = p_values_of_counts(np.array(counts))
    chi2 = stats.chi2_contingency(counts, correction=False).pvalue
    assert found["chi-square"] == pytest.approx(chi2)
    if len(counts) == 2:
        assert found["chi-square, Yates"] == pytest.approx(stats.chi2_contingency(counts).pvalue)
        assert found["Fisher's exact test"] == pytest.approx(stats.fisher_exact(counts).pvalue)


@pytest.mark.parametrize("counts", [[[3, 4], [0, 0]], [[3, 0], [4, 0]]])
def test_an_empty_level_or_group_leaves_nothing_to_test(counts):
    assert p_values_of_counts(np.array(counts)) == {}


def test_p_span_of_means_holds_both_t_tests_of_what_rounds_to_the_print():
    rng = np.random.default_rng(0)
    span = p_span_of_means(
        MeanSpan(rounded(52.5, 1), rounded(9.2, 1), 155),
        MeanSpan(rounded(53.2, 1), rounded(8.1, 1), 441),
    )
    seen = []
    for _ in range(300):
        a, b, c, d = rng.uniform(-0.05, 0.05, 4) + np.array([52.5, 9.2, 53.2, 8.1])
        for equal in (False, True):
            seen.append(stats.ttest_ind_from_stats(a, b, 155, c, d, 441, equal_var=equal).pvalue)
    assert span.low <= min(seen)
    assert max(seen) <= span.high
    assert span.high - span.low < 1.3 * (max(seen) - min(seen))


def test_means_that_may_be_equal_reach_a_p_of_one():
    group = MeanSpan(rounded(5, 0), rounded(2, 0), 20)
    assert p_span_of_means(group, group).high == pytest.approx(1.0)


def test_p_of_an_odds_ratio_follows_from_its_interval():
    spans = [logarithm(exactly(end)) for end in (7.127, 1.735, 29.272)]
    span = p_span_of_estimate(*spans, z=Z)
    error = (math.log(29.272) - math.log(1.735)) / (2 * Z)
    assert span.low == pytest.approx(2 * stats.norm.sf(math.log(7.127) / error))
    assert span.low == span.high


def test_a_ratio_that_may_be_zero_has_no_logarithm():
    assert logarithm(Span(-0.0005, 0.0005)) is None
