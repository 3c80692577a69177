"""The parts of an XLSX archive: its sheets, texts and number formats, read as a stream.

Own code, because openpyxl's read-only mode believes a stated range that is wrong, walks through
every blank row before a stray cell, and does not tell which rows are hidden or which cells merged.
Source: ECMA-376, part 1, section 18.
"""

import posixpath
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from openpyxl.styles.numbers import BUILTIN_FORMATS

CHINESE_DATES = {*range(27, 32), 36, *range(50, 55), 57, 58}
"""Formats that Chinese and Japanese programs use without writing them down."""
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
MAX_SHEET_ROWS = 1_048_576


@dataclass(frozen=True)
class Sheet:
    """A sheet of a workbook.

    Attributes:
        name: as its tab shows it.
        member: its file in the archive.
        is_hidden: whether a person who opens the workbook does not see it.
    """

    name: str
    member: str
    is_hidden: bool


@dataclass(frozen=True)
class Workbook:
    """What all sheets share.

    Attributes:
        sheets: in the order of their tabs.
        texts: shared texts by number.
        formats: number format by style.
        is_1904: whether days count from 1904.
    """

    sheets: tuple[Sheet, ...]
    texts: tuple[str, ...]
    formats: tuple[str, ...]
    is_1904: bool


@dataclass
class Cell:
    """A cell that holds something.

    Attributes:
        kind: `s` shared text, `str` and `inlineStr` text, `b` yes or no, `e` error, `d` day, else
            a number.
        value: as it is stored; empty of a formula that was never computed.
        number_format: how it is shown.
        is_uncomputed: whether it is a formula without a value.
    """

    kind: str
    value: str
    number_format: str
    is_uncomputed: bool


@dataclass
class SheetParts:
    """What a sheet holds; filled by `read_rows`.

    Attributes:
        hidden_rows: numbers of rows that are hidden or filtered out.
        hidden_columns: numbers of hidden columns, from 0.
        merged: (first row, last row, first column, last column) of each merged range.
    """

    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)


def read_workbook(archive: zipfile.ZipFile) -> Workbook:
    """Read everything but the sheets' cells."""
    main = _by_type(archive, "").get("officeDocument", ["xl/workbook.xml"])[0]
    root = _parse(archive, main)
    of_type = _by_type(archive, main)
    member_of = _by_id(archive, main)
    sheets = tuple(
        Sheet(one.get("name", ""), member_of[key], one.get("state", "visible") != "visible")
        for one in _all(root, "sheet")
        if (key := _relation(one)) in member_of and member_of[key] in of_type.get("worksheet", [])
    )
    settings = next(_all(root, "workbookPr"), None)
    return Workbook(
        sheets=sheets,
        texts=tuple(_shared_texts(archive, of_type)),
        formats=tuple(_formats(archive, of_type)),
        is_1904=settings is not None and settings.get("date1904", "0") in ("1", "true"),
    )


def read_rows(
    archive: zipfile.ZipFile, member: str, book: Workbook, found: SheetParts
) -> Iterator[tuple[int, dict[int, Cell]]]:
    """Rows of a sheet that hold something, as row number (from 1) and column (from 0) -> cell.

    Args:
        archive: the XLSX file.
        member: the sheet's file in it.
        book: from `read_workbook`.
        found: gets what the sheet says of rows and columns.
    """
    number, num_rows = 0, 0
    body: Element | None = None
    with archive.open(member) as file:
        for event, element in ElementTree.iterparse(file, events=("start", "end")):
            name = _local(element.tag)
            if event == "start":
                body = element if name == "sheetData" else body
            elif name == "row":
                number = int(element.get("r") or number + 1)
                num_rows += 1
                if num_rows > MAX_SHEET_ROWS:
                    raise ValueError("more rows than a sheet can have")
                if element.get("hidden") in ("1", "true"):
                    found.hidden_rows.add(number)
                if cells := _cells(element, book):
                    yield number, cells
                if body is not None:
                    body.clear()
            elif name == "col" and element.get("hidden") in ("1", "true"):
                first, last = int(element.get("min", "1")), int(element.get("max", "1"))
                found.hidden_columns.update(range(first - 1, min(last, 1 << 14)))
            elif name == "mergeCell":
                found.merged.append(_range(element.get("ref", "")))


