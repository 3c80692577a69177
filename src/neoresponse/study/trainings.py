"""Runs -> run folders with predictions: those that are due are trained side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.predictions import CARD_NAME, FILE_NAME, floor_file
from neoresponse.durable import sha256_of
from neoresponse.grid.job import Job, training_job
from neoresponse.grid.run import Place, run_jobs
from neoresponse.grid.workers import choose_workers
from neoresponse.settings import RunSettings
from neoresponse.study.ledger import Step
from neoresponse.study.place import Study
from neoresponse.training.run import RUN, recipe
from neoresponse.types import REFERENCE_MODELS

RUN_FILES = (
    *("config.toml", "inputs.json", "samples.csv", "split.csv", "split.json"),
    *("metrics.csv", "model/*", RUN),
)
"""What training leaves in a run folder, but for its checkpoints."""
PREDICTION_FILES = (FILE_NAME, CARD_NAME, CHARACTERISTICS, *map(floor_file, REFERENCE_MODELS))


@dataclass(frozen=True)
class Training:
    """One training of a study.

    Attributes:
        name: shown to people; differs from all others of the study.
        settings: of the run.
        run: the run folder.
        split: the folder with its split.
        split_hash: hash of that split.
    """

    name: str
    settings: RunSettings
    run: Path
    split: Path
    split_hash: str


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
    due: dict[str, tuple[Training, str | None]] = {}
    for one in trainings:
        trained = study.ledger.kept(_train_step(one, prepared))
        predicted = None
        if trained is not None:
            predicted = study.ledger.kept(_predict_step(one, trained, prepared))
        if trained is not None and predicted is not None:
            done[one.name] = Trained(one, trained, predicted)
        else:
            due[one.name] = one, trained

    def finished(job: Job) -> None:
        one, trained = due[job.name]
        trained = trained or study.ledger.done(_train_step(one, prepared))
        predicted = study.ledger.done(_predict_step(one, trained, prepared))
        done[one.name] = Trained(one, trained, predicted)

    jobs = [_job(study, one, is_trained=trained is not None) for one, trained in due.values()]
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


def _train_step(one: Training, prepared: str) -> Step:
    """Training as a step of the study."""
    weights = one.settings.model.weights
    inputs = {
        "split": one.split_hash,
        "prepared": prepared,
        "recipe": recipe(one.settings),
        "weights": sha256_of(weights) if weights and weights.is_file() else None,
    }
    return Step(f"train {one.name}", inputs, one.run, RUN_FILES)


def _predict_step(one: Training, trained: str, prepared: str) -> Step:
    """Prediction as a step of the study."""
    inputs = {"trained": trained, "prepared": prepared, "floors": REFERENCE_MODELS}
    return Step(f"predict {one.name}", inputs, one.run, PREDICTION_FILES)
