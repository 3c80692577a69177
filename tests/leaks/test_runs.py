"""What test patients may have decided in a run, and the ledger of their evaluations."""

import json
import shutil
from dataclasses import replace

import pytest

from neoresponse.cohort.split import write_split
from neoresponse.contracts.predictions import Prediction
from neoresponse.contracts.record import write_record
from neoresponse.errors import RunError
from neoresponse.evaluation.evaluate import evaluate_files
from neoresponse.leaks import (
    read_openings,
    record_files,
    record_opening,
)
from neoresponse.leaks.openings import FILE_NAME, opened_again
from neoresponse.leaks.runs import run_leaks
from neoresponse.preprocess.rows import patients_of
from neoresponse.settings import EvaluateSettings
from neoresponse.training.refit import fitted_on


def kinds(found):
    return {leak.kind for leak in found}


def test_a_clean_run_gives_nothing(predicted, store):
    assert run_leaks(predicted, store) == []
    assert fitted_on(predicted, store) is None


@pytest.mark.parametrize(("threshold", "kind"), [(0.999, {"chosen on test"}), (None, set())])
def test_a_threshold_of_a_study_that_validation_did_not_choose_is_found(
    predicted, store, tmp_path, threshold, kind
):
    run = shutil.copytree(predicted, tmp_path / "study" / "runs" / "se_crosst")
    metrics = evaluate_files(
        {"se_crosst": run / "predictions.csv"}, EvaluateSettings(replicates=200)
    )
    chosen = metrics.runs["se_crosst"].threshold if threshold is None else threshold
    runs = {"se_crosst": metrics.runs["se_crosst"].model_copy(update={"threshold": chosen})}
    (tmp_path / "study" / "evaluation").mkdir()
    write_record(tmp_path / "study" / "evaluation", metrics.model_copy(update={"runs": runs}))
    assert kinds(run_leaks(run, store)) == kind


def test_a_threshold_of_an_earlier_model_that_validation_did_not_choose_is_found(copy, store):
    card = json.loads((copy / "model" / "model.json").read_text())
    card |= {"threshold": 0.999, "threshold_method": "highest Youden index"}  # an older version's
    (copy / "model" / "model.json").write_text(json.dumps(card))
    assert kinds(run_leaks(copy, store)) == {"chosen on test"}


def test_an_epoch_that_validation_did_not_choose_is_found(copy, store):
    head = "epoch,train_loss,validation_loss,validation_accuracy,validation_auc,is_kept"
    lines = ["0,0.7,0.5,0.9,0.9,0", "1,0.6,0.6,0.8,0.8,1"]
    (copy / "metrics.csv").write_text("\n".join([head, *lines]) + "\n")
    assert kinds(run_leaks(copy, store)) == {"chosen on test"}


def test_training_samples_of_a_test_patient_are_found(copy, store, assignments):
    (tested, *_) = [a.patient_id for a in assignments if a.split == "test"]
    with (copy / "samples.csv").open("a") as file:
        file.write(f"{store.row_of[tested]},1,0,0.0,1.0,0.0,1.0\n")
    (leak,) = run_leaks(copy, store)
    assert (leak.kind, leak.patients) == ("changed before the split", (tested,))


@pytest.mark.parametrize(
    ("name", "content"),
    [("metrics.csv", "epoch,is_kept\n0,0\n"), ("metrics.csv", "\xff"), ("samples.csv", "row\nx\n")],
)
def test_a_broken_file_of_a_run_is_named(copy, store, name, content):
    (copy / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=rf"{name}: expected .* Train again"):
        run_leaks(copy, store)


def test_predictions_under_another_part_are_found(copy, store):
    path = copy / "predictions.csv"
    path.write_text(path.read_text().replace(",TC1,test,", ",primary,train,"))
    assert kinds(run_leaks(copy, store)) == {"patient in two parts"}


def test_another_split_than_training_began_with_is_found(copy, store, assignments, tiny):
    flipped = [replace(a, split="train", cohort="primary") for a in assignments]
    write_split(copy, flipped, tiny.train.augment, seed=1)
    (copy / "predictions.csv").unlink()
    assert "patient in two parts" in kinds(run_leaks(copy, store))


def test_standardisation_of_all_patients_is_found(copy, store, assignments, monkeypatch):
    from neoresponse.training import refit

    chosen = patients_of(store, assignments, "train")
    chosen += [p for part in refit.PARTS[1:] for p in patients_of(store, assignments, part)]
    clinical, standardisation = refit.fit_preprocessing(store, chosen)
    card, weights = refit.load_bundle(copy / "model")
    fitted = {"clinical": clinical, "standardisation": standardisation}
    changed = card.model_copy(update={"input": card.input.model_copy(update=fitted)})
    monkeypatch.setattr(refit, "load_bundle", lambda _folder: (changed, weights))
    assert fitted_on(copy, store) == "all patients"


def predictions(value, split="test"):
    return [Prediction(f"P{n}", "TC1", split, n % 2, value, ()) for n in range(4)]


def test_the_ledger_counts_new_predictions_alone(tmp_path):
    assert record_opening(tmp_path, {"a": predictions(0.1, "train")}) == 0
    assert record_opening(tmp_path, {"a": predictions(0.1)}) == 1
    assert opened_again(tmp_path) == []
    assert record_opening(tmp_path, {"a": predictions(0.1)}) == 1
    assert record_opening(tmp_path, {"a": predictions(0.2)}) == 2
    (leak,) = opened_again(tmp_path)
    assert "got 2 evaluations with 2 different predictions" in leak.sentence


def test_predictions_files_are_recorded_as_their_content(predicted, tmp_path):
    files = {"se_crosst": predicted / "predictions.csv"}
    assert record_files(tmp_path, files) == 1
    assert record_files(tmp_path, files) == 1


def test_a_ledger_without_one_of_its_lines_is_refused(tmp_path):
    for value in (0.1, 0.2, 0.3):
        record_opening(tmp_path, {"a": predictions(value)})
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    (tmp_path / FILE_NAME).write_text("\n".join([lines[0], lines[2]]) + "\n")
    with pytest.raises(RunError, match=r"line 2: expected the line that follows"):
        read_openings(tmp_path)
    assert kinds(opened_again(tmp_path)) == {"test opened again"}


def test_a_ledger_that_is_no_text_is_refused(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\n")
    with pytest.raises(RunError, match="line 1: expected the line that follows"):
        read_openings(tmp_path)


def test_the_ledger_names_no_patient(tmp_path):
    record_opening(tmp_path, {"a": predictions(0.1)})
    assert "P1" not in (tmp_path / FILE_NAME).read_text()
