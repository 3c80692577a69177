from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.stats.significance import adjust_p_values

few = st.lists(st.integers(0, 40).map(lambda k: k / 40), min_size=1, max_size=6)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def closed(values, test):
    """For each comparison the largest P over all sets that hold it (closed testing)."""
    num = len(values)
    sets = [c for size in range(1, num + 1) for c in combinations(range(num), size)]
    return [max(test(sorted(values[i] for i in s)) for s in sets if j in s) for j in range(num)]


@quick
@given(few)
def test_holm_equals_closed_testing(values):
    bonferroni = closed(values, lambda chosen: min(1.0, len(chosen) * chosen[0]))
    np.testing.assert_allclose(adjust_p_values(values), bonferroni, atol=1e-12)


@quick
@given(few)
def test_bh_equals_the_smallest_rate_that_still_rejects(values):
    ordered = sorted(values)
    twin = [
        min(1.0, *(p * len(values) / (i + 1) for i, p in enumerate(ordered) if p >= value), 1.0)
        for value in values
    ]
    np.testing.assert_allclose(adjust_p_values(values, method="bh"), twin, atol=1e-12)


@pytest.mark.parametrize(
    ("values", "method", "message"),
    [
        ([0.5, 1.2], "holm", "from 0 to 1"),
        ([0.5, np.nan], "holm", "from 0 to 1"),
        ([0.5], "hommel", "expected one of"),
    ],
)
def test_impossible_p_values_are_refused(values, method, message):
    with pytest.raises(ValueError, match=message):
        adjust_p_values(values, method=method)
