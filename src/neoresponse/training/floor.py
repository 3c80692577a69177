"""The clinical floor: logistic regression on the four variables, beside every image model."""

from collections.abc import Sequence

import numpy as np

from neoresponse.cohort.split import Assignment
from neoresponse.data.predictions import Prediction
from neoresponse.preprocess.clinical import fit_encoder
from neoresponse.preprocess.store import Store
from neoresponse.stats.logistic import fit_logistic, logistic_probability
from neoresponse.training.fit import patients_of

RIDGE = 1.0
"""Penalty on the squared coefficients of standardised variables; keeps them finite."""


def clinical_floor(store: Store, assignments: Sequence[Assignment]) -> list[Prediction]:
    """Fit on training patients, predict every patient of the split.

    Args:
        store: the prepared store; no image of it is read.
        assignments: the split.
    """
    train = patients_of(store, assignments, "train")
    label = [outcome for _, outcome in train]
    encoder = fit_encoder([store.patients[row].clinical for row, _ in train], label)
    values, is_known = encoder.encode([patient.clinical for patient in store.patients])
    rows = [row for row, _ in train]
    # A variable that lacks in training gets a column that says so: missing is no value.
    is_missing = np.logical_not(is_known)
    lacks = is_missing[:, is_missing[rows].any(axis=0)]
    design = np.column_stack([np.ones(len(values)), values.astype(float), lacks.astype(float)])
    coefficients = fit_logistic(design[rows], label, ridge=RIDGE)
    probability = logistic_probability(design, coefficients)
    return [
        Prediction(
            a.patient_id,
            a.cohort,
            a.split,
            a.label,
            probability=float(probability[store.row_of[a.patient_id]]),
            available=store.patients[store.row_of[a.patient_id]].available,
        )
        for a in assignments
    ]
