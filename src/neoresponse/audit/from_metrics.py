"""Our own `metrics.json` -> `Tables`, so that every report is audited like a paper."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from neoresponse.audit.audit import audit
from neoresponse.audit.cohorts import sizes
from neoresponse.audit.tables import (
    EffectRow,
    NumberRow,
    Printed,
    Rate,
    RateRow,
    Sum,
    Tables,
)
from neoresponse.stats.consistency import ROUND_OFF, Span
from neoresponse.stats.measures import count_measures
from neoresponse.stats.threshold import Confusion

Content = Mapping[str, Any]
NAMES = {
    "ACC": "accuracy",
    "AUC": "auc",
    "SENS": "sensitivity",
    "SPEC": "specificity",
    "PPV": "ppv",
    "NPV": "npv",
}

UNIT, ANY = Span(0.0, 1.0), Span(float("-inf"), float("inf"))
BOUNDS = {
    **dict.fromkeys(("average_precision", "f1", "brier", "ece", "reliability", "resolution"), UNIT),
    **dict.fromkeys(("observed", "auc", "ece_by_chance", "reached", "best"), UNIT),
    **dict.fromkeys(("mcc", "difference", "gap"), Span(-1.0, 1.0)),
    **dict.fromkeys(("true_positives_per_100", "false_positives_per_100"), Span(0.0, 100.0)),
}
"""Last word of the way to an estimate -> all that it can be; others have no bounds."""


def tables_of_metrics(metrics: Content) -> Tables:
    """Every run in every group, every comparison by DeLong, and every other estimate.

    Args:
        metrics: content of `metrics.json`, schema `neoresponse.metrics/2`. Nothing is rounded
            there, so nothing may differ but the last digits of floating-point numbers.
    """
    groups = [
        (run, cohort, group)
        for run, content in metrics["runs"].items()
        for cohort, group in content["cohorts"].items()
    ]
    return Tables(
        rates=tuple(
            _rate_row(run, cohort, group, confidence=metrics["confidence"])
            for run, cohort, group in groups
        ),
        effects=tuple(_effect_rows(metrics)),
        sums=tuple(_sum(run, cohort, group) for run, cohort, group in groups),
        numbers=tuple(_numbers(metrics)),
    )


def audited(metrics: dict[str, Any]) -> dict[str, Any]:
    """The same metrics with what the audit finds in them: nothing, unless we are wrong."""
    found = audit(tables_of_metrics(metrics))
    return metrics | {"contradictions": [asdict(one) for one in found]}


def _rate_row(run: str, cohort: str, group: Content, *, confidence: float) -> RateRow:
    """One run in one group of patients."""
    size = sizes(group["num_patients"] or None, group["num_pcr"])
    has_both = 0 < group["num_pcr"] < group["num_patients"]
    return RateRow(
        table="metrics.json",
        cohort=cohort,
        model=run,
        rates={
            name: _rate(group[key])
            for name, key in NAMES.items()
            if group[key]["value"] is not None
        },
        num_patients=size.num_patients,
        nums_pcr=size.nums_pcr if has_both else (),
        prevalence=size.prevalence,
        counts=Confusion(**group["counts"]),
        confidence=confidence,
        has_ties=len(group["roc"]["true_positive_rate"]) - 1 < group["num_patients"],
    )


def _numbers(metrics: Content) -> Iterator[NumberRow]:
    """Every other estimate in the file, wherever it stands."""
    for run, content in metrics["runs"].items():
        for cohort, group in content["cohorts"].items():
            made = count_measures(Confusion(**group["counts"]))
            for path, estimate in _estimates(group):
                if path in NAMES.values():
                    continue
                value = made.get(path)
                yield NumberRow(
                    table="metrics.json",
                    row=f"{cohort} / {run}",
                    column=path,
                    number=_rate(estimate),
                    allowed=BOUNDS.get(path.split(".")[-1], ANY)
                    if value is None
                    else Span(value, value),
                    why=f"{path} can only be this.",
                )
    for part in ("comparisons", "subgroups", "limits"):
        for place, row in enumerate(metrics.get(part, ())):
            for path, estimate in _estimates(row):
                name = f"{part}, row {place + 1}"
                bounds = BOUNDS.get(path.split(".")[-1], ANY)
                yield NumberRow(
                    "metrics.json", name, path, _rate(estimate), bounds, f"{path} has bounds."
                )


def _estimates(content: Any, path: str = "") -> Iterator[tuple[str, Content]]:  # noqa: ANN401
    """Every estimate that has a value, with the way to it."""
    if isinstance(content, Mapping):
        if content.get("value") is not None and "method" in content:
            yield path, content
        for key, part in content.items():
            yield from _estimates(part, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list):
        for place, part in enumerate(content):
            yield from _estimates(part, f"{path}.{place}")


def _effect_rows(metrics: Content) -> Iterator[EffectRow]:
    """Differences between AUCs with their interval and P."""
    for row in metrics["comparisons"]:
        difference = row["difference"]
        if difference["value"] is None or difference["method"] != "paired DeLong":
            continue
        yield EffectRow(
            table="metrics.json, comparisons",
            row=f"{row['cohort']} / {row['run']} against {row['against']}",
            effect=_rate(difference),
            p=None if row["p_value"] is None else _exact(row["p_value"]),
            is_ratio=False,
            confidence=metrics["confidence"],
        )


def _sum(run: str, cohort: str, group: Content) -> Sum:
    """The four counts make up the patients."""
    return Sum(
        "metrics.json", f"{cohort} / {run}", "num_patients", group["num_patients"], group["counts"]
    )


def _rate(estimate: Content) -> Rate:
    """An estimate as it stands; without an interval where it has none."""
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return Rate(_exact(estimate["value"]))
    return Rate(_exact(estimate["value"]), _exact(low), _exact(high))


def _exact(value: float) -> Printed:
    """A number that is not rounded."""
    return Printed(f"{value:.6g}", Span(value - ROUND_OFF, value + ROUND_OFF))
