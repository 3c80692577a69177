"""Reference models: fitted on training patients alone, once for a split."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from neoresponse.contracts.characteristics import read_characteristics
from neoresponse.contracts.predictions import Prediction, read_predictions, write_predictions
from neoresponse.contracts.record import content_of, read_record, record_of
from neoresponse.contracts.reference_models import (
    ReferenceCard,
    reference_files,
)
from neoresponse.contracts.store import StoreManifest
from neoresponse.errors import RunError
from neoresponse.evaluation.reference import (
    reference_beside,
    reference_predictions,
    write_reference,
)
from neoresponse.preprocess.store import Store
from neoresponse.types import REFERENCE_MODELS


def test_every_reference_model_is_fitted_on_training_patients_alone(store, assignments):
    """Turning the labels of all other patients changes no probability."""
    turned = [
        a if a.split == "train" else dataclasses.replace(a, label=1 - a.label) for a in assignments
    ]
    before, after = reference_predictions(store, assignments), reference_predictions(store, turned)
    assert list(before) == list(REFERENCE_MODELS)
    for name in REFERENCE_MODELS:
        assert [p.probability for p in before[name]] == [p.probability for p in after[name]]


def test_the_subtype_only_knows_the_subtype_and_nothing_else(store, assignments):
    found = {
        p.patient_id: p.probability
        for p in reference_predictions(store, assignments)["subtype_only"]
    }
    of_subtype = {}
    for patient in store.patients:
        of_subtype.setdefault(patient.clinical["phenotype"], set()).add(found[patient.patient_id])
    assert len(of_subtype) > 1
    assert all(len(probabilities) == 1 for probabilities in of_subtype.values())


def test_the_size_change_only_orders_patients_by_size_change(store, assignments):
    found = {
        p.patient_id: p.probability
        for p in reference_predictions(store, assignments)["size_change_only"]
    }
    shrinkage = [p.shrinkage for p in store.patients]
    order = np.argsort(shrinkage)
    along = np.array([found[store.patients[row].patient_id] for row in order])
    steps = np.sign(np.diff(along)[np.diff(np.sort(shrinkage)) > 1e-9])
    assert len(set(steps)) == 1


def test_a_store_without_sizes_has_no_size_change_only(store, assignments):
    manifest = content_of(store.manifest)
    for record in manifest["patients"]:
        record["images"]["us_0"]["lesion_mm"] = None
    lacking = Store(folder=store.folder, manifest=record_of(manifest, StoreManifest, where=""))
    assert list(reference_predictions(lacking, assignments)) == ["clinical_only", "subtype_only"]


def test_the_clinical_only_sees_missing_as_missing(store, assignments):
    """With a value gone in training, patients who lack it get a coefficient of their own."""
    manifest = content_of(store.manifest)
    for record in manifest["patients"][::2]:
        record["clinical"].pop("er")
    lacking = Store(folder=store.folder, manifest=record_of(manifest, StoreManifest, where=""))
    with_er = [p.probability for p in reference_predictions(store, assignments)["clinical_only"]]
    without = [p.probability for p in reference_predictions(lacking, assignments)["clinical_only"]]
    assert with_er != without
    assert all(0 < probability < 1 for probability in without)


def test_the_folder_holds_every_model_and_whom_it_was_fitted_on(store, assignments, tmp_path):
    write_reference(tmp_path, store, assignments)
    card = read_record(tmp_path, ReferenceCard)
    train = [one for one in assignments if one.split == "train"]
    assert list(reference_files(tmp_path)) == list(REFERENCE_MODELS)
    assert set(card.fitted_on) == set(REFERENCE_MODELS)
    assert {one.num_patients for one in card.fitted_on.values()} == {len(train)}
    assert {one.num_pcr for one in card.fitted_on.values()} == {sum(a.label for a in train)}
    expected = reference_predictions(store, assignments)
    for name, path in reference_files(tmp_path).items():
        assert read_predictions(path) == expected[name]
    known = read_characteristics(tmp_path / "characteristics.csv")
    assert set(known) == {one.patient_id for one in assignments}


def test_a_reference_folder_is_found_beside_where_it_is_of_the_same_patients(
    store, assignments, tmp_path
):
    rows = [Prediction(a.patient_id, a.cohort, a.split, a.label, 0.5, ()) for a in assignments]
    write_predictions(tmp_path / "own.csv", rows)
    write_predictions(tmp_path / "new.csv", [replace(r, cohort="new", split="test") for r in rows])
    (tmp_path / "reference").mkdir()
    assert reference_beside(tmp_path / "own.csv", [tmp_path]) is None
    write_reference(tmp_path / "reference", store, assignments)
    places = [tmp_path / "elsewhere", tmp_path]
    assert reference_beside(tmp_path / "own.csv", places) == tmp_path / "reference"
    assert reference_beside(tmp_path / "new.csv", places) is None


def test_a_folder_that_is_no_reference_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"reference\.json: expected this file"):
        reference_files(tmp_path)
