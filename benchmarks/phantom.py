"""What the phantom costs and whether it is what it says: time, memory, Table 1, oracle, effects.

    python benchmarks/phantom.py [cost] [stream] [table1] [oracle] [effects]
        [--patients 596] [--seed 1] [--preset guo2024] [--draws 40000]

Without a word it does all. `cost` writes a cohort at full size and takes some minutes; the other
parts draw patients without pictures.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import betabinom

from neoresponse.phantom import oracle, tumour
from neoresponse.phantom.clinical import (
    BI_RADS,
    NUM_BY_LABEL,
    OTHER_REGIMEN,
    PHENOTYPE,
    Columns,
    make_cells,
)
from neoresponse.stats import fit_logistic
from neoresponse.types import Modality

OTHER_COHORTS = 40
PARTS = ("cost", "stream", "table1", "oracle", "effects")
TABLE_1: Mapping[tuple[str, str], tuple[int, int]] = {
    ("menopause", "pre"): (121, 42),
    ("menopause", "post"): (320, 113),
    ("t_stage", "T1"): (59, 28),
    ("t_stage", "T2"): (367, 119),
    ("t_stage", "T3"): (7, 5),
    ("t_stage", "T4"): (8, 3),
    **{("phenotype", level): counts for level, counts in PHENOTYPE.items()},
    ("er", "negative"): (100, 99),
    ("er", "low"): (8, 13),
    ("er", "positive"): (333, 43),
    ("pr", "negative"): (302, 112),
    ("pr", "positive"): (139, 43),
    ("her2", "negative"): (119, 30),
    ("her2", "low"): (218, 22),
    ("her2", "positive"): (104, 103),
    ("stage", "I-II"): (378, 118),
    ("stage", "III"): (63, 37),
    ("nodes", "positive"): (416, 144),
    ("nodes", "negative"): (25, 11),
    ("regimen", "anti-HER2"): (76, 90),
    **{("regimen", level): counts for level, counts in OTHER_REGIMEN.items()},
    **{("bi_rads", level): counts for level, counts in BI_RADS.items()},
}
"""Printed counts without and with pCR (Guo 2024, Table 1)."""
NUMBERS = {
    "age_years": ((53.17, 9.24), (52.52, 9.17)),
    "bmi": ((24.97, 3.43), (24.62, 3.29)),
    "size_mm": ((29.63, 8.48), (29.35, 10.41)),
    "ki67_percent": ((27.35, 19.5), (40.68, 19.59)),
}
"""Printed means and standard deviations."""
PAPER = {
    ("unifocal", "biopsy"): 0.703,
    ("unifocal", "us_0+us_1"): 0.817,
    ("unifocal", "biopsy+us_0+us_1"): 0.851,
    ("unifocal", "biopsy+us_0+us_1+clinical"): 0.873,
    ("multifocal", "biopsy+us_0+us_1"): 0.713,
    ("multifocal", "biopsy+us_0+us_1+clinical"): 0.819,
}
"""AUC in TC1 and TC2 as the paper prints them; the last of TC1 from its validation cohort."""


def main() -> None:
    """Read the command line and run the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--patients", type=int, default=596)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--preset", choices=list(tumour.PRESETS), default="guo2024")
    parser.add_argument("--draws", type=int, default=40_000)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"unknown part {sorted(unknown)}; choose from {list(PARTS)}")
    print(f"SIMULATED patients, preset {chosen.preset}\n")
    for part in chosen.parts or PARTS:
        if part == "cost":
            print_cost(chosen.patients, seed=chosen.seed)
        elif part == "stream":
            print_stream()
        elif part == "table1":
            print_table_1(chosen.patients, seed=chosen.seed, preset=chosen.preset)
        elif part == "oracle":
            print_oracle(chosen.draws, seed=chosen.seed, preset=chosen.preset)
        else:
            print_effects(20_000, seed=chosen.seed, preset=chosen.preset)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Help as it is written above."""


def write_cohort(*options: str) -> tuple[float, float, float, float]:
    """Write a phantom in a child; gives wall seconds, core seconds, peak MiB of one process, GB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "phantom"
        command = [sys.executable, "-m", "neoresponse", "phantom", str(out), *options]
        subprocess.run(
            command,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e9
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    core_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, core_s, after.ru_maxrss / 1024, size


def print_cost(num_patients: int, *, seed: int) -> None:
    """Time and memory at full size: frames of 512 px, regions of 1536 px."""
    wall_s, core_s, peak_mib, size = write_cohort(
        "--patients", str(num_patients), "--seed", str(seed), "--config", "guo2024"
    )
    print(f"{num_patients} patients at full size: {wall_s / 60:.1f} min, {core_s / 60:.1f} core-"
          f"minutes (target <= 15), at most {peak_mib / 1024:.2f} GiB a process (target <= 2), "
          f"{size:.1f} GB on disk\n", flush=True)  # fmt: skip


def print_stream() -> None:
    """Memory does not grow with the number of patients but for their rows."""
    tiny = ["--set", "phantom.frame_px=96", "--set", "phantom.region_px=96", "--workers", "1"]
    tiny += ["--set", "phantom.mpp=4"]
    for num in (100, 1000):
        _, core_s, peak_mib, _ = write_cohort("--patients", str(num), *tiny)
        print(f"{num} patients with tiny pictures: peak {peak_mib:.0f} MiB, "
              f"{1000 * core_s / num:.0f} ms each", flush=True)  # fmt: skip
    print("(the peak is that of the largest child so far)\n")


def draw_cohort(num_patients: int, *, seed: int, preset: str) -> Columns:
    """The patients of a cohort, drawn as the phantom's writer draws them, without pictures."""
    effects = tumour.PRESETS[preset]
    parts = [
        tumour.draw_patients(
            np.random.default_rng([seed, index, 0]), 1, stratum=stratum, effects=effects
        )
        for index, stratum in enumerate(tumour.strata(num_patients))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def print_table_1(num_patients: int, *, seed: int, preset: str) -> None:
    """Table 1 of a phantom beside the paper's, with the 95 % sampling interval of each count."""
    drawn = draw_cohort(num_patients, seed=seed, preset=preset)
    nums = [int((drawn["label"] == label).sum()) for label in (0, 1)]
    print(f"Table 1, seed {seed}: {nums[0]} without pCR, {nums[1]} with. Paper: 441 and 155.")
    print("In brackets: where 95 % of cohorts of this size lie, given the paper's sample.")
    print(f"{'':38s}{'non-pCR':>8s}  paper  {'interval':12s}{'pCR':>8s}  paper  interval")
    for (name, level), printed in TABLE_1.items():
        line = f"{name + ' ' + level:38s}"
        for label in (0, 1):
            count, low, high = count_and_interval(drawn, (name, level), label)
            line += f"{count:8d}  {printed[label]:5d}  {f'[{low}, {high}]':10s}"
            line += "  " if low <= count <= high else "* "
        print(line.rstrip())
    for name, printed_pair in NUMBERS.items():
        line = f"{name + ', mean (SD)':38s}"
        for label in (0, 1):
            values = drawn[name][drawn["label"] == label]
            mean, sd = printed_pair[label]
            line += f" {values.mean():.2f} ({values.std(ddof=1):.2f}), paper {mean} ({sd})  "
        print(line.rstrip())
    others = [
        num_outside(draw_cohort(num_patients, seed=1000 + number, preset=preset))
        for number in range(OTHER_COHORTS)
    ]
    print(f"{num_outside(drawn)} of {2 * len(TABLE_1)} counts outside; in {OTHER_COHORTS} other "
          f"cohorts {np.mean(others):.1f} on average, none in {np.mean(np.equal(others, 0)):.0%}\n",
          flush=True)  # fmt: skip


def count_and_interval(drawn: Columns, entry: tuple[str, str], label: int) -> tuple[int, int, int]:
    """A count of Table 1 in a phantom, and where 95 % of such counts lie after the paper's."""
    name, level = entry
    is_label = drawn["label"] == label
    count = int(((drawn[name] == level) & is_label).sum())
    return count, *sampling_interval(
        TABLE_1[entry][label], NUM_BY_LABEL[label], int(is_label.sum())
    )


def num_outside(drawn: Columns) -> int:
    """How many counts of Table 1 lie outside their interval."""
    found = [count_and_interval(drawn, entry, label) for entry in TABLE_1 for label in (0, 1)]
    return sum(not low <= count <= high for count, low, high in found)


def sampling_interval(count: int, of: int, num: int) -> tuple[int, int]:
    """Where 95 % of counts of another sample of `num` lie, after `count` of `of` were seen.

    Beta-binomial with a Jeffreys prior (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.5).
    """
    low, high = betabinom.ppf([0.025, 0.975], num, count + 0.5, of - count + 0.5)
    return int(low), int(high)


def print_oracle(num_draws: int, *, seed: int, preset: str) -> None:
    """The best reachable AUC of every set of inputs over the population."""
    print(f"Best reachable AUC of the population ({num_draws} draws; standard error in brackets)")
    print(f"{'inputs':30s}{'unifocal':>18s}{'paper':>8s}{'multifocal':>18s}{'paper':>8s}")
    found = {
        focality: oracle.population_auc(
            np.random.default_rng(seed), num_draws, focality=focality,
            effects=tumour.PRESETS[preset],
        )
        for focality in ("unifocal", "multifocal")
    }  # fmt: skip
    for subset in oracle.subsets():
        name = oracle.subset_name(subset)
        line = f"{name:30s}"
        for focality, by_subset in found.items():
            value, error = by_subset[subset]
            paper = PAPER.get((focality, name)) if preset == "guo2024" else None
            line += (
                f"{f'{value:.3f} ({error:.4f})':>18s}{'' if paper is None else f'{paper:.3f}':>8s}"
            )
        print(line.rstrip())
    print()


def print_effects(num: int, *, seed: int, preset: str) -> None:
    """What logistic regression finds in many patients, beside what was put in."""
    effects = tumour.PRESETS[preset]
    rng = np.random.default_rng(seed)
    num_pcr = round(num * tumour.PCR_SHARE["unifocal"])
    parts = [
        tumour.draw_patients(rng, size, stratum=("unifocal", label), effects=effects)
        for label, size in ((0, num - num_pcr), (1, num_pcr))
    ]
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    cells = make_cells(effects.clinical_strength)
    columns = [np.ones(num), *(drawn[tumour.column_of(trait)] for trait in tumour.TRAITS)]
    names = [*tumour.TRAITS]
    if effects.clinical_strength:
        columns.append(cells.clinical_odds[drawn["cell"]])
        names.append(Modality.CLINICAL.value)
    design = np.stack(columns, axis=1)
    found = fit_logistic(design, drawn["label"])
    chance = 1 / (1 + np.exp(-design @ found))
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (chance * (1 - chance))[:, None]))))
    print(f"Log odds per unit, from {num} unifocal patients by logistic regression")
    for number, name in enumerate(names, start=1):
        low, high = (found[number] + side * 1.96 * errors[number] for side in (-1, 1))
        put_in = "" if name not in tumour.TRAITS else f"put in {slope(name, effects):7.3f}"
        print(f"  {name:16s}{found[number]:8.3f}  95 % CI {low:7.3f} to {high:7.3f}  {put_in}")
    print()


def slope(trait: str, effects: tumour.Effects) -> float:
    """The coefficient of a trait in the log odds: (m1 - m0) / s²."""
    cells = make_cells(effects.clinical_strength)
    means, sd = tumour.trait_means(cells, trait, focality="unifocal", effects=effects)
    return float((means[1, 0] - means[0, 0]) / sd**2)


if __name__ == "__main__":
    main()
