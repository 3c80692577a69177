"""Reference values of logistic regression against ours, plain and with Firth's penalty."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from reference_values import (
    Case,
    Check,
    Numbers,
    Table,
    UnknownFileError,
    column,
    compared,
    compared_rows,
    find_table,
    number,
)

from neoresponse.stats import (
    LogisticModel,
    Term,
    auc,
    brier_score,
    firth_model,
    logistic_model,
    logistic_probability,
    nested_models_test,
)

REL, PROFILE, SEPARATED = 1e-9, 1e-7, 1e-5
FIRTH, FIRTH_ENDS = 1e-8, 1e-6
EQUALS = re.compile(r'I\((\w+) == "(.*)"\)')


@dataclass(frozen=True)
class Formula:
    """A model of R.

    Attributes:
        outcome: name of the column of labels.
        variables: names on the right-hand side.
    """

    outcome: str
    variables: tuple[str, ...]


def plain(case: Case, path: Path) -> Iterator[Check]:
    """One model of R's `glm`: every number of the file."""
    table = find_table(path, case["data"])
    formula = _formula(case["formula"])
    label = column(table, formula.outcome)
    names = [term["term"] for term in case["terms"]]
    design = _design(table, names, formula)
    model = logistic_model(design, label)
    lost = set(case["separated_terms"])
    rel = SEPARATED if lost else REL
    for field, ours in (
        ("n", model.num_patients),
        ("events", model.num_events),
        ("deviance", model.deviance),
        ("null_deviance", -2 * model.null_log_likelihood),
        ("loglik", model.log_likelihood),
        ("aic", model.aic),
        ("bic", model.bic),
        ("nagelkerke_r2", model.nagelkerke_r2),
        ("mcfadden_r2", model.mcfadden_r2),
    ):
        # A share near zero is a difference of two numbers near one.
        yield compared(field, ours, case[field], rel=rel, at=1e-13)
    for term, expected in zip(model.terms, case["terms"], strict=True):
        if expected["term"] in lost:
            yield from _finite_end(term, expected)
        else:
            yield from _term(term, expected, rel)
    finite = [index for index, name in enumerate(names) if name not in lost]
    block = np.ix_(finite, finite)
    covariance = np.array(case["vcov"], dtype=float)[block]
    yield compared_rows("vcov", model.covariance[block], covariance, rel=rel, at=1e-14)
    yield from _left_out(case, table, formula)
    if not lost:
        yield from _fitted(case, design, label, model)


def firth(case: Case, path: Path) -> Iterator[Check]:
    """One model of R's `logistf`: every number of the file that describes the fit."""
    table = find_table(path, case["data"])
    formula = _formula(case["formula"])
    names = [term["term"] for term in case["terms"]]
    model = firth_model(_design(table, names, formula), column(table, formula.outcome))
    yield compared("n", model.num_patients, case["n"])
    yield compared(
        "penalized_loglik_full", model.log_likelihood, case["penalized_loglik_full"], rel=REL
    )
    for term, expected in zip(model.terms, case["terms"], strict=True):
        value = term.wald.value
        assert value is not None
        yield compared("beta", value, expected["beta"], rel=FIRTH)
        yield compared("beta_brglm2", value, expected["beta_brglm2"], rel=FIRTH)
        yield compared("se", term.error, expected["se"], rel=FIRTH)
        yield compared("or", float(np.exp(value)), expected["or"], rel=FIRTH)
        yield compared("pl_beta_lo", term.profile.low, expected["pl_beta_lo"], rel=FIRTH_ENDS)
        yield compared("pl_beta_hi", term.profile.high, expected["pl_beta_hi"], rel=FIRTH_ENDS)
        yield compared("p_pl", term.p_profile, expected["p_pl"], rel=FIRTH_ENDS, at=1e-14)


