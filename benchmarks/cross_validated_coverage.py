"""Draws cohorts, cross-validates, and counts how often the interval of the AUC holds its truth.

    python benchmarks/cross_validated_coverage.py [--cohorts 1000] [--seed 1]

26 % pCR, 5 stratified folds, once and repeated 5 times, n = 100 and 400, six normal traits.
"Fixed": the best score of the traits, on another scale in each fold; nothing is fitted, and the
truth is its AUC. "Refitted": a logistic regression (ridge of 1) on the other folds. Its truth is
the mean over folds and repeats of the AUC that each fitted model has on all patients there could
be, known from its coefficients; beside it ("whole cohort") that of a model fitted on all, which
is what gets used. "Difference": refitted with six traits less refitted with three of them.
"Published" is the source's interval, "corrected" ours. "Pooled" takes the probabilities of all
folds as one list, with DeLong's interval, as is often done; its mean error shows why we do not.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from neoresponse.stats import (
    auc_interval,
    compare_cross_validated,
    cross_validated_auc,
    fit_logistic,
    wilson_interval,
)
from neoresponse.types import Estimate

SIZES, REPEATS, AUCS = (100, 400), (1, 5), (0.65, 0.8, 0.95)
PREVALENCE, FOLDS, TRAITS, FEWER, RIDGE = 0.26, 5, 6, 3, 1.0
Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Named = tuple[str, Estimate, float]


def main() -> None:
    """Run and print one line per cell."""
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)
    parser.add_argument("--cohorts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.cohorts} cohorts per cell; coverage in %, [its own 95 % interval: Wilson]")
    for num_patients in SIZES:
        for num_repeats in REPEATS:
            for area in AUCS:
                cell(options, num_patients, num_repeats, area)


def cell(options: argparse.Namespace, num_patients: int, num_repeats: int, area: float) -> None:
    """One size, number of repeats and best AUC."""
    held: dict[str, list[bool]] = defaultdict(list)
    errors: dict[str, list[float]] = defaultdict(list)
    for number in range(options.cohorts):
        rng = np.random.default_rng([options.seed, num_patients, num_repeats, number])
        for name, found, truth in one_cohort(rng, num_patients, num_repeats, area):
            assert found.value is not None
            held[name].append(
                found.low is not None
                and found.high is not None
                and found.low <= truth <= found.high
            )
            errors[name].append(found.value - truth)
    for name, hits in held.items():
        rate = wilson_interval(sum(hits), len(hits))
        assert rate.value is not None
        assert rate.low is not None
        assert rate.high is not None
        print(
            f"n {num_patients:4} repeats {num_repeats} best AUC {area:.2f}  {name:34}"
            f"{100 * rate.value:6.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
            f"  mean error {np.mean(errors[name]):+.3f}",
            flush=True,
        )


def one_cohort(
    rng: np.random.Generator, num_patients: int, num_repeats: int, area: float
) -> Iterator[Named]:
    """Every interval of one drawn cohort with the number that it should hold."""
    label = np.zeros(num_patients, dtype=np.int64)
    label[: round(PREVALENCE * num_patients)] = 1
    means = np.full(TRAITS, np.sqrt(2 / TRAITS) * ndtri(area))
    traits = rng.normal(size=(num_patients, TRAITS)) + label[:, None] * means
    fold = np.stack([stratified(rng, label) for _ in range(num_repeats)])
    fixed = np.stack([traits @ means for _ in fold]) + fold
    for variant in ("published", "corrected"):
        yield f"fixed, {variant}", cross_validated_auc(label, fixed, fold, variant=variant), area
    refitted, truth = out_of_fold(traits, label, fold, means)
    whole = true_auc(fit_logistic(with_ones(traits), label, ridge=RIDGE), means)
    for variant in ("published", "corrected"):
        found = cross_validated_auc(label, refitted, fold, variant=variant)
        yield f"refitted, {variant}", found, truth
    yield "refitted, corrected, whole cohort", found, whole
    fewer, lower = out_of_fold(traits[:, :FEWER], label, fold, means[:FEWER])
    gap = compare_cross_validated(label, refitted, fewer, fold).difference
    yield "difference", gap, truth - lower
    yield "pooled, DeLong, logit scale", auc_interval(label, refitted[0]), truth


def stratified(rng: np.random.Generator, label: Counts) -> Counts:
    """A fold for each patient, classes shared out evenly."""
    fold = np.empty(len(label), dtype=np.int64)
    order = np.concatenate([rng.permutation(np.flatnonzero(label == one)) for one in (1, 0)])
    fold[order] = np.arange(len(label)) % FOLDS
    return fold


def out_of_fold(
    traits: Numbers, label: Counts, fold: Counts, means: Numbers
) -> tuple[Numbers, float]:
    """Log odds from models of the other folds, and the mean of these models' true AUCs."""
    values, truths = np.empty(fold.shape), []
    for row, numbers in zip(values, fold, strict=True):
        for number in range(FOLDS):
            inside = numbers == number
            fitted = fit_logistic(with_ones(traits[~inside]), label[~inside], ridge=RIDGE)
            row[inside] = with_ones(traits[inside]) @ fitted
            truths.append(true_auc(fitted, means))
    return values, float(np.mean(truths))


def with_ones(traits: Numbers) -> Numbers:
    """Traits with an intercept."""
    return np.column_stack([np.ones(len(traits)), traits])


def true_auc(coefficients: Numbers, means: Numbers) -> float:
    """AUC of a linear score over all patients: traits are normal with unit variance."""
    slopes = coefficients[1:]
    return float(ndtr(slopes @ means / np.sqrt(2) / np.linalg.norm(slopes)))


if __name__ == "__main__":
    main()
