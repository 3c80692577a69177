"""A table of labels and probabilities -> all numbers about them; without any folder of ours.

In: a `Table`. Out: a `TableEvaluation`. Nothing is chosen on these patients: the threshold
is given.
"""

from dataclasses import asdict

import numpy as np

from neoresponse.cohort.label_table import Table
from neoresponse.contracts.evaluation import (
    AucDifference,
    ColumnComparison,
    ColumnMetrics,
    TableEvaluation,
)
from neoresponse.contracts.metrics import BootstrapUsed, NetBenefit, NetBenefitDifference
from neoresponse.errors import ConfigError
from neoresponse.evaluation.added_value import mcnemar
from neoresponse.evaluation.numbers import (
    NO_PROBABILITY,
    at_threshold,
    bootstrap_plan,
    calibration,
    curves,
    decision,
    discrimination,
    generator,
    net_benefits,
    no_calibration,
)
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import net_benefit_differences, paired_delong
from neoresponse.types import Estimate, FloatArray, IntArray

USUAL_THRESHOLD = 0.5
USUAL = "the usual one; it was not chosen on these patients"
STATED = "as given; had it been chosen on these patients, all that depends on it is too good"


def evaluate_table(
    table: Table, settings: EvaluateSettings, *, threshold: float | None = None
) -> TableEvaluation:
    """Every number about one column of probabilities, or about two and their difference.

    Args:
        table: from `read_label_table`; a second column is compared with the first.
        settings: coverage, bootstrap and decision thresholds.
        threshold: a patient at or above it is called pCR; 0.5 where none is given.

    Returns:
        Numbers, each with interval, n, method and note. Of a column of scores
        (numbers outside 0 to 1) only what needs an order, and, where a threshold is given, the
        counts.

    Raises:
        ConfigError: the threshold is no finite number.
    """
    if threshold is not None and not np.isfinite(threshold):
        raise ConfigError(f"--threshold: expected a finite number, got {threshold}. Change it.")
    models = {name: _model(table, name, settings, threshold=threshold) for name in table.values}
    names = list(table.values)
    return TableEvaluation(
        notes=tuple(table.notes),
        num_rows=table.num_rows,
        num_left_out=table.num_left_out,
        num_missing=dict(table.num_missing),
        num_patients=len(table.label),
        num_pcr=int(table.label.sum()),
        confidence=settings.confidence,
        bootstrap=BootstrapUsed(replicates=settings.replicates, seed=settings.bootstrap_seed),
        threshold=_used(threshold),
        threshold_note=USUAL if threshold is None else STATED,
        models=models,
        comparison=_comparison(table, names, settings, threshold=threshold)
        if len(names) > 1
        else None,
    )


def _used(threshold: float | None) -> float:
    """The threshold that was given, else the usual one."""
    return USUAL_THRESHOLD if threshold is None else threshold


def _model(
    table: Table, name: str, settings: EvaluateSettings, *, threshold: float | None
) -> ColumnMetrics:
    """All numbers of one column."""
    label, values = table.label, table.values[name]
    outside = table.not_probability.get(name)
    is_probability, used = outside is None, _used(threshold)
    counts, calls = at_threshold(label, values, settings, threshold=used)
    has_calls = is_probability or threshold is not None
    roc, precision_recall = curves(label, values)
    return ColumnMetrics(
        is_probability=is_probability,
        note="" if outside is None else _as_scores(outside),
        counts=counts if has_calls else None,
        **discrimination(label, values, settings),
        **(calls if has_calls else dict.fromkeys(calls, _hidden(settings))),
        calibration=calibration(label, values, settings)
        if is_probability
        else no_calibration(settings, note=NO_PROBABILITY),
        net_benefit=_net_benefit(label, values, settings, used) if is_probability else None,
        decision=decision(label, values, settings) if is_probability else None,
        roc=roc,
        precision_recall=precision_recall,
    )


def _net_benefit(
    label: IntArray, values: FloatArray, settings: EvaluateSettings, threshold: float
) -> NetBenefit | None:
    """Net benefit at the threshold; at 0 and 1 odds have no meaning and there is none."""
    if not 0 < threshold < 1:
        return None
    return net_benefits(label, values, settings, thresholds=[threshold])[0]


def _comparison(
    table: Table, names: list[str], settings: EvaluateSettings, *, threshold: float | None
) -> ColumnComparison:
    """The first column against the second, for the same patients."""
    label = table.label
    first, second = (table.values[name] for name in names)
    used = _used(threshold)
    found = paired_delong(label, first, second, confidence=settings.confidence)
    has_calls = threshold is not None or not table.not_probability
    has_benefit = not table.not_probability and 0 < used < 1
    return ColumnComparison(
        first=names[0],
        second=names[1],
        auc_difference=AucDifference(**asdict(found.difference), z=found.z, p_value=found.p_value),
        mcnemar=mcnemar(label == 1, first >= used, second >= used) if has_calls else None,
        net_benefit_difference=_benefit_difference(label, (first, second), settings, used)
        if has_benefit
        else None,
    )


def _benefit_difference(
    label: IntArray,
    values: tuple[FloatArray, FloatArray],
    settings: EvaluateSettings,
    threshold: float,
) -> NetBenefitDifference:
    """Net benefit of the first column less that of the second."""
    rng, plan = generator(settings), bootstrap_plan(settings)
    found = net_benefit_differences(label, values, thresholds=[threshold], rng=rng, plan=plan)
    return NetBenefitDifference(threshold=threshold, **asdict(found[0]))


def _as_scores(outside: tuple[int, float]) -> str:
    """Why a column is taken as scores."""
    row, value = outside
    return (
        f"taken as scores: row {row} holds {value!r}, and a probability lies from 0 to 1. Only "
        "what needs an order is given, and counts where --threshold is"
    )


def _hidden(settings: EvaluateSettings) -> Estimate:
    """An estimate that a score without a threshold has not."""
    note = "not estimable: a score needs --threshold"
    return Estimate(None, None, None, 0, "none", settings.confidence, note)
