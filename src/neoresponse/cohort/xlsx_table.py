"""A sheet of an XLSX file -> its rows as a person sees them, and what that person does not see."""

import re
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path

from openpyxl.styles.numbers import is_date_format, is_timedelta_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from neoresponse.cohort.csv_table import Rows, refuse_size
from neoresponse.cohort.xlsx_parts import (
    Cell,
    Sheet,
    SheetParts,
    Workbook,
    column_letters,
    read_rows,
    read_workbook,
)
from neoresponse.errors import TableError, first_few

MAX_UNPACKED_BYTES = 500_000_000
MAX_FILLED = 1_000_000
QUOTED = re.compile(r'"[^"]*"|\\.')
NOT_SHOWN = re.compile(r"\[[^\]]*\]|_.|\*.")
"""Colours, languages and spaces in a number format."""
MASK = re.compile(r'(?:"[^"]*"|\\.|[0# ()\-])+')
"""A format that only places digits, such as 0000 or "P"000."""
MASK_PIECE = re.compile(r'"([^"]*)"|\\(.)|(.)')
Texts = dict[int, dict[int, str]]
"""Row number -> column from 0 -> text."""


@dataclass(frozen=True)
class XlsxRows:
    """Rows of a sheet.

    Attributes:
        rows: row number and cells of each row that is not blank.
        uncomputed: column from 0 -> its first formula that was never computed, such as `B2`.
        notes: sentences on what a person does not see, or what was decided.
    """

    rows: Rows
    uncomputed: dict[int, str]
    notes: tuple[str, ...]


