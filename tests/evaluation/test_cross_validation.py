import csv
import io

import numpy as np
import pytest

from neoresponse.contracts.predictions import Prediction
from neoresponse.errors import RunError
from neoresponse.evaluation.cross_validation import (
    choose_inside,
    cross_validation,
    gather,
)
from neoresponse.stats import auc


def rows(probabilities, labels, *, start):
    return [
        Prediction(f"P{start + i:03d}", "TC1", "test", y, p, ())
        for i, (p, y) in enumerate(zip(probabilities, labels, strict=True))
    ]


@pytest.fixture
def tested():
    rng = np.random.default_rng(3)
    labels = [1, 0, 0, 1, 0, 0, 0, 1] * 2
    return {
        (repeat, fold): rows(rng.random(8), labels[8 * (fold - 1) : 8 * fold], start=8 * (fold - 1))
        for repeat in (1, 2)
        for fold in (1, 2)
    }


def test_the_auc_is_the_mean_over_folds_and_never_pairs_two_folds(tested):
    found = cross_validation(
        {"a": gather(tested)}, confidence=0.95, is_simulated=True, cohort_name="c"
    ).model_dump()
    aucs = [auc([r.label for r in fold], [r.probability for r in fold]) for fold in tested.values()]
    numbers = found["runs"]["a"]
    assert numbers["auc"]["value"] == pytest.approx(np.mean(aucs))
    assert [one["auc"] for one in numbers["by_fold"]] == pytest.approx(aucs)
    # Another scale in one fold changes nothing.
    tested[1, 2] = [
        Prediction(r.patient_id, r.cohort, r.split, r.label, r.probability / 10, ())
        for r in tested[1, 2]
    ]
    again = cross_validation(
        {"a": gather(tested)}, confidence=0.95, is_simulated=True, cohort_name="c"
    ).model_dump()
    assert again["runs"]["a"]["auc"] == numbers["auc"]


def test_a_run_is_held_against_each_reference_model_and_not_against_other_runs(tested):
    one = gather(tested)
    found = cross_validation(
        {"a": one, "b": one, "clinical_only": one},
        confidence=0.9,
        is_simulated=False,
        cohort_name="c",
    ).model_dump()
    assert [(c["run"], c["against"]) for c in found["comparisons"]] == [
        ("a", "clinical_only"),
        ("b", "clinical_only"),
    ]
    assert found["comparisons"][0]["difference"]["value"] == 0
    assert (found["num_patients"], found["num_pcr"], found["num_repeats"]) == (16, 6, 2)


def test_a_patient_tested_twice_in_a_repeat_is_refused(tested):
    tested[1, 1].append(tested[1, 2][0])
    with pytest.raises(RunError, match="tested once in repeat 1"):
        gather(tested)


def test_a_patient_missing_in_a_repeat_is_refused(tested):
    tested[2, 1].pop()
    with pytest.raises(RunError, match="every patient to be tested in every repeat"):
        gather(tested)


def test_the_table_has_a_line_per_patient_and_repeat(tested):
    lines = list(csv.DictReader(io.StringIO(gather(tested).to_csv())))
    assert len(lines) == 32
    first = tested[1, 1][0]
    assert float(lines[0]["probability"]) == first.probability
    assert (lines[0]["patient_id"], lines[0]["repeat"], lines[0]["fold"]) == ("P000", "1", "1")


def test_what_is_chosen_inside_depends_on_the_inner_folds_alone(tested):
    other = {
        place: [
            Prediction(r.patient_id, r.cohort, r.split, r.label, 1 - r.probability, ())
            for r in found
        ]
        for place, found in tested.items()
    }
    inside = {
        "a": {(1, 1): [0.6, 0.7], (1, 2): [0.5, 0.5], (2, 1): [0.9, 0.1], (2, 2): [0.6, 0.6]},
        "b": {(1, 1): [0.6, 0.6], (1, 2): [0.5, 0.6], (2, 1): [0.5, 0.4], (2, 2): [0.6, 0.6]},
    }
    chosen, times = choose_inside({"a": tested, "b": other}, inside)
    assert times == {"a": 3, "b": 1}  # equals go to the first
    assert chosen[1, 2] == other[1, 2]
    assert chosen[2, 1] == tested[2, 1]
