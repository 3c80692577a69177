"""Logistic regression for a table in a paper: odds ratios, intervals, P values.

In: a design matrix (a column of ones included) and labels. Out: a `LogisticModel`. For the
coefficients alone, or with a ridge, see `logistic.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import chdtrc, ndtr

from neoresponse.stats.interval import two_sided_z
from neoresponse.stats.likelihood import FreePart, Likelihood
from neoresponse.stats.logistic import checked_design
from neoresponse.stats.separation import Vector, independent_columns
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate

SEPARATED = "not estimable: this column helps to separate the classes, its maximum is infinite"
UNBOUNDED = "the likelihood does not fall far enough on one side: no end there"
MAX_DOUBLINGS = 10
ENOUGH_GAIN = 1e-9
"""Newton squares what is missing, so the height after such a step is right to 16 digits."""


@dataclass(frozen=True)
class Term:
    """One column of the design.

    Attributes:
        wald: coefficient (log odds ratio) with Wald's interval.
        profile: the same coefficient with the interval by profile likelihood; an end that lies at
            infinity is None.
        error: standard error, or None.
        p_wald: two-sided P from the normal distribution, or None.
        p_profile: P of the likelihood ratio test that the coefficient is 0.
    """

    wald: Estimate
    profile: Estimate
    error: float | None
    p_wald: float | None
    p_profile: float


@dataclass(frozen=True)
class LogisticModel:
    """A fitted logistic regression.

    Attributes:
        terms: one per column of the design.
        covariance: of the coefficients, shape (columns, columns); NaN in the rows and columns of
            terms that are not estimable.
        log_likelihood: at the maximum; with Firth's penalty, the penalised one.
        null_log_likelihood: of the intercept alone, without a penalty.
        num_patients: rows of the design.
        num_events: patients with pCR.
    """

    terms: tuple[Term, ...]
    covariance: Vector
    log_likelihood: float
    null_log_likelihood: float
    num_patients: int
    num_events: int

    @property
    def deviance(self) -> float:
        """-2 log-likelihood."""
        return -2 * self.log_likelihood

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return self.deviance + 2 * len(self.terms)

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return self.deviance + math.log(self.num_patients) * len(self.terms)

    @property
    def mcfadden_r2(self) -> float:
        """Share of the null deviance that the model takes away."""
        return 1 - self.log_likelihood / self.null_log_likelihood

    @property
    def nagelkerke_r2(self) -> float:
        """Cox and Snell's R2 over the largest that it can reach."""
        per_patient = 2 / self.num_patients
        found = -math.expm1(per_patient * (self.null_log_likelihood - self.log_likelihood))
        return found / -math.expm1(per_patient * self.null_log_likelihood)

    @property
    def events_per_variable(self) -> float | None:
        """Patients in the smaller class per coefficient besides the intercept; None without one."""
        variables = len(self.terms) - 1
        events = min(self.num_events, self.num_patients - self.num_events)
        return events / variables if variables else None


def logistic_model(
    design: npt.ArrayLike, label: npt.ArrayLike, *, confidence: float = 0.95
) -> LogisticModel:
    """Fit a logistic regression and describe every term.

    Args:
        design: one row per patient, independent columns, shape (patients, columns).
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        confidence: coverage of the intervals, in (0, 1).

    Returns:
        Coefficients as R's `glm`. A term whose maximum is infinite (separation) has no value and no
        Wald interval, but the finite end of its profile interval and its P; the other terms are at
        their limits. Then use `firth_model`.

    Raises:
        ValueError: shapes or labels are wrong, or columns are collinear.

    Source: McCullagh and Nelder, Generalized Linear Models, 2nd ed. 1989; profile intervals:
    Venzon and Moolgavkar, J. R. Stat. Soc. C 1988, 37:87-94, by bracketing.
    """
    return _described(design, label, confidence=confidence, has_penalty=False)


def firth_model(
    design: npt.ArrayLike, label: npt.ArrayLike, *, confidence: float = 0.95
) -> LogisticModel:
    """Fit a logistic regression with Firth's penalty, which stays finite under separation.

    Args:
        design: one row per patient, independent columns, shape (patients, columns).
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        confidence: coverage of the intervals, in (0, 1).

    Returns:
        Coefficients, profile penalised likelihood intervals and P values as R's `logistf`.

    Raises:
        ValueError: shapes or labels are wrong, or columns are collinear.

    Source: Firth, Biometrika 1993, 80:27-38; Heinze and Schemper, Stat. Med. 2002, 21:2409-2419.
    """
    return _described(design, label, confidence=confidence, has_penalty=True)


