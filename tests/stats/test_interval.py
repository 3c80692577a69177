import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.stats.discrimination import placements
from neoresponse.stats.interval import delong_interval, delong_variance, wilson_interval

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
