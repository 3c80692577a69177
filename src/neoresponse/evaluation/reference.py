"""Prepared store and split -> the folder `reference/`: what is known without a network.

Every model is a logistic regression that is fitted on training patients alone; no pixel is read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neoresponse.cohort.dictionary import MODEL_VARIABLES
from neoresponse.cohort.split import Assignment
from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.characteristics import write_characteristics
from neoresponse.contracts.predictions import Prediction, read_predictions, write_predictions
from neoresponse.contracts.record import has_record, write_record
from neoresponse.contracts.reference_models import (
    FOLDER,
    FittedOn,
    ReferenceCard,
    reference_file,
    reference_files,
)
from neoresponse.preprocess.clinical_model import (
    Columns,
    Patients,
    Training,
    clinical_columns,
    fit_on_columns,
)
from neoresponse.preprocess.rows import patients_of
from neoresponse.preprocess.store import Store
from neoresponse.types import CLINICAL_ONLY, SIZE_CHANGE_ONLY, SUBTYPE_ONLY, FloatArray

SUBTYPE = "phenotype"


def reference_predictions(
    store: Store, assignments: Sequence[Assignment]
) -> dict[str, list[Prediction]]:
    """Predictions of every reference model that training patients of both classes allow.

    Args:
        store: the prepared store; no image of it is read.
        assignments: the split.

    Returns:
        Reference model -> predictions of every patient of the split.
    """
    fitted = _fitted(store.patients, patients_of(store, assignments, "train"))
    return {name: _of_split(store, assignments, values) for name, values in fitted.items()}


def reference_predictions_elsewhere(
    store: Store, elsewhere: Store, assignments: Sequence[Assignment]
) -> dict[str, list[Prediction]]:
    """The same models, fitted on the same training patients, for patients of another store.

    Args:
        store: the store of the split.
        elsewhere: a store of other patients.
        assignments: the split.

    Returns:
        Reference model -> predictions of every patient of the other store.
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


def write_reference(folder: Path, store: Store, assignments: Sequence[Assignment]) -> None:
    """Write the reference folder of a split.

    Args:
        folder: exists and is empty.
        store: the prepared store.
        assignments: the split.
    """
    predicted = reference_predictions(store, assignments)
    write_patient_characteristics(folder, store, [one.patient_id for one in assignments])
    _write(folder, predicted, _card(store, store, assignments, predicted))


def write_reference_elsewhere(
    folder: Path, store: Store, elsewhere: Store, *, assignments: Sequence[Assignment]
) -> None:
    """Write the reference folder of a cohort that no model has seen.

    Args:
        folder: exists and is empty.
        store: the store of the split.
        elsewhere: the cohort's store.
        assignments: the split that the models are fitted on.
    """
    predicted = reference_predictions_elsewhere(store, elsewhere, assignments)
    write_patient_characteristics(folder, elsewhere, list(elsewhere.row_of))
    _write(folder, predicted, _card(store, elsewhere, assignments, predicted))


def reference_beside(source: Path, places: Sequence[Path]) -> Path | None:
    """The reference folder that lies in one of some folders and is of the patients of a run.

    Args:
        source: predictions of the run.
        places: where to look, in this order.

    Raises:
        RunError: a file cannot be read.
    """
    wanted = {(row.patient_id, row.cohort, row.split) for row in read_predictions(source)}
    for folder in (place / FOLDER for place in places):
        files = reference_files(folder) if has_record(folder, ReferenceCard) else {}
        if not files:
            continue
        rows = read_predictions(next(iter(files.values())))
        if wanted <= {(row.patient_id, row.cohort, row.split) for row in rows}:
            return folder
    return None


def write_patient_characteristics(folder: Path, store: Store, patient_ids: Sequence[str]) -> None:
    """Write `characteristics.csv` of some patients of a store."""
    patients = [store.patients[store.row_of[patient_id]] for patient_id in patient_ids]
    write_characteristics(
        folder / CHARACTERISTICS,
        (
            (one.patient_id, {**one.clinical, "machine": one.machine, "centre": one.centre})
            for one in patients
        ),
    )


def _fitted(patients: Patients, train: Training) -> dict[str, FloatArray]:
    """Reference model -> probability of every patient, of those that could be fitted."""
    looked_at = _columns(patients, train)
    found = {name: fit_on_columns(columns, train) for name, columns in looked_at.items()}
    return {name: values for name, values in found.items() if values is not None}


def _columns(patients: Patients, train: Training) -> dict[str, Columns]:
    """Reference model -> what it looks at."""
    clinical = clinical_columns(patients, train)
    place = [MODEL_VARIABLES.index(SUBTYPE)]
    return {
        CLINICAL_ONLY: clinical,
        SUBTYPE_ONLY: Columns(clinical.values[:, place], clinical.is_known[:, place]),
        SIZE_CHANGE_ONLY: _size_change(patients, train),
    }


def _size_change(patients: Patients, train: Training) -> Columns:
    """How much smaller the lesion became from US-0 to US-1, standardised over training patients."""
    shrinkage = np.array([[np.nan if p.shrinkage is None else p.shrinkage] for p in patients])
    is_known = np.isfinite(shrinkage)
    seen = shrinkage[[row for row, _ in train]]
    seen = seen[np.isfinite(seen)]
    spread = float(seen.std()) if seen.size else 0.0
    centre = float(seen.mean()) if seen.size else 0.0
    values = np.where(is_known, (shrinkage - centre) / (spread if spread > 1e-9 else 1.0), 0.0)
    return Columns(values, is_known)


def _of_split(
    store: Store, assignments: Sequence[Assignment], probability: FloatArray
) -> list[Prediction]:
    """Predictions of the patients of a split, in its order."""
    return [
        Prediction(
            *(one.patient_id, one.cohort, one.split, one.label),
            probability=float(probability[store.row_of[one.patient_id]]),
            available=store.patients[store.row_of[one.patient_id]].available,
        )
        for one in assignments
    ]


def _card(
    store: Store,
    shown: Store,
    assignments: Sequence[Assignment],
    predicted: Mapping[str, Sequence[Prediction]],
) -> ReferenceCard:
    """`reference.json`."""
    train = patients_of(store, assignments, "train")
    looked_at = _columns(store.patients, train)
    return ReferenceCard(
        cohort_name=shown.manifest.cohort_name,
        is_simulated=bool(store.manifest.is_simulated or shown.manifest.is_simulated),
        fitted_on={
            name: FittedOn(
                num_patients=len(train),
                num_pcr=sum(label for _, label in train),
                num_known=sum(bool(looked_at[name].is_known[row].any()) for row, _ in train),
            )
            for name in predicted
        },
    )


def _write(
    folder: Path, predicted: Mapping[str, Sequence[Prediction]], card: ReferenceCard
) -> None:
    """Predictions, and the record last."""
    for name, rows in predicted.items():
        write_predictions(folder / reference_file(name), rows)
    write_record(folder, card)
