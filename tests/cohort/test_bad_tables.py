"""Every damaged public table: accepted as it should be, or refused by naming row and column."""

import pytest

from neoresponse.cohort import check_cohort
from neoresponse.types import Severity

TOML = """\
schema = "neoresponse.cohort/1"
name = "Bad tables"
[table]
file = "{file}"
{more}
[codes]
er = {{ "1" = "positive", "0" = "negative" }}
pr = {{ "1" = "positive", "0" = "negative" }}
her2 = {{ "1" = "positive", "0" = "negative" }}
[codes.regimen]
TEC = "anthracycline+taxane"
"EC-T" = "anthracycline+taxane"
TCbH = "anti-HER2"
TCbHP = "anti-HER2"
[columns]
patient_id = "patient_id"
age_years = "age"
er = "ER"
pr = "PR"
her2 = "HER2"
ki67_percent = "Ki67"
regimen = "regimen"
pcr = "pCR"
"""


@pytest.fixture
def check(reference, tmp_path):
    def check(file, more="", **options):
        content = (reference / "bad_inputs" / "table" / file).read_bytes()
        (tmp_path / file).write_bytes(content)
        (tmp_path / "cohort.toml").write_text(TOML.format(file=file, more=more))
        return check_cohort(tmp_path, **options)

    return check


def messages(checked, severity):
    return [f.message for f in checked.findings if f.severity is severity]


@pytest.mark.parametrize(
    "file", ["ok_reference.csv", "ok_reference.xlsx", "bom_utf8.csv", "xlsx_named.csv"]
)
def test_a_good_table_is_accepted_whole(check, file):
    checked = check(file)
    assert len(checked.patients) == 12
    assert checked.patients[0].clinical["ki67_percent"] == 30
    assert not messages(checked, Severity.EXCLUDE)


@pytest.mark.parametrize("more", ["", 'decimal = ","'])
def test_a_decimal_comma_is_read_where_it_is_stated_or_found(check, more):
    checked = check("semicolon_comma_decimal.csv", more=more)
    assert checked.patients[0].clinical["ki67_percent"] == 30.5
    said = any("Read with decimal commas: 'Ki67'" in m for m in messages(checked, Severity.NOTE))
    assert said == (not more)


def test_a_decimal_comma_is_refused_where_a_point_is_stated(check):
    refused = check("semicolon_comma_decimal.csv", more='decimal = "."')
    assert not refused.patients
    assert "row 2, column 'Ki67'" in messages(refused, Severity.EXCLUDE)[0]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("empty.csv", "expected a table of 1 to"),
        ("header_only.csv", "got only a header"),
        ("gbk_chinese_headers.csv", "expected a column 'patient_id' for patient_id"),
        ("missing_label_column.csv", "expected a column 'pCR' for pcr"),
        ("one_class.csv", "got only residual disease"),
    ],
)
def test_a_table_that_cannot_be_trained_on_stops(check, file, words):
    message = messages(check(file), Severity.STOP)[0]
    assert words in message


@pytest.mark.parametrize("more", ["", 'encoding = "gbk"'])
def test_a_chinese_table_is_read_through_its_mapping(reference, tmp_path, more):
    file = "gbk_chinese_headers.csv"
    content = (reference / "bad_inputs" / "table" / file).read_bytes()
    header = content.decode("gbk").splitlines()[0].split(",")
    (tmp_path / file).write_bytes(content)
    toml = TOML.format(file=file, more=more).replace('"age"', f'"{header[1]}"')
    toml = toml.replace('= "patient_id"', f'= "{header[0]}"').replace('"pCR"', f'"{header[7]}"')
    regimen = content.decode("gbk").splitlines()[1].split(",")[6]
    toml = toml.replace('"regimen"', f'"{header[6]}"').replace("TEC =", f'"{regimen}" =')
    (tmp_path / "cohort.toml").write_text(toml, encoding="utf-8")
    assert len(check_cohort(tmp_path).patients) == 12


def test_both_rows_of_a_patient_with_two_outcomes_are_left_out(check):
    checked = check("duplicate_ids.csv")
    found = messages(checked, Severity.EXCLUDE)
    assert len(checked.patients) == 11
    assert len(found) == 2
    assert all(m.startswith("P003, row") and "different outcomes" in m for m in found)


def test_each_impossible_value_is_named_by_row_and_column(check):
    checked = check("impossible_values.csv")
    found = messages(checked, Severity.EXCLUDE)
    for place in (
        "P001, row 2, column 'age'",
        "P001, row 2, column 'ER'",
        "P001, row 2, column 'Ki67'",
        "P002, row 3, column 'age'",
        "P002, row 3, column 'Ki67'",
    ):
        assert sum(message.startswith(place) for message in found) == 1
    assert len(checked.patients) == 10


def test_every_spelling_of_missing_is_missing_and_never_zero(check):
    checked = check("missing_values_mixed.csv")
    known = {
        p.patient_id: p.clinical["ki67_percent"]
        for p in checked.patients
        if "ki67_percent" in p.clinical
    }
    assert len(checked.patients) == 12
    assert set(known) == {"P007", "P008", "P009", "P010", "P011"}
    assert min(known.values()) == 10


def test_a_table_without_outcome_is_accepted_for_prediction(check, tmp_path):
    check("missing_label_column.csv")
    text = (tmp_path / "cohort.toml").read_text().replace('pcr = "pCR"\n', "")
    (tmp_path / "cohort.toml").write_text(text)
    checked = check_cohort(tmp_path, need_label=False)
    assert len(checked.patients) == 12
    assert not messages(checked, Severity.STOP)
