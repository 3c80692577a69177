"""Probabilities made honest: a map fitted on validation patients, applied to everybody else.

In: labels and probabilities of validation patients. Out: a map with `apply`. None of the three
changes who stands above whom, so no AUC changes (isotonic regression may add ties).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, logit

from neoresponse.stats.arrays import plain
from neoresponse.stats.calibration import checked_probabilities
from neoresponse.stats.discrimination import Booleans, Doubles
from neoresponse.stats.logistic import fit_logistic
from neoresponse.types import FloatArray


@dataclass(frozen=True)
class Platt:
    """A line in the log odds.

    Attributes:
        intercept: added to the log odds.
        slope: multiplies them first.
    """

    intercept: float
    slope: float

    def apply(self, probability: npt.ArrayLike) -> FloatArray:
        """Probabilities in (0, 1), mapped; same shape."""
        return np.asarray(expit(self.intercept + self.slope * _log_odds(probability)))


@dataclass(frozen=True)
class Temperature:
    """One factor on the log odds.

    Attributes:
        temperature: log odds are divided by it, > 0; above 1 it draws probabilities to 0.5.
    """

    temperature: float

    def apply(self, probability: npt.ArrayLike) -> FloatArray:
        """Probabilities in (0, 1), mapped; same shape."""
        return np.asarray(expit(_log_odds(probability) / self.temperature))


@dataclass(frozen=True)
class Isotonic:
    """A rising line through points, level beyond both ends.

    Attributes:
        probability: rising, shape (points,).
        share: not falling, shape (points,).
    """

    probability: FloatArray
    share: FloatArray

    def apply(self, probability: npt.ArrayLike) -> FloatArray:
        """Probabilities, mapped; same shape."""
        values = plain(probability, "probability")
        return np.asarray(np.interp(values, self.probability, self.share))


def fit_platt(label: npt.ArrayLike, probability: npt.ArrayLike) -> Platt:
    """Fit intercept and slope by maximum likelihood.

    Args:
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        probability: predicted probability of pCR in (0, 1), shape (patients,).

    Returns:
        The line after which these patients have a calibration slope of 1 and an intercept of 0.

    Raises:
        ValueError: a probability is 0 or 1, all are equal, a class is empty, or the probabilities
            separate the classes.

    Source: Platt, Advances in Large Margin Classifiers, 1999, 61-74 (without his smoothed labels).
    """
    is_pcr, values = _between(label, probability)
    design = np.column_stack([np.ones(values.size), logit(values)])
    intercept, slope = fit_logistic(design, is_pcr)
    return Platt(float(intercept), float(slope))


def fit_temperature(label: npt.ArrayLike, probability: npt.ArrayLike) -> Temperature:
    """Fit one temperature by maximum likelihood.

    Args:
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        probability: predicted probability of pCR in (0, 1), shape (patients,).

    Returns:
        The temperature at which these outcomes are likeliest.

    Raises:
        ValueError: a probability is 0 or 1, or no positive finite temperature is best: every
            patient is on the right side of 0.5, or the log odds point the wrong way.

    Source: Guo et al., ICML 2017, 1321-1330.
    """
    is_pcr, values = _between(label, probability)
    odds = np.asarray(logit(values))

    def pull(factor: float) -> float:
        return float(np.sum(odds * (is_pcr - expit(factor * odds))))

    if pull(0.0) <= 0 or pull(1e6) >= 0:
        raise ValueError("probability: expected a positive finite temperature to fit best")
    return Temperature(1 / float(brentq(pull, 0.0, 1e6, xtol=1e-14)))


def fit_isotonic(label: npt.ArrayLike, probability: npt.ArrayLike) -> Isotonic:
    """Fit the rising step function nearest to the outcomes, joined by lines.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR in [0, 1], shape (patients,).

    Returns:
        One point per distinct probability. It needs some hundred patients: with 49 it follows
        noise.

    Source: Zadrozny and Elkan, KDD 2002, 694-699; pool adjacent violators: Ayer et al., Ann. Math.
    Stat. 1955, 26:641-647.
    """
    is_pcr, values = checked_probabilities(label, probability)
    distinct, group, num = np.unique(values, return_inverse=True, return_counts=True)
    share = np.bincount(group, weights=is_pcr) / num
    return Isotonic(distinct, np.asarray(isotonic_regression(share, weights=num).x))


def _between(label: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[Booleans, Doubles]:
    """Labels, and probabilities that have log odds."""
    is_pcr, values = checked_probabilities(label, probability)
    if values.min() == 0 or values.max() == 1:
        raise ValueError("probability: expected numbers between 0 and 1, got 0 or 1 itself")
    return is_pcr, values


def _log_odds(probability: npt.ArrayLike) -> Doubles:
    """Log odds; of 0 and 1 infinite, which the maps send back to 0 and 1."""
    return np.asarray(logit(plain(probability, "probability")), dtype=np.float64)
