"""Rows of rates: can one confusion matrix, and one ROC curve, give them?

In: `RateRow`s. Out: `Contradiction`s. A rule looks at what is printed alone and takes every number
as the span that rounds to it.
"""

import math
from collections.abc import Iterator, Sequence
from functools import reduce

from neoresponse.audit.tables import RateRow
from neoresponse.contracts.metrics import Contradiction
from neoresponse.stats.consistency import (
    Matches,
    Span,
    auc_bounds,
    match_matrices,
    predictive_values,
    weighted_accuracy,
)

ANY = Span(0.0, 1.0)
DENOMINATOR = {
    "ACC": "patients",
    "AUC": "pairs, in halves",
    "SENS": "patients with pCR",
    "SPEC": "patients without pCR",
    "PPV": "patients called pCR",
    "NPV": "patients called residual",
}


def matches_of(row: RateRow) -> Matches | None:
    """What confusion matrices of the row's patients can give; None where n is not known."""
    if row.num_patients is None or not row.rates or not row.nums_pcr:
        return None
    spans = {name: rate.value.span for name, rate in row.rates.items()}
    return match_matrices(spans, num_patients=row.num_patients, nums_pcr=row.nums_pcr)


def audit_rates(row: RateRow, matches: Matches | None) -> list[Contradiction]:
    """All rules for one row, each contradiction once, in the words of the simplest rule."""
    found = [
        *outside_unit(row),
        *accuracy_between(row),
        *accuracy_weighted(row),
        *bayes(row),
        *auc_of_one_point(row),
        *whole_patients(row, matches),
        *counts_give_rates(row),
    ]
    return found or list(one_matrix(row, matches))


def outside_unit(row: RateRow) -> Iterator[Contradiction]:
    """Rule `0 to 1`: a rate lies from 0 to 1."""
    for name, rate in row.rates.items():
        if not rate.value.span.meets(ANY):
            yield _contradiction(row, (name,), "0 to 1", "0 to 1", "A rate lies from 0 to 1.")


def accuracy_between(row: RateRow) -> Iterator[Contradiction]:
    """Rule `ACC between`: accuracy lies between sensitivity and specificity.

    It is their mean, weighted by prevalence, whatever the prevalence.
    """
    if spans := _spans(row, "ACC", "SENS", "SPEC"):
        accuracy, sensitivity, specificity = spans
        allowed = weighted_accuracy(sensitivity, specificity, ANY)
        if not accuracy.meets(allowed):
            yield _contradiction(
                row,
                ("ACC", "SENS", "SPEC"),
                "ACC between",
                f"ACC {_text(allowed)}",
                "Accuracy is the mean of sensitivity and specificity, weighted by prevalence; it "
                "cannot lie outside both.",
            )


def accuracy_weighted(row: RateRow) -> Iterator[Contradiction]:
    """Rule `ACC weighted`: the same at the stated prevalence; silent where `ACC between` speaks."""
    spans = _spans(row, "ACC", "SENS", "SPEC")
    if not spans or row.prevalence is None or any(accuracy_between(row)):
        return
    accuracy, sensitivity, specificity = spans
    allowed = weighted_accuracy(sensitivity, specificity, row.prevalence)
    if not accuracy.meets(allowed):
        yield _contradiction(
            row,
            ("ACC", "SENS", "SPEC"),
            "ACC weighted",
            f"ACC {_text(allowed)}",
            f"With a share of pCR of {_text(row.prevalence)}, sensitivity and specificity give "
            "another accuracy.",
        )


def bayes(row: RateRow) -> Iterator[Contradiction]:
    """Rule `Bayes`: PPV and NPV follow from sensitivity, specificity and prevalence."""
    spans = _spans(row, "SENS", "SPEC")
    if not spans or row.prevalence is None:
        return
    for name, allowed in zip(
        ("PPV", "NPV"), predictive_values(spans[0], spans[1], row.prevalence), strict=True
    ):
        if (given := _spans(row, name)) and not given[0].meets(allowed):
            yield _contradiction(
                row,
                ("SENS", "SPEC", name),
                "Bayes",
                f"{name} {_text(allowed)}",
                f"With a share of pCR of {_text(row.prevalence)}, sensitivity and specificity give "
                f"another {name}.",
            )


def auc_of_one_point(row: RateRow) -> Iterator[Contradiction]:
    """Rule `AUC of a point`: a ROC curve through (1 - SPEC, SENS) bounds its area on both sides."""
    if spans := _spans(row, "AUC", "SENS", "SPEC"):
        area, sensitivity, specificity = spans
        allowed = auc_bounds(sensitivity, specificity)
        if not area.meets(allowed):
            yield _contradiction(
                row,
                ("AUC", "SENS", "SPEC"),
                "AUC of a point",
                f"AUC {_text(allowed)}",
                "A ROC curve only rises: through this sensitivity and specificity its area is at "
                "least SENS x SPEC and at most 1 - (1 - SENS)(1 - SPEC).",
            )


def whole_patients(row: RateRow, matches: Matches | None) -> Iterator[Contradiction]:
    """Rule `whole patients`: each rate is a whole number of patients out of a whole number."""
    for columns in matches.impossible if matches else ():
        if len(columns) == 1 and row.rates[columns[0]].value.span.meets(ANY):
            name = columns[0]
            yield _contradiction(
                row,
                columns,
                "whole patients",
                _neighbours(row, name),
                f"No whole number of {DENOMINATOR[name]} gives this {name} among "
                f"{row.num_patients} patients{_with_pcr(row)}.",
            )


