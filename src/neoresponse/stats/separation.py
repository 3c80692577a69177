"""Where a logistic likelihood has no finite maximum: collinear columns and separated classes.

In: a design matrix and labels. Out: which columns and which patients decide a finite maximum.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from neoresponse.stats.arrays import plain

Vector = npt.NDArray[np.float64]

FAR = 1e-6
"""A patient moves in a direction if by more than this, where no coordinate moves more than 1."""


def separated_patients(matrix: Vector, is_pcr: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Patients whom some direction moves to their right side while it moves nobody to a wrong one.

    Args:
        matrix: largest absolute value of each column 1, shape (patients, columns).
        is_pcr: shape (patients,).

    Returns:
        Shape (patients,); along that direction the likelihood rises for ever, so these patients are
        fitted perfectly at infinity and say nothing about the other directions.

    Source: Albert and Anderson, Biometrika 1984, 71:1-10; as a linear programme: Konis, DPhil
    thesis, Oxford 2007.
    """
    signed = np.where(is_pcr, 1.0, -1.0)[:, np.newaxis] * matrix
    is_kept = np.ones(len(signed), dtype=bool)
    while is_kept.any():
        rest = signed[is_kept]
        found = linprog(-rest.sum(axis=0), A_ub=-rest, b_ub=np.zeros(len(rest)), bounds=(-1, 1))
        if found.x is None:
            raise ValueError("design: expected a matrix that a linear programme can search")
        moves = rest @ found.x > FAR
        if not moves.any():
            break
        # Who is left may be separated in a second direction, followed more slowly to infinity.
        is_kept[np.flatnonzero(is_kept)[moves]] = False
    return ~is_kept


def independent_columns(matrix: npt.ArrayLike) -> list[int]:
    """Columns that are no combination of those before them, as R's `glm` keeps them.

    Args:
        matrix: shape (patients, columns).

    Returns:
        Their indices, rising.

    Source: Gram and Schmidt's process, each column at the length of its own.
    """
    columns = plain(matrix, "matrix")
    kept: list[int] = []
    basis = np.empty((columns.shape[0], 0))
    for index in range(columns.shape[1]):
        column = columns[:, index]
        length = float(np.linalg.norm(column))
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)  # once more, against rounding
        if length and float(np.linalg.norm(rest)) > 1e-9 * length:
            kept.append(index)
            basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
    return kept
