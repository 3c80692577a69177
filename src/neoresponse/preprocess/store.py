"""Contract 2: the prepared store, pixels ready to learn from.

In: a checked cohort. Out: a folder with one array per image input, the patient as first axis, and
`manifest.json`. Its reference is docs/reference/prepared-store.md.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from neoresponse.cohort.validate import CheckedCohort
from neoresponse.contracts.record import read_record, write_record
from neoresponse.contracts.store import StoredImage, StoredPatient, StoreManifest
from neoresponse.durable import sha256_of
from neoresponse.errors import CohortError, RunError
from neoresponse.folders import new_folder
from neoresponse.imaging.roi import read_roi
from neoresponse.imaging.slide import open_slide
from neoresponse.imaging.ultrasound import read_ultrasound
from neoresponse.preprocess.slide import read_patches, region_box
from neoresponse.preprocess.ultrasound import (
    Window,
    crop_frame,
    follow_up_window,
    lesion_mm,
    lesion_window,
    window_box,
)
from neoresponse.settings import PrepareSettings
from neoresponse.types import (
    Box,
    Modality,
    Patient,
    Pixels,
    Track,
    UltrasoundFrame,
    UltrasoundSource,
    untracked,
)

MANIFEST = StoreManifest.FILE_NAME
IMAGES = (Modality.US_0, Modality.US_1, Modality.BIOPSY)
CODE_VERSION = 2
"""Raised when the same file and settings would give other pixels or sizes than before."""

Cut = tuple[Pixels, Box, float | None]
"""Pixels, the box in the source that they show, and the size of the lesion in mm."""
Image = tuple[Pixels, StoredImage]
"""Pixels, and what they were made from."""


@dataclass(frozen=True)
class Source:
    """An image's files as they are now.

    Attributes:
        sha256: of the image.
        roi_sha256: of its outline, or None.
        spacing: size of a pixel, or None.
        key: one hash over all that shapes its pixels.
    """

    sha256: str
    roi_sha256: str | None
    spacing: tuple[float, float] | float | None
    key: str = ""


@dataclass(frozen=True)
class Store:
    """An opened prepared store; arrays are memory-mapped and read-only."""

    folder: Path
    manifest: StoreManifest

    @property
    def patients(self) -> tuple[StoredPatient, ...]:
        """All patients, in the order of the arrays' first axis."""
        return self.manifest.patients

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """patient_id -> index on the first axis."""
        return {patient.patient_id: row for row, patient in enumerate(self.patients)}

    @property
    def settings(self) -> PrepareSettings:
        """How the pixels were made."""
        return self.manifest.settings

    def array(self, modality: Modality) -> Pixels:
        """Pixels: ultrasound (patients, side, side); biopsy (patients, patches, 3, side, side)."""
        array: Pixels = np.load(self.folder / f"{modality}.npy", mmap_mode="r", allow_pickle=False)
        return array


def open_store(folder: Path) -> Store:
    """Open a prepared store.

    Raises:
        RunError: it is none, it is of another version, or an array has another shape than stated.
    """
    manifest = read_record(folder, StoreManifest)
    store = Store(folder=folder, manifest=manifest)
    for modality in IMAGES:
        try:
            shape = store.array(modality).shape
        except (OSError, ValueError, EOFError):
            shape = ()
        if shape != manifest.shapes.get(modality):
            raise RunError(
                f"{folder / modality}.npy: expected shape {manifest.shapes.get(modality)}, got "
                f"{shape or 'no array'}. Run prepare again."
            )
    return store


def prepare_store(  # noqa: PLR0913 (what, where, how; the rest is for an older store)
    checked: CheckedCohort,
    out: Path,
    settings: PrepareSettings,
    *,
    force: bool = False,
    keep_old: bool = True,
    track: Track = untracked,
) -> Store:
    """Make a prepared store; rows of an older store at `out` are reused where nothing changed.

    Args:
        checked: a cohort whose patients passed the checks.
        out: the folder to make.
        settings: sizes and windows.
        force: replace an older store.
        keep_old: keep the replaced one beside it.
        track: shows progress.

    Raises:
        RunError: `out` exists and `force` is off.
        CohortError: a file changed since it was checked.
    """
    with new_folder(out, mark=MANIFEST, force=force, keep_old=keep_old) as part:
        older = _older_store(out) if force else None
        shapes = _shapes(len(checked.patients), settings)
        arrays = {
            modality: np.lib.format.open_memmap(
                part / f"{modality}.npy", mode="w+", dtype=np.uint8, shape=shapes[modality]
            )
            for modality in IMAGES
        }
        records = []
        for row, patient in enumerate(track(checked.patients, name="prepare")):
            images = _prepare_patient(patient, settings, older)
            for modality, (pixels, _) in images.items():
                arrays[modality][row] = pixels
            records.append(_stored(patient, {m: image for m, (_, image) in images.items()}))
        for array in arrays.values():
            array.flush()
        manifest = StoreManifest(
            cohort_name=checked.file.name,
            is_simulated=checked.file.is_simulated,
            settings=settings,
            shapes=shapes,
            patients=tuple(records),
        )
        write_record(part, manifest)
    return open_store(out)


def _shapes(num_patients: int, settings: PrepareSettings) -> dict[Modality, tuple[int, ...]]:
    """Shape of each array."""
    frame = (num_patients, settings.image_px, settings.image_px)
    patch = (settings.num_patches, 3, settings.image_px, settings.image_px)
    return {Modality.US_0: frame, Modality.US_1: frame, Modality.BIOPSY: (num_patients, *patch)}


def _older_store(out: Path) -> Store | None:
    """The store that stands at `out`, if a usable one does."""
    try:
        return open_store(out)
    except RunError:
        return None


