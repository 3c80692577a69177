"""P values: what a test gives back, and their adjustment when there are many.

In: P values. Out: P values that hold for all comparisons together.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

from neoresponse.stats.arrays import plain
from neoresponse.types import FloatArray

Adjustment = Literal["holm", "bh", "by"]
ADJUSTMENTS = ("holm", "bh", "by")


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
        method: "holm" keeps the chance of any false claim, "bh" (Benjamini-Hochberg) and "by"
            (Benjamini-Yekutieli; both SciPy's) the share of false claims.

    Returns:
        Adjusted P values in the order given, in [0, 1], shape (comparisons,).

    Raises:
        ValueError: a P value is not in [0, 1], or the method is not known.

    Source: Holm, Scand. J. Stat. 1979, 6:65-70; Benjamini and Hochberg, J. R. Stat. Soc. B 1995,
    57:289-300; Benjamini and Yekutieli, Ann. Stat. 2001, 29:1165-1188.
    """
    values = plain(p_values, "p_values")
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p_values: expected numbers from 0 to 1 of shape (comparisons,)")
    if method not in ADJUSTMENTS:
        raise ValueError(f"method: expected one of {ADJUSTMENTS}, got {method!r}")
    if method != "holm":
        return np.asarray(false_discovery_control(values, method=method) if values.size else values)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    factor = values.size - np.arange(values.size)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factor * values[order]))
    return adjusted
