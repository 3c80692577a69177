"""Any table of labels and probabilities (CSV or XLSX) -> arrays, and who was left out.

In: a file and the names of its columns; nothing else of ours needs to lie there. Out: a `Table`.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from neoresponse.cohort.dictionary import MISSING, TableSection
from neoresponse.cohort.tables import guess_encoding, read_table
from neoresponse.errors import TableError
from neoresponse.types import FloatArray, IntArray

PCR = ("1", "1.0", "true", "yes", "pcr")
"""What stands for pCR in a column of labels, in small or capital letters."""
RESIDUAL = ("0", "0.0", "false", "no", "rd", "non-pcr", "residual", "residual disease")
"""What stands for residual disease."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
NOT_KNOWN = {word.lower() for word in MISSING}


@dataclass(frozen=True)
class Table:
    """Patients of a table who have a label and every wanted number.

    Attributes:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        values: column -> its numbers, each of shape (patients,).
        num_rows: rows of the table.
        num_missing: column -> rows in which nothing is known there; a row may count in several.
        not_probability: column -> first row and number outside 0 to 1, of columns that have one.
    """

    label: IntArray
    values: dict[str, FloatArray]
    num_rows: int
    num_missing: dict[str, int]
    not_probability: dict[str, tuple[int, float]]

    @property
    def num_left_out(self) -> int:
        """Rows that lack a label or a number."""
        return self.num_rows - len(self.label)


def read_label_table(path: Path, *, label: str, columns: Sequence[str]) -> Table:
    """Read the labels and one or more columns of probabilities.

    Args:
        path: CSV with commas, semicolons, tabs or bars, in UTF-8, UTF-16, GB18030 or Windows-1252,
            or XLSX.
        label: the column of labels: one of `PCR` or `RESIDUAL` in each row, or nothing.
        columns: columns of probabilities, or of scores that rise with them.

    Raises:
        TableError: the file cannot be read, a column is not there, a cell is neither a label nor a
            number, or nobody is left.
    """
    _refuse_no_file(path)
    whole = path.resolve()
    section = TableSection(file=whole.name, encoding=_encoding(whole))
    frame = read_table(whole.parent, section)
    wanted = (label, *columns)
    _refuse_columns(path, frame, wanted)
    labels = [_label(cell, f"{path}, row {row}, {label}") for row, cell in frame[label].items()]
    numbers = {
        name: [_number(cell, f"{path}, row {row}, {name}") for row, cell in frame[name].items()]
        for name in columns
    }
    read: dict[str, Sequence[float | None]] = {label: labels, **numbers}
    is_whole = np.array([None not in cells for cells in zip(*read.values(), strict=True)])
    if not is_whole.any():
        raise TableError(
            f"{path}: expected patients with {', '.join(wanted)}, got none. Check these columns."
        )
    return Table(
        label=np.array(labels, dtype=object)[is_whole].astype(np.int64),
        values={
            name: np.array(cells, dtype=np.float64)[is_whole] for name, cells in numbers.items()
        },
        num_rows=len(frame),
        num_missing={name: sum(cell is None for cell in cells) for name, cells in read.items()},
        not_probability={
            name: outside[0]
            for name, cells in numbers.items()
            if (outside := _outside(frame.index.to_list(), cells, is_whole.tolist()))
        },
    )


def _refuse_no_file(path: Path) -> None:
    """Stop where there is nothing to read."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise TableError(f"{path}: expected a table, CSV or XLSX, found {found}. Check the path.")


def _encoding(path: Path) -> str:
    """How the text is written: by its byte order mark, else the first encoding that fits."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(
            f"{path}: expected a readable file, got: {error.strerror}. Check who may read it."
        ) from None
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return encoding
    return guess_encoding(content)


def _refuse_columns(path: Path, frame: pd.DataFrame, wanted: Sequence[str]) -> None:
    """Stop on a column that is not there, or is named for two purposes."""
    there = [str(name) for name in frame.columns]
    for name in wanted:
        if name not in there:
            raise TableError(
                f"{path}: expected a column {name!r}, got {there[:20]}. Name one of these."
            )
    if len(set(wanted)) < len(wanted):
        raise TableError(
            f"{path}: expected different columns, got {list(wanted)}. Name each column once."
        )


def _label(cell: str, where: str) -> int | None:
    """1, 0, or None where nothing is known."""
    word = cell.lower()
    if word in PCR:
        return 1
    if word in RESIDUAL:
        return 0
    if word in NOT_KNOWN:
        return None
    raise TableError(
        f"{where}: expected pCR as one of {list(PCR)} or residual disease as one of "
        f"{list(RESIDUAL)}, got {cell!r}. Mend the cell or leave it empty."
    )


def _number(cell: str, where: str) -> float | None:
    """A number with a point or a comma, or a share in percent; None where nothing is known."""
    if cell.lower() in NOT_KNOWN:
        return None
    bare = cell.removesuffix("%").rstrip()
    if not NUMBER.fullmatch(bare):
        raise TableError(
            f"{where}: expected a number such as 0.83, got {cell!r}. Mend the cell or leave it "
            "empty."
        )
    value = float(bare.replace(",", "."))
    return value / 100 if bare != cell else value


def _outside(
    rows: Sequence[int], cells: Sequence[float | None], is_whole: Sequence[bool]
) -> list[tuple[int, float]]:
    """Row and number of each cell that is no probability, of patients who are not left out."""
    return [
        (row, cell)
        for row, cell, is_one in zip(rows, cells, is_whole, strict=True)
        if is_one and cell is not None and not 0 <= cell <= 1
    ]
