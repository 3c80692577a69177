"""Numbers -> tables: CSV text with every digit, and the order and words of columns.

Every table of simulated patients carries the word SIMULATED in its column `data`.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from neoresponse.cohort.dictionary import FOCALITY
from neoresponse.contracts.metrics import McNemar, RunMetrics
from neoresponse.report.model_tables import (
    added_value_rows,
    calibration_curve_rows,
    calibration_rows,
    decision_curve_rows,
    decision_rows,
    precision_recall_rows,
    spread,
    subgroup_rows,
)
from neoresponse.report.names import VARIABLES
from neoresponse.report.repeats import cross_validation_rows, elsewhere_rows, seed_rows
from neoresponse.report.sources import Study
from neoresponse.report.study_tables import (
    COLUMNS,
    figure_4_rows,
    figure_5_rows,
    study_tables,
    table_rows,
)
from neoresponse.types import SIMULATED

RATES = {
    "accuracy": "ACC",
    "sensitivity": "SENS",
    "specificity": "SPEC",
    "ppv": "PPV",
    "npv": "NPV",
}
"""Key in `metrics.json` -> head of the column."""

FURTHER = {"average_precision": "AP", "f1": "F1", "mcc": "MCC"}
"""Further columns of the same table."""

COUNTS = {"tp": "TP", "fp": "FP", "fn": "FN", "tn": "TN"}
COHORTS = {
    "train": "training",
    "validation": "validation",
    "TC1": "unifocal test cohort (TC1)",
    "TC2": "multifocal test cohort (TC2)",
    "TC1+TC2": "both test cohorts (TC1+TC2)",
}
"""Group in `metrics.json` -> how it is headed."""

RECALIBRATIONS = {
    "platt": "recalibrated (Platt)",
    "temperature": "recalibrated (temperature)",
    "isotonic": "recalibrated (isotonic)",
}
"""Kind of recalibration -> how it is called."""

INPUTS = {"biopsy": "biopsy", "us_0": "US-0", "us_1": "US-1", "clinical": "clinical variables"}
HEADS: dict[str, Mapping[str, str] | tuple[str, ...]] = {
    "rates": RATES,
    "further": FURTHER,
    "recalibrations": RECALIBRATIONS,
    "variables": VARIABLES,
    "columns": COLUMNS,
    "counts": COUNTS,
    "cohorts": COHORTS,
    "focality": FOCALITY.words,
    "inputs": INPUTS,
}
"""What the templates show for our keys, and in which order."""

Row = Mapping[str, object]
V = TypeVar("V")


def csv_tables(study: Study) -> dict[str, str]:
    """Every table of the report as CSV.

    Args:
        study: the study folder, read.

    Returns:
        File name -> content; a table whose part is absent has no entry.
    """
    tables: dict[str, list[Row]] = {
        "patients.csv": list(_flow_rows(study)),
        "split.csv": list(_split_rows(study)),
        "metrics.csv": list(_metric_rows(study)),
        "comparisons.csv": list(_comparison_rows(study)),
        "added_value.csv": list(added_value_rows(study)),
        "limits.csv": list(_limit_rows(study)),
        "roc.csv": list(_roc_rows(study)),
        "precision_recall.csv": list(precision_recall_rows(study)),
        "calibration.csv": list(calibration_rows(study)),
        "calibration_curves.csv": list(calibration_curve_rows(study)),
        "decisions.csv": list(decision_rows(study)),
        "decision_curves.csv": list(decision_curve_rows(study)),
        "subgroups.csv": list(subgroup_rows(study)),
        "seeds.csv": list(seed_rows(study)),
        "cross_validation.csv": list(cross_validation_rows(study)),
        "external.csv": list(elsewhere_rows(study)),
        **{f"table_{t.number}.csv": list(table_rows(study, t)) for t in study_tables(study)},
        "figure_4_roc.csv": list(figure_4_rows(study)),
        "figure_5_roc.csv": list(figure_5_rows(study)),
    }
    return {
        name: _to_csv(rows, is_simulated=study.is_simulated)
        for name, rows in tables.items()
        if rows
    }


def groups_of(study: Study) -> list[str]:
    """Every group that some run has, in the order of `COHORTS`, others last."""
    runs = study.metrics.runs.values() if study.metrics else ()
    groups = {name for run in runs for name in run.cohorts}
    return list(in_order(dict.fromkeys(sorted(groups)), COHORTS))


def in_order(content: Mapping[str, V], heads: Iterable[str]) -> dict[str, V]:
    """The same content with its keys in the order of `heads`, unknown ones last."""
    known = {name: content[name] for name in heads if name in content}
    return known | dict(content)


def _flow_rows(study: Study) -> Iterable[Row]:
    """Rows received, left out by reason, included."""
    if study.flow is None:
        return
    yield {"what": "rows in the table", "num_patients": study.flow.num_rows}
    for reason in study.flow.reasons:
        yield {"what": f"left out: {reason.reason}", "num_patients": reason.num_patients}
    yield {"what": "included", "num_patients": study.flow.num_included}
    for focality, counts in in_order(study.flow.counts, FOCALITY.words).items():
        yield {"what": f"{focality}, pcr", "num_patients": counts.pcr}
        yield {"what": f"{focality}, residual", "num_patients": counts.residual}


def _split_rows(study: Study) -> Iterable[Row]:
    """Patients per part of the split."""
    groups = study.split.counts if study.split is not None else {}
    for part, counts in in_order(groups, COHORTS).items():
        residual = counts.num_patients - counts.num_pcr
        yield {"part": part, **counts.model_dump(), "num_residual": residual}


def _metric_rows(study: Study) -> Iterable[Row]:
    """One row per run and group: counts, estimates with ends, threshold."""
    for group, run, record in _records(study):
        numbers = record.cohorts[group]
        row: dict[str, object] = {
            "cohort": group,
            "run": run,
            "num_patients": numbers.num_patients,
            "num_pcr": numbers.num_pcr,
            "threshold": record.threshold,
            **numbers.counts.model_dump(),
        }
        for name in ("auc", *RATES, *FURTHER):
            row |= spread(name, getattr(numbers, name))
        yield row


def _comparison_rows(study: Study) -> Iterable[Row]:
    """One row per comparison."""
    for comparison in study.metrics.comparisons if study.metrics else ():
        yield {
            "cohort": comparison.cohort,
            "run": comparison.run,
            "against": comparison.against,
            "num_patients": comparison.difference.num_patients,
            **spread("difference", comparison.difference),
            "p_value": comparison.p_value,
            "p_adjusted": comparison.p_adjusted,
            **_mcnemar(comparison.mcnemar),
        }


def _mcnemar(test: McNemar | None) -> dict[str, object]:
    """McNemar's test over several columns."""
    names = ("num_only_first_right", "num_only_second_right", "p_value", "method")
    return {f"mcnemar_{name}": getattr(test, name, None) for name in names}


