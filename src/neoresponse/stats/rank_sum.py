"""The Mann-Whitney (Wilcoxon rank sum) test: exact, or by the normal distribution.

In: the values of two groups. Out: a `Significance`.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import rankdata

from neoresponse.stats.arrays import plain
from neoresponse.stats.groups import is_constant
from neoresponse.stats.significance import Significance
from neoresponse.types import FloatArray, IntArray

Way = Literal["default", "exact", "normal", "corrected"]
Side = Literal["two-sided", "less", "greater"]
SMALL = 50
MAX_CELLS = 2_000_000_000
ALL_EQUAL = "not estimable: all values are equal"


def mann_whitney(
    first: npt.ArrayLike, second: npt.ArrayLike, *, way: Way = "default", side: Side = "two-sided"
) -> Significance:
    """Test that neither group tends to larger values.

    Args:
        first: values of one group, at least one, shape (values,).
        second: values of the other group, at least one, shape (values,).
        way: "default" is R's rule: "exact" where both groups have fewer than 50 values and none are
            tied, else "corrected". "exact" counts all ways to share out the ranks found, ties
            included; "normal" and "corrected" take the normal distribution, the latter with half a
            step of continuity correction.
        side: "less" asks whether the first group tends to smaller values.

    Returns:
        U of the first group (pairs that it wins, ties one half; R's W) and P. An exact two-sided P
        is the chance of a U as far from its mean, which without ties is twice the smaller tail.
        None with a note where all values are equal.

    Raises:
        ValueError: a value is not finite, a group is empty, or an exact test is too large.

    Source: Mann and Whitney, Ann. Math. Stat. 1947, 18:50-60; the shift algorithm: Streitberg and
    Röhmel, Comput. Stat. Data Anal. 1986, 4:1-24.
    """
    one, two = (plain(values, "values") for values in (first, second))
    for values in (one, two):
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ValueError(f"values: expected finite numbers, one axis, got {values.shape}")
    doubled = (2 * rankdata(np.concatenate([one, two]))).astype(np.int64)
    num_one, num_two = one.size, two.size
    statistic = float(doubled[:num_one].sum() - num_one * (num_one + 1)) / 2
    has_ties = np.unique(doubled).size < doubled.size
    if way == "default":
        is_small = num_one < SMALL and num_two < SMALL
        way = "exact" if is_small and not has_ties else "corrected"
    if way not in ("exact", "normal", "corrected"):
        raise ValueError(f"way: expected default, exact, normal or corrected, got {way!r}")
    method = f"Mann-Whitney, {way}"
    if is_constant(np.concatenate([one, two])):
        return Significance(statistic, None, method, None, ALL_EQUAL)
    if way == "exact":
        return Significance(statistic, _exact(doubled, num_one, side), method)
    correction = 0.5 if way == "corrected" else 0.0
    return Significance(statistic, _normal(statistic, doubled, num_one, (side, correction)), method)


def _normal(statistic: float, doubled: IntArray, num_one: int, how: tuple[Side, float]) -> float:
    """P from the normal distribution whose variance allows for ties."""
    side, correction = how
    num = doubled.size
    num_two = num - num_one
    counts = np.unique(doubled, return_counts=True)[1].astype(np.float64)
    ties = float(np.sum(counts**3 - counts)) / (num * (num - 1))
    error = math.sqrt(num_one * num_two / 12 * (num + 1 - ties))
    gap = statistic - num_one * num_two / 2
    if side == "less":
        return float(ndtr((gap + correction) / error))
    if side == "greater":
        return float(ndtr(-(gap - correction) / error))
    return min(1.0, 2 * float(ndtr(-(abs(gap) - correction) / error)))


def _exact(doubled: IntArray, num_one: int, side: Side) -> float:
    """P from all ways to choose the first group's ranks."""
    # The smaller group has the shorter table; its rank sum mirrors that of the other one.
    is_first = num_one <= doubled.size - num_one
    num = num_one if is_first else doubled.size - num_one
    found = int((doubled[:num_one] if is_first else doubled[num_one:]).sum())
    chances = _sum_chances(doubled, num)
    if side == "two-sided":
        # Ranks are doubled, so twice a sum minus its mean is a whole number.
        gap = np.abs(2 * np.arange(chances.size) - 2 * num * (doubled.size + 1))
        return min(1.0, float(chances[gap >= gap[found]].sum()))
    if (side == "less") == is_first:
        return float(chances[: found + 1].sum())
    return float(chances[found:].sum())


def _sum_chances(doubled: IntArray, num: int) -> FloatArray:
    """Chance of each sum of `num` ranks drawn without replacement, shape (largest sum + 1,)."""
    ranks = np.sort(doubled)
    largest = int(ranks[-num:].sum())
    if ranks.size * (num + 1) * (largest + 1) > MAX_CELLS:
        raise ValueError(f"way: expected groups small enough for 'exact', got {ranks.size} values")
    # chances[j, s]: chance that the ranks seen so far gave j members with sum s.
    chances = np.zeros((num + 1, largest + 1))
    chances[0, 0] = 1.0
    for seen, rank in enumerate(ranks):
        # The next rank is drawn with (members wanted still) / (ranks left).
        joins = ((num - np.arange(num + 1)) / (ranks.size - seen)).clip(0, 1)[:, np.newaxis]
        moved = chances * joins
        chances *= 1 - joins
        chances[1:, rank:] += moved[:-1, : largest + 1 - rank]
    return np.asarray(chances[num])
