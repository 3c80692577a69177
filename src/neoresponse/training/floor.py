"""The floors beside every image model: logistic regression on what is known without a network.

In: the prepared store and the split. Out: predictions of every patient, fitted on training patients
alone; no pixel is read.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neoresponse.cohort.dictionary import MODEL_VARIABLES
from neoresponse.cohort.split import Assignment
from neoresponse.contracts.predictions import Prediction
from neoresponse.preprocess.clinical import fit_encoder
from neoresponse.preprocess.store import Store, StoredPatient
from neoresponse.stats.discrimination import has_both_classes
from neoresponse.stats.logistic import fit_logistic, logistic_probability
from neoresponse.training.fit import patients_of
from neoresponse.types import REFERENCE_MODELS, FloatArray

RIDGE = 1.0
"""Penalty on the squared coefficients of standardised variables; keeps them finite."""
SUBTYPE = "phenotype"

Patients = Sequence[StoredPatient]
Training = Sequence[tuple[int, int]]
"""Store row and label of each training patient."""
BoolArray = npt.NDArray[np.bool_]
Columns = tuple[FloatArray, BoolArray]
"""Values, 0 where missing, and whether each is known; both (patients, columns)."""


def floors(store: Store, assignments: Sequence[Assignment]) -> dict[str, list[Prediction]]:
    """Every floor for which training patients of both classes have what it needs.

    Args:
        store: the prepared store; no image of it is read.
        assignments: the split.

    Returns:
        Name, of `REFERENCE_MODELS`, -> predictions of every patient of the split.
    """
    places = [(a.patient_id, a.cohort, a.split, a.label) for a in assignments]
    fitted = _fitted(store.patients, patients_of(store, assignments, "train"))
    return {
        name: [
            Prediction(
                *place,
                probability=float(probability[store.row_of[place[0]]]),
                available=store.patients[store.row_of[place[0]]].available,
            )
            for place in places
        ]
        for name, probability in fitted.items()
    }


def floors_elsewhere(
    store: Store, elsewhere: Store, assignments: Sequence[Assignment]
) -> dict[str, list[Prediction]]:
    """The same floors, fitted on the same training patients, for patients of another store.

    Args:
        store: the store of the split.
        elsewhere: a store of other patients.
        assignments: the split.

    Returns:
        Name, of `REFERENCE_MODELS`, -> predictions of every patient of the other store.
    """
    num = len(store.patients)
    patients = [*store.patients, *elsewhere.patients]
    fitted = _fitted(patients, patients_of(store, assignments, "train"))
    return {
        name: [
            Prediction(
                one.patient_id, "new", "test", one.label, float(value), available=one.available
            )
            for one, value in zip(elsewhere.patients, probability[num:], strict=True)
        ]
        for name, probability in fitted.items()
    }


def _fitted(patients: Patients, train: Training) -> dict[str, FloatArray]:
    """Name of a floor -> probability of every patient; fitted on the training patients."""
    found = {}
    for name, columns in zip(REFERENCE_MODELS, (_clinical, _subtype, _size_change), strict=True):
        values, is_known = columns(patients, train)
        if has_both_classes([label for row, label in train if is_known[row].any()]):
            found[name] = _probability(values, is_known, train)
    return found


def _probability(values: FloatArray, is_known: BoolArray, train: Training) -> FloatArray:
    """Probability of every patient; fitted on training patients."""
    rows = [row for row, _ in train]
    # A variable that lacks in training gets a column that says so: missing is no value.
    is_missing = np.logical_not(is_known)
    lacks = is_missing[:, is_missing[rows].any(axis=0)]
    design = np.column_stack([np.ones(len(values)), values, lacks.astype(float)])
    coefficients = fit_logistic(design[rows], [label for _, label in train], ridge=RIDGE)
    return logistic_probability(design, coefficients)


def _clinical(patients: Patients, train: Training) -> Columns:
    """The four clinical variables."""
    label = [outcome for _, outcome in train]
    encoder = fit_encoder([patients[row].clinical for row, _ in train], label)
    values, is_known = encoder.encode([patient.clinical for patient in patients])
    return values.astype(np.float64), is_known.astype(bool)


def _subtype(patients: Patients, train: Training) -> Columns:
    """The subtype alone."""
    values, is_known = _clinical(patients, train)
    place = MODEL_VARIABLES.index(SUBTYPE)
    return values[:, [place]], is_known[:, [place]]


def _size_change(patients: Patients, train: Training) -> Columns:
    """How much smaller the lesion became from US-0 to US-1, standardised over training patients."""
    shrinkage = np.array([[np.nan if p.shrinkage is None else p.shrinkage] for p in patients])
    is_known = np.isfinite(shrinkage)
    seen = shrinkage[[row for row, _ in train]]
    seen = seen[np.isfinite(seen)]
    spread = float(seen.std()) if seen.size else 0.0
    centre = float(seen.mean()) if seen.size else 0.0
    values = np.where(is_known, (shrinkage - centre) / (spread if spread > 1e-9 else 1.0), 0.0)
    return values, is_known
