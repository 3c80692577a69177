"""Runs -> run folders with predictions: those that are due are trained side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neoresponse.cohort.split import Assignment
from neoresponse.contracts.predictions import CARD_NAME, FILE_NAME
from neoresponse.contracts.record import write_record
from neoresponse.contracts.run import RunInputs, RunSummary, find_inputs
from neoresponse.durable import write_text
from neoresponse.errors import ConfigError
from neoresponse.grid.job import Job, training_job
from neoresponse.grid.run import Place, run_jobs
from neoresponse.grid.workers import choose_workers
from neoresponse.settings import RunSettings
from neoresponse.settings.toml import to_toml
from neoresponse.study.kept import bring_back, find_kept, has_learnt, put_aside
from neoresponse.study.ledger import Step, is_pending
from neoresponse.study.place import PlannedTraining, Study
from neoresponse.training.progress import METRICS
from neoresponse.training.run import CONFIG, run_inputs

RUN_FILES = (
    *(RunInputs.FILE_NAME, "samples.csv", "split.csv", "split.json"),
    *(METRICS, "model/*", RunSummary.FILE_NAME),
)
"""What training leaves in a run folder, but for its checkpoints and the settings at hand."""
PREDICTION_FILES = (FILE_NAME, CARD_NAME)
UNKNOWN = "to be trained, once its inputs are known"
"""State of a training whose split or store is not made yet, or whose weights cannot be had."""


@dataclass(frozen=True)
class Training:
    """One training of a study.

    Attributes:
        name: shown to people; differs from all others of the study.
        settings: of the run.
        run: the run folder.
        split: the folder with its split.
        assignments: that split; empty where it is only planned.
    """

    name: str
    settings: RunSettings
    run: Path
    split: Path
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        training: what was trained.
        trained: hash of all that training wrote.
        predicted: hash of its predictions.
    """

    training: Training
    trained: str
    predicted: str


def train_all(study: Study, trainings: Sequence[Training], prepared: str) -> dict[str, Trained]:
    """Train and predict every run that is due.

    Args:
        study: takes in the failures.
        trainings: all runs.
        prepared: hash of the store.

    Returns:
        Name -> what is finished; a run that failed is absent.
    """
    done: dict[str, Trained] = {}
    due: dict[str, tuple[Training, Step, str | None]] = {}
    for one in trainings:
        wanted = _wanted(study, one, prepared)
        step = _train_step(one, wanted)
        if wanted is not None and not study.ledger.only_plans:
            _settle(study, one, wanted, step)
        trained = _trained(study, one, wanted, step)
        predicted = None
        if trained is not None:
            predicted = study.ledger.kept(_predict_step(one, trained, prepared))
        if study.ledger.only_plans:
            study.planned.append(_plan(study, one, wanted, is_trained=trained is not None))
            trained = trained or study.ledger.plan(step)
            predicted = predicted or study.ledger.plan(_predict_step(one, trained, prepared))
        if trained is not None and predicted is not None:
            done[one.name] = Trained(one, trained, predicted)
        else:
            due[one.name] = one, step, trained

    def finished(job: Job) -> None:
        one, step, trained = due[job.name]
        trained = trained or study.ledger.done(step)
        predicted = study.ledger.done(_predict_step(one, trained, prepared))
        done[one.name] = Trained(one, trained, predicted)

    jobs = [_job(study, one, is_trained=trained is not None) for one, _, trained in due.values()]
    do_jobs(study, jobs, trainings, finished=finished)
    return {one.name: done[one.name] for one in trainings if one.name in done}


def do_jobs(
    study: Study,
    jobs: Sequence[Job],
    trainings: Sequence[Training],
    *,
    finished: Callable[[Job], None],
) -> None:
    """Do what is due side by side.

    Args:
        study: takes in the failures.
        jobs: what is due.
        trainings: all that the machine is shared out for, due or not.
        finished: called for each job that ended well.
    """
    if not jobs:
        return
    compute, workers = study.settings.compute, None
    if compute.scheduler is None:
        workers = choose_workers(compute, [one.settings for one in trainings])
    place = Place(study.folder, workers, compute.scheduler, study.watch)
    study.failures.update(run_jobs(jobs, place, finished=finished))


def _job(study: Study, one: Training, *, is_trained: bool) -> Job:
    """What a process of its own does for a run."""
    places = {"prepared": study.prepared, "split": one.split, "run": one.run}
    return training_job(one.name, one.settings, places, is_trained=is_trained)


def _wanted(study: Study, one: Training, prepared: str) -> RunInputs | None:
    """The inputs that a run should have; None where they cannot be known yet."""
    if is_pending(prepared) or not one.assignments:
        return None
    try:
        return run_inputs(one.settings, study.prepared, one.assignments)
    except ConfigError:  # weights that cannot be had: training says so, and no other run suffers
        return None


def _settle(study: Study, one: Training, wanted: RunInputs, step: Step) -> None:
    """Have the wanted run in its folder, where it was begun at any time, and no other."""
    is_its_own = has_learnt(one.run) and find_inputs(one.run) is None
    if is_its_own and study.ledger.has_key(step):
        write_record(one.run, wanted)  # only this file was lost or damaged
    if find_inputs(one.run) != wanted:
        put_aside(study.ledger, one.run, one.name)
        bring_back(study.ledger, wanted, one.run, one.name)
    text, path = to_toml(one.settings), one.run / CONFIG
    if find_inputs(one.run) == wanted and not _holds(path, text):
        write_text(path, text)


def _holds(path: Path, text: str) -> bool:
    """Whether a file holds just this text."""
    return path.is_file() and path.read_bytes() == text.encode()


def _trained(study: Study, one: Training, wanted: RunInputs | None, step: Step) -> str | None:
    """Hash of a finished training, or None where it is due."""
    kept = study.ledger.kept(step)
    if kept is None and wanted is not None and find_inputs(one.run) == wanted:
        kept = study.ledger.adopted(step, but=(CONFIG,))
    return kept


def _plan(
    study: Study, one: Training, wanted: RunInputs | None, *, is_trained: bool
) -> PlannedTraining:
    """What a study would do about a training."""
    if is_trained:
        return PlannedTraining(one.name, "done", wanted)
    if wanted is None:
        return PlannedTraining(one.name, UNKNOWN, wanted)
    if find_inputs(one.run) == wanted:
        return PlannedTraining(one.name, _unfinished(one.run / METRICS), wanted)
    kept = find_kept(study.folder, wanted)
    if kept is not None:
        return PlannedTraining(
            one.name, f"comes back from {kept.relative_to(study.folder)}", wanted
        )
    return PlannedTraining(one.name, "to be trained", wanted)


def _unfinished(table: Path) -> str:
    """How far an unfinished training is."""
    num_epochs = len(table.read_bytes().splitlines()) - 1 if table.is_file() else 0
    return f"unfinished, {max(0, num_epochs)} epochs done"


def _train_step(one: Training, wanted: RunInputs | None) -> Step:
    """Training as a step of the study."""
    inputs = None if wanted is None else wanted.model_dump(mode="json")
    return Step(f"train {one.name}", inputs, one.run, RUN_FILES)


def _predict_step(one: Training, trained: str, prepared: str) -> Step:
    """Prediction as a step of the study."""
    inputs = {"trained": trained, "prepared": prepared}
    return Step(f"predict {one.name}", inputs, one.run, PREDICTION_FILES)
