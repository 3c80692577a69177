"""Any table of labels and probabilities (CSV or XLSX) -> arrays, and who was left out.

In: a file and the names of its columns; nothing else of ours needs to lie there. Out: a `Table`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neoresponse.cohort.doubts import id_doubts, in_rows, sentinels_among
from neoresponse.cohort.table_file import TableFile, read_table_file
from neoresponse.cohort.vocabulary import (
    ID_NAMES,
    is_missing,
    missing_words,
    read_outcome,
    read_share,
)
from neoresponse.errors import MAX_SHOWN, TableError
from neoresponse.types import FloatArray, IntArray

ROUNDING = 1e-6
"""A number so little outside 0 to 1 is a probability that was rounded on its way."""
TWO_SCALES, TWO_SCALES_OF_ONE = 2.0, 5.0
"""Smallest percent over largest share from which a column holds both; where there is one share."""
LEAST_PERCENT, MOST_PERCENT = 10.0, 100.0
MANY_REPEATS = 0.2
"""Share of rows that repeat another from which it is said."""
NUM_DIGITS = 6
"""Rows with fewer digits may be equal by chance."""


@dataclass(frozen=True)
class Meaning:
    """What the columns and values of a table mean, where it does not say so itself.

    Attributes:
        pcr: the value for pCR, or None for one of the usual words.
        missing: more words that say that nothing is known.
        patient: the column that says who a patient is; several rows of one are averaged.
    """

    pcr: str | None = None
    missing: tuple[str, ...] = ()
    patient: str | None = None


@dataclass(frozen=True)
class Table:
    """Patients of a table who have a label and every wanted number.

    Attributes:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        values: column -> its numbers, each of shape (patients,).
        num_rows: rows of the table.
        num_missing: column -> rows in which nothing is known there; a row may count in several.
        not_probability: column -> first row and number outside 0 to 1, of columns that have one.
        notes: how the table was read, and what a person should look at.
        num_averaged: rows that were averaged with another row of their patient.
    """

    label: IntArray
    values: dict[str, FloatArray]
    num_rows: int
    num_missing: dict[str, int]
    not_probability: dict[str, tuple[int, float]]
    notes: tuple[str, ...] = ()
    num_averaged: int = 0

    @property
    def num_left_out(self) -> int:
        """Rows that lack a label or a number."""
        return self.num_rows - self.num_averaged - len(self.label)


Numbers = dict[int, float]
"""Row number -> number, of rows in which it is known."""


def read_label_table(
    path: Path, *, label: str, columns: Sequence[str], meaning: Meaning | None = None
) -> Table:
    """Read the labels and one or more columns of probabilities.

    Args:
        path: CSV or XLSX.
        label: the column of labels.
        columns: columns of probabilities, or of scores that rise with them.
        meaning: what the table does not say itself.

    Raises:
        TableError: the file cannot be read, a column is not there, a cell is neither a label nor a
            number, a column has two scales, a patient stands there twice, or nobody is left.
    """
    known = meaning or Meaning()
    table = read_table_file(path)
    wanted = (label, *columns)
    if len(set(wanted)) < len(wanted):
        raise TableError(
            f"{path}: expected different columns, got {list(wanted)}. Name each column once."
        )
    table.need([*wanted, *([known.patient] if known.patient else [])])
    where = f"{path}, column {label!r}"
    texts = table.cells[label].tolist()
    outcomes = read_outcome(texts, where, pcr=known.pcr, missing=known.missing)
    labels = {row: one for row, one in zip(table.rows, outcomes, strict=True) if one is not None}
    notes = list(table.notes)
    numbers = {name: _numbers(table, name, known.missing, notes) for name in columns}
    groups = _patients(table, known, notes)
    return _table(path, table.rows, {label: labels, **numbers}, groups=groups, notes=notes)


def _table(
    path: Path,
    rows: Sequence[int],
    read: Mapping[str, Mapping[int, float]],
    *,
    groups: Sequence[Sequence[int]],
    notes: Sequence[str],
) -> Table:
    """Patients whose label and numbers are known, several rows of one averaged."""
    label, *columns = read
    is_whole = {row for row in rows if all(row in numbers for numbers in read.values())}
    patients = [whole for group in groups if (whole := [row for row in group if row in is_whole])]
    if not patients:
        raise TableError(
            f"{path}: expected patients with {', '.join(read)}, got none. Check these columns."
        )
    for group in patients:
        if len({read[label][row] for row in group}) > 1:
            raise TableError(
                f"{path}, rows {', '.join(map(str, group[:MAX_SHOWN]))}: expected one outcome of a "
                "patient, got both. Correct the rows or give another column with --patient."
            )
    outside = {name: _outside(read[name], is_whole) for name in columns}
    return Table(
        label=np.array([read[label][group[0]] for group in patients], dtype=np.int64),
        values={
            name: np.array([_mean([read[name][row] for row in group]) for group in patients])
            for name in columns
        },
        num_rows=len(rows),
        num_missing={name: len(rows) - len(numbers) for name, numbers in read.items()},
        not_probability={name: one for name, one in outside.items() if one is not None},
        notes=tuple(notes),
        num_averaged=len(is_whole) - len(patients),
    )


def _mean(values: Sequence[float]) -> float:
    """The mean; of one value itself, to the last digit."""
    return values[0] if len(values) == 1 else float(np.mean(values))


def _numbers(table: TableFile, name: str, more: Sequence[str], notes: list[str]) -> Numbers:
    """Known numbers of a column, those just outside 0 to 1 clipped."""
    where = f"{table.path}, column {name!r}"
    words = missing_words(table.cells[name], more)
    numbers: Numbers = {}
    for row, text in zip(table.rows, table.cells[name], strict=True):
        if is_missing(text, words):
            continue
        value, has_percent = read_share(text)
        if value is None:
            raise TableError(
                f"{table.path}, row {row}, {name}: expected a number such as 0.83, got {text!r}. "
                "Correct the cell or leave it empty."
            )
        numbers[row] = value / 100 if has_percent else value
    _refuse_sentinels(where, numbers)
    _refuse_two_scales(where, numbers)
    return _clipped(name, numbers, notes)


def _refuse_sentinels(where: str, numbers: Numbers) -> None:
    """Stop where a value outside 0 to 1 seems to say that nothing is known."""
    for value in sentinels_among(list(numbers.values())):
        others = [number for number in numbers.values() if number != value]
        if not 0 <= value <= 1 and all(0 <= number <= 1 for number in others):
            rows = [row for row, number in numbers.items() if number == value]
            raise TableError(
                f"{where}: expected probabilities from 0 to 1, got {value:g} in {in_rows(rows)}. "
                f"If it says that nothing is known, add --missing {value:g}."
            )


def _refuse_two_scales(where: str, numbers: Numbers) -> None:
    """Stop where some cells are percents and others shares: their order means nothing."""
    values = list(numbers.values())
    shares = {row: value for row, value in numbers.items() if 0 < value < 1}
    percents = {row: value for row, value in numbers.items() if value > 1 + ROUNDING}
    if not shares or not percents or min(values) < 0:
        return
    high = max(percents.values())
    gap = min(percents.values()) / max(shares.values())
    needed = TWO_SCALES_OF_ONE if len(shares) == 1 else TWO_SCALES
    if LEAST_PERCENT < high <= MOST_PERCENT and gap >= needed:
        fewer, kind = (
            (percents, "percents") if len(percents) < len(shares) else (shares, "shares of one")
        )
        low_row, high_row = next(iter(shares)), next(iter(percents))
        raise TableError(
            f"{where}: expected one scale, got {shares[low_row]:g} (row {low_row}) beside "
            f"{percents[high_row]:g} (row {high_row}); {kind} in {in_rows(list(fewer))}. Write all "
            "as probabilities from 0 to 1."
        )


def _clipped(name: str, numbers: Numbers, notes: list[str]) -> Numbers:
    """Numbers that rounding put just outside 0 to 1 put back, where all are probabilities."""
    outside = {row: value for row, value in numbers.items() if not 0 <= value <= 1}
    if not outside or any(abs(v - 0.5) > 0.5 + ROUNDING for v in outside.values()):
        return numbers
    listed = ", ".join(f"{value!r} (row {row})" for row, value in list(outside.items())[:MAX_SHOWN])
    notes.append(f"Column {name!r}: taken as 0 or 1 for being so near: {listed}.")
    return {row: min(1.0, max(0.0, value)) for row, value in numbers.items()}


def _patients(table: TableFile, meaning: Meaning, notes: list[str]) -> list[list[int]]:
    """Rows of each patient; one each, unless a column says who they are and rows may be averaged.

    Raises:
        TableError: patients stand there several times, and nobody said that they may.
    """
    rows = table.rows
    alike = {name.casefold(): name for name in reversed(table.names)}
    column = meaning.patient or next((alike[one] for one in ID_NAMES if one in alike), None)
    if column is None:
        notes += _about_repeats(table)
        return [[row] for row in rows]
    ids = zip(rows, table.cells[column], strict=True)
    known = {row: text for row, text in ids if not is_missing(text)}
    notes += id_doubts(column, known)
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(known.get(row, f"row {row}"), []).append(row)
    if len(groups) == len(rows):
        return list(groups.values())
    if meaning.patient is None:
        raise TableError(
            f"{table.path}, column {column!r}: expected one row per patient, got {len(groups)} "
            f"patients in {len(rows)} rows. Keep one row of each, or average the probabilities of "
            f"each patient with --patient {column!r}."
        )
    notes.append(f"{len(rows)} rows averaged to {len(groups)} patients by column {column!r}.")
    return list(groups.values())


def _about_repeats(table: TableFile) -> list[str]:
    """Rows that repeat another, in a table that does not say who the patients are."""
    texts = ["\t".join(map(str, cells)) for cells in table.cells.itertuples(index=False)]
    fine = Counter(text for text in texts if sum(map(str.isdigit, text)) >= NUM_DIGITS)
    num_repeats = sum(fine.values()) - len(fine)
    if num_repeats < MANY_REPEATS * len(texts):
        return []
    return [
        f"{num_repeats} of {len(texts)} rows repeat another row. If a patient has several rows, "
        "give the patient column with --patient, or keep one row per patient."
    ]


def _outside(numbers: Mapping[int, float], is_whole: set[int]) -> tuple[int, float] | None:
    """First row, of those not left out, whose number is no probability, and the number."""
    return next(
        ((row, v) for row, v in numbers.items() if row in is_whole and not 0 <= v <= 1), None
    )
