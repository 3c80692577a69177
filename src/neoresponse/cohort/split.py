"""Checked patients -> who is trained on and who is only tested; made before anything is fitted.

Guo 2024, Methods: patients with one focus are divided 8:1:1 into training, validation and test
cohort 1 (TC1), stratified by pCR; patients with several foci are test cohort 2 (TC2).
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neoresponse.contracts.record import has_record, read_record, write_record
from neoresponse.contracts.split import PartCounts, SampleCounts, SplitSummary
from neoresponse.durable import sha256_of, write_text
from neoresponse.errors import CohortError, ConfigError, RunError
from neoresponse.settings import AugmentSettings, SplitSettings
from neoresponse.types import Patient

CSV_NAME = "split.csv"
COLUMNS = ("patient_id", "cohort", "split", "label", "is_multifocal")
PARTS = (("primary", "train"), ("primary", "validation"), ("TC1", "test"))
"""Cohort and split of the three drawn parts, in the order of the sizes."""
TC2 = ("TC2", "test")


@dataclass(frozen=True)
class Assignment:
    """Where one patient belongs.

    Attributes:
        patient_id: the patient.
        cohort: primary, TC1 or TC2.
        split: train, validation or test.
        label: 1 for pCR, 0 for residual disease.
        is_multifocal: whether the tumour has several foci.
    """

    patient_id: str
    cohort: str
    split: str
    label: int
    is_multifocal: bool


def split_patients(
    patients: Sequence[Patient], settings: SplitSettings, *, seed: int
) -> tuple[Assignment, ...]:
    """Assign every labelled patient to one part.

    Args:
        patients: checked patients in any order; those without a label take no part.
        settings: sizes or ratio, and where multifocal patients go.
        seed: decides who goes where; the order of `patients` does not.

    Returns:
        One assignment per labelled patient, by patient_id.

    Raises:
        ConfigError: the sizes do not add up to the patients to be divided, or cannot be sizes.
        CohortError: a patient stands twice, or a part would lack a class.
    """
    labelled = sorted((p for p in patients if p.label is not None), key=lambda p: p.patient_id)
    if len({p.patient_id for p in labelled}) != len(labelled):
        raise CohortError("split: expected each patient once, got some twice. Run check again.")
    sets_apart = settings.multifocal == "TC2"
    apart = [p for p in labelled if sets_apart and p.is_multifocal]
    drawn = [p for p in labelled if not (sets_apart and p.is_multifocal)]
    sizes = _part_sizes(len(drawn), settings)
    rng = np.random.default_rng(seed)
    part_of: dict[str, int] = {}
    num_pcr = sum(p.label == 1 for p in drawn)
    pcr_quotas = largest_remainder(num_pcr, sizes)
    quotas = {1: pcr_quotas, 0: tuple(n - k for n, k in zip(sizes, pcr_quotas, strict=True))}
    _check_both_classes(quotas)
    for label in (1, 0):
        group = [p.patient_id for p in drawn if p.label == label]
        order = rng.permutation(len(group))
        parts = np.repeat(np.arange(len(PARTS)), quotas[label])
        part_of.update({group[i]: int(part) for i, part in zip(order, parts, strict=True)})
    places = {p.patient_id: PARTS[part_of[p.patient_id]] for p in drawn}
    places.update({p.patient_id: TC2 for p in apart})
    return tuple(_assignment(p, *places[p.patient_id]) for p in labelled)


def unused_preset(num_patients: int, settings: SplitSettings) -> str | None:
    """One line where a preset names sizes for another number of patients; else None.

    Args:
        num_patients: patients in train, validation and TC1 together.
        settings: that the split was drawn with.
    """
    preset = settings.preset_sizes
    if settings.sizes is not None or preset is None or sum(preset) == num_patients:
        return None
    ratio = ":".join(f"{share:g}" for share in settings.ratio)
    return (
        f"split: the preset's sizes {list(preset)} are for {sum(preset)} patients, this cohort has "
        f"{num_patients}: the ratio {ratio} decides"
    )


def largest_remainder(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Divide a whole number in proportion: floors first, then one each by largest remainder.

    Args:
        total: what is divided.
        weights: shares, none negative, their sum above 0; on a tie the earlier part gains.

    Returns:
        Whole numbers that add up to `total`.
    """
    exact = [total * weight / sum(weights) for weight in weights]
    floors = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (floors[i] - exact[i], i))
    gains = set(by_remainder[: total - sum(floors)])
    return tuple(floor + (i in gains) for i, floor in enumerate(floors))


def count_samples(assignments: Sequence[Assignment], augment: AugmentSettings) -> SampleCounts:
    """Count training samples after balancing, after rotation and scaling, and in ultrasound.

    Args:
        assignments: the split.
        augment: which variants are made.
    """
    labels = [a.label for a in assignments if a.split == "train"]
    flips_per_pcr = 2 if augment.flips_pcr(labels) else 0
    balanced = len(labels) + flips_per_pcr * sum(labels)
    augmented = balanced * (1 + augment.num_variants)
    return SampleCounts(
        balanced=balanced,
        augmented=augmented,
        with_ultrasound_versions=augmented * augment.us_factor,
    )


