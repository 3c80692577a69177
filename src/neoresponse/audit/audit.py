"""Tables -> every contradiction in them, in the order of the tables; and the list in words."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, groupby

from neoresponse.audit.across import highest, printed_twice, totals_add_up
from neoresponse.audit.groups import audit_effect, audit_levels, p_of_means
from neoresponse.audit.intervals import audit_intervals, audit_number
from neoresponse.audit.rates import audit_rates, matches_of, one_cohort
from neoresponse.audit.tables import Tables
from neoresponse.contracts.metrics import Contradiction


def audit(tables: Tables) -> tuple[Contradiction, ...]:
    """Hold every printed number against every other that bears on it.

    Args:
        tables: from `read_tables`, `tables_of_json` or `tables_of_metrics`.

    Returns:
        The contradictions, grouped by table. None means that the numbers can all be true together
        as far as the rules see, not that they are.
    """
    matches = [matches_of(row) for row in tables.rates]
    found = chain(
        totals_add_up(tables.sums),
        *(audit_levels(row) for row in tables.levels),
        *(p_of_means(row) for row in tables.means),
        *(audit_effect(row) for row in tables.effects),
        *(audit_number(row) for row in tables.numbers),
        *(
            (*audit_rates(row, match), *audit_intervals(row, match))
            for row, match in zip(tables.rates, matches, strict=True)
        ),
        one_cohort(tables.rates, matches),
        printed_twice(tables.rates),
        highest(tables.highest, tables.rates),
    )
    kept = list(found)
    order = {name: place for place, name in enumerate(dict.fromkeys(c.table for c in kept))}
    return tuple(sorted(kept, key=lambda contradiction: order[contradiction.table]))


def as_text(found: Sequence[Contradiction]) -> str:
    """One line per contradiction under its table, and a count per rule at the end."""
    if not found:
        return "No contradiction found: these numbers can all be true together."
    lines = []
    for table, members in groupby(found, key=lambda contradiction: contradiction.table):
        lines.append(table)
        lines += [f"  [{one.rule}] {one.sentence}" for one in members]
        lines.append("")
    rules = ", ".join(
        f"{number} {rule}" for rule, number in Counter(c.rule for c in found).most_common()
    )
    return "\n".join([*lines, f"{len(found)} contradictions: {rules}."])
