"""Our own `metrics.json` -> `Tables`, so that every report is audited like a paper."""

from collections.abc import Iterable, Iterator, Mapping

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
from neoresponse.contracts.metrics import (
    FlatEstimate,
    GroupMetrics,
    Metrics,
)
from neoresponse.contracts.record import Record
from neoresponse.stats.consistency import ROUND_OFF, Span
from neoresponse.stats.measures import count_measures
from neoresponse.stats.threshold import Confusion
from neoresponse.types import Estimate

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
AnyEstimate = Estimate | FlatEstimate


def tables_of_metrics(metrics: Metrics) -> Tables:
    """Every run in every group, every comparison by DeLong, and every other estimate.

    Args:
        metrics: nothing is rounded there, so nothing may differ but the last digits of
            floating-point numbers.
    """
    groups = [
        (run, cohort, group)
        for run, content in metrics.runs.items()
        for cohort, group in content.cohorts.items()
    ]
    return Tables(
        rates=tuple(
            _rate_row(run, cohort, group, confidence=metrics.confidence)
            for run, cohort, group in groups
        ),
        effects=tuple(_effect_rows(metrics)),
        sums=tuple(_sum(run, cohort, group) for run, cohort, group in groups),
        numbers=tuple(_numbers(metrics)),
    )


def audited(metrics: Metrics) -> Metrics:
    """The same metrics with what the audit finds in them: nothing, unless we are wrong."""
    found = audit(tables_of_metrics(metrics))
    return metrics.model_copy(update={"contradictions": found})


def _rate_row(run: str, cohort: str, group: GroupMetrics, *, confidence: float) -> RateRow:
    """One run in one group of patients."""
    size = sizes(group.num_patients or None, group.num_pcr)
    has_both = 0 < group.num_pcr < group.num_patients
    rates = {name: getattr(group, key) for name, key in NAMES.items()}
    return RateRow(
        table=Metrics.FILE_NAME,
        cohort=cohort,
        model=run,
        rates={name: _rate(one) for name, one in rates.items() if one.value is not None},
        num_patients=size.num_patients,
        nums_pcr=size.nums_pcr if has_both else (),
        prevalence=size.prevalence,
        counts=Confusion(**group.counts.model_dump()),
        confidence=confidence,
        has_ties=len(group.roc.true_positive_rate) - 1 < group.num_patients,
    )


def _numbers(metrics: Metrics) -> Iterator[NumberRow]:
    """Every other estimate in the file, wherever it stands."""
    for run, content in metrics.runs.items():
        for cohort, group in content.cohorts.items():
            made = count_measures(Confusion(**group.counts.model_dump()))
            for path, estimate in _estimates(group):
                if path in NAMES.values():
                    continue
                value = made.get(path)
                yield NumberRow(
                    table=Metrics.FILE_NAME,
                    row=f"{cohort} / {run}",
                    column=path,
                    number=_rate(estimate),
                    allowed=BOUNDS.get(path.split(".")[-1], ANY)
                    if value is None
                    else Span(value, value),
                    why=f"{path} can only be this.",
                )
    parts = {
        "comparisons": metrics.comparisons,
        "subgroups": metrics.subgroups,
        "limits": metrics.limits,
    }
    for part, rows in parts.items():
        for place, row in enumerate(rows):
            for path, estimate in _estimates(row):
                name = f"{part}, row {place + 1}"
                bounds = BOUNDS.get(path.split(".")[-1], ANY)
                yield NumberRow(
                    Metrics.FILE_NAME, name, path, _rate(estimate), bounds, f"{path} has bounds."
                )


def _estimates(part: object, path: str = "") -> Iterator[tuple[str, AnyEstimate]]:
    """Every estimate that has a value, with the way to it."""
    if isinstance(part, AnyEstimate):
        if part.value is not None:
            yield path, part
        return
    if isinstance(part, Record):
        inner: Iterable[tuple[object, object]] = part  # its fields, by name
    elif isinstance(part, Mapping):
        inner = part.items()
    else:
        inner = enumerate(part) if isinstance(part, tuple) else ()
    for key, value in inner:
        yield from _estimates(value, f"{path}.{key}" if path else str(key))


def _effect_rows(metrics: Metrics) -> Iterator[EffectRow]:
    """Differences between AUCs with their interval and P."""
    for row in metrics.comparisons:
        if row.difference.value is None or row.difference.method != "paired DeLong":
            continue
        yield EffectRow(
            table=f"{Metrics.FILE_NAME}, comparisons",
            row=f"{row.cohort} / {row.run} against {row.against}",
            effect=_rate(row.difference),
            p=None if row.p_value is None else _exact(row.p_value),
            is_ratio=False,
            confidence=metrics.confidence,
        )


def _sum(run: str, cohort: str, group: GroupMetrics) -> Sum:
    """The four counts make up the patients."""
    counts = group.counts.model_dump()
    return Sum(Metrics.FILE_NAME, f"{cohort} / {run}", "num_patients", group.num_patients, counts)


def _rate(estimate: AnyEstimate) -> Rate:
    """An estimate as it stands; without an interval where it has none."""
    assert estimate.value is not None
    if estimate.low is None or estimate.high is None:
        return Rate(_exact(estimate.value))
    return Rate(_exact(estimate.value), _exact(estimate.low), _exact(estimate.high))


def _exact(value: float) -> Printed:
    """A number that is not rounded."""
    return Printed(f"{value:.6g}", Span(value - ROUND_OFF, value + ROUND_OFF))
