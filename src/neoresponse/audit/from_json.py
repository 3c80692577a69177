"""Tables of a paper, transcribed as JSON -> `Tables`; the shape is told by what stands in it.

    "cohorts": {"TC1": {"n": 51, "pCR": 14, "non_pCR": 37}, ...}
    "table 3": {"TC1": {"VGG16": {"ACC": {"est": 0.725, "lo": 0.665, "hi": 0.738}, ...}, ...}, ...}
    "table 1": {"n_pCR": 155, "n_non_pCR": 441, "rows": [...]}        counts or means of two groups
    "table 2": [{"row": "Ki-67", "or": 1.021, "ci_lo": 1.010, "ci_hi": 1.033, "p_printed": ...}]

A JSON number cannot be trusted with its zeros at the end, so the numbers of one table are read with
the most decimals found among them; a string stands for itself. The whole form is in the manual.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from neoresponse.audit.cohorts import CohortSize, cohort_sizes, find_cohort, sums_of_json
from neoresponse.audit.tables import (
    EffectRow,
    Highest,
    Level,
    LevelsRow,
    MeansRow,
    Printed,
    Rate,
    RateRow,
    Tables,
    read_number,
)
from neoresponse.errors import TableError
from neoresponse.stats.consistency import COLUMNS
from neoresponse.stats.threshold import Confusion

Content = Mapping[str, Any]
Number = str | int | float | Decimal
ORDERED_ROW = re.compile(rf"^(.+)_order(?:_in_text)?((?:_(?:{'|'.join(COLUMNS)}))+)$")
ONE_COLUMN = re.compile(rf"^(.+)_({'|'.join(COLUMNS)})$")


def tables_of_json(content: Content) -> Tables:
    """Sort what stands in a JSON file into rows of the audit.

    Args:
        content: the file, with numbers as text, `Decimal`, int or float.

    Raises:
        TableError: a number cannot be read, or nothing here can be audited.
    """
    sizes = cohort_sizes(content)
    rates: list[RateRow] = []
    levels: list[LevelsRow] = []
    means: list[MeansRow] = []
    effects: list[EffectRow] = []
    for name, table in content.items():
        if _is_rate_table(table):
            rates += _rate_rows(name, table, sizes)
        elif isinstance(table, Mapping) and isinstance(table.get("rows"), list):
            levels += [_levels_row(name, table, row) for row in table["rows"] if "levels" in row]
            means += [_means_row(name, table, row) for row in table["rows"] if _has_means(row)]
        elif isinstance(table, list) and any(isinstance(row, Mapping) for row in table):
            effects += _effect_rows(name, table)
    said = content.get("text_only", {})
    rates += [*_ordered_rows(said, rates, sizes), *_one_column_rows(said, sizes)]
    found = Tables(
        rates=tuple(rates),
        levels=tuple(levels),
        means=tuple(means),
        effects=tuple(effects),
        sums=tuple(sums_of_json(content)),
        highest=tuple(
            Highest(claim["table"], claim["cohort"], claim["model"], tuple(claim["columns"]))
            for claim in said.get("highest", ())
        ),
    )
    if found == Tables():
        raise TableError(
            "tables: expected rates by cohort and model, a list of odds ratios, or rows of two "
            "groups, got none. See the manual, 'How to audit a table'."
        )
    return found


def _is_rate_table(table: object) -> bool:
    """Whether this is cohort -> model -> column -> value."""
    if not isinstance(table, Mapping):
        return False
    blocks = [block for block in table.values() if isinstance(block, Mapping)]
    rows = [row for block in blocks for row in block.values() if isinstance(row, Mapping)]
    return any(set(row) & set(COLUMNS) for row in rows)


def _rate_rows(name: str, table: Content, sizes: Mapping[str, CohortSize]) -> Iterator[RateRow]:
    """Rows of one table of rates."""
    places = _decimals(_numbers_in(table))
    for cohort, block in table.items():
        if not isinstance(block, Mapping):
            continue
        own = cohort_sizes({"cohorts": {cohort: block}}).get(cohort)
        size = own or find_cohort(cohort, sizes)
        for model, row in block.items():
            if isinstance(row, Mapping) and set(row) & set(COLUMNS):
                yield _rate_row((name, cohort, model), row, size=size, places=places)


def _rate_row(
    place: tuple[str, str, str], row: Content, *, size: CohortSize, places: int
) -> RateRow:
    """One model in one cohort."""
    where = " / ".join(place)
    counts = row.get("counts")
    return RateRow(
        *place,
        rates={
            column: _rate(row[column], places=places, where=f"{where}, {column}")
            for column in COLUMNS
            if row.get(column) is not None
        },
        num_patients=size.num_patients,
        nums_pcr=size.nums_pcr,
        prevalence=size.prevalence,
        counts=None if counts is None else Confusion(**{k: int(v) for k, v in counts.items()}),
        confidence=float(row.get("confidence", 0.95)),
        has_ties=bool(row.get("has_ties", False)),
    )


def _rate(cell: object, *, places: int, where: str) -> Rate:
    """`{"est": .., "lo": .., "hi": ..}`, or a value alone."""
    if not isinstance(cell, Mapping):
        return Rate(_number(cell, places=places, where=where))
    ends = [
        None if cell.get(end) is None else _number(cell[end], places=places, where=where)
        for end in ("lo", "hi")
    ]
    return Rate(_number(cell["est"], places=places, where=where), ends[0], ends[1])


def _levels_row(name: str, table: Content, row: Content) -> LevelsRow:
    """A variable with its levels."""
    where = f"{name} / {row['variable']}"
    keys = ("pCR", "non_pCR")
    places = _decimals([level.get(f"{key}_pct") for level in table_levels(table) for key in keys])
    levels = []
    for level in row["levels"]:
        percents = [
            None
            if (given := level.get(f"{key}_pct")) is None
            else _number(given, places=places, where=f"{where}, {level['level']}")
            for key in keys
        ]
        counts = (int(level["pCR"]), int(level["non_pCR"]))
        levels.append(Level(str(level["level"]), counts, (percents[0], percents[1])))
    return LevelsRow(
        table=name,
        row=str(row["variable"]),
        levels=tuple(levels),
        totals=(table.get("n_pCR"), table.get("n_non_pCR")),
        p=_p_value(row, where=where),
        test=str(row.get("test", "")),
    )


def table_levels(table: Content) -> list[Content]:
    """All levels of all variables of a table of two groups."""
    return [level for row in table["rows"] for level in row.get("levels", ())]


def _has_means(row: Content) -> bool:
    """Whether mean, standard deviation and P of both groups are there."""
    groups = [row.get(key) for key in ("pCR", "non_pCR")]
    return row.get("p_printed") is not None and all(
        isinstance(group, Mapping) and {"mean", "sd"} <= set(group) for group in groups
    )


def _means_row(name: str, table: Content, row: Content) -> MeansRow:
    """A variable as mean and standard deviation."""
    where = f"{name} / {row['variable']}"
    groups = (row["pCR"], row["non_pCR"])
    places = _decimals([group[key] for group in groups for key in ("mean", "sd")])
    p = _p_value(row, where=where)
    assert p is not None
    means = [_number(group["mean"], places=places, where=where) for group in groups]
    sds = [_number(group["sd"], places=places, where=where) for group in groups]
    return MeansRow(
        table=name,
        row=str(row["variable"]),
        means=(means[0], means[1]),
        sds=(sds[0], sds[1]),
        totals=(int(table["n_pCR"]), int(table["n_non_pCR"])),
        p=p,
        test=str(row.get("test", "")),
    )


def _effect_rows(name: str, rows: Sequence[Content]) -> Iterator[EffectRow]:
    """Odds ratios with their intervals; a reference row has none."""
    ends = ("or", "ci_lo", "ci_hi")
    places = _decimals([row.get(key) for row in rows for key in ends])
    for row in rows:
        if any(row.get(key) is None for key in ends):
            continue
        label = ": ".join(str(row[key]) for key in ("block", "row") if row.get(key))
        where = f"{name} / {label}"
        value, low, high = (_number(row[key], places=places, where=where) for key in ends)
        yield EffectRow(
            table=name,
            row=label,
            effect=Rate(value, low, high),
            p=_p_value(row, where=where),
            interval=str(row.get("interval", "")),
            confidence=float(row.get("confidence", 0.95)),
        )


def _ordered_rows(
    said: Content, rows: Sequence[RateRow], sizes: Mapping[str, CohortSize]
) -> Iterator[RateRow]:
    """`<cohort>_<model>_order_ACC_SENS_...: [..]`: a row of rates in a text."""
    for key, values in said.items():
        if (match := ORDERED_ROW.match(key)) is None:
            continue
        cohort, model = _cohort_and_model(match[1], rows)
        columns = match[2].strip("_").split("_")
        yield _rate_row(
            ("text", cohort, model),
            dict(zip(columns, values, strict=True)),
            size=find_cohort(cohort, sizes),
            places=_decimals(values),
        )


def _one_column_rows(said: Content, sizes: Mapping[str, CohortSize]) -> Iterator[RateRow]:
    """`<cohort>_AUC: {model: {"est": .., ..}}`: one column of some models in a text."""
    for key, block in said.items():
        if (match := ONE_COLUMN.match(key)) is None or not isinstance(block, Mapping):
            continue
        models = {name: cell for name, cell in block.items() if isinstance(cell, Mapping)}
        places = _decimals(_numbers_in(models))
        for model, cell in models.items():
            place = ("text", match[1], model)
            size = find_cohort(match[1], sizes)
            yield _rate_row(place, {match[2]: cell}, size=size, places=places)


def _cohort_and_model(name: str, rows: Sequence[RateRow]) -> tuple[str, str]:
    """Split "val_multimodal" where a cohort of the tables begins so."""
    start, _, model = name.partition("_")
    cohorts = [row.cohort for row in rows if row.cohort.startswith(start)]
    return (cohorts[0] if cohorts else start), model


def _p_value(row: Content, *, where: str) -> Printed | None:
    """P as printed."""
    given = row.get("p_printed")
    return None if given is None else read_number(str(given), where=f"{where}, P")


def _number(value: object, *, places: int, where: str) -> Printed:
    """A string as it stands, a number with the decimals of its table."""
    if isinstance(value, str):
        return read_number(value, where=where)
    return read_number(str(value), decimals=places, where=where)


def _numbers_in(block: object) -> Iterator[object]:
    """All values that stand in nested objects."""
    if isinstance(block, Mapping):
        for key, inner in block.items():
            if key not in ("counts", "n", "pCR", "non_pCR", "confidence"):
                yield from _numbers_in(inner)
    else:
        yield block


def _decimals(values: Sequence[object] | Iterator[object]) -> int:
    """The most digits after the point among numbers that are not text."""
    exponents = [
        Decimal(str(value)).as_tuple().exponent
        for value in values
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    ]
    return max([0, *(-e for e in exponents if isinstance(e, int))])
