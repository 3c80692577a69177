"""Intervals of one proportion, from two counts.

In: successes and trials. Out: an `Estimate`, cut at 0 and 1.
"""

import math
from collections.abc import Callable
from typing import Literal

from scipy.special import betaincinv

from neoresponse.stats.interval import two_sided_z
from neoresponse.types import Estimate

NO_TRIALS = "not estimable: no patients in the denominator"
Ends = tuple[float, float]
ProportionMethod = Literal[
    "Wilson", "Wilson, corrected", "Clopper-Pearson", "Wald", "Jeffreys", "Agresti-Coull"
]


def wilson_interval(num_successes: int, num_trials: int, *, confidence: float = 0.95) -> Estimate:
    """Proportion with Wilson's score interval, without continuity correction.

    Args:
        num_successes: from 0 to `num_trials`.
        num_trials: patients in the denominator; with none the value is None.
        confidence: coverage aimed at, in (0, 1).

    Returns:
        The proportion and its interval, within [0, 1] by construction.

    Raises:
        ValueError: the counts are impossible.

    Source: Wilson, J. Am. Stat. Assoc. 1927, 22:209-212.
    """
    return proportion_interval(num_successes, num_trials, confidence=confidence)


def clopper_pearson_interval(
    num_successes: int, num_trials: int, *, confidence: float = 0.95
) -> Estimate:
    """Proportion with the "exact" interval, which never covers less than it says.

    Args:
        num_successes: from 0 to `num_trials`.
        num_trials: patients in the denominator; with none the value is None.
        confidence: least coverage, in (0, 1).

    Returns:
        The proportion and its interval.

    Raises:
        ValueError: the counts are impossible.

    Source: Clopper and Pearson, Biometrika 1934, 26:404-413.
    """
    return proportion_interval(
        num_successes, num_trials, method="Clopper-Pearson", confidence=confidence
    )


def proportion_interval(
    num_successes: int,
    num_trials: int,
    *,
    method: ProportionMethod = "Wilson",
    confidence: float = 0.95,
) -> Estimate:
    """Proportion with an interval of a named kind.

    Args:
        num_successes: from 0 to `num_trials`.
        num_trials: patients in the denominator; with none the value is None.
        method: name of the interval; "Wald" and "Agresti-Coull" are there for comparison with
            other people's tables, and are cut at 0 and 1.
        confidence: coverage aimed at, in (0, 1).

    Returns:
        The proportion and its interval.

    Raises:
        ValueError: the counts are impossible or the method is not known.

    Source: Brown et al., Stat. Sci. 2001, 16:101-133; the corrected one as in R's `prop.test`
    (Newcombe, Stat. Med. 1998, 17:857-872, method 4).
    """
    if method not in INTERVALS:
        raise ValueError(f"method: expected one of {sorted(INTERVALS)}, got {method!r}")
    if not 0 <= num_successes <= num_trials:
        raise ValueError(
            f"num_successes: expected 0 to {num_trials} (num_trials), got {num_successes}"
        )
    if num_trials == 0:
        return Estimate(None, None, None, 0, method, confidence, NO_TRIALS)
    low, high = INTERVALS[method](num_successes, num_trials, two_sided_z(confidence), confidence)
    share = num_successes / num_trials
    return Estimate(share, max(0.0, low), min(1.0, high), num_trials, method, confidence)


def _wilson(successes: int, trials: int, z: float, confidence: float) -> Ends:
    """Ends of the shares that a score test does not refuse."""
    low, high = _score_ends(successes / trials, successes / trials, trials, z)
    return low if successes else 0.0, high if successes < trials else 1.0


def _wilson_corrected(successes: int, trials: int, z: float, confidence: float) -> Ends:
    """The same with half a patient added; as R does, less than half next to a share of one half."""
    correction = min(0.5, abs(successes - trials / 2)) / trials
    share = successes / trials
    low, high = share - correction, share + correction
    ends = _score_ends(max(low, 0.0), min(high, 1.0), trials, z)
    return ends[0] if low > 0 else 0.0, ends[1] if high < 1 else 1.0


def _score_ends(low: float, high: float, trials: int, z: float) -> Ends:
    """Lower end from one share, upper end from another."""
    extra = z**2 / (2 * trials)

    def end(share: float, side: int) -> float:
        spread = z * math.sqrt(share * (1 - share) / trials + extra / (2 * trials))
        return (share + extra + side * spread) / (1 + 2 * extra)

    return end(low, -1), end(high, 1)


def _clopper_pearson(successes: int, trials: int, z: float, confidence: float) -> Ends:
    """Quantiles of two beta distributions."""
    tail = (1 - confidence) / 2
    low = betaincinv(successes, trials - successes + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)


def _wald(successes: int, trials: int, z: float, confidence: float) -> Ends:
    """Normal interval around the share."""
    share = successes / trials
    half_width = z * math.sqrt(share * (1 - share) / trials)
    return share - half_width, share + half_width


def _jeffreys(successes: int, trials: int, z: float, confidence: float) -> Ends:
    """Quantiles of the posterior under Jeffreys' prior, opened at 0 and at all."""
    tail = (1 - confidence) / 2
    shape = successes + 0.5, trials - successes + 0.5
    low = betaincinv(*shape, tail) if successes else 0.0
    high = betaincinv(*shape, 1 - tail) if successes < trials else 1.0
    return float(low), float(high)


def _agresti_coull(successes: int, trials: int, z: float, confidence: float) -> Ends:
    """Wald's interval after adding z squared trials, half of them successes."""
    more = trials + z**2
    share = (successes + z**2 / 2) / more
    half_width = z * math.sqrt(share * (1 - share) / more)
    return share - half_width, share + half_width


INTERVALS: dict[str, Callable[[int, int, float, float], Ends]] = {
    "Wilson": _wilson,
    "Wilson, corrected": _wilson_corrected,
    "Clopper-Pearson": _clopper_pearson,
    "Wald": _wald,
    "Jeffreys": _jeffreys,
    "Agresti-Coull": _agresti_coull,
}
