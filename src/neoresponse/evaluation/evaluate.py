"""The numbers of a study, computed from predictions alone.

In: predictions of every run. Out: `metrics.json`. The threshold of a run is chosen on its
validation patients; train and test patients never move it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neoresponse.config import CLINICAL_FLOOR, EvaluateSettings
from neoresponse.data.predictions import FLOOR_NAME, Prediction, read_card, read_predictions
from neoresponse.durable import read_json, write_json
from neoresponse.errors import RunError
from neoresponse.evaluation.groups import VALIDATION, Group, groups_of_patients, test_cohorts
from neoresponse.evaluation.limit import limits, read_oracle
from neoresponse.stats.compare import paired_delong
from neoresponse.stats.discrimination import has_both_classes, roc_curve
from neoresponse.stats.interval import delong_interval
from neoresponse.stats.threshold import confusion, rates, youden_threshold
from neoresponse.types import Estimate, Modality

SCHEMA = "neoresponse.metrics/1"
FILE_NAME = "metrics.json"
HALF = 0.5
NO_VALIDATION = "0.5, because validation does not hold both classes"
BROUGHT = "as the model brought it, chosen on the validation patients of its training"
OTHER_PATIENTS = "not estimable: the two runs do not hold the same patients"

Content = dict[str, Any]


def evaluate(
    predictions: Mapping[str, Sequence[Prediction]],
    settings: EvaluateSettings,
    *,
    is_simulated: bool,
    cohort_name: str,
    thresholds: Mapping[str, float] | None = None,
) -> Content:
    """Compute every metric of every run, and every run against the clinical floor.

    Args:
        predictions: name of a run -> its predictions.
        settings: coverage of the intervals and rule of the threshold.
        is_simulated: whether the patients come from a phantom.
        cohort_name: shown in the report.
        thresholds: name of a run -> the cut that its model brings along, for a cohort without
            validation patients.

    Returns:
        The content of `metrics.json`.

    Raises:
        RunError: there is no run, or two runs give one patient different labels.
    """
    if not predictions:
        raise RunError("evaluate: expected at least one run, got none. Train one first.")
    _refuse_two_labels(predictions)
    groups = {name: groups_of_patients(rows) for name, rows in predictions.items()}
    return {
        "schema": SCHEMA,
        "is_simulated": is_simulated,
        "cohort_name": cohort_name,
        "confidence": settings.confidence,
        "threshold_rule": settings.threshold,
        "runs": {
            name: _run_metrics(found, settings, brought=(thresholds or {}).get(name))
            for name, found in groups.items()
        },
        "comparisons": _comparisons(groups, confidence=settings.confidence),
        "limits": [],
    }


def evaluate_files(
    sources: Mapping[str, Path], settings: EvaluateSettings, *, truth: Path | None = None
) -> Content:
    """Evaluate predictions files, and the clinical floor that lies beside the first.

    Args:
        sources: name of a run -> its predictions file.
        settings: coverage of the intervals and rule of the threshold.
        truth: folder `truth` of the phantom that the patients come from, where they do: every run
            whose inputs are known is then held against the best possible.

    Returns:
        The content of `metrics.json`.

    Raises:
        RunError: a file cannot be read, or two runs give one patient different labels.
    """
    cards = {name: read_card(path.parent) for name, path in sources.items()}
    files = dict(sources)
    floors = [path.with_name(FLOOR_NAME) for path in sources.values()]
    if floors[0].is_file():
        files[CLINICAL_FLOOR] = floors[0]
    predictions = {name: read_predictions(path) for name, path in files.items()}
    content = evaluate(
        predictions,
        settings,
        is_simulated=any(card.is_simulated for card in cards.values()),
        cohort_name=", ".join(sorted({card.cohort_name for card in cards.values()})),
        thresholds={n: card.threshold for n, card in cards.items() if card.threshold is not None},
    )
    if truth is None:
        return content
    inputs = {name: frozenset(card.inputs) for name, card in cards.items()}
    inputs[CLINICAL_FLOOR] = frozenset([Modality.CLINICAL])
    known = {name: rows for name, rows in predictions.items() if inputs[name]}
    found = limits(known, inputs, read_oracle(truth), confidence=settings.confidence)
    return content | {"limits": [asdict(limit) for limit in found]}


def write_metrics(folder: Path, metrics: Content) -> Path:
    """Write `metrics.json` into a folder that exists and return its path."""
    path = folder / FILE_NAME
    write_json(path, metrics)
    return path


def read_metrics(folder: Path) -> Content:
    """Read `metrics.json` from a folder.

    Raises:
        RunError: it is missing or has another schema.
    """
    return read_json(folder / FILE_NAME, schema=SCHEMA)


def _refuse_two_labels(predictions: Mapping[str, Sequence[Prediction]]) -> None:
    """Stop where two runs disagree about a patient's outcome."""
    known: dict[str, tuple[int | None, str]] = {}
    for run, rows in predictions.items():
        for row in rows:
            label, first = known.setdefault(row.patient_id, (row.label, run))
            if label != row.label:
                raise RunError(
                    f"patient {row.patient_id!r}: expected one label, got {label!r} in run "
                    f"{first!r} and {row.label!r} in run {run!r}. Predict both from one split."
                )


