"""A whole study in one folder: every step in order, none done twice, none skipped when due."""

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from neoresponse.cohort.dictionary import find_cohort
from neoresponse.cohort.split import Assignment, read_split, split_patients, write_split
from neoresponse.cohort.validate import CheckedCohort, check_cohort, raise_on_stop, write_check
from neoresponse.config import FLOORS, StudySettings
from neoresponse.data.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.data.predictions import CARD_NAME, FILE_NAME, floor_file
from neoresponse.durable import keep_apart, new_folder, only_one, sha256_of, write_text
from neoresponse.errors import RunError
from neoresponse.evaluation.evaluate import evaluate_files
from neoresponse.evaluation.leaks import record_files
from neoresponse.evaluation.limit import ORACLE
from neoresponse.evaluation.metrics_file import write_metrics
from neoresponse.explain.patients import choose_patients, explain_patients
from neoresponse.ledger import Ledger, Say, fingerprint, silent
from neoresponse.phantom.writer import write_phantom
from neoresponse.preprocess.store import MANIFEST, Store, open_store, prepare_store
from neoresponse.report.page import PAGE, write_report
from neoresponse.settings_file import study_settings, to_toml
from neoresponse.training.outputs import open_run, predict_run
from neoresponse.training.run import RUN, is_same_run, recipe, train_run
from neoresponse.types import Track, untracked

RUN_FILES = (
    *("config.toml", "inputs.json", "samples.csv", "split.csv", "split.json"),
    *("metrics.csv", "model/*", RUN),
)
"""What training leaves in a run folder, but for its checkpoints."""


@dataclass(frozen=True)
class Study:
    """A study and its folder.

    Attributes:
        settings: the study.
        ledger: which of its steps are done.
        track: shows progress within a step.
    """

    settings: StudySettings
    ledger: Ledger
    track: Track = untracked

    @property
    def folder(self) -> Path:
        """The study folder."""
        return self.ledger.folder

    @cached_property
    def checked(self) -> CheckedCohort:
        """The cohort, checked once, when the first step needs it."""
        checked = check_cohort(self.settings.cohort, track=self.track)
        raise_on_stop(checked)
        return checked

    @property
    def store(self) -> Store:
        """The prepared store."""
        return open_store(self.folder / "prepared")

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The split."""
        return read_split(self.folder / "split")


def run_study(
    settings: StudySettings, folder: Path, *, track: Track = untracked, say: Say = silent
) -> Path:
    """Run every step that is due.

    Args:
        settings: from `study_settings`; the cohort's path is absolute or counts from here.
        folder: the study folder; made where it is not there, gone on with where it is.
        track: shows progress within a step.
        say: gets one line per step.

    Returns:
        Path of the report's page.

    Raises:
        NeoresponseError: a step cannot be done; all steps before it stay done.
    """
    keep_apart(folder, find_cohort(settings.cohort))
    _make_folder(folder)
    with only_one(folder):
        study = Study(settings, Ledger(folder, say), track)
        write_text(folder / "study.toml", to_toml(settings))
        return _run_steps(study)


def run_demo(folder: Path, *, track: Track = untracked, say: Say = silent) -> Path:
    """Make a small phantom and run the whole study on it.

    Returns:
        Path of the report's page.
    """
    hospital = folder / "phantom"
    places = {"cohort": hospital / "cohort", "truth": hospital / "truth"}
    changes = (f"{key}={json.dumps(str(path))}" for key, path in places.items())
    settings = study_settings("demo", tuple(changes))
    _make_folder(folder)
    with only_one(folder):

        def make() -> None:
            _make_way(hospital, "truth")
            workers = os.cpu_count() or 1
            write_phantom(
                hospital, settings.phantom, seed=settings.seed, num_workers=workers, track=track
            )

        inputs = {"settings": settings.phantom.model_dump(mode="json"), "seed": settings.seed}
        Ledger(folder, say).step("phantom", inputs, hospital, make)
    return run_study(settings, folder / "study", track=track, say=say)


def _run_steps(study: Study) -> Path:
    """All steps in order; the report's page."""
    cohort = fingerprint(find_cohort(study.settings.cohort), study.folder)
    check = _check(study, cohort)
    split = _split(study, check)
    prepared = _prepare(study, cohort)
    trained = {name: _train(study, name, split, prepared) for name in study.settings.runs}
    predicted = {name: _predict(study, name, trained[name], prepared) for name in trained}
    metrics = _evaluate(study, predicted)
    maps = {name: _explain(study, name, trained[name], prepared) for name in trained}
    out = study.folder / "report"

    def make() -> None:
        _make_way(out, PAGE)
        write_report(study.folder, out, force=True)

    shown = {"check": check, "split": split, "runs": trained, "metrics": metrics, "maps": maps}
    study.ledger.step("report", shown, out, make)
    return out / PAGE


