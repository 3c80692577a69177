"""`manifest.json` of a prepared store: whose pixels it holds, and what they were made from."""

from typing import ClassVar

from pydantic import Field

from neoresponse.contracts.record import FileRecord, Record
from neoresponse.settings import PrepareSettings
from neoresponse.types import Modality


class StoredImage(Record):
    """What one image's pixels were made from."""

    sha256: str
    """Of the source."""
    roi_sha256: str | None = None
    """Of the outline, where there is one."""
    spacing: tuple[float, float] | float | None
    """Millimetres per pixel (ultrasound), micrometres per pixel (slide), or unknown."""
    key: str
    """One hash over all that shapes the pixels."""
    window: tuple[float, float, float, float]
    """What of the source is shown: left, top, right, bottom, in its pixels."""
    pixels_sha256: str
    lesion_mm: float | None = None
    """Longest side of the lesion, where it is known."""


class StoredPatient(Record):
    """What the store knows of a patient besides pixels."""

    patient_id: str
    label: int | None
    is_multifocal: bool
    clinical: dict[str, str | float]
    available: tuple[Modality, ...]
    machine: str | None
    centre: str | None
    images: dict[Modality, StoredImage] = Field(default_factory=dict)

    @property
    def shrinkage(self) -> float | None:
        """Share of the lesion's longest side that is gone from US-0 to US-1.

        At most 1 (no longer visible), below 0 where it grew; None where a side is not known.
        """
        before, after = (
            self.images[time].lesion_mm if time in self.images else None
            for time in (Modality.US_0, Modality.US_1)
        )
        return 1 - after / before if before and after is not None else None


class StoreManifest(FileRecord):
    """Everything that a store says besides pixels."""

    SCHEMA: ClassVar[str] = "neoresponse.prepared/1"
    FILE_NAME: ClassVar[str] = "manifest.json"

    cohort_name: str
    is_simulated: bool
    settings: PrepareSettings
    """How the pixels were made."""
    shapes: dict[Modality, tuple[int, ...]]
    """Of each array."""
    patients: tuple[StoredPatient, ...]
    """In the order of the arrays' first axis."""
