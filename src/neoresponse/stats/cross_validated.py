"""AUC of cross-validation: pairs inside one fold only, with an interval and a paired comparison.

In: labels, and for each repeat every patient's out-of-fold probability and fold. Out: an `Estimate`
or a `Comparison`. Probabilities of two folds come from two models and are never held against each
other: their scales differ, and a weak model's level moves against the share of pCR in its fold.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from neoresponse.stats.arrays import plain, refuse_masked
from neoresponse.stats.compare import ONE_PERFECT, Comparison, compared
from neoresponse.stats.discrimination import Booleans, Doubles, checked_arrays, placements
from neoresponse.stats.interval import ONE_CLASS, TOO_FEW, two_sided_z
from neoresponse.types import Estimate, IntArray

NO_SPREAD = "no CI: the influence values are all zero"
METHOD = "influence values within folds"
SHAPES = "label, probability and fold: expected (patients,) and twice (repeats, patients)"
Variant = Literal["corrected", "published"]


@dataclass(frozen=True)
class _Repeat:
    """One repeat: its AUC, what each patient adds to the error of that AUC, who and what counts."""

    auc: float
    influence: Doubles  # (patients,), 0 where a patient takes no part
    is_used: Booleans  # (patients,)
    num_folds: int
    num_lost: int


def cross_validated_auc(
    label: npt.ArrayLike,
    probability: npt.ArrayLike,
    fold: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    variant: Variant = "corrected",
) -> Estimate:
    """Mean AUC of the folds, averaged over repeats, with an interval from influence values.

    A patient's influence value is what the patient adds to the error of the estimate; it is
    averaged over the repeats before the variance is taken, because repeats bring no new patients.
    The interval is that of the folds' models; it counts no refitting on other patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        probability: out-of-fold probability of pCR, shape (repeats, patients); not looked at where
            the fold is -1.
        fold: whole number >= 0 of each patient's fold, -1 where the patient is not in the repeat,
            shape (repeats, patients).
        confidence: coverage aimed at, in (0, 1).
        variant: "corrected" holds a patient against the AUC of the repeat, with n - 1 in place of
            n in each class, on the logit scale; with one fold it is DeLong's interval. "published"
            is the source's: against the AUC of the patient's fold, symmetric, cut at 0 and 1.

    Returns:
        Every fold weighs alike, a tie counts one half. A fold without both classes is left out and
        the note counts it. The interval is None, with a note, where a class has fewer than two
        patients or all influence values are zero; the value too where no fold has both classes.

    Raises:
        ValueError: a shape, a label, a fold or a probability is impossible.

    Source: LeDell et al., Electron. J. Stat. 2015, 9:1583-1607; "corrected" by the coverage that
    docs/explanation/statistics.md lists.
    """
    if variant not in ("corrected", "published"):
        raise ValueError(f"variant: expected 'corrected' or 'published', got {variant!r}")
    repeats, num_patients, note = _repeats(label, probability, fold, variant)
    alone = _alone(_mean_auc(repeats), num_patients, confidence, note)
    value = alone.value
    if value is None:
        return alone
    variance = _variance([one.influence for one in repeats])
    if not variance or _fewest(label, repeats) < 2:
        missing = TOO_FEW if _fewest(label, repeats) < 2 else NO_SPREAD
        return _alone(value, num_patients, confidence, _joined(missing, note))
    half = two_sided_z(confidence) * math.sqrt(variance)
    if variant == "published":
        low, high = max(0.0, value - half), min(1.0, value + half)
        return replace(alone, low=low, high=high, method="LeDell")
    half /= value * (1 - value)
    low, high = (float(expit(logit(value) + side * half)) for side in (-1, 1))
    return replace(alone, low=low, high=high, method=f"{METHOD}, logit scale")


def compare_cross_validated(
    label: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    fold: npt.ArrayLike,
    *,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two models cross-validated over the same folds of the same patients.

    Args:
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        first: out-of-fold probabilities of one model, shape (repeats, patients).
        second: those of the other, shape (repeats, patients).
        fold: as in `cross_validated_auc`, the same for both, shape (repeats, patients).
        confidence: coverage of the interval of the difference.

    Returns:
        First AUC minus second AUC, its interval (not cut at -1 and 1), z and two-sided P, from the
        differences of the influence values. None with a note as in `cross_validated_auc`. With one
        fold it is the paired DeLong test.

    Raises:
        ValueError: as `cross_validated_auc`.

    Source: LeDell et al., Electron. J. Stat. 2015, 9:1583-1607, applied to a difference.
    """
    one, num_patients, note = _repeats(label, first, fold, "corrected")
    two, _, _ = _repeats(label, second, fold, "corrected")
    aucs = _mean_auc(one), _mean_auc(two)
    if aucs[0] is None or aucs[1] is None:
        return Comparison(_alone(None, num_patients, confidence, note), None, None)
    if set(aucs) & {0.0, 1.0}:
        note = _joined(ONE_PERFECT, note)
    alone = _alone(aucs[0] - aucs[1], num_patients, confidence, note)
    if _fewest(label, one) < 2:
        return compared(alone, None)
    pairs = zip(one, two, strict=True)
    return compared(alone, _variance([a.influence - b.influence for a, b in pairs]))


