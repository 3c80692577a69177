"""Any table of labels and probabilities: what is read, what is refused, and in which words."""

import numpy as np
import openpyxl
import pytest

from neoresponse.cohort.doubts import number_doubts
from neoresponse.cohort.label_table import Meaning, read_label_table
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
        ("pCR,p\n", {}, "got only a header"),
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


def column(*texts, names="y,p"):
    """A table whose first two rows have both outcomes."""
    return names + "\n" + "".join(f"{place % 2},{text}\n" for place, text in enumerate(texts))


@pytest.mark.parametrize(("text", "value"), [("1.0000001", 1), ("-1e-9", 0), ("1.0000009", 1)])
def test_a_probability_that_rounding_put_outside_is_clipped_and_said(tmp_path, text, value):
    table = read(tmp_path / "t.csv", column("0.3", "0.4", text), label="y")
    assert table.values["p"].tolist() == [0.3, 0.4, value]
    assert table.not_probability == {}
    assert f"{float(text)!r} (row 4)" in table.notes[0]


def test_scores_stay_scores_and_the_number_is_kept_whole(tmp_path):
    table = read(tmp_path / "t.csv", column("0.3", "1.0000011", "-2.5"), label="y")
    assert table.not_probability == {"p": (3, 1.0000011)}
    assert table.values["p"].tolist() == [0.3, 1.0000011, -2.5]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["32.6", "41.2", "0.326", "0.21"], r"got 0\.326 \(row 4\) beside 32\.6 \(row 2\)"),
        (["0.3", "0.4", "0.2", "65.1"], r"percents in row 5\. Write all as probabilities"),
        (["32.6", "41.2", "88", "0.326"], "shares of one in row 5"),
    ],
)
def test_a_column_of_two_scales_is_refused_and_its_rows_named(tmp_path, texts, message):
    with pytest.raises(TableError, match=message):
        read(tmp_path / "t.csv", column(*texts), label="y")


@pytest.mark.parametrize(
    "texts",
    [
        ["0.7", "1.3", "12.5", "44"],  # percents, low ones among them
        ["0.3", "1.7", "2.4", "0.9"],  # scores
        ["32.6%", "0.326", "41%", "0.2"],
        ["-0.4", "0.5", "12", "30"],  # logits
    ],
)
def test_one_scale_is_not_refused(tmp_path, texts):
    assert len(read(tmp_path / "t.csv", column(*texts), label="y").label) == 4


@pytest.mark.parametrize(("text", "where"), [("-9", "row 6"), ("999", "row 6"), ("-1", "row 6")])
def test_a_code_for_missing_among_probabilities_is_asked_about(tmp_path, text, where):
    content = column("0.3", "0.4", "0.2", "0.6", text)
    with pytest.raises(TableError, match=rf"got {text} in {where}.*--missing {text}"):
        read(tmp_path / "t.csv", content, label="y")
    table = read(tmp_path / "t.csv", content, label="y", meaning=Meaning(missing=(text,)))
    assert table.values["p"].tolist() == [0.3, 0.4, 0.2, 0.6]


REPEATED = "Patient,y,p\na,1,0.8\na,1,0.6\nb,0,0.2\n"


@pytest.mark.parametrize("name", ["Patient", "patient_id", "ID"])
def test_repeated_patients_are_refused_until_their_column_is_named(tmp_path, name):
    content = REPEATED.replace("Patient", name)
    with pytest.raises(TableError, match=rf"got 2 patients in 3 rows.*--patient '{name}'"):
        read(tmp_path / "t.csv", content, label="y")
    table = read(tmp_path / "t.csv", content, label="y", meaning=Meaning(patient=name))
    assert table.label.tolist() == [1, 0]
    assert table.values["p"].tolist() == [pytest.approx(0.7), 0.2]
    assert (table.num_rows, table.num_left_out) == (3, 0)
    assert table.notes == (f"3 rows averaged to 2 patients by column '{name}'.",)


def test_a_repeated_patient_with_two_outcomes_is_refused(tmp_path):
    content = REPEATED.replace("a,1,0.6", "a,0,0.6")
    with pytest.raises(TableError, match="rows 2, 3: expected one outcome of a patient, got both"):
        read(tmp_path / "t.csv", content, label="y", meaning=Meaning(patient="Patient"))


def test_equal_rows_of_a_table_without_names_are_said(tmp_path):
    rows = [f"0.{n}12345" for n in range(10)]
    table = read(tmp_path / "t.csv", column(*rows, *rows), label="y")
    assert table.notes[0].startswith("10 of 20 rows repeat another row.")
    assert read(tmp_path / "t.csv", column("0.5", "0.5", "0.5", "0.5"), label="y").notes == ()


@pytest.mark.parametrize("text", ["1.0", "2024-01-05", "5-Jan"])
def test_ids_that_a_spreadsheet_changed_are_said(tmp_path, text):
    table = read(tmp_path / "t.csv", TEXT.replace("a,", f"{text},"))
    assert f"such as '{text}' in row 2" in table.notes[0]


@pytest.mark.parametrize(
    ("name", "texts", "words"),
    [
        ("Ki-67", ("15", "20", "0.25", "30"), "expected percents, got 0.25 in row 4 beside 15"),
        ("ki67_percent", ("0.15", "0.2", "0.3"), "got 0.15 in 3 rows (2, 3, 4) and none above 1"),
        ("ki67", ("20%", "15", "0.25"), "expected percents, got 0.25 in row 4 beside 15"),
        ("size_mm", ("1.9", "2.5", "3"), "got 1.9 to 3, as sizes in cm are"),
        ("grade", ("1", "2", "3", "3", "9"), "(1 to 3), got 9 in row 6"),
        ("age", ("41", "55", "63", "-9"), "(41 to 63), got -9 in row 5"),
    ],
)
def test_a_value_that_is_probably_another_is_asked_about(name, texts, words):
    cells = dict(enumerate(texts, start=2))
    (sentence,) = number_doubts(name, cells)
    assert words in sentence


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("ki67", ("15", "20", "99", "90")),
        ("ki67", ("20%", "15%", "1%")),
        ("size_mm", ("19", "25", "8.5")),
        ("age", ("41", "55", "99", "80")),
        ("nodes", ("0", "4", "9", "12")),
        ("change", ("-1", "-2", "3", "4")),
    ],
)
def test_plausible_numbers_raise_no_question(name, texts):
    assert number_doubts(name, dict(enumerate(texts, start=2))) == []
