"""Threshold and recalibration come from validation patients, and from nobody else."""

import numpy as np
import pytest

from neoresponse.contracts.groups import Group
from neoresponse.contracts.predictions import Prediction, write_predictions
from neoresponse.evaluation.operating_point import (
    BEYOND_ONE,
    OperatingPoint,
    operating_point,
    operating_point_of_run,
    rule_in_words,
)
from neoresponse.evaluation.recalibration import fit_recalibrations, recalibrated
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
    return operating_point(validation, EvaluateSettings(**settings))


def test_a_fixed_sensitivity_is_reached_on_validation():
    patients = group()
    point = chosen(patients, threshold="sensitivity", sensitivity=0.95)
    expected = sensitivity_threshold(patients.label, patients.probability, sensitivity=0.95)
    assert point == OperatingPoint(expected, "")
    assert np.mean(patients.probability[patients.label == 1] >= expected) >= 0.95


def test_the_threshold_of_least_cost_follows_the_cost_ratio():
    patients = group()
    cuts = [chosen(patients, threshold="cost", cost_ratio=ratio).threshold for ratio in (0.2, 1.0)]
    assert cuts == [
        cost_threshold(patients.label, patients.probability, cost_ratio=ratio) for ratio in (0.2, 1)
    ]
    assert cuts[0] < cuts[1]


def test_where_calling_nobody_is_cheapest_the_threshold_is_above_every_probability():
    point = chosen(group(pull=-0.2), threshold="cost", cost_ratio=900)
    assert point.threshold == BEYOND_ONE > 1
    assert "calling nobody" in point.note


@pytest.mark.parametrize("rule", ["youden", "half", "sensitivity", "cost"])
def test_every_rule_is_said_in_words(rule):
    words = rule_in_words(EvaluateSettings(threshold=rule, sensitivity=0.8, cost_ratio=3))
    assert ("0.5" in words) is (rule == "half")


def written(folder, seen):
    """A run folder with predictions of some validation patients."""
    place = ("primary", "validation")
    rows = zip(seen.patient_id, seen.label, seen.probability, strict=True)
    write_predictions(
        folder / "predictions.csv",
        [
            *(Prediction(name, *place, int(y), float(p), ()) for name, y, p in rows),
            Prediction("T", "TC1", "test", 1, 0.01, ()),
        ],
    )
    return folder


def test_the_threshold_of_a_run_comes_from_its_validation_patients_by_its_own_rule(tmp_path):
    patients = group()
    run = written(tmp_path, patients)
    (run / "config.toml").write_text('[evaluate]\nthreshold = "cost"\ncost_ratio = 0.2\n')
    assert operating_point_of_run(run) == chosen(patients, threshold="cost", cost_ratio=0.2)
    half = EvaluateSettings(threshold="half")
    assert operating_point_of_run(run, half) == OperatingPoint(0.5)


def test_a_bundle_without_predictions_gets_half_and_says_so(tmp_path):
    assert operating_point_of_run(tmp_path).threshold == 0.5
    assert "no predictions of validation patients" in operating_point_of_run(tmp_path).note


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
        (None, "both outcomes"),
        (Group(("a", "b"), np.array([0, 0]), np.array([0.1, 0.2]), 0), "both outcomes"),
        (Group(("a", "b"), np.array([0, 1]), np.array([0.1, 0.2]), 0), "no finite best map"),
        (Group(("a", "b"), np.array([0, 1]), np.array([0.0, 1.0]), 0), "no finite best map"),
    ],
)
def test_a_map_that_cannot_be_fitted_says_why(validation, note):
    found = fit_recalibrations(validation)
    assert note in found["platt"].note
    assert found["platt"].as_record().fitted is None
    assert "platt" not in recalibrated(group(), found, EvaluateSettings(replicates=200))
