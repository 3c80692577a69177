"""Scores of probabilities with their uncertainty: Brier, calibration error, log score.

In: labels and probabilities in [0, 1]. Out: `Estimate`s, by bootstrap or by drawing outcomes again.
The scores themselves are in `calibration.py`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlog1py, xlogy

from neoresponse.stats.arrays import plain
from neoresponse.stats.bootstrap import Bootstrap, block_sizes, bootstrap_estimate, drawn_counts
from neoresponse.stats.calibration import (
    BrierParts,
    brier_parts,
    brier_score,
    checked_probabilities,
    equal_width_bins,
)
from neoresponse.stats.discrimination import Doubles
from neoresponse.stats.interval import two_sided_t
from neoresponse.types import Estimate, FloatArray

IMPOSSIBLE = "not estimable: a patient had what was predicted as impossible"
TOO_FEW = "no CI: fewer than two patients"
NOTHING_LEFT = "not estimable: the marker or the probabilities leave nothing to learn"
ALIKE = "no CI: the two are alike in every patient"


@dataclass(frozen=True)
class BinnedBrier:
    """The Brier score taken apart over bins of similar probabilities.

    Attributes:
        parts: reliability, resolution and uncertainty of the bins' mean probabilities.
        within_bins: what the bins lose: the Brier score less reliability - resolution +
            uncertainty.
    """

    parts: BrierParts
    within_bins: float


def bootstrap_brier(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> Estimate:
    """Brier score with a bootstrap interval; patients are drawn without regard to their class.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        rng: where the draws come from.
        plan: number of replicates, coverage and kind; 2,000, 95 % and percentile by default.

    Returns:
        The score; no interval, with a note, for one patient or where all are equally far off.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    is_pcr, values = checked_probabilities(label, probability)
    distance = (values - is_pcr) ** 2
    plan, num = plan or Bootstrap(), distance.size
    replicates = np.concatenate(
        [
            drawn_counts(rng, size, num) @ distance / num
            for size in block_sizes(plan.num_replicates, num)
        ]
    )
    without_one = (distance.sum() - distance) / max(1, num - 1)
    return bootstrap_estimate(
        brier_score(label, probability), replicates, (without_one,), plan=plan, num_patients=num
    )


def binned_brier(
    label: npt.ArrayLike, probability: npt.ArrayLike, *, num_bins: int = 10
) -> BinnedBrier:
    """Murphy's decomposition over bins of equal width.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        num_bins: bins from 0 to 1, >= 1; 1 belongs to the last.

    Returns:
        Four parts that add up to the Brier score exactly.

    Source: Stephenson et al., Weather Forecast. 2008, 23:752-757.
    """
    _, values = checked_probabilities(label, probability)
    group = equal_width_bins(values, num_bins)
    num = np.bincount(group, minlength=num_bins)
    mean = np.bincount(group, weights=values, minlength=num_bins) / np.maximum(num, 1)
    parts = brier_parts(label, np.clip(mean, 0, 1)[group])
    explained = parts.reliability - parts.resolution + parts.uncertainty
    return BinnedBrier(parts, brier_score(label, probability) - explained)


