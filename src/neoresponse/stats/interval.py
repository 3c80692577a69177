"""Intervals of single numbers: DeLong for an AUC, Wilson for a proportion.

In: patients or counts. Out: an `Estimate`, which says so where an interval cannot be had.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from neoresponse.stats.discrimination import Placements, placements
from neoresponse.types import Estimate, IntArray

ONE_CLASS = "not estimable: only one of the two classes is present"
TOO_FEW = "no interval: fewer than two patients in one class"
NO_SPREAD = "no interval: DeLong's variance is zero"
NO_TRIALS = "not estimable: no patients in the denominator"


def delong_interval(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """AUC with DeLong's interval, cut at 0 and 1.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        confidence: coverage aimed at, in (0, 1).

    Returns:
        AUC and interval. The interval is None, with a note, where DeLong has none: fewer than two
        patients in a class, or a variance of zero (AUC of exactly 0 or 1, or all tied). The value
        is None as well where a class is empty.

    Source: DeLong et al., Biometrics 1988, 44:837-845.
    """
    placed = placements(label, probability)
    value, variance = placed.auc, delong_variance(placed)
    num_patients = len(placed.doubled_positive) + len(placed.doubled_negative)
    low = high = None
    note = ""
    if value is None:
        note = ONE_CLASS
    elif variance is None:
        note = TOO_FEW
    elif variance == 0:
        note = f"{NO_SPREAD} (AUC is {value:g})"
    else:
        half_width = two_sided_z(confidence) * math.sqrt(variance)
        low, high = max(0.0, value - half_width), min(1.0, value + half_width)
    return Estimate(value, low, high, num_patients, "DeLong", confidence, note)


def delong_variance(placed: Placements) -> float | None:
    """DeLong's variance of an AUC.

    Returns:
        Variance of the placements in each class over the size of that class, added; None where a
        class has fewer than two patients.
    """
    num_positive, num_negative = len(placed.doubled_positive), len(placed.doubled_negative)
    return variance_of_means(
        placed.doubled_positive,
        placed.doubled_negative,
        scales=(2 * num_negative, 2 * num_positive),
    )


def variance_of_means(
    first: IntArray, second: IntArray, *, scales: tuple[int, int]
) -> float | None:
    """Variance of mean(first / scales[0]) + mean(second / scales[1]); the two are independent.

    Whole numbers go in, so equal values give exactly zero.
    """
    if len(first) < 2 or len(second) < 2:
        return None
    parts = (
        float(np.var(values, ddof=1)) / len(values) / scale**2
        for values, scale in ((first, scales[0]), (second, scales[1]))
    )
    return sum(parts)


def wilson_interval(num_successes: int, num_trials: int, *, confidence: float = 0.95) -> Estimate:
    """Proportion with Wilson's score interval, without continuity correction.

    Args:
        num_successes: from 0 to `num_trials`.
        num_trials: patients in the denominator; with none the value is None.
        confidence: coverage aimed at, in (0, 1).

    Returns:
        The proportion and its interval, within [0, 1] by construction.

    Raises:
        ValueError: the counts are impossible.

    Source: Wilson, J. Am. Stat. Assoc. 1927, 22:209-212.
    """
    if not 0 <= num_successes <= num_trials:
        raise ValueError(
            f"num_successes: expected 0 to {num_trials} (num_trials), got {num_successes}"
        )
    if num_trials == 0:
        return Estimate(None, None, None, 0, "Wilson", confidence, NO_TRIALS)
    share = num_successes / num_trials
    z = two_sided_z(confidence)
    spread = z * math.sqrt(share * (1 - share) / num_trials + (z / (2 * num_trials)) ** 2)
    scale = 1 + z**2 / num_trials
    centre = share + z**2 / (2 * num_trials)
    low = (centre - spread) / scale if num_successes else 0.0
    high = (centre + spread) / scale if num_successes < num_trials else 1.0
    return Estimate(share, max(0.0, low), min(1.0, high), num_trials, "Wilson", confidence)


def two_sided_z(confidence: float) -> float:
    """Normal quantile of a two-sided interval: 1.959964 for 0.95.

    Raises:
        ValueError: the coverage is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, got {confidence!r}")
    return float(ndtri(0.5 + confidence / 2))
