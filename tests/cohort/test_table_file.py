import openpyxl
import pytest
from openpyxl.styles.numbers import FORMAT_PERCENTAGE

from neoresponse.cohort import read_table
from neoresponse.cohort.dictionary import TableSection
from neoresponse.errors import TableError

HEADER = "patient_id,age,pCR\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="t.csv"):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(raw)
        return tmp_path

    return write


@pytest.fixture
def write_xlsx(tmp_path):
    def write(rows, name="t.xlsx"):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(tmp_path / name)
        return tmp_path

    return write


def read(folder, file="t.csv", **section):
    return whole(folder, file, **section).cells


def whole(folder, file="t.csv", **section):
    return read_table(folder, TableSection(file=file, **section))


def test_cells_are_stripped_text_under_the_rows_that_a_reader_sees(write):
    table = read(write(HEADER + "P1, 45 ,0\n\n,,\nP2,,1\n"))
    assert list(table.index) == [2, 5]
    assert table.index.name == "row"
    assert table.to_dict("records") == [
        {"patient_id": "P1", "age": "45", "pCR": "0"},
        {"patient_id": "P2", "age": "", "pCR": "1"},
    ]


@pytest.mark.parametrize("name", ["bom_utf8.csv", "ok_reference.xlsx", "xlsx_named.csv"])
def test_every_spelling_of_the_reference_table_reads_the_same(reference, name):
    folder = reference / "bad_inputs" / "table"
    assert read(folder, name).equals(read(folder, "ok_reference.csv"))


def test_decimal_commas_of_a_column_of_numbers_become_points(reference):
    table = read(reference / "bad_inputs" / "table", "semicolon_comma_decimal.csv")
    assert list(table["Ki67"])[:2] == ["30.5", "60.5"]


def test_a_table_in_another_encoding_is_refused_and_named(reference):
    folder = reference / "bad_inputs" / "table"
    with pytest.raises(TableError, match=r"expected text in utf-8, got other bytes.*'gb18030'"):
        read(folder, "gbk_chinese_headers.csv", encoding="utf-8")


@pytest.mark.parametrize("stated", [{}, {"encoding": "gbk"}])
def test_chinese_text_is_found_from_its_bytes_or_stated(reference, stated):
    table = whole(reference / "bad_inputs" / "table", "gbk_chinese_headers.csv", **stated)
    assert "年龄" in table.names
    assert table.notes == (() if stated else ("Read as GB18030 text.",))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.csv", "expected a table of 1 to"),
        ("header_only.csv", "expected patients, got only a header"),
        ("absent.csv", "expected a patient table, found no file"),
    ],
)
def test_a_table_without_patients_is_refused(reference, name, words):
    with pytest.raises(TableError, match=words):
        read(reference / "bad_inputs" / "table", name)


def test_a_table_with_two_header_rows_is_refused(shared):
    folder = shared / "data" / "tables_impress"
    with pytest.raises(TableError, match="expected each column name once"):
        read(folder, "features_pathologists_HER2+.csv")


def test_real_public_tables_are_read_whole(shared):
    folder = shared / "data" / "tables_transneo"
    assert len(read(folder, "transneo_discovery_clinical_168.csv")) == 168


def test_a_sheet_is_chosen_by_name(shared):
    name = next((shared / "data" / "tables_ispy1").glob("*.xlsx")).name
    table = read(shared / "data" / "tables_ispy1", name, sheet="TCIA Outcomes Subset")
    assert len(table) == 221
    with pytest.raises(TableError, match="expected a sheet named 'X', got"):
        read(shared / "data" / "tables_ispy1", name, sheet="X")


@pytest.mark.parametrize(
    ("content", "section", "words"),
    [
        (HEADER + "P1,30,5,0\n", {}, r"row 2: expected 3 cells as in the header, got 4"),
        (HEADER + "P1,30\n", {}, r"row 2: expected 3 cells as in the header, got 2"),
        (HEADER + "P1,30,0\n", {"encoding": "klingon"}, "expected a known text encoding"),
        (HEADER + "P1,30,0\n", {"encoding": "utf\0"}, r"a known text encoding, got 'utf\\x00'"),
        (HEADER + "P1,30,0\n", {"separator": "\n"}, "expected a separator of one character"),
        (HEADER + "P1,30,0\n", {"separator": "\0"}, "expected a separator of one character"),
        (HEADER + "P1,30,0\n", {"separator": "::"}, "expected a separator of one character"),
        (b"\x00\x01\x02", {}, "got binary data"),
        (b"\xd0\xcf\x11\xe0 old excel", {}, r"got an old \.xls"),
        (b"PK\x03\x04 no zip", {}, "expected a whole XLSX file"),
        ("a,a\n1,2\n", {}, r"expected each column name once, got \['a'\]"),
        ("\n\n", {}, "got an empty table"),
    ],
)
def test_a_broken_table_is_refused_in_one_sentence(write, content, section, words):
    with pytest.raises(TableError, match=words) as caught:
        read(write(content), **section)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["t\0.csv", "loop.csv", "x" * 5000])
def test_a_table_path_that_cannot_be_is_refused(write, file):
    folder = write(HEADER + "P1,30,0\n")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    with pytest.raises(TableError, match=r"table\.file: expected a readable file, got: "):
        read(folder, file)


def test_a_table_outside_the_cohort_folder_is_refused(write):
    folder = write(HEADER + "P1,30,0\n") / "cohort"
    folder.mkdir()
    with pytest.raises(TableError, match="expected a table inside the cohort folder"):
        read(folder, "../t.csv")


def test_cells_of_a_spreadsheet_become_what_their_reader_sees(write_xlsx):
    folder = write_xlsx([["patient_id", "age", "ki67", None], ["P1", 45.0, 0.3], [7, 30.5, None]])
    book = openpyxl.load_workbook(folder / "t.xlsx")
    book.active["C2"].number_format = FORMAT_PERCENTAGE
    book.save(folder / "t.xlsx")
    table = read(folder, "t.xlsx", decimal=",")
    assert table.to_dict("records") == [
        {"patient_id": "P1", "age": "45", "ki67": "30%"},
        {"patient_id": "7", "age": "30,5", "ki67": ""},
    ]


def test_a_formula_that_was_never_computed_is_named_by_its_cell(write_xlsx):
    folder = write_xlsx([["patient_id", "age"], ["P1", "=40+5"]])
    table = whole(folder, "t.xlsx")
    table.need(["patient_id"])
    with pytest.raises(TableError, match="cell B2: expected a value, got a formula"):
        table.need(["age"])
