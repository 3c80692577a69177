"""Verbs that ask whether a good number can be believed: leaks, and negative controls."""

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path

import click

from neoresponse.console import track


@click.command()
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def leaks(sources: tuple[Path, ...], as_json: bool) -> None:
    """List what an evaluation may know and should not.

    SOURCE is a cohort, a study, a prepared store, a split or a run folder, or a CSV of patients
    with a column patient_id, and where it has them split, label and paths of images. Several are
    looked at together.

    Exit code 1 where a leak is found.
    """
    from neoresponse.evaluation.leaks import Leak, as_text, find_leaks, gather, in_order
    from neoresponse.training.refit import fitted_on

    given = gather(sources)
    found = list(find_leaks(given, track=track))
    for run in given.runs if given.store is not None else ():
        if given.store is not None and (whom := fitted_on(run, given.store)) is not None:
            sentence = (
                f"{run.name}: expected standardisation and encoding fitted on training patients, "
                f"got those of {whom}. Fit them after the split."
            )
            found.append(Leak("fitted on test", (), sentence))
    listed = in_order(found)
    as_list = [asdict(leak) for leak in listed]
    click.echo(json_module.dumps(as_list, indent=1) if as_json else as_text(listed))
    sys.exit(bool(listed))
