"""A table of labels and probabilities -> all numbers about them; without any folder of ours.

In: a `Table`. Out: a dictionary for JSON (schema `neoresponse.evaluation/1`). Nothing is chosen on
these patients: the threshold is given.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from neoresponse.cohort.label_table import Table
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

SCHEMA = "neoresponse.evaluation/1"
FILE_NAME = "evaluation.json"
USUAL_THRESHOLD = 0.5
USUAL = "the usual one; it was not chosen on these patients"
STATED = "as given; had it been chosen on these patients, all that depends on it is too good"

Content = dict[str, Any]


def evaluate_table(
    table: Table, settings: EvaluateSettings, *, threshold: float | None = None
) -> Content:
    """Every number about one column of probabilities, or about two and their difference.

    Args:
        table: from `read_label_table`; a second column is compared with the first.
        settings: coverage, bootstrap and decision thresholds.
        threshold: a patient at or above it is called pCR; 0.5 where none is given.

    Returns:
        A dictionary of numbers, each with interval, n, method and note. Of a column of scores
        (numbers outside 0 to 1) only what needs an order, and, where a threshold is given, the
        counts.

    Raises:
        ConfigError: the threshold is no finite number.
    """
    if threshold is not None and not np.isfinite(threshold):
        raise ConfigError(f"--threshold: expected a finite number, got {threshold}. Change it.")
    models = {name: _model(table, name, settings, threshold=threshold) for name in table.values}
    names = list(table.values)
    return {
        "schema": SCHEMA,
        "notes": list(table.notes),
        "num_rows": table.num_rows,
        "num_left_out": table.num_left_out,
        "num_missing": table.num_missing,
        "num_patients": len(table.label),
        "num_pcr": int(table.label.sum()),
        "confidence": settings.confidence,
        "bootstrap": {"replicates": settings.replicates, "seed": settings.bootstrap_seed},
        "threshold": USUAL_THRESHOLD if threshold is None else threshold,
        "threshold_note": USUAL if threshold is None else STATED,
        "models": models,
        "comparison": _comparison(table, names, settings, threshold=threshold)
        if len(names) > 1
        else None,
    }


def _model(
    table: Table, name: str, settings: EvaluateSettings, *, threshold: float | None
) -> Content:
    """All numbers of one column."""
    label, values = table.label, table.values[name]
    outside = table.not_probability.get(name)
    cut = USUAL_THRESHOLD if threshold is None else threshold
    found = {
        "is_probability": outside is None,
        "note": "" if outside is None else _as_scores(outside),
        **discrimination(label, values, settings),
    }
    if outside is not None:
        counted = at_threshold(label, values, settings, threshold=cut)
        hidden = {"counts": None, **{key: _hidden(settings) for key in counted if key != "counts"}}
        return {
            **found,
            **(hidden if threshold is None else counted),
            "calibration": no_calibration(settings, note=NO_PROBABILITY),
            "net_benefit": None,
            "decision": None,
            **curves(label, values),
        }
    return {
        **found,
        **at_threshold(label, values, settings, threshold=cut),
        "calibration": calibration(label, values, settings),
        "net_benefit": _net_benefit(label, values, settings, cut),
        "decision": decision(label, values, settings),
        **curves(label, values),
    }


def _net_benefit(
    label: IntArray, values: FloatArray, settings: EvaluateSettings, threshold: float
) -> Content | None:
    """Net benefit at the threshold; at 0 and 1 odds have no meaning and there is none."""
    if not 0 < threshold < 1:
        return None
    return net_benefits(label, values, settings, thresholds=[threshold])[0]


def _comparison(
    table: Table, names: list[str], settings: EvaluateSettings, *, threshold: float | None
) -> Content:
    """The first column against the second, for the same patients."""
    label = table.label
    first, second = (table.values[name] for name in names)
    cut = USUAL_THRESHOLD if threshold is None else threshold
    found = paired_delong(label, first, second, confidence=settings.confidence)
    has_cut = threshold is not None or not table.not_probability
    has_benefit = not table.not_probability and 0 < cut < 1
    return {
        "first": names[0],
        "second": names[1],
        "auc_difference": {**asdict(found.difference), "z": found.z, "p_value": found.p_value},
        "mcnemar": mcnemar(label == 1, first >= cut, second >= cut) if has_cut else None,
        "net_benefit_difference": {
            "threshold": cut,
            **asdict(
                net_benefit_differences(
                    label,
                    (first, second),
                    thresholds=[cut],
                    rng=generator(settings),
                    plan=bootstrap_plan(settings),
                )[0]
            ),
        }
        if has_benefit
        else None,
    }


def _as_scores(outside: tuple[int, float]) -> str:
    """Why a column is taken as scores."""
    row, value = outside
    return (
        f"taken as scores: row {row} holds {value!r}, and a probability lies from 0 to 1. Only "
        "what needs an order is given, and counts where --threshold is"
    )


def _hidden(settings: EvaluateSettings) -> Content:
    """An estimate that a score without a threshold has not."""
    note = "not estimable: a score needs --threshold"
    return asdict(Estimate(None, None, None, 0, "none", settings.confidence, note))
