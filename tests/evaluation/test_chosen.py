"""Threshold and recalibration come from validation patients, and from nobody else."""

import numpy as np
import pytest

from neoresponse.contracts.groups import Group
from neoresponse.data.cut import BEYOND_ONE, cut_rule, rule_in_words
from neoresponse.evaluation.chosen import choose_threshold, fit_recalibrations, recalibrated
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import (
    brier_score,
    calibration_line,
    cost_threshold,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    sensitivity_threshold,
)


def group(seed=1, num=60, pull=0.2):
    rng = np.random.default_rng(seed)
    label = np.arange(num) % 3 == 0
    values = np.clip(0.3 + pull * label + rng.normal(0, 0.15, num), 0.02, 0.98)
    return Group(tuple(f"P{n}" for n in range(num)), label.astype(int), values, 0)


def chosen(validation, **settings):
    return choose_threshold(validation, EvaluateSettings(**settings), brought=None)


def test_a_fixed_sensitivity_is_reached_on_validation():
    patients = group()
    cut, note = chosen(patients, threshold="sensitivity", sensitivity=0.95)
    assert cut == sensitivity_threshold(patients.label, patients.probability, sensitivity=0.95)
    assert np.mean(patients.probability[patients.label == 1] >= cut) >= 0.95
    assert note == ""


def test_the_cut_of_least_cost_follows_the_cost_ratio():
    patients = group()
    cuts = [chosen(patients, threshold="cost", cost_ratio=ratio)[0] for ratio in (0.2, 1.0)]
    assert cuts == [
        cost_threshold(patients.label, patients.probability, cost_ratio=ratio) for ratio in (0.2, 1)
    ]
    assert cuts[0] < cuts[1]


def test_where_calling_nobody_is_cheapest_the_cut_is_above_every_probability():
    cut, note = chosen(group(pull=-0.2), threshold="cost", cost_ratio=900)
    assert cut == BEYOND_ONE > 1
    assert "call nobody" in note


@pytest.mark.parametrize("rule", ["youden", "half", "sensitivity", "cost"])
def test_every_rule_is_said_in_words(rule):
    words = rule_in_words(EvaluateSettings(threshold=rule, sensitivity=0.8, cost_ratio=3))
    assert ("0.5" in words) is (rule == "half")


def test_the_number_of_a_rule_belongs_to_what_a_run_depends_on():
    rules = [
        cut_rule(EvaluateSettings(threshold="cost", cost_ratio=1)),
        cut_rule(EvaluateSettings(threshold="cost", cost_ratio=2)),
        cut_rule(EvaluateSettings(threshold="sensitivity", cost_ratio=1)),
        cut_rule(EvaluateSettings(threshold="sensitivity", cost_ratio=2)),
    ]
    assert rules[0] != rules[1]
    assert rules[2] == rules[3]


def test_maps_are_those_of_the_validation_patients():
    patients = group()
    found = fit_recalibrations(patients)
    fits = {"platt": fit_platt, "temperature": fit_temperature}
    for name, fit in fits.items():
        assert found[name].fitted == fit(patients.label, patients.probability)
    isotonic = fit_isotonic(patients.label, patients.probability)
    assert found["isotonic"].as_record().fitted["share"] == tuple(isotonic.share.tolist())
    assert {one.num_patients for one in found.values()} == {60}


def test_a_line_makes_its_own_patients_calibrated_and_others_better():
    validation, tested = group(1), group(2, num=300)
    maps = fit_recalibrations(validation)
    settings = EvaluateSettings(replicates=200)
    own = recalibrated(validation, maps, settings)["platt"]
    assert own.slope.value == pytest.approx(1, abs=1e-6)
    assert own.in_the_large.value == pytest.approx(0, abs=1e-6)
    before = calibration_line(tested.label, tested.probability).slope.value
    after = recalibrated(tested, maps, settings)["platt"]
    assert abs(after.slope.value - 1) < abs(before - 1)
    assert after.brier.value < brier_score(tested.label, tested.probability)


@pytest.mark.parametrize(
    ("validation", "note"),
    [
        (None, "both classes"),
        (Group(("a", "b"), np.array([0, 0]), np.array([0.1, 0.2]), 0), "both classes"),
        (Group(("a", "b"), np.array([0, 1]), np.array([0.1, 0.2]), 0), "no finite best map"),
        (Group(("a", "b"), np.array([0, 1]), np.array([0.0, 1.0]), 0), "no finite best map"),
    ],
)
def test_a_map_that_cannot_be_fitted_says_why(validation, note):
    found = fit_recalibrations(validation)
    assert note in found["platt"].note
    assert found["platt"].as_record().fitted is None
    assert "platt" not in recalibrated(group(), found, EvaluateSettings(replicates=200))
