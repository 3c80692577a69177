"""Table 2: R's values, the split, aliased and separating levels."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from neoresponse.describe import (
    CohortTable,
    Columns,
    Plan,
    grids_of_regression,
    levels,
    number,
    regress,
    table_of_file,
)
from neoresponse.describe.model import ALIASED, FIRTH, PLAIN
from neoresponse.errors import CohortError, ConfigError
from neoresponse.stats import firth_model

REFERENCES = {"ER": "Positive", "PR": "Positive", "HER2": "Negative", "phenotype": "HR+/HER2-"}
REFERENCES |= {"regimen": "Anthracycline+taxane", "stage": "I-II", "birads": "5"}
REFERENCES |= {"multifocal": "0", "node": "0"}


@pytest.fixture(scope="module")
def logistic(reference):
    folder = reference / "statistics" / "logistic"
    cases = json.loads((folder / "logistic.json").read_text())["cases"]
    table = table_of_file(folder / "data" / "cohort.csv", Columns("pCR"))
    return {case["name"]: case for case in cases}, table


def of(logistic, *names, p_limit=0.05):
    """Regression of some variables of R's cohort, compared with R's reference levels."""
    table = logistic[1].only(names)
    references = {name: level for name, level in REFERENCES.items() if name in names}
    return regress(table, Plan(p_limit, references))


def assert_equals_r(model, case):
    """Every odds ratio, interval and P of a model is R's, in any order of levels."""
    terms = {term["term"]: term for term in case["terms"]}
    tests = {one["variable"]: one for one in case["lrt_per_variable"]}
    for one in model.variables:
        assert one.test.p_value == pytest.approx(tests[one.name]["p"], rel=1e-8)
        for effect in one.effects:
            if effect.is_reference or effect.wald.note:
                continue
            term = terms[one.name + effect.level]
            ours = [effect.wald.value, effect.wald.low, effect.wald.high, effect.p_wald]
            theirs = [term["or"], term["or_wald_lo"], term["or_wald_hi"], term["p_wald"]]
            assert ours == pytest.approx(theirs, rel=1e-8)
            ends = [effect.profile.low, effect.profile.high]
            keys = ("or_profile_exact_lo", "or_profile_exact_hi")
            assert ends == pytest.approx([term[key] for key in keys], rel=1e-6)


def test_univariable_models_equal_rs(logistic):
    names = ("Ki67", "ER", "regimen", "stage")
    found = of(logistic, *names)
    assert [model.variables[0].name for model in found.univariable] == list(names)
    for model in found.univariable:
        assert model.method == PLAIN
        assert_equals_r(model, logistic[0][f"univariate_{model.variables[0].name}"])


def test_the_multivariable_model_equals_rs(logistic):
    found = of(logistic, "phenotype", "ER", "Ki67", "regimen")
    case = logistic[0]["multi_phenotype_ER_Ki67_regimen"]
    assert_equals_r(found.multivariable, case)
    assert found.multivariable.events_per_variable == pytest.approx(case["events"] / 9)


def test_variables_are_chosen_as_in_r(logistic):
    names = (*("age", "bmi", "size", "Ki67", "ER", "PR", "HER2", "stage", "regimen"),)
    found = of(logistic, *names, "birads", "multifocal", "node")
    case = logistic[0]["screened_by_LRT_p05_without_phenotype"]
    assert case["formula"] == f"pCR ~ {' + '.join(found.selected)}"
    assert found.multivariable.method == FIRTH  # no pCR in BI-RADS 2-4a
    tests = {one.name: one.test.p_value for one in found.multivariable.variables}
    expected = {test["variable"]: test["p"] for test in case["lrt_per_variable"]}
    assert tests == pytest.approx(expected, rel=1e-8)
    assert list(found.kept) == [name for name, p_value in expected.items() if p_value < 0.05]


def test_a_level_that_follows_from_others_has_no_effect_and_says_so(logistic):
    found = of(logistic, "phenotype", "HER2")
    her2 = {effect.level: effect for effect in found.multivariable.variables[1].effects}
    assert her2["Positive"].wald.note == ALIASED
    assert her2["Low"].wald.value is not None
    notes = grids_of_regression(found)[1].notes
    assert f"HER2 Positive: {ALIASED}." in notes


