"""A `RegressionTable` as rows of text."""

from neoresponse.describe.grid import (
    NONE,
    Grid,
    interval_text,
    number_text,
    p_text,
    percent_text,
)
from neoresponse.describe.model import (
    FIRTH,
    Effect,
    FittedModel,
    VariableEffects,
)
from neoresponse.describe.regress import RegressionTable

HEADER = (
    *("variable", "pCR / n", "OR (95% CI, Wald)", "profile 95% CI", "P", "P (variable)"),
    "method",
)


def grids_of_regression(table: RegressionTable) -> list[Grid]:
    """The univariable models as one table, the multivariable model as another."""
    where = f"{table.cohort}, {table.fitted_on}"
    rows = [row for model in table.univariable for row in _rows(model.variables[0], model)]
    together = table.multivariable
    chosen = ", ".join(table.selected) or "none"
    alone = Grid(
        title=f"Univariable logistic regression: {where}",
        header=HEADER,
        rows=tuple(rows),
        notes=(
            "OR above 1: more pCR; of a number per unit, of a level against its reference (ref). "
            "P: Wald's test of one effect, with Firth's penalty its likelihood ratio test. "
            "P (variable): likelihood ratio test of all its levels together.",
            f"Selected with P below {table.p_limit:g}: {chosen}.",
            *(() if together else table.notes),
        ),
        is_simulated=table.is_simulated,
    )
    if together is None:
        return [alone]
    notes = (
        f"{together.num_patients} patients, {together.num_events} with pCR; "
        f"{together.num_left_out} left out because a value is missing; "
        f"{number_text(together.events_per_variable, 1)} patients of the rarer outcome per "
        f"coefficient; {together.method}.",
        f"Kept with P below {table.p_limit:g}: {', '.join(table.kept) or 'none'}.",
        *_notes_of(together),
        *table.notes,
    )
    return [
        alone,
        Grid(
            title=f"Multivariable logistic regression: {where}",
            header=HEADER,
            rows=tuple(row for one in together.variables for row in _rows(one, together)),
            notes=notes,
            is_simulated=table.is_simulated,
        ),
    ]


def _rows(one: VariableEffects, model: FittedModel) -> list[tuple[str, ...]]:
    """The lines of one variable."""
    is_firth = model.method == FIRTH
    p_value, method = p_text(one.test.p_value), "Firth" if is_firth else "ML"
    if not one.effects[0].level:
        effect = one.effects[0]
        step = "unit" if effect.per == 1 else f"{effect.per:.3g} (1 SD)"
        return [(f"{one.name}, per {step}", *_cells(effect, is_firth=is_firth), p_value, method)]
    rows: list[tuple[str, ...]] = [(one.name, "", "", "", "", p_value, method)]
    rows += [
        (f"  {effect.level}", *_cells(effect, is_firth=is_firth), "", "") for effect in one.effects
    ]
    return rows


def _cells(effect: Effect, *, is_firth: bool) -> tuple[str, ...]:
    """Counts, odds ratio, intervals and P of one effect."""
    counts = percent_text(effect.num_events, effect.num_patients).replace(
        " (", f" / {effect.num_patients} ("
    )
    if effect.is_reference:
        return counts, "1 (ref)", "", ""
    decimals = 3 if not effect.level else 2
    if effect.wald.value is None:
        return counts, NONE, NONE, NONE
    ends = [
        "no end" if end is None else number_text(end, decimals)
        for end in (effect.profile.low, effect.profile.high)
    ]
    return (
        counts,
        interval_text(effect.wald, decimals),
        " to ".join(ends),
        p_text(effect.p_profile if is_firth else effect.p_wald),
    )


def _notes_of(model: FittedModel) -> list[str]:
    """What effects say besides their numbers."""
    found = [
        f"{one.name} {effect.level}: {effect.wald.note}."
        for one in model.variables
        for effect in one.effects
        if effect.wald.note
    ]
    if model.method == FIRTH:
        found.append(
            "A combination of levels separates the outcomes, so its plain odds ratio is infinite: "
            "all odds ratios of this model carry Firth's penalty."
        )
    return found
