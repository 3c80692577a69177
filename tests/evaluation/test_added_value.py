"""What an image adds to a reference model: paired, fitted on validation patients, adjusted."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from neoresponse.contracts.groups import Group
from neoresponse.evaluation.added_value import comparisons, likelihood_ratios
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import adjust_p_values, nested_models_test, net_benefit, paired_delong
from neoresponse.types import CLINICAL_ONLY

SETTINGS = EvaluateSettings(replicates=200, decision_thresholds=(0.3,))
PARTS = ("validation", "TC1", "TC2")


def runs(seed=1, num=80, gain=0.2):
    """A reference model and a net that knows something that the reference model does not."""
    rng = np.random.default_rng(seed)
    reference, net = {}, {}
    for part in PARTS:
        known, seen = rng.normal(size=(2, num))
        label = (rng.random(num) < 1 / (1 + np.exp(1 - known - 5 * gain * seen))).astype(int)
        names = tuple(f"{part}{n}" for n in range(num))
        reference[part] = Group(names, label, 1 / (1 + np.exp(1 - known)), 0)
        net[part] = Group(names, label, 1 / (1 + np.exp(1 - 0.7 * known - 5 * gain * seen)), 0)
    return {"net": net, CLINICAL_ONLY: reference}


def compared(groups, **thresholds):
    cuts = dict.fromkeys(groups, 0.5) | thresholds
    return [row.model_dump() for row in comparisons(groups, SETTINGS, thresholds=cuts)]


def test_a_row_holds_the_paired_differences():
    groups = runs()
    row = compared(groups)[0]
    net, reference = groups["net"]["TC1"], groups[CLINICAL_ONLY]["TC1"]
    test = paired_delong(net.label, net.probability, reference.probability)
    assert (row["run"], row["against"], row["cohort"]) == ("net", CLINICAL_ONLY, "TC1")
    assert row["p_value"] == test.p_value
    benefits = [net_benefit(g.label, g.probability, threshold=0.3) for g in (net, reference)]
    (found,) = row["net_benefit_differences"]
    assert found["value"] == pytest.approx(benefits[0] - benefits[1], abs=1e-15)
    right = [(g.probability >= 0.5) == (g.label == 1) for g in (net, reference)]
    assert row["mcnemar"]["num_only_first_right"] == int(np.sum(right[0] & ~right[1]))


def test_each_run_is_called_at_its_own_threshold():
    groups = runs()
    net, reference = groups["net"]["TC1"], groups[CLINICAL_ONLY]["TC1"]
    row = compared(groups, net=0.2, **{CLINICAL_ONLY: 0.6})[0]
    right = (
        (net.probability >= 0.2) == (net.label == 1),
        (reference.probability >= 0.6) == (reference.label == 1),
    )
    assert row["mcnemar"]["num_only_second_right"] == int(np.sum(right[1] & ~right[0]))


def test_reference_model_and_image_together_gain_where_the_image_knows_more():
    row = compared(runs(num=300))[0]["combined"]
    assert row["difference"]["low"] > 0
    assert row["log_score"]["low"] > 0
    assert row["beyond"]["low"] > 0


def test_an_image_of_noise_adds_nothing_on_average():
    gains = [
        compared(runs(seed, gain=0.0))[0]["combined"]["log_score"]["value"] for seed in range(30)
    ]
    assert np.mean(gains) < 0.01


def test_what_noise_says_beyond_the_reference_model_holds_0_as_often_as_it_should():
    rows = [compared(noise(seed))[0]["combined"]["beyond"] for seed in range(100)]
    assert 90 <= sum(row["low"] <= 0 <= row["high"] for row in rows) <= 99


def noise(seed):
    """A reference model that knows something, and a net of noise."""
    groups = runs(seed, gain=0.0)
    rng = np.random.default_rng(seed)
    for part in PARTS:
        old = groups["net"][part]
        groups["net"][part] = replace(old, probability=rng.random(len(old.label)))
    return groups


def test_what_is_fitted_together_never_sees_a_test_patient():
    groups = runs()
    before = compared(groups)
    for name in groups:
        turned = replace(groups[name]["TC2"], label=1 - groups[name]["TC2"].label)
        groups[name] = groups[name] | {"TC2": turned}
    after = compared(groups)
    assert before[0]["combined"] == after[0]["combined"]
    assert before[1]["combined"] != after[1]["combined"]
    assert likelihood_ratios(groups) == likelihood_ratios(runs())


def test_the_likelihood_ratio_test_is_that_of_validation_patients():
    groups = runs()
    net, reference = (groups[name]["validation"] for name in ("net", CLINICAL_ONLY))
    ones = np.ones(len(net.label))
    smaller = np.column_stack([ones, logit(reference.probability)])
    larger = np.column_stack([smaller, logit(net.probability)])
    (row,) = (row.model_dump() for row in likelihood_ratios(groups))
    assert row["p_value"] == pytest.approx(nested_models_test(larger, smaller, net.label).p_value)
    assert (row["fitted_on"], row["num_patients"]) == ("validation", 80)


def test_p_values_are_adjusted_over_all_rows_with_one_opponent():
    groups = runs()
    groups = {"net": groups["net"], "other": runs(7)["net"], CLINICAL_ONLY: groups[CLINICAL_ONLY]}
    for part in PARTS:
        groups["other"][part] = replace(groups["other"][part], label=groups["net"][part].label)
    rows = compared(groups)
    for against in (CLINICAL_ONLY, "net"):
        mine = [row for row in rows if row["against"] == against]
        expected = adjust_p_values([row["p_value"] for row in mine])
        assert [row["p_adjusted"] for row in mine] == pytest.approx(expected.tolist())


def test_without_validation_nothing_is_fitted_and_it_is_said():
    groups = runs()
    for name in groups:
        del groups[name]["validation"]
    assert compared(groups)[0]["combined"] is None
    (row,) = (row.model_dump() for row in likelihood_ratios(groups))
    assert (row["p_value"], row["num_patients"]) == (None, 0)
    assert row["note"].startswith("not fitted")


def test_probabilities_of_0_and_1_do_not_break_the_fit():
    groups = runs()
    for name in groups:
        for part in PARTS:
            old = groups[name][part]
            groups[name][part] = replace(old, probability=np.round(old.probability))
    row = compared(groups)[0]
    assert np.isfinite(row["combined"]["log_score"]["value"])


def test_a_separated_validation_group_still_gives_a_fit():
    groups = runs()
    old = groups["net"]["validation"]
    groups["net"]["validation"] = replace(old, probability=np.where(old.label == 1, 0.9, 0.1))
    assert compared(groups)[0]["combined"]["difference"]["value"] is not None
    assert likelihood_ratios(groups)[0].p_value < 0.001
