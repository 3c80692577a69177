"""A patient table (CSV or XLSX) -> its cells as text, each row under the number its reader sees.

Nothing is guessed from a cell: a number stays the text that was typed, so `30,5` is never 305.
"""

import csv
import io
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd

from neoresponse.cohort.dictionary import TableSection
from neoresponse.errors import TableError

MAX_FILE_BYTES = 100_000_000
MAX_UNPACKED_BYTES = 500_000_000
MAX_ROWS = 100_000
MAX_COLUMNS = 2_000
SEPARATORS = (",", ";", "\t", "|")
NO_SEPARATORS = '"\r\n\0'
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
ZIP = b"PK\x03\x04"
GUESSED_ENCODINGS = ("utf-8", "gb18030", "cp1252")
Rows = list[tuple[int, list[str]]]
"""Row number (the header is row 1) and cells of each row that is not blank."""


def read_table(folder: Path, section: TableSection) -> pd.DataFrame:
    """Read a patient table.

    Args:
        folder: the cohort folder.
        section: where the table is and how it is written.

    Returns:
        One row per patient, all cells as stripped text, empty where blank; the index `row` is the
        row number in the file, the header being row 1. Columns without a name are left out.

    Raises:
        TableError: it is missing, empty, too large, in another encoding, or its header or a row
            does not fit.
    """
    path = table_path(folder, section)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise TableError(
            f"{path}: expected a readable file, got: {error.strerror}. Check who may read it."
        ) from None
    if head.startswith(OLD_EXCEL):
        raise TableError(f"{path}: expected CSV or XLSX, got an old .xls. Save it as .xlsx.")
    rows = _xlsx_rows(path, section) if head.startswith(ZIP) else _csv_rows(path, section)
    if not rows:
        raise TableError(f"{path}: expected a header and patients, got an empty table. Fill it.")
    (_, header), body = rows[0], rows[1:]
    _check_header(path, header)
    if not body:
        raise TableError(f"{path}: expected patients, got a header alone. Fill the table.")
    named = [i for i, name in enumerate(header) if name]
    padded = [[*cells, *[""] * (len(header) - len(cells))] for _, cells in body]
    return pd.DataFrame(
        [[cells[i] for i in named] for cells in padded],
        columns=[header[i] for i in named],
        index=pd.Index([number for number, _ in body], name="row"),
        dtype="str",
    )


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
    if not 0 < size <= MAX_FILE_BYTES:
        raise TableError(
            f"{path}: expected a table of 1 to {MAX_FILE_BYTES} bytes, got {size}. Export it again."
        )
    return path


def guess_encoding(content: bytes) -> str:
    """The first common encoding that fits; Latin-1, which fits all, where none does."""
    for encoding in GUESSED_ENCODINGS:
        try:
            content.decode(encoding)
        except UnicodeError:
            continue
        return encoding
    return "latin-1"


def _check_header(path: Path, header: list[str]) -> None:
    """Each named column must be named once."""
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise TableError(
            f"{path}: expected each column name once, got {twice} several times. "
            "Rename the columns; a table has one header row."
        )


def _csv_rows(path: Path, section: TableSection) -> Rows:
    """Rows of a CSV file."""
    text = _decode(path, section.encoding)
    separator = section.separator or _find_separator(text)
    if len(separator) != 1 or separator in NO_SEPARATORS:
        raise TableError(
            f"{path}: expected a separator of one character, such as ';', got {separator!r}. "
            "Change table.separator."
        )
    rows: Rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for number, cells in enumerate(reader, start=1):
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                rows.append((number, stripped))
            _check_size(path, num_rows=len(rows), num_columns=len(cells))
    except csv.Error as error:
        raise TableError(f"{path}: expected CSV, got {error}. Export the table again.") from None
    for number, cells in rows[1:]:
        if len(cells) != len(rows[0][1]):
            raise TableError(
                f"{path}, row {number}: expected {len(rows[0][1])} cells as in the header, got "
                f"{len(cells)}. Quote cells that hold {separator!r}, or change table.separator."
            )
    return rows


def _decode(path: Path, encoding: str) -> str:
    """The file as text."""
    content = path.read_bytes()
    if b"\x00" in content and not encoding.lower().startswith(("utf-16", "utf16", "utf-32")):
        raise TableError(f"{path}: expected CSV or XLSX, got binary data. Export it again.")
    try:
        return content.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeError:
        raise TableError(
            f"{path}: expected text in {encoding}, got other bytes. "
            f"Set table.encoding, perhaps to {guess_encoding(content)!r}."
        ) from None
    except (LookupError, ValueError):  # the second: a null character
        raise TableError(
            f"{path}: expected a known text encoding, got {encoding!r}. Change table.encoding."
        ) from None


def _find_separator(text: str) -> str:
    """The separator that the header holds most often, outside quotes."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    bare = "".join(header.split('"')[::2])
    return max(SEPARATORS, key=bare.count)


def _check_size(path: Path, *, num_rows: int, num_columns: int) -> None:
    """Refuse a table that cannot be one of patients."""
    if num_rows > MAX_ROWS + 1 or num_columns > MAX_COLUMNS:
        raise TableError(
            f"{path}: expected at most {MAX_ROWS} rows and {MAX_COLUMNS} columns, got more. "
            "Name the right table or sheet."
        )


def _xlsx_rows(path: Path, section: TableSection) -> Rows:
    """Rows of one sheet of an XLSX file, with the values that its formulas last had."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise TableError(
                f"{path}: expected at most {MAX_UNPACKED_BYTES} bytes unpacked, got {unpacked}. "
                "Export the table again."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and lists that are not used
            return list(_sheet_rows(path, section))
    except TableError:
        raise
    except Exception as error:  # a parser of foreign bytes may raise anything
        raise TableError(
            f"{path}: expected a whole XLSX file, got a broken one. Export the table again."
        ) from error


def _sheet_rows(path: Path, section: TableSection) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, blank cells at their ends cut off."""
    content = path.read_bytes()  # as a stream, so that the file may have any name
    values = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    formulas = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    try:
        name = section.sheet or values.sheetnames[0]
        if name not in values.sheetnames:
            raise TableError(
                f"{path}: expected a sheet named {name!r}, got {values.sheetnames}. "
                "Change table.sheet."
            )
        pairs = zip(values[name].iter_rows(), formulas[name].iter_rows(), strict=True)
        num_found = 0
        for cells, sources in pairs:
            texts = [
                _cell_text(path, cell, source, decimal=section.decimal)
                for cell, source in zip(cells, sources, strict=True)
            ]
            while texts and not texts[-1]:
                texts.pop()
            if texts:
                num_found += 1
                _check_size(path, num_rows=num_found, num_columns=len(texts))
                yield next(cell.row for cell in cells if cell.value is not None), texts
    finally:
        values.close()
        formulas.close()


def _cell_text(path: Path, cell: Any, source: Any, *, decimal: str) -> str:  # noqa: ANN401
    """A cell as its reader sees it: a share shown in percent as percent, a date as ISO."""
    value = cell.value
    if value is None:
        if source.value is not None:
            raise TableError(
                f"{path}, cell {source.coordinate}: expected a value, got a formula that was "
                "never computed. Save the table once in a spreadsheet program."
            )
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.isoformat() if value.time().isoformat() != "00:00:00" else str(value.date())
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        number = value * 100 if "%" in str(cell.number_format) else value
        return f"{number:.15g}".replace(".", decimal)
    return str(value).strip()
