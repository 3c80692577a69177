"""One leak, the ten kinds there are, and how a list of them reads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KINDS: Mapping[str, str] = {
    "patient in two parts": "one patient_id, however written, in two parts of a split",
    "person twice": "two patient_ids whose rows are one person's",
    "copied image": "one file, or files with the same pixels, under two patients",
    "near copy": "one image under two patients, resaved, rotated, mirrored, cropped or relit",
    "outcome in a column": "an input that is known after treatment, or that tells the outcome",
    "outcome in a file": "folder, name, type or size of image files tells the outcome",
    "chosen on test": "a threshold or epoch not chosen on validation patients",
    "changed before the split": "altered copies of one patient's images in two groups",
    "fitted on test": "standardisation or encoding not fitted on training patients only",
    "test opened again": "test patients were evaluated with several predictions",
}
"""Kind -> what it is, in the order in which they are listed."""
PER_KIND = 50
"""Leaks of one kind that are listed; the rest is counted."""


@dataclass(frozen=True)
class Leak:
    """One way in which an evaluation may know what it should not.

    Attributes:
        kind: one of `KINDS`.
        patients: whom it concerns; empty where it concerns all.
        sentence: what was found, where, and what to do.
    """

    kind: str
    patients: tuple[str, ...]
    sentence: str


def in_order(found: Sequence[Leak]) -> tuple[Leak, ...]:
    """Without repeats, kind by kind."""
    place = {kind: number for number, kind in enumerate(KINDS)}
    return tuple(sorted(dict.fromkeys(found), key=lambda leak: place[leak.kind]))


def as_text(found: Sequence[Leak], *, has_unread: bool = False) -> str:
    """One line per leak, the first of each kind, and a count per kind at the end."""
    if not found:
        return f"No leak found in what {'could be read' if has_unread else 'was given'}."
    lines, seen = [], Counter[str]()
    for leak in in_order(found):
        seen[leak.kind] += 1
        if seen[leak.kind] <= PER_KIND:
            lines.append(f"[{leak.kind}] {leak.sentence}")
        elif seen[leak.kind] == PER_KIND + 1:
            lines.append(f"[{leak.kind}] and more of this kind; --json lists all.")
    counted = ", ".join(f"{number} {kind}" for kind, number in seen.items())
    return "\n".join([*lines, "", f"{len(found)} found: {counted}."])


def unchecked_as_text(
    not_given: Sequence[tuple[str, str]], unread: Sequence[str], notes: Sequence[str] = ()
) -> str:
    """What was not looked at, and why; empty where there is nothing to say."""
    lines = [f"Note: {note}" for note in notes]
    lines += [f"Could not be read, so not checked: {text}" for text in unread[:PER_KIND]]
    if len(unread) > PER_KIND:
        lines.append(f"Could not be read: {len(unread) - PER_KIND} more.")
    lines += [f"Not checked: {kinds}. That needs {what}." for kinds, what in not_given]
    return "\n".join(lines)
