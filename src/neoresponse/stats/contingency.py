"""Tables of counts: chi-square, likelihood ratio, Cramér's V, trend.

In: counts by row and column. Out: a `Significance` or a number.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, xlogy

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
    counts = checked_table(table)
    return np.asarray(np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum())


def chi_square(table: npt.ArrayLike, *, corrected: bool = False) -> Significance:
    """Test that rows and columns are independent.

    Args:
        table: whole numbers >= 0, no empty row or column, shape (rows, columns).
        corrected: Yates' continuity correction, for 2 x 2 tables only (R's default there).

    Returns:
        Chi-square, P and degrees of freedom.

    Raises:
        ValueError: the table is not one of counts, or a correction is asked for a larger one.

    Source: Pearson, Philos. Mag. 1900, 50:157-175; Yates, Suppl. J. R. Stat. Soc. 1934, 1:217-235.
    """
    counts = checked_table(table)
    expected = expected_counts(counts)
    gap = np.abs(counts - expected)
    if corrected and counts.shape != (2, 2):
        raise ValueError(f"corrected: expected a 2 x 2 table, got {counts.shape}")
    if corrected:
        gap = gap - min(0.5, float(gap.min()))
    name = "chi-square, Yates" if corrected else "chi-square"
    return _by_chi_square(float(np.sum(gap**2 / expected)), _degrees(counts), name)


def g_test(table: npt.ArrayLike) -> Significance:
    """Test that rows and columns are independent, by likelihood (G).

    Args:
        table: whole numbers >= 0, no empty row or column, shape (rows, columns).

    Returns:
        G, P and degrees of freedom.

    Source: Wilks, Ann. Math. Stat. 1938, 9:60-62.
    """
    counts = checked_table(table)
    statistic = 2 * float(np.sum(xlogy(counts, counts / expected_counts(counts))))
    return _by_chi_square(max(0.0, statistic), _degrees(counts), "likelihood ratio (G)")


def cramers_v(table: npt.ArrayLike) -> float:
    """How strongly rows and columns go together.

    Args:
        table: whole numbers >= 0, no empty row or column, shape (rows, columns).

    Returns:
        0 for independent, 1 for determined.

    Source: Cramér, Mathematical Methods of Statistics, 1946, section 21.9.
    """
    counts = checked_table(table)
    statistic = chi_square(counts).statistic or 0.0
    return math.sqrt(statistic / counts.sum() / (min(counts.shape) - 1))


def trend_test(table: npt.ArrayLike) -> Significance:
    """Test that the share in the first column rises or falls along the rows (Cochran-Armitage).

    Args:
        table: whole numbers >= 0, rows in their natural order, shape (rows, 2).

    Returns:
        Chi-square with one degree of freedom, as R's `prop.trend.test` with scores 1, 2, 3...

    Raises:
        ValueError: the table does not have two columns.

    Source: Armitage, Biometrics 1955, 11:375-386.
    """
    counts = checked_table(table)
    if counts.shape[1] != 2:
        raise ValueError(f"table: expected two columns, got {counts.shape[1]}")
    totals = counts.sum(axis=1)
    share = counts[:, 0].sum() / totals.sum()
    step = np.arange(len(counts)) - np.average(np.arange(len(counts)), weights=totals)
    covariance = float(np.sum(step * counts[:, 0]))
    statistic = covariance**2 / (share * (1 - share) * float(np.sum(totals * step**2)))
    return _by_chi_square(statistic, 1, "Cochran-Armitage trend")


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


def _degrees(counts: IntArray) -> int:
    """Degrees of freedom of a table."""
    return int((counts.shape[0] - 1) * (counts.shape[1] - 1))


def _by_chi_square(statistic: float, degrees: int, name: str) -> Significance:
    """A statistic with its P value."""
    return Significance(statistic, float(chdtrc(degrees, statistic)), name, degrees)
