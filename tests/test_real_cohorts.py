"""The worked examples on real cohorts: the page says what the script finds, and what R found."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from neoresponse.stats import auc

pytestmark = pytest.mark.slow  # half a minute for all examples together
SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "real_cohorts.py"
NUMBER = re.compile(r"-?\d+\.\d+")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("real_cohorts", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def public(shared):
    folders = ("tables_transneo", "tables_ispy1", "tables_impress")
    if not all((shared / "data" / name).is_dir() for name in folders):
        pytest.skip("the three public tables do not stand beside this checkout")
    return shared / "data"


@pytest.fixture(scope="module")
def found(script, public):
    """Title -> lines of each example."""
    return dict(script.examples(public))


def by_name(lines):
    return {line.name: line for line in lines}


def test_the_page_prints_what_the_script_finds(script, found):
    blocks = re.findall(r"```text\n(.*?)```", (SCRIPT.parent / "real-cohorts.md").read_text(), re.S)
    printed = [line for block in blocks[1:] for line in block.splitlines() if line]
    expected = [
        text
        for title, lines in found.items()
        for text in (title, *(f"  {script.text_of(line)}" for line in lines))
    ]
    assert len(printed) == len(expected)
    for ours, theirs in zip(printed, expected, strict=True):
        assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
        numbers = [[float(n) for n in NUMBER.findall(text)] for text in (ours, theirs)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.0021), ours


def test_the_clinical_model_of_transneo_is_rs(found, public):
    printed = (public / "reference_values" / "r_pROC_reference.txt").read_text()
    rows = re.findall(r"^  (\S+) +beta .* p (\S+) OR (\S+) Wald95 (\S+)-(\S+)$", printed, re.M)[1:]
    lines = found["TransNEO: clinical model"]
    assert len(rows) == 5
    for (_, p_value, *ratio), line in zip(rows, lines[:5], strict=True):
        one = line.estimate
        assert [one.value, one.low, one.high] == pytest.approx(
            [float(text) for text in ratio], rel=5e-6, abs=6e-6
        )
        assert line.p_value == pytest.approx(float(p_value), rel=2e-5)
    area = float(re.search(r"apparent AUC (\S+)", printed)[1])
    fitted = by_name(lines)["AUC on the patients it was fitted on"].estimate
    assert fitted.value == pytest.approx(area, abs=5.1e-7)


def test_a_model_is_better_on_its_own_patients_than_less_its_optimism(found):
    lines = by_name(found["TransNEO: clinical model"])
    own = lines["AUC on the patients it was fitted on"].estimate
    assert 0.01 < own.value - lines["AUC less its optimism"].estimate.value < 0.06


def test_scores_of_transneo_compare_as_in_r(found, public):
    printed = (public / "reference_values" / "r_pROC_reference.txt").read_text()
    lines = by_name(found["TransNEO: published scores"])
    for name, area in re.findall(r"^(\S.*?) +AUC (\d\.\d+) ", printed, re.M):
        assert lines[f"AUC of {name}"].estimate.value == pytest.approx(float(area), abs=5.1e-7)
    for other, p_value in re.findall(r"^Clinical vs (.*): Z \S+ p (\S+)$", printed, re.M):
        found_p = lines[f"{other} minus Clinical"].p_value
        assert found_p == pytest.approx(float(p_value), rel=5.1e-6)


def test_table_1_of_transneo_has_rs_p_values(script, public):
    printed = (public / "reference_values" / "r_pROC_reference.txt").read_text()
    rows = re.findall(r"^(\S+) chi2 \S+ df \d p (\S+) \| Fisher p (\S+) ", printed, re.M)
    described = script.describe_by_outcome(script.transneo_table(public))
    tests = {one.name: one.test for one in described.variables}
    assert len(rows) == 5
    for name, chi, fisher in rows:
        expected = fisher if tests[name].method == "Fisher's exact test" else chi
        assert tests[name].p_value == pytest.approx(float(expected), rel=5.1e-6)
    welch = float(re.search(r"Welch t \S+ p (\S+)", printed)[1])
    assert tests["Age"].p_value == pytest.approx(welch, rel=5.1e-6)


def test_nobody_is_lost_unsaid_in_i_spy(found, script):
    lines = found["I-SPY 1: what an early change of size adds to the receptors"]
    heads = [line.name for line in lines if "left out" in line.name]
    assert [re.findall(r"\d+ of \d+", head)[0] for head in heads] == ["20 of 221", "30 of 221"]
    sizes = [line.estimate.num_patients for line in lines if line.name == "AUC after"]
    assert sizes == [201, 191]


def test_pooled_cross_validation_ranks_receptor_groups_the_wrong_way_round(script, public, found):
    rows = script.ispy1_rows(public / "tables_ispy1" / script.ISPY_FILE)
    needed = ("PCR", "HR_HER2_STATUS", script.BASELINE, "MRI LD InterReg")
    known = [row for row in rows if all(row[name] is not None for name in needed)]
    label = np.array([int(row["PCR"]) for row in known])
    group = np.array([row["HR_HER2_STATUS"] for row in known])
    rng, pooled = np.random.default_rng(1), np.zeros(len(label))
    for _ in range(20):
        fold = rng.permutation(np.arange(len(label)) % 10)
        for place, (own, part) in enumerate(zip(group, fold, strict=True)):
            pooled[place] += label[(group == own) & (fold != part)].mean()
    assert auc(label, pooled) == pytest.approx(0.58, abs=0.03)
    lines = found["I-SPY 1: what an early change of size adds to the receptors"]
    before = [line.estimate.value for line in lines if line.name == "AUC before"]
    assert before[1] == pytest.approx(0.71, abs=0.005)


def test_rows_of_impress_are_joined_by_order(script, public):
    clinical, label, images, scores = script.impress_tables(public)
    assert {len(values) for values in (*clinical.values(), *images.values(), *scores.values())} == {
        62
    }
    assert (label.sum(), len(images)) == (38, 36)
    assert all(np.ptp(values) > 0 for values in images.values())


def test_no_number_stands_without_its_interval(found):
    for lines in found.values():
        for line in lines:
            if line.estimate is not None:
                assert line.estimate.low < line.estimate.value < line.estimate.high, line.name
                assert line.estimate.num_patients >= 62
