"""What a table of patients is computed from: variables with a mask, outcomes, parts of a split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neoresponse.errors import ConfigError
from neoresponse.types import FloatArray, IntArray

Mask = npt.NDArray[np.bool_]
TRAIN = "train"
PART_ORDER = (TRAIN, "validation", "test", "TC1", "TC2")
"""Parts of a split stand in this order, others after them by name."""
APART = "TC2"
"""Multifocal patients: another kind of patient by design, so not compared with the drawn parts."""


@dataclass(frozen=True)
class Variable:
    """One column of a patient table.

    Attributes:
        name: of the column, or our word for it.
        values: the number, or the place of the level among `levels`; 0 where missing, which
            `is_known` says; shape (patients,).
        is_known: shape (patients,).
        levels: in the order to show; empty for a number.
    """

    name: str
    values: FloatArray
    is_known: Mask
    levels: tuple[str, ...] = ()

    def known(self, members: Mask) -> FloatArray:
        """Values of those members of whom it is known."""
        return self.values[members & self.is_known]


@dataclass(frozen=True)
class CohortTable:
    """Patients whose outcome is known.

    Attributes:
        name: of the cohort, shown in every table.
        label: 1 for pCR, 0 for residual disease, shape (patients,).
        variables: each of as many patients.
        part: part of the split, such as train, of each patient; empty without a split.
        probability: of pCR, for the landscape alone; None where there is none.
        is_simulated: whether the patients come from a phantom.
        notes: who and what was left out, and why.
    """

    name: str
    label: IntArray
    variables: tuple[Variable, ...]
    part: tuple[str, ...] = ()
    probability: Variable | None = None
    is_simulated: bool = False
    notes: tuple[str, ...] = ()

    @property
    def everybody(self) -> Mask:
        """All patients, shape (patients,)."""
        return np.ones(len(self.label), dtype=bool)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, in the order of `PART_ORDER`."""
        return parts_in_order(self.part)

    def members(self, part: str) -> Mask:
        """Patients of one part, shape (patients,)."""
        return np.array([name == part for name in self.part], dtype=bool)

    @property
    def training(self) -> Mask:
        """Patients on whom something may be fitted: the training part, or all without a split."""
        return self.members(TRAIN) if self.part else self.everybody

    def only(self, names: Sequence[str]) -> "CohortTable":
        """The same patients with these variables, in this order.

        Raises:
            ConfigError: one is not there.
        """
        by_name = {one.name: one for one in self.variables}
        absent = [name for name in names if name not in by_name]
        if absent:
            raise ConfigError(
                f"variables: expected some of {list(by_name)}, got {absent}. Name others."
            )
        return replace(self, variables=tuple(by_name[name] for name in names))


def parts_in_order(part: Sequence[str]) -> tuple[str, ...]:
    """Parts that occur, in the order of `PART_ORDER`, others after them by name."""
    place = {name: number for number, name in enumerate(PART_ORDER)}
    return tuple(sorted(set(part), key=lambda name: (place.get(name, len(place)), name)))


def number(name: str, values: Sequence[float | None]) -> Variable:
    """A number per patient, None where missing."""
    return Variable(
        name=name,
        values=np.array([0.0 if value is None else float(value) for value in values]),
        is_known=np.array([value is not None for value in values], dtype=bool),
    )


def levels(name: str, values: Sequence[str | None], order: Sequence[str] | None = None) -> Variable:
    """A word per patient, None where missing.

    Args:
        name: of the variable.
        values: one per patient.
        order: all words in the order to show; those that occur, by name, where it is not given.
    """
    words = tuple(order if order is not None else sorted({v for v in values if v is not None}))
    place = {word: number for number, word in enumerate(words)}
    return Variable(
        name=name,
        values=np.array([0.0 if value is None else float(place[value]) for value in values]),
        is_known=np.array([value is not None for value in values], dtype=bool),
        levels=words,
    )
