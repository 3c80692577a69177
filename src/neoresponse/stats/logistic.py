"""Logistic regression by Newton's method, for clinical-only.

In: a design matrix (a column of ones included, where an intercept is wanted) and labels.
Out: coefficients.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from neoresponse.stats.arrays import plain
from neoresponse.stats.likelihood import Likelihood
from neoresponse.stats.separation import Vector, independent_columns

MAX_STEPS = 100
MAX_HALVINGS = 30
SMALL_STEP = 1e-9
"""Newton squares its error: after a step this small, relative to 1 + the largest coefficient, the
next one would be lost in rounding."""


def fit_logistic(design: npt.ArrayLike, label: npt.ArrayLike, *, ridge: float = 0.0) -> Vector:
    """Maximum likelihood coefficients, or penalised ones.

    Without a ridge these are what R's `glm(..., family = binomial)` gives. Where a combination of
    columns separates the classes, the maximum lies at infinity: then a ridge is needed, which adds
    ridge / 2 times the squared coefficient of every column that is not constant.

    Args:
        design: one row per patient, shape (patients, columns).
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        ridge: strength of the penalty, >= 0; with standardised columns 1 is mild.

    Returns:
        One coefficient per column, shape (columns,).

    Raises:
        ValueError: shapes or labels are wrong, columns are collinear, or classes are separated and
            there is no ridge.

    Source: Hastie et al., The Elements of Statistical Learning, 2nd ed., section 4.4.1.
    """
    matrix, is_pcr = checked_design(design, label)
    labels = is_pcr.astype(np.float64)
    if not ridge >= 0:
        raise ValueError(f"ridge: expected a number >= 0, got {ridge!r}")
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1.0
    matrix = matrix / scale
    # The penalty is on the caller's coefficient, which is ours over the scale of its column.
    penalty = np.where(np.ptp(matrix, axis=0) > 0, ridge / scale**2, 0.0)
    if not ridge:
        return np.asarray(_without_ridge(matrix, is_pcr) / scale)
    coefficients = np.zeros(matrix.shape[1])
    for _ in range(MAX_STEPS):
        gradient, information = _derivatives(matrix, labels, coefficients, penalty)
        step = np.asarray(np.linalg.lstsq(information, gradient)[0], dtype=np.float64)
        coefficients = _climb(matrix, labels, coefficients, step, penalty)
        if np.abs(step).max() <= SMALL_STEP * (1 + np.abs(coefficients).max()):
            return np.asarray(coefficients / scale)
    raise ValueError(f"design: expected Newton to settle in {MAX_STEPS} steps. Add a ridge.")


def logistic_probability(design: npt.ArrayLike, coefficients: npt.ArrayLike) -> Vector:
    """Probability of pCR for each row of a design matrix.

    Args:
        design: shape (patients, columns).
        coefficients: as `fit_logistic` gives them, shape (columns,).

    Returns:
        Probabilities in [0, 1], shape (patients,).
    """
    matrix = plain(design, "design")
    return np.asarray(expit(matrix @ np.asarray(coefficients, dtype=np.float64)))


def checked_design(
    design: npt.ArrayLike, label: npt.ArrayLike
) -> tuple[Vector, npt.NDArray[np.bool_]]:
    """A design matrix as float64 and its labels as booleans.

    Args:
        design: finite numbers, one row per patient, shape (patients, columns).
        label: 0 and 1, both present, shape (patients,).

    Raises:
        ValueError: shapes do not match, a number is not finite, or a label is missing.
    """
    matrix = plain(design, "design")
    labels = plain(label, "label")
    if matrix.ndim != 2 or labels.shape != matrix.shape[:1] or not matrix.size:
        raise ValueError(
            "design and label: expected shapes (patients, columns) and (patients,), got "
            f"{matrix.shape} and {labels.shape}"
        )
    if not np.isfinite(matrix).all():
        raise ValueError("design: expected finite numbers, got NaN or infinity")
    if not np.isin(labels, (0, 1)).all() or np.unique(labels).size < 2:
        raise ValueError(f"label: expected both 0 and 1, got {np.unique(labels)[:5].tolist()}")
    return matrix, labels == 1


def _without_ridge(matrix: Vector, is_pcr: npt.NDArray[np.bool_]) -> Vector:
    """The plain maximum, where there is one."""
    if len(independent_columns(matrix)) < matrix.shape[1]:
        raise ValueError("design: expected independent columns. Drop one or add a ridge.")
    part = Likelihood(matrix, is_pcr).free()
    if not part.is_kept.all():
        raise ValueError("design: expected overlapping classes, got separated ones. Add a ridge.")
    return part.maximum()[1]


def _derivatives(
    matrix: Vector, labels: Vector, coefficients: Vector, penalty: Vector
) -> tuple[Vector, Vector]:
    """Gradient and negative Hessian of the penalised log-likelihood."""
    fitted = expit(matrix @ coefficients)
    weights = fitted * (1 - fitted)
    gradient = matrix.T @ (labels - fitted) - penalty * coefficients
    return np.asarray(gradient), np.asarray((matrix.T * weights) @ matrix + np.diag(penalty))


def _climb(
    matrix: Vector, labels: Vector, coefficients: Vector, step: Vector, penalty: Vector
) -> Vector:
    """Take the step, halved until the likelihood does not fall."""
    start = _log_likelihood(matrix, labels, coefficients, penalty)
    moved = coefficients + step
    for _ in range(MAX_HALVINGS):
        if _log_likelihood(matrix, labels, moved, penalty) >= start - 1e-12 * abs(start):
            break
        step = step / 2
        moved = coefficients + step
    return np.asarray(moved)


def _log_likelihood(matrix: Vector, labels: Vector, coefficients: Vector, penalty: Vector) -> float:
    """Penalised log-likelihood."""
    logit = matrix @ coefficients
    likelihood = np.sum(np.where(labels == 1, log_expit(logit), log_expit(-logit)))
    return float(likelihood - 0.5 * np.sum(penalty * coefficients**2))
