"""Files -> `Tables`: a paper's tables as JSON, CSV or XLSX, or our own `metrics.json`.

A CSV or XLSX file is one table; its header says which of three kinds it is.

    cohort,model,n,num_pcr,acc,auc,auc_low,auc_high,sens,spec,ppv,npv,...    rates, one row a model
    variable,level,pcr,pcr_percent,non_pcr,non_pcr_percent,p                 two groups, counted
    row,or,or_low,or_high,p                                                  odds ratios
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from neoresponse.audit.cohorts import CohortSize, sizes, sizes_at
from neoresponse.audit.from_json import tables_of_json
from neoresponse.audit.from_metrics import tables_of_metrics
from neoresponse.audit.tables import (
    EffectRow,
    Level,
    LevelsRow,
    Printed,
    Rate,
    RateRow,
    Tables,
    read_number,
)
from neoresponse.cohort.table_file import TableFile, read_table_file
from neoresponse.contracts.metrics import Metrics
from neoresponse.contracts.record import record_of
from neoresponse.errors import TableError
from neoresponse.stats.consistency import COLUMNS
from neoresponse.stats.threshold import Confusion

EXAMPLE = Path(__file__).with_name("guo2024_tables.json")
"""The printed numbers of Guo et al. 2024, Tables 1 to 5."""
TABLE_ENDS = (".csv", ".tsv", ".txt", ".xlsx")
COUNTS = ("tp", "fp", "fn", "tn")
Fields = Mapping[str, str]


def read_tables(path: Path) -> Tables:
    """Read a JSON, CSV or XLSX file.

    Args:
        path: one table as CSV or XLSX; as JSON a paper's tables, or `metrics.json`.

    Raises:
        TableError: the file is missing, is neither, or holds something that is no number.
    """
    rows = _rows(read_table_file(path)) if path.suffix.lower() in TABLE_ENDS else None
    try:
        if rows is not None:
            return _tables_of_rows(path.stem, rows)
        return _tables_of_text(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(
            f"{path}: expected a text file, got {error}. Name a .json, .csv or .xlsx file."
        ) from None
    except TableError as error:
        raise TableError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TableError(
            f"{path}: expected tables as in the manual, got {type(error).__name__} {error}. "
            "See 'How to audit a table'."
        ) from None


def _tables_of_text(text: str) -> Tables:
    """JSON, with its decimals kept."""
    content = json.loads(text, parse_float=Decimal)
    if not isinstance(content, dict):
        raise TableError(f"tables: expected an object, got {type(content).__name__}. Name each.")
    if content.get("schema") == Metrics.SCHEMA:
        return tables_of_metrics(record_of(json.loads(text), Metrics, where="metrics"))
    return tables_of_json(content)


def _rows(read: TableFile) -> dict[int, Fields]:
    """Row number -> cells, by column in small letters."""
    return {
        int(row): {str(name).lower(): str(text) for name, text in cells.items()}
        for row, cells in zip(read.cells.index, read.cells.to_dict("records"), strict=True)
    }


def _tables_of_rows(name: str, numbered: Mapping[int, Fields]) -> Tables:
    """One table; its header tells which."""
    rows = list(numbered.values())
    columns = set(rows[0]) if rows else set()
    if {"variable", "level", "pcr", "non_pcr"} <= columns:
        return Tables(levels=tuple(_levels_rows(name, rows)))
    if {"or", "or_low", "or_high"} <= columns:
        return Tables(effects=tuple(_effect_row(name, row) for row in rows if row["or_low"]))
    if columns & {column.lower() for column in COLUMNS}:
        return Tables(rates=tuple(_rate_row(name, row, line) for line, row in numbered.items()))
    raise TableError(
        f"header: expected columns such as {', '.join(COLUMNS).lower()}, got {sorted(columns)}. "
        "See 'How to audit a table'."
    )


def _rate_row(name: str, row: Fields, line: int) -> RateRow:
    """One model in one cohort."""
    where = f"line {line}"
    size = _size(row, where)
    counts = [row.get(key, "") for key in COUNTS]
    return RateRow(
        table=name,
        cohort=row.get("cohort", ""),
        model=row.get("model", "") or where,
        rates={column: rate for column in COLUMNS if (rate := _rate(row, column.lower(), where))},
        num_patients=size.num_patients,
        nums_pcr=size.nums_pcr,
        prevalence=size.prevalence,
        counts=Confusion(*(int(count) for count in counts)) if all(counts) else None,
        confidence=float(row.get("confidence", "") or 0.95),
    )


def _size(row: Fields, where: str) -> CohortSize:
    """Patients, and those with pCR, from whatever is given."""
    num_patients = int(row["n"]) if row.get("n") else None
    if row.get("num_pcr"):
        return sizes(num_patients, int(row["num_pcr"]))
    if row.get("prevalence"):
        return sizes_at(num_patients, read_number(row["prevalence"], where=where).span)
    return sizes(num_patients, None)


def _rate(row: Fields, column: str, where: str) -> Rate | None:
    """A value with its limits, where they are given."""
    value, low, high = (
        _optional(row.get(key, ""), f"{where}, {key}")
        for key in (column, f"{column}_low", f"{column}_high")
    )
    return None if value is None else Rate(value, low, high)


def _levels_rows(name: str, rows: Sequence[Fields]) -> list[LevelsRow]:
    """Variables with their levels; P stands on one row of each."""
    found = []
    for variable, members in groupby(rows, key=lambda row: row["variable"]):
        levels, ps, tests = [], [], []
        for row in members:
            where = f"{variable}, {row['level']}"
            percents = [
                _optional(row.get(f"{group}_percent", "").rstrip("%"), where)
                for group in ("pcr", "non_pcr")
            ]
            counts = (int(row["pcr"]), int(row["non_pcr"]))
            levels.append(Level(row["level"], counts, (percents[0], percents[1])))
            ps += [p for p in [_optional(row.get("p", ""), where)] if p]
            tests += [row["test"]] if row.get("test") else []
        found.append(
            LevelsRow(
                table=name,
                row=variable,
                levels=tuple(levels),
                p=ps[0] if ps else None,
                test=tests[0] if tests else "",
            )
        )
    return found


def _effect_row(name: str, row: Fields) -> EffectRow:
    """An odds ratio with its interval."""
    label = row.get("row", "") or row["or"]
    return EffectRow(
        table=name,
        row=label,
        effect=Rate(*(read_number(row[key], where=label) for key in ("or", "or_low", "or_high"))),
        p=_optional(row.get("p", ""), label),
        interval=row.get("interval", ""),
        confidence=float(row.get("confidence", "") or 0.95),
    )


def _optional(text: str, where: str) -> Printed | None:
    """A number, or None where the field is empty."""
    return read_number(text, where=where) if text else None
