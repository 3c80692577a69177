"""AUC by subgroup, and whether subgroups differ."""

import numpy as np
import pytest

from neoresponse.contracts.characteristics import read_characteristics, write_characteristics
from neoresponse.contracts.groups import Group
from neoresponse.errors import RunError
from neoresponse.evaluation.subgroups import subgroups
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import adjust_p_values, auc_interval, heterogeneity_test

SETTINGS = EvaluateSettings()


@pytest.fixture
def group():
    rng = np.random.default_rng(1)
    label = (np.arange(120) % 3 == 0).astype(int)
    values = np.clip(0.3 + 0.2 * label + rng.normal(0, 0.2, 120), 0, 1)
    return Group(tuple(f"P{n}" for n in range(120)), label, values, 0)


@pytest.fixture
def known():
    def of(n):
        found = {"er": ("positive", "low", "negative")[n % 5 % 3], "ki67_percent": str(n % 40)}
        return found if n else {"ki67_percent": "30"}

    return {f"P{n}": of(n) for n in range(120)}


def found(group, known, **settings):
    found = subgroups({"net": {"TC1": group}}, known, EvaluateSettings(**settings))
    return [row.model_dump() for row in found]


def test_each_level_has_its_own_auc_in_the_order_of_the_dictionary(group, known):
    er, ki67 = found(group, known)
    assert [one["level"] for one in er["levels"]] == ["negative", "low", "positive"]
    is_low = np.array([known[p].get("er") == "low" for p in group.patient_id])
    expected = auc_interval(group.label[is_low], group.probability[is_low])
    assert er["levels"][1]["auc"]["low"] == expected.low
    assert er["levels"][1]["num_pcr"] == int(group.label[is_low].sum())
    assert [one["level"] for one in ki67["levels"]] == ["< 20 %", "≥ 20 %"]


def test_the_cut_of_ki67_is_a_setting(group, known):
    _, ki67 = found(group, known, ki67_cut_percent=14)
    assert [one["level"] for one in ki67["levels"]] == ["< 14 %", "≥ 14 %"]
    below = [p for p in group.patient_id if float(known[p]["ki67_percent"]) < 14]
    assert ki67["levels"][0]["num_patients"] == len(below)


def test_the_interaction_is_cochrans_q_over_the_levels_adjusted_by_holm(group, known):
    rows = found(group, known)
    words = [known[p].get("er") for p in group.patient_id]
    parts = [
        (group.label[is_in], group.probability[is_in])
        for level in ("negative", "low", "positive")
        for is_in in [np.array([word == level for word in words])]
    ]
    assert rows[0]["interaction"]["p_value"] == heterogeneity_test(parts).p_value
    values = [row["interaction"]["p_value"] for row in rows]
    assert [row["p_adjusted"] for row in rows] == adjust_p_values(values).tolist()


def test_patients_of_whom_nothing_is_known_are_counted(group, known):
    assert [row["num_unknown"] for row in found(group, known)] == [1, 0]


def test_a_variable_of_one_level_or_of_a_name_per_patient_makes_no_subgroups(group):
    lone = {p: {"stage": "III", "machine": f"scanner {p}"} for p in group.patient_id}
    assert found(group, lone) == []


def test_a_level_too_small_for_an_auc_says_so(group, known):
    few = {p: {"centre": "A" if n < 118 else "B"} for n, p in enumerate(group.patient_id)}
    (row,) = found(group, few)
    assert row["levels"][1]["auc"]["note"]
    assert row["interaction"]["p_value"] is None


def test_characteristics_are_written_and_read_back(tmp_path):
    path = tmp_path / "characteristics.csv"
    rows = [("P1", {"er": "low", "ki67_percent": 12.5, "age_years": 50, "machine": None})]
    write_characteristics(path, [*rows, ("P2", {})])
    assert "age_years" not in path.read_text()
    assert read_characteristics(path) == {"P1": {"er": "low", "ki67_percent": "12.5"}, "P2": {}}
    assert read_characteristics(tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "expected the columns"),
        ("patient_id,phenotype,er,her2,ki67_percent,stage,machine,centre\nP1,x\n", "every row"),
        (
            "patient_id,phenotype,er,her2,ki67_percent,stage,machine,centre\nP1,,,,high,,,\n",
            "patient 'P1': ki67_percent: expected a number, got 'high'",
        ),
    ],
)
def test_broken_characteristics_are_refused(tmp_path, text, message):
    path = tmp_path / "characteristics.csv"
    path.write_text(text)
    with pytest.raises(RunError, match=message):
        read_characteristics(path)