def nested_models_test(
    larger: npt.ArrayLike, smaller: npt.ArrayLike, label: npt.ArrayLike
) -> Significance:
    """Likelihood ratio test that the columns which only the larger model has add nothing.

    Args:
        larger: design of the larger model, shape (patients, columns).
        smaller: design whose columns are combinations of those of `larger`, shape (patients, fewer
            columns).
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).

    Returns:
        Chi-square and P; collinear columns count once, so with none to spare there is no P. Under
        separation the likelihood is taken at its limit, so the test is valid there too.

    Raises:
        ValueError: shapes or labels are wrong, or the models are not nested.

    Source: Wilks, Ann. Math. Stat. 1938, 9:60-62.
    """
    heights, ranks = [], []
    designs = [checked_design(design, label)[0] for design in (larger, smaller)]
    is_pcr = checked_design(smaller, label)[1]
    designs = [matrix / _scale(matrix) for matrix in designs]
    for matrix in designs:
        heights.append(Likelihood(matrix, is_pcr).free().maximum()[0])
        ranks.append(len(independent_columns(matrix)))
    if len(independent_columns(np.column_stack(designs))) > ranks[0]:
        raise ValueError(
            "smaller: expected columns that are combinations of those of the larger model, got "
            "others. A likelihood ratio test compares nested models only."
        )
    statistic, degrees = max(0.0, 2 * (heights[0] - heights[1])), ranks[0] - ranks[1]
    name = "likelihood ratio"
    if not degrees:
        return Significance(statistic, None, name, 0, "no test: the models are the same")
    return Significance(statistic, float(chdtrc(degrees, statistic)), name, degrees)


def odds_ratio_of(coefficient: Estimate) -> Estimate:
    """A coefficient and its interval as an odds ratio; an end at infinity stays None."""
    value, low, high = (
        None if end is None else math.exp(end)
        for end in (coefficient.value, coefficient.low, coefficient.high)
    )
    return Estimate(
        value,
        low,
        high,
        coefficient.num_patients,
        coefficient.method,
        coefficient.confidence,
        coefficient.note,
    )


def _described(
    design: npt.ArrayLike, label: npt.ArrayLike, *, confidence: float, has_penalty: bool
) -> LogisticModel:
    """Fit, then describe every term."""
    matrix, is_pcr = checked_design(design, label)
    if len(independent_columns(matrix)) < matrix.shape[1]:
        raise ValueError("design: expected independent columns. Drop one or add a ridge.")
    scale = _scale(matrix)
    likelihood = Likelihood(matrix / scale, is_pcr, has_penalty)
    part = likelihood.free()
    height, beta = part.maximum()
    covariance = part.covariance(beta)
    is_lost = ~_estimable(part)
    covariance[is_lost] = covariance[:, is_lost] = np.nan
    share = is_pcr.mean()
    # The penalty is on the scaled columns; a change of scale moves it by a constant.
    shift = float(np.log(scale).sum()) if has_penalty else 0.0
    fit = _Fit(part, height, beta, covariance, confidence)
    covariance = covariance / np.outer(scale, scale)
    return LogisticModel(
        terms=tuple(
            _term(fit, index, float(scale[index]), math.sqrt(covariance[index, index]))
            for index in range(len(scale))
        ),
        covariance=covariance,
        log_likelihood=height + shift,
        null_log_likelihood=len(is_pcr)
        * float(share * math.log(share) + (1 - share) * math.log1p(-share)),
        num_patients=len(is_pcr),
        num_events=int(is_pcr.sum()),
    )


@dataclass(frozen=True)
class _Fit:
    """What every term is described from; coefficients are those of scaled columns."""

    part: FreePart
    height: float
    beta: Vector
    covariance: Vector
    confidence: float


