"""Which of two models is better, and how surely: AUCs, and calls at a threshold.

In: labels and probabilities, or counts. Out: a difference with its interval and P value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, chdtrc, ndtr, stdtr, stdtrit

from neoresponse.stats.arrays import plain
from neoresponse.stats.discrimination import placements, sorted_placements
from neoresponse.stats.interval import (
    ONE_CLASS,
    TOO_FEW,
    delong_variance,
    two_sided_z,
    variance_of_means,
)
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray

SAME_ORDER = "not estimable: the variance of the difference is zero"
ONE_PERFECT = "an AUC of exactly 0 or 1 adds no variance: the interval is too narrow"
NEVER_DIFFER = "not estimable: the two never differ"


@dataclass(frozen=True)
class Comparison:
    """A difference between two AUCs.

    Attributes:
        difference: first AUC minus second AUC.
        z: difference over its standard error, or None where that is not estimable.
        p_value: two-sided, or None.
        degrees: degrees of freedom of Student's distribution, or None for the normal one.
    """

    difference: Estimate
    z: float | None
    p_value: float | None
    degrees: float | None = None

    @property
    def p_less(self) -> float | None:
        """One-sided P for "the first AUC is smaller"."""
        return None if self.z is None else _tail(self.z, self.degrees)

    @property
    def p_greater(self) -> float | None:
        """One-sided P for "the first AUC is larger"."""
        return None if self.z is None else _tail(-self.z, self.degrees)


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
    if one.auc is None or two.auc is None:
        empty = Estimate(None, None, None, one.num_patients, "paired DeLong", confidence, ONE_CLASS)
        return Comparison(empty, None, None)
    gained = one.doubled_positive - two.doubled_positive
    variance = variance_of_means(
        gained,
        one.doubled_negative - two.doubled_negative,
        scales=(2 * num_negative, 2 * num_positive),
    )
    alone = Estimate(
        value=int(gained.sum()) / (2 * num_positive * num_negative),
        low=None,
        high=None,
        num_patients=one.num_patients,
        method="paired DeLong",
        confidence=confidence,
        note=ONE_PERFECT if {one.auc, two.auc} & {0.0, 1.0} else "",
    )
    return compared(alone, variance)


def unpaired_delong(
    first: tuple[npt.ArrayLike, npt.ArrayLike],
    second: tuple[npt.ArrayLike, npt.ArrayLike],
    *,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two AUCs of different patients, as R's pROC does.

    Args:
        first: labels and probabilities of one group, each of shape (patients,).
        second: labels and probabilities of the other group, of another shape (patients,).
        confidence: coverage of the interval of the difference.

    Returns:
        First AUC minus second AUC with Student's t: `z` is the t value, `degrees` come from Welch's
        formula with the numbers of patients. Interval, z and P are None with a note where a class
        has fewer than two patients or the variance of the difference is zero.

    Source: Robin et al., BMC Bioinformatics 2011, 12:77 (pROC).
    """
    groups = [sorted_placements(*first), sorted_placements(*second)]
    aucs = [group.auc for group in groups]
    num_patients = sum(group.num_patients for group in groups)
    if aucs[0] is None or aucs[1] is None:
        empty = Estimate(None, None, None, num_patients, "unpaired DeLong", confidence, ONE_CLASS)
        return Comparison(empty, None, None)
    alone = Estimate(
        value=aucs[0] - aucs[1],
        low=None,
        high=None,
        num_patients=num_patients,
        method="unpaired DeLong",
        confidence=confidence,
        note=ONE_PERFECT if set(aucs) & {0.0, 1.0} else "",
    )
    variances = [delong_variance(group) for group in groups]
    if variances[0] is None or variances[1] is None:
        return compared(alone, None)
    total = variances[0] + variances[1]
    if total == 0:
        return compared(alone, 0.0)
    parts = zip(variances, groups, strict=True)
    degrees = total**2 / sum((part or 0.0) ** 2 / (g.num_patients - 1) for part, g in parts)
    return compared(alone, total, degrees=degrees)


def delong_covariance(label: npt.ArrayLike, probabilities: npt.ArrayLike) -> FloatArray | None:
    """Covariance of the AUCs of several models on the same patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probabilities: one row per model, shape (models, patients).

    Returns:
        Shape (models, models); None where a class has fewer than two patients.

    Source: DeLong et al., Biometrics 1988, 44:837-845, equation 5.
    """
    placed = [placements(label, row) for row in plain(probabilities, "probabilities")]
    if not placed or min(len(placed[0].positive), len(placed[0].negative)) < 2:
        return None
    by_pcr = np.stack([one.positive for one in placed])  # (models, pCR patients)
    by_residual = np.stack([one.negative for one in placed])  # (models, residual patients)
    return np.asarray(_covariance(by_pcr) + _covariance(by_residual))


def equal_aucs_test(label: npt.ArrayLike, probabilities: npt.ArrayLike) -> Significance:
    """Test that the AUCs of several models on the same patients are all equal.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probabilities: one row per model, shape (models, patients).

    Returns:
        Wald's chi-square with (models - 1) degrees of freedom; None with a note where the
        covariance of the differences cannot be inverted.

    Source: DeLong et al., Biometrics 1988, 44:837-845, equation 6.
    """
    rows = plain(probabilities, "probabilities")
    covariance = delong_covariance(label, rows)
    if covariance is None or len(rows) < 2:
        return Significance(None, None, "Wald test of equal AUCs", None, TOO_FEW)
    aucs = np.array([sorted_placements(label, row).auc for row in rows])
    contrast = np.eye(len(rows))[:-1] - np.eye(len(rows))[1:]  # each model minus the next
    spread = contrast @ covariance @ contrast.T
    if np.linalg.matrix_rank(spread, hermitian=True) < len(spread):
        return Significance(None, None, "Wald test of equal AUCs", None, SAME_ORDER)
    gap = contrast @ aucs
    statistic = float(gap @ np.linalg.solve(spread, gap))
    degrees = len(spread)
    p_value = float(chdtrc(degrees, statistic))
    return Significance(statistic, p_value, "Wald test of equal AUCs", degrees)


