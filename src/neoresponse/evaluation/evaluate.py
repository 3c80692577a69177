"""The numbers of a study, computed from predictions alone.

In: predictions of every run. Out: the content of `metrics.json`. What is chosen or
fitted (threshold, recalibration, floor with image) is so on validation patients alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.characteristics import Characteristics, read_characteristics
from neoresponse.contracts.groups import VALIDATION, Group, groups_of_patients, test_cohorts
from neoresponse.contracts.metrics import SCHEMA
from neoresponse.contracts.predictions import Prediction, floor_file, read_card, read_predictions
from neoresponse.data.cut import rule_in_words
from neoresponse.errors import RunError
from neoresponse.evaluation.added_value import comparisons, likelihood_ratios
from neoresponse.evaluation.chosen import (
    choose_threshold,
    fit_recalibrations,
    recalibrated,
)
from neoresponse.evaluation.limit import limits, read_oracle
from neoresponse.evaluation.numbers import (
    at_threshold,
    calibration,
    curves,
    decision,
    discrimination,
)
from neoresponse.evaluation.subgroups import subgroups
from neoresponse.settings import CLINICAL_FLOOR, FLOORS, EvaluateSettings
from neoresponse.types import Modality

Content = dict[str, Any]


def evaluate(
    predictions: Mapping[str, Sequence[Prediction]],
    settings: EvaluateSettings,
    *,
    is_simulated: bool,
    cohort_name: str,
    thresholds: Mapping[str, float] | None = None,
) -> Content:
    """Compute every metric of every run, and what each adds to the clinical floors.

    Args:
        predictions: name of a run -> its predictions.
        settings: coverage of the intervals, bootstrap and rule of the threshold.
        is_simulated: whether the patients come from a phantom.
        cohort_name: shown in the report.
        thresholds: name of a run -> the cut that its model brings along, for a cohort without
            validation patients.

    Returns:
        The content of `metrics.json`, without limits and subgroups, which need more than
        predictions, and not audited yet.

    Raises:
        RunError: there is no run, or two runs give one patient different labels.
    """
    if not predictions:
        raise RunError("evaluate: expected at least one run, got none. Train one first.")
    _refuse_two_labels(predictions)
    groups = {name: groups_of_patients(rows) for name, rows in predictions.items()}
    runs = {
        name: _run_metrics(found, settings, brought=(thresholds or {}).get(name))
        for name, found in groups.items()
    }
    cuts = {name: run["threshold"] for name, run in runs.items()}
    return {
        "schema": SCHEMA,
        "is_simulated": is_simulated,
        "cohort_name": cohort_name,
        "confidence": settings.confidence,
        "bootstrap": {"replicates": settings.replicates, "seed": settings.bootstrap_seed},
        "threshold_rule": settings.threshold,
        "threshold_rule_in_words": rule_in_words(settings),
        "decision_thresholds": list(settings.decision_thresholds),
        "run_order": list(runs),
        "runs": runs,
        "comparisons": comparisons(groups, settings, thresholds=cuts),
        "likelihood_ratios": likelihood_ratios(groups),
        "subgroups": [],
        "limits": [],
        "seeds": [],
        "contradictions": [],
    }


def evaluate_files(
    sources: Mapping[str, Path], settings: EvaluateSettings, *, truth: Path | None = None
) -> Content:
    """Evaluate predictions files, and the floors and characteristics that lie beside the first.

    Args:
        sources: name of a run -> its predictions file.
        settings: coverage of the intervals, bootstrap and rule of the threshold.
        truth: folder `truth` of the phantom that the patients come from, where they do: every run
            whose inputs are known is then held against the best possible.

    Returns:
        The content of `metrics.json`.

    Raises:
        RunError: a file cannot be read, or two runs give one patient different labels.
    """
    oracle = None if truth is None else read_oracle(truth)
    cards = {name: read_card(path.parent) for name, path in sources.items()}
    beside = next(iter(sources.values())).parent
    floors = {name: beside / floor_file(name) for name in FLOORS}
    files = dict(sources) | {name: path for name, path in floors.items() if path.is_file()}
    predictions = {name: read_predictions(path) for name, path in files.items()}
    content = evaluate(
        predictions,
        settings,
        is_simulated=any(card.is_simulated for card in cards.values()),
        cohort_name=", ".join(sorted({card.cohort_name for card in cards.values()})),
        thresholds={n: card.threshold for n, card in cards.items() if card.threshold is not None},
    )
    known = read_characteristics(beside / CHARACTERISTICS)
    content |= {"subgroups": _subgroups(predictions, known, settings)}
    if oracle is None:
        return content
    inputs = {name: frozenset(card.inputs) for name, card in cards.items()}
    inputs[CLINICAL_FLOOR] = frozenset([Modality.CLINICAL])
    limited = {name: rows for name, rows in predictions.items() if inputs.get(name)}
    found = limits(limited, inputs, oracle, confidence=settings.confidence)
    return content | {"limits": [asdict(limit) for limit in found]}


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
    """Threshold, recalibration and all groups of one run."""
    validation = groups.get(VALIDATION)
    threshold, note = choose_threshold(validation, settings, brought=brought)
    maps = fit_recalibrations(validation)
    tested = set(test_cohorts(list(groups)))
    return {
        "threshold": threshold,
        "threshold_note": note,
        "recalibration": {name: one.as_content() for name, one in maps.items()},
        "cohorts": {
            name: _group_metrics(group, settings, threshold=threshold)
            | {"recalibrated": recalibrated(group, maps, settings) if name in tested else {}}
            for name, group in groups.items()
        },
    }


def _group_metrics(group: Group, settings: EvaluateSettings, *, threshold: float) -> Content:
    """Every number about one group."""
    patients = group.label, group.probability
    return {
        "num_patients": len(group.label),
        "num_pcr": int(group.label.sum()),
        "num_without_label": group.num_without_label,
        **discrimination(*patients, settings),
        **at_threshold(*patients, settings, threshold=threshold),
        "calibration": calibration(*patients, settings),
        "decision": decision(*patients, settings),
        **curves(*patients),
    }


def _subgroups(
    predictions: Mapping[str, Sequence[Prediction]],
    characteristics: Characteristics,
    settings: EvaluateSettings,
) -> list[Content]:
    """Subgroups of every run, where anything is known of the patients."""
    if not characteristics:
        return []
    groups = {name: groups_of_patients(rows) for name, rows in predictions.items()}
    return subgroups(groups, characteristics, settings)
