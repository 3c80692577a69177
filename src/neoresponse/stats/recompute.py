"""P values from what a table prints: counts, means with standard deviations, ratios with intervals.

In: counts, or spans of printed numbers. Out: the P values that these allow.
"""

import itertools
import math
from typing import NamedTuple

from scipy.special import ndtr

from neoresponse.stats.arrays import plain
from neoresponse.stats.consistency import Span
from neoresponse.stats.contingency import chi_square
from neoresponse.stats.fisher import fisher_test
from neoresponse.stats.groups import Summary, t_test
from neoresponse.types import IntArray

MAX_PATHS = 2_000_000


class MeanSpan(NamedTuple):
    """Mean and standard deviation of one group, as printed, with its number of patients."""

    mean: Span
    sd: Span
    num_patients: int


def p_values_of_counts(counts: IntArray) -> dict[str, float]:
    """P values of the usual tests of independence.

    Args:
        counts: patients by level and group, shape (levels, groups).

    Returns:
        Name of the test -> P: chi-square; for two levels also with Yates' correction; Fisher's,
        where all tables can be counted. Empty where nothing can be tested: a group is empty, or all
        levels but one.

    Source: as `chi_square` and `fisher_test`.
    """
    table = plain(counts, "counts")
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or (table.sum(axis=0) == 0).any():
        return {}
    tests = [chi_square(table), fisher_test(table, max_paths=MAX_PATHS)]
    if table.shape == (2, 2):
        tests.append(chi_square(table, corrected=True))
    return {
        test.method: test.p_value for test in tests if test.p_value is not None and not test.note
    }


def p_span_of_means(first: MeanSpan, second: MeanSpan) -> Span:
    """P values that Student's or Welch's t test can give, whatever was rounded away.

    Both fall with the distance of the means and rise with the standard deviations, so the ends lie
    at the ends of the spans.
    """
    gaps = [abs(a - b) for a, b in itertools.product(first.mean, second.mean)]
    if first.mean.meets(second.mean):
        gaps.append(0.0)
    found = [
        _p_of_t(gap, (one, first.num_patients), (two, second.num_patients), equal_spread=equal)
        for gap in (min(gaps), max(gaps))
        for one, two in itertools.product(first.sd, second.sd)
        for equal in (False, True)
    ]
    return Span(min(found), max(found))


def p_span_of_estimate(value: Span, low: Span, high: Span, *, z: float) -> Span:
    """P values of a normal test of "the value is 0", from the value and its interval.

    The standard error is the interval's width over twice `z`.
    """
    widths = (high.low - low.high, high.high - low.low)
    furthest = max(abs(value.low), abs(value.high))
    nearest = 0.0 if value.low <= 0 <= value.high else min(abs(value.low), abs(value.high))
    least = 2 * float(ndtr(-furthest * 2 * z / widths[0])) if widths[0] > 0 else 0.0
    most = 2 * float(ndtr(-nearest * 2 * z / widths[1])) if widths[1] > 0 else 1.0
    return Span(least, most)


def logarithm(ratio: Span) -> Span | None:
    """Natural logarithm of a span; None where it reaches 0."""
    return Span(math.log(ratio.low), math.log(ratio.high)) if ratio.low > 0 else None


def _p_of_t(
    gap: float, first: tuple[float, int], second: tuple[float, int], *, equal_spread: bool
) -> float:
    """P of one t test; each group is (sd, patients). Without any spread P is 0, or 1 for no gap."""
    groups = Summary(gap, *first), Summary(0.0, *second)
    p_value = t_test(*groups, equal_spread=equal_spread).test.p_value
    if p_value is None:
        return 1.0 if gap == 0 else 0.0
    return p_value
