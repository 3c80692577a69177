"""What columns add to a logistic regression, judged on patients it was not fitted on.

In: designs without a column of ones. Out: a likelihood ratio test and estimates. Two ways, neither
with pooled probabilities of cross-validation: a left-out pCR patient lowers the share of pCR among
patients like her, so patients who are alike would be ranked the wrong way round, and a model of a
few levels would look far worse than it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neoresponse.stats import (
    Bootstrap,
    auc,
    decision_curve,
    fit_logistic,
    logistic_probability,
    nested_models_test,
)
from neoresponse.stats.interval import two_sided_z
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray, IntArray

RIDGE = 1.0
"""On standardised columns; mild, as of clinical-only."""
NUM_DRAWS = 500
THRESHOLDS = (0.2, 0.3, 0.5)
"""Probabilities from which a patient is treated as pCR, for net benefit."""
CORRECTED, PAIRS = "bootstrap, optimism corrected", "leave pair out, DeLong"
Measures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AddedValue:
    """What the columns that only the larger model has add.

    Attributes:
        test: likelihood ratio test on all patients, without a ridge.
        auc_before: AUC of the smaller model; this and the next are less their optimism.
        auc_after: AUC of the larger model.
        auc_gain: second minus first.
        benefit_gain: threshold -> gain in net benefit.
    """

    test: Significance
    auc_before: Estimate
    auc_after: Estimate
    auc_gain: Estimate
    benefit_gain: Mapping[float, Estimate]


def added_value(
    label: npt.ArrayLike,
    smaller: npt.ArrayLike,
    larger: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> AddedValue:
    """Compare two nested models, for many patients per column.

    Both models are fitted again on patients drawn with replacement. How much better they do there
    than on all patients is their optimism, taken off the value and off the bootstrap interval.

    Args:
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        smaller: shape (patients, columns).
        larger: holds the columns of the smaller one too, shape (patients, more columns).
        rng: source of the draws.
        plan: number of draws and coverage, 500 and 95 % by default; the percentile kind.

    Raises:
        ValueError: the plan is of another kind.

    Source: Harrell et al., Stat. Med. 1996, 15:361-387; interval: Noma et al., Stat. Med. 2021,
    40:5691-5701.
    """
    plan = plan or Bootstrap(num_replicates=NUM_DRAWS)
    if plan.kind != "percentile":
        raise ValueError(f"plan: expected the percentile kind, got {plan.kind!r}")
    truth = np.asarray(label, dtype=np.int64)
    designs = [np.asarray(one, dtype=np.float64) for one in (smaller, larger)]
    everybody = np.arange(len(truth))
    apparent = _measured(truth, designs, everybody)[0]
    drawn: list[Measures] = []
    optimism: list[Measures] = []
    while len(drawn) < plan.num_replicates:
        own = rng.choice(everybody, len(truth))
        if len(np.unique(truth[own])) == 2:
            there, everywhere = _measured(truth, designs, own)
            drawn.append(there)
            optimism.append(there - everywhere)
    too_good = np.mean(optimism, axis=0)
    tails = (0.5 - plan.confidence / 2, 0.5 + plan.confidence / 2)
    low, high = np.quantile(drawn, tails, axis=0) - too_good
    found = [
        Estimate(float(value), float(bottom), float(top), len(truth), CORRECTED, plan.confidence)
        for value, bottom, top in zip(apparent - too_good, low, high, strict=True)
    ]
    test = nested_models_test(_with_ones(designs[1]), _with_ones(designs[0]), truth)
    gains = dict(zip(THRESHOLDS, found[3:], strict=True))
    return AddedValue(test, found[0], found[1], found[2], gains)


def leave_pair_out(label: npt.ArrayLike, design: npt.ArrayLike) -> FloatArray:
    """Whether each pCR patient stands above each residual one, by a model that saw neither.

    For few patients and many columns, where a bootstrap takes too little optimism off. One model is
    fitted per pair.

    Args:
        label: 1 for pCR, 0 for residual disease, two of each at least, shape (patients,).
        design: shape (patients, columns).

    Returns:
        1 for the right order, 0 for the wrong one, a half for a tie, shape (pCR, residual).

    Source: Airola et al., Comput. Stat. Data Anal. 2011, 55:1828-1844.
    """
    truth, columns = np.asarray(label, dtype=np.int64), np.asarray(design, dtype=np.float64)
    positive, negative = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0)
    order = np.empty((len(positive), len(negative)))
    for row, one in enumerate(positive):
        for place, other in enumerate(negative):
            is_seen = np.ones(len(truth), dtype=bool)
            is_seen[[one, other]] = False
            first, second = _predictor(columns[is_seen], truth[is_seen])(columns[[one, other]])
            is_tied = np.isclose(first, second, rtol=1e-9, atol=0)
            order[row, place] = 0.5 if is_tied else float(first > second)
    return order


def mean_of_pairs(order: FloatArray, *, confidence: float = 0.95) -> Estimate:
    """AUC from `leave_pair_out`, or a difference of two from the difference of theirs.

    Args:
        order: one number per pair, shape (pCR, residual).
        confidence: coverage of the interval.

    Returns:
        The mean with an interval from the means by patient, as in DeLong's method. It does not
        count that other patients would have given another model, so it is too narrow: of 60
        simulated cohorts of 50 patients and 12 columns it held the truth in 80 %.

    Source: DeLong et al., Biometrics 1988, 44:837-845.
    """
    variances = [
        float(np.var(order.mean(axis=axis), ddof=1)) / order.shape[1 - axis] for axis in (0, 1)
    ]
    half_width = two_sided_z(confidence) * sum(variances) ** 0.5
    value = float(order.mean())
    return Estimate(
        value, value - half_width, value + half_width, sum(order.shape), PAIRS, confidence
    )


def _measured(
    label: IntArray, designs: Sequence[FloatArray], own: IntArray
) -> tuple[Measures, Measures]:
    """Measures of models fitted on some patients: on those, and on everybody."""
    before, after = (_predictor(one[own], label[own])(one) for one in designs)
    return (
        _measures(label[own], before[own], after[own]),
        _measures(label, before, after),
    )


def _measures(label: IntArray, before: FloatArray, after: FloatArray) -> Measures:
    """AUC of both, their difference, and the gain in net benefit at each threshold."""
    first, second = auc(label, before), auc(label, after)
    assert first is not None
    assert second is not None
    benefits = [
        decision_curve(label, one, thresholds=THRESHOLDS).net_benefit for one in (before, after)
    ]
    return np.array([first, second, second - first, *(benefits[1] - benefits[0])])


def _predictor(columns: FloatArray, label: IntArray) -> Callable[[FloatArray], FloatArray]:
    """A logistic regression on columns standardised by the patients it is fitted on."""
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    found = fit_logistic(_with_ones((columns - mean) / spread), label, ridge=RIDGE)
    return lambda others: logistic_probability(_with_ones((others - mean) / spread), found)


def _with_ones(columns: FloatArray) -> FloatArray:
    """A design with its column of ones in front."""
    return np.column_stack([np.ones(len(columns)), columns])
