"""Inner folds: training patients of a split become training and validation; nobody else occurs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neoresponse.cohort.split import Assignment
from neoresponse.errors import ConfigError

_STREAM = 6_001
"""Keeps these draws apart from others with the same seed."""


def inner_folds(
    assignments: Sequence[Assignment], num_folds: int, *, seed: int
) -> tuple[tuple[Assignment, ...], ...]:
    """Divide the training patients into folds, stratified by pCR.

    Args:
        assignments: the split; only its training patients are looked at.
        num_folds: how many, at least 2.
        seed: decides who goes where; the order of the assignments does not.

    Returns:
        One split per fold, by patient_id: the fold's patients are its validation patients.

    Raises:
        ConfigError: a class has fewer patients than there are folds.
    """
    train = sorted((a for a in assignments if a.split == "train"), key=lambda a: a.patient_id)
    rng = np.random.default_rng([seed, _STREAM])
    label = np.array([a.label for a in train])
    order = np.concatenate([rng.permutation(np.flatnonzero(label == one)) for one in (1, 0)])
    fewest = min(int(np.sum(label == one)) for one in (1, 0))
    if fewest < num_folds:
        raise ConfigError(
            f"search.folds: expected at most {fewest}, the training patients of the rarer class, "
            f"got {num_folds}. Use fewer folds."
        )
    fold = np.empty(len(train), dtype=int)
    fold[order] = np.arange(len(train)) % num_folds
    return tuple(
        tuple(
            replace(a, split="validation" if fold[i] == number else "train")
            for i, a in enumerate(train)
        )
        for number in range(num_folds)
    )
