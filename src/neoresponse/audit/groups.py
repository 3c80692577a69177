"""Tables that compare two groups, and tables of effects: percentages, totals, P values, intervals.

In: `LevelsRow`s, `MeansRow`s, `EffectRow`s. Out: `Contradiction`s.
"""

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri

from neoresponse.audit.tables import (
    EffectRow,
    Level,
    LevelsRow,
    MeansRow,
    Printed,
)
from neoresponse.contracts.metrics import Contradiction
from neoresponse.stats.consistency import ROUND_OFF, Span
from neoresponse.stats.recompute import (
    MeanSpan,
    logarithm,
    p_span_of_estimate,
    p_span_of_means,
    p_values_of_counts,
)

GROUPS = ("pCR", "non-pCR")


def audit_levels(row: LevelsRow) -> list[Contradiction]:
    """All rules for a variable that is counted."""
    return [*levels_add_up(row), *percents_of_counts(row), *p_of_counts(row)]


def levels_add_up(row: LevelsRow) -> Iterator[Contradiction]:
    """Rule `sum`: the levels of a variable make up the group."""
    for group, total in enumerate(row.totals):
        counted = sum(level.counts[group] for level in row.levels)
        if total is not None and counted != total:
            parts = " + ".join(str(level.counts[group]) for level in row.levels)
            yield Contradiction(
                table=row.table,
                row=row.row,
                column=GROUPS[group],
                rule="sum",
                printed=f"{parts} = {counted}",
                possible=str(total),
                sentence=f"{row.table}, {row.row}: the levels make {counted} {GROUPS[group]} "
                f"patients, but the group has {total}.",
            )


def percents_of_counts(row: LevelsRow) -> Iterator[Contradiction]:
    """Rule `percent`: a percentage is its count out of the group, or out of the level.

    The column of a table is one or the other throughout, so a row is tried both ways.
    """
    wrong = [list(_wrong_percents(row, by_level=by_level)) for by_level in (False, True)]
    yield from min(wrong, key=len)


def p_of_counts(row: LevelsRow) -> Iterator[Contradiction]:
    """Rule `P of counts`: P is that of a chi-square test, corrected or not, or of Fisher's."""
    if row.p is None or row.test not in ("", "chi-square", "fisher"):
        return
    tests = p_values_of_counts(np.array([level.counts for level in row.levels]))
    has_exact = any("Fisher" in name for name in tests)
    if not has_exact and row.test != "chi-square":
        return  # nothing to test, or too many tables to count for Fisher's P
    if row.test:
        tests = {name: p for name, p in tests.items() if row.test in name.lower()}
    if not any(row.p.span.meets(Span(p, p)) for p in tests.values()):
        possible = ", ".join(f"{name} {_p_text(p)}" for name, p in tests.items())
        yield _wrong_p(row.table, row.row, row.p, possible, "the counts")


def p_of_means(row: MeansRow) -> Iterator[Contradiction]:
    """Rule `P of means`: P is that of Student's or Welch's t test.

    A rank test cannot be recomputed: say `test = "mann-whitney"` in the table, and P is not judged.
    """
    if row.test not in ("", "t", "student", "welch") or min(row.totals) < 2:
        return
    first, second = (
        MeanSpan(mean.span, Span(max(sd.span.low, 0.0), sd.span.high), total)
        for mean, sd, total in zip(row.means, row.sds, row.totals, strict=True)
    )
    allowed = p_span_of_means(first, second)
    if not row.p.span.meets(allowed):
        possible = f"t test {_p_text(allowed.low)} to {_p_text(allowed.high)}"
        yield _wrong_p(row.table, row.row, row.p, possible, "the means")


def audit_effect(row: EffectRow) -> list[Contradiction]:
    """All rules for an odds ratio or a difference with its interval."""
    broken = list(effect_inside(row))
    return broken or [*interval_symmetric(row), *p_of_interval(row)]


def effect_inside(row: EffectRow) -> Iterator[Contradiction]:
    """Rule `own interval`: the effect lies inside its interval, whose limits are in order."""
    low, high = row.effect.low, row.effect.high
    if low is None or high is None:
        return
    is_ordered = low.span.low <= high.span.high + ROUND_OFF
    if not is_ordered or not row.effect.value.span.meets(Span(low.span.low, high.span.high)):
        yield _wrong_effect(row, "own interval", f"{low} to {high}", "It lies outside.")


