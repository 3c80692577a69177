"""One thing to do in a process of its own, as plain JSON, so that it can go to another machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neoresponse.settings import RunSettings


@dataclass(frozen=True)
class Job:
    """A training with its predictions, or predictions of another cohort.

    Attributes:
        name: shown to people; differs from all others of a grid.
        content: what `child.py` does: `do` and what that needs.
        settings: of the run.
        run: the run folder.
    """

    name: str
    content: dict[str, Any]
    settings: RunSettings
    run: Path

    @property
    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(self.content, sort_keys=True)


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
    content = {
        "do": "train",
        "is_trained": is_trained,
        "settings": settings.model_dump(mode="json"),
        **_absolute(places),
    }
    return Job(name, content, settings, places["run"])


def predicting_job(name: str, settings: RunSettings, places: Mapping[str, Path]) -> Job:
    """Predict a cohort that a finished run has not seen.

    Args:
        name: shown to people.
        settings: of the run.
        places: `prepared` the cohort's store, `run` the finished run folder, `out` where
            `predictions.csv` goes.
    """
    return Job(name, {"do": "predict", **_absolute(places)}, settings, places["run"])


def _absolute(places: Mapping[str, Path]) -> dict[str, str]:
    """Paths that hold in any process."""
    return {key: str(path.absolute()) for key, path in places.items()}
