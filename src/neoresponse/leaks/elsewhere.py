"""Stores of a study and of a cohort from elsewhere -> patients whom training has already seen."""

from collections.abc import Mapping, Sequence

from neoresponse.cohort.split import Assignment
from neoresponse.leaks.leak import Leak, in_order
from neoresponse.leaks.patients import Entry, same_ids
from neoresponse.leaks.pictures import equal_pictures, pictures_of_store
from neoresponse.preprocess.store import Store

SEEN = ("train", "validation")


def part_of_patients(assignments: Sequence[Assignment]) -> dict[str, str]:
    """Patient -> train, validation or the test cohort."""
    return {a.patient_id: a.split if a.cohort == "primary" else a.cohort for a in assignments}


def shared_patients(
    own: Store, part_of: Mapping[str, str], other: Store, name: str
) -> tuple[Leak, ...]:
    """Training and validation patients of a study that are in a cohort from elsewhere too.

    They are known by their identifier, however it is written, or by the pixels of an image.

    Args:
        own: the study's store.
        part_of: patient of the study -> part of the split.
        other: the store of the cohort from elsewhere, prepared alike.
        name: of that cohort.
    """
    seen = {p.patient_id: part_of.get(p.patient_id, "") for p in own.patients}
    here = [Entry(i, part, None) for i, part in seen.items() if part in SEEN]
    there = [Entry(p.patient_id, name, p.label) for p in other.patients]
    known = {entry.patient_id for entry in here}
    pictures = [p for p in pictures_of_store(own, here) if p.entry.patient_id in known]
    pictures += pictures_of_store(other, there)
    found = [*same_ids([*here, *there]), *equal_pictures(pictures)]
    return in_order([_said(leak, name) for leak in found if _is_shared(leak, name)])


def _is_shared(leak: Leak, name: str) -> bool:
    """Whether a leak is between training or validation and the cohort from elsewhere."""
    return f"({name})" in leak.sentence and any(f"({part})" in leak.sentence for part in SEEN)


def _said(leak: Leak, name: str) -> Leak:
    """The same leak with what to do about it here."""
    ids = ", ".join(leak.patients)
    if leak.kind == "patient in two parts":
        sentence = (
            f"{ids}: expected no patient in both training and {name}, got the same identifier in "
            "both. If it is the same person, remove one of the two; if not, rename one."
        )
    else:
        sentence = (
            f"{ids}: expected no patient in both training and {name}, got an image with the same "
            "pixels in both. Remove the patient from one of the two."
        )
    return Leak(leak.kind, leak.patients, f"{name}: {sentence}")
