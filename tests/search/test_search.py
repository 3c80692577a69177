"""A search: on training patients alone, resumable, and refused where it cannot be."""

import csv
import os
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.cohort.split import write_split
from neoresponse.durable import only_one, sha256_of
from neoresponse.errors import ConfigError, MissingExtraError, RunError, Stopped
from neoresponse.search import search as search_file
from neoresponse.search.search import Search, run_search
from neoresponse.settings import RunSettings, SearchSettings, merge
from neoresponse.settings.toml import run_settings, to_toml
from neoresponse.training import loop
from neoresponse.training.run import recipe

SPACE = {
    "train.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.augment.num_variants": {"low": 0, "high": 2},
    "train.optimiser": {"choices": ["adam", "adamw"]},
}
RESULTS = ("trials.csv", "best.toml", "search.svg")


class Killed(Exception):
    pass


def searching(settings, **changes):
    content = merge(settings.model_dump(), {"search": {"trials": 3, "folds": 2, "space": SPACE}})
    content["search"].update(changes)
    return RunSettings.model_validate(content)


@pytest.fixture(scope="module")
def quick(tiny):
    """The head on clinical variables alone: a training takes a tenth of a second."""
    model = {"pathways": ()}
    train = {"epochs": 1, "batch_size": 4}
    return searching(
        RunSettings.model_validate(merge(tiny.model_dump(), {"model": model, "train": train}))
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory, store, assignments, quick):
    """A search that nobody disturbed, and what it said."""
    folder, lines = tmp_path_factory.mktemp("search") / "search", []
    run_search(Search(store, assignments, quick, say=lines.append), folder)
    return folder, lines


def hashes(folder):
    return {name: sha256_of(folder / name) for name in RESULTS}


def rows(folder):
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_settings_are_whole_and_train(searched, store, assignments, quick):
    folder, _ = searched
    best = run_settings(str(folder / "best.toml"))
    table = rows(folder)
    first = max(table, key=lambda row: (float(row["value"]), -int(row["number"])))
    assert best.train.learning_rate == float(first["train.learning_rate"])
    assert best.train.augment.num_variants == int(first["train.augment.num_variants"])
    assert best.train.optimiser == first["train.optimiser"]
    assert best.search == SearchSettings()
    content = tomllib.loads((folder / "best.toml").read_text())
    assert "search" not in content
    assert set(content["train"]) >= {"epochs", "keep", "optimiser", "learning_rate"}


def test_a_trial_is_the_mean_over_the_folds_at_the_kept_epoch(searched):
    folder, _ = searched
    for row in rows(folder):
        values = []
        for fold in (0, 1):
            run = folder / "trials" / f"{int(row['number']):04d}" / f"fold-{fold}"
            with (run / "metrics.csv").open(newline="") as file:
                kept = [line for line in csv.DictReader(file) if line["is_kept"] == "1"]
            values.append(float(kept[0]["validation_auc"]))
            assert float(row[f"fold_{fold}"]) == values[-1]
        assert float(row["value"]) == pytest.approx(np.mean(values), abs=1e-15)


def test_the_result_says_that_it_is_simulated_and_optimistic(searched):
    folder, lines = searched
    assert "SIMULATED" in (folder / "best.toml").read_text()
    assert "therefore optimistic" in (folder / "best.toml").read_text()
    assert "trial 2 (3 of 3): mean validation AUC" in lines[-1]
    assert "; about " in lines[1]
    assert "left" not in lines[-1]


def test_weights_of_trials_are_not_kept(searched):
    folder, _ = searched
    assert not list(folder.rglob("*.safetensors"))


def test_a_finished_search_is_kept_as_it_is(searched, store, assignments, quick, monkeypatch):
    folder, _ = searched
    before = hashes(folder)
    monkeypatch.setattr(search_file, "train_run", None)
    run_search(Search(store, assignments, quick), folder)
    assert hashes(folder) == before


