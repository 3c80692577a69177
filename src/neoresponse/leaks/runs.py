"""A run folder -> what in it test patients may have decided: threshold, epoch, samples, split.

Everything is computed again from the run's own files; nothing is trusted because a file says so.
"""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neoresponse.cohort.split import Assignment, read_split, split_csv
from neoresponse.contracts.groups import VALIDATION, Group, groups_of_patients
from neoresponse.contracts.metrics import Metrics
from neoresponse.contracts.predictions import FILE_NAME, Prediction, read_predictions
from neoresponse.contracts.record import has_record, read_record
from neoresponse.errors import ConfigError, RunError
from neoresponse.leaks.leak import Leak
from neoresponse.preprocess.store import Store
from neoresponse.settings.toml import run_settings
from neoresponse.stats import confusion

CARD, METRICS, SAMPLES = Path("model") / "model.json", "metrics.csv", "samples.csv"
INPUTS, CONFIG = "inputs.json", "config.toml"
EVALUATION = "evaluation"
ROUNDING = 1e-6
"""Probabilities of one model on two machines may differ by so much."""
SHOWN = 5
LOSS = "validation_loss"
MEASURES = ("validation_accuracy", "validation_auc", LOSS)
"""Columns of metrics.csv that may choose the kept epoch; of equal epochs that with least loss."""


def run_leaks(run: Path, store: Store | None = None) -> list[Leak]:
    """What test patients may have decided in a run.

    Args:
        run: the run folder; what is not in it is not checked.
        store: the prepared store that it was trained on, for its samples.

    Raises:
        RunError: a file of the run is broken.
    """
    found: list[Leak] = []
    assignments = read_split(run)
    found += _other_split(run, assignments)
    if (run / METRICS).is_file():
        found += _epoch(run)
    if (run / SAMPLES).is_file() and store is not None:
        found += _samples(run, assignments, store)
    if (run / FILE_NAME).is_file():
        predictions = read_predictions(run / FILE_NAME)
        found += _moved(run, assignments, predictions)
        found += _threshold(run, predictions)
    return found


def _other_split(run: Path, assignments: Sequence[Assignment]) -> list[Leak]:
    """Whether the split is the one that training began with."""
    stated = _json(run / INPUTS).get("split_sha256")
    if stated in (None, hashlib.sha256(split_csv(assignments).encode()).hexdigest()):
        return []
    sentence = (
        f"{run.name}: expected the split that training began with, got another. "
        "Train again on this split."
    )
    return [Leak("patient in two parts", (), sentence)]


def _moved(
    run: Path, assignments: Sequence[Assignment], predictions: Sequence[Prediction]
) -> list[Leak]:
    """Patients whose predictions stand under another part than the one they were trained under."""
    part = {a.patient_id: a.split for a in assignments}
    moved = [p for p in predictions if part.get(p.patient_id, p.split) != p.split]
    if not moved:
        return []
    shown = ", ".join(f"{p.patient_id} ({part[p.patient_id]}, {p.split})" for p in moved[:SHOWN])
    sentence = (
        f"{run.name}: expected predictions under the part of the split, got {len(moved)} patients "
        f"under another: {shown}. Predict again."
    )
    return [Leak("patient in two parts", tuple(p.patient_id for p in moved), sentence)]


