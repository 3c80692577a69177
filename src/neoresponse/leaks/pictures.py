"""Image files of a table, or arrays of a prepared store -> pictures that two patients share."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neoresponse.durable import sha256_of
from neoresponse.errors import CohortError
from neoresponse.imaging import open_slide, read_ultrasound
from neoresponse.leaks.leak import Leak
from neoresponse.leaks.near import Planes, near_copies, thumbnail
from neoresponse.leaks.patients import Entry, across, named
from neoresponse.preprocess.store import IMAGES, Store
from neoresponse.types import Box, Modality, Pixels, Track, untracked

SLIDE_PX = 256
CHANGED = re.compile(
    r"[ _.-]*(aug\w*|flip\w*|mirror\w*|rot\w*|crop\w*|scale\w*|shift\w*|bright\w*|contrast\w*"
    r"|noise\w*|blur\w*|copy|variant|hflip|vflip|lr|ud|[0-9]+deg)(?=[ _.-]|\d|$)[ _.-]*\d*",
    re.IGNORECASE,
)
"""Parts of a file name that say how a picture was changed."""


@dataclass(frozen=True)
class Picture:
    """A picture of a patient.

    Attributes:
        entry: the patient.
        column: which of its pictures it is.
        is_slide: biopsies are held against biopsies, ultrasound against ultrasound.
        file_hash: SHA-256 of the file, or empty.
        pixel_hash: SHA-256 of shape and pixels.
        plane: its thumbnail.
    """

    entry: Entry
    column: str
    is_slide: bool
    file_hash: str
    pixel_hash: str
    plane: Planes


def pictures_of_files(
    entries: Sequence[Entry],
    *,
    slides: Iterable[str] = (),
    unread: list[str] | None = None,
    track: Track = untracked,
) -> list[Picture]:
    """Decode every image file once.

    Args:
        entries: the table.
        slides: columns that hold slides.
        unread: gets a sentence on each file that cannot be read.
        track: shows progress.
    """
    found = []
    for entry in track(entries, name="images", total=len(entries)):
        for column, path in entry.images.items():
            is_slide = column in set(slides)
            try:
                pixels = _region(path) if is_slide else _frame(path)
            except CohortError as error:
                if unread is not None:
                    unread.append(f"{entry.patient_id}, {column}: {error}")
                continue
            found.append(_picture(entry, column, pixels, is_slide=is_slide, path=path))
    return found


def pictures_of_store(store: Store, entries: Sequence[Entry]) -> list[Picture]:
    """The pictures of a prepared store: crops, and the region that a patient's patches make."""
    found = []
    by_id = {entry.patient_id: entry for entry in entries}
    for modality in IMAGES:
        array = store.array(modality)
        for row, patient in enumerate(store.patients):
            if modality in patient.available:
                pixels = np.asarray(array[row])
                is_slide = modality == Modality.BIOPSY
                entry = by_id.get(patient.patient_id, Entry(patient.patient_id, "", patient.label))
                pixels = _put_together(pixels) if is_slide else pixels
                found.append(_picture(entry, str(modality), pixels, is_slide=is_slide))
    return found