def _check(study: Study, cohort: str) -> str:
    """Check the cohort; the hash of what was found."""
    folder = study.folder / "check"

    def make() -> None:
        _make_way(folder, "flow.json")
        with new_folder(folder, mark="flow.json", force=True) as part:
            write_check(part, study.checked)

    return study.ledger.step("check", cohort, folder, make)


def _split(study: Study, check: str) -> str:
    """Split the patients; the hash of the split."""
    settings, folder = study.settings, study.folder / "split"

    def make() -> None:
        assignments = split_patients(study.checked.patients, settings.split, seed=settings.seed)
        _make_way(folder, "split.json")
        with new_folder(folder, mark="split.json", force=True) as part:
            write_split(part, assignments, settings.train.augment, seed=settings.seed)

    inputs = {
        "check": check,
        "split": settings.split.model_dump(mode="json"),
        "augment": settings.train.augment.model_dump(mode="json"),
        "seed": settings.seed,
    }
    return study.ledger.step("split", inputs, folder, make)


def _prepare(study: Study, cohort: str) -> str:
    """Make the prepared store; its hash."""
    settings, folder = study.settings.prepare, study.folder / "prepared"

    def make() -> None:
        _make_way(folder, MANIFEST)
        prepare_store(study.checked, folder, settings, force=True, track=study.track)

    inputs = [cohort, settings.model_dump(mode="json")]
    return study.ledger.step("prepare", inputs, folder, make)


def _train(study: Study, name: str, split: str, prepared: str) -> str:
    """Train one run; the hash of all that it wrote."""
    settings, run = study.settings.run(name), study.folder / "runs" / name

    def make() -> None:
        if is_same_run(run, settings, study.store, study.assignments):
            # Whole epochs that are on disk are not trained again; what is lost is written anew.
            (run / RUN).unlink(missing_ok=True)
        else:
            shutil.rmtree(run, ignore_errors=True)
        train_run(study.store, study.assignments, settings, run, track=study.track)

    weights = settings.model.weights
    inputs = {
        "split": split,
        "prepared": prepared,
        "recipe": recipe(settings),
        "weights": sha256_of(weights) if weights and weights.is_file() else None,
    }
    return study.ledger.step(f"train {name}", inputs, run, make, files=RUN_FILES)


def _predict(study: Study, name: str, trained: str, prepared: str) -> str:
    """Predict one run's split; the hash of the predictions."""
    run = study.folder / "runs" / name
    return study.ledger.step(
        f"predict {name}",
        {"trained": trained, "prepared": prepared, "floors": FLOORS},
        run,
        lambda: predict_run(run, study.store, track=study.track),
        files=(FILE_NAME, CARD_NAME, CHARACTERISTICS, *map(floor_file, FLOORS)),
    )


def _evaluate(study: Study, predicted: dict[str, str]) -> str:
    """Evaluate all runs together; the hash of the metrics."""
    folder = study.folder / "evaluation"
    sources = {name: study.folder / "runs" / name / FILE_NAME for name in predicted}
    truth = study.settings.truth

    def make() -> None:
        record_files(study.folder, sources)
        _make_way(folder, "metrics.json")
        with new_folder(folder, mark="metrics.json", force=True) as part:
            write_metrics(part, evaluate_files(sources, study.settings.evaluate, truth=truth))

    has_oracle = truth is not None and (truth / ORACLE).is_file()
    inputs = {
        "runs": predicted,
        "settings": study.settings.evaluate.model_dump(mode="json"),
        "oracle": sha256_of(truth / ORACLE) if truth and has_oracle else None,
    }
    return study.ledger.step("evaluate", inputs, folder, make)


def _explain(study: Study, name: str, trained: str, prepared: str) -> str:
    """Heat maps of one run; their hash."""
    run, folder = study.folder / "runs" / name, study.folder / "explain" / name
    settings = study.settings.explain

    def make() -> None:
        chosen = choose_patients(read_split(run), num_patients=settings.num_patients)
        tracked = study.track(chosen, name="explain")
        _make_way(folder, "explain.json")
        with new_folder(folder, mark="explain.json", force=True) as part:
            explain_patients(open_run(run), study.store, tracked, part, stage=settings.stage)

    inputs = [trained, prepared, settings.model_dump(mode="json")]
    return study.ledger.step(f"explain {name}", inputs, folder, make)


def _make_folder(folder: Path) -> None:
    """Make the study folder, or say in one sentence why that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: expected to make this folder, got {error.strerror}. Name another folder."
        ) from error


def _make_way(folder: Path, mark: str) -> None:
    """Remove a step's folder that has lost its mark; a study's own folders may be remade."""
    if folder.exists() and not (folder / mark).exists():
        shutil.rmtree(folder, ignore_errors=True)
