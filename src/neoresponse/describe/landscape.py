"""The landscape of a cohort: patients in one row of columns, outcome, probability and variables.

In: a `CohortTable` and, where there are some, probabilities. Out: a `Landscape`, and its CSV.
Source: Guo 2024, Figure 3.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neoresponse.describe.variables import (
    CohortTable,
    Mask,
    Variable,
    parts_in_order,
)
from neoresponse.errors import CohortError
from neoresponse.types import SIMULATED, FloatArray, IntArray


@dataclass(frozen=True)
class Landscape:
    """Patients in the order to draw; no identifier is kept.

    Attributes:
        cohort: name of the cohort.
        label: 1 for pCR, which come first, 0 for residual disease, shape (patients,).
        probability: of pCR, falling within each outcome, shape (patients,); None where there is
            none: then the variables decide the order, the first one first.
        variables: in the order of the table.
        part: part of the split of each patient; empty without a split.
        is_simulated: whether the patients come from a phantom.
    """

    cohort: str
    label: IntArray
    probability: FloatArray | None
    variables: tuple[Variable, ...]
    part: tuple[str, ...]
    is_simulated: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts, training first."""
        return parts_in_order(self.part)


def landscape(table: CohortTable) -> Landscape:
    """Sort patients by outcome, then by probability, then by the variables.

    Args:
        table: the patients; where it holds probabilities, patients without one are left out.

    Raises:
        CohortError: no patient has a probability, or one is not between 0 and 1.
    """
    members, values = table.everybody, None
    if table.probability is not None:
        members, values = table.probability.is_known, table.probability.values
        if not members.any() or not ((values >= 0) & (values <= 1)).all():
            raise CohortError(
                f"{table.name}: expected probabilities from 0 to 1, got none or others. "
                "Name another column or file."
            )
    order = _order(table, members, values)
    return Landscape(
        cohort=table.name,
        label=table.label[order],
        probability=None if values is None else values[order],
        variables=tuple(
            Variable(one.name, one.values[order], one.is_known[order], one.levels)
            for one in table.variables
        ),
        part=tuple(table.part[place] for place in order) if table.part else (),
        is_simulated=table.is_simulated,
    )


def landscape_csv(drawn: Landscape) -> str:
    """One row per patient in the order drawn: place, outcome, probability, part, variables."""
    columns: dict[str, Sequence[str]] = {
        "place": [str(place) for place in range(1, len(drawn.label) + 1)],
        "label": [str(label) for label in drawn.label],
    }
    if drawn.probability is not None:
        columns["probability"] = [repr(float(value)) for value in drawn.probability]
    if drawn.part:
        columns["part"] = drawn.part
    columns |= {one.name: _texts(one) for one in drawn.variables}
    if drawn.is_simulated:
        columns["patients"] = [SIMULATED] * len(drawn.label)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _order(table: CohortTable, members: Mask, probability: FloatArray | None) -> IntArray:
    """Places of the members in the order to draw."""
    keys: list[FloatArray | IntArray] = [-table.label]
    if probability is not None:
        keys.append(-probability)
    for one in table.variables:
        keys.append(np.where(one.is_known, one.values, np.inf))  # missing last
    places = np.flatnonzero(members)
    return np.asarray(places[np.lexsort([key[places] for key in reversed(keys)])])


def _texts(variable: Variable) -> list[str]:
    """Cells of a variable, empty where missing."""
    pairs = zip(variable.values, variable.is_known, strict=True)
    if variable.levels:
        return [variable.levels[int(value)] if known else "" for value, known in pairs]
    return [f"{value:.15g}" if known else "" for value, known in pairs]
