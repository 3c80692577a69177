"""Labels and probabilities of one group -> every number about it.

In: two arrays and the settings. Out: parts of the record `Numbers`. Nothing
is chosen or fitted here: the threshold comes from elsewhere.
"""

from collections.abc import Iterable
from dataclasses import asdict, replace

import numpy as np

from neoresponse.contracts.metrics import (
    Calibration,
    CalibrationBin,
    Counts,
    Decision,
    DecisionCurve,
    NetBenefit,
    PrecisionRecall,
    Roc,
)
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import (
    Bootstrap,
    Confusion,
    area_under_precision,
    auc_interval,
    binned_brier,
    bootstrap_area,
    bootstrap_brier,
    bootstrap_measures,
    calibration_curve,
    calibration_error_by_chance,
    calibration_line,
    confusion,
    decision_curve,
    expected_calibration_error,
    has_both_classes,
    net_benefit_differences,
    precision_recall_curve,
    rates,
    roc_curve,
    wilson_interval,
)
from neoresponse.types import Estimate, FloatArray, IntArray

NUM_BINS = 10
"""Bins of the calibration curve (equal counts), of the calibration error and Brier's parts (equal
width)."""
GRID = tuple(round(0.02 * step, 2) for step in range(1, 50))
"""Thresholds of a decision curve."""
MANY = 10_000
"""Above so many patients BCa and percentile agree, and BCa leaves out each patient in turn."""
NOBODY = "not estimable: no patient with a known outcome"
BIASED = "no CI: too high in small groups by chance; compare with the ECE expected by chance"
DEPENDS = "no CI: it depends on the bins and is biased in small groups"
NO_PROBABILITY = "not estimable: the column holds scores, not probabilities from 0 to 1"


def discrimination(
    label: IntArray, probability: FloatArray, settings: EvaluateSettings
) -> dict[str, Estimate]:
    """AUC and average precision; these need an order, not probabilities.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: of pCR, or a score that rises with it, shape (patients,).
        settings: coverage and bootstrap.
    """
    plan = bootstrap_plan(settings, kind="bca" if len(label) <= MANY else "percentile")
    return {
        "auc": auc_interval(label, probability, confidence=settings.confidence),
        "average_precision": bootstrap_area(
            label,
            probability,
            measure=area_under_precision,
            rng=generator(settings),
            plan=plan,
        ),
    }


def at_threshold(
    label: IntArray, probability: FloatArray, settings: EvaluateSettings, *, threshold: float
) -> tuple[Counts, dict[str, Estimate]]:
    """The four counts, and what is made from them.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: of pCR, or a score, shape (patients,).
        settings: coverage and bootstrap.
        threshold: a patient at or above it is called pCR; chosen elsewhere.
    """
    counts = confusion(label, probability, threshold=threshold)
    measures = bootstrap_measures(
        counts, rng=generator(settings), plan=bootstrap_plan(settings, kind="bca")
    )
    estimates = {**rates(counts, confidence=settings.confidence), **measures}
    return Counts(**asdict(counts)), estimates


def calibration(
    label: IntArray, probability: FloatArray, settings: EvaluateSettings
) -> Calibration:
    """Whether probabilities can be taken at their word.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: of pCR in [0, 1], shape (patients,).
        settings: coverage and bootstrap.
    """
    if not len(label):
        return no_calibration(settings, note=NOBODY)
    confidence, plan = settings.confidence, bootstrap_plan(settings)
    line = calibration_line(label, probability, confidence=confidence)
    apart = binned_brier(label, probability, num_bins=NUM_BINS)
    error = expected_calibration_error(label, probability, num_bins=NUM_BINS)
    bare = Estimate(None, None, None, len(label), f"{NUM_BINS} bins of equal width", confidence)
    curve = calibration_curve(
        label, probability, num_bins=NUM_BINS, by="count", confidence=confidence
    )
    parts = {**asdict(apart.parts), "within_bins": apart.within_bins}
    return Calibration(
        slope=line.slope,
        intercept=line.intercept,
        in_the_large=line.in_the_large,
        brier=bootstrap_brier(label, probability, rng=generator(settings), plan=plan),
        **{name: replace(bare, value=value, note=DEPENDS) for name, value in parts.items()},
        ece=replace(bare, value=error, note=BIASED),
        ece_by_chance=calibration_error_by_chance(
            probability, num_bins=NUM_BINS, rng=generator(settings), plan=plan
        ),
        num_without_log_odds=line.num_left_out,
        num_certain_and_wrong=int(np.sum(probability == 1 - label)),
        curve=tuple(
            CalibrationBin(mean_probability=one.mean_probability, observed=one.observed)
            for one in curve
        ),
    )


