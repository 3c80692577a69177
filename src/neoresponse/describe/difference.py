"""Standardised differences between two groups, with intervals, for numbers and for levels.

In: values or counts. Out: an `Estimate`. Unlike a P value, they do not grow with the number of
patients.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import chndtr

from neoresponse.stats import standardized_difference, summary
from neoresponse.stats.interval import two_sided_z
from neoresponse.types import Estimate, FloatArray

NORMAL, NONCENTRAL = "standardised difference, normal", "distance of shares, noncentral chi-square"
TOO_FEW = "not estimable: fewer than two known values in a group"
NO_SPREAD = "not estimable: nothing varies within the groups"
NO_PATIENTS = "not estimable: a group has no known value"
MAX_DOUBLINGS = 40


def standardized_number_difference(
    group: FloatArray, reference: FloatArray, *, confidence: float = 0.95
) -> Estimate:
    """Difference of two means in standard deviations.

    Args:
        group: known values, shape (values,).
        reference: known values of the other group, shape (values,).
        confidence: coverage of the interval.

    Returns:
        Mean of the group minus mean of the reference over the root of the mean variance, and its
        interval; None with a note where there is none.

    Source: Austin, Stat. Med. 2009, 28:3083-3107; interval: Hedges and Olkin, Statistical Methods
    for Meta-Analysis, 1985, chapter 5.
    """
    first, second = len(group), len(reference)
    num = first + second
    if min(first, second) < 2:
        return Estimate(None, None, None, num, NORMAL, confidence, TOO_FEW)
    value = standardized_difference(summary(group), summary(reference))
    if value is None:
        return Estimate(None, None, None, num, NORMAL, confidence, NO_SPREAD)
    variance = num / (first * second) + value**2 / (2 * num)
    half_width = two_sided_z(confidence) * math.sqrt(variance)
    return Estimate(value, value - half_width, value + half_width, num, NORMAL, confidence)


def standardized_level_difference(
    group: Sequence[int], reference: Sequence[int], *, confidence: float = 0.95
) -> Estimate:
    """Distance between two groups in the shares of their levels.

    Args:
        group: patients at each level.
        reference: patients of the other group at each level.
        confidence: coverage of the interval.

    Returns:
        Mahalanobis' distance of the shares, >= 0; with two levels it is the difference of shares
        over the root of the mean variance. A distance is above 0 by chance alone, the more the more
        levels there are; its interval allows for that and may lie below the value. None with a note
        where a group is empty or nothing varies.

    Source: Yang and Dalton, SAS Global Forum 2012, paper 335; interval by inversion: Steiger,
    Psychol. Methods 2004, 9:164-182.
    """
    counts = np.array([group, reference], dtype=np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    nums = counts.sum(axis=1)
    num = int(nums.sum())
    if not nums.all():
        return Estimate(None, None, None, num, NONCENTRAL, confidence, NO_PATIENTS)
    shares = (counts / nums[:, np.newaxis])[:, 1:]  # one level follows from the others
    spread = np.mean([np.diag(share) - np.outer(share, share) for share in shares], axis=0)
    if not shares.size or np.linalg.matrix_rank(spread, hermitian=True) < len(spread):
        return Estimate(None, None, None, num, NONCENTRAL, confidence, NO_SPREAD)
    gap = shares[0] - shares[1]
    value = math.sqrt(max(0.0, float(gap @ np.linalg.solve(spread, gap))))
    # The squared distance over this is noncentral chi-square in large groups.
    unit = float(np.sum(1 / nums))
    found, degrees = value**2 / unit, len(gap)
    low = _noncentrality(found, degrees, below=0.5 + confidence / 2)
    # A distance smaller than chance gives on average must not shrink the upper end.
    high = _noncentrality(max(found, degrees), degrees, below=0.5 - confidence / 2)
    low, high = math.sqrt(unit * low), math.sqrt(unit * high)
    return Estimate(value, low, high, num, NONCENTRAL, confidence)


def _noncentrality(statistic: float, degrees: int, *, below: float) -> float:
    """The noncentrality at which so large a share lies below the statistic; 0 where none does."""

    def excess(noncentrality: float) -> float:
        return float(chndtr(statistic, degrees, noncentrality)) - below

    if excess(0.0) <= 0:
        return 0.0
    far = 1.0 + statistic
    for _ in range(MAX_DOUBLINGS):
        if excess(far) < 0:
            break
        far *= 2
    return float(brentq(excess, 0.0, far, xtol=1e-10))
