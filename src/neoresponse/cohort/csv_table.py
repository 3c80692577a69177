"""A CSV file -> its rows as text, and in which encoding and with which separator they were read."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neoresponse.errors import TableError

MAX_ROWS = 100_000
MAX_COLUMNS = 2_000
SEPARATORS = (",", ";", "\t", "|")
NO_SEPARATORS = '"\r\n\0'
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HIGH = re.compile(rb"[\x80-\xff]+")
SEP_LINE = re.compile(r'\ufeff?"?sep=(.)"?\r?\n', re.IGNORECASE)
"""The first line that Excel writes to say its separator, and does not show."""
NUM_SAMPLE = 20
Rows = list[tuple[int, list[str]]]
"""Row number (the header is row 1) and cells of each row that is not blank."""


@dataclass(frozen=True)
class CsvRows:
    """Rows of a CSV file and how they were read.

    Attributes:
        rows: row number and stripped cells of each row that is not blank.
        encoding: of the text.
        separator: between the cells.
    """

    rows: Rows
    encoding: str
    separator: str


def read_csv(path: Path, *, encoding: str | None, separator: str | None) -> CsvRows:
    """Read a CSV file.

    Args:
        path: the file.
        encoding: of its text; found from its bytes where none is named.
        separator: one character; Excel's `sep=` line or the header says it where none is named.

    Raises:
        TableError: it is no text, has another encoding, or a row does not fit the header.
    """
    content = path.read_bytes()
    known = encoding or _guess_encoding(path, content)
    text = _decode(path, content, known)
    sep_line = SEP_LINE.match(text)
    if sep_line:
        text = text[sep_line.end() :]
    text = text.removeprefix("\ufeff")
    separator = separator or (sep_line.group(1) if sep_line else _find_separator(text))
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
            refuse_size(path, num_rows=len(rows), num_columns=len(cells))
    except csv.Error as error:
        raise TableError(f"{path}: expected CSV, got {error}. Export the table again.") from None
    _refuse_ragged(path, rows, separator)
    return CsvRows(rows, known, separator)


def refuse_size(path: Path, *, num_rows: int, num_columns: int) -> None:
    """Refuse a table that cannot be one of patients."""
    if num_rows > MAX_ROWS + 1 or num_columns > MAX_COLUMNS:
        raise TableError(
            f"{path}: expected at most {MAX_ROWS} rows and {MAX_COLUMNS} columns, got more. "
            "Name the right table or sheet."
        )


def _guess_encoding(path: Path, content: bytes) -> str:
    """By its byte order mark, by its null bytes, else the first common encoding that fits."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return encoding
    if b"\x00" in content:
        even, odd = content[::2].count(0), content[1::2].count(0)
        if len(content) % 2 or (even and odd):
            raise TableError(f"{path}: expected CSV or XLSX, got binary data. Export it again.")
        return "utf-16-le" if odd else "utf-16-be"
    if _fits(content, "utf-8"):
        return "utf-8"
    if _fits(content, "gb18030") and _has_pairs(content):
        return "gb18030"
    return "cp1252" if _fits(content, "cp1252") else "latin-1"


def _fits(content: bytes, encoding: str) -> bool:
    """Whether the bytes can be text in an encoding."""
    try:
        content.decode(encoding)
    except UnicodeError:
        return False
    return True


def _has_pairs(content: bytes) -> bool:
    """Whether most bytes above 127 stand together, as in Chinese; accented letters stand alone."""
    runs = [len(run) for run in HIGH.findall(content)]
    return sum(run for run in runs if run > 1) > sum(runs) / 2


def _decode(path: Path, content: bytes, encoding: str) -> str:
    """The file as text."""
    name = encoding.lower()
    if b"\x00" in content and not name.startswith(("utf-16", "utf16", "utf-32")):
        raise TableError(f"{path}: expected CSV or XLSX, got binary data. Export it again.")
    try:
        return content.decode("utf-8-sig" if name in ("utf-8", "utf8") else encoding)
    except UnicodeError:
        raise TableError(
            f"{path}: expected text in {encoding}, got other bytes. Set table.encoding, perhaps "
            f"to {_guess_encoding(path, content)!r}, or leave it out."
        ) from None
    except (LookupError, ValueError):  # the second: a null character
        raise TableError(
            f"{path}: expected a known text encoding, got {encoding!r}. Change table.encoding."
        ) from None


def _find_separator(text: str) -> str:
    """What divides the first rows as it divides the header; of several the most frequent."""
    lines = [line for line in text[: 1 << 16].splitlines() if line.strip()][:NUM_SAMPLE]
    bare = "".join(lines[0].split('"')[::2]) if lines else ""
    return max(SEPARATORS, key=lambda one: (_num_alike(lines, one), bare.count(one)))


def _num_alike(lines: Sequence[str], separator: str) -> int:
    """Rows with as many cells as the header; none where that is one cell."""
    try:
        nums = [len(cells) for cells in csv.reader(lines, delimiter=separator)]
    except csv.Error:
        return 0
    return nums.count(nums[0]) if nums and nums[0] > 1 else 0


def _refuse_ragged(path: Path, rows: Rows, separator: str) -> None:
    """Every row has as many cells as the header."""
    for number, cells in rows[1:]:
        if len(cells) != len(rows[0][1]):
            raise TableError(
                f"{path}, row {number}: expected {len(rows[0][1])} cells as in the header, got "
                f"{len(cells)}. Quote cells that hold {separator!r}, or change table.separator."
            )
