"""Table 1: patients by outcome, or by part of the split, with tests chosen by fixed rules.

In: a `CohortTable`. Out: a `GroupTable`. The rules stand in docs/explanation/statistics.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from neoresponse.describe.difference import (
    standardized_level_difference,
    standardized_number_difference,
)
from neoresponse.describe.variables import (
    APART,
    TRAIN,
    CohortTable,
    Mask,
    Variable,
    levels,
)
from neoresponse.errors import CohortError
from neoresponse.stats import (
    chi_square,
    expected_counts,
    fisher_test,
    kruskal_wallis,
    mann_whitney,
    means_test,
    summary,
    t_test,
)
from neoresponse.stats.groups import is_constant
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray, IntArray

ALL, PCR, RESIDUAL = "all", "pCR", "residual"
OUTCOME = "outcome"
MIN_FOR_MEANS = 30
"""Known values in each group from which a mean is near enough to normal, if not skewed."""
MAX_SKEWNESS = 1.0
"""Absolute skewness from which a group is described by its median."""
LEAST_EXPECTED, FEW_EXPECTED, MAX_FEW_SHARE = 1, 5, 0.2
"""Cochran's rule: chi-square wants no expected count below 1 and a fifth at most below 5."""

Shown = Literal["mean", "median", "count"]


@dataclass(frozen=True)
class GroupSummary:
    """One variable in one group.

    Attributes:
        num_known: patients of whom it is known.
        num_missing: the others.
        counts: patients at each level; empty for a number.
        mean: None for levels and for a group without values; so for the next ones.
        sd: with the divisor n - 1; None below two values.
        median: the middle.
        quartiles: 25th and 75th percentile (R's type 7).
        extremes: least and largest value.
    """

    num_known: int
    num_missing: int
    counts: tuple[int, ...] = ()
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    quartiles: tuple[float, float] | None = None
    extremes: tuple[float, float] | None = None


@dataclass(frozen=True)
class DescribedVariable:
    """One variable in all groups.

    Attributes:
        name: of the variable.
        levels: empty for a number.
        shown_as: what describes a group: mean (SD), median [quartiles], or count (%).
        groups: name of the group -> its summary.
        test: that the compared groups are alike.
        differences: group -> standardised difference from the reference group.
    """

    name: str
    levels: tuple[str, ...]
    shown_as: Shown
    groups: Mapping[str, GroupSummary]
    test: Significance
    differences: Mapping[str, Estimate]


@dataclass(frozen=True)
class GroupTable:
    """Patients described by group.

    Attributes:
        title: what the groups are.
        cohort: name of the cohort.
        sizes: group -> patients.
        compared: groups that the tests compare, the reference first.
        reference: group from which standardised differences are taken.
        variables: one per variable.
        is_simulated: whether the patients come from a phantom.
        notes: who and what was left out, and how to read it.
    """

    title: str
    cohort: str
    sizes: Mapping[str, int]
    compared: tuple[str, ...]
    reference: str
    variables: tuple[DescribedVariable, ...]
    is_simulated: bool
    notes: tuple[str, ...]


def describe_by_outcome(table: CohortTable) -> GroupTable:
    """Table 1: all patients, those with pCR, those with residual disease.

    Raises:
        CohortError: all patients have the same outcome.
    """
    groups = {ALL: table.everybody, PCR: table.label == 1, RESIDUAL: table.label == 0}
    if not groups[PCR].any() or not groups[RESIDUAL].any():
        raise CohortError(
            f"{table.name}: expected patients with and without pCR, got only one "
            "outcome. Check which value means pCR."
        )
    notes = (
        f"{len(table.variables)} tests; P values are not adjusted for their number.",
        *table.notes,
    )
    title = "Patients by outcome"
    return _described(table, title, groups, compared=(RESIDUAL, PCR), notes=notes)


def describe_by_part(table: CohortTable) -> GroupTable:
    """Balance of a split: every part, the outcome among the variables.

    Raises:
        CohortError: there is no split, or it has one part.
    """
    if len(table.parts) < 2:
        raise CohortError(
            f"{table.name}: expected a split of two parts or more, got {list(table.parts)}. "
            "Name the split."
        )
    drawn = tuple(name for name in table.parts if name != APART)
    compared = drawn if len(drawn) > 1 else table.parts
    reference = TRAIN if TRAIN in table.parts else table.parts[0]
    notes = [
        "Groups drawn at random differ at random: look at the standardised differences with their "
        "CIs. A P value here does not tell whether the split is good.",
        *table.notes,
    ]
    if APART in table.parts and compared is drawn:
        notes.insert(0, f"{APART} holds other patients by design, so the tests leave it out.")
    outcome = levels(OUTCOME, [PCR if one else RESIDUAL for one in table.label], (PCR, RESIDUAL))
    groups = {ALL: table.everybody, **{name: table.members(name) for name in table.parts}}
    return _described(
        replace(table, variables=(outcome, *table.variables)),
        "Patients by part of the split",
        groups,
        compared=(reference, *(name for name in compared if name != reference)),
        notes=tuple(notes),
    )


