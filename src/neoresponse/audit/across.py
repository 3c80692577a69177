"""What stands in several places: totals, rows printed twice, and who is said to be best.

In: `Sum`s, `RateRow`s, `Highest` claims. Out: `Contradiction`s.
"""

import itertools
from collections.abc import Iterator, Sequence

from neoresponse.audit.tables import Highest, Printed, RateRow, Sum
from neoresponse.contracts.metrics import Contradiction


def totals_add_up(sums: Sequence[Sum]) -> Iterator[Contradiction]:
    """Rule `sum`: parts make up their total."""
    for row in sums:
        made = sum(row.parts.values())
        if made != row.total:
            parts = " + ".join(f"{name} {number}" for name, number in row.parts.items())
            yield Contradiction(
                table=row.table,
                row=row.row,
                column=row.column,
                rule="sum",
                printed=str(row.total),
                possible=f"{parts} = {made}",
                sentence=f"{row.table}, {row.row}: {row.column} {row.total} is printed, but "
                f"{parts} = {made}.",
            )


def printed_twice(rows: Sequence[RateRow]) -> Iterator[Contradiction]:
    """Rule `printed twice`: one model in one cohort has one value, wherever it is printed."""
    for first, second in itertools.combinations(rows, 2):
        if not _is_same(first, second) or first.table == second.table:
            continue
        for name in first.rates:
            if name in second.rates:
                yield from _compare(first, second, name)


def highest(claims: Sequence[Highest], rows: Sequence[RateRow]) -> Iterator[Contradiction]:
    """Rule `highest`: what is said to be the highest of a table is not exceeded there."""
    for claim in claims:
        there = [row for row in rows if (row.table, row.cohort) == (claim.table, claim.cohort)]
        named = [row for row in there if row.model == claim.model]
        for column, best, other in itertools.product(claim.columns, named, there):
            if column not in best.rates or column not in other.rates:
                continue
            own, rival = best.rates[column].value, other.rates[column].value
            if rival.span.low > own.span.high:
                yield Contradiction(
                    table=claim.table,
                    row=best.row,
                    column=column,
                    rule="highest",
                    printed=f"{column} {own}, said to be the highest",
                    possible=f"{other.model}: {rival}",
                    sentence=f"{claim.table}, {best.row}: {column} {own} is said to be the "
                    f"highest, but {other.model} has {rival}.",
                )


def _is_same(first: RateRow, second: RateRow) -> bool:
    """Whether two rows are of one model in one cohort, by their names."""
    return (first.cohort, first.model.casefold()) == (second.cohort, second.model.casefold())


def _compare(first: RateRow, second: RateRow, name: str) -> Iterator[Contradiction]:
    """Value and limits of one column, printed in two places."""
    one, two = first.rates[name], second.rates[name]
    ends: list[tuple[Printed | None, Printed | None]] = [
        (one.value, two.value),
        (one.low, two.low),
        (one.high, two.high),
    ]
    if any(a is not None and b is not None and not a.span.meets(b.span) for a, b in ends):
        yield Contradiction(
            table=second.table,
            row=second.row,
            column=name,
            rule="printed twice",
            printed=f"{name} {two}",
            possible=f"{first.table}: {one}",
            sentence=f"{second.row}: {name} is {one} in {first.table} and {two} in {second.table}.",
        )
