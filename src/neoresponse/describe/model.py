"""One logistic regression of patients: odds ratios with two intervals, and a P per variable.

In: patients and variables. Out: a `FittedModel`. Which variables enter is decided in `regress.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from neoresponse.describe.variables import CohortTable, Mask, Variable
from neoresponse.errors import CohortError
from neoresponse.stats import (
    LogisticModel,
    Term,
    firth_model,
    logistic_model,
    nested_models_test,
    odds_ratio_of,
)
from neoresponse.stats.separation import independent_columns
from neoresponse.stats.significance import Significance
from neoresponse.types import Estimate, FloatArray, IntArray

P_LIMIT = 0.05
LEAST_SD, MOST_SD = 0.1, 1000.0
"""Of a number; outside these limits its odds ratio is per standard deviation, not per unit."""
MAX_LOG_ODDS = 300.0
PLAIN, FIRTH = "maximum likelihood", "Firth's penalty"
ALIASED = "not estimable: follows from the variables above"


@dataclass(frozen=True)
class Plan:
    """How the variables are chosen; stated before the data are seen.

    Attributes:
        p_limit: a variable whose P alone is below enters the model of all; one whose P there is
            below is kept.
        references: variable -> level that the others are compared with; the most frequent one of
            the training patients where none is named.
        confidence: coverage of the intervals.
    """

    p_limit: float = P_LIMIT
    references: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 0.95


@dataclass(frozen=True)
class Effect:
    """One level against the reference level, or a number per unit.

    Attributes:
        level: empty for a number.
        num_patients: training patients of the model at this level; all of them for a number.
        num_events: those of them with pCR.
        wald: odds ratio with Wald's interval.
        profile: odds ratio with the interval by profile likelihood.
        p_wald: two-sided P from the normal distribution, or None.
        p_profile: P of the likelihood ratio test of this effect alone, or None.
        per: step of a number that the odds ratio is for, in its unit.
        is_reference: whether this is the level that the others are compared with.
    """

    level: str
    num_patients: int
    num_events: int
    wald: Estimate
    profile: Estimate
    p_wald: float | None
    p_profile: float | None
    per: float = 1.0
    is_reference: bool = False


@dataclass(frozen=True)
class VariableEffects:
    """One variable in one model.

    Attributes:
        name: of the variable.
        effects: one per level, or one for a number.
        test: likelihood ratio test that the whole variable adds nothing.
    """

    name: str
    effects: tuple[Effect, ...]
    test: Significance


@dataclass(frozen=True)
class FittedModel:
    """A logistic regression on the training patients of whom all its variables are known.

    Attributes:
        variables: in the order of the table.
        num_patients: patients fitted.
        num_events: those of them with pCR.
        num_left_out: training patients left out because a value is missing.
        events_per_variable: patients of the rarer outcome per coefficient, or None.
        method: maximum likelihood; Firth's penalty where levels separate the outcomes.
    """

    variables: tuple[VariableEffects, ...]
    num_patients: int
    num_events: int
    num_left_out: int
    events_per_variable: float | None
    method: str


def fit_model(table: CohortTable, variables: Sequence[Variable], plan: Plan) -> FittedModel:
    """One logistic regression on the patients of whom every variable is known.

    Args:
        table: the patients to fit.
        variables: its terms; where one follows from those before it, it has no effect of its own.
        plan: references and coverage.

    Raises:
        CohortError: the patients left have one outcome alone.
    """
    is_used = complete(table, variables)
    label = table.label[is_used]
    if len(np.unique(label)) < 2:
        raise CohortError(
            f"{', '.join(one.name for one in variables)}: expected patients with and without pCR "
            "and without missing values, got only one outcome. Leave a variable out."
        )
    blocks = [_block(one, is_used, plan.references.get(one.name)) for one in variables]
    columns = [column for block in blocks for column in block.columns]
    design = np.column_stack([np.ones(len(label)), *(column.values for column in columns)])
    used = independent_columns(design)
    model, method = _fitted(design[:, used], label, plan)
    terms = dict(zip(used, model.terms, strict=True))
    found, place = [], 1
    for block in blocks:
        own = range(place, place + len(block.columns))
        others = [index for index in range(design.shape[1]) if index not in own]
        found.append(
            VariableEffects(
                name=block.name,
                effects=_effects(block, label, [terms.get(index) for index in own]),
                test=nested_models_test(design, design[:, others], label),
            )
        )
        place += len(block.columns)
    return FittedModel(
        variables=tuple(found),
        num_patients=len(label),
        num_events=int(label.sum()),
        num_left_out=int((~is_used).sum()),
        events_per_variable=model.events_per_variable,
        method=method,
    )


def repeated(table: CohortTable, variables: Sequence[Variable], plan: Plan) -> list[str]:
    """Names of variables that say nothing new after those before them, such as a copy.

    Args:
        table: the patients to fit.
        variables: in the order in which they enter; the first of two copies stays.
        plan: references.
    """
    is_used = complete(table, variables)
    design, found = np.ones((int(is_used.sum()), 1)), []
    for one in variables:
        block = _block(one, is_used, plan.references.get(one.name))
        larger = np.column_stack([design, *(column.values for column in block.columns)])
        if len(independent_columns(larger)) == len(independent_columns(design)):
            found.append(one.name)
        else:
            design = larger
    return found


def complete(table: CohortTable, variables: Sequence[Variable]) -> Mask:
    """Patients of whom every variable is known, shape (patients,)."""
    return np.asarray(np.all([one.is_known for one in variables], axis=0))


@dataclass(frozen=True)
class _Column:
    """One column of the design; its level is empty for a number."""

    level: str
    values: FloatArray


@dataclass(frozen=True)
class _Block:
    """The columns of one variable, the level that they leave out, the step of a number."""

    name: str
    columns: tuple[_Column, ...]
    reference: _Column | None = None
    per: float = 1.0


def _block(variable: Variable, is_used: Mask, reference: str | None) -> _Block:
    """Columns of one variable: a number as it is, levels as one column each but the reference."""
    values = variable.values[is_used]
    if not variable.levels:
        per = _step(variable)
        # Centred, so that a large offset costs no digits; odds ratios do not depend on it.
        return _Block(variable.name, (_Column("", (values - values.mean()) / per),), per=per)
    counts = np.bincount(values.astype(np.int64), minlength=len(variable.levels))
    left_out = variable.levels.index(reference) if reference else int(np.argmax(counts))
    if not counts[left_out]:
        left_out = int(np.argmax(counts))
    columns = [
        _Column(level, (values == place).astype(np.float64))
        for place, level in enumerate(variable.levels)
    ]
    present = [place for place in range(len(columns)) if counts[place] and place != left_out]
    return _Block(variable.name, tuple(columns[p] for p in present), columns[left_out])


def _step(variable: Variable) -> float:
    """The step of a number that an odds ratio is for: one unit, or one standard deviation."""
    spread = float(np.std(variable.values[variable.is_known], ddof=1))
    return 1.0 if LEAST_SD <= spread <= MOST_SD else spread


def _fitted(design: FloatArray, label: IntArray, plan: Plan) -> tuple[LogisticModel, str]:
    """The plain model, or Firth's where a maximum is infinite."""
    model = logistic_model(design, label, confidence=plan.confidence)
    if all(term.wald.value is not None for term in model.terms):
        return model, PLAIN
    return firth_model(design, label, confidence=plan.confidence), FIRTH


