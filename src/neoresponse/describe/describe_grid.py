"""A `GroupTable` as rows of text."""

from neoresponse.describe.describe import (
    ALL,
    DescribedVariable,
    GroupSummary,
    GroupTable,
)
from neoresponse.describe.grid import (
    NONE,
    Grid,
    decimals_for,
    interval_text,
    number_text,
    p_text,
    percent_text,
)

SHOWN = {"mean": "mean (SD)", "median": "median [quartiles]", "count": "n (%)"}


def grid_of_groups(table: GroupTable) -> Grid:
    """One line per variable, one per level, one for the missing where there are any."""
    groups = [f"{name} (n={size})" for name, size in table.sizes.items()]
    compared = [name for name in table.sizes if name not in (ALL, table.reference)]
    differences = [f"SMD {name} - {table.reference} (95% CI)" for name in compared]
    rows = [row for one in table.variables for row in _rows(one, compared)]
    notes = [
        f"P compares {' / '.join(table.compared)}. Percentages are of the patients "
        "with a known value. SMD: standardised mean difference; for levels, over all levels.",
        *_remarks(table),
        *table.notes,
    ]
    return Grid(
        title=f"{table.title}: {table.cohort}",
        header=("variable", *groups, "P", "test", *differences),
        rows=tuple(rows),
        notes=tuple(notes),
        is_simulated=table.is_simulated,
    )


def _rows(one: DescribedVariable, compared: list[str]) -> list[tuple[str, ...]]:
    """The lines of one variable."""
    tail = (
        p_text(one.test.p_value),
        one.test.method if one.test.p_value is not None else NONE,
        *(interval_text(one.differences[name]) for name in compared),
    )
    blank = ("",) * len(tail)
    name = f"{one.name}, {SHOWN[one.shown_as]}"
    groups = list(one.groups.values())
    if one.levels:
        rows = [(name, *("" for _ in groups), *tail)]
        for place, level in enumerate(one.levels):
            cells = (percent_text(group.counts[place], group.num_known) for group in groups)
            rows.append((f"  {level}", *cells, *blank))
    else:
        decimals = decimals_for(groups[0].sd)
        rows = [(name, *(_number_cell(group, one, decimals) for group in groups), *tail)]
    if any(group.num_missing for group in groups):
        cells = (
            percent_text(group.num_missing, group.num_known + group.num_missing) for group in groups
        )
        rows.append(("  missing", *cells, *blank))
    return rows


def _number_cell(group: GroupSummary, one: DescribedVariable, decimals: int) -> str:
    """Mean (SD) or median [quartiles] of one group."""
    if one.shown_as == "mean":
        return f"{number_text(group.mean, decimals)} ({number_text(group.sd, decimals)})"
    low, high = group.quartiles or (None, None)
    ends = f"{number_text(low, decimals)}, {number_text(high, decimals)}"
    return f"{number_text(group.median, decimals)} [{ends}]"


def _remarks(table: GroupTable) -> list[str]:
    """What tests say besides their P."""
    return [f"{one.name}: {one.test.note}." for one in table.variables if one.test.note]
