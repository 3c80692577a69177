"""Whether a run does as well in every subgroup: AUC by level, and a test that they are equal.

In: a run's patients and their characteristics. Out: one row per variable. Nothing is fitted.
"""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from neoresponse.cohort.dictionary import CLINICAL, Levels
from neoresponse.contracts.characteristics import VARIABLES, Characteristics
from neoresponse.contracts.groups import Group, main_cohort
from neoresponse.contracts.metrics import Level, SubgroupRow, Test
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import adjust_p_values, auc_interval, heterogeneity_test

MAX_LEVELS = 12
"""A variable with more levels, such as a name per patient, makes no subgroups."""


def subgroups(
    groups: Mapping[str, Mapping[str, Group]],
    characteristics: Characteristics,
    settings: EvaluateSettings,
) -> tuple[SubgroupRow, ...]:
    """AUC in each subgroup of the cohort that a study is judged by, for every run.

    Args:
        groups: name of a run -> its groups.
        characteristics: of the patients; a variable that nobody has gives no row.
        settings: coverage, and where Ki-67 is cut.

    Returns:
        One row per run and variable with at least two levels: per level n, pCR, the AUC with its
        interval, and Cochran's Q that the levels have one AUC, P adjusted by Holm over the
        variables of a run.
    """
    rows: list[SubgroupRow] = []
    for run, found in groups.items():
        cohort = main_cohort(list(found))
        if cohort is None:
            continue
        of_run = (
            _variable(found[cohort], (run, cohort, name), characteristics, settings)
            for name in VARIABLES
        )
        rows += _adjusted([row for row in of_run if row is not None])
    return tuple(rows)


def _variable(
    group: Group,
    place: tuple[str, str, str],
    characteristics: Characteristics,
    settings: EvaluateSettings,
) -> SubgroupRow | None:
    """One variable of one run; None where it has fewer than two levels, or too many."""
    run, cohort, name = place
    words = [
        _level(name, characteristics.get(patient_id, {}).get(name), settings)
        for patient_id in group.patient_id
    ]
    levels = _in_order(name, {word for word in words if word is not None}, settings)
    if not 2 <= len(levels) <= MAX_LEVELS:
        return None
    members = {level: np.array([word == level for word in words]) for level in levels}
    patients = {
        level: (group.label[is_in], group.probability[is_in]) for level, is_in in members.items()
    }
    return SubgroupRow(
        run=run,
        cohort=cohort,
        variable=name,
        num_unknown=words.count(None),
        interaction=Test(**asdict(heterogeneity_test(list(patients.values())))),
        levels=tuple(
            Level(
                level=level,
                num_patients=len(label),
                num_pcr=int(label.sum()),
                auc=auc_interval(label, values, confidence=settings.confidence),
            )
            for level, (label, values) in patients.items()
        ),
    )


def _level(name: str, value: str | None, settings: EvaluateSettings) -> str | None:
    """The subgroup that a value belongs to; a number by its cut."""
    if value is None or name != "ki67_percent":
        return value
    below, above = _ki67_levels(settings)
    return below if float(value) < settings.ki67_cut_percent else above


def _ki67_levels(settings: EvaluateSettings) -> tuple[str, str]:
    """Both subgroups of Ki-67."""
    return f"< {settings.ki67_cut_percent:g} %", f"≥ {settings.ki67_cut_percent:g} %"


def _in_order(name: str, found: set[str], settings: EvaluateSettings) -> list[str]:
    """Levels as the dictionary orders them; names of machines and centres by the alphabet."""
    kind = CLINICAL.get(name)
    words = kind.words if isinstance(kind, Levels) else _ki67_levels(settings)
    known = [word for word in words if word in found]
    return [*known, *sorted(found - set(known))]


def _adjusted(rows: list[SubgroupRow]) -> list[SubgroupRow]:
    """P values of the variables of one run, adjusted by Holm."""
    values = [row.interaction.p_value for row in rows]
    known = adjust_p_values([value for value in values if value is not None]).tolist()
    return [
        row.model_copy(update={"p_adjusted": None if value is None else known.pop(0)})
        for row, value in zip(rows, values, strict=True)
    ]