def _effects(block: _Block, label: IntArray, terms: Sequence[Term | None]) -> tuple[Effect, ...]:
    """Odds ratios of one variable, the reference level first."""
    effects = []
    if block.reference is not None:
        members = block.reference.values == 1
        nothing = Estimate(1.0, None, None, len(label), "reference")
        size = int(members.sum()), int(label[members].sum())
        level = block.reference.level
        effects.append(Effect(level, *size, nothing, nothing, None, None, is_reference=True))
    for column, term in zip(block.columns, terms, strict=True):
        members = column.values == 1 if column.level else np.ones(len(label), dtype=bool)
        size = int(members.sum()), int(label[members].sum())
        if term is None:
            nothing = Estimate(None, None, None, len(label), "none", note=ALIASED)
            effects.append(Effect(column.level, *size, nothing, nothing, None, None))
            continue
        ratios = _odds_ratio(term.wald), _odds_ratio(term.profile)
        p_values = term.p_wald, term.p_profile
        effects.append(Effect(column.level, *size, *ratios, *p_values, per=block.per))
    return tuple(effects)


def _odds_ratio(coefficient: Estimate) -> Estimate:
    """The odds ratio of a coefficient; an end too far away for a number is no end."""
    low, high = (
        None if end is None or abs(end) > MAX_LOG_ODDS else end
        for end in (coefficient.low, coefficient.high)
    )
    return odds_ratio_of(replace(coefficient, low=low, high=high))
