"""The clinical model: logistic regression on the four clinical variables, without torch.

In: the patients of a store, and who of them trains. Out: a probability of pCR for every patient,
fitted on training patients alone; no pixel is read. The same regression serves other columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neoresponse.contracts.store import StoredPatient
from neoresponse.preprocess.clinical import encode, fit_encoder
from neoresponse.stats.discrimination import has_both_classes
from neoresponse.stats.logistic import fit_logistic, logistic_probability
from neoresponse.types import FloatArray

RIDGE = 1.0
"""Penalty on the squared coefficients of standardised variables; keeps them finite."""

Patients = Sequence[StoredPatient]
Training = Sequence[tuple[int, int]]
"""Row and label of each training patient."""


@dataclass(frozen=True)
class Columns:
    """What a regression looks at.

    Attributes:
        values: 0 where missing, (patients, columns).
        is_known: whether each is known, (patients, columns).
    """

    values: FloatArray
    is_known: npt.NDArray[np.bool_]


def clinical_columns(patients: Patients, train: Training) -> Columns:
    """The four clinical variables as numbers, encoded by training patients."""
    label = [outcome for _, outcome in train]
    encoder = fit_encoder([patients[row].clinical for row, _ in train], label)
    values, is_known = encode(encoder, [patient.clinical for patient in patients])
    return Columns(values.astype(np.float64), is_known.astype(bool))


def fit_on_columns(columns: Columns, train: Training) -> FloatArray | None:
    """Ridge logistic regression on some columns.

    Args:
        columns: of all patients.
        train: row and label of those it is fitted on.

    Returns:
        Probabilities of all patients, (patients,); None where nothing is known of training patients
        of one of the classes.
    """
    values, is_known = columns.values, columns.is_known
    if not has_both_classes([label for row, label in train if is_known[row].any()]):
        return None
    rows = [row for row, _ in train]
    # A variable that lacks in training gets a column that says so: missing is no value.
    is_missing = np.logical_not(is_known)
    lacks = is_missing[:, is_missing[rows].any(axis=0)]
    design = np.column_stack([np.ones(len(values)), values, lacks.astype(float)])
    coefficients = fit_logistic(design[rows], [label for _, label in train], ridge=RIDGE)
    return logistic_probability(design, coefficients)
