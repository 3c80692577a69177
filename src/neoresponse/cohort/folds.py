"""The split -> parts for cross-validation: each patient is tested once, by what never saw it.

A part has the form of a split, so that everything that reads a split reads a part: its tested
patients stand under TC1. Multifocal patients that a split sets apart take no part.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neoresponse.cohort.split import PARTS, TC2, Assignment, largest_remainder
from neoresponse.errors import CohortError

_FOLDS, _VALIDATION = 11, 12
"""Names of the random streams."""


def divided_patients(assignments: Sequence[Assignment]) -> tuple[Assignment, ...]:
    """Those that a split divides: all but the multifocal ones that it sets apart."""
    return tuple(a for a in assignments if (a.cohort, a.split) != TC2)


def draw_folds(
    patients: Sequence[Assignment], *, num_folds: int, seed: Sequence[int]
) -> dict[str, int]:
    """Divide patients, stratified by pCR.

    Args:
        patients: whom to divide, in any order.
        num_folds: parts, at least 2.
        seed: decides who goes where; the order of `patients` does not.

    Returns:
        patient_id -> part, counted from 0; sizes differ by at most one, in each class too.

    Raises:
        CohortError: a part would lack a class.
    """
    rng = np.random.default_rng([*seed, _FOLDS])
    dealt: dict[str, int] = {}
    for label in (1, 0):
        names = sorted(a.patient_id for a in patients if a.label == label)
        if len(names) < num_folds:
            kind = "with" if label else "without"
            raise CohortError(
                f"cross_validation: expected at least one patient {kind} pCR in each of "
                f"{num_folds} folds, got {len(names)} in all. Ask for fewer folds."
            )
        for place in rng.permutation(len(names)):
            # Dealing goes on where the other class ended, so that whole parts are alike in size.
            dealt[names[place]] = len(dealt) % num_folds
    return dealt


def fold_split(
    patients: Sequence[Assignment],
    fold_of: dict[str, int],
    *,
    fold: int,
    ratio: tuple[float, float, float],
    seed: Sequence[int],
) -> tuple[Assignment, ...]:
    """The split of one part: its patients are tested, the others train and validate.

    Args:
        patients: whom the parts divide.
        fold_of: from `draw_folds`.
        fold: which part is tested.
        ratio: of training to validation patients, its first two numbers.
        seed: decides who validates.
    """
    rng = np.random.default_rng([*seed, _VALIDATION, fold])
    validates: set[str] = set()
    for label in (1, 0):
        rest = sorted(
            a.patient_id for a in patients if a.label == label and fold_of[a.patient_id] != fold
        )
        num = min(max(1, largest_remainder(len(rest), ratio[:2])[1]), len(rest) - 1)
        if num < 1:
            raise CohortError(
                "cross_validation: expected patients of both classes to train and to validate in "
                "each fold, got too few. Ask for fewer folds or use more patients."
            )
        validates.update(rest[place] for place in rng.permutation(len(rest))[:num])
    train, validation, test = PARTS

    def place(patient_id: str) -> tuple[str, str]:
        if fold_of[patient_id] == fold:
            return test
        return validation if patient_id in validates else train

    placed = ((a, place(a.patient_id)) for a in patients)
    return tuple(replace(a, cohort=cohort, split=part) for a, (cohort, part) in placed)
