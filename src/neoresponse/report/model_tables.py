"""Calibration, decisions, added value and subgroups -> rows, every digit, for the CSV files."""

from collections.abc import Iterator, Mapping

from neoresponse.contracts.metrics import (
    Calibration,
    FlatEstimate,
    GroupMetrics,
    NetBenefit,
    Recalibrated,
)
from neoresponse.report.sources import Study
from neoresponse.types import Estimate

Row = Mapping[str, object]
CALIBRATION = ("slope", "intercept", "in_the_large", "brier", "ece", "ece_by_chance")
PARTS = ("reliability", "resolution", "uncertainty", "within_bins")


def calibration_rows(study: Study) -> Iterator[Row]:
    """One row per run, group and kind of probabilities: as they come, and recalibrated."""
    for run, cohort, group in _groups(study):
        yield {
            **_place(run, cohort, group),
            "probabilities": "as predicted",
            **_several(CALIBRATION, group.calibration),
            **{name: getattr(group.calibration, name).value for name in PARTS},
        }
        for name, after in group.recalibrated.items():
            yield {
                **_place(run, cohort, group),
                "probabilities": f"{name}, fitted on validation",
                **_several(CALIBRATION, after),
                **dict.fromkeys(PARTS),
            }


def calibration_curve_rows(study: Study) -> Iterator[Row]:
    """One row per bin of each calibration curve."""
    for run, cohort, group in _groups(study):
        for interval in group.calibration.curve:
            yield {
                "cohort": cohort,
                "run": run,
                "mean_probability": interval.mean_probability,
                "num_patients": interval.observed.num_patients,
                **spread("observed", interval.observed),
            }


def decision_rows(study: Study) -> Iterator[Row]:
    """One row per run, group and threshold that one would act on."""
    for run, cohort, group in _groups(study):
        for benefit in group.decision.at:
            row = {**_place(run, cohort, group), "threshold": benefit.threshold}
            for name in NetBenefit.model_fields:
                if name != "threshold":
                    row |= spread(name, getattr(benefit, name))
            yield row


def decision_curve_rows(study: Study) -> Iterator[Row]:
    """One row per point of each decision curve."""
    for run, cohort, group in _groups(study):
        curve = group.decision.curve
        names = ("threshold", "net_benefit", "low", "high", "treat_all")
        for values in zip(*(getattr(curve, name) for name in names), strict=True):
            keys = {"cohort": cohort, "run": run, "num_patients": curve.num_patients}
            yield {**keys, **dict(zip(names, values, strict=True)), "method": curve.method}


def precision_recall_rows(study: Study) -> Iterator[Row]:
    """One row per point of each precision-recall curve."""
    for run, cohort, group in _groups(study):
        curve = group.precision_recall
        for recall, precision in zip(curve.recall, curve.precision, strict=True):
            yield {"cohort": cohort, "run": run, "recall": recall, "precision": precision}


def added_value_rows(study: Study) -> Iterator[Row]:
    """One row per run, reference model and cohort: network added to it, minus the model itself."""
    if study.metrics is None:
        return
    tests = {(one.run, one.against): one for one in study.metrics.likelihood_ratios}
    for one in study.metrics.comparisons:
        if not one.combined:
            continue
        test = tests[one.run, one.against]
        row = {
            **{name: getattr(one, name) for name in ("cohort", "run", "against")},
            "num_patients": one.combined.difference.num_patients,
            **spread("beyond", one.combined.beyond),
            **spread("auc_gain", one.combined.difference),
            "auc_gain_p_value": one.combined.p_value,
            **spread("log_score_gain", one.combined.log_score),
        }
        for benefit in one.combined.net_benefit_differences:
            row |= spread(f"net_benefit_gain_at_{benefit.threshold:g}", benefit)
        yield row | {
            "likelihood_ratio_chi_square": test.statistic,
            "likelihood_ratio_p_value": test.p_value,
            "likelihood_ratio_p_adjusted": test.p_adjusted,
            "fitted_on": test.fitted_on,
            "num_validation_patients": test.num_patients,
        }


def subgroup_rows(study: Study) -> Iterator[Row]:
    """One row per run, variable and level."""
    for subgroup in study.metrics.subgroups if study.metrics else ():
        for level in subgroup.levels:
            yield {
                **{name: getattr(subgroup, name) for name in ("cohort", "run", "variable")},
                **{name: getattr(level, name) for name in ("level", "num_patients", "num_pcr")},
                **spread("auc", level.auc),
                "num_unknown": subgroup.num_unknown,
                "interaction_statistic": subgroup.interaction.statistic,
                "interaction_degrees": subgroup.interaction.degrees,
                "interaction_p_value": subgroup.interaction.p_value,
                "interaction_p_adjusted": subgroup.p_adjusted,
                "interaction_method": subgroup.interaction.method,
                "interaction_note": subgroup.interaction.note,
            }


def spread(name: str, estimate: Estimate | FlatEstimate) -> dict[str, object]:
    """An estimate over several columns."""
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
        f"{name}_method": estimate.method,
        f"{name}_note": estimate.note,
    }


def _groups(study: Study) -> Iterator[tuple[str, str, GroupMetrics]]:
    """Run, group and its numbers, but for training patients."""
    for run in study.named():
        for cohort, group in study.groups(run).items():
            if cohort != "train":
                yield run, cohort, group


def _place(run: str, cohort: str, group: GroupMetrics) -> dict[str, object]:
    """Which run in which group, and how many patients."""
    counts = {"num_patients": group.num_patients, "num_pcr": group.num_pcr}
    return {"cohort": cohort, "run": run, **counts}


def _several(names: tuple[str, ...], numbers: Calibration | Recalibrated) -> dict[str, object]:
    """Several estimates over their columns."""
    columns: dict[str, object] = {}
    for name in names:
        columns |= spread(name, getattr(numbers, name))
    return columns