def groups_by_pixels(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Groups of equal pixels that hold more than one patient; one id in two parts is two."""
    groups: defaultdict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[picture.pixel_hash].append(picture)
    return [
        group
        for group in groups.values()
        if len({(picture.entry.patient_id, picture.entry.part) for picture in group}) > 1
    ]


def shared_pictures(pictures: Sequence[Picture]) -> list[Leak]:
    """Pictures that two patients share: the same file or pixels, or one that is nearly the same."""
    groups = groups_by_pixels(pictures)
    found = [_copied(group) for group in groups]
    alike = {frozenset(id(p) for p in pair) for group in groups for pair in _pairs(group)}
    for is_slide in (False, True):
        some = [picture for picture in pictures if picture.is_slide is is_slide]
        planes = np.stack([p.plane for p in some]) if some else np.zeros((0, 1, 1), np.float32)
        for near in near_copies(planes, [picture.entry.patient_id for picture in some]):
            one, two = some[near.first], some[near.second]
            if frozenset((id(one), id(two))) not in alike:
                found.append(_nearly(one, two, near.correlation))
    return found


def changed_names(entries: Sequence[Entry]) -> list[Leak]:
    """Files in two parts whose names differ in a word for a change alone, as `a_flip` and `a`."""
    groups: defaultdict[tuple[str, str], list[tuple[Entry, Path]]] = defaultdict(list)
    for entry in entries:
        for column, path in entry.images.items():
            groups[column, CHANGED.sub("", path.stem)].append((entry, path))
    found = []
    for (column, _), members in groups.items():
        parts = {entry.part for entry, _ in members}
        stems = {path.stem for _, path in members}
        if len(parts) > 1 and len(stems) > 1:
            ids = tuple(sorted({entry.patient_id for entry, _ in members}))
            sentence = (
                f"{column} of {', '.join(sorted({named(entry) for entry, _ in members}))}: "
                "expected changed versions of an image in one part, got their file names in "
                f"{sorted(parts)}. Split patients first, then change the training images."
            )
            found.append(Leak("changed before the split", ids, sentence))
    return found


def _frame(path: Path) -> Pixels:
    """The B-mode picture of a frame, without what stands around it."""
    frame = read_ultrasound(path)
    box = frame.region
    return np.ascontiguousarray(
        frame.pixels[round(box.top) : round(box.bottom), round(box.left) : round(box.right)]
    )


def _region(path: Path) -> Pixels:
    """A whole slide, small; with every pixel where it is small itself."""
    with open_slide(path) as slide:
        side = max(SLIDE_PX, min(slide.width, slide.height, 4 * SLIDE_PX))
        return slide.read_region(Box(0, 0, slide.width, slide.height), out_px=(side, side))


def _put_together(patches: Pixels) -> Pixels:
    """(patches, 3, side, side) -> the region they were cut from, (height, width, 3)."""
    num, side = round(len(patches) ** 0.5), patches.shape[-1]
    grid = patches.reshape(num, num, 3, side, side).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(grid.reshape(num * side, num * side, 3))


def _picture(
    entry: Entry, column: str, pixels: Pixels, *, is_slide: bool, path: Path | None = None
) -> Picture:
    """A picture with its hashes."""
    content = repr(pixels.shape).encode() + pixels.tobytes()
    return Picture(
        entry,
        column,
        is_slide,
        sha256_of(path) if path is not None else "",
        hashlib.sha256(content).hexdigest(),
        thumbnail(pixels),
    )


def _pairs(group: Sequence[Picture]) -> list[tuple[Picture, Picture]]:
    """All pairs of a group."""
    return [(one, two) for place, one in enumerate(group) for two in group[place + 1 :]]


def _copied(group: Sequence[Picture]) -> Leak:
    """Several patients with one picture."""
    how = "file" if len({picture.file_hash for picture in group} - {""}) == 1 else "pixels"
    listed = ", ".join(sorted({f"{p.column} of {named(p.entry)}" for p in group}))
    sentence = f"{listed}: expected images of their own, got the same {how}. " + across(
        [p.entry.part for p in group]
    )
    return Leak("copied image", tuple(sorted({p.entry.patient_id for p in group})), sentence)


def _nearly(one: Picture, two: Picture, correlation: float) -> Leak:
    """Two patients with nearly one picture."""
    sentence = (
        f"{one.column} of {named(one.entry)} and {two.column} of {named(two.entry)}: expected two "
        f"pictures, got one with changes (correlation of detail {correlation:.2f}). Look at both. "
        + across([one.entry.part, two.entry.part])
    )
    return Leak("near copy", (one.entry.patient_id, two.entry.patient_id), sentence)
