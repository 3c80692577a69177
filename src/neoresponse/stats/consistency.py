"""Printed numbers -> what else they allow: the arithmetic behind the audit of a table.

In: spans, that is every value that rounds to what was printed. Out: the values that another number
can then have. Whatever falls outside cannot be explained by rounding.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neoresponse.types import FloatArray, IntArray

ROUND_OFF = 1e-9  # of floating-point arithmetic, far below any printed digit
COLUMNS = ("ACC", "AUC", "SENS", "SPEC", "PPV", "NPV")
MAX_MATRICES = 20_000_000


class Span(NamedTuple):
    """All values from `low` to `high`, both included."""

    low: float
    high: float

    def meets(self, other: "Span") -> bool:
        """Whether the two have a value in common."""
        return self.low <= other.high + ROUND_OFF and other.low <= self.high + ROUND_OFF


@dataclass(frozen=True)
class Matches:
    """Which printed rates one confusion matrix can give together.

    Attributes:
        impossible: smallest sets of columns that no matrix gives together; any one of them is a
            contradiction, and leaving out any one of its columns would mend it.
        nums_pcr: numbers of pCR patients with which one matrix gives every column.
        most_called: the largest tp + fp and the largest fn + tn among matrices that give every
            column; (0, 0) where none does.
    """

    impossible: tuple[tuple[str, ...], ...]
    nums_pcr: tuple[int, ...]
    most_called: tuple[int, int]


def weighted_accuracy(sensitivity: Span, specificity: Span, prevalence: Span) -> Span:
    """Accuracy is the mean of sensitivity and specificity, weighted by prevalence."""
    corners = [
        share * first + (1 - share) * second
        for first, second, share in itertools.product(sensitivity, specificity, prevalence)
    ]
    return Span(min(corners), max(corners))


def predictive_values(sensitivity: Span, specificity: Span, prevalence: Span) -> tuple[Span, Span]:
    """PPV and NPV by Bayes' rule; both rise with sensitivity and with specificity.

    Returns:
        Spans of PPV and NPV; an end that would be 0 / 0 is 0 (low) or 1 (high).
    """

    def share(right: float, wrong: float, *, empty: float) -> float:
        return right / (right + wrong) if right + wrong > 0 else empty

    ends = []
    for end, empty in ((0, 0.0), (1, 1.0)):
        first, second, few = sensitivity[end], specificity[end], prevalence[end]
        many = prevalence[1 - end]
        ppv = share(few * first, (1 - few) * (1 - second), empty=empty)
        npv = share((1 - many) * second, many * (1 - first), empty=empty)
        ends.append((ppv, npv))
    (ppv_low, npv_low), (ppv_high, npv_high) = ends
    return Span(ppv_low, ppv_high), Span(npv_low, npv_high)


def auc_bounds(sensitivity: Span, specificity: Span) -> Span:
    """The areas of all ROC curves that pass through one operating point.

    A curve only rises. The lowest through (1 - specificity, sensitivity) stays at 0 before the
    point and at its height behind it: area SENS x SPEC. The highest is at the point's height before
    it and at 1 behind it: area 1 - (1 - SENS)(1 - SPEC). Finite samples reach both ends.

    Source: Stein, General bounds on the area under the ROC curve when only a single point is known,
    Journal of Risk Model Validation.
    """
    return Span(
        sensitivity.low * specificity.low, 1 - (1 - sensitivity.high) * (1 - specificity.high)
    )


def match_matrices(
    printed: Mapping[str, Span], *, num_patients: int, nums_pcr: Sequence[int]
) -> Matches | None:
    """Try every confusion matrix of so many patients.

    Args:
        printed: span of each printed column, of `COLUMNS`.
        num_patients: of the cohort.
        nums_pcr: the numbers of pCR patients that are possible, each from 1 to num_patients - 1.

    Returns:
        What matches; None where there are more than `MAX_MATRICES` matrices.
    """
    if sum((num + 1) * (num_patients - num + 1) for num in nums_pcr) > MAX_MATRICES:
        return None
    names = tuple(name for name in COLUMNS if name in printed)
    everything = (1 << len(names)) - 1
    seen: set[int] = set()
    possible, called = [], np.zeros(2, dtype=np.int64)
    for num_pcr in nums_pcr:
        true = _all_matrices(num_pcr, num_patients - num_pcr)
        masks = _match(true, [(name, printed[name]) for name in names])
        seen.update(np.flatnonzero(np.bincount(masks.ravel())).tolist())
        if (full := masks == everything).any():
            possible.append(num_pcr)
            num_called = (true.tp + true.fp)[full]
            called = np.maximum(called, [num_called.max(), num_patients - num_called.min()])
    return Matches(
        impossible=_smallest_impossible(seen, names),
        nums_pcr=tuple(possible),
        most_called=(int(called[0]), int(called[1])),
    )


def least_width_of_share(share: Span, num_patients: int, *, z: float) -> float:
    """The narrowest usual interval of a proportion.

    Args:
        share: of patients; all counts whose share lies in it are tried, or its ends where none is.
        num_patients: in the denominator.
        z: normal quantile of the coverage, 1.96 for 95 %.

    Returns:
        Width of the narrower of Wald's interval, cut at 0 and 1, and Wilson's. Exact
        (Clopper-Pearson) intervals are wider than both, others at most an eighth narrower.
    """
    first = max(0, math.ceil((share.low - ROUND_OFF) * num_patients))
    last = min(num_patients, math.floor((share.high + ROUND_OFF) * num_patients))
    values = [count / num_patients for count in range(first, last + 1)]
    widths = []
    for value in values or [min(max(end, 0.0), 1.0) for end in share]:
        half = z * math.sqrt(value * (1 - value) / num_patients)
        wald = min(half, value) + min(half, 1 - value)
        spread = math.sqrt(value * (1 - value) / num_patients + (z / (2 * num_patients)) ** 2)
        widths += [wald, 2 * z * spread / (1 + z**2 / num_patients)]
    return min(widths)


def least_width_of_auc(area: Span, num_pcr: int, num_residual: int, *, z: float) -> float:
    """Width of the normal interval with the least possible standard error, cut at 0 and 1."""
    widths = []
    for value in (min(max(end, 0.0), 1.0) for end in area):
        half = z * math.sqrt(least_auc_variance(value, num_pcr, num_residual))
        widths.append(min(half, value) + min(half, 1 - value))
    return min(widths)


def least_auc_variance(area: float, num_pcr: int, num_residual: int) -> float:
    """The least variance that an AUC can have where no two probabilities are equal.

    The pairs that are ordered wrongly form a staircase in the corner of the unit square, of area
    b = 1 - AUC; x runs over the residual patients, y over those with pCR. The variance of the
    placements is 2 * integral of (x / num_pcr + y / num_residual) over it, less b squared times
    (1 / num_pcr + 1 / num_residual). The integral is least where the staircase is the triangle
    x / num_pcr + y / num_residual <= s, cut to the square.

    Source: the bound is that of Birnbaum and Klose, Ann. Math. Stat. 1957, 28:933-945.
    """
    first, second = 1 / num_pcr, 1 / num_residual
    wrong = min(area, 1 - area)
    reach = _reach(wrong, first, second)
    moment = reach * wrong - _corner(reach, first, second, power=3) / (6 * first * second)
    return max(0.0, 2 * moment - wrong**2 * (first + second))


class _True(NamedTuple):
    """All confusion matrices with so many pCR and residual patients, as (tp, tn) broadcast."""

    tp: IntArray
    tn: IntArray
    num_pcr: int
    num_residual: int

    @property
    def fp(self) -> IntArray:
        return self.num_residual - self.tn

    @property
    def fn(self) -> IntArray:
        return self.num_pcr - self.tp


def _all_matrices(num_pcr: int, num_residual: int) -> _True:
    """Arrays of shape (num_pcr + 1, num_residual + 1)."""
    tp, tn = np.meshgrid(np.arange(num_pcr + 1), np.arange(num_residual + 1), indexing="ij")
    return _True(tp, tn, num_pcr, num_residual)


def _match(true: _True, printed: Sequence[tuple[str, Span]]) -> IntArray:
    """One bit per column: whether the matrix gives what is printed."""
    masks = np.zeros(true.tp.shape, dtype=np.int64)
    for bit, (name, span) in enumerate(printed):
        masks |= (_gives_auc(true, span) if name == "AUC" else _gives(true, name, span)) << bit
    return masks


def _gives(true: _True, name: str, span: Span) -> npt.NDArray[np.bool_]:
    """Whether a rate of each matrix lies in the span; without a denominator it may print as 0."""
    rates: dict[str, tuple[IntArray, IntArray | int]] = {
        "ACC": (true.tp + true.tn, true.num_pcr + true.num_residual),
        "SENS": (true.tp, true.num_pcr),
        "SPEC": (true.tn, true.num_residual),
        "PPV": (true.tp, true.tp + true.fp),
        "NPV": (true.tn, true.tn + true.fn),
    }
    right, out_of = rates[name]
    value: FloatArray = right / np.maximum(out_of, 1)
    return np.asarray((value >= span.low - ROUND_OFF) & (value <= span.high + ROUND_OFF))


def _gives_auc(true: _True, span: Span) -> npt.NDArray[np.bool_]:
    """Whether some order of the patients with this matrix has its AUC in the span.

    Twice the number of pairs in order is a whole number; a tie counts one.
    """
    pairs = true.num_pcr * true.num_residual
    low, high = _auc_limits(true)
    first = np.maximum(np.ceil(2 * pairs * (span.low - ROUND_OFF)), 2 * low)
    last = np.minimum(np.floor(2 * pairs * (span.high + ROUND_OFF)), 2 * high)
    return np.asarray(first <= last)


def _auc_limits(true: _True) -> tuple[IntArray, IntArray]:
    """Least and largest number of pairs in order; see `auc_bounds`."""
    pairs = true.num_pcr * true.num_residual
    return true.tp * true.tn, pairs - true.fn * true.fp


def _smallest_impossible(seen: set[int], names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Sets of columns without a matrix that gives them, none of which contains another."""
    found: list[tuple[str, ...]] = []
    for size in range(1, len(names) + 1):
        for chosen in itertools.combinations(range(len(names)), size):
            wanted = sum(1 << bit for bit in chosen)
            columns = tuple(names[bit] for bit in chosen)
            is_new = not any(set(smaller) <= set(columns) for smaller in found)
            if is_new and not any(mask & wanted == wanted for mask in seen):
                found.append(columns)
    return tuple(found)


def _corner(reach: float, first: float, second: float, *, power: int) -> float:
    """Sum over the corners of the unit square of the powers of what reaches past each."""
    past = (reach, reach - first, reach - second, reach - first - second)
    signs = (1, -1, -1, 1)
    return sum(sign * max(0.0, far) ** power for sign, far in zip(signs, past, strict=True))


def _reach(area: float, first: float, second: float) -> float:
    """The s for which first * x + second * y <= s cuts this area off the unit square."""
    low, high = 0.0, first + second
    for _ in range(50):
        middle = (low + high) / 2
        if _corner(middle, first, second, power=2) < 2 * first * second * area:
            low = middle
        else:
            high = middle
    return high
