"""Out-of-fold predictions -> the numbers of a cross-validation.

In: for each repeat and fold, every run's predictions of the patients tested there, and AUCs inside
what the fold trained on where a run is chosen. Out: the content of `cross-validation.json`, and one
table of out-of-fold predictions per run.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neoresponse.contracts.cross_validation import (
    CrossValidation,
    FoldAuc,
    OutOfFoldComparison,
    OutOfFoldMetrics,
)
from neoresponse.contracts.predictions import Prediction
from neoresponse.errors import RunError
from neoresponse.stats import auc
from neoresponse.stats.cross_validated import compare_cross_validated, cross_validated_auc
from neoresponse.types import REFERENCE_MODELS, FloatArray, IntArray

FOLDER = "cross-validation"
"""In a study folder."""
COLUMNS = ("patient_id", "repeat", "fold", "label", "probability")

Place = tuple[int, int]
"""Repeat and fold, both counted from 1."""
Tested = Mapping[Place, Sequence[Prediction]]
"""What one run says of the patients that each fold tests."""


@dataclass(frozen=True)
class OutOfFold:
    """One run's predictions of patients that it never saw.

    Attributes:
        patient_ids: of all patients, (patients,).
        label: 1 for pCR, (patients,).
        fold: in which each is tested, (repeats, patients).
        probability: predicted there, (repeats, patients).
    """

    patient_ids: tuple[str, ...]
    label: IntArray
    fold: IntArray
    probability: FloatArray

    def to_csv(self) -> str:
        """One line per patient and repeat, probabilities with every digit."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for repeat, (folds, values) in enumerate(zip(self.fold, self.probability, strict=True), 1):
            for row, patient_id in enumerate(self.patient_ids):
                writer.writerow(
                    [patient_id, repeat, folds[row], self.label[row], repr(float(values[row]))]
                )
        return text.getvalue()


def gather(tested: Tested) -> OutOfFold:
    """Put the folds of one run together.

    Raises:
        RunError: a patient is missing in a repeat or tested twice, or has two labels.
    """
    repeats = sorted({repeat for repeat, _ in tested})
    label = {row.patient_id: row.label for rows in tested.values() for row in rows}
    patient_ids = tuple(sorted(label))
    row_of = {patient_id: row for row, patient_id in enumerate(patient_ids)}
    fold = np.full((len(repeats), len(patient_ids)), -1)
    probability = np.full(fold.shape, np.nan)
    for (repeat, number), rows in tested.items():
        for one in rows:
            place = repeats.index(repeat), row_of[one.patient_id]
            if fold[place] != -1 or one.label != label[one.patient_id]:
                raise RunError(
                    f"{one.patient_id}: expected to be tested once in repeat {repeat}, with one "
                    "label, got twice or two. Begin the cross-validation again."
                )
            fold[place], probability[place] = number, one.probability
    if (fold == -1).any():
        raise RunError(
            "cross-validation: expected every patient to be tested in every repeat, got some that "
            "are not. Begin the cross-validation again."
        )
    known = np.array([label[patient_id] for patient_id in patient_ids])
    return OutOfFold(patient_ids, known, fold, probability)


def choose_inside(
    tested: Mapping[str, Tested], inside: Mapping[str, Mapping[Place, Sequence[float]]]
) -> tuple[Tested, dict[str, int]]:
    """In each fold the run that did best inside of what the fold trains on.

    Args:
        tested: run -> its predictions by fold.
        inside: run -> fold -> AUC in each inner fold.

    Returns:
        Predictions of the run chosen in each fold, and how often each run was chosen.
    """
    chosen: dict[Place, Sequence[Prediction]] = {}
    times = dict.fromkeys(tested, 0)
    for place in next(iter(tested.values())):
        best = max(tested, key=lambda run: float(np.mean(inside[run][place])))
        chosen[place] = tested[best][place]
        times[best] += 1
    return chosen, times


def cross_validation(
    found: Mapping[str, OutOfFold], *, confidence: float, is_simulated: bool, cohort_name: str
) -> CrossValidation:
    """AUC of every run within folds, and how runs and reference models differ.

    Args:
        found: name -> its out-of-fold predictions, over the same folds; reference models too.
        confidence: coverage of the intervals.
        is_simulated: whether the patients come from a phantom.
        cohort_name: shown in the report.

    Returns:
        The numbers, but for how runs were chosen.
    """
    first = next(iter(found.values()))
    return CrossValidation(
        is_simulated=is_simulated,
        cohort_name=cohort_name,
        confidence=confidence,
        num_patients=len(first.label),
        num_pcr=int(first.label.sum()),
        num_repeats=len(first.fold),
        num_folds=int(first.fold.max()),
        run_order=tuple(found),
        runs={name: _numbers(one, confidence) for name, one in found.items()},
        comparisons=tuple(
            _comparison(found, run, against, confidence)
            for run in found
            for against in found
            if against in REFERENCE_MODELS and run not in REFERENCE_MODELS
        ),
    )


def _numbers(run: OutOfFold, confidence: float) -> OutOfFoldMetrics:
    """AUC within folds with its interval, and that of each fold."""
    by_fold = tuple(
        FoldAuc(repeat=repeat, fold=int(number), auc=_auc_of_fold(run, repeat, int(number)))
        for repeat in range(1, len(run.fold) + 1)
        for number in np.unique(run.fold)
    )
    estimate = cross_validated_auc(run.label, run.probability, run.fold, confidence=confidence)
    known = [fold.auc for fold in by_fold if fold.auc is not None]
    deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return OutOfFoldMetrics(auc=estimate, by_fold=by_fold, deviation_over_folds=deviation)


def _auc_of_fold(run: OutOfFold, repeat: int, number: int) -> float | None:
    """AUC in one fold of one repeat."""
    is_in = run.fold[repeat - 1] == number
    return auc(run.label[is_in], run.probability[repeat - 1][is_in])


def _comparison(
    found: Mapping[str, OutOfFold], run: str, against: str, confidence: float
) -> OutOfFoldComparison:
    """A run minus a reference model over the same folds."""
    one, two = found[run], found[against]
    result = compare_cross_validated(
        one.label, one.probability, two.probability, one.fold, confidence=confidence
    )
    return OutOfFoldComparison(
        run=run, against=against, difference=result.difference, p_value=result.p_value
    )
