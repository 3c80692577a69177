"""Images that know nothing: how often does the report say that they add something?

    python benchmarks/null_added_value.py [COHORTS]

Draws cohorts (500 by default) whose outcome follows from the clinical variables alone (AUC 0.8) and
an image model whose log odds are noise of its own. Validation has 49 or 200 patients, the test
cohorts 156, as in the published study. For each cohort the added value is computed as `evaluate`
does. Printed: in how many % of cohorts the interval of a gain holds 0, lies above it (a false
claim) or below it, and how often P of the likelihood ratio test is below 0.05. Reference
model and network together are truly a little worse than the reference model where the network is
noise, so their intervals miss 0 below. One processor core.
"""

import sys
from collections import defaultdict

import numpy as np
from scipy.special import expit, ndtri

from neoresponse.contracts.groups import Group
from neoresponse.evaluation.added_value import comparisons, likelihood_ratios
from neoresponse.settings import EvaluateSettings
from neoresponse.types import CLINICAL_ONLY

AUC, PREVALENCE, NUM_TEST = 0.8, 0.26, 156
SETTINGS = EvaluateSettings(replicates=500)


def main(words: list[str]) -> int:
    """Print one line per number of validation patients and gain."""
    cohorts = int(words[0]) if words else 500
    for num_validation in (49, 200):
        held, num_small = coverage(cohorts, num_validation)
        print(f"validation {num_validation}, test {NUM_TEST}, {cohorts} cohorts")
        for name, found in held.items():
            above, below = 100 * np.mean(found, axis=0)
            print(
                f"   {name:20} holds 0 in {100 - above - below:.1f} %, claims a gain in "
                f"{above:.1f} %, a loss in {below:.1f} %"
            )
        print(f"   likelihood ratio P < 0.05 in {100 * num_small / cohorts:.1f} %")
    return 0


def coverage(cohorts: int, num_validation: int) -> tuple[dict[str, list[tuple[bool, bool]]], int]:
    """Which intervals hold 0, and how many tests are positive."""
    held: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    num_small = 0
    for seed in range(cohorts):
        groups = draw(np.random.default_rng([seed, num_validation]), num_validation)
        (row,) = comparisons(groups, SETTINGS, thresholds=dict.fromkeys(groups, 0.5))
        combined = row.combined
        gains = {
            "beyond the floor": combined.beyond,
            "AUC": combined.difference,
            "log score": combined.log_score,
        }
        for one in combined.net_benefit_differences:
            gains[f"net benefit at {one.threshold:g}"] = one
        for name, gain in gains.items():
            # Without an interval both call the same patients: the gain is 0 and is said to be so.
            is_above, is_below = (
                gain.low is not None and side
                for side in ((gain.low or 0) > 0, (gain.high or 0) < 0)
            )
            held[name].append((is_above, is_below))
        num_small += likelihood_ratios(groups)[0].p_value < 0.05
    return held, num_small


def draw(rng: np.random.Generator, num_validation: int) -> dict[str, dict[str, Group]]:
    """A reference model that knows the truth, and a net of noise, on the same patients."""
    shift = np.sqrt(2) * ndtri(AUC)
    groups: dict[str, dict[str, Group]] = {"net": {}, CLINICAL_ONLY: {}}
    for part, num in (("validation", num_validation), ("TC", NUM_TEST)):
        label = (np.arange(num) < round(PREVALENCE * num)).astype(int)
        known = shift * (rng.normal(size=num) + shift * label) - shift**2 / 2
        truth = expit(np.log(PREVALENCE / (1 - PREVALENCE)) + known)
        names = tuple(f"{part}{n}" for n in range(num))
        groups[CLINICAL_ONLY][part] = Group(names, label, truth, 0)
        groups["net"][part] = Group(names, label, expit(rng.normal(size=num) - 1), 0)
    return groups


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