def _run_metrics(
    groups: Mapping[str, Group], settings: EvaluateSettings, *, brought: float | None
) -> Content:
    """Threshold and all groups of one run."""
    threshold, note = _threshold(groups.get(VALIDATION), settings.threshold, brought)
    return {
        "threshold": threshold,
        "threshold_note": note,
        "cohorts": {
            name: _group_metrics(group, threshold=threshold, confidence=settings.confidence)
            for name, group in groups.items()
        },
    }


def _threshold(validation: Group | None, rule: str, brought: float | None) -> tuple[float, str]:
    """The probability cut of a run, from validation patients, and a note where it is special."""
    if rule == "half":
        return HALF, ""
    found = youden_threshold(validation.label, validation.probability) if validation else None
    if found is not None:
        return found, ""
    return (HALF, NO_VALIDATION) if brought is None else (brought, BROUGHT)


def _group_metrics(group: Group, *, threshold: float, confidence: float) -> Content:
    """Counts, rates, AUC and ROC points of one group."""
    counts = confusion(group.label, group.probability, threshold=threshold)
    estimates: dict[str, Estimate] = {
        "auc": delong_interval(group.label, group.probability, confidence=confidence),
        **rates(counts, confidence=confidence),
    }
    return {
        "num_patients": len(group.label),
        "num_pcr": int(group.label.sum()),
        "num_without_label": group.num_without_label,
        "counts": asdict(counts),
        **{name: asdict(estimate) for name, estimate in estimates.items()},
        "roc": _roc(group),
    }


def _roc(group: Group) -> Content:
    """Points of the ROC curve; none where a class is empty."""
    if not has_both_classes(group.label):
        return {"false_positive_rate": [], "true_positive_rate": []}
    curve = roc_curve(group.label, group.probability)
    return {
        "false_positive_rate": curve.false_positive_rate.tolist(),
        "true_positive_rate": curve.true_positive_rate.tolist(),
    }


def _comparisons(groups: Mapping[str, Mapping[str, Group]], *, confidence: float) -> list[Content]:
    """Every run against the clinical floor in every test cohort that both have."""
    floor = groups.get(CLINICAL_FLOOR, {})
    return [
        _comparison(groups[run][cohort], floor[cohort], confidence=confidence)
        | {"cohort": cohort, "run": run, "against": CLINICAL_FLOOR}
        for run in groups
        if run != CLINICAL_FLOOR
        for cohort in test_cohorts(list(groups[run]))
        if cohort in floor
    ]


def _comparison(group: Group, floor: Group, *, confidence: float) -> Content:
    """Difference in AUC of the same patients, by paired DeLong."""
    place = {patient_id: row for row, patient_id in enumerate(floor.patient_id)}
    if set(place) != set(group.patient_id):
        missing = Estimate(None, None, None, 0, "paired DeLong", confidence, OTHER_PATIENTS)
        return {"difference": asdict(missing), "p_value": None}
    order = [place[patient_id] for patient_id in group.patient_id]
    found = paired_delong(
        group.label, group.probability, floor.probability[order], confidence=confidence
    )
    return {"difference": asdict(found.difference), "p_value": found.p_value}
