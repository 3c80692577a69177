"""What chance alone shows, and how many patients tell two models apart.

In: assumptions about AUC, prevalence and numbers. Out: numbers of patients, probabilities.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, ndtri, roots_hermitenorm

from neoresponse.stats.interval import hanley_mcneil_error, two_sided_z

NUM_NODES = 200
MOST_PATIENTS = 10_000_000


def cox_snell_of_auc(auc: float, prevalence: float) -> float:
    """R squared of Cox and Snell of a calibrated model with this AUC.

    The logit is taken as normal in both classes with one variance d squared; then its means lie d
    squared apart, and d is sqrt(2) times the normal quantile of the AUC.

    Source: Riley et al., Stat. Med. 2021, 40:859-864, by quadrature in place of simulation.
    """
    spread = math.sqrt(2) * float(ndtri(auc))
    nodes, weights = roots_hermitenorm(NUM_NODES)
    shares = weights / weights.sum()
    middle = math.log(prevalence / (1 - prevalence))
    gained = 0.0
    for share, side in ((prevalence, 1), (1 - prevalence, -1)):
        logit = middle + side * spread**2 / 2 + spread * nodes
        gained -= share * float(shares @ np.logaddexp(0, -side * logit))
        gained -= share * math.log(share)
    return 1 - math.exp(-2 * gained)


def difference_error(
    first: float, second: float, *, num_pcr: int, num_residual: int, correlation: float
) -> float:
    """Standard error of the difference between two AUCs of the same patients.

    Args:
        first: one AUC.
        second: the other.
        num_pcr: patients with pCR.
        num_residual: patients without.
        correlation: between the two estimates, in [0, 1).

    Source: Hanley and McNeil, Radiology 1983, 148:839-843.
    """
    one, two = (hanley_mcneil_error(auc, num_pcr, num_residual) for auc in (first, second))
    return math.sqrt(one**2 + two**2 - 2 * correlation * one * two)


def paired_size(
    first: float, second: float, *, prevalence: float, correlation: float, power: float = 0.8
) -> int:
    """Patients needed to tell two AUCs of the same patients apart, two-sided at 0.05.

    Raises:
        ValueError: the two are equal.

    Source: Hanley and McNeil, Radiology 1983, 148:839-843; Obuchowski, Radiology 1997, 203:867-874.
    """
    if first == second:
        raise ValueError(f"AUCs: expected two that differ, got {first} twice")
    reach = two_sided_z(0.95) + float(ndtri(power))

    def is_enough(num: int) -> bool:
        num_pcr = round(num * prevalence)
        error = difference_error(
            first, second, num_pcr=num_pcr, num_residual=num - num_pcr, correlation=correlation
        )
        return reach * error <= abs(first - second)

    return _smallest(is_enough, first=math.ceil(1 / min(prevalence, 1 - prevalence)))


def chance_of_best(
    seen: float, *, auc: float, error: float, num_models: int, correlation: float
) -> float:
    """Chance that the best of several equal models is seen to have at least this AUC.

    Args:
        seen: AUC that the best shows.
        auc: AUC that every one of them truly has.
        error: standard error of each estimate.
        num_models: compared on the same patients.
        correlation: between any two estimates, in [0, 1).

    Returns:
        One less the chance that all stay below. Estimates are normal: what they share takes the
        share `correlation` of the variance, and given that they are independent.

    Source: order statistics of equicorrelated normals: Gupta, Ann. Math. Stat. 1963, 34:792-828.
    """
    common, weights = roots_hermitenorm(NUM_NODES)
    rest = ((seen - auc) / error - math.sqrt(correlation) * common) / math.sqrt(1 - correlation)
    return 1 - float(weights / weights.sum() @ ndtr(rest) ** num_models)


def expected_best(*, auc: float, error: float, num_models: int, correlation: float) -> float:
    """AUC that the best of several equal models shows on average; see `chance_of_best`.

    What lies beyond 0 and 1 on the normal distribution counts as 0 and 1, so the mean is inside.
    """
    seen = np.linspace(0, 1, NUM_NODES + 1)
    about = {"auc": auc, "error": error, "correlation": correlation}
    reached = [chance_of_best(float(one), num_models=num_models, **about) for one in seen]
    return float(np.trapezoid(reached, seen))


def _smallest(is_enough: Callable[[int], bool], *, first: int) -> int:
    """The smallest number of patients that is enough, by doubling and halving."""
    high = first
    while not is_enough(high):
        high *= 2
        if high > MOST_PATIENTS:
            raise ValueError(f"no number of patients up to {MOST_PATIENTS} is enough")
    low = first - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high
