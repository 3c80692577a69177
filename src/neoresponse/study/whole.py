"""The order of a study: cohort -> split and store -> trainings -> numbers, heat maps, report."""

import json
import os
from pathlib import Path

from neoresponse.durable import only_one, write_text
from neoresponse.errors import RunError
from neoresponse.grid.watch import Watch, unwatched
from neoresponse.phantom.writer import write_phantom
from neoresponse.settings import StudySettings
from neoresponse.settings.toml import study_settings, to_toml
from neoresponse.study import steps
from neoresponse.study.beforehand import check_beforehand
from neoresponse.study.cross_validation import cross_validate, draw_parts
from neoresponse.study.ensemble import average_seeds, trainings_of
from neoresponse.study.external import evaluate_elsewhere
from neoresponse.study.ledger import Ledger
from neoresponse.study.place import Study, make_study_folder, make_way
from neoresponse.study.trainings import Trained, train_all
from neoresponse.types import Say, Track, silent, untracked


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
    make_study_folder(folder)
    with only_one(folder):
        study = Study(settings, Ledger(folder, say), track, watch)
        write_text(folder / "study.toml", to_toml(settings))
        page = _run_steps(study)
        if page is None or study.failures:
            raise _failed(study)
        return page


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
    make_study_folder(folder)
    with only_one(folder):

        def make() -> None:
            make_way(hospital, "truth")
            workers = os.cpu_count() or 1
            write_phantom(
                hospital, settings.phantom, seed=settings.seed, num_workers=workers, track=track
            )

        inputs = {"settings": settings.phantom.model_dump(mode="json"), "seed": settings.seed}
        Ledger(folder, say).step("phantom", inputs, hospital, make)
    return run_study(settings, folder / "study", track=track, say=say, watch=watch)


def _run_steps(study: Study) -> Path | None:
    """All steps in order; the report's page, or None where no run could be trained."""
    cohort = steps.read_cohort(study)
    checked = steps.check(study, cohort)
    split = steps.split(study, checked)
    folds = list(draw_parts(study))  # before anything is trained: there may be too few patients
    prepared = steps.prepare(study, cohort)
    members = _train(study, split, prepared)
    if not members:
        return None
    ensembles = members if study.settings.seeds else {}
    predicted = {
        name: average_seeds(study, name, found) if name in ensembles else found[0].predicted
        for name, found in members.items()
    }
    metrics = steps.evaluate(study, predicted, ensembles)
    elsewhere = evaluate_elsewhere(study, members, prepared)
    validated = cross_validate(study, folds, prepared)
    maps = {name: steps.explain(study, name, found[0], prepared) for name, found in members.items()}
    trained = {name: [one.trained for one in found] for name, found in members.items()}
    shown = {"check": checked, "split": split, "runs": trained, "metrics": metrics, "maps": maps}
    more = {
        "external": elsewhere,
        "cross-validation": validated,
        "names": list(study.settings.runs),
    }
    return steps.report(study, shown | more)


def _train(study: Study, split: str, prepared: str) -> dict[str, list[Trained]]:
    """Train every run with every seed; run -> its trainings, of those runs that are whole."""
    wanted = {name: trainings_of(study, name, split) for name in study.settings.runs}
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
        f"{study.folder}: expected every training to end well, {num} did not; all others are done "
        f"and kept. Mend the cause and give the same command again.\n{reasons}"
    )
