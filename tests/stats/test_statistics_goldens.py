"""Every number of stats against R 4.2.2 and its packages, within the tolerance they document."""

import json
import shutil
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FILES = (
    "confusion.json",
    "mcnemar.json",
    "p_adjust.json",
    "proportions.json",
    "riley_development.json",
    "riley_validation_auc.json",
    "calibration/calibration.json",
    "calibration/decision_curve.json",
    "groups/contingency.json",
    "groups/continuous.json",
    "groups/from_summary.json",
    "groups/multigroup.json",
    "logistic/firth.json",
    "logistic/logistic.json",
    "roc/bootstrap.json",
    "roc/covariance.json",
    "roc/curves.json",
    "roc/operating_points.json",
    "roc/paired.json",
    "roc/placements.json",
    "roc/single.json",
    "roc/unpaired.json",
)
REAL_FILES = ("logistic/logistic.json", "roc/covariance.json", "roc/paired.json", "roc/single.json")


@pytest.fixture(scope="module")
def parity():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import statistics_parity

        yield statistics_parity
    sys.modules.pop("statistics_parity")


@pytest.fixture(scope="session")
def goldens(reference: Path) -> Path:
    return reference / "statistics"


@pytest.mark.parametrize("name", FILES)
def test_every_value_equals_the_reference(parity, goldens, name):
    path = goldens / name
    assert_equal(parity, parity.read_cases(path), path)


@pytest.mark.parametrize("name", REAL_FILES)
def test_every_value_on_tables_of_real_patients_equals_the_reference(parity, shared, name):
    path = shared / "goldens" / "statistics" / name
    cases = [c for c in parity.read_cases(path) if is_real(c)]
    assert_equal(parity, cases, path)


def is_real(case):
    """Whether a case is on a table that a package of R brings, under a licence of its own."""
    return case.get("dataset") == "aSAH" or "birthwt" in str(case.get("data"))


def assert_equal(parity, cases, path):
    checks = list(parity.check_cases(cases, path))
    assert checks
    assert [check for check in checks if not check.is_ok] == []


def test_no_reference_file_is_forgotten(goldens):
    found = {str(path.relative_to(goldens)) for path in goldens.rglob("*.json")}
    assert found == set(FILES)


def wilson_file(high):
    """One case, from Newcombe, Stat. Med. 1998, 17:857-872, table I, to four digits."""
    return {"cases": [{"x": 0, "n": 20, "wilson_lo": 0.0, "wilson_hi": high}]}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (wilson_file(None), 0),
        (wilson_file(0.1611), 1),
        ({"cases": [{"something": 1}]}, 1),
        ({"cases": []}, 1),
        ([], 1),
    ],
)
def test_the_script_says_by_its_exit_code_whether_all_is_equal(parity, tmp_path, content, code):
    case = content["cases"][0] if isinstance(content, dict) and content["cases"] else {}
    if code == 0:
        case["wilson_hi"] = 1.959963984540054**2 / (20 + 1.959963984540054**2)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "any_name.json").write_text(json.dumps(content))
    assert parity.main([str(tmp_path)]) == code


@pytest.mark.parametrize("words", [[], ["nowhere"], ["one", "two"]])
def test_the_script_refuses_wrong_usage(parity, words):
    assert parity.main(words) == 2


def test_the_script_finds_nothing_in_an_empty_folder(parity, tmp_path):
    assert parity.main([str(tmp_path)]) == 1


def test_the_script_sees_a_reference_value_that_was_changed(parity, goldens, tmp_path, capsys):
    shutil.copytree(goldens / "roc" / "data", tmp_path / "data")
    content = json.loads((goldens / "roc" / "unpaired.json").read_text())
    content["cases"][0]["df"] *= 1 + 1e-9
    (tmp_path / "renamed.json").write_text(json.dumps(content))
    assert parity.main([str(tmp_path)]) == 1
    assert "OVER 1.0e-09 of 1e-11  df" in capsys.readouterr().out
