"""The Mann-Whitney (Wilcoxon rank sum) test: exact, or by the normal distribution.

In: the values of two groups. Out: a `Significance`.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu

from neoresponse.stats.arrays import plain
from neoresponse.stats.groups import is_constant
from neoresponse.stats.significance import Significance

Way = Literal["default", "exact", "normal", "corrected"]
Side = Literal["two-sided", "less", "greater"]
SMALL = 50
ALL_EQUAL = "not estimable: all values are equal"


def mann_whitney(
    first: npt.ArrayLike, second: npt.ArrayLike, *, way: Way = "default", side: Side = "two-sided"
) -> Significance:
    """Test that neither group tends to larger values.

    Args:
        first: values of one group, at least one, shape (values,).
        second: values of the other group, at least one, shape (values,).
        way: "default" is R's rule: "exact" where both groups have fewer than 50 values and none are
            tied, else "corrected". "exact" counts all ways to share out the ranks; "normal" and
            "corrected" take the normal distribution, which allows for ties, the latter with half a
            step of continuity correction.
        side: "less" asks whether the first group tends to smaller values.

    Returns:
        U of the first group (pairs that it wins, ties one half; R's W) and P; None with a note
        where all values are equal.

    Raises:
        ValueError: a value is not finite, a group is empty, or values are tied for "exact".

    Source: Mann and Whitney, Ann. Math. Stat. 1947, 18:50-60 (SciPy's implementation).
    """
    one, two = (plain(values, "values") for values in (first, second))
    for values in (one, two):
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(f"values: expected finite numbers, one axis, got {values.shape}")
    everybody = np.concatenate([one, two])
    has_ties = np.unique(everybody).size < everybody.size
    if way == "default":
        way = "exact" if max(one.size, two.size) < SMALL and not has_ties else "corrected"
    if way not in ("exact", "normal", "corrected") or (way == "exact" and has_ties):
        raise ValueError(
            "way: expected default, normal, corrected, or, without ties, exact, got "
            f"{way!r}{' with ties' if has_ties else ''}"
        )
    found = mannwhitneyu(
        one,
        two,
        alternative=side,
        method="exact" if way == "exact" else "asymptotic",
        use_continuity=way == "corrected",
    )
    method, statistic = f"Mann-Whitney, {way}", float(found.statistic)
    if is_constant(everybody):
        return Significance(statistic, None, method, None, ALL_EQUAL)
    return Significance(statistic, float(found.pvalue), method)
