"""Reference values of counts and P values against ours: proportions, rates, McNemar, adjustment."""

from collections.abc import Iterator
from pathlib import Path

from reference_values import Case, Check, compared, compared_rows, number

from neoresponse.stats import (
    Confusion,
    adjust_p_values,
    count_measures,
    mcnemar_tests,
    proportion_interval,
)

METHODS = {
    "wilson": "Wilson",
    "wilson_cc": "Wilson, corrected",
    "cp": "Clopper-Pearson",
    "wald": "Wald",
    "jeffreys": "Jeffreys",
    "agresti_coull": "Agresti-Coull",
}
MEASURES = {
    "balanced_acc": "balanced_accuracy",
    "youden": "youden",
    "f1": "f1",
    "mcc": "mcc",
    "kappa": "kappa",
    "lr_pos": "lr_positive",
    "lr_neg": "lr_negative",
    "dor": "odds_ratio",
}
RATES = ("acc", "sens", "spec", "ppv", "npv")


def proportion(case: Case, path: Path) -> Iterator[Check]:
    """One proportion with every interval that the file has; ours are cut at 0 and 1."""
    confidence = case.get("conf_level", 0.95)
    for key, method in METHODS.items():
        if f"{key}_lo" not in case:
            continue
        found = proportion_interval(case["x"], case["n"], method=method, confidence=confidence)
        for side, ours in (("lo", found.low), ("hi", found.high)):
            expected = number(case[f"{key}_{side}"])
            cut = "NA" if expected is None else min(1.0, max(0.0, expected))
            yield compared(f"{key}_{side}", ours, cut)
        if "estimate" in case:
            yield compared("estimate", found.value, case["estimate"])


def confused(case: Case, path: Path) -> Iterator[Check]:
    """Four counts: five rates with their intervals, then the other measures."""
    counts = Confusion(case["tp"], case["fp"], case["fn"], case["tn"])
    pairs = {
        "acc": (counts.tp + counts.tn, counts.num_patients),
        "sens": (counts.tp, counts.tp + counts.fn),
        "spec": (counts.tn, counts.tn + counts.fp),
        "ppv": (counts.tp, counts.tp + counts.fp),
        "npv": (counts.tn, counts.tn + counts.fn),
    }
    for rate in RATES:
        yield compared(f"{rate}.x", pairs[rate][0], case[rate]["x"])
        yield compared(f"{rate}.n", pairs[rate][1], case[rate]["n"])
        for check in proportion(case[rate], path):
            yield Check(f"{rate}.{check.field}", check.error, check.tolerance)
    found = count_measures(counts)
    for field, name in MEASURES.items():
        yield compared(field, found[name], case[field], rel=1e-12, at=1e-14)


def mcnemar(case: Case, path: Path) -> Iterator[Check]:
    """Exact, mid-P, and chi-square with and without correction."""
    cells = case["table"]
    found = mcnemar_tests(cells["only_a_correct"], cells["only_b_correct"])
    fields = {
        "chisq_cc": found["corrected"].statistic,
        "p_cc": found["corrected"].p_value,
        "chisq": found["chi-square"].statistic,
        "p": found["chi-square"].p_value,
        "p_exact": found["exact"].p_value,
        "p_midp": found["mid-P"].p_value,
    }
    for field, ours in fields.items():
        yield compared(field, ours, case[field], rel=1e-11)


def adjusted(case: Case, path: Path) -> Iterator[Check]:
    """Our adjustments of one set of P values."""
    for method in ("holm", "bh", "by"):
        found = adjust_p_values(case["p"], method=method)
        yield compared_rows(method, found, case[method], at=1e-14)
