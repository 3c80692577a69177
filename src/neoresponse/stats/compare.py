"""Two sets of probabilities for the same patients: which orders them better, and how surely.

In: labels and two probabilities each. Out: the difference in AUC with its interval and P value.
"""

import math
from dataclasses import dataclass

import numpy.typing as npt
from scipy.special import ndtr

from neoresponse.stats.discrimination import placements
from neoresponse.stats.interval import ONE_CLASS, TOO_FEW, two_sided_z, variance_of_means
from neoresponse.types import Estimate

SAME_ORDER = "not estimable: the variance of the difference is zero"
ONE_PERFECT = "an AUC of exactly 0 or 1 adds no variance: the interval is too narrow"


@dataclass(frozen=True)
class Comparison:
    """A difference between two AUCs.

    Attributes:
        difference: first AUC minus second AUC.
        z: difference over its standard error, or None where that is not estimable.
        p_value: two-sided, from the normal distribution, or None.
    """

    difference: Estimate
    z: float | None
    p_value: float | None


def paired_delong(
    label: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two AUCs of the same patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        first: probabilities of pCR from one model, shape (patients,).
        second: probabilities of pCR from the other, shape (patients,).
        confidence: coverage of the interval of the difference.

    Returns:
        first - second, its interval (not cut at -1 and 1), z and two-sided P. Interval, z and P
        are None with a note where a class has fewer than two patients or the variance is zero.

    Source: DeLong et al., Biometrics 1988, 44:837-845.
    """
    one, two = placements(label, first), placements(label, second)
    num_positive, num_negative = len(one.doubled_positive), len(one.doubled_negative)
    num_patients = num_positive + num_negative
    if one.auc is None or two.auc is None:
        empty = Estimate(None, None, None, num_patients, "paired DeLong", confidence, ONE_CLASS)
        return Comparison(empty, None, None)
    gained = int((one.doubled_positive - two.doubled_positive).sum())
    value = gained / (2 * num_positive * num_negative)
    variance = variance_of_means(
        one.doubled_positive - two.doubled_positive,
        one.doubled_negative - two.doubled_negative,
        scales=(2 * num_negative, 2 * num_positive),
    )
    if not variance:
        note = TOO_FEW if variance is None else SAME_ORDER
        alone = Estimate(value, None, None, num_patients, "paired DeLong", confidence, note)
        return Comparison(alone, None, None)
    error = math.sqrt(variance)
    half_width = two_sided_z(confidence) * error
    difference = Estimate(
        value=value,
        low=value - half_width,
        high=value + half_width,
        num_patients=num_patients,
        method="paired DeLong",
        confidence=confidence,
        note=ONE_PERFECT if {one.auc, two.auc} & {0.0, 1.0} else "",
    )
    return Comparison(difference, value / error, float(2 * ndtr(-abs(value) / error)))
