import json

import numpy as np
import pytest

from neoresponse.contracts.metrics import Metrics
from neoresponse.contracts.predictions import Prediction
from neoresponse.contracts.record import read_record, record_of, write_record
from neoresponse.errors import RunError
from neoresponse.evaluation import evaluate
from neoresponse.settings import EvaluateSettings
from neoresponse.stats.discrimination import auc
from neoresponse.stats.threshold import youden_threshold
from neoresponse.types import CLINICAL_ONLY

PLACES = (("primary", "train"), ("primary", "validation"), ("TC1", "test"), ("TC2", "test"))


def draw(seed, *, strength=0.3, num_patients=24):
    rng = np.random.default_rng(seed)
    rows = []
    for cohort, split in PLACES:
        for number in range(num_patients):
            label = int(number % 3 == 0)
            probability = float(np.clip(rng.random() * 0.7 + strength * label, 0, 1))
            name = f"{cohort}-{split}-{number}"
            rows.append(Prediction(name, cohort, split, label, probability, ()))
    return rows


def run(predictions, **settings):
    quick = EvaluateSettings(**({"replicates": 200} | settings))
    return evaluate(predictions, quick, is_simulated=True, cohort_name="cohort").model_dump(
        mode="json"
    )


def changed(rows, wanted, **fields):
    return [Prediction(**(vars(row) | fields)) if wanted(row) else row for row in rows]


def test_every_group_is_there_and_counted():
    found = run({"net": draw(1)})["runs"]["net"]["cohorts"]
    assert list(found) == ["train", "validation", "TC1", "TC2", "TC1+TC2"]
    assert [group["num_patients"] for group in found.values()] == [24, 24, 24, 24, 48]
    assert [group["num_pcr"] for group in found.values()] == [8, 8, 8, 8, 16]
    for group in found.values():
        assert sum(group["counts"].values()) == group["num_patients"]


def test_the_auc_is_that_of_the_group():
    rows = draw(1)
    tested = [row for row in rows if row.cohort == "TC1"]
    expected = auc([row.label for row in tested], [row.probability for row in tested])
    assert run({"net": rows})["runs"]["net"]["cohorts"]["TC1"]["auc"]["value"] == expected


def test_the_threshold_is_the_youden_cut_of_validation():
    rows = draw(1)
    seen = [row for row in rows if row.split == "validation"]
    expected = youden_threshold([row.label for row in seen], [row.probability for row in seen])
    assert run({"net": rows})["runs"]["net"]["threshold"] == expected


def test_test_patients_do_not_move_the_threshold():
    rows = draw(1)
    moved = changed(rows, lambda row: row.split != "validation", probability=0.5)
    before, after = run({"net": rows}), run({"net": moved})
    assert before["runs"]["net"]["threshold"] == after["runs"]["net"]["threshold"]


def test_test_patients_do_not_move_other_groups():
    rows = draw(1)
    moved = changed(rows, lambda row: row.cohort == "TC2", probability=0.5)
    before, after = run({"net": rows})["runs"]["net"], run({"net": moved})["runs"]["net"]
    for name in ("train", "validation", "TC1"):
        assert before["cohorts"][name] == after["cohorts"][name]


def test_half_is_half():
    assert run({"net": draw(1)}, threshold="half")["runs"]["net"]["threshold"] == 0.5


def test_validation_of_one_class_gives_half_and_says_so():
    rows = changed(draw(1), lambda row: row.split == "validation", label=0)
    found = run({"net": rows})["runs"]["net"]
    assert found["threshold"] == 0.5
    assert "both outcomes" in found["threshold_note"]


def test_patients_without_a_label_are_left_out_and_counted():
    rows = changed(draw(1), lambda row: row.patient_id in ("TC1-test-0", "TC1-test-1"), label=None)
    group = run({"net": rows})["runs"]["net"]["cohorts"]["TC1"]
    assert (group["num_patients"], group["num_without_label"]) == (22, 2)


