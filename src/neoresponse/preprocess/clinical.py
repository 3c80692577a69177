"""Four clinical variables -> four numbers; fitted on training patients only.

One number per variable, as the study's 8 + 8 + 4 = 20 features ask for. A level becomes the log
odds of pCR that training patients of that level have, beside all training patients, shrunk toward
no difference by a few imagined patients; a number is standardised. Missing is a mask.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from neoresponse.cohort.dictionary import CLINICAL, MODEL_VARIABLES, Levels
from neoresponse.contracts.bundle import ClinicalEncoding
from neoresponse.errors import RunError
from neoresponse.types import FloatArray

SHRINKAGE_PATIENTS = 4.0
"""Imagined patients at the overall pCR rate that are added to each level."""

ClinicalValues = Mapping[str, str | float]


def encode(
    encoding: ClinicalEncoding, patients: Sequence[ClinicalValues]
) -> tuple[FloatArray, FloatArray]:
    """Encode patients.

    Args:
        encoding: as fitted.
        patients: variable -> level or number; a missing value has no entry.

    Returns:
        values (patients, 4), 0 where missing, and a bool mask (patients, 4), True where known.

    Raises:
        RunError: a level was never named in the dictionary.
    """
    values = np.zeros((len(patients), len(MODEL_VARIABLES)), dtype=np.float32)
    is_known = np.zeros(values.shape, dtype=bool)
    for row, clinical in enumerate(patients):
        for column, name in enumerate(MODEL_VARIABLES):
            if name in clinical:
                values[row, column] = _number(encoding, name, clinical[name])
                is_known[row, column] = True
    return values, is_known


def fit_encoder(patients: Sequence[ClinicalValues], label: Sequence[int]) -> ClinicalEncoding:
    """Fit on training patients.

    Args:
        patients: clinical values of the training patients.
        label: 1 for pCR, 0 for residual disease, one per patient.
    """
    rate = (sum(label) + 0.5) / (len(label) + 1)
    levels: dict[str, dict[str, float]] = {}
    numbers: dict[str, tuple[float, float]] = {}
    for name in MODEL_VARIABLES:
        known = [(p[name], y) for p, y in zip(patients, label, strict=True) if name in p]
        kind = CLINICAL[name]
        if isinstance(kind, Levels):
            levels[name] = {word: _shrunk_log_odds(word, known, rate) for word in kind.words}
        else:
            numbers[name] = _mean_and_deviation([float(value) for value, _ in known])
    return ClinicalEncoding(levels=levels, numbers=numbers)


def _number(encoding: ClinicalEncoding, name: str, value: str | float) -> float:
    """One value as one number."""
    if name in encoding.numbers:
        mean, deviation = encoding.numbers[name]
        return (float(value) - mean) / deviation
    if value not in encoding.levels[name]:
        raise RunError(
            f"{name}: expected one of {sorted(encoding.levels[name])}, got {value!r}. "
            "Run check on the cohort again."
        )
    return encoding.levels[name][str(value)]


def _shrunk_log_odds(word: str, known: list[tuple[str | float, int]], rate: float) -> float:
    """Log odds of pCR at a level minus the log odds overall, shrunk toward 0."""
    outcomes = [y for value, y in known if value == word]
    num_pcr = sum(outcomes) + SHRINKAGE_PATIENTS * rate
    num_residual = len(outcomes) - sum(outcomes) + SHRINKAGE_PATIENTS * (1 - rate)
    return math.log(num_pcr / num_residual) - math.log(rate / (1 - rate))


def _mean_and_deviation(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation; a variable that does not vary keeps a deviation of 1."""
    if not values:
        return 0.0, 1.0
    deviation = float(np.std(values))
    return float(np.mean(values)), deviation if deviation > 1e-9 else 1.0
