"""A study with axes, seeds, folds and a cohort from elsewhere: built once, asked many things."""

import json
import re
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from neoresponse.cohort.split import read_split
from neoresponse.contracts.predictions import read_card, read_predictions
from neoresponse.durable import sha256_of
from neoresponse.errors import NeoresponseError, RunError, Stopped
from neoresponse.evaluation.reference import (
    reference_predictions,
    reference_predictions_elsewhere,
)
from neoresponse.folders import other_files
from neoresponse.grid import pool
from neoresponse.grid import run as grid_run
from neoresponse.leaks import find_leaks, gather, part_of_patients, shared_patients
from neoresponse.preprocess.store import open_store
from neoresponse.settings import StudySettings
from neoresponse.settings.toml import to_toml
from neoresponse.stats import auc
from neoresponse.study import run_study, study_status
from neoresponse.training.stop import StopRequest
from neoresponse.types import REFERENCE_MODELS


@pytest.fixture(scope="session")
def settings(tiny, phantom, elsewhere):
    train = tiny.train.model_copy(update={"epochs": 1})
    return StudySettings.model_validate(
        {
            **tiny.model_dump(),
            "train": train.model_dump(),
            "cohort": phantom / "cohort",
            "evaluate": {"replicates": 200},
            "runs": {"us": {"pathways": ["dou_ult"]}},
            "seeds": [1, 2],
            "external": {"b": elsewhere / "cohort"},
            "cross_validation": {"folds": 2},
            "compute": {"workers": 1},
        }
    )


@pytest.fixture(scope="session")
def done(tmp_path_factory, settings, jobs_done_here):
    """A finished study; jobs in processes of their own are the subject of later tests."""
    folder = tmp_path_factory.mktemp("grid") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "work", jobs_done_here)
        run_study(settings, folder)
    return folder


def test_a_run_with_seeds_is_the_mean_of_its_probabilities(done):
    one, two = (
        read_predictions(done / "seeds" / f"us-seed-{seed}" / "predictions.csv") for seed in (1, 2)
    )
    averaged = read_predictions(done / "runs" / "us" / "predictions.csv")
    assert any(a.probability != b.probability for a, b in zip(one, two, strict=True))
    for a, b, both in zip(one, two, averaged, strict=True):
        assert both.probability == pytest.approx(mean((a.probability, b.probability)), abs=1e-15)
        assert (both.patient_id, both.split) == (a.patient_id, a.split)


def test_all_seeds_have_one_split(done):
    splits = {sha256_of(done / "seeds" / f"us-seed-{seed}" / "split.csv") for seed in (1, 2)}
    assert splits == {sha256_of(done / "split" / "split.csv")}


def test_metrics_hold_the_auc_of_each_seed(done):
    content = json.loads((done / "evaluation" / "metrics.json").read_text())
    entry = next(e for e in content["seeds"] if e["cohort"] == "TC1")
    for seed in (1, 2):
        rows = read_predictions(done / "seeds" / f"us-seed-{seed}" / "predictions.csv")
        rows = [row for row in rows if row.cohort == "TC1"]
        expected = auc([r.label for r in rows], [r.probability for r in rows])
        assert entry["auc"][str(seed)] == expected
    assert entry["mean"] == pytest.approx(np.mean(list(entry["auc"].values())))
    assert entry["deviation"] == pytest.approx(np.std(list(entry["auc"].values()), ddof=1))


def test_each_patient_of_the_split_is_tested_once_by_folds(done):
    lines = (done / "cross-validation" / "evaluation" / "us.csv").read_text().splitlines()[1:]
    tested = [line.split(",")[0] for line in lines]
    divided = [a.patient_id for a in read_split(done / "split") if a.cohort != "TC2"]
    assert sorted(tested) == sorted(divided)


def test_reference_models_of_a_fold_are_fitted_on_its_own_training_patients(done):
    folds = done / "cross-validation"
    expected = {}
    for part in ("repeat-1-fold-1", "repeat-1-fold-2"):
        split = read_split(folds / "runs" / "us" / part)
        rows = reference_predictions(open_store(done / "prepared"), split)["clinical_only"]
        expected |= {r.patient_id: repr(r.probability) for r in rows if r.split == "test"}
    lines = (folds / "evaluation" / "clinical_only.csv").read_text().splitlines()[1:]
    assert {line.split(",")[0]: line.split(",")[4] for line in lines} == expected


