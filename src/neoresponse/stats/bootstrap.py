"""The bootstrap itself: patients drawn again with replacement, and intervals from the replicates.

In: a generator, numbers found in the replicates. Out: counts per patient, intervals. A replicate is
drawn as a count per patient, so that all replicates of a block are computed at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from neoresponse.stats.interval import ONE_CLASS, TOO_FEW
from neoresponse.types import Estimate, FloatArray, IntArray, checked_confidence

BLOCK = 2**17
"""Numbers per block of replicates: small enough to stay in the processor's cache."""
ALL_ALIKE = "no CI: all replicates are alike"


@dataclass(frozen=True)
class Bootstrap:
    """How an interval is made from replicates.

    Attributes:
        num_replicates: how often patients are drawn again, >= 1.
        confidence: coverage aimed at, in (0, 1).
        kind: "percentile", or "bca": bias-corrected and accelerated.
    """

    num_replicates: int = 2000
    confidence: float = 0.95
    kind: Literal["percentile", "bca"] = "percentile"

    def __post_init__(self) -> None:
        checked_confidence(self.confidence)
        if self.num_replicates < 1:
            raise ValueError(f"num_replicates: expected at least 1, got {self.num_replicates}")
        if self.kind not in ("percentile", "bca"):
            raise ValueError(f"kind: expected 'percentile' or 'bca', got {self.kind!r}")

    @property
    def method(self) -> str:
        """Its name in a table."""
        name = "BCa" if self.kind == "bca" else self.kind
        return f"bootstrap, {name}, {self.num_replicates} replicates"


def drawn_counts(rng: np.random.Generator, num_replicates: int, num_patients: int) -> IntArray:
    """How often each patient is drawn when as many are drawn as there are.

    Args:
        rng: where the draws come from.
        num_replicates: rows wanted.
        num_patients: patients to draw from, and draws per replicate.

    Returns:
        Whole numbers, each row adding up to `num_patients`, shape (replicates, patients).

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 6.2.
    """
    drawn = rng.integers(0, num_patients, size=(num_replicates, num_patients))
    drawn += np.arange(0, num_replicates * num_patients, num_patients)[:, np.newaxis]
    counts = np.bincount(drawn.ravel(), minlength=num_replicates * num_patients)
    return counts.reshape(num_replicates, num_patients)


def block_sizes(num_replicates: int, num_patients: int) -> Iterator[int]:
    """Replicates in each block, adding up to all of them."""
    size = max(1, BLOCK // max(1, num_patients))
    for start in range(0, num_replicates, size):
        yield min(size, num_replicates - start)


def bootstrap_estimate(
    value: float | None,
    replicates: FloatArray,
    left_out: tuple[FloatArray, ...],
    *,
    plan: Bootstrap,
    num_patients: int,
) -> Estimate:
    """A number with its bootstrap interval, or with the reason why there is none.

    Args:
        value: the number found in all patients, or None.
        replicates: the number in each replicate, shape (replicates,).
        left_out: the number with each patient left out in turn, one array per stratum of the draw;
            only "bca" uses its values.
        plan: coverage and kind.
        num_patients: how many patients the number rests on.

    Returns:
        No interval, and a note, where the value is None, a stratum has fewer than two patients, or
        all replicates are alike.

    Source: as `interval_from_replicates`.
    """
    note = ""
    if value is None:
        note = ONE_CLASS
    elif min(len(part) for part in left_out) < 2:
        note = TOO_FEW
    elif not len(replicates) or np.ptp(replicates) == 0:
        note = ALL_ALIKE
    if note or value is None:
        return Estimate(value, None, None, num_patients, plan.method, plan.confidence, note)
    low, high = interval_from_replicates(value, replicates, left_out, plan=plan)
    return Estimate(value, low, high, num_patients, plan.method, plan.confidence)


def interval_from_replicates(
    value: float, replicates: FloatArray, left_out: tuple[FloatArray, ...], *, plan: Bootstrap
) -> tuple[float, float]:
    """Ends of a bootstrap interval.

    Args:
        value: the number found in all patients.
        replicates: the number in each replicate, shape (replicates,).
        left_out: for "bca" the number with each patient left out in turn, one array per stratum of
            the draw.
        plan: coverage and kind.

    Returns:
        Two quantiles of the replicates, interpolated linearly (R's type 7).

    Source: Efron, J. Am. Stat. Assoc. 1987, 82:171-185; acceleration of several samples: Davison
    and Hinkley, Bootstrap Methods and Their Application, 1997, section 5.4.
    """
    tails = np.array([0.5 - plan.confidence / 2, 0.5 + plan.confidence / 2])
    if plan.kind == "bca":
        num_below = np.sum(replicates < value) + np.sum(replicates <= value)
        bias = float(ndtri(num_below / (2 * len(replicates))))
        shifted = bias + ndtri(tails)
        tails = ndtr(bias + shifted / (1 - _acceleration(left_out) * shifted))
    if not np.isfinite(tails).all():  # no replicate on one side of the value
        return float(replicates.min()), float(replicates.max())
    low, high = np.quantile(replicates, tails)
    return float(low), float(high)


def _acceleration(left_out: tuple[FloatArray, ...]) -> float:
    """Skewness of the influence of single patients, over six."""
    cubes = squares = 0.0
    for part in left_out:
        num = len(part)
        influence = (num - 1) * (part.mean() - part)
        cubes += float(np.sum(influence**3)) / num**3
        squares += float(np.sum(influence**2)) / num**2
    return cubes / (6 * squares**1.5) if squares else 0.0
