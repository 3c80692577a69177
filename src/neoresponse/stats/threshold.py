"""The probability cut, and what it gives: four counts and the rates made from them.

The rule is always probability >= threshold means pCR. The caller chooses the cut on validation
patients and carries it, unchanged, to every test cohort.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neoresponse.stats.discrimination import (
    RocCurve,
    checked_arrays,
    has_both_classes,
    roc_curve,
)
from neoresponse.stats.proportion import ProportionMethod, proportion_interval
from neoresponse.types import Estimate, FloatArray, IntArray


@dataclass(frozen=True)
class Confusion:
    """Patients by prediction and outcome.

    Attributes:
        tp: called pCR, had pCR.
        fp: called pCR, had residual disease.
        fn: called residual, had pCR.
        tn: called residual, had residual disease.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def num_patients(self) -> int:
        """All four together."""
        return self.tp + self.fp + self.fn + self.tn


def youden_threshold(label: npt.ArrayLike, probability: npt.ArrayLike) -> float | None:
    """The cut with the highest sensitivity + specificity - 1.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).

    Returns:
        One of the given probabilities. Of equally good cuts the highest is taken: it calls the
        fewest patients pCR. None where one class is empty.

    Source: Youden, Cancer 1950, 3:32-35.
    """
    curve = _curve(label, probability)
    if curve is None:
        return None
    num_pcr, num_residual = curve.num_true_positive[-1], curve.num_false_positive[-1]
    # Youden's index times both class sizes: whole numbers, so equal cuts are exactly equal.
    return _best_cut(
        curve, curve.num_true_positive * num_residual - curve.num_false_positive * num_pcr
    )


def corner_threshold(label: npt.ArrayLike, probability: npt.ArrayLike) -> float | None:
    """The cut whose point on the ROC curve is nearest to sensitivity = specificity = 1.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).

    Returns:
        One of the given probabilities, of equally near ones the highest; None where one class is
        empty.

    Source: Perkins and Schisterman, Am. J. Epidemiol. 2006, 163:670-675.
    """
    curve = _curve(label, probability)
    if curve is None:
        return None
    missed = 1 - curve.true_positive_rate
    return _best_cut(curve, -(missed**2 + curve.false_positive_rate**2))


def sensitivity_threshold(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, sensitivity: float
) -> float | None:
    """The highest cut that still finds a wanted share of pCR patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        sensitivity: the least share, in (0, 1].

    Returns:
        One of the given probabilities; None where one class is empty.

    Raises:
        ValueError: the share is not in (0, 1].

    Source: Pepe, The Statistical Evaluation of Medical Tests, 2003, section 4.3.
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity: expected a number in (0, 1], got {sensitivity!r}")
    curve = _curve(label, probability)
    if curve is None:
        return None
    first = int(np.argmax(curve.true_positive_rate >= sensitivity))
    return float(curve.threshold[first])


def cost_threshold(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, cost_ratio: float
) -> float | None:
    """The cut with the lowest total cost of wrong calls among these patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        cost_ratio: cost of calling a residual patient pCR over the cost of missing a pCR patient,
            > 0.

    Returns:
        One of the given probabilities, of equally cheap ones the highest; infinity where calling
        nobody pCR is cheapest; None where one class is empty.

    Raises:
        ValueError: the ratio is not a positive number.

    Source: Metz, Semin. Nucl. Med. 1978, 8:283-298.
    """
    if not (cost_ratio > 0 and np.isfinite(cost_ratio)):
        raise ValueError(f"cost_ratio: expected a number > 0, got {cost_ratio!r}")
    curve = _curve(label, probability)
    if curve is None:
        return None
    saved = curve.num_true_positive - cost_ratio * curve.num_false_positive
    return float(curve.threshold[int(np.argmax(saved))])


def confusion(label: npt.ArrayLike, probability: npt.ArrayLike, *, threshold: float) -> Confusion:
    """Count patients by prediction and outcome.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        threshold: a patient at or above it is called pCR.

    Returns:
        The four counts.

    Source: the definition.
    """
    is_pcr, values = checked_arrays(label, probability)
    is_called = values >= threshold
    return Confusion(
        tp=int(np.sum(is_called & is_pcr)),
        fp=int(np.sum(is_called & ~is_pcr)),
        fn=int(np.sum(~is_called & is_pcr)),
        tn=int(np.sum(~is_called & ~is_pcr)),
    )


def rates(
    counts: Confusion, *, confidence: float = 0.95, method: ProportionMethod = "Wilson"
) -> dict[str, Estimate]:
    """The five rates, each with its interval.

    Args:
        counts: the four counts.
        confidence: coverage of each interval.
        method: kind of interval, as in `proportion_interval`.

    Returns:
        accuracy, sensitivity, specificity, ppv and npv, in this order; None values with a note
        where a denominator is empty.

    Source: Altman and Bland, BMJ 1994, 308:1552 and 309:102.
    """
    fractions = {
        "accuracy": (counts.tp + counts.tn, counts.num_patients),
        "sensitivity": (counts.tp, counts.tp + counts.fn),
        "specificity": (counts.tn, counts.tn + counts.fp),
        "ppv": (counts.tp, counts.tp + counts.fp),
        "npv": (counts.tn, counts.tn + counts.fn),
    }
    return {
        name: proportion_interval(num_successes, num_trials, method=method, confidence=confidence)
        for name, (num_successes, num_trials) in fractions.items()
    }


def _curve(label: npt.ArrayLike, probability: npt.ArrayLike) -> RocCurve | None:
    """The ROC curve; None where one class is empty."""
    is_pcr, values = checked_arrays(label, probability)
    return roc_curve(is_pcr, values) if has_both_classes(is_pcr) else None


def _best_cut(curve: RocCurve, worth: IntArray | FloatArray) -> float:
    """The finite cut of greatest worth; cuts fall, so the first best one is the highest."""
    return float(curve.threshold[1 + int(np.argmax(worth[1:]))])
