"""The simulated hospital's table and `cohort.toml`."""

import csv
import re
import zipfile

import numpy as np
import openpyxl
import pytest

from neoresponse.cohort.dictionary import CLINICAL, KNOWN_COLUMNS, Levels, load_cohort_file
from neoresponse.phantom import table
from neoresponse.phantom.tumour import PRESETS, draw_patient
from neoresponse.settings import PhantomSettings


@pytest.fixture(scope="module")
def row():
    patient = draw_patient(
        np.random.default_rng(0),
        index=0,
        stratum=("unifocal", 1),
        effects=PRESETS["guo2024"],
    )
    words = dict.fromkeys([*table.COLUMNS, *table.UNUSED_COLUMNS], "x")
    return {**words, "patient_id": "P0001", "pcr": "1", "focality": "unifocal", **patient.clinical}


def test_every_word_has_a_column_of_another_name():
    assert set(table.COLUMNS) == set(KNOWN_COLUMNS)
    assert not set(table.COLUMNS.values()) & set(KNOWN_COLUMNS)
    assert len(set(table.COLUMNS.values())) == len(table.COLUMNS)


def test_codes_lead_to_our_levels_one_to_one():
    for word, codes in table.CODES.items():
        assert len(set(codes.values())) == len(codes)
        rule = CLINICAL.get(word)
        if isinstance(rule, Levels):
            assert set(codes.values()) <= set(rule.words)


def test_whole_numbers_are_written_without_a_decimal_point(tmp_path, row):
    table.write_table(tmp_path, [row], file_type="csv")
    with (tmp_path / "patients.csv").open(encoding="utf-8", newline="") as file:
        written = next(csv.DictReader(file))
    assert written["Age"] == str(int(row["age_years"]))
    assert written["Pathology result"] == "pCR"


def test_a_workbook_holds_the_same_values_as_the_csv(tmp_path, row):
    for file_type in ("csv", "xlsx"):
        table.write_table(tmp_path, [row], file_type=file_type)
    book = openpyxl.load_workbook(tmp_path / "patients.xlsx", read_only=True)
    lines = list(book["Patients"].iter_rows(values_only=True))
    book.close()
    with (tmp_path / "patients.csv").open(encoding="utf-8", newline="") as file:
        assert [[str(value) for value in line] for line in lines] == list(csv.reader(file))


def test_a_workbook_has_no_clock_in_it(tmp_path, row):
    table.write_table(tmp_path, [row], file_type="xlsx")
    with zipfile.ZipFile(tmp_path / "patients.xlsx") as book:
        assert {member.date_time[0] for member in book.infolist()} == {1980}
        properties = book.read("docProps/core.xml").decode()
    assert set(re.findall(r"\d{4}-\d\d-\d\dT", properties)) == {"1980-01-01T"}


@pytest.mark.parametrize("file_type", ["csv", "xlsx"])
def test_the_cohort_file_names_the_table(tmp_path, file_type):
    table.write_cohort_file(tmp_path, PhantomSettings(preset="null", table=file_type), seed=5)
    cohort = load_cohort_file(tmp_path)
    assert cohort.table.file == f"patients.{file_type}"
    assert cohort.name == "Phantom null, seed 5"
