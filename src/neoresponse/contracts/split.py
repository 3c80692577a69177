"""`split.json`: what a split came to, and the hash of its `split.csv`."""

from typing import ClassVar

from neoresponse.contracts.record import FileRecord, Record


class PartCounts(Record):
    """Patients of one part of a split."""

    num_patients: int
    num_pcr: int


class SampleCounts(Record):
    """Training samples after each step of augmentation."""

    balanced: int
    """After flips of pCR patients."""
    augmented: int
    """With rotated and scaled variants."""
    with_ultrasound_versions: int
    """With all ultrasound versions."""


class SplitSummary(FileRecord):
    """What a split came to."""

    SCHEMA: ClassVar[str] = "neoresponse.split/1"
    FILE_NAME: ClassVar[str] = "split.json"

    seed: int
    """It was drawn with."""
    counts: dict[str, PartCounts]
    """train, validation, TC1, TC2 -> its patients."""
    samples: SampleCounts
    sha256: str
    """Of `split.csv`."""
