"""What acting on a probability is worth: net benefit and decision curves.

In: labels, probabilities, thresholds. Out: net benefit per threshold with its interval, and the
same as patients per 100.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neoresponse.stats.arrays import plain
from neoresponse.stats.bootstrap import Bootstrap, block_sizes, drawn_counts
from neoresponse.stats.calibration import checked_probabilities
from neoresponse.stats.discrimination import Booleans
from neoresponse.types import Estimate, FloatArray

MANY = 10_000
SAME_CALLS = "no CI: at this threshold both call the same patients pCR"


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of treating as pCR whoever reaches a threshold.

    Attributes:
        threshold: probability from which a patient is treated as pCR, in (0, 1), shape
            (thresholds,).
        net_benefit: share of true positives minus the share of false positives weighted by the odds
            of the threshold, shape (thresholds,).
        treat_all: net benefit of treating everybody as pCR; of treating nobody it is 0.
        prevalence: share of patients with pCR, in [0, 1].
        true_positives_per_100: patients rightly treated as pCR, of 100.
        false_positives_per_100: patients wrongly treated as pCR, of 100.
        low: lower ends of the intervals of `net_benefit`, or None where none were asked for.
        high: upper ends.
    """

    threshold: FloatArray
    net_benefit: FloatArray
    treat_all: FloatArray
    prevalence: float
    true_positives_per_100: FloatArray
    false_positives_per_100: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None

    @property
    def standardized(self) -> FloatArray | None:
        """Net benefit as a share of the largest one possible; None without pCR patients."""
        return np.asarray(self.net_benefit / self.prevalence) if self.prevalence else None

    @property
    def avoided_per_100(self) -> FloatArray:
        """Treatments as pCR avoided against treating everybody, net of missed ones, of 100."""
        odds = self.threshold / (1 - self.threshold)
        return np.asarray(100 * (self.net_benefit - self.treat_all) / odds)


def net_benefit(label: npt.ArrayLike, probability: npt.ArrayLike, *, threshold: float) -> float:
    """Net benefit at one threshold.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        threshold: in (0, 1); a patient at or above it is treated as pCR.

    Returns:
        At most the share of pCR patients, reached by a perfect model.

    Source: Vickers and Elkin, Med. Decis. Making 2006, 26:565-574.
    """
    return float(decision_curve(label, probability, thresholds=[threshold]).net_benefit[0])


def decision_curve(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    thresholds: npt.ArrayLike,
    rng: np.random.Generator | None = None,
    plan: Bootstrap | None = None,
) -> DecisionCurve:
    """Net benefit at many thresholds.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        thresholds: each in (0, 1), shape (thresholds,).
        rng: where the draws for intervals come from; without it there are no intervals.
        plan: number of replicates and coverage, 2,000 and 95 % by default; the percentile kind.

    Returns:
        The curve; its intervals hold for each threshold by itself.

    Raises:
        ValueError: a threshold is not between 0 and 1, or the plan is of another kind.

    Source: Vickers and Elkin, Med. Decis. Making 2006, 26:565-574; intervals: Vickers et al., BMC
    Med. Inform. Decis. Mak. 2008, 8:53 (patients drawn without regard to their class).
    """
    is_pcr, values = checked_probabilities(label, probability)
    cuts, plan = _checked_cuts(thresholds), _checked_plan(plan)
    is_called = values[:, np.newaxis] >= cuts  # (patients, thresholds)
    true = (is_called & is_pcr[:, np.newaxis]).mean(axis=0)
    false = (is_called & ~is_pcr[:, np.newaxis]).mean(axis=0)
    odds = cuts / (1 - cuts)
    prevalence = float(is_pcr.mean())
    low = high = None
    if rng is not None:
        low, high = _ends(_worth(is_pcr, values, cuts), rng, plan)
    return DecisionCurve(
        threshold=cuts,
        net_benefit=np.asarray(true - false * odds),
        treat_all=np.asarray(prevalence - (1 - prevalence) * odds),
        prevalence=prevalence,
        true_positives_per_100=np.asarray(100 * true),
        false_positives_per_100=np.asarray(100 * false),
        low=low,
        high=high,
    )


def net_benefit_differences(
    label: npt.ArrayLike,
    probabilities: tuple[npt.ArrayLike, npt.ArrayLike],
    *,
    thresholds: npt.ArrayLike,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> list[Estimate]:
    """Net benefit of a first model less that of a second for the same patients, per threshold.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probabilities: of the first and of the second model, in [0, 1], each of shape (patients,).
        thresholds: each in (0, 1), shape (thresholds,).
        rng: where the draws come from; both models see the same draws.
        plan: number of replicates and coverage; the percentile kind.

    Returns:
        One difference per threshold; no interval, with a note, where the two call nobody
        differently.

    Raises:
        ValueError: as `decision_curve`.

    Source: Vickers et al., BMC Med. Inform. Decis. Mak. 2008, 8:53.
    """
    cuts, plan = _checked_cuts(thresholds), _checked_plan(plan)
    first, second = (
        _worth(*checked_probabilities(label, probability), cuts) for probability in probabilities
    )
    gain = first - second
    low, high = _ends(gain, rng, plan)
    values, is_other = gain.mean(axis=0), np.abs(gain).sum(axis=0) > 0
    return [
        Estimate(
            float(values[place]),
            float(low[place]) if is_other[place] else None,
            float(high[place]) if is_other[place] else None,
            len(gain),
            plan.method,
            plan.confidence,
            "" if is_other[place] else SAME_CALLS,
        )
        for place in range(len(cuts))
    ]


def _checked_cuts(thresholds: npt.ArrayLike) -> FloatArray:
    """Thresholds of shape (thresholds,), each between 0 and 1."""
    cuts = plain(thresholds, "thresholds")
    if cuts.ndim != 1 or not ((cuts > 0) & (cuts < 1)).all():
        raise ValueError("thresholds: expected numbers between 0 and 1 of shape (thresholds,)")
    return cuts


def _checked_plan(plan: Bootstrap | None) -> Bootstrap:
    """The plan, or the usual one; of the percentile kind."""
    plan = plan or Bootstrap()
    if plan.kind != "percentile":
        raise ValueError(f"plan: expected the percentile kind, got {plan.kind!r}")
    return plan


def _worth(is_pcr: Booleans, values: FloatArray, cuts: FloatArray) -> FloatArray:
    """Each patient's own part in the net benefit, shape (patients, thresholds)."""
    is_called = values[:, np.newaxis] >= cuts
    return np.asarray(is_called * np.where(is_pcr[:, np.newaxis], 1.0, -cuts / (1 - cuts)))


def _ends(
    worth: FloatArray, rng: np.random.Generator, plan: Bootstrap
) -> tuple[FloatArray, FloatArray]:
    """Percentile interval of the mean of each column, patients drawn without regard to class."""
    num = len(worth)
    if num > MANY:  # drawing kinds of patients is drawing patients, and they are few
        kinds, sizes = np.unique(worth, axis=0, return_counts=True)
        replicates = [rng.multinomial(num, sizes / num, plan.num_replicates) @ kinds / num]
    else:
        replicates = [
            drawn_counts(rng, size, num).astype(np.float64) @ worth / num
            for size in block_sizes(plan.num_replicates, num)
        ]
    tails = [0.5 - plan.confidence / 2, 0.5 + plan.confidence / 2]
    low, high = np.quantile(np.concatenate(replicates), tails, axis=0)
    return low, high
