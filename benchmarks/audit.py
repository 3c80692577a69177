"""Does the audit of tables accuse the innocent, and does it miss what cannot be? Three numbers.

    python benchmarks/audit.py [--studies 1000] [--seed 1]

It prints: contradictions in the tables of Guo et al. 2024; contradictions in studies that were made
from simulated patients and printed at two or three decimals; and how many of as many single changed
numbers it finds. A change counts only if it shows at the printed precision, which is decided here
by brute force (`detectable.py`), not by the audit's own code.
"""

import argparse
import copy
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import detectable
import numpy as np
from scipy import stats

from neoresponse.audit import EXAMPLE, audit, read_tables, tables_of_json

Content = dict[str, Any]
Z = stats.norm.ppf(0.975)


def main() -> int:
    """Print the three numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = audit(read_tables(EXAMPLE))
    rules = Counter(one.rule for one in found)
    in_tables = [one for one in found if one.table.startswith("Table")]
    print(f"Guo et al. 2024: {len(found)} contradictions, {len(in_tables)} of them in Tables 1-5")
    print("  " + ", ".join(f"{number} {rule}" for rule, number in rules.most_common()))
    wrong = false_alarms(options.studies, seed=options.seed)
    print(f"consistent studies: {len(wrong)} contradictions in {options.studies}")
    print("\n".join(f"  {one.sentence}" for one in wrong[:5]))
    caught = caught_changes(options.studies, seed=options.seed)
    print(f"seeded contradictions: {sum(hit for _, hit in caught)} of {len(caught)} found")
    for kind in CHANGES:
        hits = [hit for name, hit in caught if name == kind]
        print(f"  {kind}: {sum(hits)} of {len(hits)}")
    print(f"seed {options.seed}")
    return 0


def false_alarms(num_studies: int, *, seed: int) -> list[Any]:
    """What the audit says against studies in which everything is true."""
    rng = np.random.default_rng(seed)
    return [
        contradiction
        for _ in range(num_studies)
        for contradiction in audit(tables_of_json(consistent_study(rng, most_patients=400)))
    ]


def caught_changes(num_changes: int, *, seed: int) -> list[tuple[str, bool]]:
    """Kind of each detectable change, and whether the audit finds it."""
    rng = np.random.default_rng(seed)
    found: list[tuple[str, bool]] = []
    while len(found) < num_changes:
        study = consistent_study(rng, most_patients=90)
        kind = list(CHANGES)[len(found) % len(CHANGES)]
        changed = copy.deepcopy(study)
        if CHANGES[kind](changed, rng):
            found.append((kind, bool(audit(tables_of_json(changed)))))
    return found


def consistent_study(rng: np.random.Generator, *, most_patients: int) -> Content:
    """Simulated patients, evaluated and printed as a paper would."""
    places = int(rng.integers(2, 4))
    cohorts, table = {}, {}
    for name in ("A", "B")[: rng.integers(1, 3)]:
        num_patients = int(rng.integers(20, most_patients + 1))
        num_pcr = int(np.clip(rng.binomial(num_patients, rng.uniform(0.1, 0.6)), 3, None))
        num_pcr = min(num_pcr, num_patients - 3)
        label = np.repeat([1, 0], [num_pcr, num_patients - num_pcr])
        is_known = num_patients > 45 or rng.random() < 0.7
        cohorts[name] = {"n": num_patients}
        if is_known:
            cohorts[name] |= {"pCR": num_pcr, "non_pCR": num_patients - num_pcr}
        table[name] = {
            f"model {number}": _model_row(label, rng, places)
            for number in range(rng.integers(1, 4))
        }
    ends = (cohorts["A"]["n"] // 3, cohorts["A"]["n"] - cohorts["A"]["n"] // 3)
    return {
        "cohorts": cohorts,
        "groups": _group_table(rng, ends),
        "effects": [_effect_row(rng) for _ in range(2)],
        "rates": table,
    }


def _model_row(label: np.ndarray, rng: np.random.Generator, places: int) -> Content:
    """Rates of one model, with intervals by one method or another."""
    values = rng.normal(label * rng.uniform(0, 2.5), 1)
    if rng.random() < 0.1:
        values = np.round(values, 1)
    called = values >= np.quantile(values, rng.uniform(0.1, 0.9))
    tp, fp = int((called & (label == 1)).sum()), int((called & (label == 0)).sum())
    fn, tn = int(label.sum()) - tp, int((1 - label).sum()) - fp
    row: Content = {"counts": {"tp": tp, "fp": fp, "fn": fn, "tn": tn}}
    if rng.random() < 0.7:
        del row["counts"]
    shares = {
        "ACC": (tp + tn, len(label)),
        "SENS": (tp, tp + fn),
        "SPEC": (tn, tn + fp),
        "PPV": (tp, tp + fp),
        "NPV": (tn, tn + fn),
    }
    for name, (right, out_of) in shares.items():
        if out_of:
            low, high = _share_interval(right, out_of, rng)
            row[name] = _cell((right / out_of, low, high), places)
    area, low, high = _auc_interval(values[label == 1], values[label == 0], rng)
    row["AUC"] = _cell((area, low, high), places)
    return row


def _cell(ends: tuple[float, float, float], places: int) -> dict[str, str]:
    """Value and limits as printed."""
    return dict(zip(("est", "lo", "hi"), (f"{end:.{places}f}" for end in ends), strict=True))


def _share_interval(right: int, out_of: int, rng: np.random.Generator) -> tuple[float, float]:
    """Wilson, Clopper-Pearson, Wald cut at 0 and 1, or bootstrap percentiles."""
    method = rng.integers(4)
    share = right / out_of
    if method < 2:
        exact = stats.binomtest(right, out_of).proportion_ci(method="wilson" if method else "exact")
        return exact.low, exact.high
    if method == 2:
        half = Z * np.sqrt(share * (1 - share) / out_of)
        return max(0.0, share - half), min(1.0, share + half)
    low, high = np.quantile(rng.binomial(out_of, share, 1000) / out_of, [0.025, 0.975])
    return float(low), float(high)


def _auc_interval(
    pcr: np.ndarray, residual: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float]:
    """AUC with DeLong's, Hanley and McNeil's, a logit, or a bootstrap interval."""
    kernel = (pcr[:, None] > residual) + 0.5 * (pcr[:, None] == residual)
    area, (m, n) = float(kernel.mean()), kernel.shape
    method = rng.integers(4)
    variance = kernel.mean(axis=1).var(ddof=1) / m + kernel.mean(axis=0).var(ddof=1) / n
    if method == 1:
        q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
        spread = area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)
        variance = spread / (m * n)
    if method == 2:
        first = rng.multinomial(m, np.full(m, 1 / m), 400)
        second = rng.multinomial(n, np.full(n, 1 / n), 400)
        drawn = np.einsum("ri,ij,rj->r", first, kernel, second) / (m * n)
        low, high = np.quantile(drawn, [0.025, 0.975])
        return area, min(float(low), area), max(float(high), area)
    if method == 3 and 0 < area < 1:
        middle, half = np.log(area / (1 - area)), Z * np.sqrt(variance) / (area * (1 - area))
        return area, *(float(1 / (1 + np.exp(-end))) for end in (middle - half, middle + half))
    half = Z * np.sqrt(variance)
    return area, max(0.0, area - half), min(1.0, area + half)


def _group_table(rng: np.random.Generator, totals: tuple[int, int]) -> Content:
    """Two counted variables and a measured one, in two groups, with their P values."""
    rows: list[Content] = []
    for number, num_levels in enumerate((2, 3)):
        counts = np.column_stack(
            [rng.multinomial(total, rng.dirichlet([4] * num_levels)) for total in totals]
        )
        levels = [
            {
                "level": f"level {index}",
                "pCR": int(first),
                "pCR_pct": f"{100 * first / totals[0]:.1f}",
                "non_pCR": int(second),
                "non_pCR_pct": f"{100 * second / totals[1]:.1f}",
            }
            for index, (first, second) in enumerate(counts)
        ]
        tests = detectable.p_values_of_counts(counts)
        p = tests[rng.integers(len(tests))] if tests else None
        rows.append({"variable": f"variable {number}", "levels": levels})
        if p is not None:
            rows[-1]["p_printed"] = _print_p(p)
    groups = [rng.normal(rng.uniform(50, 52), 9, total) for total in totals]
    p = stats.ttest_ind(*groups, equal_var=bool(rng.integers(2))).pvalue
    means: Content = {"variable": "age", "p_printed": _print_p(p)}
    for key, group in zip(("pCR", "non_pCR"), groups, strict=True):
        means[key] = {"mean": f"{group.mean():.2f}", "sd": f"{group.std(ddof=1):.2f}"}
    return {"n_pCR": totals[0], "n_non_pCR": totals[1], "rows": [*rows, means]}


def _effect_row(rng: np.random.Generator) -> Content:
    """An odds ratio with Wald's interval and P."""
    effect, error = rng.normal(0.5, 0.7), rng.uniform(0.1, 0.6)
    ends = np.exp([effect, effect - Z * error, effect + Z * error])
    names = ("or", "ci_lo", "ci_hi")
    printed = {name: f"{end:.3f}" for name, end in zip(names, ends, strict=True)}
    return {"row": "x", "p_printed": _print_p(2 * stats.norm.sf(abs(effect) / error)), **printed}