def no_calibration(settings: EvaluateSettings, *, note: str) -> Calibration:
    """The same record with no numbers, and why."""
    missing = Estimate(None, None, None, 0, "none", settings.confidence, note)
    names = [
        name for name, field in Calibration.model_fields.items() if field.annotation is Estimate
    ]
    return Calibration(
        **dict.fromkeys(names, missing), num_without_log_odds=0, num_certain_and_wrong=0, curve=()
    )


def decision(label: IntArray, probability: FloatArray, settings: EvaluateSettings) -> Decision:
    """Net benefit over all thresholds, and patients per 100 at those that one would act on.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: of pCR in [0, 1], shape (patients,).
        settings: coverage, bootstrap, `decision_thresholds`.
    """
    if not len(label):
        return Decision(curve=_no_curve(), at=())
    plan = bootstrap_plan(settings)
    found = decision_curve(label, probability, thresholds=GRID, rng=generator(settings), plan=plan)
    assert found.low is not None
    assert found.high is not None
    curve = DecisionCurve(
        threshold=GRID,
        net_benefit=found.net_benefit.tolist(),
        low=found.low.tolist(),
        high=found.high.tolist(),
        treat_all=found.treat_all.tolist(),
        method=plan.method,
        num_patients=len(label),
    )
    return Decision(curve=curve, at=net_benefits(label, probability, settings))


def net_benefits(
    label: IntArray,
    probability: FloatArray,
    settings: EvaluateSettings,
    *,
    thresholds: Iterable[float] | None = None,
) -> tuple[NetBenefit, ...]:
    """Net benefit and patients per 100 at a few thresholds, by default `decision_thresholds`."""
    cuts = list(settings.decision_thresholds if thresholds is None else thresholds)
    plan, everybody = bootstrap_plan(settings), np.ones(len(label))
    nobody = np.zeros(len(label))
    # Treating nobody has a net benefit of 0, so the difference to it is the net benefit itself.
    alone, gains = (
        net_benefit_differences(
            label,
            (probability, other),
            thresholds=cuts,
            rng=generator(settings),
            plan=plan,
        )
        for other in (nobody, everybody)
    )
    return tuple(
        NetBenefit(
            threshold=cut,
            net_benefit=value,
            against_treat_all=gain,
            **_per_100(confusion(label, probability, threshold=cut), settings),
            avoided_per_100=_scaled(gain, 100 * (1 - cut) / cut),
        )
        for cut, value, gain in zip(cuts, alone, gains, strict=True)
    )


def curves(label: IntArray, probability: FloatArray) -> tuple[Roc, PrecisionRecall]:
    """Points of the ROC and of the precision-recall curve; none where a class is empty."""
    if not has_both_classes(label):
        none = Roc(false_positive_rate=(), true_positive_rate=())
        return none, PrecisionRecall(recall=(), precision=())
    roc, precise = roc_curve(label, probability), precision_recall_curve(label, probability)
    return (
        Roc(
            false_positive_rate=roc.false_positive_rate.tolist(),
            true_positive_rate=roc.true_positive_rate.tolist(),
        ),
        PrecisionRecall(recall=precise.recall.tolist(), precision=precise.precision.tolist()),
    )


def generator(settings: EvaluateSettings) -> np.random.Generator:
    """Fresh draws: every interval starts from the same seed, so none moves another."""
    return np.random.default_rng(settings.bootstrap_seed)


def bootstrap_plan(settings: EvaluateSettings, *, kind: str = "percentile") -> Bootstrap:
    """Number of draws and coverage."""
    return Bootstrap(
        num_replicates=settings.replicates,
        confidence=settings.confidence,
        kind="bca" if kind == "bca" else "percentile",
    )


def _per_100(counts: Confusion, settings: EvaluateSettings) -> dict[str, Estimate]:
    """Patients rightly and wrongly called pCR, of 100."""
    found = {"true_positives_per_100": counts.tp, "false_positives_per_100": counts.fp}
    return {
        name: _scaled(
            wilson_interval(num, counts.num_patients, confidence=settings.confidence), 100.0
        )
        for name, num in found.items()
    }


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    """An estimate and its ends times a factor."""
    value, low, high = (
        None if end is None else factor * end
        for end in (estimate.value, estimate.low, estimate.high)
    )
    return replace(estimate, value=value, low=low, high=high)


def _no_curve() -> DecisionCurve:
    """A decision curve without patients."""
    return DecisionCurve(
        threshold=(), net_benefit=(), low=(), high=(), treat_all=(), method="none", num_patients=0
    )
