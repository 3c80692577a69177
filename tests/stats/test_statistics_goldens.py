"""Every number of stats against R 4.2.2 and pROC 1.18.0, within the tolerance they document."""

import csv
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from neoresponse.stats.compare import paired_delong
from neoresponse.stats.discrimination import auc, placements, roc_curve
from neoresponse.stats.interval import delong_interval, delong_variance, wilson_interval
from neoresponse.stats.logistic import fit_logistic
from neoresponse.stats.threshold import Confusion, confusion, rates, youden_threshold

RATES = {
    "acc": "accuracy",
    "sens": "sensitivity",
    "spec": "specificity",
    "ppv": "ppv",
    "npv": "npv",
}


@pytest.fixture(scope="session")
def goldens(shared: Path) -> Path:
    folder = shared / "goldens" / "statistics"
    if not folder.is_dir():
        pytest.skip("no reference statistics beside this checkout")
    return folder


@pytest.fixture(scope="session")
def roc_data(goldens: Path) -> dict[str, dict[str, np.ndarray]]:
    folder = goldens / "roc" / "data"
    return {p.name.split(".")[0]: numbers(read_table(p)) for p in sorted(folder.iterdir())}


def read_table(path: Path) -> dict[str, list[str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    header, *rows = csv.reader(text.splitlines())
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


def numbers(table: dict[str, list[str]]) -> dict[str, np.ndarray]:
    return {name: np.array([float(text) for text in values]) for name, values in table.items()}


def cases(folder: Path, name: str) -> list[dict]:
    return json.loads((folder / name).read_text())["cases"]


def close(value: float | None, expected: float, *, rel: float = 1e-12, at: float = 1e-15) -> bool:
    return value is not None and math.isclose(value, expected, rel_tol=rel, abs_tol=at)


def is_number(value: object) -> bool:
    return not isinstance(value, str)


def test_auc_and_delong_equal_proc(goldens, roc_data):
    for case in cases(goldens, "roc/single.json"):
        table = roc_data[case["dataset"]]
        label, score = table["label"], table[case["score"]]
        assert close(auc(label, score), case["auc"]), case
        variance = delong_variance(placements(label, score))
        if not is_number(case["delong_var"]):
            assert variance is None
            continue
        assert close(variance, case["delong_var"]), case
        for confidence, key in ((0.95, "ci95"), (0.90, "ci90")):
            estimate = delong_interval(label, score, confidence=confidence)
            if variance == 0:
                assert estimate.low is None
                assert "variance is zero" in estimate.note
                continue
            assert close(estimate.low, case[f"{key}_lo"]), case
            assert close(estimate.high, case[f"{key}_hi"]), case


def test_placements_equal_proc(goldens, roc_data):
    for case in cases(goldens, "roc/placements.json"):
        table = roc_data[case["dataset"]]
        placed = placements(table["label"], table[case["score"]])
        np.testing.assert_allclose(
            placed.positive, case["V10_positives_in_file_order"], rtol=0, atol=1e-15
        )
        np.testing.assert_allclose(
            placed.negative, case["V01_negatives_in_file_order"], rtol=0, atol=1e-15
        )


def test_roc_points_equal_proc_exactly(goldens, roc_data):
    for case in cases(goldens, "roc/curves.json"):
        table = roc_data[case["dataset"]]
        curve = roc_curve(table["label"], table[case["score"]])
        num_residual = curve.num_false_positive[-1]
        specificity = (num_residual - curve.num_false_positive) / num_residual
        assert curve.true_positive_rate[::-1].tolist() == case["sens"]
        assert specificity[::-1].tolist() == case["spec"]


def test_paired_delong_equals_proc(goldens, roc_data):
    for case in cases(goldens, "roc/paired.json"):
        table = roc_data[case["dataset"]]
        found = paired_delong(table["label"], table[case["a"]], table[case["b"]])
        assert close(found.difference.value, case["diff"]), case
        is_degenerate = not is_number(case["z"]) or case["diff_ci95_lo"] == case["diff_ci95_hi"]
        if is_degenerate:
            assert found.p_value is None
            assert found.difference.low is None
            continue
        assert close(found.z, case["z"], rel=1e-11), case
        assert close(found.p_value, case["p_two"], rel=1e-9), case
        assert close(found.difference.low, case["diff_ci95_lo"], rel=1e-11), case
        assert close(found.difference.high, case["diff_ci95_hi"], rel=1e-11), case


def test_youden_counts_equal_proc_exactly(goldens, roc_data):
    checked = 0
    for case in cases(goldens, "roc/operating_points.json"):
        if case["rule"] != "youden" or case["score"] == "constant":
            continue
        table = roc_data[case["dataset"]]
        label, score = table["label"], table[case["score"]]
        threshold = youden_threshold(label, score)
        counts = confusion(label, score, threshold=threshold)
        rows = [(row["tp"], row["fp"], row["fn"], row["tn"]) for row in case["rows"]]
        assert (counts.tp, counts.fp, counts.fn, counts.tn) in rows
        checked += 1
    assert checked >= 5


def test_wilson_equals_r(goldens):
    for case in cases(goldens, "proportions.json"):
        confidence = case.get("conf_level", 0.95)
        estimate = wilson_interval(case["x"], case["n"], confidence=confidence)
        if case["n"] == 0:
            assert estimate.value is None
            continue
        assert close(estimate.value, case.get("estimate", case["x"] / case["n"])), case
        assert close(estimate.low, case["wilson_lo"]), case
        assert close(estimate.high, case["wilson_hi"]), case


def test_rates_equal_r(goldens):
    for case in cases(goldens, "confusion.json"):
        found = rates(Confusion(case["tp"], case["fp"], case["fn"], case["tn"]))
        for key, name in RATES.items():
            expected = case[key]
            assert found[name].num_patients == expected["n"]
            if expected["n"] == 0:
                assert found[name].value is None
                continue
            assert close(found[name].value, expected["estimate"]), case
            assert close(found[name].low, expected["wilson_lo"]), case
            assert close(found[name].high, expected["wilson_hi"]), case


def test_logistic_coefficients_equal_r(goldens):
    models = [
        case
        for case in cases(goldens, "logistic/logistic.json")
        if case["data"].endswith("cohort.csv") and not case["aliased_terms"]
    ]
    table = read_table(goldens / "logistic/data/cohort.csv")
    label = np.array([int(text) for text in table["pCR"]])
    for case in models:
        terms = [term["term"] for term in case["terms"]]
        design = np.column_stack([column(table, term) for term in terms])
        if case["separated_terms"]:
            with pytest.raises(ValueError, match="got separated ones"):
                fit_logistic(design, label)
            continue
        expected = [term["beta"] for term in case["terms"]]
        np.testing.assert_allclose(fit_logistic(design, label), expected, rtol=1e-9)


def column(table: dict[str, list[str]], term: str) -> np.ndarray:
    if term == "(Intercept)":
        return np.ones(len(table["pCR"]))
    if term in table:
        return np.array([float(text) for text in table[term]])
    name = max((c for c in table if term.startswith(c)), key=len)
    return np.array([float(text == term.removeprefix(name)) for text in table[name]])
