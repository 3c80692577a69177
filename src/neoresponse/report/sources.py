"""What a report is made from: the parts of a study folder that are there.

In: the folder. Out: a `Study`; a part that is absent is None or empty, never an error. Once there
is an evaluation, a run that it does not name is no longer part of the study and left out.
"""

import csv
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neoresponse.cohort.flow import SCHEMA as FLOW_SCHEMA
from neoresponse.cohort.split import SCHEMA as SPLIT_SCHEMA
from neoresponse.contracts.metrics import FILE_NAME as METRICS_FILE
from neoresponse.contracts.metrics import read_metrics
from neoresponse.durable import read_json
from neoresponse.errors import RunError
from neoresponse.evaluation import cross_validation as folds
from neoresponse.folders import is_set_aside
from neoresponse.settings import FLOORS, ModelSettings
from neoresponse.settings.toml import run_settings

# The parts that write these two need torch, which a report does not; a test keeps both alike.
RUN_SCHEMA = "neoresponse.run/1"
EXPLAIN_SCHEMA = "neoresponse.explain/1"
CURVES = "metrics.csv"
NAMELESS = "unnamed cohort"

Content = dict[str, Any]


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
        flow: content of `check/flow.json`, or None.
        split: content of `split/split.json`, or None.
        runs: run -> content of `run.json`.
        epochs: run -> its epochs.
        metrics: content of `evaluation/metrics.json`, or None.
        maps: run -> content of `explain/<run>/explain.json`.
        networks: run -> its network, from `config.toml` of its run folder.
        cross_validation: content of `cross-validation.json`, or None.
        elsewhere: cohort from elsewhere -> content of its `metrics.json`.
        lacking: runs that the study names and that are not evaluated.
    """

    folder: Path
    cohort_name: str
    is_simulated: bool
    flow: Content | None
    split: Content | None
    runs: Mapping[str, Content]
    epochs: Mapping[str, list[Epoch]]
    metrics: Content | None
    maps: Mapping[str, Content]
    networks: Mapping[str, ModelSettings]
    cross_validation: Content | None = None
    elsewhere: Mapping[str, Content] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()

    def named(self) -> list[str]:
        """Names of evaluated runs in the order of the study, the floors last."""
        if self.metrics is None:
            return []
        # JSON objects are sorted by name; this list keeps the order of the study.
        names = [name for name in self.metrics["run_order"] if name in self.metrics["runs"]]
        return sorted(names, key=lambda name: FLOORS.index(name) if name in FLOORS else -1)

    def judged(self) -> list[str]:
        """The networks, and the clinical floor where it is there: what a figure shows."""
        return [name for name in self.named() if name not in FLOORS[1:]]

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
    flow = _read(folder / "check" / "flow.json", FLOW_SCHEMA)
    split = _read(folder / "split" / "split.json", SPLIT_SCHEMA)
    evaluation = folder / "evaluation"
    metrics = read_metrics(evaluation) if (evaluation / METRICS_FILE).is_file() else None
    named = None if metrics is None else set(metrics["runs"])
    records, curves, indexes = (
        _find(folder / part, name, named=named)
        for part, name in (("runs", "run.json"), ("runs", CURVES), ("explain", "explain.json"))
    )
    seeds = folder / "seeds"
    records |= _find(seeds, "run.json", named=_seeds_of(metrics))
    curves |= _find(seeds, CURVES, named=_seeds_of(metrics))
    runs = {run: read_json(path, schema=RUN_SCHEMA) for run, path in records.items()}
    epochs = {run: read_epochs(path) for run, path in curves.items()}
    maps = {run: read_json(path, schema=EXPLAIN_SCHEMA) for run, path in indexes.items()}
    parts = [part for part in (flow, metrics, split, *runs.values(), *maps.values()) if part]
    if not parts:
        raise RunError(
            f"{folder}: expected a study folder with check, split, runs, evaluation or explain, "
            "found none of them. Name the folder that `neoresponse study` wrote."
        )
    names = [str(part["cohort_name"]) for part in parts if part.get("cohort_name")]
    return Study(
        folder=folder,
        cohort_name=names[0] if names else NAMELESS,
        is_simulated=any(part.get("is_simulated") for part in parts),
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
        cross_validation=_read(
            folder / folds.FOLDER / "evaluation" / folds.FILE_NAME, folds.SCHEMA
        ),
        elsewhere={
            path.parent.parent.name: read_metrics(path.parent)
            for path in sorted(folder.glob(f"external/*/evaluation/{METRICS_FILE}"))
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


def _seeds_of(metrics: Content | None) -> set[str] | None:
    """Folder names of the trainings of runs with several seeds."""
    if metrics is None:
        return None
    entries = metrics.get("seeds", ())
    return {f"{entry['run']}-seed-{seed}" for entry in entries for seed in entry["auc"]}


def _declared(folder: Path) -> list[str]:
    """The runs that the study names."""
    path = folder / "study.toml"
    if not path.is_file():
        return []
    try:
        return list(tomllib.loads(path.read_text(encoding="utf-8"))["runs"])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError) as error:
        raise RunError(
            f"{path}: expected the settings of a study, got {type(error).__name__}. Give the "
            "command `neoresponse study` again."
        ) from error


def _read(path: Path, schema: str) -> Content | None:
    """A JSON part, or None where it is absent."""
    return read_json(path, schema=schema) if path.is_file() else None


def _find(folder: Path, name: str, *, named: set[str] | None) -> dict[str, Path]:
    """The same file in the folder of each run, of those runs alone that are named."""
    found = (path for path in sorted(folder.glob(f"*/{name}")) if not is_set_aside(path.parent))
    paths = {path.parent.name: path for path in found}
    return {run: path for run, path in paths.items() if named is None or run in named}