def test_a_group_of_one_class_shows_counts_and_says_why_there_is_no_auc():
    rows = changed(draw(1), lambda row: row.cohort == "TC2", label=0)
    group = run({"net": rows})["runs"]["net"]["cohorts"]["TC2"]
    assert group["counts"]["tp"] + group["counts"]["fn"] == 0
    assert group["auc"]["value"] is None
    assert "only one of the two classes" in group["auc"]["note"]
    assert group["sensitivity"]["value"] is None
    assert group["specificity"]["value"] is not None
    assert group["roc"]["false_positive_rate"] == []


def test_a_cohort_without_any_label_is_kept_with_no_numbers():
    rows = [Prediction(f"n{i}", "new", "test", None, 0.5, ()) for i in range(3)]
    group = run({"net": rows})["runs"]["net"]["cohorts"]["new"]
    assert (group["num_patients"], group["num_without_label"]) == (0, 3)
    assert group["accuracy"]["value"] is None


def test_every_run_is_compared_with_the_reference_models_and_the_first_run_in_every_test_cohort():
    runs = {"net": draw(1), "other": draw(2), CLINICAL_ONLY: draw(3, strength=0.1)}
    runs["subtype_only"] = draw(4, strength=0.05)
    found = run(runs)
    pairs = [(c["run"], c["against"], c["cohort"]) for c in found["comparisons"]]
    assert pairs == [
        (name, against, cohort)
        for name, against in (
            ("net", CLINICAL_ONLY),
            ("other", CLINICAL_ONLY),
            ("net", "subtype_only"),
            ("other", "subtype_only"),
            ("other", "net"),
        )
        for cohort in ("TC1", "TC2", "TC1+TC2")
    ]
    values = found["runs"]
    for comparison in found["comparisons"]:
        cohort = comparison["cohort"]
        net = values[comparison["run"]]["cohorts"][cohort]["auc"]["value"]
        reference = values[comparison["against"]]["cohorts"][cohort]["auc"]["value"]
        assert comparison["difference"]["value"] == pytest.approx(net - reference, abs=1e-12)
        assert 0 <= comparison["p_value"] <= 1


def test_a_comparison_does_not_depend_on_the_order_of_rows():
    runs = {"net": draw(1), CLINICAL_ONLY: draw(3)}
    turned = {"net": draw(1), CLINICAL_ONLY: draw(3)[::-1]}
    assert run(runs)["comparisons"][0]["p_value"] == run(turned)["comparisons"][0]["p_value"]


def test_runs_of_other_patients_are_not_compared():
    shorter = [row for row in draw(3) if row.patient_id != "TC1-test-5"]
    found = run({"net": draw(1), CLINICAL_ONLY: shorter})["comparisons"][0]
    assert found["cohort"] == "TC1"
    assert found["difference"]["value"] is None
    assert "different patients" in found["difference"]["note"]


def test_two_labels_for_one_patient_stop_the_evaluation():
    other = changed(draw(2), lambda row: row.patient_id == "TC1-test-0", label=0)
    with pytest.raises(RunError, match="patient 'TC1-test-0': expected one label, got 1"):
        run({"net": draw(1), "other": other})


def test_no_run_stops_the_evaluation():
    with pytest.raises(RunError, match="expected at least one run"):
        run({})


def test_metrics_are_written_and_read_back(tmp_path):
    metrics = run({"net": draw(1), CLINICAL_ONLY: draw(2)})
    record = record_of(metrics, Metrics, where="here")
    path = write_record(tmp_path, record)
    assert read_record(tmp_path, Metrics) == record
    assert json.loads(path.read_text())["schema"] == "neoresponse.metrics/3"


def test_confidence_reaches_every_interval():
    metrics = run({"net": draw(1), CLINICAL_ONLY: draw(2)}, confidence=0.9)
    group = metrics["runs"]["net"]["cohorts"]["TC1"]
    for name in ("auc", "accuracy", "sensitivity", "specificity", "ppv", "npv"):
        assert group[name]["confidence"] == 0.9
    assert metrics["comparisons"][0]["difference"]["confidence"] == 0.9


def test_metrics_of_an_earlier_version_say_how_to_get_new_ones(tmp_path):
    (tmp_path / "metrics.json").write_text('{"schema": "neoresponse.metrics/2"}')
    with pytest.raises(RunError, match=r"Evaluate again with .*: nothing is trained"):
        read_record(tmp_path, Metrics)