def heterogeneity_test(
    groups: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
) -> Significance:
    """Test that one model has the same AUC in groups that share no patient.

    Args:
        groups: labels and probabilities of each group, each of shape (patients,).

    Returns:
        Cochran's Q over the AUCs, weighted by their DeLong variances, against chi-square with
        (groups - 1) degrees of freedom. Groups whose AUC has no variance (fewer than two patients
        in a class, or an AUC of 0 or 1) are left out, and the note says how many. None where fewer
        than two are left. Nothing is fitted.

    Source: Cochran, Biometrics 1954, 10:101-129; variances: DeLong et al., Biometrics 1988.
    """
    name = "Cochran's Q"
    placed = [sorted_placements(*group) for group in groups]
    found = [(one.auc, variance) for one in placed if (variance := delong_variance(one))]
    num_lost = len(placed) - len(found)
    note = f"{num_lost} of {len(placed)} groups left out: no variance" if num_lost else ""
    if len(found) < 2:
        return Significance(None, None, name, None, f"not estimable: {note or 'one group'}")
    aucs, variances = np.array(found, dtype=np.float64).T
    centre = np.average(aucs, weights=1 / variances)
    statistic, degrees = float(np.sum((aucs - centre) ** 2 / variances)), len(found) - 1
    return Significance(statistic, float(chdtrc(degrees, statistic)), name, degrees, note)


def mcnemar_tests(num_first_only: int, num_second_only: int) -> dict[str, Significance]:
    """Compare two ways of calling the same patients by those they call differently.

    Args:
        num_first_only: patients whom only the first calls right, >= 0.
        num_second_only: patients whom only the second calls right, >= 0.

    Returns:
        "exact" and "mid-P" (binomial, no statistic), "chi-square" and "corrected" (continuity
        correction of 1, as in R none where the two numbers are equal; None with a note where the
        two never differ). Mid-P is the one to use: it keeps its level and loses least power.

    Raises:
        ValueError: a count is negative.

    Source: McNemar, Psychometrika 1947, 12:153-157; Fagerland et al., BMC Med. Res. Methodol. 2013,
    13:91.
    """
    if min(num_first_only, num_second_only) < 0:
        raise ValueError(f"counts: expected >= 0, got {num_first_only} and {num_second_only}")
    fewer, num = min(num_first_only, num_second_only), num_first_only + num_second_only
    gap = abs(num_first_only - num_second_only)
    below = float(bdtr(fewer, num, 0.5))
    exact = 1.0 if gap == 0 else min(1.0, 2 * below)
    at_fewer = math.comb(num, fewer) / 2**num
    mid_p = 1 - at_fewer / 2 if gap == 0 else 2 * below - at_fewer
    mid_p = mid_p if num else 1.0
    found = {
        "exact": Significance(None, exact, "exact McNemar"),
        "mid-P": Significance(None, mid_p, "mid-P McNemar"),
    }
    for name, correction in (("chi-square", 0), ("corrected", min(gap, 1))):
        method = f"McNemar, {name}"
        if num == 0:
            found[name] = Significance(None, None, method, 1, NEVER_DIFFER)
            continue
        statistic = (gap - correction) ** 2 / num
        found[name] = Significance(statistic, float(chdtrc(1, statistic)), method, 1)
    return found


def compared(
    alone: Estimate, variance: float | None, *, degrees: float | None = None
) -> Comparison:
    """Put an interval and a P value around a difference.

    Args:
        alone: the difference, without interval; its note stays where there is a variance.
        variance: of the difference, or None where a class has fewer than two patients.
        degrees: degrees of freedom of Student's distribution, or None for the normal one.

    Returns:
        Interval, z and P are None with a note where the variance is None or zero.
    """
    value = alone.value
    assert value is not None
    if not variance:
        note = TOO_FEW if variance is None else SAME_ORDER
        bare = Estimate(value, None, None, alone.num_patients, alone.method, alone.confidence, note)
        return Comparison(bare, None, None)
    error = math.sqrt(variance)
    quantile = two_sided_z(alone.confidence)
    if degrees is not None:
        quantile = float(stdtrit(degrees, 0.5 + alone.confidence / 2))
    difference = Estimate(
        value=value,
        low=value - quantile * error,
        high=value + quantile * error,
        num_patients=alone.num_patients,
        method=alone.method,
        confidence=alone.confidence,
        note=alone.note,
    )
    z = value / error
    return Comparison(difference, z, 2 * _tail(-abs(z), degrees), degrees)


def _tail(z: float, degrees: float | None) -> float:
    """Chance of a smaller value than z."""
    return float(ndtr(z) if degrees is None else stdtr(degrees, z))


def _covariance(rows: FloatArray) -> FloatArray:
    """Covariance of the means of rows, shape (rows, rows)."""
    return np.asarray(np.atleast_2d(np.cov(rows)) / rows.shape[1])
