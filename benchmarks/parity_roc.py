"""Reference values of ROC analysis against ours: AUC, DeLong, curves, cuts, bootstrap."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from reference_values import (
    Case,
    Check,
    Numbers,
    Table,
    all_compared,
    column,
    compared,
    compared_rows,
    find_table,
    number,
)

from neoresponse.stats import (
    Bootstrap,
    bootstrap_auc,
    confusion,
    corner_threshold,
    delong_covariance,
    delong_interval,
    delong_variance,
    equal_aucs_test,
    hanley_mcneil_error,
    paired_delong,
    placements,
    rates,
    roc_curve,
    sensitivity_threshold,
    unpaired_delong,
    youden_threshold,
)

Data = tuple[Numbers, Numbers]


@lru_cache(maxsize=32)
def table(path: Path, name: str) -> Table:
    """A table, kept: many cases name the same one."""
    return find_table(path, name)


def data(path: Path, case: Case, *, end: str = "", score: str = "score") -> Data:
    """Labels and probabilities of a case."""
    found = table(path, case[f"dataset{end}"])
    return column(found, "label"), column(found, case[f"{score}{end}"])


def single(case: Case, path: Path) -> Iterator[Check]:
    """One AUC with its variance and intervals; where R prints a variance of 0, we print none."""
    label, values = data(path, case)
    placed = placements(label, values)
    variance = delong_variance(placed)
    num_pcr, num_residual = len(placed.doubled_positive), len(placed.doubled_negative)
    yield from all_compared(
        {
            "n": label.size,
            "n_pos": num_pcr,
            "n_neg": num_residual,
            "n_unique_scores": np.unique(values).size,
            "auc": placed.auc,
            "delong_var": variance,
            "delong_se": None if variance is None else variance**0.5,
            "mann_whitney_U": placed.doubled_positive.sum() / 2,
            "hanley_mcneil_se": hanley_mcneil_error(placed.auc or 0.0, num_pcr, num_residual),
        },
        case,
    )
    # R cuts at 0 and 1; of the interval that is not cut we compare what lies inside.
    for key, confidence, scale in (
        ("ci95", 0.95, "plain"),
        ("ci90", 0.90, "plain"),
        ("ci95_untruncated", 0.95, "plain"),
        ("ci95_logit", 0.95, "logit"),
    ):
        estimate = delong_interval(label, values, confidence=confidence, scale=scale)
        for side, ours in (("lo", estimate.low), ("hi", estimate.high)):
            expected = number(case[f"{key}_{side}"])
            if not variance:
                yield compared(f"{key}_{side} (none of ours)", ours, "NA")
            else:
                yield compared(f"{key}_{side}", ours, min(1.0, max(0.0, expected or 0.0)))


def placed(case: Case, path: Path) -> Iterator[Check]:
    """Placements in file order."""
    found = placements(*data(path, case))
    pcr, residual = case["V10_positives_in_file_order"], case["V01_negatives_in_file_order"]
    yield compared_rows("V10_positives_in_file_order", found.positive, pcr, at=1e-15)
    yield compared_rows("V01_negatives_in_file_order", found.negative, residual, at=1e-15)


def curves(case: Case, path: Path) -> Iterator[Check]:
    """Sensitivity and specificity at every cut, from "everybody" to "nobody", exactly."""
    curve = roc_curve(*data(path, case))
    num_residual = curve.num_false_positive[-1]
    specificity = (num_residual - curve.num_false_positive) / num_residual
    yield compared_rows("sens", curve.true_positive_rate[::-1], case["sens"])
    yield compared_rows("spec", specificity[::-1], case["spec"])
    rising = curve.threshold[:0:-1]
    middle = [-np.inf, *((rising[1:] + rising[:-1]) / 2), np.inf]
    expected = [number(cut) for cut in case["thresholds_pROC"]]
    # A mid-point may round either way.
    yield compared_rows("thresholds_pROC", middle, np.array(expected), rel=1e-15, at=1e-300)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    yield compared("auc", float(area), case["auc"])


def paired(case: Case, path: Path) -> Iterator[Check]:
    """Two AUCs of the same patients; where R's variance is 0, we give no P value."""
    label, first = data(path, case, score="a")
    second = data(path, case, score="b")[1]
    found = paired_delong(label, first, second)
    covariance = delong_covariance(label, np.stack([first, second]))
    yield from all_compared(
        {
            "auc_a": placements(label, first).auc,
            "auc_b": placements(label, second).auc,
            "diff": found.difference.value,
        },
        case,
    )
    yield compared("cov", None if covariance is None else covariance[0, 1], case["cov"], rel=1e-9)
    ours = {
        "z": found.z,
        "p_two": found.p_value,
        "p_less": found.p_less,
        "p_greater": found.p_greater,
        "diff_ci95_lo": found.difference.low,
        "diff_ci95_hi": found.difference.high,
    }
    is_degenerate = number(case["diff_ci95_lo"]) == number(case["diff_ci95_hi"])
    for field, value in ours.items():
        if is_degenerate:
            yield compared(f"{field} (none of ours)", value, "NA")
        else:
            rel = 1e-9 if field.startswith("p_") else 1e-11
            yield compared(field, value, case[field], rel=rel, at=1e-14)


