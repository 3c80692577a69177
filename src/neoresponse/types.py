"""The values that travel between the parts; frozen, with their units in their names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]
Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")

RESEARCH_USE = "For research use only. Not a medical device."
SIMULATED = "SIMULATED"

CLINICAL_ONLY, SUBTYPE_ONLY, SIZE_CHANGE_ONLY = "clinical_only", "subtype_only", "size_change_only"
REFERENCE_MODELS = (CLINICAL_ONLY, SUBTYPE_ONLY, SIZE_CHANGE_ONLY)
"""What is known without a network: the four clinical variables, the subtype alone, and how much
smaller the lesion became. They stand beside every network."""


class TimePoint(StrEnum):
    """When an ultrasound frame was taken."""

    US_0 = "us_0"
    """In the week before neoadjuvant chemotherapy."""
    US_1 = "us_1"
    """After two cycles."""


class Modality(StrEnum):
    """One of the four inputs that a patient may have."""

    BIOPSY = "biopsy"
    US_0 = "us_0"
    US_1 = "us_1"
    CLINICAL = "clinical"


class Severity(StrEnum):
    """What a finding does to the patient it names."""

    STOP = "stop"
    """Nothing can go on until it is mended; it concerns the whole cohort."""
    EXCLUDE = "exclude"
    """The patient is left out, and counted as left out."""
    NOTE = "note"
    """The patient stays; someone should look."""


@dataclass(frozen=True)
class Finding:
    """One problem in a cohort.

    Attributes:
        patient_id: the patient it concerns, or None for the whole cohort.
        where: column, file or modality.
        message: one sentence: what was expected, what was got, what to do.
        severity: what follows from it.
    """

    patient_id: str | None
    where: str
    message: str
    severity: Severity


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels: left <= x < right, top <= y < bottom."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """Centre as (x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Roi:
    """A drawn outline in pixels of the image it was drawn on (level 0 of a slide).

    Attributes:
        polygons: closed rings without the repeated last vertex, each (vertices, 2) as x, y.
    """

    polygons: tuple[FloatArray, ...]

    @property
    def bounds(self) -> Box:
        """The smallest box around all polygons."""
        vertices = np.concatenate(self.polygons)
        (left, top), (right, bottom) = vertices.min(axis=0), vertices.max(axis=0)
        return Box(float(left), float(top), float(right), float(bottom))


@dataclass(frozen=True)
class UltrasoundFrame:
    """One B-mode frame, decoded.

    Attributes:
        pixels: grey levels, uint8, (height, width), 0 = black = no echo.
        region: where the B-mode picture stands in the frame; outside it banners may stand.
        spacing_mm: size of a pixel as (row, column) in mm, or None where the file does not say.
        acquired: day of acquisition, or None where the file does not say.
    """

    pixels: Pixels
    region: Box
    spacing_mm: tuple[float, float] | None
    acquired: date | None


@dataclass(frozen=True)
class UltrasoundSource:
    """Where one time point's frame and outline lie, and what was found in them.

    Attributes:
        path: the frame.
        roi_path: the outline of the lesion, or None where the lesion is no longer visible.
        spacing_mm: (row, column) in mm from the file or from `cohort.toml`, or None.
    """

    path: Path
    roi_path: Path | None
    spacing_mm: tuple[float, float] | None


@dataclass(frozen=True)
class SlideSource:
    """Where the biopsy slide and its outline lie.

    Attributes:
        path: the slide, or an image of one region.
        roi_path: the outline of the representative invasive area, or None: the whole image.
        mpp: micrometres per pixel at level 0 from the file or from `cohort.toml`, or None.
    """

    path: Path
    roi_path: Path | None
    mpp: float | None


@dataclass(frozen=True)
class Patient:
    """A patient that passed the checks.

    Attributes:
        patient_id: the name used in every file written from here on.
        label: 1 for pCR, 0 for residual disease, None where unknown.
        is_multifocal: whether the tumour has several foci.
        clinical: our variable name -> level or number; a missing value has no entry.
        us_0: frame before chemotherapy, or None.
        us_1: frame after two cycles, or None.
        biopsy: biopsy slide, or None.
        machine: ultrasound machine, or None.
        centre: hospital, or None.
    """

    patient_id: str
    label: int | None
    is_multifocal: bool
    clinical: Mapping[str, str | float] = field(default_factory=dict)
    us_0: UltrasoundSource | None = None
    us_1: UltrasoundSource | None = None
    biopsy: SlideSource | None = None
    machine: str | None = None
    centre: str | None = None

    @property
    def available(self) -> tuple[Modality, ...]:
        """The inputs this patient has, in the order of `Modality`."""
        sources = {
            Modality.BIOPSY: self.biopsy,
            Modality.US_0: self.us_0,
            Modality.US_1: self.us_1,
            Modality.CLINICAL: self.clinical or None,
        }
        return tuple(modality for modality, source in sources.items() if source is not None)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the estimate; None where it cannot be estimated (say why in `note`).
        low: lower end of the interval, or None.
        high: upper end of the interval, or None.
        num_patients: how many patients it rests on.
        method: how the interval was made, such as "DeLong" or "Wilson".
        confidence: coverage of the interval.
        note: why a value is missing or special, else empty.
    """

    value: float | None
    low: float | None
    high: float | None
    num_patients: int
    method: str
    confidence: float = 0.95
    note: str = ""

    def __post_init__(self) -> None:
        checked_confidence(self.confidence)


def checked_confidence(confidence: float) -> float:
    """A coverage as it came.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(
            f"confidence: expected a number between 0 and 1, such as 0.95, got {confidence!r}."
        )
    return confidence


Say = Callable[[str], None]
"""Gets one line per step."""


class Track(Protocol):
    """Shows how far a loop has come; the command line passes a progress bar."""

    def __call__(self, items: Iterable[T], *, name: str, total: int | None = None) -> Iterator[T]:
        """Yield the items one by one."""
        ...


def untracked(items: Iterable[T], *, name: str, total: int | None = None) -> Iterator[T]:
    """Track nothing: the default where nobody watches."""
    yield from items


def silent(_line: str) -> None:
    """Say nothing: the default where nobody listens."""
