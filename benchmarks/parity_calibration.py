"""Reference values of calibration, decision curves and sample sizes against ours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from reference_values import Case, Check, column, compared, compared_rows, find_table

from neoresponse.stats import (
    auc,
    brier_score,
    calibration_line,
    decision_curve,
    development_size,
    expected_calibration_error,
    hosmer_lemeshow,
    log_loss,
    observed_over_expected,
    scaled_brier_score,
    spiegelhalter_test,
    validation_size_for_auc,
)
from neoresponse.stats.interval import two_sided_z
from neoresponse.types import Estimate

REL, SLOPE, LOOSE = 1e-9, 1e-8, 1e-6
"""Relative tolerances; the last one for what rms finds by an iteration that stops early."""
ZERO = 1e-12
"""What rounding may leave of a number that should be zero."""


def calibration(case: Case, path: Path) -> Iterator[Check]:
    """Every number of a case but the three of rms that rest on R's smoother (Emax, E90, Eavg)."""
    table = find_table(path, case["data"])
    label, values = column(table, "label"), column(table, case["prob"])
    line = calibration_line(label, values)
    spiegelhalter = spiegelhalter_test(label, values)
    prevalence = float(label.mean())
    yield compared("n", label.size, case["n"])
    yield compared("events", int(label.sum()), case["events"])
    for field, ours in (
        ("slope", line.slope.value),
        ("slope_se", _error(line.slope)),
        ("slope_intercept", line.intercept.value),
        ("citl", line.in_the_large.value),
        ("p_slope_eq_1", line.slope_test.p_value),
        ("lr_unreliability_U_test_p", line.unreliability_test.p_value),
    ):
        yield compared(field, ours, case[field], rel=SLOPE, at=ZERO)
    # R's `glm` prints the standard error of the step before the last.
    yield compared("citl_se", _error(line.in_the_large), case["citl_se"], rel=1e-7)
    for field, ours in (
        ("oe_ratio", observed_over_expected(label, values).value),
        ("brier", brier_score(label, values)),
        ("brier_max", prevalence * (1 - prevalence)),
        ("scaled_brier", scaled_brier_score(label, values)),
        ("logloss", log_loss(label, values)),
        ("spiegelhalter_z", spiegelhalter.statistic),
        ("spiegelhalter_p", spiegelhalter.p_value),
        ("ece_equal_width_10", expected_calibration_error(label, values)),
        ("ece_equal_width_5", expected_calibration_error(label, values, num_bins=5)),
    ):
        yield compared(field, ours, case[field], rel=REL)
    for expected in case["hosmer_lemeshow"]:
        for field, p_field, fitted_here in (("chisq", "p", True), ("", "p_df_g", False)):
            found = hosmer_lemeshow(
                label, values, num_groups=expected["g_requested"], fitted_here=fitted_here
            )
            yield compared(p_field, found.p_value, expected[p_field], rel=REL, at=1e-14)
            if field:
                yield compared(field, found.statistic, expected[field], rel=REL)
                yield compared("df", found.degrees, expected["df"])
    yield from _val_prob(case["val_prob"], label, values)


def _val_prob(expected: Case, label: np.ndarray, values: np.ndarray) -> Iterator[Check]:
    """What rms prints that has one definition; it leaves out probabilities of 0 and 1."""
    line = calibration_line(label, values)
    found = spiegelhalter_test(label, values)
    for field, ours in (
        ("Brier", brier_score(label, values)),
        ("Intercept", line.intercept.value),
        ("Slope", line.slope.value),
        ("U:p", line.unreliability_test.p_value),
        ("S:z", found.statistic),
        ("S:p", found.p_value),
    ):
        yield compared(f"val_prob.{field}", ours, expected[field], rel=LOOSE, at=1e-8)
    prevalence = float(label.mean())
    by_share = log_loss(label, np.full(label.size, prevalence))
    gained = 2 * label.size * (by_share - log_loss(label, values))
    lost = line.unreliability_test.statistic or 0.0
    discrimination, unreliability = (gained - 1) / label.size, (lost - 2) / label.size
    for field, ours in (
        ("D:Chi-sq", gained),
        ("U:Chi-sq", lost),
        ("D", discrimination),
        ("U", unreliability),
        ("Q", discrimination - unreliability),
        ("R2", np.expm1(-gained / label.size) / np.expm1(-2 * by_share)),
    ):
        yield compared(f"val_prob.{field}", float(ours), expected[field], rel=LOOSE, at=1e-8)
    # rms joins probabilities that are nearly equal before it ranks them.
    area = auc(label, values) or 0.0
    yield compared("val_prob.C (ROC)", area, expected["C (ROC)"], rel=2e-3)
    yield compared("val_prob.Dxy", 2 * area - 1, expected["Dxy"], rel=5e-3)


def decisions(case: Case, path: Path) -> Iterator[Check]:
    """A decision curve."""
    table = find_table(path, case["data"])
    label, values = column(table, "label"), column(table, case["prob"])
    curve = decision_curve(label, values, thresholds=case["threshold"])
    yield compared("prevalence", curve.prevalence, case["prevalence"])
    for field, ours in (
        ("net_benefit", curve.net_benefit),
        ("treat_all", curve.treat_all),
        ("standardized_net_benefit", curve.standardized),
    ):
        yield compared_rows(field, ours, case[field], rel=1e-12, at=1e-13)
    # Near a threshold of 0 this divides a rounded difference by a small number.
    avoided = case["interventions_avoided_per100"]
    yield compared_rows(
        "interventions_avoided_per100", curve.avoided_per_100, avoided, rel=1e-12, at=1e-11
    )


def development(case: Case, path: Path) -> Iterator[Check]:
    """Patients needed to make a model, exactly; R rounds events per parameter to two places."""
    found = development_size(
        case["cs_rsquared"],
        num_parameters=case["parameters"],
        prevalence=case["prevalence"],
        shrinkage=case["shrinkage"],
    )
    for field, ours in (
        ("n_criterion1", found.for_shrinkage),
        ("n_criterion2", found.for_r2),
        ("n_criterion3", found.for_risk),
        ("n_final", found.num_patients),
    ):
        yield compared(field, ours, case[field], rel=0.0)
    yield compared("events", found.num_events, case["events"])
    yield compared("epp", round(found.events_per_parameter, 2), case["epp"], rel=0.0, at=0.0101)
    yield compared("max_r2", found.max_r2, case["max_r2"])
    yield compared("nagelkerke", found.nagelkerke_r2, case["nagelkerke"])


def validation(case: Case, path: Path) -> Iterator[Check]:
    """Patients needed to test a model, exactly."""
    found = validation_size_for_auc(
        case["auc"], prevalence=case["prevalence"], width=case["ci_width"]
    )
    yield compared("n", found, case["n"], rel=0.0)
    yield compared("events", found * case["prevalence"], case["events"])


def _error(estimate: Estimate) -> float | None:
    """The standard error that a 95 % interval was made from."""
    if estimate.low is None or estimate.high is None:
        return None
    return (estimate.high - estimate.low) / (2 * two_sided_z(estimate.confidence))
