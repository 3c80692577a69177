"""How many patients a prediction model needs, to be made and to be tested.

In: what is expected of the model. Out: numbers of patients.
"""

import math
from dataclasses import dataclass

from neoresponse.stats.interval import newcombe_variance

Z = 1.96
"""Riley's programs round the normal quantile, and so do we: numbers must agree with theirs."""
OPTIMISM_IN_R2, MARGIN_OF_RISK = 0.05, 0.05


@dataclass(frozen=True)
class DevelopmentSize:
    """Patients needed to make a model with a yes/no outcome.

    Attributes:
        for_shrinkage: so that the expected shrinkage is as wanted.
        for_r2: so that apparent and adjusted R2 of Nagelkerke differ by at most 0.05.
        for_risk: so that the overall risk is known to within 0.05.
        num_patients: the largest of the three.
        num_events: patients with pCR expected among them.
        events_per_parameter: those over the parameters.
        max_r2: largest R2 of Cox and Snell at this prevalence.
        nagelkerke_r2: the expected R2 as a share of that.
    """

    for_shrinkage: int
    for_r2: int
    for_risk: int
    num_patients: int
    num_events: float
    events_per_parameter: float
    max_r2: float
    nagelkerke_r2: float


def development_size(
    r2: float, *, num_parameters: int, prevalence: float, shrinkage: float = 0.9
) -> DevelopmentSize:
    """Patients needed to make a logistic prediction model.

    Args:
        r2: R2 of Cox and Snell expected of the model, above 0 and below its maximum.
        num_parameters: candidate coefficients besides the intercept, >= 1.
        prevalence: share of pCR, in (0, 1).
        shrinkage: least acceptable shrinkage factor, in (r2, 1).

    Returns:
        Three criteria and their maximum, as R's `pmsampsize`.

    Raises:
        ValueError: a number is out of its range.

    Source: Riley et al., BMJ 2020, 368:m441, criteria 1 to 3.
    """
    _check_share("prevalence", prevalence)
    log_odds_free = prevalence * math.log(prevalence)
    log_odds_free += (1 - prevalence) * math.log1p(-prevalence)
    max_r2 = -math.expm1(2 * log_odds_free)
    if not 0 < r2 < max_r2:
        raise ValueError(f"r2: expected a number between 0 and {max_r2:.3f}, got {r2!r}")
    if num_parameters < 1 or not r2 < shrinkage < 1:
        raise ValueError(
            f"num_parameters and shrinkage: expected >= 1 and between r2 and 1, got "
            f"{num_parameters} and {shrinkage}"
        )
    for_shrinkage = _size_for(r2, shrinkage, num_parameters)
    for_r2 = _size_for(r2, r2 / (r2 + OPTIMISM_IN_R2 * max_r2), num_parameters)
    for_risk = _up((Z / MARGIN_OF_RISK) ** 2 * prevalence * (1 - prevalence))
    largest = max(for_shrinkage, for_r2, for_risk)
    return DevelopmentSize(
        for_shrinkage=for_shrinkage,
        for_r2=for_r2,
        for_risk=for_risk,
        num_patients=largest,
        num_events=largest * prevalence,
        events_per_parameter=largest * prevalence / num_parameters,
        max_r2=max_r2,
        nagelkerke_r2=r2 / max_r2,
    )


def validation_size_for_auc(auc: float, *, prevalence: float, width: float) -> int:
    """Patients needed to test a model so that the 95% CI of its AUC is narrow enough.

    Args:
        auc: AUC expected, in (0, 1).
        prevalence: share of pCR, in (0, 1).
        width: widest acceptable interval from end to end, in (0, 1).

    Returns:
        The smallest number of patients, as `pmvalsampsize`.

    Raises:
        ValueError: a number is out of its range.

    Source: Riley et al., Stat. Med. 2021, 40:4230-4251, with the variance of `newcombe_variance`.
    """
    for name, value in (("auc", auc), ("prevalence", prevalence), ("width", width)):
        _check_share(name, value)

    def is_enough(num: int) -> bool:
        variance = newcombe_variance(auc, num * prevalence, num * (1 - prevalence))
        return 2 * Z * math.sqrt(max(0.0, variance)) <= width

    enough = 1
    while not is_enough(enough):
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        enough, too_few = (middle, too_few) if is_enough(middle) else (enough, middle)
    return enough


def validation_size_for_ratio(*, prevalence: float, width: float) -> int:
    """Patients needed so that the 95% CI of observed over expected is narrow enough.

    Args:
        prevalence: share of pCR, in (0, 1).
        width: widest acceptable interval around a ratio of 1, > 0.

    Returns:
        The smallest number of patients.

    Raises:
        ValueError: a number is out of its range.

    Source: Riley et al., Stat. Med. 2021, 40:4230-4251, criterion 1 (interval of the logarithm).
    """
    _check_share("prevalence", prevalence)
    if not width > 0:
        raise ValueError(f"width: expected a number > 0, got {width!r}")
    error = math.asinh(width / 2) / Z  # exp(z e) - exp(-z e) = width
    return _up((1 - prevalence) / (prevalence * error**2))


def _size_for(r2: float, shrinkage: float, num_parameters: int) -> int:
    """Patients for an expected shrinkage."""
    return _up(num_parameters / ((shrinkage - 1) * math.log1p(-r2 / shrinkage)))


def _up(number: float) -> int:
    """The next whole number."""
    return math.ceil(number)


def _check_share(name: str, value: float) -> None:
    """Stop on a share that is not between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name}: expected a number between 0 and 1, got {value!r}")
