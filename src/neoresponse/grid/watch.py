"""What one sees of many trainings under way: state, best metric and time left of each.

It is read from the run folders, so it shows the same wherever a training runs.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from neoresponse.grid.job import Job
from neoresponse.training.progress import METRICS

State = Literal["waiting", "training", "done", "failed"]


@dataclass(frozen=True)
class JobState:
    """Where one job stands.

    Attributes:
        name: of the job.
        state: of the job.
        epoch: epochs that are done.
        num_epochs: at most so many will be.
        measure: what chooses the kept epoch.
        best: its best value so far on validation patients; None before the first epoch.
        left_s: seconds left; None where nothing is known yet.
        note: why it failed, else empty.
    """

    name: str
    state: State = "waiting"
    epoch: int = 0
    num_epochs: int = 0
    measure: str = ""
    best: float | None = None
    left_s: float | None = None
    note: str = ""


Watch = Callable[[Sequence[JobState], float | None], None]
"""Takes in how all jobs stand now, and in how many seconds the last one may end."""


def unwatched(_states: Sequence[JobState], _left_s: float | None) -> None:
    """Show nothing: the default where nobody watches."""


class Observer:
    """Follows the run folders of some jobs."""

    def __init__(self, jobs: Sequence[Job], *, num_workers: int) -> None:
        """Begin with all waiting.

        Args:
            jobs: in the order in which they are shown.
            num_workers: how many run at once.
        """
        self._runs = {job.name: job.run for job in jobs}
        self._num_workers = num_workers
        self._first: dict[str, tuple[float, int]] = {}
        self.states = {
            job.name: JobState(
                job.name,
                num_epochs=job.settings.train.epochs if job.task.do == "train" else 0,
                measure=job.settings.train.keep,
            )
            for job in jobs
        }

    def mark(self, name: str, state: State, note: str = "") -> None:
        """A job has come to another state."""
        self.states[name] = replace(self.states[name], state=state, note=note, left_s=None)

    def look(self, now_s: float) -> None:
        """Read how far those under way are.

        Args:
            now_s: seconds on any clock that goes on evenly.
        """
        for name, state in self.states.items():
            if state.state == "training" and state.num_epochs:
                self.states[name] = self._seen(state, now_s)

    def left_s(self) -> float | None:
        """Seconds until all are done, if all epochs take as long as those seen."""
        rates = [
            state.left_s / (state.num_epochs - state.epoch)
            for state in self.states.values()
            if state.left_s is not None and state.epoch < state.num_epochs
        ]
        open_states = [s for s in self.states.values() if s.state in ("waiting", "training")]
        if not rates or not open_states:
            return None
        num_epochs = sum(state.num_epochs - state.epoch for state in open_states)
        together = min(self._num_workers, len(open_states))
        longest = max(state.left_s or 0.0 for state in open_states)
        return max(longest, sum(rates) / len(rates) * num_epochs / together)

    def _seen(self, state: JobState, now_s: float) -> JobState:
        """A training as its table of epochs shows it."""
        rows = _rows(self._runs[state.name] / METRICS)
        first_s, first_epoch = self._first.setdefault(state.name, (now_s, len(rows)))
        left_s = None
        if len(rows) > first_epoch:
            rate = (now_s - first_s) / (len(rows) - first_epoch)
            # The rate is that of epochs that are whole: it must not grow while one is under way.
            if len(rows) == state.epoch and state.left_s is not None:
                left_s = state.left_s
            else:
                left_s = rate * (state.num_epochs - len(rows))
        return replace(state, epoch=len(rows), best=_best(rows, state.measure), left_s=left_s)


def _rows(path: Path) -> list[dict[str, str]]:
    """The epochs of a training; none where its table is not there or is no table."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _best(rows: Sequence[dict[str, str]], measure: str) -> float | None:
    """The best value of a measure on validation patients."""
    name = "loss" if measure in ("loss", "last") else measure
    try:
        values = [float(row[f"validation_{name}"]) for row in rows]
    except (KeyError, TypeError, ValueError):
        return None
    if not values:
        return None
    return min(values) if name == "loss" else max(values)
