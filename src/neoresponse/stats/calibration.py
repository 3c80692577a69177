"""Whether probabilities can be taken at their word: calibration, Brier score, log loss.

In: labels and probabilities in [0, 1] of the same patients. Out: numbers, with intervals where they
have some. Recalibration is in `recalibration.py`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, expit, logit, ndtr, xlog1py, xlogy

from neoresponse.stats.discrimination import Booleans, Doubles, checked_arrays, has_both_classes
from neoresponse.stats.interval import ONE_CLASS, two_sided_z
from neoresponse.stats.likelihood import Likelihood
from neoresponse.stats.proportion import wilson_interval
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray

NO_LINE = "not estimable: needs both classes and different probabilities between 0 and 1"
NO_SPREAD = "not estimable: every probability is 0, 0.5 or 1"


@dataclass(frozen=True)
class BrierParts:
    """The Brier score taken apart: reliability - resolution + uncertainty.

    Attributes:
        reliability: squared distance of probabilities from the shares found at them; 0 is best.
        resolution: squared distance of those shares from the overall share; more is better.
        uncertainty: overall share times its rest; not the model's doing.
    """

    reliability: float
    resolution: float
    uncertainty: float


@dataclass(frozen=True)
class CalibrationLine:
    """Log odds of pCR as a line in the log odds predicted.

    Attributes:
        slope: 1 is best; below 1 the probabilities are too extreme.
        intercept: of that line, 0 is best.
        in_the_large: intercept where the slope is held at 1; below 0 the probabilities are too high
            on average.
        slope_test: Wald test that the slope is 1.
        unreliability_test: likelihood ratio test that intercept and slope are 0 and 1.
        num_left_out: patients with a probability of exactly 0 or 1, which has no log odds.
    """

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate
    slope_test: Significance
    unreliability_test: Significance
    num_left_out: int


@dataclass(frozen=True)
class CalibrationBin:
    """Patients with similar probabilities.

    Attributes:
        mean_probability: what was predicted for them on average.
        observed: share with pCR, with Wilson's interval.
    """

    mean_probability: float
    observed: Estimate


def brier_score(label: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean squared distance between predicted probability and outcome.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).

    Returns:
        0 is perfect; always answering 0.5 gives 0.25.

    Raises:
        ValueError: a probability is outside [0, 1], or there are no patients.

    Source: Brier, Mon. Weather Rev. 1950, 78:1-3.
    """
    is_pcr, values = checked_probabilities(label, probability)
    return float(np.mean((values - is_pcr) ** 2))


def scaled_brier_score(label: npt.ArrayLike, probability: npt.ArrayLike) -> float | None:
    """Brier score as a share: 1 is perfect, 0 is what always answering the prevalence gives.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).

    Returns:
        At most 1, possibly negative; None where one class is empty.

    Source: Steyerberg et al., Epidemiology 2010, 21:128-138.
    """
    is_pcr, _ = checked_probabilities(label, probability)
    share = float(is_pcr.mean())
    if not 0 < share < 1:
        return None
    return 1 - brier_score(label, probability) / (share * (1 - share))


def brier_parts(label: npt.ArrayLike, probability: npt.ArrayLike) -> BrierParts:
    """Murphy's decomposition of the Brier score, one group per distinct probability.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).

    Returns:
        Parts that add up to the Brier score exactly. Where all probabilities differ each group is
        one patient, and reliability says little: group them first, for example by rounding.

    Source: Murphy, J. Appl. Meteorol. 1973, 12:595-600.
    """
    is_pcr, values = checked_probabilities(label, probability)
    distinct, group, num = np.unique(values, return_inverse=True, return_counts=True)
    share = np.bincount(group, weights=is_pcr) / num
    overall = float(is_pcr.mean())
    return BrierParts(
        reliability=float(np.average((distinct - share) ** 2, weights=num)),
        resolution=float(np.average((share - overall) ** 2, weights=num)),
        uncertainty=overall * (1 - overall),
    )


def log_loss(label: npt.ArrayLike, probability: npt.ArrayLike) -> float:
    """Mean negative log-likelihood of the outcomes, natural logarithm.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).

    Returns:
        0 is perfect; infinite where a patient had what was predicted as impossible.

    Source: Good, J. R. Stat. Soc. B 1952, 14:107-114.
    """
    is_pcr, values = checked_probabilities(label, probability)
    return float(-np.mean(xlogy(is_pcr, values) + xlog1py(~is_pcr, -values)))


