"""P values: what a test gives back, and their adjustment when there are many.

In: P values. Out: P values that hold for all comparisons together.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from neoresponse.stats.arrays import plain
from neoresponse.types import FloatArray

Adjustment = Literal["bonferroni", "holm", "hochberg", "hommel", "bh", "by"]
ADJUSTMENTS = ("bonferroni", "holm", "hochberg", "hommel", "bh", "by")


@dataclass(frozen=True)
class Significance:
    """The result of a test.

    Attributes:
        statistic: what the test computed, or None where it is not estimable.
        p_value: two-sided unless the method says otherwise, in [0, 1], or None.
        method: name of the test.
        degrees: degrees of freedom, where the test has some.
        note: why a number is missing or special, else empty.
    """

    statistic: float | None
    p_value: float | None
    method: str
    degrees: float | None = None
    note: str = ""


def adjust_p_values(p_values: npt.ArrayLike, *, method: Adjustment = "holm") -> FloatArray:
    """Adjust P values for their number; the same numbers as R's `p.adjust`.

    Args:
        p_values: in [0, 1], shape (comparisons,).
        method: "bonferroni", "holm", "hochberg" and "hommel" keep the chance of any false claim,
            "bh" (Benjamini-Hochberg) and "by" (Benjamini-Yekutieli) the share of false claims.

    Returns:
        Adjusted P values in the order given, in [0, 1], shape (comparisons,).

    Raises:
        ValueError: a P value is not in [0, 1], or the method is not known.

    Source: Holm, Scand. J. Stat. 1979, 6:65-70; Hochberg, Biometrika 1988, 75:800-802; Hommel,
    Biometrika 1988, 75:383-386; Benjamini and Hochberg, J. R. Stat. Soc. B 1995, 57:289-300;
    Benjamini and Yekutieli, Ann. Stat. 2001, 29:1165-1188.
    """
    values = plain(p_values, "p_values")
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p_values: expected numbers from 0 to 1 of shape (comparisons,)")
    if method not in ADJUSTMENTS:
        raise ValueError(f"method: expected one of {ADJUSTMENTS}, got {method!r}")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, _adjust_rising(values[order], method))
    return adjusted


def _adjust_rising(values: FloatArray, method: Adjustment) -> FloatArray:
    """Adjust P values that rise."""
    num = len(values)
    rank = np.arange(1, num + 1)
    if method == "bonferroni":
        return np.asarray(num * values)
    if method == "holm":
        return np.asarray(np.maximum.accumulate((num + 1 - rank) * values))
    if method == "hommel":
        return _hommel(values)
    if method == "hochberg":
        factor = (num + 1 - rank).astype(np.float64)
    else:
        factor = num / rank * (np.sum(1 / rank) if method == "by" else 1.0)
    return np.asarray(np.minimum.accumulate((factor * values)[::-1])[::-1])


def _hommel(values: FloatArray) -> FloatArray:
    """For each comparison the largest Simes P value over all sets that hold it."""
    num = len(values)
    adjusted = values.copy()
    for size in range(2, num + 1):
        # The worst set of this size is made of the largest P values, and of the comparison itself.
        largest = values[num - size :]
        others = np.min(size * largest[1:] / np.arange(2, size + 1))
        is_among = np.arange(num) >= num - size
        smallest = np.where(is_among, largest[0], values)
        adjusted = np.maximum(adjusted, np.minimum(size * smallest, others))
    return np.asarray(adjusted)