def covariance(case: Case, path: Path) -> Iterator[Check]:
    """Covariance of all AUCs of a table, and the test that they are equal."""
    found = table(path, case["dataset"])
    label = column(found, "label")
    rows = np.stack([column(found, name) for name in case["scores"]])
    yield compared_rows("auc", [placements(label, row).auc for row in rows], case["auc"], rel=1e-12)
    ours = delong_covariance(label, rows)
    if ours is None:
        is_none = all(number(value) is None for row in case["cov"] for value in np.atleast_1d(row))
        yield compared("cov (none of ours)", None, "NA" if is_none else 0.0)
    else:
        yield compared_rows("cov", ours, np.array(case["cov"], dtype=float), at=1e-15)
    test = equal_aucs_test(label, rows)
    expected = case["global_test"] or {"chisq": "NA", "df": "NA", "p": "NA"}
    yield compared("global_test.chisq", test.statistic, expected["chisq"], rel=1e-9, at=1e-12)
    yield compared("global_test.df", test.degrees, expected["df"])
    yield compared("global_test.p", test.p_value, expected["p"], rel=1e-8)


def unpaired(case: Case, path: Path) -> Iterator[Check]:
    """Two AUCs of different patients, Student's and normal P."""
    groups = [data(path, case, end=end) for end in ("_a", "_b")]
    found = unpaired_delong(*groups)
    normal = None if found.z is None else type(found)(found.difference, found.z, None)
    two_sided = None if normal is None else 2 * min(normal.p_less or 0, normal.p_greater or 0)
    for end, group in zip("ab", groups, strict=True):
        yield compared(f"auc_{end}", placements(*group).auc, case[f"auc_{end}"])
    for field, value in (("D", found.z), ("df", found.degrees), ("z_normal", found.z)):
        yield compared(field, value, case[field], rel=1e-11)
    for field, value in (
        ("p_t", found.p_value),
        ("p_less", found.p_less),
        ("p_normal", two_sided),
    ):
        yield compared(field, value, case[field], rel=1e-9)


def operating_point(case: Case, path: Path) -> Iterator[Check]:
    """Counts at a chosen cut, exactly; with tied cuts ours must be one of R's."""
    label, values = data(path, case)
    rule = case["rule"]
    if rule in ("youden", "closest.topleft"):
        choose = youden_threshold if rule == "youden" else corner_threshold
        counts = confusion(label, values, threshold=choose(label, values) or 0.0)
        rows = [tuple(row[k] for k in ("tp", "fp", "fn", "tn")) for row in case["rows"]]
        is_same = (counts.tp, counts.fp, counts.fn, counts.tn) in rows
        yield Check(f"{rule}: counts", 0.0 if is_same else np.inf, 0.0)
        return
    wanted = float(rule.rsplit(" ", 1)[-1])
    cut = sensitivity_threshold(label, values, sensitivity=wanted)
    counts = confusion(label, values, threshold=cut or 0.0)
    found = rates(counts)
    yield compared("threshold", cut, case["threshold"], rel=0.0, at=0.0)
    for field in ("tp", "fp", "tn", "fn"):
        yield compared(field, getattr(counts, field), case[field], rel=0.0)
    for field, name in (("sens", "sensitivity"), ("spec", "specificity")):
        yield compared(field, found[name].value, case[field])
    for field in ("ppv", "npv"):
        yield compared(field, found[field].value, case[field])


def bootstrap(case: Case, path: Path) -> Iterator[Check]:
    """Ends of the percentile interval within 0.01 of the range that R's seeds gave."""
    label, values = data(path, case)
    plan = Bootstrap(num_replicates=20_000)
    estimate = bootstrap_auc(label, values, rng=np.random.default_rng(1), plan=plan)
    for side, ours in (("lo", estimate.low), ("hi", estimate.high)):
        least, most = number(case[f"{side}_min"]), number(case[f"{side}_max"])
        if ours is None or least is None or most is None:
            is_none = ours is None and least in (None, most)
            yield Check(f"{side} (none of ours)", 0.0 if is_none else np.inf, 0.01)
        else:
            yield Check(f"{side}: outside R's range", max(least - ours, ours - most, 0.0), 0.01)