def read_xlsx(path: Path, *, sheet: str | None, decimal: str = ".") -> XlsxRows:
    """Read a sheet with the values that its formulas last had.

    Args:
        path: the file.
        sheet: name of the sheet; the first that is not hidden where none is named.
        decimal: the decimal mark in which numbers are written.

    Raises:
        TableError: it is broken or too large, or has no such sheet.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                raise TableError(
                    f"{path}: expected at most {MAX_UNPACKED_BYTES} bytes unpacked, got "
                    f"{unpacked}. Export the table again."
                )
            return _read_sheet(path, archive, sheet, decimal)
    except TableError:
        raise
    except Exception as error:  # a parser of foreign bytes may raise anything
        raise TableError(
            f"{path}: expected a whole XLSX file, got a broken one. Export the table again."
        ) from error


def _read_sheet(path: Path, archive: zipfile.ZipFile, wanted: str | None, decimal: str) -> XlsxRows:
    """The rows of one sheet, and the notes on it."""
    book = read_workbook(archive)
    sheet = _choose(path, book.sheets, wanted)
    parts = SheetParts()
    texts: Texts = {}
    uncomputed: dict[int, str] = {}
    for number, cells in read_rows(archive, sheet.member, book, parts):
        row = {column: _shown(cell, book, decimal) for column, cell in cells.items()}
        row = {column: text for column, text in row.items() if text}
        for column, cell in cells.items():
            if cell.is_uncomputed:
                uncomputed.setdefault(column, f"{column_letters(column)}{number}")
        if row:
            texts[number] = row
        refuse_size(path, num_rows=len(texts), num_columns=max(row, default=-1) + 1)
    filled = _fill_merged(path, texts, parts.merged)
    rows = [(n, [row.get(c, "") for c in range(max(row) + 1)]) for n, row in sorted(texts.items())]
    notes = [*_about_sheets(book.sheets, sheet, wanted), *_about_hidden(rows, parts)]
    if filled:
        notes.append(f"Cells filled with the value of their merged range: {filled}.")
    return XlsxRows(rows, uncomputed, tuple(notes))


def _choose(path: Path, sheets: Sequence[Sheet], wanted: str | None) -> Sheet:
    """The sheet that was asked for, else the first that a person sees."""
    chosen = [one for one in sheets if (one.name == wanted if wanted else not one.is_hidden)]
    if not chosen:
        rule = f"a sheet named {wanted!r}" if wanted else "a sheet that is not hidden"
        raise TableError(
            f"{path}: expected {rule}, got {[one.name for one in sheets]}. Change table.sheet."
        )
    return chosen[0]


def _shown(cell: Cell, book: Workbook, decimal: str) -> str:
    """A cell as its reader sees it: a share with its percent sign, 13 as 0013, a date as ISO."""
    if cell.is_uncomputed:
        return ""
    if cell.kind == "b":
        return "TRUE" if cell.value == "1" else "FALSE"
    if cell.kind == "d":
        return cell.value.removesuffix("Z").removesuffix("T00:00:00")
    if cell.kind != "n":
        return cell.value.strip()
    number = float(cell.value)
    if is_date_format(cell.number_format) and not is_timedelta_format(cell.number_format):
        return _day(number, book)
    bare = QUOTED.sub("", cell.number_format)
    if "%" in bare:
        return f"{number * 100:.15g}%".replace(".", decimal)
    return _masked(number, cell.number_format) or f"{number:.15g}".replace(".", decimal)


def _day(number: float, book: Workbook) -> str:
    """A day, with its time where it has one."""
    try:
        day = from_excel(number, MAC_EPOCH if book.is_1904 else WINDOWS_EPOCH)
    except (OverflowError, ValueError):
        return f"{number:.15g}"
    if isinstance(day, datetime) and day.time() == time():
        return day.date().isoformat()
    return str(day.isoformat()) if isinstance(day, datetime | time) else f"{number:.15g}"


def _masked(number: float, number_format: str) -> str:
    """A whole number under a format with leading zeros; empty where the format has none."""
    mask = NOT_SHOWN.sub("", number_format.partition(";")[0])
    if QUOTED.sub("", mask).count("0") < 2 or not MASK.fullmatch(mask):
        return ""
    if number < 0 or not number.is_integer() or number >= 1e15:
        return ""
    digits = str(int(number))
    shown = ""
    for quoted, escaped, one in reversed(MASK_PIECE.findall(mask)):
        if one not in ("0", "#"):
            shown = (quoted or escaped or one) + shown
        elif digits:
            shown, digits = digits[-1] + shown, digits[:-1]
        elif one == "0":
            shown = one + shown
    first = re.search(r"\d", shown)
    place = first.start() if first else 0
    return shown[:place] + digits + shown[place:]


def _fill_merged(path: Path, texts: Texts, merged: Sequence[tuple[int, int, int, int]]) -> int:
    """Give every row of a merged range what its first cell shows; how many cells that are."""
    numbers = sorted(texts)
    in_body = {column for number in numbers[1:] for column in texts[number]}
    num_filled = 0
    for top, bottom, left, right in merged:
        text = texts.get(top, {}).get(left)
        if text is None:
            continue
        columns = [c for c in in_body if left <= c <= right] if right > left else [left]
        for number in numbers[bisect_left(numbers, top) : bisect_right(numbers, bottom)]:
            blank = [column for column in columns if column not in texts[number]]
            texts[number].update(dict.fromkeys(blank, text))
            num_filled += len(blank)
        if num_filled > MAX_FILLED:
            raise TableError(f"{path}: expected few merged cells, got more. Take the merges apart.")
    return num_filled


def _about_sheets(sheets: Sequence[Sheet], sheet: Sheet, wanted: str | None) -> list[str]:
    """Which sheet was read where there are several."""
    others = [one for one in sheets if one is not sheet]
    if wanted or not others:
        return []
    seen = [repr(one.name) for one in others if not one.is_hidden]
    hidden = [repr(one.name) for one in others if one.is_hidden]
    notes = []
    if seen:
        notes.append(f"Sheet {sheet.name!r} was read, not {first_few(seen)}.")
    if hidden:
        notes.append(f"Passed over hidden sheets: {first_few(hidden)}.")
    return notes


def _about_hidden(rows: Rows, parts: SheetParts) -> list[str]:
    """Rows and columns that were read though a person does not see them."""
    notes = []
    if hidden := [str(number) for number, _ in rows[1:] if number in parts.hidden_rows]:
        notes.append(
            f"{_count(len(hidden), 'hidden or filtered row')} read like all others: row "
            f"{first_few(hidden)}. Delete rows that do not belong to the cohort."
        )
    names = dict(enumerate(rows[0][1])) if rows else {}
    unseen = [repr(names[c]) for c in sorted(parts.hidden_columns) if names.get(c)]
    if unseen:
        notes.append(f"Hidden columns were read like all others: {first_few(unseen)}.")
    return notes


def _count(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
