"""Tables of counts: expected ones, chi-square, odds ratio.

In: counts by row and column. Out: a `Significance` or a number.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2_contingency
from scipy.stats.contingency import expected_freq

from neoresponse.stats.arrays import plain
from neoresponse.stats.significance import Significance
from neoresponse.types import FloatArray, IntArray


def expected_counts(table: npt.ArrayLike) -> FloatArray:
    """Counts that independent rows and columns would give.

    Args:
        table: whole numbers >= 0, no empty row or column, shape (rows, columns).

    Returns:
        Shape (rows, columns); where one is below 5, chi-square is rough: take Fisher's test.

    Source: Pearson, Philos. Mag. 1900, 50:157-175.
    """
    return np.asarray(expected_freq(checked_table(table)))


def chi_square(table: npt.ArrayLike, *, corrected: bool = False) -> Significance:
    """Test that rows and columns are independent.

    Args:
        table: whole numbers >= 0, no empty row or column, shape (rows, columns).
        corrected: Yates' continuity correction, for 2 x 2 tables only (R's default there).

    Returns:
        Chi-square, P and degrees of freedom.

    Raises:
        ValueError: the table is not one of counts, or a correction is asked for a larger one.

    Source: Pearson, Philos. Mag. 1900, 50:157-175; Yates, Suppl. J. R. Stat. Soc. 1934, 1:217-235
    (SciPy's implementation).
    """
    counts = checked_table(table)
    if corrected and counts.shape != (2, 2):
        raise ValueError(f"corrected: expected a 2 x 2 table, got {counts.shape}")
    found = chi2_contingency(counts, correction=corrected)
    name = "chi-square, Yates" if corrected else "chi-square"
    return Significance(float(found.statistic), float(found.pvalue), name, int(found.dof))


def odds_ratio(table: npt.ArrayLike) -> float | None:
    """Cross-product ratio of a 2 x 2 table; infinite over zero, None for 0 / 0.

    Args:
        table: whole numbers >= 0, shape (2, 2).

    Raises:
        ValueError: an entry is no count, or the table is not 2 x 2.

    Source: Cornfield, J. Natl. Cancer Inst. 1951, 11:1269-1275.
    """
    counts = _counted(table)
    if counts.shape != (2, 2):
        raise ValueError(f"table: expected 2 x 2, got {counts.shape}")
    (one, two), (three, four) = counts.tolist()
    if two * three:
        return float(one * four / (two * three))
    return math.inf if one * four else None


def checked_table(table: npt.ArrayLike) -> IntArray:
    """A table of counts.

    Raises:
        ValueError: fewer than two rows or columns, an empty one, or entries that are not counts.
    """
    counts = _counted(table)
    if counts.ndim != 2 or min(counts.shape) < 2:
        raise ValueError(f"table: expected at least 2 rows and 2 columns, got {counts.shape}")
    if not counts.sum(axis=0).all() or not counts.sum(axis=1).all():
        raise ValueError("table: expected no empty row or column. Leave it out.")
    return counts


def _counted(table: npt.ArrayLike) -> IntArray:
    """Whole numbers >= 0."""
    counts = plain(table, "table")
    is_count = np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))
    if not is_count.all():
        raise ValueError(f"table: expected whole numbers >= 0, got {counts[~is_count][0]:g}")
    return counts.astype(np.int64)
