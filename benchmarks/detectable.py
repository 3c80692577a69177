"""Can this be printed by anybody? Brute force, apart from the audit's own code, for its benchmark.

Confusion matrices are counted through one by one in whole numbers; P values come from scipy's own
tests; what was rounded away is drawn at random and at its ends.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
from scipy import stats

Z = stats.norm.ppf(0.975)


def can_be_printed(printed: Mapping[str, str], num_patients: int, nums_pcr: Iterable[int]) -> bool:
    """Whether some confusion matrix and some order of the patients print all of these."""
    return any(
        _prints_all(printed, (tp, num_pcr - tp, tn, num_patients - num_pcr - tn))
        for num_pcr in nums_pcr
        for tp in range(num_pcr + 1)
        for tn in range(num_patients - num_pcr + 1)
    )


def least_width(name: str, printed: str, num_pcr: int, num_residual: int) -> float:
    """Width of the narrowest interval for this value among usual ones, by trying all counts."""
    if name == "AUC":
        steps = 2 * num_pcr * num_residual
        areas = [twice / steps for twice in range(steps + 1) if _rounds_to(twice, steps, printed)]
        wrong = min(min(area, 1 - area) for area in [*areas, float(printed)])
        half = Z * np.sqrt(_least_staircase(wrong, num_pcr, num_residual))
        return float(min(half, wrong) + min(half, 1 - wrong))
    out_of = {"ACC": num_pcr + num_residual, "SENS": num_pcr, "SPEC": num_residual}[name]
    widths = []
    for right in range(out_of + 1):
        if _rounds_to(right, out_of, printed):
            share = right / out_of
            half = Z * np.sqrt(share * (1 - share) / out_of)
            widths.append(min(half, share) + min(half, 1 - share))
            for method in ("wilson", "exact"):
                found = stats.binomtest(right, out_of).proportion_ci(method=method)
                widths.append(found.high - found.low)
    return float(min(widths))


def p_values_of_counts(counts: np.ndarray) -> list[float]:
    """Chi-square, for two levels also corrected and Fisher's; none where nothing can be tested."""
    kept = counts[counts.sum(axis=1) > 0]
    if len(kept) < 2 or (kept.sum(axis=0) == 0).any():
        return []
    tests = [stats.chi2_contingency(kept, correction=False).pvalue]
    if len(kept) == 2:
        tests += [stats.chi2_contingency(kept).pvalue, stats.fisher_exact(kept).pvalue]
    return tests


def p_range_of_means(
    row: Mapping[str, Any], totals: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float]:
    """P of both t tests over all that rounds to the printed means and standard deviations."""
    printed = [row[group][key] for group in ("pCR", "non_pCR") for key in ("mean", "sd")]
    halves = [float(Decimal(1).scaleb(Decimal(text).as_tuple().exponent)) / 2 for text in printed]
    ends = [*itertools.product((-1, 1), repeat=4), *rng.uniform(-1, 1, (50, 4))]
    ps = []
    for end in ends:
        a, b, c, d = (
            float(text) + half * side for text, half, side in zip(printed, halves, end, strict=True)
        )
        for equal in (False, True):
            found = stats.ttest_ind_from_stats(a, b, totals[0], c, d, totals[1], equal_var=equal)
            ps.append(float(found.pvalue))
    if abs(float(printed[0]) - float(printed[2])) <= halves[0] + halves[2]:
        ps.append(1.0)
    return min(ps), max(ps)


def is_percent_wrong(levels: Sequence[Mapping[str, Any]], totals: tuple[int, int]) -> bool:
    """Whether the percentages are neither those of the groups nor those of the levels."""

    def fits(by_level: bool) -> bool:
        return all(
            _rounds_to(
                100 * level[group],
                level["pCR"] + level["non_pCR"] if by_level else total,
                level[f"{group}_pct"],
            )
            for level in levels
            for group, total in zip(("pCR", "non_pCR"), totals, strict=True)
        )

    return not fits(by_level=True) and not fits(by_level=False)


def is_effect_wrong(row: Mapping[str, str]) -> bool:
    """Whether no Wald interval prints this ratio, these limits and this P."""
    boxes = []
    for name in ("or", "ci_lo", "ci_hi"):
        half = float(Decimal(1).scaleb(Decimal(row[name]).as_tuple().exponent)) / 2
        boxes.append((float(row[name]) - half, float(row[name]) + half))
    (least, most), lows, highs = boxes
    if lows[0] <= 0 or least <= 0:
        return False
    if (lows[1] * highs[1]) ** 0.5 < least or (lows[0] * highs[0]) ** 0.5 > most:
        return True
    ps = [
        2 * stats.norm.sf(abs(np.log(value)) * 2 * Z / abs(np.log(high / low)))
        for value, low, high in itertools.product(*boxes)
        if high > low
    ]
    if least <= 1 <= most:
        ps.append(1.0)
    p = row["p_printed"]
    low, high = (0.0, 0.001) if p == "<0.001" else (float(p) - 0.0005, float(p) + 0.0005)
    return bool(ps) and (max(ps) < low or min(ps) > high)


def _prints_all(printed: Mapping[str, str], matrix: tuple[int, int, int, int]) -> bool:
    """Whether this matrix prints all rates, and some order of its patients the AUC."""
    tp, fn, tn, fp = matrix
    shares = {
        "ACC": (tp + tn, tp + fn + tn + fp),
        "SENS": (tp, tp + fn),
        "SPEC": (tn, tn + fp),
        "PPV": (tp, tp + fp),
        "NPV": (tn, tn + fn),
    }
    return all(
        _some_order_prints(text, matrix) if name == "AUC" else _rounds_to(*shares[name], text)
        for name, text in printed.items()
    )


def _some_order_prints(text: str, matrix: tuple[int, int, int, int]) -> bool:
    """Whether an AUC between the worst and the best order of the patients rounds to this."""
    tp, fn, tn, fp = matrix
    pairs = (tp + fn) * (tn + fp)
    worst = _pairs_in_order("+" * fn + "-" * tn, "+" * tp + "-" * fp)
    best = _pairs_in_order("-" * tn + "+" * fn, "-" * fp + "+" * tp)
    return any(_rounds_to(twice, 2 * pairs, text) for twice in range(2 * worst, 2 * best + 1))


def _pairs_in_order(below: str, above: str) -> int:
    """Pairs with the pCR patient (+) above the residual one (-), lowest probability first."""
    found, residual = 0, 0
    for patient in below + above:
        residual += patient == "-"
        found += residual * (patient == "+")
    return found


def _rounds_to(right: int, out_of: int, text: str) -> bool:
    """Whether right / out_of rounds to the text, a half going either way; 0 / 0 prints as 0."""
    exact = Fraction(right, out_of) if out_of else Fraction(0)
    places = len(text.partition(".")[2])
    return abs(exact - Fraction(text)) <= Fraction(1, 2 * 10**places)


def _least_staircase(wrong: float, num_pcr: int, num_residual: int) -> float:
    """Least variance of an AUC: pairs go wrong where they cost least, on a fine grid."""
    grid = (np.arange(400) + 0.5) / 400
    # rows are pCR patients; a wide row costs its length squared over their number
    cost = grid[:, None] / num_residual + grid / num_pcr
    cheapest = np.zeros(cost.size)
    cheapest[np.argsort(cost, axis=None)[: round(wrong * cost.size)]] = 1
    staircase = cheapest.reshape(cost.shape)
    rows, columns = staircase.mean(axis=1), staircase.mean(axis=0)
    return float(rows.var() / num_pcr + columns.var() / num_residual)
