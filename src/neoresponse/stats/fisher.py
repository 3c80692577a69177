"""Fisher's exact test for tables of any shape, and the odds ratio that belongs to it.

In: counts by row and column. Out: a `Significance` or an `Estimate`.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln
from scipy.stats import random_table
from scipy.stats.contingency import odds_ratio

from neoresponse.stats.contingency import checked_table
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray, IntArray, checked_confidence

SLACK = math.log1p(1e-7)
"""Tables this much likelier than the one found still count as "not likelier" (R's tolerance)."""
MAX_PATHS = 10_000_000
NUM_SIMULATED = 100_000


def fisher_test(table: npt.ArrayLike, *, seed: int = 0, max_paths: int = MAX_PATHS) -> Significance:
    """Test that rows and columns are independent, given their totals.

    Args:
        table: whole numbers >= 0, no empty row or column, shape (rows, columns).
        seed: of the simulation that answers where counting all tables would take too long.
        max_paths: partial tables above which it is simulated.

    Returns:
        P: the chance of all tables that are not likelier than this one; no statistic. A simulated P
        says so in its note, with the number of tables and the seed; it adds this table to the
        drawn ones, so it is never zero.

    Raises:
        ValueError: the table is not one of counts.

    Source: Freeman and Halton, Biometrika 1951, 38:141-149. Tables are counted from both ends: the
    first and the last rows meet at the column totals that each side uses up, and one sorted list
    per meeting point replaces the product of the two sides. Simulated as Patefield, J. R. Stat.
    Soc. C 1981, 30:91-97.
    """
    counts = checked_table(table)
    if counts.shape[0] < counts.shape[1]:
        counts = counts.T
    counts = counts[np.argsort(counts.sum(axis=1), kind="stable")]
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    split, num_paths = _best_split(rows, columns)
    if num_paths > max_paths:
        return _simulated(counts, seed)
    log_factorial = gammaln(np.arange(counts.sum() + 1) + 1.0)
    found = -float(log_factorial[counts].sum()) + SLACK
    constant = float(log_factorial[rows].sum() + log_factorial[columns].sum() - log_factorial[-1])
    total = 0.0
    to_come = _by_used(rows[split:], columns, log_factorial)
    for used, value in _by_used(rows[:split], columns, log_factorial).items():
        rest = np.sort(to_come[tuple(columns - np.array(used))])
        chances = np.concatenate([[0.0], np.cumsum(np.exp(rest - rest[-1]))])
        num_unlikely = np.searchsorted(rest, found - value, side="right")
        total += float(np.sum(np.exp(value + rest[-1] + constant) * chances[num_unlikely]))
    return Significance(None, min(1.0, total), "Fisher's exact test")


def fisher_odds_ratio(table: npt.ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Conditional odds ratio of a 2 x 2 table with its exact interval.

    Args:
        table: whole numbers >= 0, no empty row or column, shape (2, 2).
        confidence: least coverage of the interval, in (0, 1).

    Returns:
        The likeliest odds ratio given all totals (0 or infinity where a cell says so), and the
        interval made of two one-sided exact tests.

    Raises:
        ValueError: the table is not 2 x 2.

    Source: Fisher, J. R. Stat. Soc. A 1935, 98:39-54; Cornfield, Proc. 3rd Berkeley Symp. 1956,
    4:135-148 (SciPy's implementation).
    """
    counts = checked_table(table)
    if counts.shape != (2, 2):
        raise ValueError(f"table: expected 2 x 2, got {counts.shape}")
    found = odds_ratio(counts, kind="conditional")
    ends = found.confidence_interval(checked_confidence(confidence))
    value, low, high = (float(end) for end in (found.statistic, ends.low, ends.high))
    method = "Fisher's exact odds ratio"
    return Estimate(value, low, high, int(counts.sum()), method, confidence)


def _best_split(rows: IntArray, columns: IntArray) -> tuple[int, int]:
    """How many rows to count from the front, and how many partial tables that takes at most."""
    free = len(columns) - 1
    choices = [math.comb(int(row) + free, free) for row in rows]
    costs = [math.prod(choices[:k]) + math.prod(choices[k:]) for k in range(1, len(rows))]
    best = min(range(len(costs)), key=costs.__getitem__)
    return best + 1, costs[best]


def _by_used(
    rows: IntArray, columns: IntArray, log_factorial: FloatArray
) -> dict[tuple[int, ...], FloatArray]:
    """Column totals that some rows use up -> the log weights of all ways to do so."""
    used, value = np.zeros((1, len(columns)), dtype=np.int64), np.zeros(1)
    for row in rows:
        choices = _ways(int(row), columns)
        weight = -log_factorial[choices].sum(axis=1)
        together = used[:, np.newaxis] + choices  # (paths, choices, columns)
        fits = (together <= columns).all(axis=2)
        used, value = together[fits], (value[:, np.newaxis] + weight)[fits]
    # The last column is what the others leave, so the others, as digits, name the node.
    digits = np.cumprod(np.concatenate([[1], columns[:-2] + 1]))
    key = used[:, :-1] @ digits
    order = np.argsort(key)
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    groups = np.split(value[order], starts[1:])
    nodes = used[order[starts]].tolist()
    return {tuple(node): group for node, group in zip(nodes, groups, strict=True)}


def _ways(total: int, most: IntArray) -> IntArray:
    """All rows of whole numbers with a given sum, none above `most`, shape (ways, columns)."""
    ways = np.zeros((1, 0), dtype=np.int64)
    rest = np.array([total])
    for column, limit in enumerate(most):
        room = int(most[column + 1 :].sum())
        low, high = np.maximum(rest - room, 0), np.minimum(rest, limit)
        num = np.maximum(high - low + 1, 0)
        start = np.repeat(np.cumsum(num) - num, num)
        cell = np.repeat(low, num) + np.arange(num.sum()) - start
        ways = np.column_stack([np.repeat(ways, num, axis=0), cell])
        rest = np.repeat(rest, num) - cell
    return ways


def _simulated(counts: IntArray, seed: int) -> Significance:
    """P from tables drawn with the same totals."""
    drawn = random_table(counts.sum(axis=1), counts.sum(axis=0)).rvs(
        NUM_SIMULATED, random_state=np.random.default_rng(seed)
    )
    weight = -gammaln(drawn + 1.0).sum(axis=(1, 2))
    found = -float(gammaln(counts + 1.0).sum()) + SLACK
    p_value = (1 + int(np.sum(weight <= found))) / (1 + NUM_SIMULATED)
    note = f"simulated: too large to count; {NUM_SIMULATED} tables, seed {seed}"
    return Significance(None, p_value, "Fisher's exact test", None, note)