def cohort(num=120, seed=3):
    """Patients with a split: x goes with pCR, y does not, g is a level."""
    rng = np.random.default_rng(seed)
    label = (np.arange(num) % 3 == 0).astype(int)
    part = tuple("train" if place % 4 else "TC1" for place in range(num))
    return CohortTable(
        name="cohort",
        label=label,
        variables=(
            number("x", list(rng.normal(label * 1.2))),
            number("y", list(rng.normal(size=num))),
            levels("g", [str(word) for word in rng.choice(["a", "b", "c"], num)]),
        ),
        part=part,
    )


def scrambled(table, rng):
    """Everything of the patients who are not trained on is another."""
    others = ~table.members("train")
    label = table.label.copy()
    label[others] = rng.integers(0, 2, others.sum())
    variables = []
    for one in table.variables:
        values, is_known = one.values.copy(), one.is_known.copy()
        top = len(one.levels) or 1000
        values[others] = rng.integers(0, top, others.sum())
        is_known[others] = rng.random(others.sum()) < 0.5
        variables.append(replace(one, values=values, is_known=is_known))
    return replace(table, label=label, variables=tuple(variables))


@pytest.mark.parametrize("seed", range(5))
def test_patients_outside_training_change_nothing(seed):
    table = cohort()
    assert regress(scrambled(table, np.random.default_rng(seed))) == regress(table)


def test_taking_the_others_away_changes_nothing():
    table = cohort()
    is_trained = table.members("train")
    alone = CohortTable(
        name=table.name,
        label=table.label[is_trained],
        variables=tuple(
            replace(one, values=one.values[is_trained], is_known=one.is_known[is_trained])
            for one in table.variables
        ),
        part=("train",) * int(is_trained.sum()),
    )
    assert regress(alone) == regress(table)


def test_training_patients_do_change_the_numbers():
    table = cohort()
    label = table.label.copy()
    first = int(np.flatnonzero(table.members("train"))[0])
    label[first] = 1 - label[first]
    assert regress(replace(table, label=label)) != regress(table)


def test_without_a_split_the_table_says_that_everybody_was_seen():
    found = regress(replace(cohort(), part=()))
    assert found.fitted_on == "all patients"
    assert found.notes[0].startswith("No split: the variables were chosen on all patients")


def test_a_missing_value_leaves_a_patient_out_of_its_models_only():
    table = cohort()
    x = table.variables[0]
    is_known = x.is_known.copy()
    is_known[1:8] = False  # training patients 1-3, 5-7
    found = regress(replace(table, variables=(replace(x, is_known=is_known), *table.variables[1:])))
    assert [model.num_left_out for model in found.univariable] == [6, 0, 0]
    assert found.univariable[0].num_patients == 84


def test_a_level_without_pcr_brings_firths_penalty():
    label = np.array([0, 1, 0, 1, 1, 0, 0, 1] * 4)
    words = ["a", "a", "b", "a", "a", "b", "a", "c"] * 4
    found = regress(CohortTable("cohort", label, (levels("g", words),)))
    (model,) = found.univariable
    assert model.method == FIRTH
    design = np.column_stack(
        [np.ones(32), [word == "b" for word in words], [word == "c" for word in words]]
    )
    expected = firth_model(design, label).terms[1]
    effect = model.variables[0].effects[1]
    assert effect.wald.value == pytest.approx(np.exp(expected.wald.value))
    assert effect.profile.high == pytest.approx(np.exp(expected.profile.high))
    assert any("Firth's penalty" in note for note in grids_of_regression(found)[1].notes)


def test_few_events_are_said():
    found = regress(cohort(num=60))
    assert found.multivariable.events_per_variable == 15
    rare = replace(cohort(), label=(np.arange(120) < 9).astype(int))
    assert any("events per variable, fewer than 10" in n for n in regress(rare, Plan(1.0)).notes)


def test_no_variable_below_the_limit_gives_no_model():
    found = regress(cohort(), Plan(1e-12))
    assert (found.multivariable, found.selected, found.kept) == (None, (), ())
    assert "Selected with P below 1e-12: none." in grids_of_regression(found)[0].notes


