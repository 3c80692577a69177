"""How far a run is from the best possible prediction of simulated patients."""

import csv
import json

import numpy as np
import pytest

from neoresponse.contracts.predictions import (
    Prediction,
    PredictionsCard,
    read_card,
    write_card,
    write_predictions,
)
from neoresponse.contracts.record import write_record
from neoresponse.contracts.reference_models import FittedOn, ReferenceCard
from neoresponse.errors import RunError
from neoresponse.evaluation.evaluate import evaluate_files
from neoresponse.evaluation.limit import limits, read_oracle
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import auc, paired_delong
from neoresponse.types import Modality

BOTH = "biopsy+clinical"


@pytest.fixture
def patients():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 60)
    return [
        {"patient_id": f"P{n}", "label": y, BOTH: rng.normal(y, 1), "clinical": rng.normal(y / 2)}
        for n, y in enumerate(label)
    ]


@pytest.fixture
def truth(tmp_path, patients):
    folder = tmp_path / "truth"
    folder.mkdir()
    with (folder / "oracle.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(patients[0]))
        writer.writeheader()
        writer.writerows(patients)
    return folder


def rows_of(patients, *, seed=1):
    rng = np.random.default_rng(seed)
    return [
        Prediction(p["patient_id"], "TC1", "test", int(p["label"]), rng.random(), tuple(Modality))
        for p in patients
    ]


def test_a_run_is_held_against_the_oracle_of_its_own_inputs(patients, truth):
    rows = rows_of(patients)
    inputs = {"net": frozenset([Modality.CLINICAL, Modality.BIOPSY])}
    (found,) = limits({"net": rows}, inputs, read_oracle(truth), confidence=0.95)
    label = [p["label"] for p in patients]
    reached, best = [r.probability for r in rows], [p[BOTH] for p in patients]
    assert (found.run, found.cohort, found.inputs, found.num_patients) == ("net", "TC1", BOTH, 60)
    assert found.reached.value == auc(label, reached)
    assert found.best.value == auc(label, best)
    assert found.gap == paired_delong(label, reached, best).difference


def test_patients_are_matched_by_name_not_by_place(patients, truth):
    inputs = {"net": frozenset([Modality.CLINICAL])}
    oracle = read_oracle(truth)
    rows = rows_of(patients)
    straight = limits({"net": rows}, inputs, oracle, confidence=0.95)
    turned = limits({"net": rows[::-1]}, inputs, oracle, confidence=0.95)
    assert (
        straight[0].best.value
        == turned[0].best.value
        == auc([p["label"] for p in patients], [p["clinical"] for p in patients])
    )


def test_a_patient_whom_the_phantom_does_not_know_is_refused(patients, truth):
    rows = [*rows_of(patients), Prediction("X1", "TC1", "test", 1, 0.5, tuple(Modality))]
    with pytest.raises(RunError, match="'X1': expected a patient of the phantom"):
        limits({"net": rows}, {"net": frozenset(Modality)}, read_oracle(truth), confidence=0.95)


def test_a_folder_without_an_oracle_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"oracle\.csv: expected the oracle of a phantom"):
        read_oracle(tmp_path)


def test_evaluate_adds_limits_for_the_run_and_for_clinical_only(tmp_path, patients, truth):
    run = tmp_path / "net"
    run.mkdir()
    write_predictions(run / "predictions.csv", rows_of(patients))
    write_predictions(tmp_path / "clinical_only.csv", rows_of(patients, seed=2))
    fitted = {"clinical_only": FittedOn(num_patients=3, num_pcr=1, num_known=3)}
    card = ReferenceCard(cohort_name="x", is_simulated=True, fitted_on=fitted)
    write_record(tmp_path, card)
    write_card(run, PredictionsCard(inputs=(Modality.BIOPSY, Modality.CLINICAL)))
    sources, beside = {"net": run / "predictions.csv"}, {"reference": tmp_path, "truth": truth}
    content = evaluate_files(sources, EvaluateSettings(), **beside).model_dump()
    assert [(row["run"], row["inputs"]) for row in content["limits"]] == [
        ("net", BOTH),
        ("clinical_only", "clinical"),
    ]


def test_a_table_from_elsewhere_whose_inputs_are_unknown_gets_no_limit(tmp_path, patients, truth):
    write_predictions(tmp_path / "other.csv", rows_of(patients))
    content = evaluate_files(
        {"other": tmp_path / "other.csv"}, EvaluateSettings(), truth=truth
    ).model_dump()
    assert content["limits"] == ()


def test_without_truth_there_are_no_limits(tmp_path, patients):
    write_predictions(tmp_path / "other.csv", rows_of(patients))
    assert evaluate_files({"o": tmp_path / "other.csv"}, EvaluateSettings()).limits == ()


def test_the_card_keeps_the_inputs_and_an_older_card_has_none(tmp_path):
    card = PredictionsCard(inputs=(Modality.US_0, Modality.CLINICAL))
    write_card(tmp_path, card)
    assert read_card(tmp_path) == card
    path = tmp_path / "predictions.json"
    older = {key: value for key, value in json.loads(path.read_text()).items() if key != "inputs"}
    path.write_text(json.dumps(older))
    assert read_card(tmp_path).inputs == ()


def test_us_1_alone_is_held_against_both_time_points_for_its_crop_follows_us_0(patients):
    label = [p["label"] for p in patients]
    pair = {p["patient_id"]: {"us_1": 0.5, "us_0+us_1": p["clinical"]} for p in patients}
    rows = rows_of(patients)
    (found,) = limits({"n": rows}, {"n": frozenset([Modality.US_1])}, pair, confidence=0.95)
    assert found.inputs == "us_1"
    assert found.best.value == auc(label, [p["clinical"] for p in patients])
