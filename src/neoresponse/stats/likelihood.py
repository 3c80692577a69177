"""The logistic likelihood and its maximum, plain or with Firth's penalty, some columns held fixed.

In: a design matrix, labels, what is fixed. Out: the maximum and where it is. For `regression.py`,
which asks for it at many fixed values.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.special import expit

from neoresponse.stats.separation import Vector, independent_columns, separated_patients

MAX_STEPS, MAX_HALVINGS = 500, 40
SMALL_STEP, LOST_STEP = 1e-11, 1e-6
LONGEST_STEP = 5.0
FEW_STEPS, PERFECT = 20, 20.0
PATIENCE, SMALL_SHIFT = 40, 1e-5
"""Newton's steps leave out the penalty's own curvature and creep where classes are nearly
separated; after so many of them the whole curvature is taken, by differences of the slope
(Dauphin et al., NeurIPS 2014: its size without its sign, so that no saddle holds the climb)."""
LEAST_GAIN = 1e-14
"""Newton's step promises this rise at least, or it is the last one: nearly collinear columns leave
rounding in a step that is far larger than `SMALL_STEP`, but nothing in the height."""
NO_RISE = 1e-11
"""On a ledge without slope the place of a step is rounding; its height is not."""
FLAT = 1e-100
NEGLIGIBLE = 1e-9
"""A log-likelihood this near to 0 cannot rise; each patient then has log odds beyond `PERFECT`."""


@dataclass(frozen=True)
class Likelihood:
    """A logistic likelihood, ready to be climbed.

    Attributes:
        matrix: the whole design, columns scaled to a largest absolute value of 1, shape (patients,
            columns).
        is_pcr: shape (patients,).
        has_penalty: adds half the log determinant of the information (Firth, Jeffreys' prior),
            which makes every maximum finite.
    """

    matrix: Vector
    is_pcr: npt.NDArray[np.bool_]
    has_penalty: bool = False

    def free(self, fixed: int | None = None) -> "FreePart":
        """What can move when one column, or none, is held fixed."""
        names = [index for index in range(self.matrix.shape[1]) if index != fixed]
        is_kept = np.ones(len(self.matrix), dtype=bool)
        if not self.has_penalty and names:
            names = [names[i] for i in independent_columns(self.matrix[:, names])]
            whole = FreePart(self, is_kept, names, fixed)
            if whole.has_maximum():
                return whole
            is_kept = ~separated_patients(self.matrix[:, names], self.is_pcr)
            names = [names[i] for i in independent_columns(self.matrix[is_kept][:, names])]
        return FreePart(self, is_kept, names, fixed)


@dataclass(frozen=True)
class FreePart:
    """The patients and columns that decide a finite maximum.

    Attributes:
        whole: the likelihood it is a part of.
        is_kept: patients that are not fitted perfectly at infinity, shape (patients,).
        columns: columns whose coefficients are found; the others stay at 0.
        fixed: the column whose coefficient is given, or None.
    """

    whole: Likelihood
    is_kept: npt.NDArray[np.bool_]
    columns: list[int]
    fixed: int | None

    def hold(self, fixed: int) -> "FreePart":
        """The same with a column held fixed, which cannot make a finite maximum infinite."""
        return replace(self, columns=[one for one in self.columns if one != fixed], fixed=fixed)

    def maximum(
        self,
        at: float = 0.0,
        *,
        start: Vector | None = None,
        max_steps: int = MAX_STEPS,
        least_gain: float = LEAST_GAIN,
    ) -> tuple[float, Vector]:
        """The highest log-likelihood, and all coefficients there.

        Args:
            at: value of the fixed coefficient.
            start: coefficients to start from, shape (columns,).
            max_steps: steps after which to give up.
            least_gain: rise that a step must promise not to be the last one; a height needs less
                than the place where it is reached.

        Raises:
            ValueError: Newton's method does not settle.
        """
        beta = np.zeros(self.whole.matrix.shape[1]) if start is None else start.copy()
        if self.fixed is not None:
            beta[self.fixed] = at
        height, last = self.height(beta), np.zeros_like(beta)
        for number in range(max_steps):
            creeps = self.whole.has_penalty and number >= PATIENCE
            step, gain = self._long_step(beta) if creeps else self._step(beta)
            if self.whole.has_penalty and step @ last < 0:
                step = step / 2  # without the penalty's own curvature, steps may swing to and fro
            last = step
            longest = float(np.abs(step).max(initial=0.0))
            is_last = not self.whole.has_penalty and gain <= least_gain
            # A column with an outlier has a coefficient of thousands, to be reached by doubling.
            limit = LONGEST_STEP if self.whole.has_penalty else LONGEST_STEP + np.abs(beta).max()
            step *= min(1.0, limit / longest) if longest else 1.0
            for _ in range(MAX_HALVINGS):
                moved = beta + step
                reached = self.height(moved)
                if reached >= height - 1e-13 * abs(height):
                    break
                step = step / 2
            else:
                if not is_last and longest > LOST_STEP * (1 + np.abs(beta).max()):
                    raise ValueError("design: expected a likelihood that rises along its slope")
                return height, beta
            has_stalled = creeps and reached - height <= NO_RISE
            beta, height = moved, reached
            is_perfect = height > -NEGLIGIBLE and not self.whole.has_penalty
            if (
                is_last
                or has_stalled
                or is_perfect
                or np.abs(step).max() <= SMALL_STEP * (1 + np.abs(beta).max())
            ):
                return height, beta
        raise ValueError(f"design: expected Newton to settle in {max_steps} steps")

    def has_maximum(self) -> bool:
        """Whether Newton's method settles soon, with no patient fitted perfectly.

        A stationary point of a concave function is its maximum, so this spares the search for
        separated classes; where it says no, that search decides.
        """
        try:
            _, beta = self.maximum(max_steps=FEW_STEPS)
        except ValueError:
            return False
        return float(np.abs(self.whole.matrix @ beta).max()) < PERFECT

    def height(self, beta: Vector) -> float:
        """Log-likelihood of the kept patients, with the penalty where there is one."""
        logit = self._rows @ beta
        right = np.where(self._labels, logit, -logit)
        value = float(np.sum(np.minimum(right, 0) - np.log1p(np.exp(-np.abs(right)))))
        if self.whole.has_penalty:
            value += 0.5 * float(np.linalg.slogdet(self.information(beta))[1])
        return value

    def information(self, beta: Vector) -> Vector:
        """Fisher's information about all columns, shape (columns, columns)."""
        matrix, fitted = self._rows, self._fitted(beta)
        return np.asarray((matrix.T * (fitted * (1 - fitted))) @ matrix)

    def covariance(self, beta: Vector) -> Vector:
        """Covariance of the moving coefficients, NaN elsewhere, shape (columns, columns).

        With the penalty each patient counts once plus its leverage, as in `logistf`.
        """
        fitted = self._fitted(beta)
        weight = fitted * (1 - fitted)
        if self.whole.has_penalty:
            weight = weight * (1 + _leverage(self._rows, weight))
        found = np.full((len(beta), len(beta)), np.nan)
        block = np.ix_(self.columns, self.columns)
        if self.columns:
            basis, triangle = self._basis
            back = solve_triangular(triangle, np.eye(len(self.columns)))
            found[block] = back @ np.linalg.inv((basis.T * weight) @ basis) @ back.T
        return found

    @cached_property
    def _rows(self) -> Vector:
        """Of the kept patients, column by column: three times as fast for many patients."""
        return np.asfortranarray(self.whole.matrix[self.is_kept])

    @cached_property
    def _labels(self) -> npt.NDArray[np.bool_]:
        """Of the kept patients."""
        return self.whole.is_pcr[self.is_kept]

    @cached_property
    def _basis(self) -> tuple[Vector, Vector]:
        """The columns that move as orthonormal ones times a triangle, against collinearity."""
        found = np.linalg.qr(self._rows[:, self.columns])
        return np.asfortranarray(found.Q), found.R

    def _step(self, beta: Vector) -> tuple[Vector, float]:
        """Newton's step, zero in every column that does not move, and the rise it promises."""
        basis, triangle = self._basis
        weight, pull = self._weight_and_pull(beta)
        weighted = basis * np.sqrt(weight)[:, np.newaxis]
        block, slope = weighted.T @ weighted, basis.T @ pull
        step = np.zeros_like(beta)
        size = float(np.abs(block).max(initial=0.0))
        if size < FLAT:  # every patient is fitted at 0 or 1: the way up is all that is left
            way = np.sign(triangle.T @ slope)
            step[self.columns] = (LONGEST_STEP + np.abs(beta).max()) * way
            return step, math.inf
        turned = np.linalg.lstsq(block / size, slope / size)[0]
        step[self.columns] = solve_triangular(triangle, turned)
        return step, float(slope @ turned)

    def _long_step(self, beta: Vector) -> tuple[Vector, float]:
        """The same with the whole curvature; where that bends upward, away from there."""
        bent = np.array(
            [
                (self._slope(beta - shift) - self._slope(beta + shift)) / (2 * SMALL_SHIFT)
                for shift in SMALL_SHIFT * np.eye(len(beta))[self.columns]
            ]
        )
        sizes, ways = np.linalg.eigh((bent + bent.T) / 2)
        least = 1e-9 * np.abs(sizes).max(initial=1.0)
        step = np.zeros_like(beta)
        slope = self._slope(beta)
        step[self.columns] = ways @ (ways.T @ slope / np.maximum(np.abs(sizes), least))
        return step, float(slope @ step[self.columns])

    def _slope(self, beta: Vector) -> Vector:
        """Of the height along the columns that move, shape (moving columns,)."""
        return np.asarray((self._rows.T @ self._weight_and_pull(beta)[1])[self.columns])

    def _weight_and_pull(self, beta: Vector) -> tuple[Vector, Vector]:
        """Variance of each kept patient's outcome, and his pull on the log odds."""
        fitted = self._fitted(beta)
        weight = fitted * (1 - fitted)
        pull = self._labels - fitted
        if self.whole.has_penalty:
            pull = pull + _leverage(self._rows, weight) * (0.5 - fitted)
        return np.asarray(weight), np.asarray(pull)

    def _fitted(self, beta: Vector) -> Vector:
        """Probability of pCR of each kept patient."""
        return np.asarray(expit(self._rows @ beta))


def _leverage(matrix: Vector, weight: Vector) -> Vector:
    """Diagonal of the hat matrix, shape (patients,)."""
    inverse = np.linalg.inv((matrix.T * weight) @ matrix)
    return np.asarray(np.einsum("pc,cd,pd->p", matrix, inverse, matrix) * weight)