def _repeats(
    label: npt.ArrayLike, probability: npt.ArrayLike, fold: npt.ArrayLike, variant: Variant
) -> tuple[list[_Repeat], int, str]:
    """Repeats with a fold that counts, patients in any of them, and what was left out."""
    labels, values, folds = _checked(label, probability, fold)
    every = [_one_repeat(labels, *row, variant) for row in zip(values, folds, strict=True)]
    num_lost, num_folds = sum(r.num_lost for r in every), sum(r.num_folds for r in every)
    note = f"{num_lost} of {num_folds + num_lost} folds left out: only one class in them"
    repeats = [one for one in every if one.num_folds]
    if not repeats:
        return [], len(labels), ONE_CLASS
    is_used = np.any([one.is_used for one in repeats], axis=0)
    return repeats, int(is_used.sum()), note if num_lost else ""


def _checked(
    label: npt.ArrayLike, probability: npt.ArrayLike, fold: npt.ArrayLike
) -> tuple[IntArray, Doubles, IntArray]:
    """The three as arrays of fitting shapes."""
    refuse_masked(label, "label")
    refuse_masked(fold, "fold")
    labels, folds = np.asarray(label), np.asarray(fold)
    values = plain(probability, "probability")
    if labels.ndim != 1 or folds.ndim != 2 or values.shape != folds.shape:
        raise ValueError(f"{SHAPES}, got {labels.shape}, {values.shape} and {folds.shape}")
    if folds.shape[1:] != labels.shape:
        raise ValueError(f"{SHAPES}, got {labels.shape}, {values.shape} and {folds.shape}")
    if not np.issubdtype(folds.dtype, np.integer) or (folds < -1).any():
        raise ValueError("fold: expected whole numbers, 0 and above, or -1 for not in the repeat")
    return labels.astype(np.int64), values, folds


def _one_repeat(label: IntArray, probability: Doubles, fold: IntArray, variant: Variant) -> _Repeat:
    """AUC and influence values of one repeat."""
    numbers = np.unique(fold[fold >= 0])
    parts = list(_parts(label, probability, fold, numbers))
    is_used, influence = np.zeros(len(label), dtype=bool), np.zeros(len(label))
    for rows, _, _ in parts:
        is_used[rows] = True
    num_folds, num_lost = len(parts), len(numbers) - len(parts)
    mean = math.fsum(auc for _, _, auc in parts) / num_folds if parts else math.nan
    num_used = int(is_used.sum())
    for rows, placed, auc in parts:
        for one in (0, 1):
            inside, num_class = label[rows] == one, int((label[is_used] == one).sum())
            if variant == "published":  # w (placement - fold's AUC), squared, mean in each fold
                scale = math.sqrt(num_used / (num_folds * len(rows))) / num_class
                away = placed[inside] - auc
            else:
                scale = math.sqrt(num_class / max(1, num_class - 1)) / (num_folds * inside.sum())
                away = placed[inside] - mean
            influence[rows[inside]] = scale * away
    return _Repeat(mean, influence, is_used, num_folds, num_lost)


def _parts(
    label: IntArray, probability: Doubles, fold: IntArray, numbers: IntArray
) -> Iterator[tuple[IntArray, Doubles, float]]:
    """Rows, placements and AUC of each fold with both classes."""
    for number in numbers:
        rows = np.flatnonzero(fold == number)
        is_pcr, values = checked_arrays(label[rows], probability[rows])
        found = placements(is_pcr, values)
        if found.auc is None:
            continue
        placed = np.empty(len(rows))
        placed[is_pcr], placed[~is_pcr] = found.positive, found.negative
        yield rows, placed, found.auc


def _mean_auc(repeats: list[_Repeat]) -> float | None:
    """Mean over repeats; None without any."""
    return math.fsum(one.auc for one in repeats) / len(repeats) if repeats else None


def _variance(influences: list[Doubles]) -> float:
    """Variance of an estimate: each patient's mean over the repeats, squared and added up."""
    return float(np.sum(np.mean(influences, axis=0) ** 2))


def _fewest(label: npt.ArrayLike, repeats: list[_Repeat]) -> int:
    """Patients of the rarer class in the repeat that has fewest of them."""
    counts = [int((np.asarray(label)[r.is_used] == one).sum()) for r in repeats for one in (0, 1)]
    return min(counts)


def _alone(value: float | None, num_patients: int, confidence: float, note: str) -> Estimate:
    """A number without an interval."""
    return Estimate(value, None, None, num_patients, METHOD, confidence, note)


def _joined(*notes: str) -> str:
    """Two notes as one."""
    return "; ".join(note for note in notes if note)
