"""What a report is made from: the parts of a study folder that are there.

In: the folder. Out: a `Study`; a part that is absent is None or empty, never an error. Once there
is an evaluation, a run that it does not name is no longer part of the study and left out.
"""

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from neoresponse.contracts.cross_validation import CrossValidation
from neoresponse.contracts.explanation import Explanation
from neoresponse.contracts.flow import Flow
from neoresponse.contracts.metrics import GroupMetrics, Metrics
from neoresponse.contracts.record import FileRecord, has_record, read_record
from neoresponse.contracts.run import RunSummary
from neoresponse.contracts.split import SplitSummary
from neoresponse.errors import RunError
from neoresponse.evaluation import cross_validation as folds
from neoresponse.folders import is_set_aside
from neoresponse.settings import ModelSettings
from neoresponse.settings.toml import run_settings
from neoresponse.types import REFERENCE_MODELS

CURVES = "metrics.csv"
NAMELESS = "unnamed cohort"

F = TypeVar("F", bound=FileRecord)


@dataclass(frozen=True)
class Epoch:
    """One pass of a training; `auc` is None where validation holds one class."""

    epoch: int
    train_loss: float
    validation_loss: float
    accuracy: float
    auc: float | None
    is_kept: bool


@dataclass(frozen=True)
class Study:
    """A study folder, read.

    Attributes:
        folder: where it stands.
        cohort_name: as `cohort.toml` names it.
        is_simulated: whether any part says so.
        flow: who was left out, or None.
        split: what the split came to, or None.
        runs: run -> its summary.
        epochs: run -> its epochs.
        metrics: of the evaluation, or None.
        maps: run -> its heat maps.
        networks: run -> its network, from `config.toml` of its run folder.
        cross_validation: its numbers, or None.
        elsewhere: cohort from elsewhere -> its metrics.
        lacking: runs that the study names and that are not evaluated.
    """

    folder: Path
    cohort_name: str
    is_simulated: bool
    flow: Flow | None
    split: SplitSummary | None
    runs: Mapping[str, RunSummary]
    epochs: Mapping[str, list[Epoch]]
    metrics: Metrics | None
    maps: Mapping[str, Explanation]
    networks: Mapping[str, ModelSettings]
    cross_validation: CrossValidation | None = None
    elsewhere: Mapping[str, Metrics] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()

    def named(self) -> list[str]:
        """Names of evaluated runs in the order of the study, the reference models last."""
        if self.metrics is None:
            return []
        # JSON objects are sorted by name; this list keeps the order of the study.
        names = [name for name in self.metrics.run_order if name in self.metrics.runs]
        return sorted(
            names, key=lambda name: REFERENCE_MODELS.index(name) if name in REFERENCE_MODELS else -1
        )

    def groups(self, run: str) -> Mapping[str, GroupMetrics]:
        """Group of patients -> a run's numbers there; none without an evaluation."""
        return self.metrics.runs[run].cohorts if self.metrics is not None else {}

    def judged(self) -> list[str]:
        """The networks, and clinical-only where it is there: what a figure shows."""
        return [name for name in self.named() if name not in REFERENCE_MODELS[1:]]

    def in_order(self, runs: Iterable[str]) -> list[str]:
        """The same runs in the order of `named`, others last."""
        names = self.named()
        return sorted(runs, key=lambda run: names.index(run) if run in names else len(names))


def read_study(folder: Path) -> Study:
    """Read all parts of a study folder that are there.

    Args:
        folder: the study folder.

    Raises:
        RunError: no part is there, or a part cannot be read.
    """
    flow = _read(folder / "check", Flow)
    split = _read(folder / "split", SplitSummary)
    metrics = _read(folder / "evaluation", Metrics)
    named = None if metrics is None else set(metrics.runs)
    records, curves, indexes = (
        _find(folder / part, name, named=named)
        for part, name in (
            ("runs", RunSummary.FILE_NAME),
            ("runs", CURVES),
            ("explain", Explanation.FILE_NAME),
        )
    )
    seeds = folder / "seeds"
    records |= _find(seeds, RunSummary.FILE_NAME, named=_seeds_of(metrics))
    curves |= _find(seeds, CURVES, named=_seeds_of(metrics))
    runs = {run: read_record(path.parent, RunSummary) for run, path in records.items()}
    epochs = {run: read_epochs(path) for run, path in curves.items()}
    maps = {run: read_record(path.parent, Explanation) for run, path in indexes.items()}
    if not (flow or metrics or split or runs or maps):
        raise RunError(
            f"{folder}: expected a study folder with check, split, runs, evaluation or explain, "
            "found none of them. Name the folder that `neoresponse study` wrote."
        )
    named_parts = [part for part in (flow, metrics, *runs.values()) if part is not None]
    names = [part.cohort_name for part in named_parts if part.cohort_name]
    return Study(
        folder=folder,
        cohort_name=names[0] if names else NAMELESS,
        is_simulated=any(part.is_simulated for part in (*named_parts, *maps.values())),
        flow=flow,
        split=split,
        runs=runs,
        epochs=epochs,
        metrics=metrics,
        maps=maps,
        networks={
            run: run_settings(str(path)).model
            for run, path in _find(folder / "runs", "config.toml", named=named).items()
        },
        cross_validation=_read(folder / folds.FOLDER / "evaluation", CrossValidation),
        elsewhere={
            path.parent.parent.name: read_record(path.parent, Metrics)
            for path in sorted(folder.glob(f"external/*/evaluation/{Metrics.FILE_NAME}"))
        },
        lacking=() if named is None else tuple(n for n in _declared(folder) if n not in named),
    )


def read_epochs(path: Path) -> list[Epoch]:
    """Read the `metrics.csv` of a run.

    Raises:
        RunError: a column is missing or a value is no number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_epoch(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(
            f"{path}: expected one line of numbers per epoch, got {error!r}. Train this run again."
        ) from error


def _epoch(row: Mapping[str, str]) -> Epoch:
    """One line of `metrics.csv`."""
    auc = row["validation_auc"]
    return Epoch(
        epoch=int(row["epoch"]),
        train_loss=float(row["train_loss"]),
        validation_loss=float(row["validation_loss"]),
        accuracy=float(row["validation_accuracy"]),
        auc=None if auc in ("", "None") else float(auc),
        is_kept=row["is_kept"] == "1",
    )


def _seeds_of(metrics: Metrics | None) -> set[str] | None:
    """Folder names of the trainings of runs with several seeds."""
    if metrics is None:
        return None
    entries = metrics.seeds
    return {f"{entry.run}-seed-{seed}" for entry in entries for seed in entry.auc}


def _declared(folder: Path) -> list[str]:
    """The runs that the study names."""
    path = folder / "study.toml"
    if not path.is_file():
        return []
    try:
        return list(tomllib.loads(path.read_text(encoding="utf-8"))["runs"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise RunError(
            f"{path}: expected the settings of a study, got {type(error).__name__}. Run "
            "`neoresponse study` again."
        ) from error


def _read(folder: Path, kind: type[F]) -> F | None:
    """A part, or None where it is absent."""
    return read_record(folder, kind) if has_record(folder, kind) else None


def _find(folder: Path, name: str, *, named: set[str] | None) -> dict[str, Path]:
    """The same file in the folder of each run, of those runs alone that are named."""
    found = (path for path in sorted(folder.glob(f"*/{name}")) if not is_set_aside(path.parent))
    paths = {path.parent.name: path for path in found}
    return {run: path for run, path in paths.items() if named is None or run in named}