def test_a_variable_that_does_not_vary_is_left_out_and_said():
    table = cohort()
    still = levels("still", ["a"] * 120)
    found = regress(replace(table, variables=(*table.variables, still)))
    assert any(
        note.startswith("still: left out, patients without missing values have only one")
        for note in found.notes
    )


def test_a_variable_that_is_the_outcome_in_other_words_is_named_and_kept_out():
    table = cohort()
    leak = levels("rcb", ["0" if label else "I" for label in table.label])
    found = regress(replace(table, variables=(*table.variables, leak)))
    assert any(note.startswith("rcb: tells the outcome of every patient") for note in found.notes)
    assert "rcb" in found.selected
    assert "rcb" not in [one.name for one in found.multivariable.variables]


def test_an_imperfect_variable_is_not_called_the_outcome():
    table = cohort()
    words = ["0" if label else "I" for label in table.label]
    words[1] = "0"  # a training patient
    found = regress(replace(table, variables=(*table.variables, levels("rcb", words))))
    assert not any("tells the outcome" in note for note in found.notes)
    assert "rcb" in [one.name for one in found.multivariable.variables]


def test_a_number_of_tiny_spread_is_given_per_standard_deviation():
    table = cohort()
    x = table.variables[0]
    small = replace(x, values=x.values / 1e4)
    (model,) = regress(replace(table, variables=(small,))).univariable
    effect = model.variables[0].effects[0]
    training = small.values[table.members("train")]
    assert effect.per == pytest.approx(float(np.std(training, ddof=1)))
    (plain,) = regress(replace(table, variables=(x,))).univariable
    ratio = np.log(effect.wald.value) / np.log(plain.variables[0].effects[0].wald.value)
    assert ratio == pytest.approx(effect.per * 1e4)


def test_the_most_frequent_level_is_the_reference():
    (model,) = regress(cohort().only(["g"])).univariable
    effects = model.variables[0].effects
    assert effects[0].is_reference
    assert effects[0].num_patients == max(effect.num_patients for effect in effects)


def test_an_unknown_reference_is_refused():
    with pytest.raises(ConfigError, match=r"reference of 'g': expected one of \['a', 'b', 'c'\]"):
        regress(cohort(), Plan(references={"g": "d"}))


def test_an_impossible_limit_is_refused():
    with pytest.raises(ConfigError, match="p limit: expected a number above 0"):
        regress(cohort(), Plan(0.0))


def test_training_patients_of_one_outcome_are_refused():
    table = cohort()
    label = np.where(table.members("train"), 0, 1)
    with pytest.raises(CohortError, match="expected training patients with and without pCR"):
        regress(replace(table, label=label))


def test_the_golden_cohort_is_read_as_it_is_written(logistic, reference):
    path = reference / "statistics" / "logistic" / "data" / "cohort.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {one.name: one for one in logistic[1].variables}
    assert found["Ki67"].values.tolist() == [float(row["Ki67"]) for row in rows]
    assert found["birads"].levels == ("2-4a", "4b", "4c", "5")


def test_of_a_variable_under_two_names_the_first_is_kept():
    rng = np.random.default_rng(8)
    ki67 = rng.gamma(4, 8, size=200)
    label = (rng.random(200) < 1 / (1 + np.exp((40 - ki67) / 8))).astype(int)
    columns = (("ki67", ki67), ("Ki-67", ki67), ("turned", 2 * ki67 + 1))
    table = CohortTable("c", label, tuple(number(name, list(values)) for name, values in columns))
    found = regress(table)
    assert found.selected == ("ki67", "Ki-67", "turned")
    assert [one.name for one in found.multivariable.variables] == ["ki67"]
    assert found.kept == ("ki67",)
    for name in ("Ki-67", "turned"):
        assert any(note.startswith(f"{name}: follows exactly") for note in found.notes)


def test_an_outlier_does_not_cost_a_variable_its_model():
    rng = np.random.default_rng(9)
    values = rng.normal(size=50)
    values[7] = 9999
    label = (rng.random(50) < 0.3).astype(int)
    label[7] = 0
    found = regress(CohortTable("c", label, (number("z", list(values)),)))
    assert [model.variables[0].name for model in found.univariable] == ["z"]
