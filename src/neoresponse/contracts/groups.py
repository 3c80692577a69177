"""Predictions of a run -> the groups of patients for which numbers are computed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neoresponse.contracts.predictions import Prediction
from neoresponse.types import FloatArray, IntArray

FEW = 10
"""With fewer patients of either outcome no verdict is given and nothing is compared."""
TOO_FEW = f"too few to say: fewer than {FEW} patients with one of the outcomes"
TRAIN, VALIDATION, BOTH_TESTS = "train", "validation", "TC1+TC2"


@dataclass(frozen=True)
class Group:
    """Patients with a known label."""

    patient_id: tuple[str, ...]
    label: IntArray
    probability: FloatArray
    num_without_label: int


def groups_of_patients(rows: Sequence[Prediction]) -> dict[str, Group]:
    """Train, validation, each test cohort, and TC1 with TC2; those that have patients."""
    members = {part: [row for row in rows if row.split == part] for part in (TRAIN, VALIDATION)}
    tested = [row for row in rows if row.split == "test"]
    for cohort in sorted({row.cohort for row in tested}):
        members[cohort] = [row for row in tested if row.cohort == cohort]
    if {"TC1", "TC2"} <= set(members):
        members[BOTH_TESTS] = [row for row in tested if row.cohort in ("TC1", "TC2")]
    return {name: _group(found) for name, found in members.items() if found}


def are_too_few(num_patients: int, num_pcr: int) -> bool:
    """Whether patients are too few for a verdict or a comparison."""
    return min(num_pcr, num_patients - num_pcr) < FEW


def test_cohorts(names: Sequence[str]) -> list[str]:
    """Those of the group names that are test cohorts, in the order given."""
    return [name for name in names if name not in (TRAIN, VALIDATION)]


def main_cohort(names: Sequence[str]) -> str | None:
    """The group that a study is judged by: both test cohorts together, else the first one."""
    tested = test_cohorts(names)
    if BOTH_TESTS in tested:
        return BOTH_TESTS
    return tested[0] if tested else None


def _group(rows: Sequence[Prediction]) -> Group:
    """Patients as arrays; those without a label are left out and counted."""
    known = [row for row in rows if row.label is not None]
    return Group(
        patient_id=tuple(row.patient_id for row in known),
        label=np.array([row.label for row in known], dtype=np.int64),
        probability=np.array([row.probability for row in known], dtype=np.float64),
        num_without_label=len(rows) - len(known),
    )
