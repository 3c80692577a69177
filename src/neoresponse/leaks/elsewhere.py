"""Stores of a study and of a cohort from elsewhere -> patients whom training has already seen."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from neoresponse.cohort.split import Assignment
from neoresponse.leaks.leak import Leak, in_order
from neoresponse.leaks.patients import Entry, groups_by_id
from neoresponse.leaks.pictures import groups_by_pixels, pictures_of_store
from neoresponse.preprocess.store import Store

SEEN = ("train", "validation")


class What(NamedTuple):
    """What two patients share, and what to do."""

    kind: str
    got: str
    remedy: str


SAME_ID = What(
    "patient in two parts",
    "the same identifier",
    "If it is the same person, remove one of the two; if not, rename one.",
)
SAME_PIXELS = What(
    "copied image",
    "an image with the same pixels",
    "Remove the patient from one of the two.",
)


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
    ours = {id(entry) for entry in here}
    groups = [(SAME_ID, group) for group in groups_by_id([*here, *there])]
    groups += [(SAME_PIXELS, [p.entry for p in group]) for group in groups_by_pixels(pictures)]
    return in_order(
        [
            _said(what, group, name)
            for what, group in groups
            if len({id(e) in ours for e in group}) > 1
        ]
    )


def _said(what: What, group: Sequence[Entry], name: str) -> Leak:
    """A patient of training in the cohort from elsewhere, and what to do about it."""
    ids = tuple(sorted({entry.patient_id for entry in group}))
    sentence = (
        f"{name}: {', '.join(ids)}: expected no patient in both training and {name}, got "
        f"{what.got} in both. {what.remedy}"
    )
    return Leak(what.kind, ids, sentence)
