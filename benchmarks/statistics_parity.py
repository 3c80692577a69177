"""Holds our statistics against a folder of reference values of other people's software.

    python benchmarks/statistics_parity.py FOLDER

FOLDER holds `.json` files, under any names and at any depth, each with a list `cases`, and beside
them, in folders `data`, the tables that the cases name. What a file is about is told by the fields
of its cases.

Prints for every file the number of values compared and the one nearest to its tolerance, and what
the file holds that is not compared. Exit code 0: all within tolerance; 1: one is over it, a file is
of no known kind or cannot be read, or there was nothing to check; 2: wrong usage.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import parity_calibration
import parity_counts
import parity_groups
import parity_logistic
import parity_roc
from reference_values import Case, Check, UnknownFileError, read_cases

Checker = Callable[[Case, Path], Iterator[Check]]
KINDS: tuple[tuple[frozenset[str], Checker], ...] = (
    (frozenset({"delong_var", "ci95_logit_lo"}), parity_roc.single),
    (frozenset({"V10_positives_in_file_order"}), parity_roc.placed),
    (frozenset({"thresholds_pROC", "sens"}), parity_roc.curves),
    (frozenset({"dataset", "a", "b", "p_two"}), parity_roc.paired),
    (frozenset({"scores", "cov", "global_test"}), parity_roc.covariance),
    (frozenset({"dataset_a", "dataset_b", "D"}), parity_roc.unpaired),
    (frozenset({"dataset", "rule"}), parity_roc.operating_point),
    (frozenset({"stratified", "boot_n"}), parity_roc.bootstrap),
    (frozenset({"x", "n", "wilson_lo"}), parity_counts.proportion),
    (frozenset({"tp", "fp", "fn", "tn", "acc"}), parity_counts.confused),
    (frozenset({"table", "p_midp"}), parity_counts.mcnemar),
    (frozenset({"p", "holm", "bh"}), parity_counts.adjusted),
    (frozenset({"x", "y", "mw"}), parity_groups.continuous),
    (frozenset({"groups", "kruskal_H"}), parity_groups.multigroup),
    (frozenset({"mean1", "sd1", "student_t"}), parity_groups.from_summary),
    (frozenset({"table", "p_fisher"}), parity_groups.contingency),
    (frozenset({"formula", "penalized_loglik_full"}), parity_logistic.firth),
    (frozenset({"formula", "null_deviance"}), parity_logistic.plain),
    (frozenset({"prob", "slope", "hosmer_lemeshow"}), parity_calibration.calibration),
    (frozenset({"prob", "net_benefit"}), parity_calibration.decisions),
    (frozenset({"cs_rsquared", "n_final"}), parity_calibration.development),
    (frozenset({"auc", "ci_width"}), parity_calibration.validation),
)
"""Fields that tell a kind of case, and what checks it; the first that fits is taken."""


def main(arguments: list[str]) -> int:
    """Check a folder and return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python benchmarks/statistics_parity.py FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    paths = sorted(folder.rglob("*.json"))
    bad = 0
    for path in paths:
        name = path.relative_to(folder)
        try:
            cases = read_cases(path)
            checks = list(check_cases(cases, path))
        except Exception as error:  # whatever went wrong, this file is not shown to be equal
            print(f"FAIL  {name}: cannot be checked: {type(error).__name__}: {error}")
            bad += 1
            continue
        bad += not report(str(name), checks)
        print(f"      not compared, or given: {', '.join(rest(cases, checks)) or 'nothing'}")
    if not paths:
        print(f"{folder}: expected .json files, found none")
    print(f"{len(paths)} files, {len(paths) - bad} within tolerance, {bad} not")
    return 0 if paths and not bad else 1


def check_cases(cases: list[Case], path: Path) -> Iterator[Check]:
    """Compare every value of the cases of a file.

    Raises:
        UnknownFileError: a case is of no known kind.
    """
    for case in cases:
        checker = next((check for keys, check in KINDS if keys <= case.keys()), None)
        if checker is None:
            raise UnknownFileError(f"expected a known kind, got fields {sorted(case)[:8]}")
        yield from checker(case, path)


def report(name: str, checks: list[Check]) -> bool:
    """Print a file's result, and what is over its tolerance; say whether all is well."""
    over = [check for check in checks if not check.is_ok]
    worst = max(checks, key=lambda check: (not check.is_ok, _share(check)))
    print(
        f"{'FAIL' if over else 'ok':5} {name}: {len(checks)} values, largest error "
        f"{worst.error:.1e} of {worst.tolerance:.0e} ({worst.field})"
    )
    for check in over[:20]:
        print(f"        OVER {check.error:.1e} of {check.tolerance:.0e}  {check.field}")
    return not over


def rest(cases: list[Case], checks: list[Check]) -> list[str]:
    """Fields of the cases that no check is named after: given, or not compared."""
    compared = {check.field.split(" (")[0] for check in checks}
    fields = {
        f"{key}.{inner}" if isinstance(value, dict) else key
        for case in cases
        for key, value in case.items()
        for inner in (value if isinstance(value, dict) else [key])
    }
    parents = {field.split(".")[0].split(":")[0] for field in compared}
    return sorted(f for f in fields if f not in compared and (("." in f) or f not in parents))


def _share(check: Check) -> float:
    """The error as a share of what is allowed."""
    return check.error / check.tolerance if check.tolerance else check.error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
