"""Stratified bootstrap of AUCs and of their differences, all replicates at once.

In: labels, probabilities, a generator. Out: an `Estimate`, or the replicates themselves. pCR and
residual patients are each drawn for themselves, so every replicate has both.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neoresponse.stats.arrays import plain
from neoresponse.stats.bootstrap import (
    Bootstrap,
    block_sizes,
    bootstrap_estimate,
    drawn_counts,
)
from neoresponse.stats.discrimination import Booleans, Doubles, checked_arrays, placements
from neoresponse.types import Estimate, FloatArray, IntArray


@dataclass(frozen=True)
class _PairOrder:
    """How one model orders the patients.

    Attributes:
        residual: residual patients by rising probability; None where they stand so already.
        num_lower: for each pCR patient, residual patients with a lower probability.
        num_not_higher: the same counting ties; None where there are none.
    """

    residual: IntArray | None
    num_lower: IntArray
    num_not_higher: IntArray | None


def bootstrap_auc(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> Estimate:
    """AUC with a stratified bootstrap interval.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: predicted probability of pCR, shape (patients,).
        rng: where the draws come from; the same state gives the same interval.
        plan: number of replicates, coverage and kind; 2,000, 95 % and percentile by default.

    Returns:
        AUC and interval; None with a note where a class has fewer than two patients or all
        replicates are alike.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 14;
    stratified as Carpenter and Bithell, Stat. Med. 2000, 19:1141-1164.
    """
    plan = plan or Bootstrap()
    replicates, found, left_out = _auc_replicates(label, [probability], rng=rng, plan=plan)
    return bootstrap_estimate(
        found[0], replicates[:, 0], left_out[0], plan=plan, num_patients=np.size(label)
    )


def bootstrap_auc_difference(
    label: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    plan: Bootstrap | None = None,
) -> Estimate:
    """First AUC minus second AUC of the same patients, with a stratified bootstrap interval.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        first: probabilities of pCR from one model, shape (patients,).
        second: probabilities of pCR from the other, shape (patients,).
        rng: where the draws come from; both models see the same draws.
        plan: number of replicates, coverage and kind; 2,000, 95 % and percentile by default.

    Returns:
        The difference and its interval; None with a note where a class has fewer than two patients
        or all replicates are alike.

    Source: as `bootstrap_auc`.
    """
    plan = plan or Bootstrap()
    replicates, found, left_out = _auc_replicates(label, [first, second], rng=rng, plan=plan)
    value = None if found[0] is None or found[1] is None else found[0] - found[1]
    by_pcr, by_residual = (one - two for one, two in zip(*left_out, strict=True))
    gaps = replicates[:, 0] - replicates[:, 1]
    return bootstrap_estimate(
        value, gaps, (by_pcr, by_residual), plan=plan, num_patients=np.size(label)
    )


def auc_replicates(
    label: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    num_replicates: int = 2000,
) -> FloatArray:
    """AUCs of patients drawn again, each class for itself.

    Args:
        label: 1 for pCR, 0 for residual disease, both present, shape (patients,).
        probabilities: one row per model, shape (models, patients).
        rng: where the draws come from.
        num_replicates: how often patients are drawn.

    Returns:
        Shape (replicates, models); within a replicate all models see the same draw.

    Raises:
        ValueError: one class is empty.

    Source: with c the counts of the drawn patients, an AUC is the mean over pCR patients of
    c x (share of c among the residual patients below, ties counting one half).
    """
    rows = [checked_arrays(label, row) for row in plain(probabilities, "probabilities")]
    is_pcr = rows[0][0]
    num_pcr, num_residual = int(is_pcr.sum()), int((~is_pcr).sum())
    if not num_pcr or not num_residual:
        raise ValueError(f"label: expected both classes, got {num_pcr} pCR of {is_pcr.size}")
    orders = _pair_orders(is_pcr, [values for _, values in rows])
    found = []
    for size in block_sizes(num_replicates, is_pcr.size):
        pcr = drawn_counts(rng, size, num_pcr)
        residual = drawn_counts(rng, size, num_residual)
        found.append(np.stack([_weighted_aucs(pcr, residual, order) for order in orders], axis=1))
    return np.concatenate(found)


def _auc_replicates(
    label: npt.ArrayLike,
    probabilities: list[npt.ArrayLike],
    *,
    rng: np.random.Generator,
    plan: Bootstrap,
) -> tuple[FloatArray, list[float | None], list[tuple[FloatArray, FloatArray]]]:
    """Replicates, AUCs and AUCs with one patient left out, per model."""
    placed = [placements(label, row) for row in probabilities]
    aucs = [one.auc for one in placed]
    if None in aucs:
        return np.empty((0, len(placed))), aucs, [(np.empty(0), np.empty(0))] * len(placed)
    replicates = auc_replicates(
        label, np.stack(probabilities), rng=rng, num_replicates=plan.num_replicates
    )
    left_out = [(_without_one(one.positive), _without_one(one.negative)) for one in placed]
    return replicates, aucs, left_out


def _without_one(placed: FloatArray) -> FloatArray:
    """AUC with each patient of a class left out: the mean of the others' placements."""
    if len(placed) < 2:
        return placed
    return np.asarray((placed.sum() - placed) / (len(placed) - 1))


def _pair_orders(is_pcr: Booleans, rows: list[Doubles]) -> list[_PairOrder]:
    """How each model orders the patients, residual ones numbered as the first model orders them."""
    numbering = np.argsort(rows[0][~is_pcr])
    found = []
    for index, values in enumerate(rows):
        residual = values[~is_pcr][numbering]
        order = np.argsort(residual) if index else None
        rising = residual if order is None else residual[order]
        lower = np.searchsorted(rising, values[is_pcr], side="left")
        not_higher = np.searchsorted(rising, values[is_pcr], side="right")
        has_ties = not np.array_equal(lower, not_higher)
        found.append(_PairOrder(order, lower, not_higher if has_ties else None))
    return found


def _weighted_aucs(pcr: IntArray, residual: IntArray, order: _PairOrder) -> FloatArray:
    """AUC of each replicate from the counts of its patients, shape (replicates,)."""
    counts = residual if order.residual is None else np.take(residual, order.residual, axis=1)
    num_below = np.zeros((len(counts), counts.shape[1] + 1), dtype=np.int64)
    np.cumsum(counts, axis=1, out=num_below[:, 1:])
    placed = np.take(num_below, order.num_lower, axis=1)
    if order.num_not_higher is None:
        placed *= 2
    else:
        placed += np.take(num_below, order.num_not_higher, axis=1)
    doubled = np.einsum("rp,rp->r", pcr, placed)
    return np.asarray(doubled / (2 * pcr.shape[1] * residual.shape[1]))