def calibration_error_by_chance(
    probability: npt.ArrayLike,
    *,
    num_bins: int = 10,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> Estimate:
    """Expected calibration error that these probabilities would show if they were the true ones.

    The error is never below 0 and grows with few patients per bin, so it has no honest interval of
    its own; this range says what is nothing but chance.

    Args:
        probability: predicted probability of pCR in [0, 1], shape (patients,).
        num_bins: bins of equal width, as in `expected_calibration_error`.
        rng: where the outcomes are drawn from.
        plan: number of draws, and share of them inside the range.

    Returns:
        Median over draws, and the range that holds the stated share of them.

    Source: Bröcker and Smith, Weather Forecast. 2007, 22:651-661 (consistency resampling).
    """
    values = checked_probabilities(np.zeros(np.size(probability)), probability)[1]
    plan = plan or Bootstrap()
    group = equal_width_bins(values, num_bins)
    is_in = (group[:, np.newaxis] == np.arange(num_bins)).astype(np.float64)  # (patients, bins)
    found = [
        np.abs(((rng.random((size, values.size)) < values) - values) @ is_in).sum(axis=1)
        for size in block_sizes(plan.num_replicates, values.size)
    ]
    errors = np.concatenate(found) / values.size
    low, high = np.quantile(errors, [0.5 - plan.confidence / 2, 0.5 + plan.confidence / 2])
    method = f"{plan.num_replicates} outcomes drawn from the probabilities"
    return Estimate(
        float(np.median(errors)), float(low), float(high), values.size, method, plan.confidence
    )


def log_score_difference(
    label: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Log likelihood per patient of a first model less that of a second, for the same patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        first: probabilities of pCR from one model, in [0, 1], shape (patients,).
        second: probabilities of pCR from the other, in [0, 1], shape (patients,).
        confidence: coverage of the interval, in (0, 1).

    Returns:
        Above 0 the outcomes are likelier under the first. The interval is Student's for the mean of
        paired differences; None with a note where a probability of an outcome is 0, there are
        fewer than two patients, or the two are alike.

    Source: Good, J. R. Stat. Soc. B 1952, 14:107-114; Diebold and Mariano, J. Bus. Econ. Stat.
    1995, 13:253-263, without correlation between patients.
    """
    gain = _log_likelihoods(label, first) - _log_likelihoods(label, second)
    method, num = "paired t", gain.size
    if not np.isfinite(gain).all():
        return Estimate(None, None, None, num, method, confidence, IMPOSSIBLE)
    value = float(gain.mean())
    if num < 2 or np.ptp(gain) == 0:
        note = TOO_FEW if num < 2 else ALIKE
        return Estimate(value, None, None, num, method, confidence, note)
    error = float(gain.std(ddof=1)) / num**0.5
    half_width = two_sided_t(confidence, num - 1) * error
    return Estimate(value, value - half_width, value + half_width, num, method, confidence)


def score_step(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    marker: npt.ArrayLike,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Log odds ratio of a marker beside given probabilities, by one step of its score.

    Nothing is fitted: the probabilities stay as they are. So it can be asked of test patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: of pCR without the marker, in [0, 1], shape (patients,).
        marker: finite numbers, best what a line in the log odds leaves over, shape (patients,).
        confidence: coverage of the interval, in (0, 1).

    Returns:
        Log odds per unit of the marker: near the regression coefficient while that is small, too
        near to 0 when it is large. The interval is Student's for the mean of each patient's score,
        so it does not trust the probabilities. None with a note where the marker or the
        probabilities leave nothing to learn.

    Source: Rao, Proc. Camb. Philos. Soc. 1948, 44:50-57; one step: Le Cam, Univ. Calif. Publ. Stat.
    1956, 3:37-98; spread of the scores: White, Econometrica 1982, 50:1-25.
    """
    is_pcr, values = checked_probabilities(label, probability)
    numbers = plain(marker, "marker")
    if numbers.shape != values.shape or not np.isfinite(numbers).all():
        raise ValueError(f"marker: expected finite numbers of shape {values.shape}")
    score = (is_pcr - values) * numbers
    information = float(np.sum(values * (1 - values) * numbers**2))
    num, method = values.size, "one step of the score, t"
    if num < 2 or not information or np.ptp(score) == 0:
        return Estimate(None, None, None, num, method, confidence, NOTHING_LEFT)
    value = float(score.sum()) / information
    error = float(score.std(ddof=1)) * num**0.5 / information
    half_width = two_sided_t(confidence, num - 1) * error
    return Estimate(value, value - half_width, value + half_width, num, method, confidence)


def _log_likelihoods(label: npt.ArrayLike, probability: npt.ArrayLike) -> Doubles:
    """Log probability of what each patient had, shape (patients,)."""
    is_pcr, values = checked_probabilities(label, probability)
    found: FloatArray = xlogy(is_pcr, values) + xlog1py(~is_pcr, -values)
    return np.asarray(found, dtype=np.float64)