def _described(
    table: CohortTable,
    title: str,
    groups: Mapping[str, Mask],
    *,
    compared: tuple[str, ...],
    notes: tuple[str, ...],
) -> GroupTable:
    """Describe every variable; differences are taken from the first compared group."""
    reference = compared[0]
    others = [name for name in groups if name not in (ALL, reference)]
    return GroupTable(
        title=title,
        cohort=table.name,
        sizes={name: int(members.sum()) for name, members in groups.items()},
        compared=compared,
        reference=reference,
        variables=tuple(
            DescribedVariable(
                name=one.name,
                levels=one.levels,
                shown_as=shown_as(one, [groups[name] for name in compared]),
                groups={name: _summary(one, members) for name, members in groups.items()},
                test=chosen_test(one, [groups[name] for name in compared]),
                differences={
                    name: _difference(one, groups[name], groups[reference]) for name in others
                },
            )
            for one in table.variables
        ),
        is_simulated=table.is_simulated,
        notes=notes,
    )


def shown_as(variable: Variable, groups: Sequence[Mask]) -> Shown:
    """What describes a variable, by the rules in docs/explanation/statistics.md.

    Args:
        variable: the variable.
        groups: the patients of each compared group.
    """
    if variable.levels:
        return "count"
    values = [variable.known(members) for members in groups]
    is_large = min(len(group) for group in values) >= MIN_FOR_MEANS
    is_even = is_large and max(abs(_skewness(group)) for group in values) < MAX_SKEWNESS
    return "mean" if is_even else "median"


def chosen_test(variable: Variable, groups: Sequence[Mask]) -> Significance:
    """The test of a variable between groups, chosen by the rules in docs/explanation/statistics.md.

    Args:
        variable: the variable.
        groups: the patients of each compared group, two or more.
    """
    if variable.levels:
        return _test_of_counts(
            np.array([_counts(variable, members) for members in groups]).T  # (levels, groups)
        )
    values = [variable.known(members) for members in groups]
    if min(len(group) for group in values) == 0:
        return Significance(None, None, "none", None, "no test: a group has no known value")
    if shown_as(variable, groups) == "median":
        return kruskal_wallis([*values]) if len(values) > 2 else mann_whitney(*values)
    if len(values) > 2:
        return means_test([*values])
    return t_test(summary(values[0]), summary(values[1])).test


def _test_of_counts(counts: IntArray) -> Significance:
    """Chi-square or Fisher's test of a table of levels by groups; empty levels are left out."""
    used = counts[counts.sum(axis=1) > 0]
    if len(used) < 2 or (used.sum(axis=0) == 0).any():
        why = "only one level" if len(used) < 2 else "a group has no known value"
        return Significance(None, None, "none", None, f"no test: {why}")
    expected = expected_counts(used)
    few = float((expected < FEW_EXPECTED).mean())
    is_rough = few > 0 if used.shape == (2, 2) else few > MAX_FEW_SHARE
    if is_rough or expected.min() < LEAST_EXPECTED:
        return fisher_test(used)
    return chi_square(used)


def _summary(variable: Variable, members: Mask) -> GroupSummary:
    """One variable in one group."""
    known = variable.known(members)
    num_missing = int(members.sum()) - len(known)
    if variable.levels:
        return GroupSummary(len(known), num_missing, counts=tuple(_counts(variable, members)))
    if not len(known):
        return GroupSummary(0, num_missing)
    low, middle, high = (float(cut) for cut in np.quantile(known, (0.25, 0.5, 0.75)))
    mean, sd = float(known[0]), None
    if len(known) > 1:
        whole = summary(known)
        mean, sd = whole.mean, whole.sd
    return GroupSummary(
        num_known=len(known),
        num_missing=num_missing,
        mean=mean,
        sd=sd,
        median=middle,
        quartiles=(low, high),
        extremes=(float(known.min()), float(known.max())),
    )


def _counts(variable: Variable, members: Mask) -> list[int]:
    """Patients at each level."""
    places = variable.known(members).astype(np.int64)
    return [int(count) for count in np.bincount(places, minlength=len(variable.levels))]


def _difference(variable: Variable, group: Mask, reference: Mask) -> Estimate:
    """Standardised difference of a group from the reference group."""
    if variable.levels:
        return standardized_level_difference(_counts(variable, group), _counts(variable, reference))
    return standardized_number_difference(variable.known(group), variable.known(reference))


def _skewness(values: FloatArray) -> float:
    """Third central moment over the cubed standard deviation; 0 where nothing varies."""
    if is_constant(values):
        return 0.0
    centred = values - values.mean()
    return float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)
