"""Any table, or a cohort folder, as patients with variables; and how grids are shown."""

import csv
import io
import json

import pytest

from neoresponse.cohort import write_split
from neoresponse.describe import (
    Columns,
    Grid,
    as_csv,
    as_html,
    as_markdown,
    as_text,
    landscape,
    landscape_csv,
    table_of_cohort,
    table_of_file,
)
from neoresponse.errors import CohortError, ConfigError, TableError
from neoresponse.types import SIMULATED

CSV = """\
id,outcome,age,grade,er,part,score
P1,pCR,41.5,2,negative,train,0.9
P2,RD,52,3,positive,train,0.2
P3,,61,3,positive,train,0.3
P4,RD,NA,1,low,TC1,0.4
P5,pCR,44,2,positive,TC1,
P6,RD,38,2,,,0.1
"""
COLUMNS = Columns("outcome", pcr="pCR")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "cohort.csv"
    file.write_text(CSV)
    return file


def by_name(table):
    return {one.name: one for one in table.variables}


def test_patients_without_an_outcome_are_left_out_and_counted(path):
    table = table_of_file(path, COLUMNS)
    assert table.label.tolist() == [1, 0, 0, 1, 0]
    assert "1 patients without a known outcome left out." in table.notes


def test_columns_that_name_patients_are_left_out_and_said(path):
    table = table_of_file(path, COLUMNS)
    assert "id" not in by_name(table)
    assert any("id (no two patients share a value)" in note for note in table.notes)


def test_a_name_that_stands_twice_is_asked_about_and_not_shown(tmp_path):
    file = tmp_path / "t.csv"
    names = ["Ann", "Bea", "Cleo", "Dora", "Eva", "Fay", "Gia", "Ann"]
    file.write_text("y,name,x\n" + "".join(f"{n % 2},{w},{n % 3}\n" for n, w in enumerate(names)))
    table = table_of_file(file, Columns("y"))
    assert list(by_name(table)) == ["x"]
    expected = "name (7 different values in 8 rows: does a patient have two rows?)"
    assert any(expected in note for note in table.notes)


def test_fractions_are_numbers_and_codes_are_levels(path):
    found = by_name(table_of_file(path, COLUMNS))
    assert (found["age"].levels, found["grade"].levels) == ((), ("1", "2", "3"))


def test_a_kind_can_be_said(path):
    columns = Columns("outcome", pcr="pCR", kinds={"grade": "number"})
    assert by_name(table_of_file(path, columns))["grade"].levels == ()


def test_our_own_words_keep_their_order(path):
    assert by_name(table_of_file(path, COLUMNS))["er"].levels == ("negative", "low", "positive")


def test_missing_is_a_mask(path):
    age = by_name(table_of_file(path, COLUMNS))["age"]
    assert age.is_known.tolist() == [True, True, False, True, True]


def test_patients_without_a_part_are_left_out_and_counted(path):
    table = table_of_file(path, Columns("outcome", pcr="pCR", part="part"))
    assert (table.parts, len(table.label)) == (("train", "TC1"), 4)
    assert "1 patients without a part left out." in table.notes


def test_a_label_may_be_written_as_any_number(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("y,x\n1.0,3\n0,4\n1,5\n")
    with pytest.raises(
        TableError, match=r"column 'x': expected pCR and residual .*, got '3', '4', '5'"
    ):
        table_of_file(file.with_name("t.csv"), Columns("x"))
    assert table_of_file(file, Columns("y")).label.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("yes", "no"), [("pCR", "RD"), ("Yes", "No"), ("1.00", "0"), ("TRUE", "F")]
)
def test_the_usual_words_for_pcr_need_no_option(tmp_path, yes, no):
    file = tmp_path / "t.csv"
    file.write_text(f"y,x\n{yes},3\n{no},4\n,5\n{yes},6\n")
    assert table_of_file(file, Columns("y")).label.tolist() == [1, 0, 1]


