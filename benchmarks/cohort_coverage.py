"""How often intervals of cohort statistics hold the truth.

    python benchmarks/cohort_coverage.py differences [COHORTS]    # differences of levels (SMD)
    python benchmarks/cohort_coverage.py added [COHORTS]          # added_value, leave_pair_out

For the second, columns are normal and the truth is what the fitted models do on 20,000 new
patients.
"""

import sys

import numpy as np

from neoresponse.describe import added_value, leave_pair_out, mean_of_pairs
from neoresponse.describe.difference import standardized_level_difference
from neoresponse.stats import Bootstrap, auc, fit_logistic, logistic_probability

NUM_NEW = 20_000
PREVALENCE = 0.27
SMALLER, LARGER = slice(0, 2), slice(0, 4)
EFFECTS = np.array([0.6, 0.4, 0.5, 0.0])
MANY = np.array([0.8, 0.5, *[0.0] * 10])
RIDGE = 1.0


def differences(num_cohorts: int) -> None:
    """Two groups in 15 settings: sizes, number of levels, how far the shares are apart."""
    rng = np.random.default_rng(1)
    for sizes in ((49, 391), (155, 441), (42, 120)):
        for num_levels, shift in ((2, 0.0), (2, 0.15), (4, 0.0), (4, 0.1), (8, 0.05)):
            first = np.full(num_levels, 1 / num_levels)
            second = first.copy()
            second[[0, -1]] += shift, -shift
            gap = (first - second)[1:]
            spread = sum(np.diag(one[1:]) - np.outer(one[1:], one[1:]) for one in (first, second))
            truth = float(np.sqrt(gap @ np.linalg.solve(spread / 2, gap)))
            found = [
                standardized_level_difference(
                    rng.multinomial(sizes[0], first), rng.multinomial(sizes[1], second)
                )
                for _ in range(num_cohorts)
            ]
            hits = [one.low <= truth <= one.high for one in found if one.low is not None]
            setting = f"{sizes[0]} and {sizes[1]} patients, {num_levels} levels, SMD {truth:.2f}"
            print(f"{setting}: {100 * np.mean(hits):.1f} % of {len(hits)}")


def added(num_cohorts: int) -> None:
    """Models of 200 patients and few columns, and of 50 patients and 12 columns."""
    rng = np.random.default_rng(1)
    held: dict[str, list[bool]] = {}
    for _ in range(num_cohorts):
        label, design = draw(rng, 200, EFFECTS)
        found = added_value(
            label,
            design[:, SMALLER],
            design[:, LARGER],
            rng=rng,
            plan=Bootstrap(num_replicates=200),
        )
        truth = [
            on_others(label, design[:, part], rng, EFFECTS[part]) for part in (SMALLER, LARGER)
        ]
        for name, estimate, value in (
            ("AUC of the larger model, n = 200", found.auc_after, truth[1]),
            ("gain in AUC, n = 200", found.auc_gain, truth[1] - truth[0]),
        ):
            held.setdefault(name, []).append(estimate.low <= value <= estimate.high)
        label, design = draw(rng, 50, MANY)
        estimate = mean_of_pairs(leave_pair_out(label, design))
        value = on_others(label, design, rng, MANY)
        held.setdefault("AUC of 12 columns by pairs, n = 50", []).append(
            estimate.low <= value <= estimate.high
        )
    for name, hits in held.items():
        print(f"{name}: {100 * np.mean(hits):.1f} % of {len(hits)} cohorts")


def draw(rng: np.random.Generator, num: int, effects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outcome, and columns whose means differ by `effects` between the outcomes."""
    label = (np.arange(num) < round(PREVALENCE * num)).astype(int)
    return label, rng.normal(size=(num, len(effects))) + label[:, np.newaxis] * effects


def on_others(
    label: np.ndarray, design: np.ndarray, rng: np.random.Generator, effects: np.ndarray
) -> float:
    """AUC of the model of these patients on new ones."""
    mean, spread = design.mean(axis=0), design.std(axis=0)

    def matrix(columns: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(columns)), (columns - mean) / spread])

    coefficients = fit_logistic(matrix(design), label, ridge=RIDGE)
    new_label, new = draw(rng, NUM_NEW, effects)
    found = auc(new_label, logistic_probability(matrix(new), coefficients))
    assert found is not None
    return found


if __name__ == "__main__":
    part, *rest = sys.argv[1:] or ["differences"]
    {"differences": differences, "added": added}[part](int(rest[0]) if rest else 200)