def column_letters(column: int) -> str:
    """`A` of column 0, `AA` of column 26."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _cells(row: Element, book: Workbook) -> dict[int, Cell]:
    """Cells of a row that hold a value or a formula."""
    cells = {}
    column = -1
    for element in row:
        reference = element.get("r")
        column = _place(reference)[1] if reference else column + 1
        parts = {_local(part.tag): part for part in element}
        kind = element.get("t", "n")
        stored = parts.get("v")
        value = (stored.text or "") if stored is not None else ""
        if kind == "inlineStr" and "is" in parts:
            value = _text(parts["is"])
        elif kind == "s" and value:
            value = book.texts[int(value)]
        is_uncomputed = "f" in parts and not value and kind != "str"
        if value or is_uncomputed:
            style = int(element.get("s", "0"))
            shown = book.formats[style] if style < len(book.formats) else "General"
            cells[column] = Cell(kind, value, shown, is_uncomputed)
    return cells


def _place(reference: str) -> tuple[int, int]:
    """Row from 1 and column from 0 of `B7`."""
    match = re.fullmatch(r"\$?([A-Za-z]{1,3})\$?(\d+)", reference)
    if match is None:
        raise ValueError(f"no cell: {reference!r}")
    column = 0
    for letter in match.group(1).upper():
        column = 26 * column + ord(letter) - ord("A") + 1
    return int(match.group(2)), column - 1


def _range(reference: str) -> tuple[int, int, int, int]:
    """First and last row, first and last column of `A2:B5`."""
    first, _, last = reference.partition(":")
    (top, left), (bottom, right) = _place(first), _place(last or first)
    return top, bottom, left, right


def _shared_texts(archive: zipfile.ZipFile, of_type: Mapping[str, list[str]]) -> Iterator[str]:
    """The texts that cells name by number."""
    for member in of_type.get("sharedStrings", []):
        with archive.open(member) as file:
            for _, element in ElementTree.iterparse(file):
                if _local(element.tag) == "si":
                    yield _text(element)
                    element.clear()


def _text(element: Element) -> str:
    """All runs of a text, without the reading aids of Japanese."""
    runs = []
    for part in element:
        name = _local(part.tag)
        if name == "t":
            runs.append(part.text or "")
        elif name == "r":
            runs += [one.text or "" for one in part if _local(one.tag) == "t"]
    return ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), "".join(runs))


def _formats(archive: zipfile.ZipFile, of_type: Mapping[str, list[str]]) -> Iterator[str]:
    """Number format of each style."""
    for member in of_type.get("styles", [])[:1]:
        root = _parse(archive, member)
        own = {one.get("numFmtId", ""): one.get("formatCode", "") for one in _all(root, "numFmt")}
        for styles in _all(root, "cellXfs"):
            for style in _all(styles, "xf"):
                key = style.get("numFmtId", "0")
                usual = "yyyy-mm-dd" if int(key) in CHINESE_DATES else "General"
                yield own.get(key) or BUILTIN_FORMATS.get(int(key), usual)


def _by_id(archive: zipfile.ZipFile, member: str) -> dict[str, str]:
    """Id of a relation -> file in the archive."""
    return {key: target for key, _, target in _relations(archive, member)}


def _by_type(archive: zipfile.ZipFile, member: str) -> dict[str, list[str]]:
    """Kind of a relation, such as `worksheet` -> files in the archive."""
    found: dict[str, list[str]] = {}
    for _, kind, target in _relations(archive, member):
        found.setdefault(kind, []).append(target)
    return found


def _relations(archive: zipfile.ZipFile, member: str) -> Iterator[tuple[str, str, str]]:
    """Id, kind and target of everything that a part of the archive refers to."""
    folder, name = posixpath.split(member)
    listed = posixpath.join(folder, "_rels", f"{name}.rels")
    if listed in archive.namelist():
        for one in _all(_parse(archive, listed), "Relationship"):
            target = posixpath.normpath(posixpath.join("/", folder, one.get("Target", "")))
            yield one.get("Id", ""), one.get("Type", "").rpartition("/")[2], target.lstrip("/")


def _relation(element: Element) -> str:
    """The `r:id` of an element, in whatever namespace."""
    return next((value for key, value in element.items() if key.endswith("}id")), "")


def _parse(archive: zipfile.ZipFile, member: str) -> Element:
    """A part of the archive as XML."""
    with archive.open(member) as file:
        return ElementTree.parse(file).getroot()


def _all(element: Element, name: str) -> Iterator[Element]:
    """Elements of one name below another."""
    return (one for one in element.iter() if _local(one.tag) == name)


def _local(tag: str) -> str:
    """A name without its namespace."""
    return tag.rpartition("}")[2]
