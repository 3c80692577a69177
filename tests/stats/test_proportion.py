import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from neoresponse.stats.proportion import (
    clopper_pearson_interval,
    proportion_interval,
    wilson_interval,
)

quick = settings(max_examples=60, deadline=None, derandomize=True)


@quick
@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.51, 0.999))
def test_wilson_holds_its_estimate_and_mirrors(first, second, confidence):
    num_trials = first + second
    estimate = wilson_interval(first, num_trials, confidence=confidence)
    mirrored = wilson_interval(second, num_trials, confidence=confidence)
    if num_trials == 0:
        assert (estimate.value, estimate.low, estimate.high) == (None, None, None)
        assert "denominator" in estimate.note
        return
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert estimate.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_the_ends_of_wilson_solve_its_equation():
    estimate = wilson_interval(7, 29)
    for end in (estimate.low, estimate.high):
        z = (7 / 29 - end) / math.sqrt(end * (1 - end) / 29)
        assert abs(z) == pytest.approx(1.959963984540054, rel=1e-10)


@pytest.mark.parametrize(("num_successes", "num_trials"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(num_successes, num_trials):
    with pytest.raises(ValueError, match="expected 0 to 3"):
        wilson_interval(num_successes, num_trials)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_an_impossible_coverage_is_refused(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson_interval(1, 3, confidence=confidence)


@quick
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_ends_of_clopper_pearson_leave_half_of_the_rest_in_each_tail(first, second):
    num_trials = first + second
    if not num_trials:
        return
    estimate = clopper_pearson_interval(first, num_trials)
    if first:
        assert binom.sf(first - 1, num_trials, estimate.low) == pytest.approx(0.025, rel=1e-9)
    if second:
        assert binom.cdf(first, num_trials, estimate.high) == pytest.approx(0.025, rel=1e-9)


# Newcombe, Stat. Med. 1998, 17:857-872, table I.
@pytest.mark.parametrize(
    ("method", "counts", "low", "high"),
    [
        ("Wilson", (81, 263), 0.2553, 0.3662),
        ("Wilson, corrected", (81, 263), 0.2535, 0.3682),
        ("Clopper-Pearson", (81, 263), 0.2527, 0.3676),
        ("Wald", (81, 263), 0.2522, 0.3638),
        ("Wilson", (1, 29), 0.0061, 0.1718),
        ("Wilson, corrected", (1, 29), 0.0018, 0.1963),
        ("Clopper-Pearson", (1, 29), 0.0009, 0.1776),
        ("Wald", (1, 29), 0.0, 0.1009),
    ],
)
def test_intervals_equal_the_published_ones(method, counts, low, high):
    estimate = proportion_interval(*counts, method=method)
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (low, high)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="expected one of"):
        proportion_interval(1, 2, method="wilson")
