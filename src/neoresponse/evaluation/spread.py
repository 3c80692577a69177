"""One network trained with several seeds -> how much its AUC differs from seed to seed.

In: predictions of each seed. Out: the list under `seeds` in `metrics.json`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from neoresponse.contracts.groups import groups_of_patients
from neoresponse.contracts.metrics import SeedSpread
from neoresponse.contracts.predictions import read_predictions
from neoresponse.stats import auc


def spread_over_seeds(members: Mapping[str, Mapping[int, Path]]) -> tuple[SeedSpread, ...]:
    """AUC of each seed, their mean and standard deviation, by run and group of patients.

    Args:
        members: run -> seed -> its predictions file.

    Returns:
        One entry per run and group. `auc` has a value per seed, or None where it cannot be
        estimated; `mean`, `deviation` (with n - 1), `lowest` and `highest` are None unless all can.
    """
    return tuple(
        _spread(run, cohort, values)
        for run, files in members.items()
        for cohort, values in _aucs(files).items()
    )


def _aucs(files: Mapping[int, Path]) -> dict[str, dict[int, float | None]]:
    """Group -> seed -> AUC."""
    found: dict[str, dict[int, float | None]] = {}
    for seed, path in files.items():
        for cohort, group in groups_of_patients(read_predictions(path)).items():
            found.setdefault(cohort, {})[seed] = auc(group.label, group.probability)
    return found


def _spread(run: str, cohort: str, values: Mapping[int, float | None]) -> SeedSpread:
    """What the values of all seeds come to."""
    known = [value for value in values.values() if value is not None]
    is_whole = len(known) == len(values)
    return SeedSpread(
        run=run,
        cohort=cohort,
        auc={str(seed): value for seed, value in values.items()},
        mean=float(np.mean(known)) if is_whole else None,
        deviation=float(np.std(known, ddof=1)) if is_whole and len(known) > 1 else None,
        lowest=min(known) if is_whole else None,
        highest=max(known) if is_whole else None,
    )