def _print_p(p: float) -> str:
    """As papers do."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _any_row(study: Content, rng: np.random.Generator) -> tuple[Content, Mapping[str, int]]:
    """Rates of one model, and the size of its cohort."""
    cohort = str(rng.choice(list(study["rates"])))
    block = study["rates"][cohort]
    return block[str(rng.choice(list(block)))], study["cohorts"][cohort]


def _moved(text: str, rng: np.random.Generator, *, most: float) -> str:
    """Another number of the same form, up to so far away."""
    places = len(text.partition(".")[2])
    step = rng.integers(1, max(2, int(most * 10**places))) * rng.choice([-1, 1])
    return f"{max(0.0, float(text) + step / 10**places):.{places}f}"


def _change_rate(study: Content, rng: np.random.Generator) -> bool:
    """One rate of one model; its interval goes, so that only the rates can show it."""
    row, size = _any_row(study, rng)
    name = str(rng.choice([name for name in row if name != "counts"]))
    row.pop("counts", None)
    row[name] = {"est": _moved(row[name]["est"], rng, most=0.2)}
    printed = {name: cell["est"] for name, cell in row.items()}
    nums = [size["pCR"]] if "pCR" in size else range(1, size["n"])
    return not detectable.can_be_printed(printed, size["n"], nums)


def _move_interval(study: Content, rng: np.random.Generator) -> bool:
    """An interval beside its value."""
    row, _ = _any_row(study, rng)
    cell = row[str(rng.choice([name for name in row if name != "counts"]))]
    places = len(cell["est"].partition(".")[2])
    gap = float(cell["est"]) - float(cell["lo"]) + rng.integers(2, 20) / 10**places
    cell["lo"], cell["hi"] = (f"{float(cell[end]) + gap:.{places}f}" for end in ("lo", "hi"))
    return True


def _shrink_interval(study: Content, rng: np.random.Generator) -> bool:
    """An interval that is far too narrow for its patients."""
    row, size = _any_row(study, rng)
    if "pCR" not in size:
        return False
    name = str(rng.choice(["ACC", "AUC", "SENS", "SPEC"]))
    cell, share = row[name], rng.uniform(0, 0.5)
    value, places = float(cell["est"]), len(cell["est"].partition(".")[2])
    for end in ("lo", "hi"):
        cell[end] = f"{value + share * (float(cell[end]) - value):.{places}f}"
    widest = float(cell["hi"]) - float(cell["lo"]) + 10**-places
    least = detectable.least_width(name, cell["est"], size["pCR"], size["n"] - size["pCR"])
    return widest < 0.5 * least


def _change_percent(study: Content, rng: np.random.Generator) -> bool:
    """One percentage."""
    table = study["groups"]
    row = table["rows"][rng.integers(2)]
    level = row["levels"][rng.integers(len(row["levels"]))]
    level["pCR_pct"] = _moved(level["pCR_pct"], rng, most=5)
    return detectable.is_percent_wrong(row["levels"], (table["n_pCR"], table["n_non_pCR"]))


def _change_count(study: Content, rng: np.random.Generator) -> bool:
    """One count of one level; the others and the total stay."""
    row = study["groups"]["rows"][rng.integers(2)]
    row["levels"][rng.integers(len(row["levels"]))]["pCR"] += int(rng.integers(1, 6))
    return True


def _change_p_of_counts(study: Content, rng: np.random.Generator) -> bool:
    """P of a variable with two levels."""
    row = study["groups"]["rows"][0]
    row["p_printed"] = f"{rng.uniform(0, 1):.3f}"
    counts = np.array([[level["pCR"], level["non_pCR"]] for level in row["levels"]])
    tests = detectable.p_values_of_counts(counts)
    return bool(tests) and not any(abs(p - float(row["p_printed"])) <= 0.0005 for p in tests)


def _change_p_of_means(study: Content, rng: np.random.Generator) -> bool:
    """P of a mean."""
    table = study["groups"]
    row = table["rows"][2]
    row["p_printed"] = f"{rng.uniform(0, 1):.3f}"
    low, high = detectable.p_range_of_means(row, (table["n_pCR"], table["n_non_pCR"]), rng)
    return not low - 0.0005 <= float(row["p_printed"]) <= high + 0.0005


def _change_effect(study: Content, rng: np.random.Generator) -> bool:
    """An odds ratio, one of its limits, or its P."""
    row = study["effects"][0]
    name = str(rng.choice(["or", "ci_lo", "ci_hi", "p_printed"]))
    row[name] = (
        f"{rng.uniform(0, 1):.3f}" if name == "p_printed" else _moved(row[name], rng, most=2)
    )
    return detectable.is_effect_wrong(row)


def _change_size(study: Content, rng: np.random.Generator) -> bool:
    """The size of a cohort; its pCR and residual patients stay."""
    size = study["cohorts"]["A"]
    size["n"] += int(rng.integers(1, 5))
    return "pCR" in size


def _print_differently(study: Content, rng: np.random.Generator) -> bool:
    """One rate in a text, printed otherwise than in the table."""
    cohort = str(rng.choice(list(study["rates"])))
    model, row = next(iter(study["rates"][cohort].items()))
    other = _moved(row["AUC"]["est"], rng, most=0.2)
    study["text_only"] = {f"{cohort}_AUC": {model: {"est": other}}}
    return abs(float(other) - float(row["AUC"]["est"])) > 1.001 * 10 ** -len(
        other.partition(".")[2]
    )


CHANGES: dict[str, Callable[[Content, np.random.Generator], bool]] = {
    "rate": _change_rate,
    "interval moved": _move_interval,
    "interval shrunk": _shrink_interval,
    "percentage": _change_percent,
    "count": _change_count,
    "P of counts": _change_p_of_counts,
    "P of means": _change_p_of_means,
    "odds ratio": _change_effect,
    "cohort size": _change_size,
    "printed twice": _print_differently,
}

if __name__ == "__main__":
    sys.exit(main())
