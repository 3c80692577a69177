"""Predictions of simulated patients + the phantom's oracle -> how far from the best possible.

The oracle's probabilities are those of one who sees all that a run's inputs show of the hidden
traits, without error; see docs/explanation/phantom.md.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from neoresponse.contracts.groups import groups_of_patients, test_cohorts
from neoresponse.contracts.metrics import Limit
from neoresponse.contracts.predictions import Prediction
from neoresponse.errors import RunError
from neoresponse.stats import auc_interval, paired_delong
from neoresponse.types import Modality

ORACLE = "oracle.csv"
Oracle = Mapping[str, Mapping[str, float]]
"""patient_id -> inputs joined by `+` -> the best possible probability."""


def read_oracle(truth: Path) -> Oracle:
    """Read `oracle.csv` of a phantom's folder `truth`.

    Raises:
        RunError: it is not there.
    """
    path = truth / ORACLE
    if not path.is_file():
        raise RunError(
            f"{path}: expected the oracle of a phantom, found nothing. Name the folder `truth` "
            "that `neoresponse phantom` wrote."
        )
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["patient_id"]: {
            name: float(value) for name, value in row.items() if name not in ("patient_id", "label")
        }
        for row in rows
    }


def limits(
    predictions: Mapping[str, Sequence[Prediction]],
    inputs: Mapping[str, frozenset[Modality]],
    oracle: Oracle,
    *,
    confidence: float,
) -> list[Limit]:
    """Every run in every test cohort beside the best possible there.

    Args:
        predictions: name of a run -> its predictions.
        inputs: name of a run -> what it sees.
        oracle: of the phantom that the patients come from.
        confidence: coverage of the intervals.

    Raises:
        RunError: a patient is not in the oracle.
    """
    reached = []
    for run, rows in predictions.items():
        name = "+".join(modality.value for modality in Modality if modality in inputs[run])
        shown = "+".join(modality.value for modality in Modality if modality in _shown(inputs[run]))
        groups = groups_of_patients(rows)
        for cohort in test_cohorts(list(groups)):
            group = groups[cohort]
            if unknown := [p for p in group.patient_id if p not in oracle]:
                raise RunError(
                    f"patient {unknown[0]!r}: expected a patient of the phantom, got one that its "
                    "truth does not have. Give --truth the folder truth/ beside the cohort."
                )
            best = np.array([oracle[patient_id][shown] for patient_id in group.patient_id])
            gap = paired_delong(group.label, group.probability, best, confidence=confidence)
            reached.append(
                Limit(
                    run=run,
                    cohort=cohort,
                    inputs=name,
                    num_patients=len(best),
                    reached=auc_interval(group.label, group.probability, confidence=confidence),
                    best=auc_interval(group.label, best, confidence=confidence),
                    gap=gap.difference,
                )
            )
    return reached


def _shown(inputs: frozenset[Modality]) -> frozenset[Modality]:
    """Inputs of which an oracle may see as much as a network: US-1 counts with US-0.

    The crop of US-1 is as wide in mm as that of US-0 (`prepare.us_1_window`), which follows the
    lesion's size on that day: so even a network of US-1 alone sees how much is left.
    """
    return inputs | {Modality.US_0} if Modality.US_1 in inputs else inputs
