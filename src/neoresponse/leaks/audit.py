"""All checks for leaks over all that was given."""

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


def find_leaks(sources: Sources, *, track: Track = untracked) -> tuple[Leak, ...]:
    """Run every check that what was given allows.

    Args:
        sources: from `gather`.
        track: shows progress over image files.

    Returns:
        Leaks, kind by kind. None means that these checks found none, not that there is none.

    Raises:
        RunError: a file of a run is broken.
    """
    table = sources.table
    found = [*same_ids(table), *same_people(table)]
    found += [*outcome_columns(table), *outcome_files(table), *changed_names(table)]
    pictures = pictures_of_files(table, slides=sources.slides, track=track)
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
    return in_order(found)