def test_an_outcome_of_three_values_is_refused(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("y,x\npCR,3\nRCB-I,4\nRCB-II,5\n")
    with pytest.raises(TableError, match=r"one other value, got 'RCB-I', 'RCB-II', 'pCR'"):
        table_of_file(file, Columns("y", pcr="pCR"))


def test_a_column_of_names_is_not_printed(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("name,x\n" + "".join(f"Name{n},{n % 2}\n" for n in range(30)))
    with pytest.raises(TableError, match="got 30 different values") as caught:
        table_of_file(file, Columns("name"))
    assert "Name3" not in str(caught.value)


def test_an_absent_column_is_refused(path):
    with pytest.raises(TableError, match=r"expected columns \['pcr'\], got \['id', 'outcome'"):
        table_of_file(path, Columns("pcr"))


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(TableError, match="expected a table, CSV or XLSX, found nothing"):
        table_of_file(tmp_path / "none.csv", COLUMNS)


def test_words_are_no_numbers(path):
    columns = Columns("outcome", pcr="pCR", kinds={"er": "number"})
    with pytest.raises(TableError, match="column 'er': expected numbers, got 4 other values"):
        table_of_file(path, columns)


def test_decimal_commas_are_read_and_said(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("y;x\n1;30,5\n0;41\n1;28,25\n")
    table = table_of_file(file, Columns("y"))
    assert by_name(table)["x"].values.tolist() == [30.5, 41, 28.25]
    assert "Read with decimal commas: 'x'." in table.notes


@pytest.mark.parametrize("rows", ["1;30,5\n0;41\n1;28.25\n", "1;1,234\n0;41\n1;30\n"])
def test_numbers_that_may_be_two_are_not_taken_for_words(tmp_path, rows):
    file = tmp_path / "t.csv"
    file.write_text("y;x\n" + rows)
    with pytest.raises(TableError, match="column 'x': expected numbers with one decimal mark"):
        table_of_file(file, Columns("y"))


def test_an_unknown_kind_is_refused(path):
    columns = Columns("outcome", pcr="pCR", kinds={"er": "ordinal"})
    with pytest.raises(ConfigError, match=r"kind of 'er': expected one of \['number', 'levels'\]"):
        table_of_file(path, columns)


def test_an_unknown_variable_is_refused(path):
    with pytest.raises(ConfigError, match=r"variables: expected some of .*, got \['ki67'\]"):
        table_of_file(path, COLUMNS).only(["ki67"])


def test_a_table_beside_a_phantoms_card_is_simulated(path):
    card = {"schema": "neoresponse.predictions/1", "cohort_name": "x", "threshold": None}
    (path.parent / "predictions.json").write_text(json.dumps({**card, "is_simulated": True}))
    assert table_of_file(path, COLUMNS).is_simulated


@pytest.fixture(scope="module")
def split(tmp_path_factory, assignments, tiny):
    folder = tmp_path_factory.mktemp("split")
    write_split(folder, assignments, tiny.train.augment, seed=tiny.seed)
    return folder


def test_a_cohort_folder_gives_the_patients_of_its_split(phantom, split, assignments):
    table = table_of_cohort(phantom / "cohort", split=split)
    assert table.is_simulated
    assert len(table.label) == len(assignments)
    assert table.label.sum() == sum(one.label for one in assignments)
    assert set(table.parts) == {"train", "validation", "TC1", "TC2"}
    assert {"phenotype", "er", "ki67_percent", "regimen", "focality"} <= set(by_name(table))


def test_a_split_of_other_patients_is_refused(phantom, tmp_path):
    header = "patient_id,cohort,split,label,is_multifocal\n"
    (tmp_path / "split.csv").write_text(header + "NOBODY,primary,train,1,0\n")
    with pytest.raises(CohortError, match=r"got 1 who do not\. Run split again"):
        table_of_cohort(phantom / "cohort", split=tmp_path)


def test_a_landscape_puts_pcr_first_and_probabilities_fall(path):
    drawn = landscape(table_of_file(path, Columns("outcome", pcr="pCR", probability="score")))
    assert drawn.label.tolist() == [1, 0, 0, 0]  # P5 has no probability
    assert drawn.probability.tolist() == [0.9, 0.4, 0.2, 0.1]


def test_probabilities_in_percent_are_shares_in_a_landscape(path):
    path.write_text(CSV.replace("0.9", "90%").replace("0.4", "40%"))
    drawn = landscape(table_of_file(path, Columns("outcome", pcr="pCR", probability="score")))
    assert drawn.probability.tolist() == [0.9, 0.4, 0.2, 0.1]


def test_a_landscape_without_probabilities_follows_the_variables(path):
    columns = Columns("outcome", pcr="pCR", variables=("grade", "age"))
    drawn = landscape(table_of_file(path, columns))
    rows = list(csv.DictReader(io.StringIO(landscape_csv(drawn))))
    assert [(row["label"], row["grade"], row["age"]) for row in rows] == [
        ("1", "2", "41.5"),
        ("1", "2", "44"),
        ("0", "1", ""),
        ("0", "2", "38"),
        ("0", "3", "52"),
    ]


def test_a_landscape_keeps_no_name(path):
    text = landscape_csv(landscape(table_of_file(path, COLUMNS)))
    assert not any(f"P{number}" in text for number in range(1, 7))


def test_a_probability_above_one_is_refused(path):
    columns = Columns("outcome", pcr="pCR", probability="age")
    with pytest.raises(CohortError, match="expected probabilities from 0 to 1"):
        landscape(table_of_file(path, columns))


GRID = Grid("T <b>", ("a|b", "n"), (("x", "1"), ("  <script>", "2")), ("note *",), True)


def test_every_form_of_a_simulated_table_says_so():
    for text in (as_text(GRID), as_csv(GRID), as_markdown(GRID), as_html("t", [GRID])):
        assert SIMULATED in text


def test_a_page_shows_names_as_text():
    page = as_html("t", [GRID])
    assert "<script>" not in page
    assert '<td class="level">&lt;script&gt;</td>' in page


def test_markdown_shows_marks_as_text():
    text = as_markdown(GRID)
    assert r"| a\|b | n |" in text
    assert r"- note \*" in text


def test_text_has_its_columns_under_each_other():
    lines = as_text(GRID).splitlines()
    assert lines[1] == "a|b         n"
    assert lines[4] == "  <script>  2"
