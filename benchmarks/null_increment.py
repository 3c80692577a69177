"""Draws cohorts whose images say nothing, and counts how often the increment's interval holds 0.

    python benchmarks/null_increment.py [--cohorts 500] [--seed 1]

The increment is the AUC of clinical variables with image features minus that of clinical-only,
on the same test patients, who take no part in any fit. Patients come from the phantom's preset
`null` without pixels: 391 are trained on, TC1 has 51, TC2 has 105 multifocal ones; 500 more
unifocal ones show what a larger test gives. Stand-ins for a network are logistic regressions on
the four variables and on noise: the five traits that pictures would show, 16 features as two
pathways hand on, or these 16 made one logit, fitted on training patients that did not give it
(five parts in turn). What noise costs such a model is found on 20,000 more patients: its true
increment, which lies below 0. Exit code 1 where the paired DeLong interval of the model with
five traits, in TC1 or in TC2, surely holds 0 in fewer than 94 or more than 96 %. All patients are
SIMULATED.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neoresponse.phantom import tumour
from neoresponse.phantom.clinical import Columns, make_cells
from neoresponse.preprocess.clinical import encode, fit_encoder
from neoresponse.preprocess.clinical_model import RIDGE
from neoresponse.stats import (
    Bootstrap,
    auc,
    bootstrap_auc_difference,
    fit_logistic,
    logistic_probability,
    paired_delong,
    wilson_interval,
)
from neoresponse.types import Estimate

NULL = tumour.PRESETS["null"]
VARIABLES = ("phenotype", "er", "ki67_percent", "regimen")
CELLS = make_cells(NULL.clinical_strength)
CLINICAL = [
    dict(zip(VARIABLES, row, strict=True))
    for row in zip(*(getattr(CELLS, name).tolist() for name in VARIABLES), strict=True)
]
"""The four variables of each clinical cell."""
PLANS = {"percentile": Bootstrap(1000), "BCa": Bootstrap(1000, kind="bca")}
NOISE = tuple(f"feature_{number}" for number in range(16))
STACKED, PARTS = "1 logit", 5
TRAIN, TC1 = (286, 105), (37, 14)
"""Patients without and with pCR; 36 and 13 between them are left to validation."""
JUDGED = [(group, "5 traits", "paired DeLong") for group in ("TC1", "TC2")]
BOOTSTRAPPED = "TC1+TC2"
Values = NDArray[np.float64]


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)
    parser.add_argument("--cohorts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    held: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    above: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    true: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    increments: dict[str, list[float]] = defaultdict(list)
    population = draw(np.random.default_rng(options.seed + 10**6), "unifocal", (14600, 5400))
    for number in range(options.cohorts):
        rng = np.random.default_rng([options.seed, number])
        for cell, found, truth in one_cohort(rng, population):
            held[cell].append(holds(found, 0.0))
            above[cell].append(found.low is not None and found.low > 0)
            true[cell].append(holds(found, truth))
            increments[cell[1]].append(truth)
    print(f"{options.cohorts} cohorts; coverage in %, [95 % interval of it: Wilson]")
    heads = ("of 0", "of the true increment", "wholly above 0")
    print(f"{'test':10}{'features':10}{'interval':24}" + "".join(f"{head:>24}" for head in heads))
    for cell in held:
        counts = (held[cell], true[cell], above[cell])
        print(f"{cell[0]:10}{cell[1]:10}{cell[2]:24}" + "".join(f"{shown(c):>24}" for c in counts))
    for name, values in increments.items():
        print(f"true increment with {name}: mean {np.mean(values):+.4f}, SD {np.std(values):.4f}")
    return 0 if all(may_be_right(held[cell]) for cell in JUDGED) else 1


def may_be_right(held: list[bool]) -> bool:
    """Whether a coverage of 94 to 96 % explains what was held."""
    found = wilson_interval(sum(held), len(held))
    assert found.low is not None
    assert found.high is not None
    return found.low <= 0.96 and found.high >= 0.94


def one_cohort(rng: np.random.Generator, population: Columns):  # noqa: ANN201 (cell, interval, truth)
    """Train all models once; every interval in every group of test patients."""
    single = draw(rng, "unifocal", (359, 132))
    label = single["label"]
    order = [rng.permutation(np.flatnonzero(label == one)) for one in (0, 1)]
    train = np.concatenate([rows[:num] for rows, num in zip(order, TRAIN, strict=True)])
    first_test = np.concatenate([rows[-num:] for rows, num in zip(order, TC1, strict=True)])
    groups = {"TC1": take(single, first_test), "TC2": draw(rng, "multifocal", (82, 23))}
    groups["TC1+TC2"] = join(groups["TC1"], groups["TC2"])
    groups["500 more"] = draw(rng, "unifocal", (365, 135))
    trained = take(single, train)
    encoder = fit_encoder([CLINICAL[cell] for cell in trained["cell"]], trained["label"].tolist())
    by_cell = np.column_stack([np.ones(len(CLINICAL)), encode(encoder, CLINICAL)[0].astype(float)])
    everyone = {**groups, "population": population}
    known = {group: by_cell[patients["cell"]] for group, patients in everyone.items()}
    own_clinical = by_cell[trained["cell"]]
    reference = fit_logistic(own_clinical, trained["label"], ridge=RIDGE)
    base = {group: logistic_probability(values, reference) for group, values in known.items()}
    for name, columns in FEATURES.items():
        logits = {group: features(patients, columns) for group, patients in everyone.items()}
        own = features(trained, columns)
        if name == STACKED:
            own, logits = one_logit(rng, own, trained["label"], logits)
        whole = np.hstack([own_clinical, own])
        model = fit_logistic(whole, trained["label"], ridge=RIDGE)
        more = {
            group: logistic_probability(np.hstack([known[group], logits[group]]), model)
            for group in everyone
        }
        outcome = population["label"]
        truth = (auc(outcome, more["population"]) or 0.0) - (
            auc(outcome, base["population"]) or 0.0
        )
        for group, patients in groups.items():
            pair = patients["label"], more[group], base[group]
            yield (group, name, "paired DeLong"), paired_delong(*pair).difference, truth
            for kind, plan in PLANS.items() if group == BOOTSTRAPPED else ():
                found = bootstrap_auc_difference(*pair, rng=rng, plan=plan)
                yield (group, name, f"bootstrap, {kind}"), found, truth


def one_logit(
    rng: np.random.Generator, own: Values, label: NDArray[np.int64], others: Mapping[str, Values]
) -> tuple[Values, dict[str, Values]]:
    """Image features as one logit: of training patients from models that did not see them."""
    part = rng.permutation(len(label)) % PARTS
    ones = np.ones((len(label), 1))
    held_out = np.zeros(len(label))
    for number in range(PARTS):
        inside = part != number
        model = fit_logistic(np.hstack([ones, own])[inside], label[inside], ridge=RIDGE)
        held_out[~inside] = np.hstack([ones, own])[~inside] @ model
    model = fit_logistic(np.hstack([ones, own]), label, ridge=RIDGE)
    logits = {g: np.column_stack([np.ones(len(v)), v]) @ model for g, v in others.items()}
    return held_out[:, None], {group: values[:, None] for group, values in logits.items()}


def draw(rng: np.random.Generator, focality: str, counts: tuple[int, int]) -> Columns:
    """Patients without and with pCR, whose images say nothing."""
    halves = [
        tumour.draw_patients(rng, num, stratum=(focality, label), effects=NULL)
        for label, num in enumerate(counts)
    ]
    found = join(*halves)
    noise = rng.standard_normal((len(NOISE), sum(counts)))
    return found | dict(zip(NOISE, noise, strict=True))


def join(one: Columns, two: Columns) -> Columns:
    """Two groups of patients as one."""
    return {name: np.concatenate([one[name], two[name]]) for name in one}


def take(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    """Some patients."""
    return {name: values[rows] for name, values in columns.items()}


def features(columns: Columns, names: tuple[str, ...]) -> Values:
    """Image features, (patients, features)."""
    return np.column_stack([columns[name] for name in names])


def holds(found: Estimate, truth: float) -> bool:
    """Whether an interval holds a number; without an interval nothing is held."""
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def shown(held: list[bool]) -> str:
    """Coverage with its own interval."""
    found = wilson_interval(sum(held), len(held))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


FEATURES = {
    "5 traits": tuple(tumour.column_of(trait) for trait in tumour.TRAITS),
    "16 noise": NOISE,
    STACKED: NOISE,
}

if __name__ == "__main__":
    sys.exit(main())