def test_a_cohort_from_elsewhere_is_judged_by_our_threshold_and_our_reference_models(done):
    folder = done / "external" / "b"
    metrics = json.loads((done / "evaluation" / "metrics.json").read_text())
    ours = metrics["runs"]["us"]["threshold"]
    assert read_card(folder / "runs" / "us").threshold == ours
    judged = json.loads((folder / "evaluation" / "metrics.json").read_text())["runs"]
    assert judged["us"]["threshold"] == ours
    assert set(REFERENCE_MODELS) < set(judged)
    own, other = open_store(done / "prepared"), open_store(folder / "prepared")
    split = read_split(done / "split")
    expected = reference_predictions_elsewhere(own, other, split)["clinical_only"]
    assert read_predictions(folder / "reference" / "clinical_only.csv") == expected
    assert len(expected) == len(other.patients)
    # One that is both here and there has the same probability.
    again = reference_predictions_elsewhere(own, own, split)["clinical_only"]
    here = {
        r.patient_id: r.probability for r in read_predictions(done / "reference/clinical_only.csv")
    }
    assert all(
        here[r.patient_id] == pytest.approx(r.probability) for r in again if r.patient_id in here
    )


def test_the_report_shows_seeds_folds_and_cohorts_from_elsewhere(done):
    page = (done / "report" / "report.html").read_text()
    section = page[page.index('id="repeats"') : page.index('id="training"')]
    assert "AUC by seed" in section
    assert "Cross-validation: 1 × 2 folds" in section
    assert re.search(r"External cohorts.*SIMULATED", section, re.DOTALL)
    assert "us-seed-2" in page[page.index('id="training"') :]
    for name in ("seeds", "cross_validation", "external"):
        assert (done / "report" / "tables" / f"{name}.csv").is_file()
    assert (done / "external" / "b" / "report" / "report.html").is_file()
    assert other_files(done) == []  # the records name all that a study writes


def test_nothing_is_done_twice(done, settings):
    before = {p: p.stat().st_mtime_ns for p in done.glob("seeds/*/model/*")}
    lines = []
    run_study(settings, done, say=lines.append)
    assert lines
    assert all(": kept " in line for line in lines)
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_a_setting_of_evaluation_trains_and_predicts_nothing_in_seeds_folds_or_elsewhere(
    done, settings
):
    """What is due is all in this process: no job is started."""
    evaluate = settings.evaluate.model_copy(update={"threshold": "half", "confidence": 0.9})
    due = study_status(settings.model_copy(update={"evaluate": evaluate}), done).due
    assert {"evaluate", "evaluate b", "average us b", "cross-validate", "report"} <= set(due)
    assert not [name for name in due if name.startswith(("train", "predict"))]


def test_one_more_seed_trains_just_that_one(done, settings, tmp_path, monkeypatch, jobs_done_here):
    monkeypatch.setattr(pool, "work", jobs_done_here)
    folder = shutil.copytree(done, tmp_path / "study")
    lines = []
    run_study(settings.model_copy(update={"seeds": (1, 2, 3)}), folder, say=lines.append)
    trained = [line for line in lines if line.startswith("train ") and ": wrote " in line]
    assert trained == ["train us seed 3: wrote seeds/us-seed-3"]
    assert "average us: wrote runs/us" in lines