def count_parts(assignments: Sequence[Assignment]) -> dict[str, PartCounts]:
    """Patients, and patients with pCR, in train, validation, TC1 and TC2."""
    labels: dict[str, list[int]] = {name: [] for name in _PART_NAMES}
    for assignment in assignments:
        name = assignment.split if assignment.cohort == "primary" else assignment.cohort
        labels[name].append(assignment.label)
    return {
        name: PartCounts(num_patients=len(found), num_pcr=sum(found))
        for name, found in labels.items()
    }


def split_csv(assignments: Sequence[Assignment]) -> str:
    """The content of `split.csv`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for a in assignments:
        writer.writerow([a.patient_id, a.cohort, a.split, a.label, int(a.is_multifocal)])
    return text.getvalue()


def write_split(
    folder: Path, assignments: Sequence[Assignment], augment: AugmentSettings, *, seed: int
) -> None:
    """Write `split.csv`, and `split.json` with its counts and its hash.

    Args:
        folder: an existing folder.
        assignments: the split.
        augment: the augmentation that is planned, for the counts of samples.
        seed: the seed it was drawn with.
    """
    write_text(folder / CSV_NAME, split_csv(assignments))
    summary = SplitSummary(
        seed=seed,
        counts=count_parts(assignments),
        samples=count_samples(assignments, augment),
        sha256=sha256_of(folder / CSV_NAME),
    )
    write_record(folder, summary)


def read_split(folder: Path) -> tuple[Assignment, ...]:
    """Read the split of a split folder, or the copy that a run folder keeps.

    Args:
        folder: holds `split.csv`; a `split.json` beside it must be the one written with it.

    Raises:
        RunError: the file is missing, was changed since, or names a patient twice.
    """
    path = folder / CSV_NAME
    if not path.is_file():
        raise RunError(f"{path}: expected this file, got none. Run split first.")
    is_stated = has_record(folder, SplitSummary)
    if is_stated and sha256_of(path) != read_record(folder, SplitSummary).sha256:
        raise RunError(
            f"{path}: expected the content that {SplitSummary.FILE_NAME} was written for, got "
            "another. Run split again; a split is never edited."
        )
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise RunError(
                f"{path}: expected columns {list(COLUMNS)}, got {reader.fieldnames}. "
                "Run split again."
            )
        assignments = tuple(_parse(path, record) for record in reader)
    if len({a.patient_id for a in assignments}) != len(assignments):
        raise RunError(f"{path}: expected each patient once, got some twice. Run split again.")
    return assignments


_PART_NAMES = ("train", "validation", "TC1", "TC2")


def _part_sizes(num_patients: int, settings: SplitSettings) -> tuple[int, ...]:
    """Patients in each drawn part."""
    kind = "unifocal labelled" if settings.multifocal == "TC2" else "labelled"
    preset = settings.preset_sizes
    if settings.sizes is None and preset is not None and sum(preset) == num_patients:
        return preset
    if settings.sizes is None:
        if min(settings.ratio) <= 0:
            raise ConfigError(
                f"split.ratio: expected three shares above 0, got {list(settings.ratio)}. "
                "Write it like [8, 1, 1]."
            )
        return largest_remainder(num_patients, settings.ratio)
    if min(settings.sizes) <= 0 or sum(settings.sizes) != num_patients:
        raise ConfigError(
            f"split.sizes: expected three sizes above 0 that add up to the {num_patients} {kind} "
            f"patients, got {list(settings.sizes)}, which add up to {sum(settings.sizes)}. "
            'Change split.sizes, or set it to "ratio" so that split.ratio decides.'
        )
    return settings.sizes


def _check_both_classes(quotas: dict[int, tuple[int, ...]]) -> None:
    """Every drawn part needs patients with and without pCR."""
    for i, (cohort, split) in enumerate(PARTS):
        if min(quotas[0][i], quotas[1][i]) < 1:
            name = split if cohort == "primary" else cohort
            raise CohortError(
                f"{name}: expected patients with and without pCR, got {quotas[1][i]} with and "
                f"{quotas[0][i]} without. Use more patients or give this part a larger share."
            )


def _assignment(patient: Patient, cohort: str, split: str) -> Assignment:
    """A patient at its place."""
    assert patient.label is not None
    return Assignment(patient.patient_id, cohort, split, patient.label, patient.is_multifocal)


def _parse(path: Path, record: Mapping[str, str]) -> Assignment:
    """One line of split.csv."""
    place = (record["cohort"], record["split"])
    if place not in (*PARTS, TC2) or record["label"] not in ("0", "1"):
        raise RunError(f"{path}: expected a known part and label, got {record}. Run split again.")
    return Assignment(
        patient_id=record["patient_id"],
        cohort=record["cohort"],
        split=record["split"],
        label=int(record["label"]),
        is_multifocal=record["is_multifocal"] == "1",
    )
