"""The verbs `describe` and `regress`, and what they write."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.contracts.predictions import Prediction, write_predictions
from neoresponse.describe import (
    Columns,
    landscape,
    levels,
    number,
    table_of_file,
)
from neoresponse.folders import RECORD
from neoresponse.report.landscape import MISSING_COLOUR, landscape_figure, pixels_of
from neoresponse.types import RESEARCH_USE, SIMULATED

ROWS = [
    (f"P{n}", n % 3 == 0, 30 + n % 17 + 4 * (n % 3 == 0), "abc"[n % 5 % 3], n % 4, n / 100)
    for n in range(90)
]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "cohort.csv"
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(("id", "outcome", "size", "kind", "part", "score"))
        for name, is_pcr, size, kind, quarter, score in ROWS:
            part = "train" if quarter else "TC1"
            writer.writerow((name, "pCR" if is_pcr else "RD", size, kind, part, score))
    return file


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


OPTIONS = ("--label", "outcome", "--pcr", "pCR", "--split", "part")


def test_describe_prints_both_tables(path):
    result = call("describe", path, *OPTIONS)
    assert result.exit_code == 0, result.output
    assert "Patients by outcome: cohort" in result.output
    assert "Patients by part of the split: cohort" in result.output
    assert RESEARCH_USE in result.output


def test_describe_writes_tables_and_landscape(path, tmp_path):
    out = tmp_path / "out"
    result = call("describe", path, out, *OPTIONS, "--probability", "score")
    assert result.exit_code == 0, result.output
    assert {file.name for file in out.iterdir()} - {RECORD} == {
        *("describe.json", "tables.html", "tables.md", "outcome.csv", "parts.csv"),
        *("landscape.csv", "landscape.svg"),
    }
    assert "<svg" in (out / "tables.html").read_text()
    content = json.loads((out / "describe.json").read_text())
    assert content["outcome"]["sizes"] == {"all": 90, "pCR": 30, "residual": 60}


def test_no_file_holds_a_patients_name(path, tmp_path):
    call("describe", path, tmp_path / "out", *OPTIONS)
    call("regress", path, tmp_path / "again", *OPTIONS)
    written = [*(tmp_path / "out").iterdir(), *(tmp_path / "again").iterdir()]
    assert len(written) == 14
    for file in written:
        assert not re.search(r"\bP\d+\b", file.read_text()), file.name


def test_json_is_json(path):
    found = json.loads(call("describe", path, *OPTIONS, "--json").output)
    assert found["parts"]["reference"] == "train"
    found = json.loads(call("regress", path, *OPTIONS, "--json").output)
    assert found["fitted_on"] == "train"


def test_regress_writes_both_tables(path, tmp_path):
    out = tmp_path / "out"
    result = call("regress", path, out, *OPTIONS, "--p-limit", "1", "--reference", "kind=b")
    assert result.exit_code == 0, result.output
    assert "Multivariable logistic regression: cohort, train" in result.output
    rows = list(csv.reader((out / "multivariable.csv").read_text().splitlines()))
    assert any(row[0] == "  b" and row[2] == "1 (ref)" for row in rows)


def test_the_same_table_gives_the_same_bytes(path, tmp_path):
    for name in ("one", "two"):
        call("describe", path, tmp_path / name, *OPTIONS, "--probability", "score")
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_columns_can_be_chosen(path):
    result = call("describe", path, *OPTIONS, "--column", "kind")
    assert "kind, n (%)" in result.output
    assert "size" not in result.output


def test_a_table_needs_its_outcome_named(path):
    result = call("describe", path)
    assert result.exit_code == 2
    assert "--label: expected the outcome column" in result.output


def test_a_cohort_folder_needs_no_outcome_named(phantom):
    result = call("describe", phantom / "cohort", "--label", "pcr")
    assert result.exit_code == 2
    assert "expected none of these with a cohort folder" in result.output


def test_a_pair_needs_its_equal_sign(path):
    result = call("regress", path, *OPTIONS, "--reference", "kind")
    assert result.exit_code == 2
    assert "--reference: expected COLUMN=VALUE, got 'kind'" in result.output


def test_a_cohort_folder_is_described_and_says_simulated(phantom, tmp_path):
    out = tmp_path / "out"
    result = call("describe", phantom / "cohort", out, "--column", "er", "--column", "age_years")
    assert result.exit_code == 0, result.output
    for name in ("tables.html", "tables.md", "outcome.csv", "landscape.csv"):
        assert SIMULATED in (out / name).read_text(), name
    assert SIMULATED in result.output


def test_predictions_sort_the_landscape_of_a_cohort(phantom, checked, tmp_path):
    rows = [
        Prediction(one.patient_id, "TC1", "test", one.label, place / 100, ())
        for place, one in enumerate(checked.patients)
    ]
    write_predictions(tmp_path / "predictions.csv", rows)
    out = tmp_path / "out"
    words = ("--probability", tmp_path / "predictions.csv")
    result = call("describe", phantom / "cohort", out, *words)
    assert result.exit_code == 0, result.output
    with (out / "landscape.csv").open(newline="") as file:
        drawn = list(csv.DictReader(file))
    found = [float(row["probability"]) for row in drawn if row["label"] == "1"]
    assert found == sorted((row.probability for row in rows if row.label == 1), reverse=True)


def test_a_picture_of_simulated_patients_is_marked(path):
    table = table_of_file(path, Columns("outcome", pcr="pCR"))
    plain = landscape(table)
    assert landscape_figure(replace(plain, is_simulated=True)) != landscape_figure(plain)


def test_missing_values_are_drawn_in_their_own_colour():
    white = (1.0, 1.0, 1.0)
    assert MISSING_COLOUR == "#FFFFFF"
    for row in (number("x", [1.0, None, 3.0]), levels("g", ["a", None, "b"])):
        pixels = pixels_of(row, ["#000000", "#123456"])
        assert [tuple(pixel) == white for pixel in np.round(pixels, 9)] == [False, True, False]
