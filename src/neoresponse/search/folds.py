"""Inner folds: training patients of a split become training and validation; nobody else occurs."""

from collections.abc import Sequence
from dataclasses import replace

from neoresponse.cohort.folds import draw_folds
from neoresponse.cohort.split import Assignment
from neoresponse.errors import ConfigError

_SEARCH = 13
"""Name of the random stream."""


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
    fewest = min(sum(a.label == one for a in train) for one in (0, 1))
    if fewest < num_folds:
        raise ConfigError(
            f"search.folds: expected at most {fewest}, the training patients of the rarer class, "
            f"got {num_folds}. Use fewer folds."
        )
    fold_of = draw_folds(train, num_folds=num_folds, seed=[seed, _SEARCH])
    return tuple(
        tuple(
            replace(a, split="validation" if fold_of[a.patient_id] == number else "train")
            for a in train
        )
        for number in range(num_folds)
    )
