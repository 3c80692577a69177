"""The order of a study: cohort -> split and store -> trainings -> numbers, heat maps, report."""

import json
import os
from pathlib import Path

from neoresponse.cohort.split import Assignment, split_patients
from neoresponse.cohort.validate import check_cohort, raise_on_stop
from neoresponse.contracts.study import StudyRecord
from neoresponse.durable import make_folder, only_one, write_text
from neoresponse.errors import RunError
from neoresponse.folders import check_output, record_folder, set_aside
from neoresponse.grid.watch import Watch, unwatched
from neoresponse.phantom.writer import write_phantom
from neoresponse.settings import StudySettings
from neoresponse.settings.toml import study_settings, to_toml
from neoresponse.study import steps
from neoresponse.study.beforehand import check_beforehand
from neoresponse.study.cross_validation import cross_validate, draw_parts
from neoresponse.study.ensemble import ENSEMBLE_FILES, average_seeds, trainings_of
from neoresponse.study.external import evaluate_elsewhere
from neoresponse.study.ledger import Ledger, is_pending
from neoresponse.study.place import Study
from neoresponse.study.trainings import PREDICTION_FILES, Trained, train_all
from neoresponse.types import Say, Track, silent, untracked

RECORDED = (
    *("study.toml", StudyRecord.FILE_NAME, "cohort-files.json", "test-openings.jsonl"),
    "runs/*/config.toml",
    *(f"runs/*/{name}" for name in ENSEMBLE_FILES),
    *("cross-validation/splits/*/split.csv", "cross-validation/splits/*/split.json"),
    *("external/*/cohort-files.json", "external/*/test-openings.jsonl"),
    "external/*/runs/*/config.toml",
    *(f"external/*/runs/*/{name}" for name in PREDICTION_FILES),
)
"""Patterns of what a study writes beside its trainings and the folders of its steps."""


def run_study(
    settings: StudySettings,
    folder: Path,
    *,
    track: Track = untracked,
    say: Say = silent,
    watch: Watch = unwatched,
) -> Path:
    """Run every step that is due.

    Args:
        settings: from `study_settings`; the cohort's path is absolute or counts from here.
        folder: the study folder; made where it is not there, gone on with where it is.
        track: shows progress within a step.
        say: gets one line per step.
        watch: shows trainings under way.

    Returns:
        Path of the report's page.

    Raises:
        NeoresponseError: a step cannot be done; all steps before it stay done. Where trainings
            failed, all others are done and the report is made of them first.
    """
    check_beforehand(settings, folder)
    with only_one(folder):
        check_output(folder, mark=StudyRecord.FILE_NAME, force=True)
        make_folder(folder)
        record_folder(folder, mark=StudyRecord.FILE_NAME, files=RECORDED)
        study = Study(settings, Ledger(folder, say), track, watch)
        write_text(folder / "study.toml", to_toml(settings))
        page = run_steps(study)
        if page is None or study.failures:
            raise _failed(study)
        return page


def keep_older_study(
    settings: StudySettings, folder: Path, *, track: Track = untracked
) -> Path | None:
    """Set a study aside, once it is known that a new one can begin in its place.

    Returns:
        Its new name, or None where there was none.

    Raises:
        NeoresponseError: the cohort cannot be read or divided, an input lies in the folder, the
            folder is not a study's, or a process works in it; nothing was changed.
    """
    check_beforehand(settings, folder)
    with only_one(folder):
        checked = check_cohort(settings.cohort, track=track)
        raise_on_stop(checked)
        split_patients(checked.patients, settings.split, seed=settings.seed)
        return set_aside(folder, mark=StudyRecord.FILE_NAME)


def run_demo(
    folder: Path, *, track: Track = untracked, say: Say = silent, watch: Watch = unwatched
) -> Path:
    """Make a small phantom and run the whole study on it.

    Returns:
        Path of the report's page.
    """
    hospital = folder / "phantom"
    places = {"cohort": hospital / "cohort", "truth": hospital / "truth"}
    changes = (f"{key}={json.dumps(str(path))}" for key, path in places.items())
    settings = study_settings("demo", tuple(changes))
    with only_one(folder):
        check_output(folder, mark=StudyRecord.FILE_NAME, force=True)
        make_folder(folder)
        record_folder(folder, mark=StudyRecord.FILE_NAME, files=(StudyRecord.FILE_NAME,))

        def make() -> None:
            write_phantom(
                hospital,
                settings.phantom,
                seed=settings.seed,
                num_workers=os.cpu_count() or 1,
                track=track,
                force=True,
                keep_old=False,
            )

        inputs = {"settings": settings.phantom.model_dump(mode="json"), "seed": settings.seed}
        Ledger(folder, say).step("phantom", inputs, hospital, make)
        return run_study(settings, folder / "study", track=track, say=say, watch=watch)


def run_steps(study: Study) -> Path | None:
    """All steps in order; the report's page, or None where no run could be trained."""
    cohort = steps.read_cohort(study)
    checked = steps.check(study, cohort)
    split = steps.split(study, checked)
    assignments = () if is_pending(split) else study.assignments
    # Before anything is trained: there may be too few patients for the folds.
    folds = list(draw_parts(study, assignments))
    prepared = steps.prepare(study, cohort)
    reference = steps.reference(study, split, prepared)
    members = _train(study, assignments, prepared)
    if not members:
        return None
    ensembles = members if study.settings.seeds else {}
    predicted = {
        name: average_seeds(study, name, found) if name in ensembles else found[0].predicted
        for name, found in members.items()
    }
    metrics = steps.evaluate(study, predicted, ensembles, reference=reference)
    elsewhere = evaluate_elsewhere(study, members, split=split, prepared=prepared)
    validated = cross_validate(study, folds, prepared)
    maps = {name: steps.explain(study, name, found[0], prepared) for name, found in members.items()}
    trained = {name: [one.trained for one in found] for name, found in members.items()}
    return steps.report(
        study,
        {
            **{"check": checked, "split": split, "runs": trained, "metrics": metrics, "maps": maps},
            "external": elsewhere,
            "cross-validation": validated,
            "names": list(study.settings.runs),
        },
    )


def _train(
    study: Study, assignments: tuple[Assignment, ...], prepared: str
) -> dict[str, list[Trained]]:
    """Train every run with every seed; run -> its trainings, of those runs that are whole."""
    wanted = {name: trainings_of(study, name, assignments) for name in study.settings.runs}
    every = [one for found in wanted.values() for one in found]
    done = train_all(study, every, prepared)
    return {
        name: [done[one.name] for one in found]
        for name, found in wanted.items()
        if all(one.name in done for one in found)
    }


def _failed(study: Study) -> RunError:
    """What failed, each in its own sentence."""
    reasons = "\n".join(f"  {name}: {why}" for name, why in study.failures.items())
    num = len(study.failures)
    return RunError(
        f"{study.folder}: expected every training to finish, {num} failed; the others are done "
        f"and kept. Correct the cause and run the same command again.\n{reasons}"
    )