def spiegelhalter_test(label: npt.ArrayLike, probability: npt.ArrayLike) -> Significance:
    """Test that the probabilities are the true ones, by the Brier score that they promise.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).

    Returns:
        z and two-sided P; None with a note where no probability lets the Brier score vary.

    Source: Spiegelhalter, Stat. Med. 1986, 5:421-433.
    """
    is_pcr, values = checked_probabilities(label, probability)
    lean = 1 - 2 * values
    spread = math.sqrt(float(np.sum(lean**2 * values * (1 - values))))
    if not spread:
        return Significance(None, None, "Spiegelhalter", None, NO_SPREAD)
    z = float(np.sum((is_pcr - values) * lean)) / spread
    return Significance(z, float(2 * ndtr(-abs(z))), "Spiegelhalter")


def observed_over_expected(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Patients with pCR over the number predicted.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        confidence: coverage of the interval, in (0, 1).

    Returns:
        1 is best. The interval is symmetric for the logarithm; None with a note where nobody, or
        everybody, has pCR.

    Source: Debray et al., BMJ 2017, 356:i6460.
    """
    is_pcr, values = checked_probabilities(label, probability)
    observed, expected, method = int(is_pcr.sum()), float(values.sum()), "log-normal"
    value = observed / expected if expected else None
    if not has_both_classes(is_pcr) or not value:
        return Estimate(value, None, None, is_pcr.size, method, confidence, ONE_CLASS)
    error = math.sqrt((1 - observed / is_pcr.size) / observed)
    factor = math.exp(two_sided_z(confidence) * error)
    return Estimate(value, value / factor, value * factor, is_pcr.size, method, confidence)


def calibration_line(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, confidence: float = 0.95
) -> CalibrationLine:
    """Calibration slope, intercept, and calibration in the large.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        confidence: coverage of the intervals, in (0, 1).

    Returns:
        The line with Wald's intervals, fitted to patients with a probability between 0 and 1. None
        with a note where there is no line: one class, one probability, or separated classes.

    Source: Cox, Biometrika 1958, 45:562-565; Van Calster et al., BMC Med. 2019, 17:230.
    """
    is_pcr, values = checked_probabilities(label, probability)
    is_inside = (values > 0) & (values < 1)
    is_pcr, values = is_pcr[is_inside], values[is_inside]
    num_left_out = int(np.sum(~is_inside))
    if not has_both_classes(is_pcr) or np.ptp(values) == 0:
        nothing = Estimate(None, None, None, is_pcr.size, "Wald", confidence, NO_LINE)
        no_test = Significance(None, None, "Wald", None, NO_LINE)
        return CalibrationLine(nothing, nothing, nothing, no_test, no_test, num_left_out)
    predicted = np.asarray(logit(values))
    design = np.column_stack([np.ones(predicted.size), predicted])
    part = Likelihood(design, is_pcr).free()
    height, line = part.maximum()
    gain = height + is_pcr.size * log_loss(is_pcr, values)
    errors = np.sqrt(np.diag(part.covariance(line)))
    test = Significance(None, None, "slope of 1, Wald", None, NO_LINE)
    intercept = slope = Estimate(None, None, None, is_pcr.size, "Wald", confidence, NO_LINE)
    if part.is_kept.all():
        intercept, slope = (
            _wald(float(value), float(error), is_pcr.size, confidence)
            for value, error in zip(line, errors, strict=True)
        )
        z = float((line[1] - 1) / errors[1])
        test = Significance(z, float(2 * ndtr(-abs(z))), "slope of 1, Wald")
    return CalibrationLine(
        slope=slope,
        intercept=intercept,
        in_the_large=_in_the_large(is_pcr, predicted, confidence),
        slope_test=test,
        unreliability_test=Significance(
            2 * gain, float(chdtrc(2, max(0.0, 2 * gain))), "line of 0 and 1, likelihood ratio", 2
        ),
        num_left_out=num_left_out,
    )


def calibration_curve(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    num_bins: int = 10,
    by: Literal["width", "count"] = "width",
    confidence: float = 0.95,
) -> list[CalibrationBin]:
    """Share of pCR among patients with similar probabilities.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        num_bins: bins wanted, >= 1.
        by: "width": bins of equal width, 1 belonging to the last; "count": between quantiles of the
            probabilities, so of about equal size; equal probabilities stay together.
        confidence: coverage of each interval, in (0, 1).

    Returns:
        One entry per bin that has patients, probabilities rising.

    Raises:
        ValueError: there is no bin, or `by` is not known.

    Source: Van Calster et al., BMC Med. 2019, 17:230; intervals: `wilson_interval`.
    """
    is_pcr, values = checked_probabilities(label, probability)
    if num_bins < 1 or by not in ("width", "count"):
        raise ValueError(
            f"num_bins and by: expected >= 1 and 'width' or 'count', got {num_bins} and {by!r}"
        )
    groups = equal_width_bins if by == "width" else _quantile_groups
    group = groups(values, num_bins)
    return [
        CalibrationBin(
            float(values[group == one].mean()),
            wilson_interval(
                int(is_pcr[group == one].sum()), int(np.sum(group == one)), confidence=confidence
            ),
        )
        for one in np.unique(group)
    ]


def expected_calibration_error(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, num_bins: int = 10
) -> float:
    """Mean distance between probability and share of pCR, over bins of equal width.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        num_bins: bins from 0 to 1, >= 1; 1 belongs to the last.

    Returns:
        In [0, 1]; 0 is best. It depends on the bins and is never 0 by chance alone: read it beside
        the slope.

    Source: Naeini et al., AAAI 2015, 2901-2907.
    """
    bins = calibration_curve(label, probability, num_bins=num_bins)
    gaps = [abs(one.mean_probability - (one.observed.value or 0.0)) for one in bins]
    return float(np.average(gaps, weights=[one.observed.num_patients for one in bins]))


def hosmer_lemeshow(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    num_groups: int = 10,
    fitted_here: bool = False,
) -> Significance:
    """Test that shares agree with probabilities in groups of equal size.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        num_groups: groups wanted; equal probabilities stay together, so there may be fewer.
        fitted_here: whether the model was fitted to these patients, which costs two degrees of
            freedom.

    Returns:
        Chi-square, its degrees of freedom and P; None with a note where too few groups are left or
        a group expects nobody or everybody. It has little power and depends on the groups.

    Source: Hosmer and Lemeshow, Commun. Stat. Theory Methods 1980, 9:1043-1069.
    """
    is_pcr, values = checked_probabilities(label, probability)
    group = _quantile_groups(values, num_groups)
    num = np.bincount(group)
    expected = np.bincount(group, weights=values)[num > 0]
    observed, num = np.bincount(group, weights=is_pcr)[num > 0], num[num > 0]
    degrees = len(num) - (2 if fitted_here else 0)
    spread = expected * (1 - expected / num)
    if degrees < 1 or (spread <= 0).any():
        note = "not estimable: too few groups, or one expects nobody or everybody"
        return Significance(None, None, "Hosmer-Lemeshow", None, note)
    statistic = float(np.sum((observed - expected) ** 2 / spread))
    return Significance(statistic, float(chdtrc(degrees, statistic)), "Hosmer-Lemeshow", degrees)


def checked_probabilities(
    label: npt.ArrayLike, probability: npt.ArrayLike
) -> tuple[Booleans, Doubles]:
    """Labels as booleans and probabilities as float64, each of shape (patients,).

    Raises:
        ValueError: as `checked_arrays`; a probability is outside [0, 1]; there are no patients.
    """
    is_pcr, values = checked_arrays(label, probability)
    if not values.size or values.min() < 0 or values.max() > 1:
        raise ValueError("probability: expected at least one, all from 0 to 1. Logits? Take expit.")
    return is_pcr, values


def equal_width_bins(values: Doubles, num_bins: int) -> npt.NDArray[np.intp]:
    """Number of the bin of each patient, (patients,); bins from 0 to 1, and 1 is in the last."""
    return np.minimum((values * num_bins).astype(np.intp), num_bins - 1)


def _in_the_large(is_pcr: Booleans, predicted: Doubles, confidence: float) -> Estimate:
    """The shift of all log odds that makes expected and observed numbers equal."""
    shift = 0.0
    for _ in range(200):
        fitted = expit(predicted + shift)
        information = float(np.sum(fitted * (1 - fitted)))
        step = float(np.sum(is_pcr - fitted)) / information
        shift += float(np.clip(step, -1, 1))  # Newton overshoots far from the answer
        if abs(step) < 1e-14:
            break
    return _wald(shift, 1 / math.sqrt(information), is_pcr.size, confidence)


def _wald(value: float, error: float, num_patients: int, confidence: float) -> Estimate:
    """A number with its normal interval."""
    half_width = two_sided_z(confidence) * error
    ends = value - half_width, value + half_width
    return Estimate(value, *ends, num_patients, "Wald", confidence)


def _quantile_groups(values: Doubles | FloatArray, num_groups: int) -> npt.NDArray[np.intp]:
    """Number of the group between quantiles (R's type 7), closed on the right."""
    breaks = np.unique(np.quantile(values, np.linspace(0, 1, num_groups + 1)))
    return np.searchsorted(breaks[1:-1], values, side="left")
