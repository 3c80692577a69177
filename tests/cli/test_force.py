"""What `--force` may do to a person's files, told as it happened to people."""

import hashlib
import random
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.cohort.split import write_split
from neoresponse.contracts.predictions import CARD_NAME
from neoresponse.durable import sha256_of
from neoresponse.folders import other_files, record_folder
from neoresponse.preprocess.store import open_store
from neoresponse.settings import StudySettings
from neoresponse.settings.toml import to_toml


def call(*words, code=0, **named):
    result = CliRunner().invoke(main, [str(word) for word in words], **named)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.output


def seen(folder):
    """Every file below a folder but locks, with its hash; folders too."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith(".lock")
    }


@pytest.fixture
def config(tiny, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(to_toml(tiny))
    return path


@pytest.fixture
def split(assignments, tiny, tmp_path):
    (tmp_path / "split").mkdir()
    write_split(tmp_path / "split", assignments, tiny.train.augment, seed=1)
    return tmp_path / "split"


@pytest.fixture
def study_file(tiny, phantom, tmp_path):
    content = {**tiny.model_dump(), "cohort": phantom / "cohort"}
    path = tmp_path / "my-study.toml"
    path.write_text(to_toml(StudySettings.model_validate(content)))
    return path


@pytest.fixture
def study(tmp_path):
    """A study folder as far as `--force` looks: its record, a result and a note of its user."""
    folder = tmp_path / "study"
    (folder / "runs" / "net").mkdir(parents=True)
    (folder / "study.json").write_text("{}")
    (folder / "runs" / "net" / "run.json").write_text("a week of training")
    (folder / "notes.txt").write_text("mine")
    record_folder(folder, mark="study.json", files=["study.json"])
    return folder


def test_force_with_a_mistyped_cohort_changes_nothing(
    phantom, study_file, study, store, config, tmp_path
):
    work = tmp_path / "work"
    call("check", phantom / "cohort", work / "check")
    call("split", phantom / "cohort", work / "split", "--config", config)
    shutil.copytree(store.folder, work / "prepare")
    before = seen(tmp_path)
    for verb in ("check", "split", "prepare"):
        assert "cohrt" in call(verb, phantom / "cohrt", work / verb, "--force", code=1)
    words = ("study", study_file, study, "--force")
    assert "cohrt" in call(*words, "--set", f"cohort={phantom / 'cohrt'}", code=1)
    assert "cohrt" in call(*words, "--set", f"external.there={phantom / 'cohrt'}", code=1)
    assert seen(tmp_path) == before


def test_force_with_settings_or_a_study_file_that_cannot_be_changes_nothing(
    study_file, study, store, split, config, tmp_path
):
    before = seen(tmp_path)
    assert "epchs" in call("study", study_file, study, "--set", "train.epchs=3", "--force", code=1)
    assert "no.toml" in call("study", tmp_path / "no.toml", study, "--force", code=1)
    too_many = ("--set", "split.ratio=[1, 1, 998]")
    call("study", study_file, study, *too_many, "--force", code=1)
    words = (store.folder, split, study, "--config", tmp_path / "no.toml", "--force")
    for verb in ("train", "search"):
        assert "no.toml" in call(verb, *words, code=1)
    assert seen(tmp_path) == before


def test_a_cohort_inside_the_study_folder_is_refused_and_stays(study_file, study, phantom):
    shutil.copytree(phantom / "cohort", study / "cohort")
    before = seen(study)
    for more in ((), ("--force",)):
        words = ("study", study_file, study, "--set", f"cohort={study / 'cohort'}", *more)
        assert "which is only read" in call(*words, code=1)
    assert seen(study) == before


def test_a_study_file_inside_the_study_folder_is_refused_and_stays(study_file, study):
    inside = shutil.copy(study_file, study / "mine.toml")
    before = seen(study)
    assert "which is only read" in call("study", inside, study, "--force", code=1)
    assert seen(study) == before


def test_a_study_that_is_begun_again_is_kept_with_its_users_notes(
    study_file, study, phantom, monkeypatch
):
    before = seen(study)
    monkeypatch.setattr("neoresponse.study.run_study", lambda *_, **__: study / "report.html")
    monkeypatch.setattr("neoresponse.cli.studies.show_study", lambda *_: None)
    call("study", study_file, study, "--force")
    assert seen(study.with_name("study.replaced-1")) == before
    assert not study.exists()


def test_a_demo_that_is_begun_again_is_kept(study, monkeypatch):
    before = seen(study)
    monkeypatch.setattr("neoresponse.study.run_demo", lambda *_, **__: study / "report.html")
    monkeypatch.setattr("neoresponse.cli.studies.show_study", lambda *_: None)
    call("demo", study, "--force")
    assert seen(study.with_name("study.replaced-1")) == before


HOLDS = """
import sys
from pathlib import Path
from neoresponse.durable import only_one
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("held", ["study", "study/study", "study/runs/net"])
def test_a_study_that_another_process_runs_is_not_begun_again(study_file, study, tmp_path, held):
    (study / "study").mkdir()
    words = [sys.executable, "-c", HOLDS, str(tmp_path / held)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        before = seen(study)
        for verb in (("study", study_file), ("demo",)):
            assert "got one that is writing to it" in call(*verb, study, "--force", code=1)
        assert seen(study) == before
        other.communicate("")


def test_a_run_is_neither_replaced_by_its_own_predictions_nor_by_others(run, store, tmp_path):
    ours = shutil.copytree(run, tmp_path / "runs" / "net")
    other = shutil.copytree(run, tmp_path / "runs" / "other")
    (other / CARD_NAME).write_text('{"schema": "neoresponse.predictions/1"}')
    before = seen(tmp_path / "runs")
    for out in (ours, ours / "predicted", ours.parent):
        words = ("predict", ours, store.folder, out, "--force")
        assert "which is only read" in call(*words, code=1)
    assert "found other files" in call("predict", ours, store.folder, other, "--force", code=1)
    assert seen(tmp_path / "runs") == before


@pytest.mark.parametrize(
    ("verb", "inputs"),
    [
        ("check", ("COHORT",)),
        ("split", ("COHORT",)),
        ("prepare", ("COHORT",)),
        ("search", ("STORE", "SPLIT")),
        ("train", ("STORE", "SPLIT")),
        ("predict", ("RUN", "STORE")),
        ("explain", ("RUN", "STORE")),
        ("controls", ("RUN", "STORE")),
        ("evaluate", ("RUN",)),
        ("describe", ("COHORT",)),
        ("regress", ("COHORT",)),
    ],
)
def test_no_verb_writes_into_what_it_reads_or_around_it(
    phantom, store, split, run, tmp_path, verb, inputs
):
    sources = {"COHORT": phantom / "cohort", "STORE": store.folder, "SPLIT": split, "RUN": run}
    places = {name: tmp_path / name / "inner" for name in inputs}
    for name in inputs:
        shutil.copytree(sources[name], places[name])
    before = seen(tmp_path)
    for place in places.values():
        for out in (place, place / "out", place.parent):
            words = (verb, *places.values(), out, "--force")
            assert "which is only read" in call(*words, code=1), out
    assert seen(tmp_path) == before


def test_a_report_goes_straight_into_its_study_and_nowhere_else_in_it(study):
    before = seen(study)
    for out in (study, study.parent, study / "runs" / "report"):
        assert "which is only read" in call("report", study, out, "--force", code=1)
    assert "found other files" in call("report", study, study / "runs", "--force", code=1)
    assert seen(study) == before


def test_train_force_with_settings_that_cannot_be_refuses_before_it_moves_anything(
    run, store, split, config, tmp_path
):
    ours = shutil.copytree(run, tmp_path / "net")
    before = seen(tmp_path)
    words = ("train", store.folder, split, ours, "--config", config, "--force")
    assert "[prepare]" in call(*words, "--set", "prepare.margin_ratio=0.5", code=1)
    weights = tmp_path / "no.safetensors"
    call(*words, "--set", f"model.weights={weights}", code=1)
    assert seen(tmp_path) == before


def test_train_force_keeps_the_older_run_and_clean_removes_what_is_ours(
    run, store, split, config, tmp_path
):
    ours = shutil.copytree(run, tmp_path / "net")
    (ours / "notes.txt").write_text("mine")
    before = seen(ours)
    words = ("train", store.folder, split, ours, "--config", config)
    assert "found a finished run" in call(*words, code=1)
    call(*words, "--set", "train.epochs=1", "--force")
    assert seen(tmp_path / "net.replaced-1") == before
    assert (ours / "run.json").exists()
    assert other_files(ours) == []
    printed = call("clean", ours, code=1, input="n\n")
    assert "net.replaced-1: " in printed
    assert "kept, not written by neoresponse: notes.txt" in printed
    assert seen(tmp_path / "net.replaced-1") == before
    assert "Removed" in call("clean", ours, "--yes")
    assert list(seen(tmp_path / "net.replaced-1")) == ["notes.txt"]
    assert "Nothing to remove." in call("clean", ours, "--yes")
    assert (ours / "run.json").exists()
    assert "expected a folder, got none" in call("clean", tmp_path / "nte", code=1)


def test_a_users_part_file_beside_an_output_stays(phantom, tmp_path):
    (tmp_path / "chk2.part").mkdir()
    (tmp_path / "chk2.part" / "thesis.txt").write_text("mine")
    call("check", phantom / "cohort", tmp_path / "chk2")
    call("check", phantom / "cohort", tmp_path / "chk2", "--force")
    assert (tmp_path / "chk2.part" / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "chk2.replaced-1" / "flow.json").exists()


PREPARES = """
import sys, time
from pathlib import Path
from neoresponse.cohort.validate import check_cohort
from neoresponse.errors import RunError
from neoresponse.preprocess.store import prepare_store
from neoresponse.settings.toml import run_settings

cohort, config, margin = sys.argv[1:]
settings = run_settings(config, (f"prepare.margin_ratio={margin}",)).prepare
checked = check_cohort(Path(cohort))
print("ready", flush=True)
for line in sys.stdin:
    delay, out = line.split()
    time.sleep(float(delay))
    try:
        prepare_store(checked, Path(out), settings, force=True)
        print("made", flush=True)
    except RunError as error:
        print(error, flush=True)
"""


def test_two_processes_that_prepare_into_one_folder_never_mix(phantom, config, tmp_path):
    """Either they come one after the other, or one is refused; every row is what it must be."""
    dice, refused = random.Random(7), 0
    words = [sys.executable, "-c", PREPARES, str(phantom / "cohort"), str(config)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen([*words, "0.1"], **pipes) as one,
        subprocess.Popen([*words, "0.5"], **pipes) as two,
    ):
        assert one.stdout.readline() == two.stdout.readline() == "ready\n"
        for attempt in range(8):
            out = tmp_path / str(attempt)
            for other in (one, two):
                other.stdin.write(f"{dice.uniform(0, 0.1)} {out}\n")
                other.stdin.flush()
            said = [other.stdout.readline().strip() for other in (one, two)]
            assert "made" in said
            assert all(
                text == "made" or "got one that is writing to it" in text for text in said
            ), said
            refused += said.count("made") == 1
            made = [out, *tmp_path.glob(f"{attempt}.replaced-*")]
            assert len(made) == said.count("made")
            assert not [row for folder in made for row in rows_of_others(open_store(folder))]
        one.stdin.close()
        two.stdin.close()
    assert refused  # they did meet


def rows_of_others(store):
    """Images whose pixels are not those that the manifest says."""
    return [
        (patient.patient_id, modality)
        for row, patient in enumerate(store.patients)
        for modality, image in patient.images.items()
        if hashlib.sha256(store.array(modality)[row].tobytes()).hexdigest() != image.pixels_sha256
    ]
