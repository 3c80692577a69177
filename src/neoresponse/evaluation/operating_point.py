"""The operating point of a model: its threshold, chosen on validation patients.

In: labels and probabilities of validation patients, or a predictions file. Out: the threshold, and
its rule in words. This is the only place where a threshold is chosen; no training knows of it.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt

from neoresponse.contracts.groups import VALIDATION, Group, groups_of_patients
from neoresponse.contracts.predictions import FILE_NAME, PredictionsCard, read_predictions
from neoresponse.settings import EvaluateSettings
from neoresponse.settings.toml import run_settings
from neoresponse.stats.threshold import cost_threshold, sensitivity_threshold, youden_threshold

CONFIG = "config.toml"
HALF = 0.5
BEYOND_ONE = math.nextafter(1.0, 2.0)
"""A threshold that no probability reaches."""
NO_VALIDATION = "0.5, because the validation patients do not include both outcomes"
NO_PREDICTIONS = "0.5, because there are no predictions of validation patients beside the model"
BROUGHT = "from the model's own study, chosen on its validation patients"
CALLS_NOBODY = "above 1: among the validation patients, calling nobody pCR costs least"


@dataclass(frozen=True)
class OperatingPoint:
    """Where a model's probabilities are divided.

    Attributes:
        threshold: a patient at or above it is called pCR.
        note: what is special about it, else empty.
    """

    threshold: float
    note: str = ""


def operating_point(
    validation: Group | None,
    settings: EvaluateSettings,
    *,
    brought: OperatingPoint | None = None,
) -> OperatingPoint:
    """Choose the threshold of a model.

    Args:
        validation: its validation patients, or None.
        settings: the rule: `threshold`, `sensitivity`, `cost_ratio`.
        brought: the one stored with predictions of a cohort without validation patients.
    """
    chosen = HALF if settings.threshold == "half" else None
    if validation is not None:
        chosen = choose_threshold(validation.label, validation.probability, settings)
    if chosen is None and brought is not None:
        return OperatingPoint(brought.threshold, brought.note or BROUGHT)
    if chosen is None:
        return OperatingPoint(HALF, NO_VALIDATION)
    return OperatingPoint(chosen, CALLS_NOBODY if chosen == BEYOND_ONE else "")


def operating_point_of_run(run: Path, settings: EvaluateSettings | None = None) -> OperatingPoint:
    """The threshold of a run, for patients that are not in its split.

    Args:
        run: a folder; with `predictions.csv` of the run's own split, or a bundle without.
        settings: the rule; by default that of the run's own settings.

    Raises:
        RunError: the predictions cannot be read.
    """
    if settings is None:
        config = run / CONFIG
        settings = run_settings(str(config) if config.is_file() else None).evaluate
    path = run / FILE_NAME
    if not path.is_file():
        return OperatingPoint(HALF, "" if settings.threshold == "half" else NO_PREDICTIONS)
    return operating_point(groups_of_patients(read_predictions(path)).get(VALIDATION), settings)


def choose_threshold(
    label: npt.ArrayLike, probability: npt.ArrayLike, settings: EvaluateSettings
) -> float | None:
    """The threshold by the rule of the settings.

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
    cheapest = cost_threshold(label, probability, cost_ratio=settings.cost_ratio)
    return BEYOND_ONE if cheapest == math.inf else cheapest


def with_point(card: PredictionsCard, point: OperatingPoint) -> PredictionsCard:
    """The card of predictions that were made elsewhere, with the threshold that comes with them."""
    return card.model_copy(update={"threshold": point.threshold, "threshold_note": point.note})


def rule_in_words(settings: EvaluateSettings) -> str:
    """The rule, as a report says it."""
    return {
        "half": "0.5, fixed before the study",
        "youden": "highest Youden index on validation patients; of several, the highest threshold",
        "sensitivity": "highest threshold on validation patients with a sensitivity of at least "
        f"{settings.sensitivity:g}",
        "cost": "lowest cost on validation patients, where a false positive costs "
        f"{settings.cost_ratio:g} times a false negative",
    }[settings.threshold]
