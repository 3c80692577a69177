"""Path cells of one row -> images that were opened, decoded and fit their outlines."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath, PureWindowsPath

from neoresponse.cohort.dictionary import FILE_COLUMNS
from neoresponse.cohort.row import Row
from neoresponse.errors import CohortError, ImageError, RoiError
from neoresponse.imaging import (
    Slide,
    check_inside,
    mask_size,
    names_patient,
    open_slide,
    read_roi,
    read_ultrasound,
)
from neoresponse.types import (
    Box,
    Finding,
    Roi,
    SlideSource,
    TimePoint,
    UltrasoundFrame,
    UltrasoundSource,
)

MIN_LESION_PX = 10
"""A lesion whose longest side is shorter before chemotherapy is a slip of the hand."""
MIN_REGION_PX = 32
SPOT_PX = 64
"""Side of the spots of a slide that are read to see whether they can be."""


@dataclass
class RowFiles:
    """What the path cells of one row led to; filled while the row is checked.

    Attributes:
        us_0: frame before chemotherapy, or None.
        us_1: frame after two cycles, or None.
        biopsy: slide, or None.
        images: our word -> resolved path of each image file that is there.
        findings: all that is wrong or worth a look.
    """

    us_0: UltrasoundSource | None = None
    us_1: UltrasoundSource | None = None
    biopsy: SlideSource | None = None
    images: dict[str, Path] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_files(row: Row, folder: Path) -> RowFiles:
    """Open every file that a row names.

    Args:
        row: the row.
        folder: the cohort folder; no file outside it is opened.
    """
    files = RowFiles()
    files.us_0, acquired_0 = _check_ultrasound(row, folder, TimePoint.US_0, files)
    files.us_1, acquired_1 = _check_ultrasound(row, folder, TimePoint.US_1, files)
    if acquired_0 is not None and acquired_1 is not None:
        files.findings.extend(_check_order(row, acquired_0, acquired_1))
    files.biopsy = _check_slide(row, folder, files)
    return files


def resolve_inside(folder: Path, text: str) -> Path:
    """The file that a path cell means.

    Args:
        folder: the cohort folder.
        text: a path relative to it; a backslash counts as a slash.

    Raises:
        CohortError: it is absolute, leads out of the folder, or is no readable file; the path is
            not told, because it may name a patient.
    """
    is_absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).drive
    inside = _inside(folder, text)
    try:
        is_outside = not inside.resolve().is_relative_to(folder.resolve())
        if is_absolute or is_outside:
            raise CohortError(
                "expected a path inside the cohort folder, got one outside. Copy the file into it."
            )
        if not inside.is_file():
            raise CohortError("expected a file, got none. Check the path.")
        with inside.open("rb"):
            return inside
    except (OSError, ValueError, RuntimeError) as error:  # a null character, a loop of links
        reason = (error.strerror if isinstance(error, OSError) else None) or "an impossible path"
        raise CohortError(f"expected a readable file, got: {reason}. Check the path.") from None


def _inside(folder: Path, text: str) -> Path:
    """A path cell under the cohort folder, unchecked."""
    return folder / PurePosixPath(text.replace("\\", "/"))


def _left_out(row: Row, word: str, folder: Path, error: CohortError) -> Finding:
    """An error over one file as a finding, without paths: they may name a patient."""
    message = str(error)
    for text in filter(None, map(row.text, FILE_COLUMNS)):
        message = message.replace(f"{_inside(folder, text)}: ", "")
    return row.exclude(word, message)


def _check_ultrasound(
    row: Row, folder: Path, time_point: TimePoint, files: RowFiles
) -> tuple[UltrasoundSource | None, date | None]:
    """Decode a frame and read its outline; gives the source and the day of acquisition."""
    word = str(time_point)
    text = row.text(word)
    if text is None:
        files.findings.extend(_absent(row, word))
        return None, None
    try:
        path = files.images[word] = resolve_inside(folder, text)
        frame = read_ultrasound(path, spacing_mm=row.file.ultrasound.spacing_mm)
        files.findings.extend(_frame_notes(row, word, path, frame))
        if frame.pixels.min() == frame.pixels.max():
            raise ImageError("expected an image, got a uniformly grey one. Export the frame again.")
        roi_path = _check_lesion_outline(row, folder, time_point, frame, files)
        return UltrasoundSource(path, roi_path, frame.spacing_mm), frame.acquired
    except CohortError as error:
        files.findings.append(_left_out(row, word, folder, error))
        return None, None


def _absent(row: Row, word: str) -> list[Finding]:
    """Notes about an input that a patient does not have."""
    notes = []
    if word in row.cells:
        notes.append(row.note(word, "expected a file, got none. The network masks this input."))
    if row.text(f"{word}_roi") is not None:
        message = f"expected an image for this outline, got none. Fill in {word} or remove it."
        notes.append(row.note(f"{word}_roi", message))
    return notes


def _frame_notes(row: Row, word: str, path: Path, frame: UltrasoundFrame) -> list[Finding]:
    """What someone should look at in a frame that can be used."""
    notes = []
    if frame.spacing_mm is None:
        message = "expected a pixel size in mm, got none. Set ultrasound.spacing_mm if it is known."
        notes.append(row.note(word, message))
    if not row.file.is_simulated and names_patient(path, row.name):
        message = (
            "expected a patient_id made for the study, got the hospital's number: the file has it "
            "next to the patient's name. Use study numbers and remove the names."
        )
        notes.append(row.note(word, message))
    return notes


def _check_lesion_outline(
    row: Row, folder: Path, time_point: TimePoint, frame: UltrasoundFrame, files: RowFiles
) -> Path | None:
    """Read the outline of a lesion; gives its path, or None where nothing is visible or usable."""
    word = f"{time_point}_roi"
    text = row.text(word)
    if text is None and time_point is TimePoint.US_1:
        message = "expected an outline, got none. The lesion is taken as no longer visible."
        files.findings.append(row.note(word, message))
        return None
    try:
        if text is None:
            raise RoiError("expected the outline of the lesion, got none. Draw and name it.")
        path = resolve_inside(folder, text)
        height, width = frame.pixels.shape
        roi = _read_outline(path, width=width, height=height)
        longest = max(roi.bounds.width, roi.bounds.height)
        if time_point is TimePoint.US_0 and longest < MIN_LESION_PX:
            raise RoiError(
                f"expected a lesion of at least {MIN_LESION_PX} pixels, got {longest:.1f}. "
                "Draw the outline again."
            )
        if not _holds(frame.region, roi.bounds):
            message = (
                "expected an outline inside the B-mode image, got one that extends beyond it. "
                "Check the outline."
            )
            files.findings.append(row.note(word, message))
        return path
    except CohortError as error:
        files.findings.append(_left_out(row, word, folder, error))
        return None


def _read_outline(path: Path, *, width: int, height: int) -> Roi:
    """Read an outline and check that it fits its image."""
    try:
        size = mask_size(path)
        if size is not None and size != (width, height):
            raise RoiError(
                f"expected a mask of {width} x {height} pixels as its image has, got "
                f"{size[0]} x {size[1]}. Export the mask at the size of the image."
            )
        roi = read_roi(path)
    except ImageError as error:
        raise RoiError(str(error)) from error
    check_inside(roi, width=width, height=height)
    return roi


def _holds(outer: Box, inner: Box) -> bool:
    """Whether a box lies in another, up to one pixel."""
    return (
        inner.left >= outer.left - 1
        and inner.top >= outer.top - 1
        and inner.right <= outer.right + 1
        and inner.bottom <= outer.bottom + 1
    )


def _check_order(row: Row, acquired_0: date, acquired_1: date) -> list[Finding]:
    """US-1 must come after US-0."""
    if acquired_1 < acquired_0:
        message = (
            f"expected US-1 after US-0, got {acquired_1} and {acquired_0}. "
            "Check that the two files are not swapped."
        )
        return [row.exclude("us_1", message)]
    if acquired_1 == acquired_0:
        message = f"expected US-1 weeks after US-0, got {acquired_1} for both. Check the files."
        return [row.note("us_1", message)]
    return []


def _check_slide(row: Row, folder: Path, files: RowFiles) -> SlideSource | None:
    """Open a slide, read its outline and some spots of what it outlines."""
    text = row.text("slide")
    if text is None:
        files.findings.extend(_absent(row, "slide"))
        return None
    try:
        path = files.images["slide"] = resolve_inside(folder, text)
        with open_slide(path, mpp=row.file.slide.mpp) as slide:
            if slide.mpp is None:
                message = "expected micrometres per pixel, got none. Set slide.mpp if it is known."
                files.findings.append(row.note("slide", message))
            roi_path = _check_slide_outline(row, folder, slide, files)
            return SlideSource(path, roi_path, slide.mpp)
    except CohortError as error:
        files.findings.append(_left_out(row, "slide", folder, error))
        return None


def _check_slide_outline(row: Row, folder: Path, slide: Slide, files: RowFiles) -> Path | None:
    """Read a slide's outline and spots of the outlined region."""
    text = row.text("slide_roi")
    if text is None:
        message = "expected an outline, got none. The whole image is taken as the region."
        files.findings.append(row.note("slide_roi", message))
        _read_spots(slide, Box(0, 0, slide.width, slide.height))
        return None
    try:
        path = resolve_inside(folder, text)
        roi = _read_outline(path, width=slide.width, height=slide.height)
        if min(roi.bounds.width, roi.bounds.height) < MIN_REGION_PX:
            raise RoiError(
                f"expected a region of at least {MIN_REGION_PX} pixels a side, got "
                f"{roi.bounds.width:.1f} x {roi.bounds.height:.1f}. Draw the outline again."
            )
        _read_spots(slide, roi.bounds)
        return path
    except ImageError:
        raise  # the slide is broken there, not its outline
    except CohortError as error:
        files.findings.append(_left_out(row, "slide_roi", folder, error))
        return None


def _read_spots(slide: Slide, region: Box) -> None:
    """Read the corners and the centre of a region at full resolution."""
    side = min(SPOT_PX, region.width, region.height)
    for x_share in (0.0, 0.5, 1.0):
        for y_share in (0.0, 0.5, 1.0):
            left = region.left + x_share * (region.width - side)
            top = region.top + y_share * (region.height - side)
            spot = Box(left, top, left + side, top + side)
            slide.read_region(spot, out_px=(SPOT_PX, SPOT_PX))
