"""Speed of our statistics beside a sort and a plain loop; `statistics.py` starts it too."""

import resource
import sys
import time
from collections.abc import Callable

import coverage_simulation
import numpy as np
from neoresponse.config import EvaluateSettings
from neoresponse.evaluation.table import Table
from numpy.typing import NDArray
from scipy.special import expit

from neoresponse.evaluation.alone import evaluate_table
from neoresponse.stats import delong_interval, logistic_model, paired_delong
from neoresponse.stats.bootstrap_auc import auc_replicates

Numbers = NDArray[np.float64]
REPLICATES = 2000
ROUNDS = 15
LOOP_SECONDS = 8.0
LARGE = 100_000


def main(words: list[str]) -> int:
    """Run the parts named, or all."""
    parts: dict[str, Callable[[], None]] = {
        "speed": speed,
        "bootstrap": bootstrap,
        "large": large,
        **coverage_simulation.PARTS,
    }
    unknown = set(words) - parts.keys()
    if unknown:
        print(f"usage: python benchmarks/statistics.py [{' '.join(parts)}]", file=sys.stderr)
        return 2
    for name in words or parts:
        started = time.perf_counter()
        print(f"== {name}")
        parts[name]()
        print(f"   ({time.perf_counter() - started:.0f} s)\n", flush=True)
    return 0


def speed() -> None:
    """AUC with DeLong's variance, and paired DeLong, beside one argsort of the probabilities."""
    for num in (500, 100_000):
        label, first, second = cohort(num)
        best = fastest(
            {
                "one argsort": lambda p=first: np.argsort(p),
                "AUC and DeLong": lambda y=label, p=first: delong_interval(y, p),
                "paired DeLong": lambda y=label, p=first, q=second: paired_delong(y, p, q),
            }
        )
        for name, seconds in best.items():
            share = seconds / best["one argsort"]
            print(f"n = {num:7,}  {name:15} {1e3 * seconds:8.3f} ms  {share:5.2f} x argsort")


def bootstrap() -> None:
    """2,000 replicates of one AUC beside a loop that draws, checks and ranks one at a time."""
    plain, name = plain_auc()
    for num in (500, 100_000):
        label, first, _ = cohort(num)
        rng = np.random.default_rng(1)
        started = time.perf_counter()
        done = 0
        while done < REPLICATES and time.perf_counter() - started < LOOP_SECONDS:
            drawn = rng.integers(0, num, size=num)
            plain(label[drawn], first[drawn])
            done += 1
        loop = (time.perf_counter() - started) / done * REPLICATES
        ours = fastest(
            {"ours": lambda y=label, p=first, draws=rng: auc_replicates(y, [p], rng=draws)},
            rounds=10 if num < 1000 else 3,
        )["ours"]
        print(
            f"n = {num:7,}  {REPLICATES} replicates: ours {ours:7.3f} s, loop {loop:8.2f} s "
            f"({done} measured): {loop / ours:6.0f} x  [{name}]"
        )


def large() -> None:
    """A table's logistic regression, and all numbers about one column, of 100,000 rows."""
    rng = np.random.default_rng(1)
    design = np.column_stack([np.ones(LARGE), rng.normal(size=(LARGE, 19))])
    label = (rng.random(LARGE) < expit(design @ rng.normal(0, 0.3, size=20))).astype(np.int64)
    table = Table(label, {"p": expit(design[:, 1])}, LARGE, {}, {})
    for name, call in (
        ("logistic regression, 20 columns", lambda: logistic_model(design, label)),
        ("all that `evaluate` computes", lambda: evaluate_table(table, EvaluateSettings())),
    ):
        started = time.process_time()
        call()
        seconds = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"n = {LARGE:,}  {name:32} {seconds:6.1f} s of CPU, {peak:.2f} GB at most so far",
            flush=True,
        )


def cohort(num: int) -> tuple[NDArray[np.int64], Numbers, Numbers]:
    """Labels and two sets of correlated values that order them."""
    rng = np.random.default_rng(0)
    label = (rng.random(num) < 0.26).astype(np.int64)
    first = rng.normal(size=num) + 1.2 * label
    return label, first, first + rng.normal(size=num)


def fastest(calls: dict[str, Callable[[], object]], *, rounds: int = ROUNDS) -> dict[str, float]:
    """Least seconds of each call, taken in turns so that all meet the same machine."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def plain_auc() -> tuple[Callable[[Numbers, Numbers], float], str]:
    """scikit-learn's AUC where it is installed, else a loop twin of its steps."""
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError:
        return twin_auc, "plain NumPy steps (scikit-learn, which checks more, is not here)"
    return roc_auc_score, "scikit-learn"


def twin_auc(label: Numbers, probability: Numbers) -> float:
    """AUC by a stable sort, running sums and trapezoids, as scikit-learn takes it."""
    if np.unique(label).size != 2 or not np.isfinite(probability).all():
        raise ValueError("expected two classes and finite numbers")
    order = np.argsort(probability, kind="mergesort")[::-1]
    hits, falling = label[order], probability[order]
    cuts = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
    true = np.append(0, np.cumsum(hits)[cuts])
    false = np.append(0, 1 + cuts - true[1:])
    return float(np.trapezoid(true / true[-1], false / false[-1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
