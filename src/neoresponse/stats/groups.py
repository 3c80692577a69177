"""A measured variable in two or more groups: tests of location.

In: the values of each group. Out: a `Significance`, with R's defaults where R has a choice.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc, stdtr
from scipy.stats import kruskal

from neoresponse.stats.arrays import plain
from neoresponse.stats.interval import two_sided_t
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray

NO_SPREAD = "not estimable: all values are equal"
TOO_SMALL = "not estimable: fewer than two values in a group"
ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Values that differ by less than this share of the largest differ by rounding alone."""


@dataclass(frozen=True)
class Summary:
    """A group as a paper prints it.

    Attributes:
        mean: arithmetic mean.
        sd: standard deviation with the divisor n - 1, >= 0.
        num: values in the group, >= 2.
    """

    mean: float
    sd: float
    num: int


@dataclass(frozen=True)
class MeanDifference:
    """A difference between two means.

    Attributes:
        difference: first mean minus second mean with its interval.
        test: Student's or Welch's t, its degrees of freedom and P value.
    """

    difference: Estimate
    test: Significance


def summary(values: npt.ArrayLike) -> Summary:
    """Mean, standard deviation and size of a group, shape (values,).

    Raises:
        ValueError: a value is not finite, or there are fewer than two.

    Source: the definition.
    """
    group = _checked(values)
    if group.size < 2:
        raise ValueError(f"values: expected at least two, got {group.size}")
    mean, sd = _mean_and_sd(group)
    return Summary(mean, sd, group.size)


def is_constant(values: npt.ArrayLike) -> bool:
    """Whether values, shape (values,), are equal but for rounding."""
    group = _checked(values)
    return float(np.ptp(group)) <= ROUNDING * float(np.abs(group).max())


def t_test(
    first: Summary, second: Summary, *, equal_spread: bool = False, confidence: float = 0.95
) -> MeanDifference:
    """Compare two means.

    Args:
        first: one group, from `summary` or from a printed table.
        second: the other group.
        equal_spread: Student's test, which takes both groups to spread alike; else Welch's.
        confidence: coverage of the interval of the difference.

    Returns:
        First mean minus second mean, its interval, t, degrees of freedom and two-sided P; None with
        a note where neither group spreads.

    Source: Welch, Biometrika 1947, 34:28-35; Student, Biometrika 1908, 6:1-25.
    """
    name = "Student's t" if equal_spread else "Welch's t"
    by_first, by_second = first.sd**2 / first.num, second.sd**2 / second.num
    if equal_spread:
        degrees: float = first.num + second.num - 2
        pooled = (first.num - 1) * first.sd**2 + (second.num - 1) * second.sd**2
        variance = pooled / degrees * (1 / first.num + 1 / second.num)
    else:
        variance = by_first + by_second
        parts = by_first**2 / (first.num - 1) + by_second**2 / (second.num - 1)
        degrees = variance**2 / parts if parts else math.inf
    gap, num = first.mean - second.mean, first.num + second.num
    if not variance:
        bare = Estimate(gap, None, None, num, name, confidence, NO_SPREAD)
        return MeanDifference(bare, Significance(None, None, name, None, NO_SPREAD))
    error = math.sqrt(variance)
    half_width = two_sided_t(confidence, degrees) * error
    p_value = 2 * float(stdtr(degrees, -abs(gap / error)))
    return MeanDifference(
        Estimate(gap, gap - half_width, gap + half_width, num, name, confidence),
        Significance(gap / error, p_value, name, degrees),
    )


def standardized_difference(first: Summary, second: Summary) -> float | None:
    """Standardised mean difference, on the scale of the mean of both variances.

    Args:
        first: one group.
        second: the other group.

    Returns:
        First mean minus second mean in standard deviations; None where neither group spreads.

    Source: Austin, Stat. Med. 2009, 28:3083-3107.
    """
    spread = math.sqrt((first.sd**2 + second.sd**2) / 2)
    return (first.mean - second.mean) / spread if spread else None


def means_test(groups: list[npt.ArrayLike], *, equal_spread: bool = False) -> Significance:
    """Compare the means of two or more groups.

    Args:
        groups: the values of each group, at least two in each.
        equal_spread: classical analysis of variance; else Welch's, which lets spreads differ (R's
            `oneway.test`).

    Returns:
        F and P; `degrees` are those of the denominator. None with a note where groups are too small
        or do not spread.

    Source: Welch, Biometrika 1951, 38:330-336; Fisher, Statistical Methods for Research Workers,
    1925.
    """
    name = "analysis of variance" if equal_spread else "Welch's analysis of variance"
    arrays = [_checked(group) for group in groups]
    if len(arrays) < 2 or min(group.size for group in arrays) < 2:
        return Significance(None, None, name, None, TOO_SMALL)
    nums = np.array([group.size for group in arrays])
    means, sds = np.array([_mean_and_sd(group) for group in arrays]).T
    variances = sds**2
    if not (variances.any() if equal_spread else variances.all()):
        return Significance(None, None, name, None, NO_SPREAD)
    free = len(arrays) - 1
    if equal_spread:
        centre = np.average(means, weights=nums)
        degrees = float(nums.sum() - len(arrays))
        within = np.sum((nums - 1) * variances) / degrees
        ratio = float(np.sum(nums * (means - centre) ** 2) / free / within)
    else:
        weights = nums / variances
        centre = np.average(means, weights=weights)
        lost = np.sum((1 - weights / weights.sum()) ** 2 / (nums - 1)) / (free * (free + 2))
        between = np.sum(weights * (means - centre) ** 2) / free
        ratio = float(between / (1 + 2 * (free - 1) * lost))
        degrees = float(1 / (3 * lost))
    return Significance(ratio, float(fdtrc(free, degrees, ratio)), name, degrees)


def kruskal_wallis(groups: list[npt.ArrayLike]) -> Significance:
    """Compare two or more groups by ranks.

    Args:
        groups: the values of each group, at least one in each.

    Returns:
        H corrected for ties, and P from chi-square; None with a note where all values are equal.

    Source: Kruskal and Wallis, J. Am. Stat. Assoc. 1952, 47:583-621.
    """
    arrays = [_checked(group) for group in groups]
    if len(arrays) < 2 or is_constant(np.concatenate(arrays)):
        return Significance(None, None, "Kruskal-Wallis", None, NO_SPREAD)
    found = kruskal(*arrays)
    degrees = float(len(arrays) - 1)
    return Significance(float(found.statistic), float(found.pvalue), "Kruskal-Wallis", degrees)


def _mean_and_sd(group: FloatArray) -> tuple[float, float]:
    """What rounding leaves in the deviation of equal values is no spread."""
    if is_constant(group):
        return float(np.median(group)), 0.0
    return float(group.mean()), float(group.std(ddof=1))


def _checked(values: npt.ArrayLike) -> FloatArray:
    """One group as float64."""
    group = plain(values, "values")
    if group.ndim != 1 or not group.size or not np.isfinite(group).all():
        raise ValueError(f"values: expected finite numbers, one axis, got shape {group.shape}")
    return group
