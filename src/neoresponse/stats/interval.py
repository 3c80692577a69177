"""Intervals of one AUC: DeLong on two scales, and Newcombe's, which an AUC of 1 has as well.

In: patients. Out: an `Estimate`, which says so where an interval cannot be had.
"""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri, stdtrit

from neoresponse.stats.discrimination import Placements, sorted_placements
from neoresponse.types import Estimate, IntArray, checked_confidence

ONE_CLASS = "not estimable: only one of the two classes is present"
TOO_FEW = "no CI: fewer than two patients in one class"
NO_SPREAD = "no CI: DeLong's variance is zero"
PERFECT = "Newcombe's interval, because DeLong's variance is zero"
NEAR = 1e-9
PRIOR_PATIENTS = 20
"""How many patients of the rarer class Newcombe's variance is worth beside DeLong's."""


def delong_interval(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    scale: Literal["plain", "logit"] = "plain",
) -> Estimate:
    """AUC with DeLong's interval.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        confidence: coverage aimed at, in (0, 1).
        scale: "plain" is symmetric around the AUC and cut at 0 and 1; "logit" is symmetric around
            its log odds (delta method), so it stays inside by itself.

    Returns:
        AUC and interval. The interval is None, with a note, where DeLong has none: fewer than two
        patients in a class, or a variance of zero (AUC of exactly 0 or 1, or all tied). The value
        is None as well where a class is empty.

    Source: DeLong et al., Biometrics 1988, 44:837-845; the logit scale: Pepe, The Statistical
    Evaluation of Medical Tests, 2003, section 5.2.
    """
    if scale not in ("plain", "logit"):
        raise ValueError(f"scale: expected 'plain' or 'logit', got {scale!r}")
    placed = sorted_placements(label, probability)
    value, variance = placed.auc, delong_variance(placed)
    method = "DeLong" if scale == "plain" else "DeLong, logit scale"
    if value is None:
        return Estimate(None, None, None, placed.num_patients, method, confidence, ONE_CLASS)
    if not variance:
        note = TOO_FEW if variance is None else f"{NO_SPREAD} (AUC is {value:g})"
        return Estimate(value, None, None, placed.num_patients, method, confidence, note)
    half_width = two_sided_z(confidence) * math.sqrt(variance)
    if scale == "plain":
        low, high = max(0.0, value - half_width), min(1.0, value + half_width)
    else:
        half_width /= value * (1 - value)
        low, high = (float(expit(logit(value) + side * half_width)) for side in (-1, 1))
    return Estimate(value, low, high, placed.num_patients, method, confidence)


