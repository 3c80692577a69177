"""The reader of every table of patients: a CSV or XLSX file -> cells as text, and what was decided.

Nothing is guessed from a cell: a number stays the text that its reader sees. Only a decimal comma
becomes a point, where a whole column shows that it is one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from neoresponse.cohort.csv_table import Rows, read_csv
from neoresponse.cohort.dictionary import TableSection
from neoresponse.cohort.vocabulary import is_missing, read_share
from neoresponse.cohort.xlsx_table import read_xlsx
from neoresponse.errors import MAX_SHOWN, TableError, first_few

MAX_FILE_BYTES = 100_000_000
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
ZIP = b"PK\x03\x04"
USUAL_ENCODINGS = ("utf-8", "utf-8-sig")


@dataclass(frozen=True)
class TableFile:
    """A table of patients as it was read.

    Attributes:
        path: the file.
        cells: one row per patient, all cells as stripped text, empty where blank; the index `row`
            is the row number in the file, the header being row 1. Columns without a name are left
            out.
        notes: how it was read, where that was not plain, and what a person should look at.
        uncomputed: column -> its first cell with a formula that was never computed.
    """

    path: Path
    cells: pd.DataFrame
    notes: tuple[str, ...] = ()
    uncomputed: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Its columns."""
        return [str(name) for name in self.cells.columns]

    @property
    def rows(self) -> list[int]:
        """The row number of each patient."""
        return [int(row) for row in self.cells.index]

    def need(self, wanted: Iterable[str]) -> None:
        """Stop where a column is not there or lacks the values of its formulas.

        Raises:
            TableError: names the column or the cell.
        """
        wanted = list(wanted)
        absent = sorted(set(wanted) - set(self.names))
        if absent:
            more = len(self.names) - MAX_SHOWN
            raise TableError(
                f"{self.path}: expected columns {absent}, got {self.names[:MAX_SHOWN]}"
                f"{f' and {more} more' if more > 0 else ''}. Name columns of the table."
            )
        for name in wanted:
            if name in self.uncomputed:
                raise TableError(
                    f"{self.path}, cell {self.uncomputed[name]}: expected a value, got a formula "
                    "that was never computed. Save the table once in a spreadsheet program."
                )


def read_table(folder: Path, section: TableSection) -> TableFile:
    """Read the patient table of a cohort folder.

    Args:
        folder: the cohort folder.
        section: where the table is and how it is written.

    Raises:
        TableError: it is missing, lies outside the folder, or cannot be read.
    """
    return _read(table_path(folder, section), section)


def read_table_file(path: Path) -> TableFile:
    """Read any table of patients.

    Args:
        path: CSV or XLSX, whatever its name, with one header row.

    Raises:
        TableError: it is missing, empty or too large, or its header or a row does not fit.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing"
        raise TableError(f"{path}: expected a table, CSV or XLSX, found {what}. Check the path.")
    _refuse_bytes(path, path.stat().st_size)
    return _read(path, TableSection(file=path.name))


def table_path(folder: Path, section: TableSection) -> Path:
    """Path of the table, which must lie in the cohort folder.

    Raises:
        TableError: it lies outside, is missing, too large or no path at all.
    """
    path = folder / section.file
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        size = path.stat().st_size if is_inside and path.is_file() else None
    except (OSError, ValueError, RuntimeError) as error:  # a null character, a loop of links
        reason = (error.strerror if isinstance(error, OSError) else None) or "an impossible path"
        raise TableError(
            f"table.file: expected a readable file, got: {reason}. Check table.file."
        ) from None
    if not is_inside:
        raise TableError(
            f"{section.file}: expected a table inside the cohort folder, got one outside. Move it."
        )
    if size is None:
        raise TableError(f"{path}: expected a patient table, found no file. Check table.file.")
    _refuse_bytes(path, size)
    return path


def _refuse_bytes(path: Path, size: int) -> None:
    """Stop at an empty file, and at one that cannot be a table of patients."""
    if not 0 < size <= MAX_FILE_BYTES:
        raise TableError(
            f"{path}: expected a table of 1 to {MAX_FILE_BYTES} bytes, got {size}. Export it again."
        )


def _read(path: Path, section: TableSection) -> TableFile:
    """A file of either kind."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise TableError(
            f"{path}: expected a readable file, got: {error.strerror}. Check who may read it."
        ) from None
    if head.startswith(OLD_EXCEL):
        raise TableError(f"{path}: expected CSV or XLSX, got an old .xls. Save it as .xlsx.")
    if head.startswith(ZIP):
        sheet = read_xlsx(path, sheet=section.sheet, decimal=section.decimal or ".")
        rows, notes, by_place = sheet.rows, list(sheet.notes), sheet.uncomputed
    else:
        text = read_csv(path, encoding=section.encoding, separator=section.separator)
        rows, notes, by_place = text.rows, [], {}
        if section.encoding is None and text.encoding not in USUAL_ENCODINGS:
            notes.append(f"Read as {text.encoding.upper()} text.")
    cells, of_header = _frame(path, rows)
    notes += of_header
    if section.decimal is None and (with_commas := _with_points(cells)):
        notes.append(f"Read with decimal commas: {', '.join(map(repr, with_commas))}.")
    header = rows[0][1]
    uncomputed = {header[c]: cell for c, cell in by_place.items() if c < len(header)}
    return TableFile(path, cells, tuple(notes), uncomputed)


def _frame(path: Path, rows: Rows) -> tuple[pd.DataFrame, list[str]]:
    """Named columns under the header, and a note on cells that have no name above them."""
    if not rows:
        raise TableError(f"{path}: expected a header and patients, got an empty table. Fill it.")
    (_, header), body = rows[0], rows[1:]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise TableError(
            f"{path}: expected each column name once, got {twice} several times. "
            "Rename the columns; a table has one header row."
        )
    named = [place for place, name in enumerate(header) if name]
    is_named = set(named)
    if not any(cells[place] for _, cells in body for place in named if place < len(cells)):
        raise TableError(f"{path}: expected patients, got only a header. Fill in the table.")
    nameless = [
        str(number)
        for number, cells in body
        if any(text and place not in is_named for place, text in enumerate(cells))
    ]
    texts = [
        (number, [cells[place] if place < len(cells) else "" for place in named])
        for number, cells in body
    ]
    patients = [(number, cells) for number, cells in texts if any(cells)]
    frame = pd.DataFrame(
        [cells for _, cells in patients],
        columns=[header[place] for place in named],
        index=pd.Index([number for number, _ in patients], name="row"),
        dtype="str",
    )
    return frame, _about_nameless(nameless)


def _about_nameless(rows: Sequence[str]) -> list[str]:
    """Cells outside the named columns, such as remarks beside the table."""
    if not rows:
        return []
    return [f"Cells in columns without a name were not read: row {first_few(rows)}."]


def _with_points(cells: pd.DataFrame) -> list[str]:
    """Write decimal commas as points in columns of numbers; which columns those are."""
    changed = []
    for name in cells.columns:
        texts = cells[name].tolist()
        if not any("," in text for text in texts):
            continue
        known = [text for text in texts if not is_missing(text)]
        numbers = [text for text in known if read_share(text)[0] is not None]
        has_commas = any("," in text for text in numbers)
        if has_commas and len(numbers) > len(known) / 2 and not any("." in t for t in numbers):
            is_number = set(numbers)
            cells[name] = [t.replace(",", ".") if t in is_number else t for t in texts]
            changed.append(str(name))
    return changed
