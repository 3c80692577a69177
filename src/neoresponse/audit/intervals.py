"""Intervals of rates: do they hold their value, lie within 0 and 1, and are they wide enough?

In: `RateRow`s. Out: `Contradiction`s.
"""

from collections.abc import Iterator

from scipy.special import ndtri

from neoresponse.audit.tables import NumberRow, Rate, RateRow
from neoresponse.contracts.metrics import Contradiction
from neoresponse.stats.consistency import (
    ROUND_OFF,
    Matches,
    Span,
    least_width_of_auc,
    least_width_of_share,
)

LEAST_SHARE = 0.7
"""An interval narrower than this share of the narrowest usual one is called too narrow."""


def audit_intervals(row: RateRow, matches: Matches | None) -> list[Contradiction]:
    """All rules for the intervals of one row."""
    found = []
    for name, rate in row.rates.items():
        if rate.low is None or rate.high is None:
            continue
        broken = [
            *value_inside(row, name, rate),
            *limits_in_order(row, name, rate),
        ]
        found += broken or list(wide_enough(row, name, rate, matches))
    return found


def audit_number(row: NumberRow) -> Iterator[Contradiction]:
    """Rules `allowed` and `own interval` for a number that is no rate."""
    number, where = row.number, f"{row.table}, {row.row}: {row.column} {row.number}"
    wrong = []
    if not number.value.span.meets(row.allowed):
        possible = f"{row.allowed.low:.6g} to {row.allowed.high:.6g}"
        wrong.append(("allowed", possible, row.why))
    if number.low is not None and number.high is not None:
        inside = Span(number.low.span.low, number.high.span.high)
        if not number.value.span.meets(inside):
            possible = f"{number.low} to {number.high}"
            wrong.append(("own interval", possible, "It lies outside its own interval."))
    for rule, possible, why in wrong:
        yield Contradiction(
            table=row.table,
            row=row.row,
            column=row.column,
            rule=rule,
            printed=str(number),
            possible=possible,
            sentence=f"{where}. {why}",
        )


def value_inside(row: RateRow, name: str, rate: Rate) -> Iterator[Contradiction]:
    """Rule `own interval`: a value lies inside its own interval."""
    assert rate.low is not None
    assert rate.high is not None
    if not rate.value.span.meets(Span(rate.low.span.low, rate.high.span.high)):
        possible = f"{rate.low} to {rate.high}"
        why = f"{name} lies outside its own interval."
        yield _contradiction(row, name, "own interval", possible, why)


def limits_in_order(row: RateRow, name: str, rate: Rate) -> Iterator[Contradiction]:
    """Rule `limits`: the lower limit is at least 0, the upper at most 1, the lower not above it."""
    assert rate.low is not None
    assert rate.high is not None
    low, high = rate.low.span, rate.high.span
    if low.high < -ROUND_OFF or high.low > 1 + ROUND_OFF or low.low > high.high + ROUND_OFF:
        why = "The limits of a rate lie in order within 0 and 1."
        yield _contradiction(row, name, "limits", "0 <= low <= high <= 1", why)


def wide_enough(
    row: RateRow, name: str, rate: Rate, matches: Matches | None
) -> Iterator[Contradiction]:
    """Rule `too narrow`: the interval is at least `LEAST_SHARE` of the narrowest usual one.

    For a proportion that is the narrower of Wald's and Wilson's at the largest denominator that the
    row allows; for an AUC the one with the least variance that so many patients can have.
    """
    assert rate.low is not None
    assert rate.high is not None
    least = _least_width(row, name, rate.value.span, matches)
    widest = rate.high.span.high - rate.low.span.low
    if least is not None and widest < LEAST_SHARE * least:
        yield _contradiction(
            row,
            name,
            "too narrow",
            f"width at least {LEAST_SHARE * least:.3f}",
            f"The interval is {widest:.3f} wide at most; {row.num_patients} patients allow no "
            f"usual {100 * row.confidence:g}% CI below {least:.3f}, and this is less than "
            f"{LEAST_SHARE:g} of it.",
        )


def _least_width(row: RateRow, name: str, value: Span, matches: Matches | None) -> float | None:
    """Width of the narrowest usual interval, or None where it is not known."""
    if row.num_patients is None or not row.nums_pcr:
        return None
    z = float(ndtri((1 + row.confidence) / 2))
    if name == "AUC":
        if row.has_ties:
            return None
        return min(
            least_width_of_auc(value, num, row.num_patients - num, z=z) for num in row.nums_pcr
        )
    return least_width_of_share(value, _most_patients(row, name, matches), z=z)


def _most_patients(row: RateRow, name: str, matches: Matches | None) -> int:
    """The largest denominator that a proportion may have."""
    assert row.num_patients is not None
    called = max(matches.most_called) if matches else 0
    if name in ("PPV", "NPV") and matches and called:
        return matches.most_called[0 if name == "PPV" else 1]
    return {
        "SENS": max(row.nums_pcr),
        "SPEC": row.num_patients - min(row.nums_pcr),
    }.get(name, row.num_patients)


def _contradiction(row: RateRow, name: str, rule: str, possible: str, why: str) -> Contradiction:
    """Say what is printed and why it cannot be."""
    printed = f"{name} {row.rates[name]}"
    sentence = f"{row.table}, {row.row}: {printed}. {why}"
    return Contradiction(
        table=row.table,
        row=row.row,
        column=name,
        rule=rule,
        printed=printed,
        possible=possible,
        sentence=sentence,
    )