def _limit_rows(study: Study) -> Iterable[Row]:
    """One row per run and test cohort of a phantom: what was reached, and the best possible."""
    for limit in study.metrics.limits if study.metrics else ():
        yield {
            **{name: getattr(limit, name) for name in ("cohort", "run", "inputs", "num_patients")},
            **spread("reached", limit.reached),
            **spread("best", limit.best),
            **spread("gap", limit.gap),
        }


def _roc_rows(study: Study) -> Iterable[Row]:
    """One row per point of a ROC curve."""
    for group, run, record in _records(study):
        curve = record.cohorts[group].roc
        points = zip(curve.false_positive_rate, curve.true_positive_rate, strict=True)
        for false, true in points:
            rates = {"false_positive_rate": false, "true_positive_rate": true}
            yield {"cohort": group, "run": run, **rates}


def _records(study: Study) -> Iterable[tuple[str, str, RunMetrics]]:
    """Group, run and what `metrics.json` says about the run, for each group that a run has."""
    if study.metrics is None:
        return
    for group in groups_of(study):
        for run in study.named():
            record = study.metrics.runs[run]
            if group in record.cohorts:
                yield group, run, record


def _to_csv(rows: Sequence[Row], *, is_simulated: bool) -> str:
    """Rows as CSV; a missing number is empty, every other one has all its digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*rows[0], "data"])
    mark = SIMULATED if is_simulated else "patients"
    for row in rows:
        values = ("" if value is None else value for value in row.values())
        writer.writerow([*(repr(v) if isinstance(v, float) else v for v in values), mark])
    return text.getvalue()