def test_a_run_that_fails_does_not_stop_the_others(tiny, phantom, tmp_path):
    others = tmp_path / "others.safetensors"
    save_file({"of_another_network": torch.zeros(1)}, others)
    runs = {
        "broken": {"weights": str(others)},
        "us": {"pathways": ["dou_ult"]},
    }
    settings = StudySettings.model_validate(
        {**tiny.model_dump(), "cohort": phantom / "cohort", "runs": runs}
    )
    seen = []
    with pytest.raises(RunError, match="every training to finish, 1 failed") as caught:
        run_study(settings, tmp_path / "study", watch=lambda states, _left: seen.append(states))
    assert "broken: " in str(caught.value)
    assert "others.safetensors" in str(caught.value)
    page = (tmp_path / "study" / "report" / "report.html").read_text()
    assert "Not in this report:</strong> broken." in page
    assert {one.name: one.state for one in seen[-1]} == {"broken": "failed", "us": "done"}


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"external": {"b": "nowhere"}}, "nowhere: expected a folder with cohort.toml"),
        ({"truth": "nowhere"}, "expected the oracle of a phantom"),
        ({"runs": {"a": {"weights": "nowhere.safetensors"}}}, "nowhere.safetensors: expected"),
        ({"runs": {"a": {"backbone": "inception_v3"}}}, "takes pictures of 32 px, got 'inception"),
    ],
)
def test_what_a_study_lacks_is_told_before_its_folder_is_made(settings, tmp_path, change, missing):
    lacking = StudySettings.model_validate({**settings.model_dump(), **change})
    with pytest.raises(NeoresponseError, match=missing):
        run_study(lacking, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_training_patients_in_a_cohort_from_elsewhere_are_named(done, phantom, tmp_path):
    own, part_of = open_store(done / "prepared"), part_of_patients(read_split(done / "split"))
    seen = {i for i, part in part_of.items() if part in ("train", "validation")}
    # The two phantoms number their patients alike and share no picture.
    other = shared_patients(own, part_of, open_store(done / "external/b/prepared"), "b")
    assert {leak.kind for leak in other} == {"patient in two parts"}
    assert {i for leak in other for i in leak.patients} <= seen
    metrics = json.loads((done / "external/b/evaluation/metrics.json").read_text())
    assert metrics["training_patients"] == [leak.sentence for leak in other]
    assert "it may not be independent" in (done / "report/report.html").read_text()
    study = shutil.copytree(done, tmp_path / "study")
    shutil.rmtree(study / "external" / "b" / "prepared")
    copy = shutil.copytree(study / "prepared", study / "external" / "b" / "prepared")
    renamed = json.loads((copy / "manifest.json").read_text())
    for number, patient in enumerate(renamed["patients"]):
        if number % 2:
            patient["patient_id"] = f"Q-{number + 500}"
    (copy / "manifest.json").write_text(json.dumps(renamed))
    found = shared_patients(own, part_of, open_store(copy), "b")
    assert {leak.kind for leak in found} == {"patient in two parts", "copied image"}
    assert {i for leak in found for i in leak.patients} & set(part_of) == seen
    assert set(found) <= set(find_leaks(gather([study])))


def test_too_few_patients_for_the_folds_are_told_before_any_training(settings, tmp_path):
    many = settings.model_copy(
        update={"cross_validation": settings.cross_validation.model_copy(update={"folds": 20})}
    )
    lines = []
    with pytest.raises(Exception, match="in each of 20 folds"):
        run_study(many, tmp_path / "study", say=lines.append)
    assert not any(line.startswith(("train", "prepare")) for line in lines)


STARTS = """
import sys
from pathlib import Path
from neoresponse.errors import NeoresponseError
from neoresponse.settings.toml import study_settings
from neoresponse.study import run_study, study_status
try:
    run_study(study_settings(sys.argv[1]), Path(sys.argv[2]), say=print)
except NeoresponseError as error:
    sys.exit(str(error))
"""


def start(study, folder):
    return subprocess.Popen(
        [sys.executable, "-c", STARTS, str(study), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child):
    """Wait until it has ended well; what it printed."""
    out, error = child.communicate(timeout=400)
    assert child.returncode == 0, error
    return out


@pytest.fixture
def plain(tiny, phantom, tmp_path):
    """A study file with one run of some epochs."""
    train = {**tiny.train.model_dump(), "epochs": 4}
    content = {**tiny.model_dump(), "train": train, "cohort": phantom / "cohort"}
    content["evaluate"] = {"replicates": 200}
    path = tmp_path / "study.toml"
    path.write_text(to_toml(StudySettings.model_validate(content)))
    return path


@pytest.mark.slow
def test_eight_programs_that_start_at_once_damage_nothing_and_do_each_run_once(plain, tmp_path):
    children = [start(plain, tmp_path / "study") for _ in range(8)]
    ends = [(*child.communicate(timeout=400), child.returncode) for child in children]
    wrote = [out.count("train se_crosst: wrote") for out, _, _ in ends]
    assert sum(wrote) == 1
    for out, error, code in ends:
        if code:
            assert "got one that is writing to it" in error
            assert "Traceback" not in error
            assert "wrote" not in out
    assert any(code == 0 for _, _, code in ends)
    assert ": wrote " not in finish(start(plain, tmp_path / "study"))


class Asked(StopRequest):
    """A stop that is asked for as soon as a file is there."""

    path: Path

    @property
    def signal_number(self):
        return signal.SIGTERM if self.path.exists() else None

    @signal_number.setter
    def signal_number(self, _value):
        pass


@pytest.mark.slow
def test_a_study_that_is_asked_to_stop_says_so_and_its_trainings_have_saved(
    tiny, phantom, tmp_path, monkeypatch
):
    folder = tmp_path / "study"
    run = folder / "runs" / "se_crosst"
    monkeypatch.setattr(Asked, "path", run / "metrics.csv", raising=False)
    monkeypatch.setattr(grid_run, "stop_on_signals", lambda: nullcontext(Asked()))
    train = {**tiny.train.model_dump(), "epochs": 30}
    content = {**tiny.model_dump(), "train": train, "cohort": phantom / "cohort"}
    with pytest.raises(Stopped, match="SIGTERM while trainings were running"):
        run_study(StudySettings.model_validate(content), folder)
    assert list((run / "checkpoints").glob("*"))
    assert not (run / "run.json").exists()
