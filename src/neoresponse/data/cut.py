"""The probability cut of a model, chosen on its validation patients: training and evaluation alike.

In: labels and probabilities of validation patients. Out: the cut, and its rule in words.
"""

import math

import numpy.typing as npt

from neoresponse.settings import EvaluateSettings
from neoresponse.stats.threshold import cost_threshold, sensitivity_threshold, youden_threshold

HALF = 0.5
BEYOND_ONE = math.nextafter(1.0, 2.0)
"""A cut that no probability reaches."""


def choose_cut(
    label: npt.ArrayLike, probability: npt.ArrayLike, settings: EvaluateSettings
) -> float | None:
    """The cut by the rule of the settings.

    Args:
        label: 1 for pCR, 0 for residual disease, of validation patients, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        settings: `threshold`, and `sensitivity` or `cost_ratio`.

    Returns:
        A probability; `BEYOND_ONE` where calling nobody pCR is cheapest; None where these patients
        lack a class and the rule needs both.
    """
    if settings.threshold == "half":
        return HALF
    if settings.threshold == "youden":
        return youden_threshold(label, probability)
    if settings.threshold == "sensitivity":
        return sensitivity_threshold(label, probability, sensitivity=settings.sensitivity)
    found = cost_threshold(label, probability, cost_ratio=settings.cost_ratio)
    return BEYOND_ONE if found == math.inf else found


def cut_rule(settings: EvaluateSettings) -> str:
    """The rule and its number, in short: what a run's cut depends on."""
    numbers = {
        "sensitivity": f"sensitivity {settings.sensitivity!r}",
        "cost": f"cost {settings.cost_ratio!r}",
    }
    return numbers.get(settings.threshold, settings.threshold)


def rule_in_words(settings: EvaluateSettings) -> str:
    """The rule, as a report says it."""
    return {
        "half": "0.5, fixed before the study",
        "youden": "highest Youden index on validation patients, of equally good cuts the highest",
        "sensitivity": "highest cut on validation patients with a sensitivity of at least "
        f"{settings.sensitivity:g}",
        "cost": "least cost on validation patients, where calling residual disease pCR costs "
        f"{settings.cost_ratio:g} times missing pCR",
    }[settings.threshold]
