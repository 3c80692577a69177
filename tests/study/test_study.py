import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file, save_file

from neoresponse.durable import only_one, sha256_of
from neoresponse.errors import RunError
from neoresponse.folders import other_files
from neoresponse.settings import StudySettings, merge
from neoresponse.settings.toml import to_toml
from neoresponse.study import run_study

TRAINING = ("train se_crosst", "predict se_crosst", "evaluate", "explain se_crosst")

RESULTS = (
    "check/findings.csv",
    "split/split.csv",
    "prepared/manifest.json",
    "runs/se_crosst/model/weights.safetensors",
    "runs/se_crosst/predictions.csv",
    "reference/clinical_only.csv",
    "evaluation/metrics.json",
    "explain/se_crosst/explain.json",
    "report/report.html",
)


def hashes(folder):
    return {name: sha256_of(folder / name) for name in RESULTS}


@pytest.fixture(autouse=True)
def _jobs_are_done_here(jobs):
    """These tests are of steps; jobs in processes of their own are tested beside this file."""


@pytest.fixture(scope="module")
def settings(one_run):
    return one_run


@pytest.fixture(scope="module")
def done(finished):
    return finished


DIES = """
import json, os, sys
from pathlib import Path
from neoresponse.folders import other_files
from neoresponse.grid import pool
from neoresponse.grid.child import do_job
from neoresponse.settings.toml import study_settings
from neoresponse.study import run_study

left, moment, replace = [int(sys.argv[3])], sys.argv[4], Path.replace

def die(path, target):
    left[0] -= 1
    if left[0] < 0 and moment == "before":
        os._exit(9)
    replace(path, target)
    if left[0] < 0:
        os._exit(9)

def do_here(job, *_rest):
    do_job(job)
    return 0, ""

Path.replace, pool.work = die, do_here
run_study(study_settings(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_finished_study_is_kept_whole(done, settings):
    folder, _ = done
    before = hashes(folder)
    lines = []
    run_study(settings, folder, say=lines.append)
    assert all(": kept " in line for line in lines)
    assert len(lines) == 9
    assert hashes(folder) == before
    assert other_files(folder) == []  # the records name all that a study writes


@pytest.mark.parametrize(
    ("share", "moment"),
    [
        (0.1, "before"),
        (0.5, "after"),
        pytest.param(0.0, "after", marks=pytest.mark.slow),
        pytest.param(0.8, "before", marks=pytest.mark.slow),
    ],
)
def test_a_study_killed_at_a_rename_goes_on_and_ends_the_same(
    done, settings, tmp_path, share, moment
):
    """The process dies at once, as under SIGKILL: nothing is cleaned up."""
    folder, num_moments = done
    study = tmp_path / "study.toml"
    study.write_text(to_toml(settings))
    words = [study, tmp_path / "study", round(share * num_moments), moment]
    child = subprocess.run([sys.executable, "-c", DIES, *map(str, words)], check=False, timeout=120)
    assert child.returncode == 9
    run_study(settings, tmp_path / "study")
    assert hashes(tmp_path / "study") == hashes(folder)


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        ({"evaluate": {"confidence": 0.9}}, ["evaluate", "report"]),
        ({"explain": {"num_patients": 3}}, ["explain se_crosst", "report"]),
        ({"train": {"learning_rate": 2e-3}}, [*TRAINING, "report"]),
        ({"train": {"augment": {"num_variants": 2}}}, ["split", "reference", *TRAINING, "report"]),
        ({"evaluate": {"threshold": "half"}}, ["evaluate", "explain se_crosst", "report"]),
    ],
)
def test_a_changed_setting_redoes_just_what_depends_on_it(
    done, settings, tmp_path, changes, redone
):
    folder = shutil.copytree(done[0], tmp_path / "study")
    changed = StudySettings.model_validate(merge(settings.model_dump(), changes))
    lines = []
    run_study(changed, folder, say=lines.append)
    assert [line.partition(":")[0] for line in lines if ": wrote " in line] == redone
    whole = tmp_path / "whole"
    run_study(changed, whole)
    assert hashes(folder) == hashes(whole)


def test_more_epochs_train_on_and_equal_a_study_made_from_nothing(done, settings, tmp_path):
    """The epoch that is kept may be the old one; predictions, and what reads them, then stay."""
    folder = shutil.copytree(done[0], tmp_path / "study")
    changed = StudySettings.model_validate(merge(settings.model_dump(), {"train": {"epochs": 3}}))
    lines = []
    run_study(changed, folder, say=lines.append)
    run_files = ("predictions.csv", "predictions.json")
    old, new = (
        [sha256_of(study / "runs" / "se_crosst" / name) for name in run_files]
        for study in (done[0], folder)
    )
    assert "train se_crosst: wrote runs/se_crosst" in lines
    assert ("evaluate: kept evaluation" in lines) is (old == new)
    whole = tmp_path / "whole"
    run_study(changed, whole)
    assert hashes(folder) == hashes(whole)


def test_other_pretrained_weights_in_the_same_file_train_again(done, settings, tmp_path):
    weights = tmp_path / "backbone.safetensors"
    trained = load_file(done[0] / "runs" / "se_crosst" / "model" / "weights.safetensors")
    prefix = "pathways.dou_ult.trunk.backbone."
    backbone = {n.removeprefix(prefix): t for n, t in trained.items() if n.startswith(prefix)}
    save_file(backbone, weights)
    changed = StudySettings.model_validate(
        merge(settings.model_dump(), {"model": {"weights": weights}})
    )
    run_study(changed, tmp_path / "study")
    save_file({name: tensor * 1.01 for name, tensor in backbone.items()}, weights)
    lines = []
    run_study(changed, tmp_path / "study", say=lines.append)
    assert "train se_crosst: wrote runs/se_crosst" in lines


@pytest.mark.parametrize(
    "lost",
    [
        "check/flow.json",
        "split/split.json",
        "prepared/biopsy.npy",
        "runs/se_crosst/model/manifest.json",
        "runs/se_crosst/model/weights.safetensors",
        "runs/se_crosst/inputs.json",
        "runs/se_crosst/config.toml",
        "reference/clinical_only.csv",
        "runs/se_crosst/run.json",
        "evaluation/metrics.json",
        "explain/se_crosst/explain.json",
        "report/report.html",
    ],
)
def test_a_lost_or_emptied_file_is_made_again(done, settings, tmp_path, lost):
    folder = shutil.copytree(done[0], tmp_path / "study")
    before = sha256_of(folder / lost)
    (folder / lost).unlink()
    run_study(settings, folder)
    assert sha256_of(folder / lost) == before
    (folder / lost).write_bytes(b"")
    run_study(settings, folder)
    assert sha256_of(folder / lost) == before
    assert hashes(folder) == hashes(done[0])


def test_a_study_inside_its_cohort_is_refused(settings):
    with pytest.raises(RunError, match="expected a folder apart from"):
        run_study(settings, settings.cohort / "study")


def test_two_processes_do_not_work_in_one_study(done, settings):
    with only_one(done[0]), pytest.raises(RunError, match="got one that is writing to it"):
        run_study(settings, done[0])


def test_a_changed_image_redoes_what_depends_on_it_and_an_unread_file_does_not(
    done, settings, phantom, tmp_path
):
    folder = shutil.copytree(done[0], tmp_path / "study")
    cohort = shutil.copytree(phantom / "cohort", tmp_path / "cohort")
    moved = settings.model_copy(update={"cohort": cohort})
    (cohort / "letter.txt").write_text("a file that no column names")
    lines = []
    run_study(moved, folder, say=lines.append)
    assert not any(line.startswith(("train", "predict")) and "wrote" in line for line in lines)
    frames = sorted((cohort / "ultrasound").glob("*us0.dcm"))
    content = bytearray(frames[0].read_bytes())
    content[-40] ^= 0xFF
    frames[0].write_bytes(bytes(content))
    lines.clear()
    run_study(moved, folder, say=lines.append)
    redone = [line.partition(":")[0] for line in lines if ": wrote " in line]
    assert "prepare" in redone
    assert "train se_crosst" in redone
    assert "split" not in redone


def test_the_record_of_the_cohort_names_no_file_of_it(done, phantom):
    text = (done[0] / "cohort-files.json").read_text()
    assert not any(path.name in text for path in (phantom / "cohort").rglob("*"))
    assert str(phantom) not in text + (done[0] / "study.json").read_text()