def auc_interval(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """AUC with the interval to trust, however few patients have pCR.

    Newcombe's interval takes its variance from the AUC and the class sizes alone, which is right
    for like distributions; DeLong's estimates it, which takes many patients of both classes. Here
    the ratio of the two is drawn towards 1 as if `PRIOR_PATIENTS` patients of the rarer class had
    said so: nearly Newcombe's interval for 3 pCR patients, nearly DeLong's for 300.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        confidence: coverage aimed at, in (0, 1).

    Returns:
        AUC and interval, inside [0, 1]. Where every pair is right, or every pair wrong, DeLong's
        variance is zero: Newcombe's interval, with a note. No interval, with a note, where a class
        has fewer than two patients or all probabilities are tied.

    Source: `newcombe_interval`, `delong_variance`; the coverage by which the rule was chosen is
    in docs/explanation/statistics.md.
    """
    placed = sorted_placements(label, probability)
    value, variance = placed.auc, delong_variance(placed)
    num, method = placed.num_patients, "Newcombe, with DeLong's variance"
    if value is None or variance is None:
        note = ONE_CLASS if value is None else TOO_FEW
        return Estimate(value, None, None, num, method, confidence, note)
    if value in (0.0, 1.0):
        note = f"{PERFECT} (AUC is {value:g})"
        return replace(_by_score(placed, value, confidence=confidence), note=note)
    if not variance:
        note = f"{NO_SPREAD} (AUC is {value:g})"
        return Estimate(value, None, None, num, method, confidence, note)
    sizes = len(placed.doubled_positive), len(placed.doubled_negative)
    ratio = variance / newcombe_variance(value, *sizes)
    inflation = (min(sizes) * ratio + PRIOR_PATIENTS) / (min(sizes) + PRIOR_PATIENTS)
    found = _by_score(placed, value, confidence=confidence, inflation=inflation)
    return replace(found, method=method)


def newcombe_interval(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """AUC with Newcombe's method 5: the AUCs whose own standard error reaches the found one.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        confidence: coverage aimed at, in (0, 1).

    Returns:
        AUC and an interval inside [0, 1], which exists for an AUC of exactly 1 too. None with a
        note where a class is empty.

    Source: Newcombe, Stat. Med. 2006, 25:559-573, method 5.
    """
    placed = sorted_placements(label, probability)
    if placed.auc is None:
        return Estimate(None, None, None, placed.num_patients, "Newcombe", confidence, ONE_CLASS)
    return _by_score(placed, placed.auc, confidence=confidence)


def _by_score(
    placed: Placements, value: float, *, confidence: float, inflation: float = 1.0
) -> Estimate:
    """Newcombe's interval, its variance times a factor."""
    z = two_sided_z(confidence)
    sizes = len(placed.doubled_positive), len(placed.doubled_negative)

    def distance(other: float) -> float:
        return (value - other) ** 2 - z**2 * inflation * newcombe_variance(other, *sizes)

    # At 0 and 1 the distance is zero by itself; the end looked for lies further off.
    inside = min(max(value, NEAR), 1 - NEAR)
    low = float(brentq(distance, 0.0, inside, xtol=1e-14)) if value > 0 else 0.0
    high = float(brentq(distance, inside, 1.0, xtol=1e-14)) if value < 1 else 1.0
    return Estimate(value, low, high, placed.num_patients, "Newcombe", confidence)


def newcombe_variance(auc: float, num_positive: float, num_negative: float) -> float:
    """Variance of an AUC from the AUC and the class sizes alone.

    Args:
        auc: in [0, 1].
        num_positive: pCR patients, > 0; not necessarily a whole number.
        num_negative: residual patients, > 0.

    Returns:
        Hanley and McNeil's exponential variance with both class sizes set to their mean.

    Source: Newcombe, Stat. Med. 2006, 25:559-573, method 5.
    """
    others = (num_positive + num_negative) / 2 - 1
    spread = 1 + others * ((1 - auc) / (2 - auc) + auc / (1 + auc))
    return auc * (1 - auc) * spread / (num_positive * num_negative)


def hanley_mcneil_error(auc: float, num_positive: int, num_negative: int) -> float:
    """Standard error of an AUC under exponential distributions.

    Args:
        auc: in [0, 1].
        num_positive: pCR patients, > 0.
        num_negative: residual patients, > 0.

    Returns:
        A number >= 0.

    Source: Hanley and McNeil, Radiology 1982, 143:29-36.
    """
    by_pcr, by_residual = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc)
    variance += (num_positive - 1) * (by_pcr - auc**2)
    variance += (num_negative - 1) * (by_residual - auc**2)
    return math.sqrt(max(0.0, variance) / (num_positive * num_negative))


def delong_variance(placed: Placements) -> float | None:
    """DeLong's variance of an AUC.

    Args:
        placed: from `placements` or `sorted_placements`.

    Returns:
        Variance of the placements in each class over the size of that class, added; None where a
        class has fewer than two patients.

    Source: DeLong et al., Biometrics 1988, 44:837-845.
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


def two_sided_z(confidence: float) -> float:
    """Normal quantile of a two-sided interval: 1.959964 for 0.95.

    Raises:
        ValueError: the coverage is not between 0 and 1.
    """
    return float(ndtri(0.5 + checked_confidence(confidence) / 2))


def two_sided_t(confidence: float, degrees: float) -> float:
    """The same of Student's t with so many degrees of freedom."""
    return float(stdtrit(degrees, 0.5 + checked_confidence(confidence) / 2))