def one_matrix(row: RateRow, matches: Matches | None) -> Iterator[Contradiction]:
    """Rule `one matrix`: all rates come from one confusion matrix and one order of the patients.

    Every matrix is tried. The smallest set of columns that none gives is named.
    """
    joint = [columns for columns in matches.impossible if len(columns) > 1] if matches else []
    if joint:
        yield _contradiction(
            row,
            joint[0],
            "one matrix",
            f"any {len(joint[0]) - 1} of these {len(joint[0])} columns",
            f"No confusion matrix of {row.num_patients} patients{_with_pcr(row)} gives these "
            "columns together.",
        )


def counts_give_rates(row: RateRow) -> Iterator[Contradiction]:
    """Rule `counts`: the printed matrix has n patients and the stated number with pCR."""
    if row.counts is None:
        return
    stated: dict[str, tuple[Sequence[int | None], int]] = {
        "n": ([row.num_patients], row.counts.num_patients),
        "pCR": (list(row.nums_pcr), row.counts.tp + row.counts.fn),
    }
    for name, (allowed, counted) in stated.items():
        if row.num_patients is not None and allowed and counted not in allowed:
            yield Contradiction(
                table=row.table,
                row=row.row,
                column=name,
                rule="counts",
                printed=f"tp {row.counts.tp}, fp {row.counts.fp}, fn {row.counts.fn}, "
                f"tn {row.counts.tn}",
                possible=f"{name} {_numbers(allowed)}",
                sentence=f"{row.table}, {row.row}: the four counts make {name} {counted}, but "
                f"{_numbers(allowed)} is stated.",
            )


def one_cohort(rows: Sequence[RateRow], matches: Sequence[Matches | None]) -> list[Contradiction]:
    """Rule `one cohort`: models of one cohort saw the same number of patients with pCR.

    Rows that no number makes possible are left out; their own rules speak.
    """
    found = []
    for cohort in dict.fromkeys(row.cohort for row in rows):
        able = [
            (row, set(match.nums_pcr))
            for row, match in zip(rows, matches, strict=True)
            if row.cohort == cohort and match and match.nums_pcr
        ]
        sizes = {row.num_patients for row, _ in able}
        if len(sizes) == 1 and not reduce(set.intersection, [nums for _, nums in able]):
            names = ", ".join(f"{row.table} {row.model}" for row, _ in able)
            printed = "; ".join(f"{row.model}: {_numbers(sorted(nums))}" for row, nums in able)
            found.append(
                Contradiction(
                    table=able[0][0].table,
                    row=cohort,
                    column="pCR",
                    rule="one cohort",
                    printed=printed,
                    possible="one number of pCR patients for all models",
                    sentence=f"{cohort}: {names} need different numbers of pCR patients, but they "
                    "are the same patients.",
                )
            )
    return found


def _contradiction(
    row: RateRow, columns: tuple[str, ...], rule: str, possible: str, why: str
) -> Contradiction:
    """Name the columns as printed, say what could be and why."""
    printed = ", ".join(f"{name} {row.rates[name].value}" for name in columns)
    sentence = f"{row.table}, {row.row}: {printed}; possible: {possible}. {why}"
    return Contradiction(
        table=row.table,
        row=row.row,
        column=", ".join(columns),
        rule=rule,
        printed=printed,
        possible=possible,
        sentence=sentence,
    )


def _spans(row: RateRow, *names: str) -> list[Span]:
    """Spans of these columns, all or none; a rate outside 0 to 1 counts as not printed."""
    spans = [row.rates[name].value.span for name in names if name in row.rates]
    inside = [Span(max(s.low, 0.0), min(s.high, 1.0)) for s in spans if s.meets(ANY)]
    return inside if len(inside) == len(names) else []


def _neighbours(row: RateRow, name: str) -> str:
    """The two shares of whole patients around a rate."""
    assert row.num_patients is not None
    span, nums = row.rates[name].value.span, row.nums_pcr
    out_of: Sequence[int] = {
        "ACC": [row.num_patients],
        "AUC": [2 * num * (row.num_patients - num) for num in nums],
        "SENS": list(nums),
        "SPEC": [row.num_patients - num for num in nums],
    }.get(name, range(1, row.num_patients + 1))
    below = max((math.floor(span.low * n) / n, math.floor(span.low * n), n) for n in out_of)
    above = min((math.ceil(span.high * n) / n, math.ceil(span.high * n), n) for n in out_of)
    return " or ".join(f"{k}/{n} = {share:.4f}" for share, k, n in (below, above))


def _with_pcr(row: RateRow) -> str:
    """In words: how many have pCR, where that is known."""
    if len(row.nums_pcr) == 1:
        return f", {row.nums_pcr[0]} of them with pCR"
    return f", whether {row.nums_pcr[0]} or up to {row.nums_pcr[-1]} of them have pCR"


def _numbers(values: Sequence[int | None]) -> str:
    """A few whole numbers, or their ends."""
    if len(values) > 4:
        return f"{values[0]} to {values[-1]}"
    return " or ".join(str(value) for value in values)


def _text(span: Span) -> str:
    """A span in four digits; one number where both ends print alike."""
    low, high = f"{span.low:.4f}", f"{span.high:.4f}"
    return low if low == high else f"{low} to {high}"