@pytest.mark.parametrize("moment", range(6))
def test_a_search_killed_anywhere_goes_on_and_ends_with_the_same_bytes(
    searched, store, assignments, quick, tmp_path, monkeypatch, moment
):
    """At its trainings, and at the lines of its journal."""
    kill(monkeypatch, after=moment)
    with pytest.raises(Killed):
        run_search(Search(store, assignments, quick), tmp_path / "search")
    monkeypatch.undo()
    run_search(Search(store, assignments, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") == hashes(searched[0])


def kill(patch, after):
    """Die at one of the moments: before a journal line, after it, or in a training."""
    from optuna.storages.journal import JournalFileBackend

    which, count = after % 3, after // 3
    left = [{0: 3, 1: 4, 2: 1}[which] + 3 * count if which < 2 else 1 + 2 * count]

    def dying(function, when):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0 and when == "before":
                raise Killed
            found = function(*args, **kwargs)
            if left[0] < 0:
                raise Killed
            return found

        return call

    if which < 2:
        append = JournalFileBackend.append_logs
        patch.setattr(JournalFileBackend, "append_logs", dying(append, ("before", "after")[which]))
    else:
        patch.setattr(loop, "_validate", dying(loop._validate, "before"))


def test_a_half_line_and_a_lock_in_the_journal_are_mended(
    searched, store, assignments, quick, tmp_path, monkeypatch
):
    kill(monkeypatch, after=4)
    folder = tmp_path / "search"
    with pytest.raises(Killed):
        run_search(Search(store, assignments, quick), folder)
    monkeypatch.undo()
    with (folder / "journal.log").open("ab") as file:
        file.write(b'{"op_code":5,"wor')
    (folder / "journal.log.lock").write_text("")
    run_search(Search(store, assignments, quick), folder)
    assert hashes(folder) == hashes(searched[0])


SEARCH = """
import sys
from pathlib import Path
from neoresponse.cohort.split import read_split
from neoresponse.preprocess.store import open_store
from neoresponse.search.search import Search, run_search
from neoresponse.settings.toml import run_settings

store, split, config, out = sys.argv[1:]
search = Search(
    open_store(Path(store)), read_split(Path(split)), run_settings(config),
    say=lambda line: print(line, flush=True),
)
run_search(search, Path(out))
"""


@pytest.mark.slow
def test_a_search_killed_from_outside_goes_on_and_ends_with_the_same_bytes(
    searched, store, run, quick, assignments, tmp_path
):
    (tmp_path / "search.toml").write_text(to_toml(quick))
    words = [store.folder, run, tmp_path / "search.toml", tmp_path / "search"]
    command = [sys.executable, "-c", SEARCH, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.startswith("trial 1:"):
                os.kill(child.pid, signal.SIGKILL)
        assert child.wait(60) == -signal.SIGKILL
    assert len(rows(tmp_path / "search")) == 1
    run_search(Search(store, assignments, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") == hashes(searched[0])


def test_more_trials_go_on_and_equal_a_search_that_was_as_long_from_the_start(
    searched, store, assignments, quick, tmp_path
):
    one = searching(quick, trials=1)
    run_search(Search(store, assignments, one), tmp_path / "search")
    run_search(Search(store, assignments, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") == hashes(searched[0])


def test_patients_outside_training_change_no_byte(
    searched, store, assignments, quick, tmp_path, changed_store
):
    """Other pixels, table rows and labels of every validation and test patient."""
    others = {a.patient_id for a in assignments if a.split != "train"}
    assert len(others) > 8
    other = changed_store(store, others, tmp_path / "prepared")
    relabelled = [a if a.split == "train" else replace(a, label=1 - a.label) for a in assignments]
    run_search(Search(other, relabelled, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") == hashes(searched[0])


def test_a_training_patient_changes_the_result(
    searched, store, assignments, quick, tmp_path, changed_store
):
    """The test above can fail."""
    name = next(a.patient_id for a in assignments if a.split == "train")
    other = changed_store(store, {name}, tmp_path / "prepared")
    run_search(Search(other, assignments, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") != hashes(searched[0])


def test_no_patient_outside_training_stands_in_any_file_of_a_search(searched, assignments):
    others = [a.patient_id for a in assignments if a.split != "train"]
    for path in searched[0].rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert not any(name in text for name in others), path


def test_more_folds_than_patients_of_a_class_are_refused(store, assignments, quick, tmp_path):
    with pytest.raises(ConfigError, match=r"search\.folds: expected at most 2"):
        run_search(Search(store, assignments, searching(quick, folds=20)), tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_a_failed_trial_is_told_and_the_search_goes_on(
    store, assignments, quick, tmp_path, monkeypatch
):
    train, seen = search_file.train_run, []

    def fail(store, fold, settings, run, *, track):
        seen.append(run)
        if run.parent.name == "0001":
            raise RunError("epoch 0: expected a finite loss, got nan")
        return train(store, fold, settings, run, track=track)

    monkeypatch.setattr(search_file, "train_run", fail)
    lines = []
    run_search(Search(store, assignments, quick, say=lines.append), tmp_path / "search")
    table = rows(tmp_path / "search")
    assert [row["state"] for row in table] == ["complete", "failed", "complete"]
    assert table[1]["value"] == table[1]["fold_0"] == ""
    reason = (tmp_path / "search" / "trials" / "0001" / "failed.txt").read_text()
    assert reason == "epoch 0: expected a finite loss, got nan\n"
    assert any("trial 1 failed: epoch 0: expected a finite loss" in line for line in lines)
    assert sum(run.parent.name == "0001" for run in seen) == 1


def test_values_that_are_impossible_together_fail_their_trial_alone(
    store, assignments, quick, tmp_path
):
    """The ends fit, a number between them does not."""
    space = {"model.num_heads": {"choices": [[1, 1, 2, 2], [1, 1, 3, 2]]}}
    model = {"pathways": ["us_0"]}
    settings = RunSettings.model_validate(merge(quick.model_dump(), {"model": model}))
    settings = searching(settings, space=space, trials=4)
    run_search(Search(store, assignments, settings), tmp_path / "search")
    states = {row["model.num_heads"]: row["state"] for row in rows(tmp_path / "search")}
    assert states == {"[1, 1, 2, 2]": "complete", "[1, 1, 3, 2]": "failed"}


def test_a_search_without_one_good_trial_says_why(store, assignments, quick, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RunError("train.batch_size: expected memory for 4 samples")

    monkeypatch.setattr(search_file, "train_run", fail)
    with pytest.raises(RunError, match=r"got 3 that failed, the last with: train\.batch_size"):
        run_search(Search(store, assignments, quick), tmp_path / "search")


def test_a_full_disk_stops_the_search_and_fails_no_trial(
    searched, store, assignments, quick, tmp_path, monkeypatch
):
    def fail(*args, **kwargs):
        raise RunError("no space") from OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(search_file, "train_run", fail)
        with pytest.raises(RunError, match="no space"):
            run_search(Search(store, assignments, quick), tmp_path / "search")
    run_search(Search(store, assignments, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") == hashes(searched[0])


def test_a_signal_stops_the_search_and_it_goes_on(
    searched, store, assignments, quick, tmp_path, asked_in_validation
):
    with asked_in_validation(), pytest.raises(Stopped):
        run_search(Search(store, assignments, quick), tmp_path / "search")
    run_search(Search(store, assignments, quick), tmp_path / "search")
    assert hashes(tmp_path / "search") == hashes(searched[0])


@pytest.mark.parametrize(
    ("space", "sentence"),
    [
        ({}, r"expected at least one key to vary, got none. Put a line such as \"train.learning"),
        ({"train.learning_rat": {"low": 0.1, "high": 0.2}}, "learning_rat: expected a known key"),
        ({"prepare.image_px": {"choices": [64, 128]}}, "keys of .model. or .train., got 'prepare"),
        ({"train": {"choices": [1]}}, "keys of .model. or .train., got 'train'"),
        ({"model.drop_path": {"low": 0.0, "high": 1.5}}, r"\(model.drop_path = 1.5\): .*less than"),
        ({"train.optimiser": {"choices": ["adam", "sgd"]}}, "optimiser = 'sgd'"),
        (
            {
                "train.warmup_epochs": {"low": 0.0, "high": 0.5},
                "train.epochs": {"low": 0, "high": 2},
            },
            "train.epochs = 0",
        ),
        (
            {
                "train.weight_decay": {"low": 0.0, "high": 0.1},
                "train.optimiser": {"choices": ["adamw", "adam"]},
            },
            "weight_decay needs optimiser adamw",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_any_work(
    store, assignments, quick, tmp_path, space, sentence
):
    with pytest.raises(ConfigError, match=sentence):
        run_search(Search(store, assignments, searching(quick, space=space)), tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_the_section_survives_a_file(quick, tmp_path):
    (tmp_path / "a.toml").write_text(to_toml(quick))
    assert run_settings(str(tmp_path / "a.toml")) == quick


def test_the_section_is_no_part_of_a_run(tiny, quick):
    assert recipe(quick) == recipe(quick.model_copy(update={"search": SearchSettings()}))
    assert not tiny.search.space


def test_least_loss_is_best_where_loss_is_asked_for(store, assignments, quick, tmp_path):
    settings = searching(quick, measure="loss")
    run_search(Search(store, assignments, settings), tmp_path / "search")
    table = rows(tmp_path / "search")
    least = min(table, key=lambda row: float(row["value"]))
    best = run_settings(str(tmp_path / "search" / "best.toml"))
    assert best.train.learning_rate == float(least["train.learning_rate"])


def test_a_folder_with_another_search_is_refused(searched, store, assignments, quick):
    with pytest.raises(RunError, match="expected the settings, store and split that this search"):
        run_search(Search(store, assignments, searching(quick, measure="loss")), searched[0])


def test_two_searches_in_one_folder_are_refused(searched, store, assignments, quick):
    with only_one(searched[0]), pytest.raises(RunError, match="no other process here"):
        run_search(Search(store, assignments, quick), searched[0])


def test_another_store_is_refused(store, assignments, quick, tmp_path):
    prepare = quick.prepare.model_copy(update={"margin_ratio": 0.5})
    settings = quick.model_copy(update={"prepare": prepare})
    with pytest.raises(ConfigError, match=r"expected the settings under \[prepare\]"):
        run_search(Search(store, assignments, settings), tmp_path / "search")


def test_without_optuna_the_command_to_install_it_is_named(
    store, assignments, quick, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'neoresponse\[search\]'"):
        run_search(Search(store, assignments, quick), tmp_path / "search")
    assert not (tmp_path / "search").exists()


def test_the_command_searches_says_what_comes_next_and_keeps_other_files(
    searched, store, assignments, quick, tmp_path
):
    (tmp_path / "split").mkdir()
    write_split(tmp_path / "split", assignments, quick.train.augment, seed=1)
    (tmp_path / "search.toml").write_text(to_toml(quick))
    words = ["search", str(store.folder), str(tmp_path / "split"), str(tmp_path / "search")]
    words += ["--config", str(tmp_path / "search.toml"), "--set", "search.trials=1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "trial 0 (1 of 1): mean validation AUC" in result.output
    assert f"--config {tmp_path / 'search' / 'best.toml'}" in result.output
    assert "Optuna" not in result.output
    assert "A new study" not in result.output
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    words[3] = str(tmp_path / "other")
    assert "found other files" in CliRunner().invoke(main, words).output
