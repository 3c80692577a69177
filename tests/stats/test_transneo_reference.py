"""A real cohort against R's printed output, to its six decimals."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from neoresponse.stats import (
    auc,
    chi_square,
    confusion,
    delong_interval,
    fisher_test,
    logistic_model,
    logistic_probability,
    mann_whitney,
    paired_delong,
    rates,
    summary,
    t_test,
    youden_threshold,
)


@pytest.fixture(scope="module")
def printed(shared: Path) -> str:
    path = shared / "data" / "reference_values" / "r_pROC_reference.txt"
    if not path.is_file():
        pytest.skip("no reference output beside this checkout")
    return path.read_text()


@pytest.fixture(scope="module")
def models(shared: Path) -> list[dict[str, str]]:
    return read(shared / "data" / "tables_transneo" / "transneo_training_scores_147.csv")


@pytest.fixture(scope="module")
def patients(shared: Path) -> list[dict[str, str]]:
    rows = read(shared / "data" / "tables_transneo" / "transneo_discovery_clinical_168.csv")
    return [row for row in rows if row["pCR.RD"] in ("pCR", "RD")]


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        pytest.skip("no TransNEO table beside this checkout")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def label(rows):
    return np.array([int(row["pCR.RD"] == "pCR") for row in rows])


def numbers(text):
    return [float(found) for found in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


def test_aucs_and_operating_points_equal_the_printed_ones(printed, models):
    lines = re.findall(r"^(\S.*?) +AUC (.*)$", printed, flags=re.M)
    assert len(lines) == 6
    for name, rest in lines:
        values, truth = column(models, name), label(models)
        wanted = numbers(rest.replace("DeLong95", "").replace("-", " "))
        estimate = delong_interval(truth, values)
        ours = [estimate.value, estimate.low, estimate.high]
        assert ours == pytest.approx(wanted[:3], abs=5.1e-7)
        cut = youden_threshold(truth, values)
        found = rates(confusion(truth, values, threshold=cut))
        ours = [
            found[key].value for key in ("sensitivity", "specificity", "ppv", "npv", "accuracy")
        ]
        assert ours == pytest.approx(wanted[-5:], abs=5.1e-5)


def test_paired_comparisons_equal_the_printed_ones(printed, models):
    lines = re.findall(r"^(.*) vs (.*): Z (\S+) p (\S+)$", printed, flags=re.M)
    assert len(lines) == 15
    for first, second, z, p_value in lines:
        found = paired_delong(label(models), column(models, first), column(models, second))
        assert found.z == pytest.approx(float(z), abs=5.1e-7)
        assert found.p_value == pytest.approx(float(p_value), rel=5.1e-6)


def test_tables_equal_the_printed_ones(printed):
    lines = re.findall(
        r"chi2 (\S+) df (\d+) p (\S+) \| Fisher p (\S+) \| counts (.*)$", printed, re.M
    )
    assert len(lines) == 5
    for chi2, degrees, p_value, p_fisher, counts in lines:
        table = [[int(cell) for cell in row.split("/")] for row in counts.split(" ; ")]
        found = chi_square(table)
        assert found.statistic == pytest.approx(float(chi2), abs=5.1e-7)
        assert found.degrees == int(degrees)
        assert found.p_value == pytest.approx(float(p_value), rel=5.1e-6)
        assert fisher_test(table).p_value == pytest.approx(float(p_fisher), rel=5.1e-6)


def test_ages_compare_as_printed(printed, patients):
    wanted = numbers(re.search(r"^Age Wilcoxon W (.*)$", printed, re.M)[1])
    age, truth = column(patients, "Age"), label(patients)
    ranks = mann_whitney(age[truth == 0], age[truth == 1], way="corrected")
    means = t_test(summary(age[truth == 0]), summary(age[truth == 1])).test
    assert [ranks.statistic, ranks.p_value] == pytest.approx(wanted[:2], rel=5.1e-6)
    assert [means.statistic, means.p_value] == pytest.approx(wanted[-2:], rel=5.1e-6)


def test_the_logistic_model_equals_the_printed_one(printed, patients):
    names = ("ER.status", "HER2.status", "LN.status.at.diagnosis")
    truth, num = label(patients), len(patients)
    flags = [[float(row[name] == "POS") for row in patients] for name in names]
    design = np.column_stack(
        [np.ones(num), column(patients, "Age"), *flags, column(patients, "Grade.pre.NAT")]
    )
    model = logistic_model(design, truth)
    lines = re.findall(
        r"beta (\S+) se (\S+) z (\S+) p (\S+) OR \S+ Wald95 (\S+)-(\S+)$", printed, re.M
    )
    assert len(lines) == 6
    for term, line in zip(model.terms, lines, strict=True):
        beta, error, z, p_value, low, high = map(float, line)
        assert term.wald.value == pytest.approx(beta, abs=5.1e-7)
        assert term.error == pytest.approx(
            error, rel=1e-6, abs=5.1e-7
        )  # R prints the step before the last
        assert term.wald.value / term.error == pytest.approx(z, abs=5.1e-5)
        assert term.p_wald == pytest.approx(p_value, rel=2e-5)
        ends = np.exp([term.wald.low, term.wald.high])
        assert ends == pytest.approx([low, high], rel=5e-6, abs=5.1e-6)
    aic, height, area = numbers(re.search(r"AIC (.*)$", printed, re.M)[1])
    fitted = logistic_probability(design, [term.wald.value for term in model.terms])
    assert model.aic == pytest.approx(aic, abs=5.1e-5)
    assert model.log_likelihood == pytest.approx(height, abs=5.1e-6)
    assert auc(truth, fitted) == pytest.approx(area, abs=5.1e-7)
