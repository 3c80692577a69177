"""Any table of labels and probabilities: what is read, what is refused, and in which words."""

import numpy as np
import openpyxl
import pytest

from neoresponse.cohort.label_table import read_label_table
from neoresponse.errors import TableError

TEXT = "id,pCR,p\na,1,0.8\nb,0,0.2\nc,0,0.4\n"


def read(path, content=TEXT, **columns):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_label_table(path, **({"label": "pCR", "columns": ["p"]} | columns))


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", ";").replace("0.", "0,").encode(),
        TEXT.replace("b,", "Bär,").encode("cp1252"),
        TEXT.replace("b,", "患者,").encode("gb18030"),
        TEXT.replace("0.8", "80%").replace("0.4", "4e-1").encode(),
        TEXT.replace("id,", '"a name, quoted",').encode(),
    ],
)
def test_a_table_is_read_as_any_spreadsheet_writes_it(tmp_path, content):
    table = read(tmp_path / "t.csv", content)
    assert table.label.tolist() == [1, 0, 0]
    assert table.values["p"].tolist() == [0.8, 0.2, 0.4]


def test_a_workbook_is_read_too(tmp_path):
    book = openpyxl.Workbook()
    for row in (("pCR", "p"), (True, 0.8), (False, 0.2)):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    table = read_label_table(tmp_path / "t.xlsx", label="pCR", columns=["p"])
    assert table.label.tolist() == [1, 0]


@pytest.mark.parametrize(
    "words",
    [
        ("1", "0"),
        ("1.0", "0.0"),
        ("TRUE", "false"),
        ("Yes", "NO"),
        ("pCR", "RD"),
        ("PCR", "non-pCR"),
    ],
)
def test_outcomes_have_several_words_in_small_or_capital_letters(tmp_path, words):
    content = f"pCR,p\n{words[0]},0.8\n{words[1]},0.2\n"
    assert read(tmp_path / "t.csv", content).label.tolist() == [1, 0]


def test_rows_without_a_value_are_left_out_and_counted_by_column(tmp_path):
    content = "pCR,p,q\n1,0.8,0.7\n,0.2,0.1\n0,NA,\n0,0.4,0.5\n"
    table = read(tmp_path / "t.csv", content, columns=["p", "q"])
    assert table.values["q"].tolist() == [0.7, 0.5]
    assert (table.num_rows, table.num_left_out) == (4, 2)
    assert table.num_missing == {"pCR": 1, "p": 1, "q": 1}


def test_a_number_that_is_no_probability_is_named_with_its_row(tmp_path):
    table = read(tmp_path / "t.csv", "pCR,p\n1,0.8\n0,-1.5\n0,2\n")
    assert table.not_probability == {"p": (3, -1.5)}


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (
            TEXT.replace("b,0", "b,maybe"),
            {},
            r"column 'pCR': .*, got '0', '1', 'maybe'\. Say which",
        ),
        (TEXT.replace("b,0", "b,2"), {}, r"got '0', '1', '2'\. Say which .* \(--pcr VALUE\)"),
        (TEXT.replace("0.4", "high"), {}, r"row 4, p: expected a number such as 0\.83, got 'high'"),
        (TEXT.replace("0.4", "inf"), {}, r"row 4, p: expected a number such as 0\.83, got 'inf'"),
        (TEXT.replace("0.4", "1.234,5"), {}, "expected 3 cells"),
        (TEXT, {"columns": ["q"]}, r"expected columns \['q'\], got \['id', 'pCR', 'p'\]"),
        (TEXT, {"columns": ["p", "p"]}, "expected different columns"),
        ("pCR,p\n,0.5\n1,\n0,\n", {}, "expected patients with pCR, p, got none"),
        ("pCR,p\n", {}, "got a header alone"),
        ("pCR,p,p\n1,0.2,0.3\n", {}, "expected each column name once"),
        (b"", {}, "expected a table of 1 to"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", {}, "got binary data"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path, content, columns, message):
    with pytest.raises(TableError, match=message):
        read(tmp_path / "t.csv", content, **columns)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(TableError, match="found nothing"):
        read_label_table(tmp_path / "none.csv", label="a", columns=["b"])
    with pytest.raises(TableError, match="found a folder"):
        read_label_table(tmp_path, label="a", columns=["b"])


def test_no_number_is_rounded_on_the_way(tmp_path):
    values = np.random.default_rng(1).random(50)
    rows = "".join(f"{n % 2},{value!r}\n" for n, value in enumerate(values.tolist()))
    assert read(tmp_path / "t.csv", f"pCR,p\n{rows}").values["p"].tolist() == values.tolist()
