"""Reference values of comparisons between groups against ours: measured variables and tables."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from reference_values import Case, Check, compared, compared_rows, number

from neoresponse.stats import (
    Significance,
    Summary,
    chi_square,
    expected_counts,
    fisher_odds_ratio,
    fisher_test,
    kruskal_wallis,
    mann_whitney,
    means_test,
    odds_ratio,
    standardized_difference,
    summary,
    t_test,
)

REL, FAR = 1e-10, 1e-5
"""Relative tolerance; and where values are far from zero for their spread."""
UNIROOT = 2.0**-13
"""R finds the odds ratio, or one over it where it is above 1, by `uniroot`, which stops at this
absolute error: R's number is right to that, ours to rounding."""


def continuous(case: Case, path: Path) -> Iterator[Check]:
    """Two groups of values: ranks, means, shape and spread."""
    groups = [np.array(case[key], dtype=float) for key in ("x", "y")]
    first, second = (summary(group) for group in groups)
    is_far = any(abs(one.mean) > 1e4 * one.sd for one in (first, second))
    rel = FAR if is_far else REL
    yield from _ranks(case, groups)
    for key, equal_spread in (("t_student", True), ("t_welch", False)):
        found = t_test(first, second, equal_spread=equal_spread)
        expected = case[key]
        yield compared(f"{key}.t", found.test.statistic, expected["t"], rel=rel)
        yield compared(f"{key}.df", found.test.degrees, expected["df"], rel=rel)
        yield compared(f"{key}.p", found.test.p_value, expected["p"], rel=rel)
        yield compared(f"{key}.ci_lo", found.difference.low, expected["ci_lo"], rel=rel)
        yield compared(f"{key}.ci_hi", found.difference.high, expected["ci_hi"], rel=rel)
    yield compared("smd", standardized_difference(first, second), case["smd"], rel=rel)
    for end, one, group in (("x", first, groups[0]), ("y", second, groups[1])):
        yield compared(f"n_{end}", one.num, case[f"n_{end}"])
        yield compared(f"median_{end}", float(np.median(group)), case[f"median_{end}"])
        if f"q_{end}" in case:
            quartiles = np.quantile(group, [0.25, 0.75])
            yield compared_rows(f"q_{end}", quartiles, case[f"q_{end}"], rel=REL)
        for key, ours in (("mean", one.mean), ("sd", one.sd)):
            if f"{key}_{end}" in case:
                yield compared(f"{key}_{end}", ours, case[f"{key}_{end}"], rel=rel)


def _ranks(case: Case, groups: list[np.ndarray]) -> Iterator[Check]:
    """Mann-Whitney in every way that the file has."""
    expected = case["mw"]
    first, second = groups
    yield compared("mw.W", mann_whitney(first, second).statistic, expected["W"])
    asked = [
        ("p_default", "default", "two-sided"),
        ("p_normal_cc", "corrected", "two-sided"),
        ("p_normal_nocc", "normal", "two-sided"),
        ("p_greater_cc", "corrected", "greater"),
        ("p_less_cc", "corrected", "less"),
    ]
    if number(expected["p_exact_no_ties"]) is not None:
        asked.append(("p_exact_no_ties", "exact", "two-sided"))
    for field, way, side in asked:
        ours = mann_whitney(first, second, way=way, side=side).p_value
        yield compared(f"mw.{field}", ours, expected[field], rel=REL)


def multigroup(case: Case, path: Path) -> Iterator[Check]:
    """Three or more groups of values."""
    groups = [np.array(group, dtype=float) for group in case["groups"].values()]
    for key, found in (
        ("anova", means_test(groups, equal_spread=True)),
        ("welch", means_test(groups)),
    ):
        yield compared(f"{key}_F", found.statistic, case[f"{key}_F"], rel=REL)
        yield compared(f"{key}_p", found.p_value, case[f"{key}_p"], rel=REL)
    ranks = kruskal_wallis(groups)
    yield compared("kruskal_H", ranks.statistic, case["kruskal_H"], rel=REL)
    yield compared("kruskal_p", ranks.p_value, case["kruskal_p"], rel=REL)


def from_summary(case: Case, path: Path) -> Iterator[Check]:
    """Two groups as a paper prints them."""
    first = Summary(case["mean1"], case["sd1"], case["n1"])
    second = Summary(case["mean2"], case["sd2"], case["n2"])
    for key, equal_spread in (("student", True), ("welch", False)):
        found = t_test(first, second, equal_spread=equal_spread).test
        yield compared(f"{key}_t", found.statistic, case[f"{key}_t"])
        yield compared(f"{key}_df", found.degrees, case[f"{key}_df"])
        yield compared(f"{key}_p", found.p_value, case[f"{key}_p"], rel=1e-11)


def contingency(case: Case, path: Path) -> Iterator[Check]:
    """A table of counts; a simulated reference P has no fixed value and is not compared."""
    table = np.array(case["table"])
    expected = expected_counts(table)
    yield compared("n", int(table.sum()), case["n"])
    yield compared("min_expected", float(expected.min()), case["min_expected"])
    yield compared("n_expected_lt5", int(np.sum(expected < 5)), case["n_expected_lt5"])
    tests: dict[str, Significance] = {"chisq": chi_square(table)}
    yield compared("df", tests["chisq"].degrees, case["df"])
    if "chisq_yates" in case:
        tests["chisq_yates"] = chi_square(table, corrected=True)
    names = {"chisq": "p_chisq", "chisq_yates": "p_yates"}
    for key, found in tests.items():
        # A statistic of zero is what rounding leaves of it.
        yield compared(key, found.statistic, case[key], rel=REL, at=1e-13)
        yield compared(names[key], found.p_value, case[names[key]], rel=REL, at=1e-300)
    yield compared("p_fisher", fisher_test(table).p_value, case["p_fisher"], rel=REL, at=1e-300)
    if "fisher_or" in case:
        found = fisher_odds_ratio(table)
        for field, ours in (
            ("fisher_or", found.value),
            ("fisher_ci_lo", found.low),
            ("fisher_ci_hi", found.high),
        ):
            yield _compared_root(field, ours, case[field])
        yield compared("or_sample", odds_ratio(table), case["or_sample"])


def _compared_root(field: str, ours: float | None, expected: float | str) -> Check:
    """Compare an odds ratio on the scale and to the tolerance on which R finds it."""
    wanted = number(expected)
    if ours is None or wanted is None or not (0 < ours < np.inf and 0 < wanted < np.inf):
        return compared(f"{field} (R's uniroot)", ours, expected)
    scales = (1 / ours, 1 / wanted) if wanted > 1 else (ours, wanted)
    return Check(f"{field} (absolute, R's uniroot)", abs(scales[0] - scales[1]), UNIROOT)