def interval_symmetric(row: EffectRow) -> Iterator[Contradiction]:
    """Rule `symmetric`: a Wald interval is symmetric, that of a ratio in its logarithm.

    A profile interval is not: say `interval = "profile"` in the table, and it is not judged.
    """
    if (spans := _comparable(row)) is None:
        return
    value, low, high = spans
    middle = Span((low.low + high.low) / 2, (low.high + high.high) / 2)
    if not value.meets(middle):
        ends = [math.exp(end) if row.is_ratio else end for end in middle]
        yield _wrong_effect(
            row,
            "symmetric",
            f"{ends[0]:.4g} to {ends[1]:.4g}",
            "A Wald interval has its value in the middle"
            + (", in logarithms." if row.is_ratio else "."),
        )


def p_of_interval(row: EffectRow) -> Iterator[Contradiction]:
    """Rule `P of interval`: interval and P come from one standard error."""
    if row.p is None or (spans := _comparable(row)) is None:
        return
    z = float(ndtri((1 + row.confidence) / 2))
    allowed = p_span_of_estimate(*spans, z=z)
    if not row.p.span.meets(allowed):
        possible = f"{_p_text(allowed.low)} to {_p_text(allowed.high)}"
        yield _wrong_p(row.table, row.row, row.p, possible, f"{row.effect}")


def _wrong_percents(row: LevelsRow, *, by_level: bool) -> Iterator[Contradiction]:
    """Percentages that are not those of their counts, taken one way."""
    for level in row.levels:
        for group, percent in enumerate(level.percents):
            whole = sum(level.counts) if by_level else _group_size(row, group)
            if percent is None or not whole:
                continue
            share = 100 * level.counts[group] / whole
            if not percent.span.meets(Span(share, share)):
                yield _wrong_percent(row, level, group, f"{share:.2f} ({whole} patients)")


def _group_size(row: LevelsRow, group: int) -> int:
    """Patients of a group: as printed, or those of all levels."""
    printed = row.totals[group]
    return sum(level.counts[group] for level in row.levels) if printed is None else printed


def _wrong_percent(row: LevelsRow, level: Level, group: int, possible: str) -> Contradiction:
    """A percentage that is not its count's."""
    printed = f"{level.counts[group]} ({level.percents[group]}%)"
    return Contradiction(
        table=row.table,
        row=f"{row.row}: {level.name}",
        column=GROUPS[group],
        rule="percent",
        printed=printed,
        possible=possible,
        sentence=f"{row.table}, {row.row}, {level.name}: {printed} among {GROUPS[group]}; the "
        f"count gives {possible}.",
    )


def _wrong_p(table: str, row: str, p: Printed, possible: str, source: str) -> Contradiction:
    """A P value that its source does not give."""
    rule = {"the counts": "P of counts", "the means": "P of means"}.get(source, "P of interval")
    return Contradiction(
        table=table,
        row=row,
        column="P",
        rule=rule,
        printed=f"P {p}",
        possible=possible,
        sentence=f"{table}, {row}: P {p} is printed; {source} give{'' if 'the' in source else 's'} "
        f"P {possible}.",
    )


def _wrong_effect(row: EffectRow, rule: str, possible: str, why: str) -> Contradiction:
    """An effect that does not fit its interval."""
    name = "ratio" if row.is_ratio else "difference"
    return Contradiction(
        table=row.table,
        row=row.row,
        column=name,
        rule=rule,
        printed=str(row.effect),
        possible=possible,
        sentence=f"{row.table}, {row.row}: {name} {row.effect}; possible: {possible}. {why}",
    )


def _comparable(row: EffectRow) -> tuple[Span, Span, Span] | None:
    """Value and limits on the scale where a Wald interval is symmetric; None: not judged."""
    low, high = row.effect.low, row.effect.high
    if low is None or high is None or row.interval not in ("", "wald"):
        return None
    spans = (row.effect.value.span, low.span, high.span)
    if not row.is_ratio:
        return spans
    logs = [logarithm(span) for span in spans]
    found = [span for span in logs if span is not None]
    return (found[0], found[1], found[2]) if len(found) == 3 else None


def _p_text(p: float) -> str:
    """P with three digits that count."""
    return f"{p:.3g}" if p >= 1e-4 else "<0.0001"
