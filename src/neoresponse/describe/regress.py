"""Table 2: what goes with pCR, one variable at a time and together; training patients alone.

In: a `CohortTable`. Out: a `RegressionTable`. The rules stand in docs/explanation/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy

from neoresponse.describe.model import FittedModel, Plan, complete, fit_model, repeated
from neoresponse.describe.variables import TRAIN, CohortTable, Variable
from neoresponse.errors import CohortError, ConfigError
from neoresponse.stats.groups import is_constant
from neoresponse.stats.significance import Significance

MIN_EVENTS_PER_VARIABLE = 10.0
PERFECT = (
    "tells the outcome of every patient, so it may be the outcome in other words; it does not "
    "enter the model of all."
)

COPY = (
    "follows exactly from the variables above it (a copy, or another unit), so it does not enter "
    "the model of all."
)


@dataclass(frozen=True)
class RegressionTable:
    """Univariable and multivariable logistic regression.

    Attributes:
        cohort: name of the cohort.
        fitted_on: part of the split, or all patients where there is none.
        p_limit: of the choice of variables.
        univariable: one model per variable that varies.
        selected: variables with a P below the limit by themselves.
        multivariable: of the selected ones; None where there are none, or no model of them.
        kept: variables with a P below the limit there.
        is_simulated: whether the patients come from a phantom.
        notes: who and what was left out, and how to read it.
    """

    cohort: str
    fitted_on: str
    p_limit: float
    univariable: tuple[FittedModel, ...]
    selected: tuple[str, ...]
    multivariable: FittedModel | None
    kept: tuple[str, ...]
    is_simulated: bool
    notes: tuple[str, ...]


def regress(table: CohortTable, plan: Plan | None = None) -> RegressionTable:
    """Fit every variable alone, choose, fit the chosen ones together.

    Args:
        table: patients; with a split, its training patients alone are looked at.
        plan: how to choose.

    Raises:
        CohortError: the training patients have one outcome alone.
        ConfigError: a reference is no level of its variable.
    """
    plan = plan or Plan()
    _check_plan(table, plan)
    training = _training_patients(table)
    univariable, notes = [], []
    for variable in training.variables:
        model = _model_or_reason(training, [variable], plan)
        if isinstance(model, str):
            notes.append(f"{variable.name}: left out, {model}.")
        else:
            univariable.append(model)
    selected = [
        model.variables[0].name
        for model in univariable
        if _is_below(model.variables[0].test, plan.p_limit)
    ]
    perfect = [model.variables[0].name for model in univariable if _is_perfect(model)]
    notes += [f"{name}: {PERFECT}" for name in perfect]
    entering = [name for name in selected if name not in perfect]
    copies = repeated(training, training.only(entering).variables, plan) if entering else []
    notes += [f"{name}: {COPY}" for name in copies]
    entering = [name for name in entering if name not in copies]
    multivariable = None
    if entering:
        model = _model_or_reason(training, training.only(entering).variables, plan)
        if isinstance(model, str):
            notes.append(f"No model of {', '.join(entering)} together: {model}.")
        else:
            multivariable = model
    kept = [
        one.name
        for one in (multivariable.variables if multivariable else ())
        if _is_below(one.test, plan.p_limit)
    ]
    return RegressionTable(
        cohort=table.name,
        fitted_on=TRAIN if table.part else "all patients",
        p_limit=plan.p_limit,
        univariable=tuple(univariable),
        selected=tuple(selected),
        multivariable=multivariable,
        kept=tuple(kept),
        is_simulated=table.is_simulated,
        notes=(*_reading_notes(table, multivariable), *notes, *table.notes),
    )


def _check_plan(table: CohortTable, plan: Plan) -> None:
    """References must be levels of variables."""
    if not 0 < plan.p_limit <= 1:
        raise ConfigError(
            f"p limit: expected a number above 0, at most 1, got {plan.p_limit!r}. Change it."
        )
    levels_of = {one.name: one.levels for one in table.variables if one.levels}
    for name, level in plan.references.items():
        if level not in levels_of.get(name, ()):
            allowed = list(levels_of.get(name, levels_of))
            raise ConfigError(
                f"reference of {name!r}: expected one of {allowed}, got {level!r}. "
                "Name a variable with levels, and one of them."
            )


def _training_patients(table: CohortTable) -> CohortTable:
    """The training patients alone, so that nothing below can see another one."""
    members = table.training
    if len(np.unique(table.label[members])) < 2:
        raise CohortError(
            f"{table.name}: expected training patients with and without pCR, got "
            f"{int(members.sum())} of one kind. Check the split and which value means pCR."
        )
    return CohortTable(
        name=table.name,
        label=table.label[members],
        variables=tuple(
            Variable(one.name, one.values[members], one.is_known[members], one.levels)
            for one in table.variables
        ),
    )


def _varies(table: CohortTable, variables: Sequence[Variable]) -> bool:
    """Whether patients of both outcomes are left, and every variable differs among them."""
    is_used = complete(table, variables)
    has_both = len(np.unique(table.label[is_used])) == 2
    return has_both and not any(is_constant(one.values[is_used]) for one in variables)


def _model_or_reason(
    table: CohortTable, variables: Sequence[Variable], plan: Plan
) -> FittedModel | str:
    """A model, or why there is none."""
    if not _varies(table, variables):
        return "patients without missing values have only one outcome, or a variable is constant"
    try:
        return fit_model(table, variables, plan)
    except ValueError:
        return "Newton's method did not reach the maximum of its likelihood"


def _is_perfect(model: FittedModel) -> bool:
    """Whether a variable by itself tells the outcome of every patient."""
    statistic = model.variables[0].test.statistic
    share = model.num_events / model.num_patients
    null_deviance = (
        -2 * model.num_patients * float(xlogy(share, share) + xlog1py(1 - share, -share))
    )
    return statistic is not None and statistic > null_deviance - 1e-6


def _is_below(test: Significance, limit: float) -> bool:
    """Whether a P value exists and is below."""
    return test.p_value is not None and test.p_value < limit


def _reading_notes(table: CohortTable, model: FittedModel | None) -> list[str]:
    """How to read the table."""
    notes = []
    if not table.part:
        notes.append(
            "No split: the variables were chosen on all patients, so the performance of a model "
            "with these variables on the same patients is optimistic."
        )
    notes.append(
        "P values and CIs of the multivariable model ignore that its variables were chosen by "
        "their P values on the same patients: the P values are too small and the CIs too narrow."
    )
    events = model.events_per_variable if model else None
    if events is not None and events < MIN_EVENTS_PER_VARIABLE:
        notes.append(
            f"{events:.1f} events per variable, fewer than {MIN_EVENTS_PER_VARIABLE:g}: the "
            "coefficients are unstable."
        )
    return notes
