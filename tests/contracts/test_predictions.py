import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.contracts.predictions import (
    Prediction,
    predictions_csv,
    read_predictions,
    write_predictions,
)
from neoresponse.errors import RunError
from neoresponse.types import Modality

HEADER = "patient_id,cohort,split,label,probability,available\n"
ROW = "P1,TC1,test,1,0.25,biopsy+us_0\n"


def prediction(patient_id="P1", probability=0.1, label=1, split="test"):
    available = (Modality.BIOPSY, Modality.US_0)
    return Prediction(patient_id, "TC1", split, label, probability, available)


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "predictions.csv"
    rows = [prediction(), prediction('a, "b"\nc', 1 / 3, None), prediction("é", 5e-324, 0)]
    write_predictions(path, rows)
    assert read_predictions(path) == rows


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.floats(0, 1))
def test_no_digit_of_a_probability_is_lost(probability):
    text = predictions_csv([prediction(probability=probability)])
    assert float(text.splitlines()[1].split(",")[4]) == probability


def test_an_unknown_label_is_written_as_nothing():
    assert predictions_csv([prediction(label=None)]) == (f"{HEADER}P1,TC1,test,,0.1,biopsy+us_0\n")


def test_a_patient_without_inputs_is_read(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(HEADER + "P1,TC1,test,1,0.25,\n")
    assert read_predictions(path)[0].available == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected the columns ['patient_id'"),
        ("patient_id,label\nP1,1\n", "expected the columns ['patient_id'"),
        (HEADER, "expected at least one patient, got none"),
        (HEADER + ROW + ROW, "patient 'P1': expected one row, got two"),
        (HEADER + "P1,TC1,test,1,0.25\n", "line 2: expected 6 values"),
        (HEADER + "P1,TC1,test,1,0.25,,more\n", "line 2: expected 6 values"),
        (HEADER + ROW.replace("P1", ""), "line 2: patient_id: expected a name"),
        (HEADER + ROW.replace("TC1", ""), "line 2: cohort: expected a name"),
        (HEADER + ROW.replace(",1,", ",yes,"), "label: expected 0, 1 or nothing, got 'yes'"),
        (HEADER + ROW.replace("0.25", "1.25"), "expected a number from 0 to 1, got '1.25'"),
        (HEADER + ROW.replace("0.25", "nan"), "expected a number from 0 to 1, got 'nan'"),
        (HEADER + ROW.replace("0.25", "high"), "expected a number from 0 to 1, got 'high'"),
        (HEADER + ROW.replace("test", "tests"), "split: expected one of ['train'"),
        (HEADER + ROW.replace("us_0", "us_9"), "available: expected names of ['biopsy'"),
        (HEADER + 'P1,"TC1,test\n', "expected CSV in UTF-8, got unexpected end of data"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "predictions.csv"
    path.write_text(content)
    with pytest.raises(RunError, match=re.escape(message)) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)
    assert "neoresponse predict" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match="expected this file, got none"):
        read_predictions(tmp_path / "predictions.csv")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([prediction(probability=float("nan"))], "patient 1: probability"),
        ([prediction(label=2)], "patient 1: label"),
        ([prediction(), prediction()], "expected one row, got two"),
    ],
)
def test_impossible_predictions_are_not_written(tmp_path, rows, message):
    path = tmp_path / "predictions.csv"
    with pytest.raises(RunError, match=message):
        write_predictions(path, rows)
    assert not path.exists()