def _prepare_patient(
    patient: Patient, settings: PrepareSettings, older: Store | None
) -> dict[Modality, Image]:
    """Pixels of each of a patient's images, and what they were made from."""
    sources = _sources(patient, settings)
    reused = _reusable(patient.patient_id, sources, older)
    if reused is not None:
        return reused
    try:
        cuts = {**_crop_ultrasound(patient, settings), **_cut_biopsy(patient, settings)}
    except CohortError as error:
        raise type(error)(f"{patient.patient_id}: {error}") from error
    return {
        modality: (
            pixels,
            StoredImage(
                **asdict(sources[modality]),
                window=_numbers(window),
                pixels_sha256=_hash(pixels),
                lesion_mm=size_mm,
            ),
        )
        for modality, (pixels, window, size_mm) in cuts.items()
    }


def _sources(patient: Patient, settings: PrepareSettings) -> dict[Modality, Source]:
    """Per available image: hashes of what it comes from, and one key over all that shapes it."""
    found: dict[Modality, Source] = {}
    for modality in IMAGES:
        source = getattr(patient, modality)
        if source is not None:
            outline = None if source.roi_path is None else sha256_of(source.roi_path)
            is_frame = isinstance(source, UltrasoundSource)
            spacing = source.spacing_mm if is_frame else source.mpp
            found[modality] = Source(sha256_of(source.path), outline, spacing)
    return {
        # US-1 takes its window from US-0, so it depends on both.
        modality: replace(
            source,
            key=_key(
                modality,
                {m: s for m, s in found.items() if m == modality or modality == Modality.US_1},
                settings,
            ),
        )
        for modality, source in found.items()
    }


def _key(modality: Modality, needed: Mapping[Modality, Source], settings: PrepareSettings) -> str:
    """One hash over code, settings and the files that an image's pixels are made from."""
    files = {
        name: {
            "sha256": source.sha256,
            **({} if source.roi_sha256 is None else {"roi_sha256": source.roi_sha256}),
            "spacing": source.spacing,
        }
        for name, source in needed.items()
    }
    text = json.dumps(
        [CODE_VERSION, settings.model_dump(mode="json"), modality, files], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _reusable(
    patient_id: str, sources: Mapping[Modality, Source], older: Store | None
) -> dict[Modality, Image] | None:
    """The older store's images of a patient, or None where any would differ or is damaged."""
    if older is None or patient_id not in older.row_of:
        return None
    row = older.row_of[patient_id]
    stored = older.patients[row].images
    if {m: image.key for m, image in stored.items()} != {m: s.key for m, s in sources.items()}:
        return None
    images = {m: (np.asarray(older.array(m)[row]), stored[m]) for m in sources}
    is_whole = all(_hash(pixels) == image.pixels_sha256 for pixels, image in images.values())
    return images if is_whole else None


def _crop_ultrasound(patient: Patient, settings: PrepareSettings) -> dict[Modality, Cut]:
    """Crop and window of each time point."""
    frames: dict[Modality, UltrasoundFrame] = {}
    windows: dict[Modality, Window] = {}
    sizes: dict[Modality, float | None] = {}
    for modality, source in ((Modality.US_0, patient.us_0), (Modality.US_1, patient.us_1)):
        if source is None:
            continue
        frame = read_ultrasound(source.path, spacing_mm=_single_spacing(source))
        roi = read_roi(source.roi_path) if source.roi_path is not None else None
        before = windows.get(Modality.US_0)
        if before is not None and (settings.us_1_window == "same" or roi is None):
            windows[modality] = follow_up_window(before, frames[Modality.US_0], frame, roi)
        elif roi is not None:
            windows[modality] = lesion_window(frame, roi, margin_ratio=settings.margin_ratio)
        else:  # only a US-1 frame, and nothing visible on it: the whole B-mode picture
            side = min(frame.region.width, frame.region.height)
            windows[modality] = Window(centre=frame.region.centre, side=side, is_mm=False)
        frames[modality], sizes[modality] = frame, lesion_mm(frame, roi)
    return {
        modality: (
            crop_frame(frame, windows[modality], image_px=settings.image_px),
            window_box(frame, windows[modality]),
            sizes[modality],
        )
        for modality, frame in frames.items()
    }


def _single_spacing(source: UltrasoundSource) -> float | None:
    """The spacing to fall back on where the file has none."""
    return source.spacing_mm[0] if source.spacing_mm is not None else None


def _cut_biopsy(patient: Patient, settings: PrepareSettings) -> dict[Modality, Cut]:
    """Patches of the biopsy, and the region that they come from."""
    source = patient.biopsy
    if source is None:
        return {}
    roi = read_roi(source.roi_path) if source.roi_path is not None else None
    with open_slide(source.path, mpp=source.mpp) as slide:
        patches = read_patches(slide, roi, region_px=settings.region_px, patch_px=settings.image_px)
        return {Modality.BIOPSY: (patches, region_box(slide, roi), None)}


def _hash(pixels: Pixels) -> str:
    """SHA-256 of pixels."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _numbers(box: Box) -> tuple[float, float, float, float]:
    """Left, top, right, bottom, to a thousandth of a pixel."""
    return round(box.left, 3), round(box.top, 3), round(box.right, 3), round(box.bottom, 3)


def _stored(patient: Patient, images: dict[Modality, StoredImage]) -> StoredPatient:
    """One patient's entry in the manifest."""
    return StoredPatient(
        patient_id=patient.patient_id,
        label=patient.label,
        is_multifocal=patient.is_multifocal,
        clinical=dict(patient.clinical),
        available=patient.available,
        machine=patient.machine,
        centre=patient.centre,
        images=images,
    )
