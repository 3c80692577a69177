"""Single numbers made from the four counts: F1, MCC, kappa, likelihood ratios.

In: a `Confusion`. Out: numbers, and bootstrap intervals of those that are not plain proportions.
"""

import math
from dataclasses import replace

import numpy as np

from neoresponse.stats.bootstrap import Bootstrap, bootstrap_estimate
from neoresponse.stats.discrimination import Doubles
from neoresponse.stats.threshold import Confusion
from neoresponse.types import Estimate

UNDEFINED = "not estimable: its denominator is zero"


def count_measures(counts: Confusion) -> dict[str, float | None]:
    """What else the four counts say.

    Args:
        counts: the four counts.

    Returns:
        "balanced_accuracy", "youden", "f1", "mcc", "kappa", "lr_positive", "lr_negative" and
        "odds_ratio" (the diagnostic one). None is 0 / 0; a ratio over zero is infinite.

    Source: Chicco and Jurman, BMC Genomics 2020, 21:6 (F1, MCC); Cohen, Educ. Psychol. Meas. 1960,
    20:37-46 (kappa); Glas et al., J. Clin. Epidemiol. 2003, 56:1129-1135 (the ratios).
    """
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    both = None if sensitivity is None or specificity is None else sensitivity + specificity
    num = counts.num_patients
    agreed = num * (tp + tn)
    by_chance = (tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)
    return {
        "balanced_accuracy": None if both is None else both / 2,
        "youden": None if both is None else both - 1,
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "mcc": _correlation(counts),
        "kappa": _ratio(agreed - by_chance, num**2 - by_chance),
        "lr_positive": None if both is None else _ratio(tp * (fp + tn), fp * (tp + fn)),
        "lr_negative": None if both is None else _ratio(fn * (fp + tn), tn * (tp + fn)),
        "odds_ratio": _ratio(tp * tn, fp * fn),
    }


def bootstrap_measures(
    counts: Confusion, *, rng: np.random.Generator, plan: Bootstrap | None = None
) -> dict[str, Estimate]:
    """F1 and MCC with stratified bootstrap intervals.

    Args:
        counts: the four counts.
        rng: where the draws come from.
        plan: number of replicates, coverage and kind; 2,000, 95 % and percentile by default.

    Returns:
        "f1" and "mcc". No interval, with a note, where a class has fewer than two patients or all
        replicates are alike; None where the number is 0 / 0.

    Source: drawing patients again, each class for itself, draws their true and false positives from
    two binomial distributions; replicates in which a number is 0 / 0 count as 0 (scikit-learn's
    `zero_division` and MCC rule).
    """
    plan = plan or Bootstrap()
    num_pcr, num_residual = counts.tp + counts.fn, counts.fp + counts.tn
    left_out = _left_out(counts)
    found = count_measures(counts)
    tp = _drawn(rng, counts.tp, num_pcr, plan)
    fp = _drawn(rng, counts.fp, num_residual, plan)
    estimates = {}
    for name, rule in (("f1", _f1), ("mcc", _mcc)):
        estimates[name] = bootstrap_estimate(
            found[name],
            rule(tp, fp, num_pcr - tp, num_residual - fp),
            tuple(rule(*cells) for cells in left_out),
            plan=plan,
            num_patients=counts.num_patients,
        )
        if found[name] is None and num_pcr and num_residual:
            estimates[name] = replace(estimates[name], note=UNDEFINED)
    return estimates


def _ratio(top: float, bottom: float) -> float | None:
    """Top / bottom; infinite over zero, None for 0 / 0."""
    if bottom:
        return top / bottom
    return math.inf if top else None


def _correlation(counts: Confusion) -> float | None:
    """Matthews' coefficient, in whole numbers up to the root."""
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    bottom = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(bottom) if bottom else None


def _drawn(rng: np.random.Generator, called: int, num: int, plan: Bootstrap) -> Doubles:
    """How many of a class are called pCR in each replicate."""
    share = called / num if num else 0.0
    return rng.binomial(num, share, size=plan.num_replicates).astype(np.float64)


def _left_out(counts: Confusion) -> tuple[list[Doubles], list[Doubles]]:
    """The four counts with each patient left out in turn, pCR patients and residual ones."""
    cells = np.array([counts.tp, counts.fp, counts.fn, counts.tn], dtype=np.float64)
    rows = [
        np.repeat(cells[:, np.newaxis] - np.eye(4)[:, [one, other]], [num, rest], axis=1)
        for one, num, other, rest in ((0, counts.tp, 2, counts.fn), (1, counts.fp, 3, counts.tn))
    ]
    return list(rows[0]), list(rows[1])


def _f1(tp: Doubles, fp: Doubles, fn: Doubles, tn: Doubles) -> Doubles:
    """F1 of many counts, 0 for 0 / 0."""
    bottom = 2 * tp + fp + fn
    return np.divide(2 * tp, bottom, out=np.zeros_like(bottom), where=bottom > 0)


def _mcc(tp: Doubles, fp: Doubles, fn: Doubles, tn: Doubles) -> Doubles:
    """Matthews' coefficient of many counts, 0 for 0 / 0."""
    bottom = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, bottom, out=np.zeros_like(bottom), where=bottom > 0)