def _epoch(run: Path) -> list[Leak]:
    """Whether the kept epoch is the best of its validation patients by any measure."""
    try:
        with (run / METRICS).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        may_be_kept = run_settings(str(run / CONFIG)).train.kept_epochs
        allowed = [row for row in rows if int(row["epoch"]) in may_be_kept]
        (kept,) = [row for row in rows if row["is_kept"] == "1"]
        epochs = {int(kept["epoch"]), _json(run / "run.json").get("kept_epoch", int(kept["epoch"]))}
        is_best = any(
            _rank(kept, measure) >= max(_rank(row, measure) for row in allowed)
            for measure in MEASURES
            if kept[measure]  # empty where validation patients are of one class
        )
    except (ConfigError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise RunError(
            f"{run / METRICS}: expected epochs with one that was kept, got {error!r}. Train again."
        ) from error
    if is_best and len(epochs) == 1:
        return []
    sentence = (
        f"{run.name}: expected the kept epoch to be the best on validation patients, got epoch "
        f"{kept['epoch']}, which no measure of metrics.csv puts first. Find out what chose it."
    )
    return [Leak("chosen on test", (), sentence)]


def _rank(row: Mapping[str, str], measure: str) -> tuple[float, float]:
    """How good an epoch is by a measure; the higher the better."""
    loss = -float(row[LOSS])
    return (loss if measure == LOSS else float(row[measure])), loss


def _threshold(run: Path, predictions: Sequence[Prediction]) -> list[Leak]:
    """Whether validation patients alone give the threshold."""
    groups, threshold = groups_of_patients(predictions), _youden_threshold(run)
    if threshold is None or VALIDATION not in groups or _is_best(groups[VALIDATION], threshold):
        return []
    better = [name for name in groups if name != VALIDATION and _is_best(groups[name], threshold)]
    sentence = (
        f"{run.name}: expected the threshold with the highest Youden index on validation patients, "
        f"got {threshold:.4g}, which is not it"
        + (f" but that of {' and '.join(better)}" if better else "")
        + ". Choose it on validation patients."
    )
    return [Leak("chosen on test", (), sentence)]


def _youden_threshold(run: Path) -> float | None:
    """The threshold that a run is said to have by that rule: in the metrics of its study.

    A model of an earlier version states it itself.
    """
    card = _json(run / CARD)
    if "Youden" in str(card.get("threshold_method")):
        return float(card["threshold"])
    evaluation = run.absolute().parent.parent / EVALUATION
    if not has_record(evaluation, Metrics):
        return None
    metrics = read_record(evaluation, Metrics)
    if metrics.threshold_rule != "youden" or run.name not in metrics.runs:
        return None
    return metrics.runs[run.name].threshold


def _is_best(group: Group, threshold: float) -> bool:
    """Whether no other threshold has a higher Youden index on these patients."""
    if not 0 < group.label.sum() < len(group.label):
        return True
    best = max(_youden(group, float(one)) for one in np.unique(group.probability))
    return _youden(group, threshold - ROUNDING) >= best - 1e-12


def _youden(group: Group, threshold: float) -> float:
    """Sensitivity + specificity - 1 at a threshold."""
    counts = confusion(group.label, group.probability, threshold=threshold)
    num_pcr, num_residual = counts.tp + counts.fn, counts.tn + counts.fp
    return counts.tp / num_pcr + counts.tn / num_residual - 1


def _samples(run: Path, assignments: Sequence[Assignment], store: Store) -> list[Leak]:
    """Whether every training sample is a version of a training patient."""
    try:
        with (run / SAMPLES).open(encoding="utf-8", newline="") as file:
            rows = {int(row["row"]) for row in csv.DictReader(file)}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise RunError(
            f"{run / SAMPLES}: expected a sample a line with its row in the store, got {error!r}. "
            "Train again."
        ) from error
    part = {a.patient_id: a.split for a in assignments}
    ids = [store.patients[row].patient_id for row in sorted(rows) if row < len(store.patients)]
    wrong = [patient_id for patient_id in ids if part.get(patient_id) != "train"]
    if not wrong:
        return []
    sentence = (
        f"{run.name}: expected training samples of training patients only, got some of "
        f"{len(wrong)} others: {', '.join(wrong[:SHOWN])}. Split first, then make samples."
    )
    return [Leak("changed before the split", tuple(wrong), sentence)]


def _json(path: Path) -> dict[str, Any]:
    """A JSON object of the run; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: expected JSON, got {error}. Train again.") from error
    return content if isinstance(content, dict) else {}
