"""The numbers of a study, computed from predictions alone.

In: predictions of every run. Out: the content of `metrics.json`. What is chosen or
fitted (threshold, recalibration, reference model with image) is so on validation patients alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from neoresponse.contracts.characteristics import FILE_NAME as CHARACTERISTICS
from neoresponse.contracts.characteristics import Characteristics, read_characteristics
from neoresponse.contracts.groups import VALIDATION, Group, groups_of_patients, test_cohorts
from neoresponse.contracts.metrics import (
    BootstrapUsed,
    GroupMetrics,
    Metrics,
    RunMetrics,
    SubgroupRow,
)
from neoresponse.contracts.predictions import Prediction, read_card, read_predictions
from neoresponse.contracts.reference_models import reference_files
from neoresponse.errors import RunError
from neoresponse.evaluation.added_value import comparisons, likelihood_ratios
from neoresponse.evaluation.limit import limits, read_oracle
from neoresponse.evaluation.numbers import (
    at_threshold,
    calibration,
    curves,
    decision,
    discrimination,
)
from neoresponse.evaluation.operating_point import (
    OperatingPoint,
    operating_point,
    rule_in_words,
)
from neoresponse.evaluation.recalibration import fit_recalibrations, recalibrated
from neoresponse.evaluation.subgroups import subgroups
from neoresponse.settings import EvaluateSettings
from neoresponse.types import CLINICAL_ONLY, Modality


def evaluate(
    predictions: Mapping[str, Sequence[Prediction]],
    settings: EvaluateSettings,
    *,
    is_simulated: bool,
    cohort_name: str,
    brought: Mapping[str, OperatingPoint] | None = None,
) -> Metrics:
    """Compute every metric of every run, and what each adds to the reference models.

    Args:
        predictions: name of a run -> its predictions.
        settings: coverage of the intervals, bootstrap and rule of the threshold.
        is_simulated: whether the patients come from a phantom.
        cohort_name: shown in the report.
        brought: name of a run -> the threshold stored with its predictions, for a cohort
            without validation patients.

    Returns:
        The metrics, without limits and subgroups, which need more than
        predictions, and not audited yet.

    Raises:
        RunError: there is no run, or two runs give one patient different labels.
    """
    if not predictions:
        raise RunError("evaluate: expected at least one run, got none. Train one first.")
    _refuse_two_labels(predictions)
    groups = {name: groups_of_patients(rows) for name, rows in predictions.items()}
    runs = {
        name: _run_metrics(found, settings, brought=(brought or {}).get(name))
        for name, found in groups.items()
    }
    thresholds = {name: run.threshold for name, run in runs.items()}
    return Metrics(
        is_simulated=is_simulated,
        cohort_name=cohort_name,
        confidence=settings.confidence,
        bootstrap=BootstrapUsed(replicates=settings.replicates, seed=settings.bootstrap_seed),
        threshold_rule=settings.threshold,
        threshold_rule_in_words=rule_in_words(settings),
        decision_thresholds=settings.decision_thresholds,
        run_order=tuple(runs),
        runs=runs,
        comparisons=comparisons(groups, settings, thresholds=thresholds),
        likelihood_ratios=likelihood_ratios(groups),
    )


def evaluate_files(
    sources: Mapping[str, Path],
    settings: EvaluateSettings,
    *,
    reference: Path | None = None,
    truth: Path | None = None,
) -> Metrics:
    """Evaluate predictions files, with the reference models and characteristics of the patients.

    Args:
        sources: name of a run -> its predictions file.
        settings: coverage of the intervals, bootstrap and rule of the threshold.
        reference: the folder `reference` of the same patients; without one there are no reference
            models, and characteristics are read beside the first source.
        truth: folder `truth` of the phantom that the patients come from, where they do: every run
            whose inputs are known is then held against the best possible.

    Returns:
        The metrics, not audited yet.

    Raises:
        RunError: a file cannot be read, or two runs give one patient different labels.
    """
    oracle = None if truth is None else read_oracle(truth)
    cards = {name: read_card(path.parent) for name, path in sources.items()}
    files = {**sources, **reference_files(reference)}
    predictions = {name: read_predictions(path) for name, path in files.items()}
    metrics = evaluate(
        predictions,
        settings,
        is_simulated=any(card.is_simulated for card in cards.values()),
        cohort_name=", ".join(sorted({card.cohort_name for card in cards.values()})),
        brought={
            name: OperatingPoint(card.threshold, card.threshold_note)
            for name, card in cards.items()
            if card.threshold is not None
        },
    )
    described = reference or next(iter(sources.values())).parent
    known = read_characteristics(described / CHARACTERISTICS)
    metrics = metrics.model_copy(update={"subgroups": _subgroups(predictions, known, settings)})
    if oracle is None:
        return metrics
    inputs = {name: frozenset(card.inputs) for name, card in cards.items()}
    inputs[CLINICAL_ONLY] = frozenset([Modality.CLINICAL])
    limited = {name: rows for name, rows in predictions.items() if inputs.get(name)}
    found = limits(limited, inputs, oracle, confidence=settings.confidence)
    return metrics.model_copy(update={"limits": tuple(found)})


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
    groups: Mapping[str, Group], settings: EvaluateSettings, *, brought: OperatingPoint | None
) -> RunMetrics:
    """Threshold, recalibration and all groups of one run."""
    validation = groups.get(VALIDATION)
    point = operating_point(validation, settings, brought=brought)
    maps = fit_recalibrations(validation)
    tested = set(test_cohorts(list(groups)))
    return RunMetrics(
        threshold=point.threshold,
        threshold_note=point.note,
        recalibration={name: one.as_record() for name, one in maps.items()},
        cohorts={
            name: _group_metrics(group, settings, threshold=point.threshold).model_copy(
                update={"recalibrated": recalibrated(group, maps, settings)}
                if name in tested
                else {}
            )
            for name, group in groups.items()
        },
    )


def _group_metrics(group: Group, settings: EvaluateSettings, *, threshold: float) -> GroupMetrics:
    """Every number about one group, but for recalibrated probabilities."""
    patients = group.label, group.probability
    counts, calls = at_threshold(*patients, settings, threshold=threshold)
    roc, precision_recall = curves(*patients)
    return GroupMetrics(
        num_patients=len(group.label),
        num_pcr=int(group.label.sum()),
        num_without_label=group.num_without_label,
        counts=counts,
        **discrimination(*patients, settings),
        **calls,
        calibration=calibration(*patients, settings),
        recalibrated={},
        decision=decision(*patients, settings),
        roc=roc,
        precision_recall=precision_recall,
    )


def _subgroups(
    predictions: Mapping[str, Sequence[Prediction]],
    characteristics: Characteristics,
    settings: EvaluateSettings,
) -> tuple[SubgroupRow, ...]:
    """Subgroups of every run, where anything is known of the patients."""
    if not characteristics:
        return ()
    groups = {name: groups_of_patients(rows) for name, rows in predictions.items()}
    return subgroups(groups, characteristics, settings)
