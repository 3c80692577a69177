"""A workbook is read as the person sees it who opens it."""

import re
import time
import zipfile
from datetime import datetime

import openpyxl
import pytest

from neoresponse.cohort import read_table_file
from neoresponse.cohort.xlsx_parts import column_letters
from neoresponse.cohort.xlsx_table import read_xlsx
from neoresponse.errors import TableError

ROWS = [["id", "y", "age"], ["A", 1, 40], ["B", 0, 50], ["C", 0, 60]]


@pytest.fixture
def book(tmp_path):
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    return book


@pytest.fixture
def read(tmp_path):
    def read(book, change=None):
        path = tmp_path / "t.xlsx"
        book.save(path)
        if change is not None:
            _rewrite(path, "xl/worksheets/sheet1.xml", change)
        return read_table_file(path)

    return read


def _rewrite(path, member, change):
    """Change the text of one part of the archive."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    text = parts[member].decode()
    assert change(text) != text
    parts[member] = change(text).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("stated", ['<dimension ref="A1"/>', '<dimension ref="A1:B2"/>', ""])
def test_a_stated_range_that_is_wrong_changes_nothing(book, read, stated):
    table = read(book, lambda text: re.sub(r"<dimension[^>]*/>", stated, text))
    assert table.cells.to_numpy().tolist() == [["A", "1", "40"], ["B", "0", "50"], ["C", "0", "60"]]
    assert table.notes == ()


def test_cells_and_rows_without_a_place_follow_each_other(book, read):
    table = read(book, lambda text: re.sub(r' r="[A-Z]*\d+"', "", text))
    assert table.cells["age"].tolist() == ["40", "50", "60"]
    assert table.rows == [2, 3, 4]


def test_hidden_and_filtered_rows_are_read_and_counted(book, read):
    book.active.auto_filter.ref = "A1:C4"
    for number in (2, 4):
        book.active.row_dimensions[number].hidden = True
    table = read(book)
    assert len(table.cells) == 3
    assert table.notes[0].startswith("2 hidden or filtered rows read like all others: row 2, 4.")


def test_hidden_columns_are_read_and_named(book, read):
    book.active.column_dimensions["C"].hidden = True
    assert read(book).notes == ("Hidden columns were read like all others: 'age'.",)


def test_hidden_sheets_are_passed_over_and_named(book, read):
    draft = book.create_sheet("draft", 0)
    draft.append(["id", "y"])
    draft.append(["X", 1])
    draft.sheet_state = "veryHidden"
    book.create_sheet("remarks")
    book.active = 1
    table = read(book)
    assert table.cells["id"].tolist() == ["A", "B", "C"]
    assert table.notes == (
        "Sheet 'Sheet' was read, not 'remarks'.",
        "Passed over hidden sheets: 'draft'.",
    )


def test_a_workbook_whose_sheets_are_all_hidden_is_refused(book, tmp_path):
    book.save(tmp_path / "t.xlsx")
    _rewrite(tmp_path / "t.xlsx", "xl/workbook.xml", lambda t: t.replace('"visible"', '"hidden"'))
    with pytest.raises(TableError, match=r"expected a sheet that is not hidden, got \['Sheet'\]"):
        read_table_file(tmp_path / "t.xlsx")


def test_merged_cells_count_for_each_row_they_cover(book, read):
    book.active["D1"], book.active["D2"] = "centre", "North"
    book.active.merge_cells("D2:D3")
    table = read(book)
    assert table.cells["centre"].tolist() == ["North", "North", ""]
    assert table.notes == ("Cells filled with the value of their merged range: 1.",)


def test_a_title_over_the_header_is_refused_in_one_sentence(book, read):
    book.active.insert_rows(1)
    book.active["A1"] = "Patients"
    book.active.merge_cells("A1:C1")
    with pytest.raises(TableError, match="a table has one header row"):
        read(book)


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (13, "0000", "0013"),
        ("0013", "General", "0013"),
        (7, '"P"000', "P007"),
        (1234567, "000-0000", "123-4567"),
        (12345, "0000", "12345"),
        (30.5, "0000", "30.5"),
        (13, "0", "13"),
        (0.2, "0%", "20%"),
        (0.125, "0.0%", "12.5%"),
        (0.1 + 0.2, "0.00", "0.3"),
        (1234.5, "#,##0.00", "1234.5"),
        (datetime(2024, 1, 31), "dd/mm/yyyy", "2024-01-31"),
        (datetime(2024, 1, 31, 14, 30), "yyyy-mm-dd h:mm", "2024-01-31T14:30:00"),
        (True, "General", "TRUE"),
        (" text ", "@", "text"),
        (1e-5, "General", "1e-05"),
    ],
)
def test_a_cell_is_what_its_reader_sees(book, read, value, number_format, shown):
    book.active["C3"] = value
    book.active["C3"].number_format = number_format
    assert read(book).cells["age"].tolist()[1] == shown


def test_a_number_shown_as_0013_and_the_text_0013_are_one_patient(book, read):
    book.active["A2"] = 13
    book.active["A2"].number_format = "0000"
    book.active["A3"] = "0013"
    assert read(book).cells["id"].tolist() == ["0013", "0013", "C"]


def test_days_that_count_from_1904_are_the_same_days(book, read):
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active["C2"] = datetime(2024, 1, 31)
    assert read(book).cells["age"].tolist()[0] == "2024-01-31"


def test_a_formula_without_a_value_matters_only_where_it_is_used(book, read):
    book.active["C3"] = "=40+5"
    table = read(book)
    table.need(["id", "y"])
    with pytest.raises(TableError, match="cell C3: expected a value, got a formula"):
        table.need(["y", "age"])


def test_a_stray_cell_far_down_costs_no_time_and_is_named(book, read):
    book.active["F1000000"] = "x"
    started = time.process_time()
    table = read(book)
    assert time.process_time() - started < 2
    assert len(table.cells) == 3
    assert table.notes == ("Cells in columns without a name were not read: row 1000000.",)


@pytest.mark.filterwarnings("ignore:Unknown extension")
def test_a_real_sheet_reads_as_openpyxl_reads_it(shared):
    path = next((shared / "data" / "tables_ispy1").glob("*.xlsx"))
    name = "TCIA Outcomes Subset"
    rows = read_xlsx(path, sheet=name).rows
    expected = openpyxl.load_workbook(path)[name]
    assert len(rows) == 222
    for number, cells in rows:
        values = [expected.cell(number, column).value for column in range(1, len(cells) + 1)]
        assert cells == [
            "" if v is None else str(v).strip().removesuffix(" 00:00:00") for v in values
        ]


@pytest.mark.parametrize(("column", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ")])
def test_columns_have_letters(column, letters):
    assert column_letters(column) == letters
