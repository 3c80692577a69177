"""What a run adds to a reference model, or to another run, on the same patients.

In: groups of two runs. Out: differences with intervals. Where something must be fitted (reference
model and image together) it is fitted on validation patients; test patients only judge it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from neoresponse.contracts.groups import VALIDATION, Group, test_cohorts
from neoresponse.contracts.metrics import (
    Combined,
    Comparison,
    LikelihoodRatio,
    McNemar,
    NetBenefitDifference,
)
from neoresponse.evaluation.numbers import bootstrap_plan, generator
from neoresponse.evaluation.recalibration import NOT_BOTH
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import (
    Significance,
    adjust_p_values,
    fit_logistic,
    has_both_classes,
    log_score_difference,
    logistic_probability,
    mcnemar_tests,
    nested_models_test,
    net_benefit_differences,
    paired_delong,
    score_step,
)
from neoresponse.types import REFERENCE_MODELS, Estimate, FloatArray, IntArray

OTHER_PATIENTS = "not estimable: the two runs have different patients"
RIDGE = 1.0
"""Penalty on standardised log odds, so that a small validation group has a finite fit."""
FURTHEST = 1e-6
"""Probabilities are held this far from 0 and 1 before their log odds are taken."""

BoolArray = npt.NDArray[np.bool_]
Runs = Mapping[str, Mapping[str, Group]]
R = TypeVar("R", Comparison, LikelihoodRatio)


@dataclass(frozen=True)
class Pair:
    """The same patients under two runs, in one order."""

    label: IntArray
    first: FloatArray
    second: FloatArray


@dataclass(frozen=True)
class Fitted:
    """What was fitted on validation patients; each gives numbers of other patients.

    Attributes:
        both: probability from the log odds of reference model and network.
        alone: probability from the log odds of the reference model alone.
        rest: what the network's log odds say beyond a line in the reference model's, in standard
            deviations.
    """

    both: Callable[[Pair], FloatArray]
    alone: Callable[[Pair], FloatArray]
    rest: Callable[[Pair], FloatArray]


def comparisons(
    groups: Runs, settings: EvaluateSettings, *, thresholds: Mapping[str, float]
) -> tuple[Comparison, ...]:
    """Every run minus each reference model, and minus the first run, in all test cohorts of both.

    Args:
        groups: name of a run -> its groups.
        settings: coverage, bootstrap, decision thresholds.
        thresholds: name of a run -> its threshold.

    Returns:
        Rows in the order of `groups`; P values are adjusted by Holm over all rows that share
        `against`.
    """
    rows: list[Comparison] = []
    for run, other in _pairs(groups):
        fitted = _fit_together(groups[run], groups[other]) if other in REFERENCE_MODELS else None
        for cohort in test_cohorts(list(groups[run])):
            if cohort in groups[other]:
                pair = _paired(groups[run][cohort], groups[other][cohort])
                both = thresholds[run], thresholds[other]
                compared = _compared(pair, (cohort, run, other), settings, thresholds=both)
                combined = _combined(pair, fitted, settings) if fitted else None
                rows.append(compared.model_copy(update={"combined": combined}))
    return _adjusted(rows)


def likelihood_ratios(groups: Runs) -> tuple[LikelihoodRatio, ...]:
    """Whether a run's log odds add to those of a reference model among validation patients.

    Returns:
        One row per run and reference model. The likelihood ratio test compares logistic regression
        on the model's log odds with one on both, fitted on validation patients, whom the run's
        epoch and threshold were chosen on: read it as an upper bound. Holm over rows that share
        `against`.
    """
    rows: list[LikelihoodRatio] = []
    for run, other in _pairs(groups):
        if other not in REFERENCE_MODELS:
            continue
        pair = _validation(groups[run], groups[other])
        rows.append(
            LikelihoodRatio(
                run=run,
                against=other,
                fitted_on=VALIDATION,
                num_patients=len(pair.label) if pair else 0,
                **asdict(_likelihood_ratio(pair)),
            )
        )
    return _adjusted(rows)


def _pairs(groups: Runs) -> list[tuple[str, str]]:
    """Every image model against each reference model, and against the first image model."""
    images = [name for name in groups if name not in REFERENCE_MODELS]
    references = [name for name in REFERENCE_MODELS if name in groups]
    against_reference = [(run, reference) for reference in references for run in images]
    among = [(run, images[0]) for run in images[1:]]
    return against_reference + among


def _paired(group: Group, other: Group) -> Pair | None:
    """Two runs on the same patients; None where they hold different ones."""
    place = {patient_id: row for row, patient_id in enumerate(other.patient_id)}
    if set(place) != set(group.patient_id):
        return None
    order = [place[patient_id] for patient_id in group.patient_id]
    return Pair(group.label, group.probability, other.probability[order])


def _validation(run: Mapping[str, Group], other: Mapping[str, Group]) -> Pair | None:
    """Validation patients of two runs; None where they differ or lack a class."""
    if VALIDATION not in run or VALIDATION not in other:
        return None
    pair = _paired(run[VALIDATION], other[VALIDATION])
    return pair if pair is not None and has_both_classes(pair.label) else None


def _fit_together(run: Mapping[str, Group], reference: Mapping[str, Group]) -> Fitted | None:
    """Reference model with image, and alone, fitted on validation patients; None without any."""
    pair = _validation(run, reference)
    if pair is None:
        return None
    return Fitted(_fit(pair, has_image=True), _fit(pair, has_image=False), _fit_rest(pair))


def _fit_rest(pair: Pair) -> Callable[[Pair], FloatArray]:
    """The network's log odds less a line in the reference model's, standardised."""

    def line(other: Pair) -> FloatArray:
        return np.column_stack([np.ones(len(other.label)), _columns(other, has_image=False)])

    def image(other: Pair) -> FloatArray:
        return np.asarray(_columns(other, has_image=True)[:, 1])

    coefficients = np.linalg.lstsq(line(pair), image(pair))[0]
    spread = float(np.std(image(pair) - line(pair) @ coefficients)) or 1.0
    return lambda other: np.asarray((image(other) - line(other) @ coefficients) / spread)


def _fit(pair: Pair, *, has_image: bool) -> Callable[[Pair], FloatArray]:
    """Logistic regression on standardised log odds, with a mild ridge."""
    columns = _columns(pair, has_image=has_image)
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)

    def design(other: Pair) -> FloatArray:
        scaled = (_columns(other, has_image=has_image) - centre) / spread
        return np.column_stack([np.ones(len(scaled)), scaled])

    coefficients = fit_logistic(design(pair), pair.label, ridge=RIDGE)
    return lambda other: logistic_probability(design(other), coefficients)


def _columns(pair: Pair, *, has_image: bool) -> FloatArray:
    """Log odds of the reference model, and of the image model beside them."""
    named = (pair.second, pair.first) if has_image else (pair.second,)
    return np.column_stack([logit(np.clip(p, FURTHEST, 1 - FURTHEST)) for p in named])


def _compared(
    pair: Pair | None,
    place: tuple[str, str, str],
    settings: EvaluateSettings,
    *,
    thresholds: tuple[float, float],
) -> Comparison:
    """Difference in AUC, calls and net benefit of the same patients."""
    cohort, run, against = place
    if pair is None:
        missing = Estimate(
            None, None, None, 0, "paired DeLong", settings.confidence, OTHER_PATIENTS
        )
        return Comparison(
            cohort=cohort,
            run=run,
            against=against,
            difference=missing,
            p_value=None,
            mcnemar=None,
            net_benefit_differences=(),
            combined=None,
        )
    found = paired_delong(pair.label, pair.first, pair.second, confidence=settings.confidence)
    return Comparison(
        cohort=cohort,
        run=run,
        against=against,
        difference=found.difference,
        p_value=found.p_value,
        mcnemar=mcnemar(pair.label == 1, pair.first >= thresholds[0], pair.second >= thresholds[1]),
        net_benefit_differences=_net_benefits(pair, settings),
        combined=None,
    )


def mcnemar(is_pcr: BoolArray, first: BoolArray, second: BoolArray) -> McNemar:
    """Patients whom only one of two ways of calling has right, and McNemar's mid-P test of that.

    Args:
        is_pcr: the outcome, shape (patients,).
        first: whom the first calls pCR, shape (patients,).
        second: whom the second calls pCR, shape (patients,).
    """
    only_first = int(np.sum((first == is_pcr) & (second != is_pcr)))
    only_second = int(np.sum((second == is_pcr) & (first != is_pcr)))
    test = mcnemar_tests(only_first, only_second)["mid-P"]
    return McNemar(
        num_only_first_right=only_first,
        num_only_second_right=only_second,
        num_patients=len(is_pcr),
        p_value=test.p_value,
        method=test.method,
    )


def _combined(pair: Pair | None, fitted: Fitted, settings: EvaluateSettings) -> Combined | None:
    """Reference model with image minus reference model, both fitted on validation patients."""
    if pair is None or not len(pair.label):
        return None
    both, alone = fitted.both(pair), fitted.alone(pair)
    found = paired_delong(pair.label, both, alone, confidence=settings.confidence)
    score = log_score_difference(pair.label, both, alone, confidence=settings.confidence)
    return Combined(
        difference=found.difference,
        p_value=found.p_value,
        log_score=score,
        beyond=score_step(pair.label, alone, fitted.rest(pair), confidence=settings.confidence),
        net_benefit_differences=_net_benefits(Pair(pair.label, both, alone), settings),
    )


def _net_benefits(pair: Pair, settings: EvaluateSettings) -> tuple[NetBenefitDifference, ...]:
    """Difference in net benefit at each threshold that one would act on."""
    if not len(pair.label):
        return ()
    thresholds = settings.decision_thresholds
    found = net_benefit_differences(
        pair.label,
        (pair.first, pair.second),
        thresholds=thresholds,
        rng=generator(settings),
        plan=bootstrap_plan(settings),
    )
    return tuple(
        NetBenefitDifference(threshold=threshold, **asdict(one))
        for threshold, one in zip(thresholds, found, strict=True)
    )


def _likelihood_ratio(pair: Pair | None) -> Significance:
    """The test on validation patients."""
    if pair is None:
        return Significance(None, None, "likelihood ratio", None, NOT_BOTH)
    ones = np.ones(len(pair.label))
    larger = np.column_stack([ones, _columns(pair, has_image=True)])
    smaller = np.column_stack([ones, _columns(pair, has_image=False)])
    return nested_models_test(larger, smaller, pair.label)


def _adjusted(rows: Sequence[R]) -> tuple[R, ...]:
    """The same rows with P values adjusted by Holm within each `against`."""
    adjusted: dict[int, float] = {}
    for other in {row.against for row in rows}:
        known = {
            place: row.p_value
            for place, row in enumerate(rows)
            if row.against == other and row.p_value is not None
        }
        values = adjust_p_values(list(known.values()))
        adjusted |= dict(zip(known, values.tolist(), strict=True))
    return tuple(
        row.model_copy(update={"p_adjusted": adjusted.get(place)}) for place, row in enumerate(rows)
    )