def _term(fit: _Fit, index: int, scale: float, error: float) -> Term:
    """Describe one term; `error` is NaN where its maximum is infinite."""
    part, likelihood = fit.part, fit.part.whole
    free = part.hold(index) if part.is_kept.all() else likelihood.free(fixed=index)
    at_zero = _highest(fit, free, 0.0)
    p_profile = float(chdtrc(1, max(0.0, 2 * (fit.height - at_zero))))
    is_found = not math.isnan(error)
    value = float(fit.beta[index]) / scale if is_found else None
    num_patients = len(likelihood.is_pcr)
    half_width = two_sided_z(fit.confidence) * error
    low, high = _profile_ends(fit, free, error * scale)
    method = "profile penalised likelihood" if likelihood.has_penalty else "profile likelihood"
    note = "" if is_found else SEPARATED
    wald = Estimate(None, None, None, num_patients, "Wald", fit.confidence, note)
    if value is not None:
        wald = Estimate(
            value, value - half_width, value + half_width, num_patients, "Wald", fit.confidence
        )
    return Term(
        wald=wald,
        profile=Estimate(
            value,
            None if low is None else low / scale,
            None if high is None else high / scale,
            num_patients,
            method,
            fit.confidence,
            note or (UNBOUNDED if low is None or high is None else ""),
        ),
        error=error if is_found else None,
        p_wald=None if value is None else float(2 * ndtr(-abs(value / error))),
        p_profile=p_profile,
    )


def _profile_ends(fit: _Fit, free: FreePart, error: float) -> tuple[float | None, float | None]:
    """Where twice the loss of log-likelihood reaches chi-square's quantile, below and above."""
    allowed = two_sided_z(fit.confidence)

    def beyond(at: float) -> float:
        # The root of the loss is nearly a straight line, so few steps find where it crosses.
        return math.sqrt(max(0.0, 2 * (fit.height - _highest(fit, free, at)))) - allowed

    if not math.isnan(error):
        middle = float(fit.beta[free.fixed])
        return _crossing(beyond, middle, -error), _crossing(beyond, middle, error)
    for doubling in range(MAX_DOUBLINGS):
        far = 2.0**doubling
        inside = [side for side in (-1, 1) if beyond(side * far) < 0]
        if len(inside) == 1:
            end = float(brentq(beyond, -far, far, xtol=1e-13))
            return (None, end) if inside[0] < 0 else (end, None)
    return None, None


def _highest(fit: _Fit, free: FreePart, at: float) -> float:
    """The log-likelihood's maximum where one coefficient is fixed.

    Each climb starts from places that depend on the argument alone, so equal arguments give equal
    heights. A penalised likelihood may have several maxima; the highest of three climbs counts.
    """
    index = free.fixed
    assert index is not None
    error = fit.covariance[index, index]
    if math.isnan(error):
        return free.maximum(at)[0]
    # Where all coefficients would move to if the log-likelihood were a parabola.
    slope = np.nan_to_num(fit.covariance[:, index] / error)
    ahead = fit.beta + (at - fit.beta[index]) * slope
    if not free.whole.has_penalty:
        return free.maximum(at, start=ahead, least_gain=ENOUGH_GAIN)[0]
    return max(free.maximum(at, start=start)[0] for start in (ahead, fit.beta, None))


def _crossing(beyond: Callable[[float], float], middle: float, step: float) -> float | None:
    """Where a function that is negative in the middle first crosses zero on the way of a step."""
    near = middle
    for doubling in range(MAX_DOUBLINGS):
        far = middle + 2 * step * 2**doubling
        if beyond(far) > 0:
            precision = 1e-8 * abs(step)
            return float(brentq(beyond, near, far, xtol=precision, rtol=1e-12))
        near = far
    return None


def _estimable(part: FreePart) -> npt.NDArray[np.bool_]:
    """Columns whose coefficient the kept patients alone decide, shape (columns,)."""
    matrix = part.whole.matrix[part.is_kept]
    if not matrix.size:
        return np.zeros(part.whole.matrix.shape[1], dtype=bool)
    # The triangle has the directions of the matrix, without a square as long as the patients.
    _, sizes, directions = np.linalg.svd(np.linalg.qr(matrix, mode="r"))
    rank = int(np.sum(sizes > 1e-9 * sizes.max()))
    return np.asarray(np.abs(directions[rank:]).max(axis=0, initial=0.0) < 1e-9)


def _scale(matrix: Vector) -> Vector:
    """Largest absolute value of each column, 1 for an empty one."""
    scale = np.abs(matrix).max(axis=0)
    return np.where(scale > 0, scale, 1.0)
