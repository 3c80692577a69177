"""Draws cohorts whose truth is known and counts how often an interval holds it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, ndtri

from neoresponse.stats import (
    Bootstrap,
    Confusion,
    RocPart,
    area_under_precision,
    auc_interval,
    average_precision,
    bootstrap_area,
    bootstrap_auc,
    bootstrap_auc_difference,
    bootstrap_brier,
    bootstrap_measures,
    brier_score,
    calibration_line,
    count_measures,
    decision_curve,
    delong_interval,
    firth_model,
    log_score_difference,
    logistic_model,
    net_benefit_differences,
    newcombe_interval,
    observed_over_expected,
    paired_delong,
    partial_auc,
    proportion_interval,
    score_step,
    unpaired_delong,
)
from neoresponse.types import Estimate

Numbers = NDArray[np.float64]
Named = tuple[str, Estimate, float]
SIZES, AUCS, PREVALENCE = (49, 51, 105, 500), (0.7, 0.85, 0.95), 0.26
COHORTS, FEWER, FEW = 1000, 400, 100
PERCENTILE, BCA = Bootstrap(num_replicates=1000), Bootstrap(num_replicates=1000, kind="bca")
HUGE = 400_000
MOST = 2000
SEED = 71
"""Of `few`; its rule was chosen on other draws."""


def auc() -> None:
    """Five intervals of one AUC."""

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, values = binormal(rng, num, area)
        yield "DeLong", delong_interval(label, values), area
        yield "DeLong, logit scale", delong_interval(label, values, scale="logit"), area
        yield "Newcombe", newcombe_interval(label, values), area
        yield "bootstrap, percentile", bootstrap_auc(label, values, rng=rng, plan=PERCENTILE), area
        yield "bootstrap, BCa", bootstrap_auc(label, values, rng=rng, plan=BCA), area

    table(draw)


def few() -> None:
    """The interval to trust beside DeLong's, from 3 pCR patients on, at 2 to 50 % pCR.

    Two pairs of normal distributions: of one spread, and pCR patients spread 1.5 times as far.
    """
    for spread in (1.0, 1.5):
        print(
            f"   spread of pCR patients {spread:g}: lowest to highest coverage over AUC 0.5 to 0.95"
        )
        print(f"   {'pCR':>5}{'auc_interval':>28}{'DeLong, logit scale':>28}")
        for num_pcr in (3, 4, 6, 10, 20, 50, 100):
            held: dict[str, list[tuple[float, str]]] = {"trust": [], "logit": []}
            for share in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5):
                num = round(num_pcr / share)
                for area in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95) if num <= MOST else ():
                    for name, value in _few(num_pcr, num, area, spread).items():
                        held[name].append((value, f"{num} at {area:g}"))
            cells = (
                f"{min(one)[0]:.1f} ({min(one)[1]}) to {max(one)[0]:.1f}" for one in held.values()
            )
            print(f"   {num_pcr:>5}" + "".join(f"{cell:>28}" for cell in cells), flush=True)


def _few(num_pcr: int, num: int, area: float, spread: float) -> dict[str, float]:
    """Coverage in % of both intervals in one setting; a missing interval counts as a miss."""
    rng = np.random.default_rng([SEED, num_pcr, num, round(100 * area), round(10 * spread)])
    label = np.arange(num) < num_pcr
    place = np.sqrt(1 + spread**2) * ndtri(area)
    hits = {"trust": 0, "logit": 0}
    for _ in range(COHORTS):
        drawn = rng.normal(size=num)
        values = np.where(label, spread * drawn + place, drawn)
        for name, found in (
            ("trust", auc_interval(label, values)),
            ("logit", delong_interval(label, values, scale="logit")),
        ):
            hits[name] += bool(_holds(found, area))
    return {name: 100 * count / COHORTS for name, count in hits.items()}


def difference() -> None:
    """Differences between two AUCs, one of them 0.08 lower; correlation 0.5 where paired."""

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label = labels(num)
        shared = rng.normal(size=num)
        first, second = (
            shift(one) * label + np.sqrt(0.5) * (shared + rng.normal(size=num))
            for one in (area, area - 0.08)
        )
        yield "paired DeLong", paired_delong(label, first, second).difference, 0.08
        for name, plan in (("percentile", PERCENTILE), ("BCa", BCA)):
            found = bootstrap_auc_difference(label, first, second, rng=rng, plan=plan)
            yield f"paired bootstrap, {name}", found, 0.08
        other = binormal(rng, num, area - 0.08)
        found = unpaired_delong((label, first), other).difference
        yield "unpaired DeLong", found, 0.08

    table(draw)


def counts() -> None:
    """Sensitivity, F1 and MCC at the cut that is best for known distributions."""

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, values = binormal(rng, num, area)
        is_called, is_pcr = values >= shift(area) / 2, label == 1
        cells = Confusion(
            int(np.sum(is_called & is_pcr)),
            int(np.sum(is_called & ~is_pcr)),
            int(np.sum(~is_called & is_pcr)),
            int(np.sum(~is_called & ~is_pcr)),
        )
        rate = share_above(-shift(area) / 2)
        for method in ("Wilson", "Clopper-Pearson", "Jeffreys", "Wald"):
            found = proportion_interval(cells.tp, cells.tp + cells.fn, method=method)
            yield f"sensitivity, {method}", found, rate
        num_pcr = int(is_pcr.sum())
        whole = Confusion(
            *(
                round(1e6 * part)
                for part in (
                    rate * num_pcr,
                    (1 - rate) * (num - num_pcr),
                    (1 - rate) * num_pcr,
                    rate * (num - num_pcr),
                )
            )
        )
        truth = count_measures(whole)
        for plan, name in ((PERCENTILE, "percentile"), (BCA, "BCa")):
            found = bootstrap_measures(cells, rng=rng, plan=plan)
            for key in ("f1", "mcc"):
                yield f"{key}, {name}", found[key], truth[key] or 0.0

    table(draw)


def areas() -> None:
    """Average precision, and the standardised area at specificities from 0.8."""
    rng = np.random.default_rng(5)
    part = RocPart()
    truth: dict[tuple[int, float], tuple[float, float]] = {}
    for num in SIZES:
        for area in AUCS:
            big = binormal(rng, num * (HUGE // num), area, like=num)
            truth[num, area] = average_precision(*big) or 0.0, partial_auc(*big, part=part) or 0.0

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, values = binormal(rng, num, area)
        for plan, kind in ((PERCENTILE, "percentile"), (BCA, "BCa")):
            for index, (name, rule) in enumerate(
                (("average precision", area_under_precision), ("partial AUC", part.area))
            ):
                found = bootstrap_area(label, values, measure=rule, rng=rng, plan=plan)
                yield f"{name}, {kind}", found, truth[num, area][index]

    table(draw, cohorts=2 * FEW)


def calibration() -> None:
    """Calibration of probabilities that are true."""

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, probability = true_probabilities(rng, num, area)
        line = calibration_line(label, probability)
        yield "calibration slope, Wald", line.slope, 1.0
        yield "calibration intercept, Wald", line.intercept, 0.0
        yield "calibration in the large, Wald", line.in_the_large, 0.0
        yield "observed over expected", observed_over_expected(label, probability), 1.0

    table(draw, cohorts=FEWER)


def decision() -> None:
    """Net benefit at thresholds of 0.1, 0.25 and 0.5."""
    cuts = np.array([0.1, 0.25, 0.5])
    truth = {}
    for area in AUCS:
        label, probability = true_probabilities(np.random.default_rng(6), 4 * HUGE, area)
        truth[area] = decision_curve(label, probability, thresholds=cuts).net_benefit

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, probability = true_probabilities(rng, num, area)
        curve = decision_curve(label, probability, thresholds=cuts, rng=rng, plan=PERCENTILE)
        assert curve.low is not None
        assert curve.high is not None
        for cut, *ends, expected in zip(
            cuts, curve.net_benefit, curve.low, curve.high, truth[area], strict=True
        ):
            found = Estimate(*(float(end) for end in ends), num, "bootstrap")
            yield f"net benefit at {cut}", found, float(expected)

    table(draw, cohorts=FEWER)


def scores() -> None:
    """Brier score, and how true probabilities differ from the same with noise in their log odds."""
    cuts = [0.25, 0.5]
    truth = {}
    for area in AUCS:
        label, first, second = with_noise(np.random.default_rng(7), 4 * HUGE, area)
        curves = [decision_curve(label, p, thresholds=cuts).net_benefit for p in (first, second)]
        gain = log_score_difference(label, first, second).value
        truth[area] = brier_score(label, first), gain, *(curves[0] - curves[1])

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, first, second = with_noise(rng, num, area)
        brier, gain, *benefits = (float(one or 0.0) for one in truth[area])
        yield "Brier score", bootstrap_brier(label, first, rng=rng, plan=PERCENTILE), brier
        yield "difference of log scores", log_score_difference(label, first, second), gain
        pair = (first, second)
        found = net_benefit_differences(label, pair, thresholds=cuts, rng=rng, plan=PERCENTILE)
        for cut, one, expected in zip(cuts, found, benefits, strict=True):
            yield f"difference of net benefit, {cut}", one, expected
        yield "one step of the score", score_step(label, first, rng.normal(size=num)), 0.0

    table(draw, cohorts=FEWER)


def regression() -> None:
    """The coefficient of one normal variable that has the AUC asked for, beside one of noise."""

    def draw(rng: np.random.Generator, num: int, area: float) -> Iterator[Named]:
        label, values = binormal(rng, num, area)
        design = np.column_stack([np.ones(num), values, rng.normal(size=num)])
        # With normal distributions of equal spread the true coefficient is their distance.
        term = logistic_model(design, label).terms[1]
        yield "odds ratio, Wald", term.wald, shift(area)
        yield "odds ratio, profile", term.profile, shift(area)
        yield "odds ratio, Firth profile", firth_model(design, label).terms[1].profile, shift(area)

    table(draw, cohorts=FEW)


def table(
    draw: Callable[[np.random.Generator, int, float], Iterable[Named]], *, cohorts: int = COHORTS
) -> None:
    """Draw cohorts of every size and AUC and print the coverage of every interval."""
    held: dict[str, dict[tuple[int, float], list[bool | None]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for num in SIZES:
        for area in AUCS:
            rng = np.random.default_rng([num, round(100 * area)])
            for _ in range(cohorts):
                for name, found, truth in draw(rng, num, area):
                    held[name][num, area].append(_holds(found, truth))
    print(f"   coverage in % of {cohorts} cohorts (no interval in %); * outside 93 to 97")
    heads = [f"{num}/{area:g}" for num in SIZES for area in AUCS]
    print(f"   {'n / AUC':30}" + "".join(f"{head:>12}" for head in heads))
    for name, cells in held.items():
        print(f"   {name:30}" + "".join(f"{_cell(found):>12}" for found in cells.values()))


def _holds(found: Estimate, truth: float) -> bool | None:
    """Whether an interval holds the truth; an end at infinity is None; None: no interval."""
    if found.low is None and found.high is None:
        return None
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)


def _cell(found: list[bool | None]) -> str:
    """Coverage among the intervals there are."""
    there = [one for one in found if one is not None]
    if not there:
        return "-"
    share = 100 * float(np.mean(there))
    missing = 100 * (1 - len(there) / len(found))
    mark = "" if 93 <= share <= 97 else "*"
    return f"{share:.1f}{mark}" + (f" ({missing:.0f})" if missing >= 0.5 else "")


def labels(num: int, like: int | None = None) -> NDArray[np.int64]:
    """Labels with a share of pCR of 0.26, rounded as for `like` patients."""
    like = like or num
    num_pcr = round(PREVALENCE * like) * (num // like)
    return (np.arange(num) < num_pcr).astype(np.int64)


def binormal(
    rng: np.random.Generator, num: int, area: float, *, like: int | None = None
) -> tuple[NDArray[np.int64], Numbers]:
    """Labels and normal values whose distance gives the AUC."""
    label = labels(num, like)
    return label, rng.normal(size=num) + shift(area) * label


def true_probabilities(
    rng: np.random.Generator, num: int, area: float
) -> tuple[NDArray[np.int64], Numbers]:
    """Probabilities that a normal variable with this AUC gives, and labels drawn from them."""
    is_pcr = rng.random(num) < PREVALENCE
    values = rng.normal(size=num) + shift(area) * is_pcr
    start = np.log(PREVALENCE / (1 - PREVALENCE)) - shift(area) ** 2 / 2
    return is_pcr.astype(np.int64), np.asarray(expit(start + shift(area) * values))


def with_noise(
    rng: np.random.Generator, num: int, area: float
) -> tuple[NDArray[np.int64], Numbers, Numbers]:
    """Labels, their true probabilities, and the same with noise in the log odds."""
    label, probability = true_probabilities(rng, num, area)
    return label, probability, np.asarray(expit(logit(probability) + rng.normal(size=num)))


def shift(area: float) -> float:
    """Distance of two normal distributions of spread 1 with this AUC."""
    return float(np.sqrt(2) * ndtri(area))


def share_above(cut: float) -> float:
    """Share of a normal distribution above a cut."""
    return float(ndtr(-cut))


PARTS = {
    "auc": auc,
    "few": few,
    "difference": difference,
    "counts": counts,
    "areas": areas,
    "calibration": calibration,
    "decision": decision,
    "scores": scores,
    "regression": regression,
}
