"""Plants ten kinds of leak in a simulated cohort, 20 of each, and counts what the audit finds.

    python benchmarks/leakage.py [clean] [tables] [planted] [runs] [loop]
        [--cohort FOLDER] [--patients 596] [--seed 1]

Parts: clean, false alarms in a cohort with images; tables, the same in 20 tables of 500 patients
without images; planted, leaks in tables, images and columns; runs, leaks in run folders and
ledgers; loop, the search for near copies beside a plain loop over all pairs. Without a word all of
them. A cohort of the phantom is written first, or FOLDER is taken. Exit code 1 where a target is
missed: every exact leak found, 98 % of near copies, at most one false alarm per 500 patients. All
patients are SIMULATED.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import leaks_planted as planted
import numpy as np
from scipy.fft import rfft2

from neoresponse.leaks import Sources, find_leaks, gather, near
from neoresponse.leaks.outcome import outcome_columns
from neoresponse.leaks.patients import Entry, same_people
from neoresponse.phantom.writer import write_phantom
from neoresponse.settings import PhantomSettings

PARTS = ("clean", "tables", "planted", "runs", "loop")
EXACT, NEAR, FALSE_PER_500 = 1.0, 0.98, 1.0
NUM_TABLES, LOOP_PAIRS = 20, 60


def main() -> int:
    """Run the parts named, or all, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--cohort", type=Path)
    parser.add_argument("--patients", type=int, default=596)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    parts = options.parts or PARTS
    rng = np.random.default_rng(options.seed)
    fine = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entries: tuple[Entry, ...] = ()
        if {"clean", "planted", "loop"} & set(parts):
            entries = cohort(options.cohort, folder / "phantom", options.patients, options.seed)
        if "clean" in parts:
            fine.append(clean(entries))
        if "tables" in parts:
            fine.append(tables(seed=options.seed))
        rows: list[planted.Planted] = []
        if "planted" in parts:
            num_new = planted.EACH * planted.NUM_NEW_PEOPLE
            base, spare = entries[:-num_new], entries[-num_new:]
            rows += planted.in_tables(base, spare, folder / "new", rng)
            rows += planted.in_columns(entries, folder / "files", rng)
        if "runs" in parts:
            rows += planted.in_runs(folder / "run", rng)
        if rows:
            fine.append(report(rows))
        if "loop" in parts:
            loop(entries)
    return 0 if all(fine) else 1


def cohort(given: Path | None, folder: Path, num: int, seed: int) -> tuple[Entry, ...]:
    """A phantom's patients, every tenth of them a test patient."""
    if given is None:
        settings = PhantomSettings(num_patients=num, frame_px=128, region_px=192, mpp=2.0)
        write_phantom(folder, settings, seed=seed, num_workers=1)
        given = folder
    found = gather([given]).table
    parts = ["test" if place % 10 == 0 else "train" for place in range(len(found))]
    return tuple(replace(entry, part=part) for entry, part in zip(found, parts, strict=True))


def clean(entries: tuple[Entry, ...]) -> bool:
    """False alarms in a cohort without a leak; whether they are few enough."""
    started = time.process_time()
    found = find_leaks(Sources(entries, slides=("slide",)))
    seconds = time.process_time() - started
    num_images = sum(len(entry.images) for entry in entries)
    print(f"{len(entries)} patients with {num_images} images: {seconds:.0f} s of one core")
    for leak in found:
        print(f"  [{leak.kind}] {leak.sentence}")
    return _few(len(found), len(entries))


def tables(*, seed: int) -> bool:
    """False alarms of the checks that need no image, in many tables."""
    num = 0
    for number in range(NUM_TABLES):
        entries = planted.drawn_table(500, seed=1000 * seed + number)
        num += len(same_people(entries)) + len(outcome_columns(entries))
    return _few(num, NUM_TABLES * 500)


def _few(num: int, num_patients: int) -> bool:
    """Say how many alarms are false; whether they are few enough."""
    rate = 500 * num / num_patients
    print(f"false alarms: {num} in {num_patients} patients without a leak, {rate:.2f} per 500 "
          f"(target at most {FALSE_PER_500:g})")  # fmt: skip
    return rate <= FALSE_PER_500


def loop(entries: tuple[Entry, ...]) -> None:
    """Time of the search beside a loop that lays every picture over every other in every way."""
    planes = np.stack([near.thumbnail(planted.pixels_of(e, c)) for e in entries for c in e.images])
    owner = [entry.patient_id for entry in entries for _ in entry.images]
    started = time.process_time()
    near.near_copies(planes, owner)
    seconds = time.process_time() - started
    detail = near._detail(planes, near.FINE)
    spectra = rfft2(near._unit(detail, near.WINDOW)).conj()
    ways = list(product(range(8), near.ANGLES_DEG, near.SCALES))
    rng = np.random.default_rng(0)
    started = time.process_time()
    for one, two in rng.integers(len(planes), size=(LOOP_PAIRS, 2)):
        max(near._overlaid(detail[one], spectra[two], way) for way in ways)
    each = (time.process_time() - started) / LOOP_PAIRS
    num_pairs = len(planes) * (len(planes) - 1) // 2
    print(f"near copies among {len(planes)} pictures: {seconds:.1f} s of one core")
    print(
        f"a loop over {num_pairs:,} pairs: {each * num_pairs / 3600:.1f} h ({1e3 * each:.0f} ms a"
    )
    print(f"pair, timed on {LOOP_PAIRS}), {each * num_pairs / seconds:,.0f} times as long")


def report(rows: list[planted.Planted]) -> bool:
    """The table; whether every target is met."""
    num: Counter[tuple[str, str]] = Counter()
    hits: Counter[tuple[str, str]] = Counter()
    for row in rows:
        num[row.kind, row.how] += 1
        hits[row.kind, row.how] += row.is_found
    print(f"{'kind':28}{'how':34}{'found':>7}{'planted':>9}")
    for (kind, how), count in num.items():
        print(f"{kind:28}{how:34}{hits[kind, how]:7}{count:9}")
    exact = [row.is_found for row in rows if row.kind != "near copy"]
    print(f"exact leaks found: {sum(exact)} of {len(exact)} (target all)")
    close = [row.is_found for row in rows if row.kind == "near copy"]
    share = sum(close) / len(close) if close else 1.0
    if close:
        print(f"near copies found: {sum(close)} of {len(close)} = {share:.1%} (target 98 %)")
    return sum(exact) / len(exact) >= EXACT and share >= NEAR


if __name__ == "__main__":
    sys.exit(main())
