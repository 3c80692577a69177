"""All checks for leaks over all that was given, and which of them could not run."""

from collections.abc import Sequence
from dataclasses import dataclass

from neoresponse.leaks.elsewhere import shared_patients
from neoresponse.leaks.leak import Leak, in_order
from neoresponse.leaks.openings import opened_again
from neoresponse.leaks.outcome import outcome_columns, outcome_files
from neoresponse.leaks.patients import same_ids, same_people
from neoresponse.leaks.pictures import (
    changed_names,
    pictures_of_files,
    pictures_of_store,
    shared_pictures,
)
from neoresponse.leaks.runs import run_leaks
from neoresponse.leaks.sources import Sources
from neoresponse.types import Track, untracked


@dataclass(frozen=True)
class Audit:
    """What was looked for.

    Attributes:
        leaks: kind by kind.
        not_given: (kinds of leaks, what was not given and they need).
        unread: what was given and could not be read, as sentences.
        notes: how tables were read.
    """

    leaks: tuple[Leak, ...]
    not_given: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_leaks(sources: Sources, *, track: Track = untracked) -> tuple[Leak, ...]:
    """The leaks that `audit_leaks` finds."""
    return audit_leaks(sources, track=track).leaks


def audit_leaks(sources: Sources, *, track: Track = untracked) -> Audit:
    """Run every check that what was given allows.

    Args:
        sources: from `gather`.
        track: shows progress over image files.

    Returns:
        Leaks, and what was not checked. No leaks means that these checks found none, not that
        there is none.

    Raises:
        RunError: a file of a run is broken.
    """
    table = sources.table
    unread = list(sources.unread)
    found = [*same_ids(table), *same_people(table)]
    found += [*outcome_columns(table), *outcome_files(table), *changed_names(table)]
    pictures = pictures_of_files(table, slides=sources.slides, unread=unread, track=track)
    if not pictures and sources.store is not None:
        pictures = pictures_of_store(sources.store, table)
    found += shared_pictures(pictures)
    if sources.store is not None:
        part_of = {entry.patient_id: entry.part for entry in table}
        for name, store in sources.elsewhere.items():
            found += shared_patients(sources.store, part_of, store, name)
    for run in sources.runs:
        found += run_leaks(run, sources.store)
    for folder in sources.ledgers:
        found += opened_again(folder)
    return Audit(in_order(found), tuple(_not_given(sources)), tuple(unread), sources.notes)


def _not_given(sources: Sources) -> list[tuple[str, str]]:
    """Kinds of leaks that were not looked for, and what they need."""
    table = sources.table
    has_images = any(entry.images for entry in table) or sources.store is not None
    has_parts = any(entry.part for entry in table) or bool(sources.runs)
    has_runs = bool(sources.runs)
    in_files = ", outcome in a file" if has_images else ""
    needs: Sequence[tuple[bool, str, str]] = (
        (has_parts, "patient in two parts, changed before the split", "a split"),
        (len(table) > 0, "person twice", "a table of patients"),
        (has_images, "copied image, near copy, outcome in a file", "images"),
        (
            any(entry.label is not None for entry in table),
            f"outcome in a column by its values{in_files}",
            "outcomes (--label COLUMN)",
        ),
        (has_runs, "chosen on test", "a run folder"),
        (has_runs and sources.store is not None, "fitted on test", "a run folder with its store"),
        (bool(sources.ledgers), "test opened again", "a study with its ledger"),
    )
    return [(kinds, what) for is_there, kinds, what in needs if not is_there]
