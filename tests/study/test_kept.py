"""Nothing that was learnt is lost: settings of evaluation, changed recipes, older versions."""

import json
import shutil

import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.durable import sha256_of
from neoresponse.settings import StudySettings, merge
from neoresponse.settings.toml import to_toml
from neoresponse.study import kept_trainings, run_study, study_status
from neoresponse.study.status import as_text

OF_THIS_MACHINE = {"study.json", "cohort-files.json", ".lock"}


def with_(settings, **changes):
    return StudySettings.model_validate(merge(settings.model_dump(), changes))


def every_file(folder):
    """Content of all files, but of those that hold times of change."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OF_THIS_MACHINE and "kept" not in path.parts
    }


def run(settings, folder, jobs):
    """Run a study; the jobs that it started, and its lines."""
    jobs.clear()
    lines = []
    run_study(settings, folder, say=lines.append)
    return list(jobs), lines


def test_settings_of_evaluation_and_explanation_train_nothing_and_give_the_same_bytes(
    finished, one_run, jobs, tmp_path
):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    evaluate = {"threshold": "half", "confidence": 0.9, "decision_thresholds": [0.3]}
    other = with_(one_run, evaluate=evaluate, explain={"num_patients": 3, "stage": 1})
    assert run(other, folder, jobs)[0] == []
    assert len(run(other, tmp_path / "whole", jobs)[0]) == 1
    assert every_file(folder) == every_file(tmp_path / "whole")


def test_a_training_with_another_recipe_is_kept_and_comes_back(finished, one_run, jobs, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    before = every_file(folder)
    other = with_(one_run, train={"learning_rate": 2e-3, "epochs": 1})
    started, lines = run(other, folder, jobs)
    assert [job["do"] for job in started] == ["train"]
    (kept,) = kept_trainings(folder)
    moved = f"training with other inputs moved to kept/{kept.folder.name}"
    assert f"train se_crosst: {moved}" in lines
    assert kept.is_finished
    assert kept.folder.name == f"se_crosst-{kept.inputs.identity[:12]}"
    said = as_text(study_status(other, folder))
    assert "differs in train.epochs, train.learning_rate" in said
    assert "se_crosst: done" in said
    said = as_text(study_status(one_run, folder))
    assert f"se_crosst: comes back from kept/{kept.folder.name}" in said
    started, lines = run(one_run, folder, jobs)
    assert started == []
    assert f"train se_crosst: came back from kept/{kept.folder.name}" in lines
    assert "train se_crosst: kept runs/se_crosst" in lines
    openings = "test-openings.jsonl"  # it counts the evaluation in between, as it must
    assert {**every_file(folder), openings: ""} == {**before, openings: ""}
    assert [one.is_finished for one in kept_trainings(folder)] == [True]
    assert run(other, folder, jobs)[0] == []


def test_clean_names_kept_trainings_and_removes_them_only_where_that_is_asked_for(
    finished, one_run, jobs, tmp_path
):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    run(with_(one_run, train={"epochs": 1}), folder, jobs)
    said = CliRunner().invoke(main, ["clean", str(folder), "--yes"]).output
    assert "1 kept trainings stay" in said
    assert len(kept_trainings(folder)) == 1
    assert CliRunner().invoke(main, ["clean", str(folder), "--kept", "--yes"]).exit_code == 0
    assert kept_trainings(folder) == []
    assert (folder / "runs" / "se_crosst" / "run.json").is_file()


def test_an_unfinished_training_is_kept_and_goes_on(finished, one_run, jobs, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    before = every_file(folder)
    (folder / "runs" / "se_crosst" / "run.json").unlink()
    assert "unfinished, 2 epochs done" in as_text(study_status(one_run, folder))
    run(with_(one_run, train={"epochs": 1}), folder, jobs)
    assert [one.is_finished for one in kept_trainings(folder)] == [False]
    run(one_run, folder, jobs)
    openings = "test-openings.jsonl"
    assert {**every_file(folder), openings: ""} == {**before, openings: ""}


def test_a_run_that_gets_seeds_is_kept_and_comes_back_without_them(
    finished, one_run, jobs, tmp_path
):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    before = {p: h for p, h in every_file(folder).items() if p.startswith("runs/")}
    run(with_(one_run, seeds=[7]), folder, jobs)
    assert not (folder / "runs" / "se_crosst" / "model").exists()
    assert [one.name for one in kept_trainings(folder)] == ["se_crosst"]
    assert run(one_run, folder, jobs)[0] == []
    assert {p: h for p, h in every_file(folder).items() if p.startswith("runs/")} == before


def as_an_earlier_version_left_it(folder):
    """A study whose recipe, card, model and ledger know of the threshold."""
    run_folder = folder / "runs" / "se_crosst"
    inputs = json.loads((run_folder / "inputs.json").read_text())
    inputs |= {"schema": "neoresponse.run-inputs/1"}
    inputs["recipe"]["threshold"] = "youden"
    card = json.loads((run_folder / "model" / "model.json").read_text())
    card |= {"threshold": 0.3, "threshold_method": "highest Youden index"}
    manifest = json.loads((run_folder / "model" / "manifest.json").read_text())
    files = {"inputs.json": inputs, "model/model.json": card}
    for name, content in files.items():
        (run_folder / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    manifest["sha256"]["model.json"] = sha256_of(run_folder / "model" / "model.json")
    (run_folder / "model" / "manifest.json").write_text(json.dumps(manifest))
    shutil.copy(folder / "reference" / "clinical_only.csv", run_folder / "clinical_floor.csv")
    shutil.rmtree(folder / "reference")
    steps = json.loads((folder / "study.json").read_text())
    del steps["steps"]["reference"]
    step = steps["steps"]["train se_crosst"]
    step["key"] = "computed otherwise"
    for name in (*step["files"], "config.toml"):
        path = run_folder / name
        step["files"][name] = [path.stat().st_size, path.stat().st_mtime_ns, sha256_of(path)]
    (folder / "study.json").write_text(json.dumps(steps))
    return {"model/weights.safetensors", *files}


def test_a_study_of_an_earlier_version_trains_nothing(finished, one_run, jobs, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    names = as_an_earlier_version_left_it(folder)
    before = {name: sha256_of(folder / "runs" / "se_crosst" / name) for name in names}
    started, lines = run(one_run, folder, jobs)
    assert [job["is_trained"] for job in started] == [True]  # its predictions alone
    assert "train se_crosst: kept runs/se_crosst" in lines
    assert {name: sha256_of(folder / "runs" / "se_crosst" / name) for name in names} == before
    assert (folder / "reference" / "clinical_only.csv").is_file()
    assert run(one_run, folder, jobs)[0] == []


@pytest.mark.parametrize("damage", ["", "{}", None])
def test_inputs_that_were_lost_cost_no_training(finished, one_run, jobs, tmp_path, damage):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    before = every_file(folder)
    path = folder / "runs" / "se_crosst" / "inputs.json"
    path.unlink()
    if damage is not None:
        path.write_text(damage)
    assert run(one_run, folder, jobs)[0] == []
    assert every_file(folder) == before


def test_a_run_whose_inputs_nobody_knows_is_kept_too(finished, one_run, jobs, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    (folder / "runs" / "se_crosst" / "inputs.json").unlink()
    run(with_(one_run, train={"epochs": 1}), folder, jobs)
    (kept,) = kept_trainings(folder)
    assert (kept.folder.name, kept.name, kept.inputs) == ("se_crosst-unknown", "se_crosst", None)
    assert (kept.folder / "model" / "weights.safetensors").is_file()


def test_notes_beside_a_run_that_learnt_nothing_stay(finished, one_run, jobs, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "study")
    (folder / "runs" / "other").mkdir()
    (folder / "runs" / "other" / "notes.txt").write_text("mine")
    with pytest.raises(Exception, match="found other files"):
        run(with_(one_run, runs={"other": {}}), folder, jobs)
    assert (folder / "runs" / "other" / "notes.txt").read_text() == "mine"


def test_the_verb_says_what_is_due_and_does_nothing(finished, one_run, jobs, tmp_path):
    from click.testing import CliRunner

    study = tmp_path / "study.toml"
    study.write_text(to_toml(one_run))
    before = every_file(finished[0])
    words = ["study", str(study), str(finished[0]), "--status", "--set", "train.epochs=1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "  check: done\n" in result.output
    assert "  train se_crosst: due\n" in result.output
    assert "  se_crosst: to be trained\n" in result.output
    assert every_file(finished[0]) == before
    fresh = CliRunner().invoke(main, ["study", str(study), str(tmp_path / "new"), "--status"])
    assert "  check: due\n" in fresh.output
    assert "se_crosst: to be trained, once its inputs are known" in fresh.output
    assert not (tmp_path / "new").exists()
