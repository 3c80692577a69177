"""One thing to do in a process of its own, as one line of JSON that can go to another machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from neoresponse.contracts.record import Record
from neoresponse.settings import RunSettings


class TrainingTask(Record):
    """Train a run, or go on with it, and predict the patients of its split."""

    do: Literal["train"] = "train"
    is_trained: bool
    """Whether it is trained, and only its predictions are due."""
    settings: RunSettings
    """Of the run."""
    prepared: Path
    """The store."""
    split: Path
    """A folder with `split.csv`."""
    run: Path
    """The run folder."""


class PredictingTask(Record):
    """Predict a cohort that a finished run has not seen."""

    do: Literal["predict"] = "predict"
    prepared: Path
    """The cohort's store."""
    run: Path
    """The finished run folder."""
    out: Path
    """Where `predictions.csv` goes."""


Task = TrainingTask | PredictingTask
_TASK: TypeAdapter[Task] = TypeAdapter(Annotated[Task, Field(discriminator="do")])


@dataclass(frozen=True)
class Job:
    """A training with its predictions, or predictions of another cohort.

    Attributes:
        name: shown to people; differs from all others of a grid.
        task: what `child.py` does.
        settings: of the run.
        run: the run folder.
    """

    name: str
    task: Task
    settings: RunSettings
    run: Path

    @property
    def text(self) -> str:
        """One line of JSON."""
        return self.task.model_dump_json()


def training_job(
    name: str, settings: RunSettings, places: Mapping[str, Path], *, is_trained: bool
) -> Job:
    """Train a run, or go on with it, and predict the patients of its split.

    Args:
        name: of the run.
        settings: of the run.
        places: `prepared` the store, `split` a folder with `split.csv`, `run` the run folder.
        is_trained: whether it is trained, and only its predictions are due.
    """
    task = TrainingTask(is_trained=is_trained, settings=settings, **_absolute(places))
    return Job(name, task, settings, places["run"])


def predicting_job(name: str, settings: RunSettings, places: Mapping[str, Path]) -> Job:
    """Predict a cohort that a finished run has not seen.

    Args:
        name: shown to people.
        settings: of the run.
        places: `prepared` the cohort's store, `run` the finished run folder, `out` where
            `predictions.csv` goes.
    """
    return Job(name, PredictingTask(**_absolute(places)), settings, places["run"])


def read_task(text: str) -> Task:
    """What a line of JSON asks for."""
    return _TASK.validate_python(json.loads(text))


def _absolute(places: Mapping[str, Path]) -> dict[str, Path]:
    """Paths that hold in any process."""
    return {key: path.absolute() for key, path in places.items()}
