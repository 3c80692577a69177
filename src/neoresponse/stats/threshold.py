"""The probability cut, and what it gives: four counts and the rates made from them.

The rule is always probability >= threshold means pCR. The caller chooses the cut on validation
patients and carries it, unchanged, to every test cohort.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neoresponse.stats.discrimination import checked_arrays, has_both_classes, roc_curve
from neoresponse.stats.interval import wilson_interval
from neoresponse.types import Estimate


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
    is_pcr, values = checked_arrays(label, probability)
    if not has_both_classes(is_pcr):
        return None
    curve = roc_curve(is_pcr, values)
    num_pcr, num_residual = curve.num_true_positive[-1], curve.num_false_positive[-1]
    # Youden's index times both class sizes: whole numbers, so equal cuts are exactly equal.
    index = curve.num_true_positive * num_residual - curve.num_false_positive * num_pcr
    best = 1 + int(np.argmax(index[1:]))  # falling cuts: the first best one is the highest
    return float(curve.threshold[best])


def confusion(label: npt.ArrayLike, probability: npt.ArrayLike, *, threshold: float) -> Confusion:
    """Count patients by prediction and outcome.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        threshold: a patient at or above it is called pCR.

    Returns:
        The four counts.
    """
    is_pcr, values = checked_arrays(label, probability)
    is_called = values >= threshold
    return Confusion(
        tp=int(np.sum(is_called & is_pcr)),
        fp=int(np.sum(is_called & ~is_pcr)),
        fn=int(np.sum(~is_called & is_pcr)),
        tn=int(np.sum(~is_called & ~is_pcr)),
    )


def rates(counts: Confusion, *, confidence: float = 0.95) -> dict[str, Estimate]:
    """The five rates, each with Wilson's interval.

    Args:
        counts: the four counts.
        confidence: coverage of each interval.

    Returns:
        accuracy, sensitivity, specificity, ppv and npv, in this order; None values with a note
        where a denominator is empty.
    """
    fractions = {
        "accuracy": (counts.tp + counts.tn, counts.num_patients),
        "sensitivity": (counts.tp, counts.tp + counts.fn),
        "specificity": (counts.tn, counts.tn + counts.fp),
        "ppv": (counts.tp, counts.tp + counts.fp),
        "npv": (counts.tn, counts.tn + counts.fn),
    }
    return {
        name: wilson_interval(num_successes, num_trials, confidence=confidence)
        for name, (num_successes, num_trials) in fractions.items()
    }
