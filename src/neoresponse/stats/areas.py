"""Areas under a part of the ROC curve, and under the precision-recall curve.

In: labels and probabilities of the same patients. Out: one number, with a bootstrap interval where
asked. The formulas work on counts per cut along the last axis, so one call serves all replicates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from neoresponse.stats.bootstrap import (
    Bootstrap,
    block_sizes,
    bootstrap_estimate,
    drawn_counts,
)
from neoresponse.stats.discrimination import checked_arrays, has_both_classes, roc_curve
from neoresponse.types import Estimate, FloatArray, IntArray

Measure = Callable[[FloatArray, FloatArray], FloatArray]
"""(true positives, false positives) per falling cut, each (..., points), the first point zero and
the last one everybody -> one number per row, shape (...)."""


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """One point per cut, from the highest probability to "everybody is called pCR".

    Attributes:
        threshold: the distinct probabilities, falling, shape (points,).
        precision: share of pCR among those at or above each cut, shape (points,).
        recall: share of pCR patients at or above each cut, rising to 1, shape (points,).
    """

    threshold: FloatArray
    precision: FloatArray
    recall: FloatArray


@dataclass(frozen=True)
class RocPart:
    """Which part of the ROC curve counts.

    Attributes:
        low: lower end of the range, in [0, high).
        high: upper end, in (low, 1].
        axis: whether the range is one of false positive rates (1 - specificity) or sensitivities.
        standardized: McClish's scale, on which chance is 0.5 and perfection is 1, whatever the
            range; else the bare area, at most high - low.
    """

    low: float = 0.0
    high: float = 0.2
    axis: Literal["false positive rate", "sensitivity"] = "false positive rate"
    standardized: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"range: expected 0 <= low < high <= 1, got {self.low} to {self.high}")
        if self.axis not in ("false positive rate", "sensitivity"):
            raise ValueError(
                f"axis: expected 'false positive rate' or 'sensitivity', got {self.axis!r}"
            )

    def area(self, true: FloatArray, false: FloatArray) -> FloatArray:
        """The area of rows of counts, as `Measure` describes."""
        rises, runs = true / true[..., -1:], false / false[..., -1:]
        runs, rises = np.broadcast_arrays(runs, rises)
        low, high = self.low, self.high
        if self.axis == "sensitivity":
            # The area right of the curve: turn it, so that sensitivity runs from left to right.
            rises, runs = 1 - runs[..., ::-1], 1 - rises[..., ::-1]
            low, high = 1 - high, 1 - low
        area = _area_between(runs, rises, low, high)
        if not self.standardized:
            return area
        chance = (high**2 - low**2) / 2
        return np.asarray((1 + (area - chance) / (high - low - chance)) / 2)


def precision_recall_curve(
    label: npt.ArrayLike, probability: npt.ArrayLike
) -> PrecisionRecallCurve:
    """Precision and recall at every cut that changes them.

    Args:
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).

    Returns:
        One point per distinct probability; tied patients pass a cut together.

    Raises:
        ValueError: one class is empty.

    Source: Davis and Goadrich, ICML 2006, 233-240.
    """
    curve = roc_curve(label, probability)
    true, false = curve.num_true_positive[1:], curve.num_false_positive[1:]
    return PrecisionRecallCurve(
        threshold=curve.threshold[1:],
        precision=np.asarray(true / (true + false)),
        recall=np.asarray(true / true[-1]),
    )


def average_precision(label: npt.ArrayLike, probability: npt.ArrayLike) -> float | None:
    """Precision averaged over the pCR patients, each at the cut that just includes them.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).

    Returns:
        In (0, 1]; chance gives the share of pCR. None where one class is empty.

    Source: Boyd et al., ECML PKDD 2013, 451-466 (no interpolation between points).
    """
    return _measured(label, probability, area_under_precision)


def partial_auc(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, part: RocPart | None = None
) -> float | None:
    """Area under a part of the ROC curve.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        part: which part; by default false positive rates up to 0.2, standardised.

    Returns:
        The area, or None where one class is empty.

    Source: McClish, Med. Decis. Making 1989, 9:190-195.
    """
    return _measured(label, probability, (part or RocPart()).area)


def bootstrap_area(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    measure: Measure,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> Estimate:
    """An area with a stratified bootstrap interval.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        measure: `area_under_precision`, `RocPart(...).area`, or another rule of that kind.
        rng: where the draws come from.
        plan: number of replicates, coverage and kind; 2,000, 95 % and percentile by default.

    Returns:
        The area and its interval; None with a note where a class has fewer than two patients or
        all replicates are alike.

    Source: as `bootstrap_auc`.
    """
    plan = plan or Bootstrap()
    is_pcr, values = checked_arrays(label, probability)
    value = _measured(label, probability, measure)
    found: list[FloatArray] = [np.empty(0)]
    left_out: list[FloatArray] = [np.empty(0), np.empty(0)]
    if value is not None:
        level = np.unique(-values, return_inverse=True)[1]  # 0 is the highest probability
        levels = level[is_pcr], level[~is_pcr]
        for size in block_sizes(plan.num_replicates, is_pcr.size):
            counts = [drawn_counts(rng, size, part.size) for part in levels]
            found.append(
                measure(*(_run_up(c, part, levels) for c, part in zip(counts, levels, strict=True)))
            )
        # A cohort per patient is far too much where nobody asks for it; then sizes are enough.
        left_out = (
            _left_out(levels, measure)
            if plan.kind == "bca"
            else [np.zeros(part.size) for part in levels]
        )
    return bootstrap_estimate(
        value, np.concatenate(found), tuple(left_out), plan=plan, num_patients=is_pcr.size
    )


def area_under_precision(true: FloatArray, false: FloatArray) -> FloatArray:
    """Average precision of rows of counts, as `Measure` describes; cuts with nobody add nothing."""
    gained = np.diff(true, axis=-1)
    called = true[..., 1:] + false[..., 1:]
    precision = true[..., 1:] / np.maximum(called, 1)
    return np.asarray(np.sum(precision * gained, axis=-1) / true[..., -1])


def area_under_roc(true: FloatArray, false: FloatArray) -> FloatArray:
    """AUC of rows of counts, as `Measure` describes, by trapezoids."""
    doubled = np.sum(np.diff(false, axis=-1) * (true[..., 1:] + true[..., :-1]), axis=-1)
    return np.asarray(doubled / (2 * true[..., -1] * false[..., -1]))


def _measured(label: npt.ArrayLike, probability: npt.ArrayLike, measure: Measure) -> float | None:
    """A measure of all patients; None where one class is empty."""
    is_pcr, values = checked_arrays(label, probability)
    if not has_both_classes(is_pcr):
        return None
    curve = roc_curve(is_pcr, values)
    counts = (curve.num_true_positive, curve.num_false_positive)
    return float(measure(*(part.astype(np.float64) for part in counts)))


def _area_between(runs: FloatArray, rises: FloatArray, low: float, high: float) -> FloatArray:
    """Area under a rising line from `low` to `high`, each step by its own trapezoid."""
    width = np.diff(runs, axis=-1)
    start = np.clip(runs[..., :-1], low, high)
    end = np.clip(runs[..., 1:], low, high)
    slope = np.divide(np.diff(rises, axis=-1), width, out=np.zeros_like(width), where=width > 0)
    middle = (start + end) / 2 - runs[..., :-1]
    return np.asarray(np.sum((end - start) * (rises[..., :-1] + slope * middle), axis=-1))


def _run_up(counts: IntArray, level: IntArray, levels: tuple[IntArray, IntArray]) -> FloatArray:
    """Patients at or above each cut, shape (replicates, points), from counts of one class."""
    num_points = 1 + max(int(part.max()) for part in levels)
    cells = level + num_points * np.arange(len(counts))[:, np.newaxis]
    summed = np.bincount(cells.ravel(), counts.ravel(), minlength=len(counts) * num_points)
    rows = np.zeros((len(counts), num_points + 1))
    np.cumsum(summed.reshape(len(counts), num_points), axis=1, out=rows[:, 1:])
    return rows


def _left_out(levels: tuple[IntArray, IntArray], measure: Measure) -> list[FloatArray]:
    """The measure with each patient left out in turn, one array per class."""
    whole = [_run_up(np.ones((1, part.size), dtype=int), part, levels) for part in levels]
    points = np.arange(whole[0].shape[1])
    found = []
    for index, part in enumerate(levels):
        rows = []
        for start in range(0, part.size if part.size > 1 else 0, 256):
            fewer = list(whole)
            fewer[index] = whole[index] - (points > part[start : start + 256, np.newaxis])
            rows.append(measure(*fewer))
        found.append(np.concatenate([np.empty(0), *rows]))
    return found