def _term(term: Term, expected: Case, rel: float) -> Iterator[Check]:
    """A term with a finite maximum."""
    value, error, wald = term.wald.value, term.error, term.wald
    assert value is not None
    assert error is not None
    assert wald.low is not None
    assert wald.high is not None
    # A z near zero keeps the error of its coefficient in units of its standard error.
    for field, ours, at in (
        ("beta", value, 1e-11 * error),
        ("se", error, 0.0),
        ("z", value / error, 1e-11),
        ("p_wald", term.p_wald, 0.0),
        ("or", float(np.exp(value)), 0.0),
        ("or_wald_lo", float(np.exp(wald.low)), 0.0),
        ("or_wald_hi", float(np.exp(wald.high)), 0.0),
    ):
        yield compared(field, ours, expected[field], rel=rel, at=at)
    for side, end in (("lo", term.profile.low), ("hi", term.profile.high)):
        field = f"or_profile_exact_{side}"
        if number(expected[field]) is not None:
            ours = None if end is None else float(np.exp(end))
            yield compared(field, ours, expected[field], rel=max(rel, PROFILE))


def _finite_end(term: Term, expected: Case) -> Iterator[Check]:
    """A term whose maximum is infinite: no value of ours, but the end that is finite."""
    yield compared("beta (none of ours)", term.wald.value, "NA")
    side, end = ("hi", term.profile.high) if expected["beta"] < 0 else ("lo", term.profile.low)
    ours = None if end is None else float(np.exp(end))
    yield compared(
        f"or_profile_exact_{side}", ours, expected[f"or_profile_exact_{side}"], rel=SEPARATED
    )


def _left_out(case: Case, table: Table, formula: Formula) -> Iterator[Check]:
    """Likelihood ratio test of each variable, collinear ones among them."""
    label = column(table, formula.outcome)
    names = [term["term"] for term in case["terms"]] + case["aliased_terms"]
    rel = SEPARATED if case["separated_terms"] else REL
    for expected in case["lrt_per_variable"]:
        variable = expected["variable"]
        rest = [name for name in names if _variable(name, formula) != variable]
        if variable not in formula.variables:
            raise UnknownFileError(f"expected a variable of the formula, got {variable!r}")
        larger, smaller = (_design(table, part, formula) for part in (names, rest))
        found = nested_models_test(larger, smaller, label)
        yield compared(f"LRT {variable}", found.statistic, expected["LRT"], rel=rel, at=1e-9)
        yield compared(f"LRT df {variable}", found.degrees, expected["df"])
        yield compared(f"LRT p {variable}", found.p_value, expected["p"], rel=max(rel, 1e-7))


def _fitted(case: Case, design: Numbers, label: Numbers, model: LogisticModel) -> Iterator[Check]:
    """Fitted probabilities, their AUC and their Brier score."""
    fitted = logistic_probability(design, [term.wald.value or 0.0 for term in model.terms])
    yield compared_rows("first5_fitted", fitted[:5], case["first5_fitted"], rel=REL)
    # Patients alike in all variables are tied in R as well, but for its rounding.
    yield compared("auc", auc(label, np.round(fitted, 12)), case["auc"], rel=REL)
    yield compared("brier", brier_score(label, fitted), case["brier"], rel=REL)


def _formula(text: str) -> Formula:
    """Read `outcome ~ variable + variable`."""
    outcome, _, rest = text.partition("~")
    return Formula(outcome.strip(), tuple(name.strip() for name in rest.split(" + ")))


def _variable(term: str, formula: Formula) -> str:
    """The variable that a term belongs to: the longest one that it starts with."""
    names = [name for name in formula.variables if term.startswith(name)]
    return max(names, key=len, default="")


def _design(table: Table, names: list[str], formula: Formula) -> Numbers:
    """Columns of a design matrix by R's names of terms."""
    num = len(table[formula.outcome])
    return np.column_stack([_column(table, name, formula, num) for name in names])


def _column(table: Table, term: str, formula: Formula, num: int) -> Numbers:
    """Ones, a number, or an indicator of a level, which R writes behind the variable's name."""
    if term == "(Intercept)":
        return np.ones(num)
    variable = _variable(term, formula)
    level = term.removeprefix(variable)
    if match := EQUALS.fullmatch(variable):
        return np.array([float(text == match[2]) for text in table[match[1]]])
    if not level:
        return column(table, variable)
    return np.array([float(text == level) for text in table[variable]])
