"""Draws cohorts whose images say nothing, and counts how often the increment's interval holds 0.

    python benchmarks/null_increment.py [--cohorts 500] [--seed 1]

The increment is the AUC of clinical variables with image features minus that of the clinical floor,
on the same test patients, who take no part in any fit. Patients come from the phantom's preset
`null` without pixels: 391 are trained on, TC1 has 51, TC2 has 105 multifocal ones; 500 more
unifocal ones show what a larger test gives. Stand-ins for a network are logistic regressions on
the four variables and on noise: the five traits that pictures would show, 16 features as two
pathways hand on, or these 16 made one score, fitted on training patients that did not give it
(five parts in turn). What noise costs such a model is found on 20,000 more patients: its true
increment, which lies below 0. Exit code 1 where the paired DeLong interval's coverage of 0
in TC1 and TC2 together is surely outside 94 to 96 %. SIMULATED patients throughout.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neoresponse.phantom import tumour
from neoresponse.phantom.clinical import Columns
from neoresponse.preprocess.clinical import ClinicalEncoder, fit_encoder
from neoresponse.stats import (
    Bootstrap,
    auc,
    bootstrap_auc_difference,
    fit_logistic,
    logistic_probability,
    paired_delong,
    wilson_interval,
)
from neoresponse.training.floor import RIDGE
from neoresponse.types import Estimate

NULL = tumour.PRESETS["null"]
VARIABLES = ("phenotype", "er", "ki67_percent", "regimen")
PLANS = {"percentile": Bootstrap(1000), "BCa": Bootstrap(1000, kind="bca")}
NOISE = tuple(f"feature_{number}" for number in range(16))
STACKED, PARTS = "1 score", 5
MAIN = ("TC1+TC2", STACKED, "paired DeLong")
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
    found = wilson_interval(sum(held[MAIN]), len(held[MAIN]))
    assert found.low is not None
    assert found.high is not None
    return 0 if found.low <= 0.96 and found.high >= 0.94 else 1


def one_cohort(rng: np.random.Generator, population: Columns):  # noqa: ANN201 (cell, interval, truth)
    """Train floor and image models once; every interval in every group of test patients."""
    single = draw(rng, "unifocal", (359, 132))
    label = single["label"]
    order = np.concatenate([rng.permutation(np.flatnonzero(label == one)) for one in (0, 1)])
    place = np.concatenate([np.arange(359) / 359, np.arange(132) / 132])
    train = order[place < 391 / 491]
    first_test = order[place >= 440 / 491]
    groups = {"TC1": take(single, first_test), "TC2": draw(rng, "multifocal", (82, 23))}
    groups["TC1+TC2"] = join(groups["TC1"], groups["TC2"])
    groups["500 more"] = draw(rng, "unifocal", (365, 135))
    trained = take(single, train)
    encoder = fit_encoder(clinical(trained), trained["label"].tolist())
    floor = fit_logistic(design(encoder, trained), trained["label"], ridge=RIDGE)
    everyone = {**groups, "population": population}
    base = {g: logistic_probability(design(encoder, p), floor) for g, p in everyone.items()}
    for name, columns in FEATURES.items():
        scores = {group: features(patients, columns) for group, patients in everyone.items()}
        own = features(trained, columns)
        if name == STACKED:
            own, scores = one_score(rng, own, trained["label"], scores)
        model = fit_logistic(design(encoder, trained, own), trained["label"], ridge=RIDGE)
        more = {
            group: logistic_probability(design(encoder, patients, scores[group]), model)
            for group, patients in everyone.items()
        }
        outcome = population["label"]
        truth = (auc(outcome, more["population"]) or 0.0) - (
            auc(outcome, base["population"]) or 0.0
        )
        for group, patients in groups.items():
            pair = patients["label"], more[group], base[group]
            yield (group, name, "paired DeLong"), paired_delong(*pair).difference, truth
            for kind, plan in PLANS.items():
                found = bootstrap_auc_difference(*pair, rng=rng, plan=plan)
                yield (group, name, f"bootstrap, {kind}"), found, truth


def one_score(
    rng: np.random.Generator, own: Values, label: NDArray[np.int64], others: Mapping[str, Values]
) -> tuple[Values, dict[str, Values]]:
    """Image features as one score: of training patients from models that did not see them."""
    part = rng.permutation(len(label)) % PARTS
    ones = np.ones((len(label), 1))
    held_out = np.zeros(len(label))
    for number in range(PARTS):
        inside = part != number
        model = fit_logistic(np.hstack([ones, own])[inside], label[inside], ridge=RIDGE)
        held_out[~inside] = np.hstack([ones, own])[~inside] @ model
    model = fit_logistic(np.hstack([ones, own]), label, ridge=RIDGE)
    scores = {g: np.column_stack([np.ones(len(v)), v]) @ model for g, v in others.items()}
    return held_out[:, None], {group: values[:, None] for group, values in scores.items()}


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


def clinical(columns: Columns) -> list[Mapping[str, str | float]]:
    """The four variables of each patient."""
    rows = zip(*(columns[name].tolist() for name in VARIABLES), strict=True)
    return [dict(zip(VARIABLES, row, strict=True)) for row in rows]


def features(columns: Columns, names: tuple[str, ...]) -> Values:
    """Image features, (patients, features)."""
    return np.column_stack([columns[name] for name in names])


def design(encoder: ClinicalEncoder, columns: Columns, own: Values | None = None) -> Values:
    """A column of ones, the encoded variables, and image features."""
    values, _ = encoder.encode(clinical(columns))
    parts = [np.ones((len(values), 1)), values.astype(float)]
    return np.hstack(parts if own is None else [*parts, own])


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
