"""Verbs that ask whether a good number can be believed: leaks, and negative controls."""

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path

import click

from neoresponse.console import track

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def leaks(sources: tuple[Path, ...], as_json: bool) -> None:
    """List what an evaluation may know and should not.

    SOURCE is a cohort, a study, a prepared store, a split or a run folder, or a table of patients
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


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--truth", type=FOLDER, help="Of a phantom: what is best possible from what is left.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def controls(run: Path, prepared: Path, out: Path, truth: Path | None, force: bool) -> None:
    """Predict test patients of RUN under ten negative controls; write predictions to OUT.

    Each takes something away: the lesion, the order of time, the patient's own biopsy. Exit code 1
    where one does not behave as it must.
    """
    from neoresponse.cohort.split import read_split
    from neoresponse.durable import new_folder, read_json
    from neoresponse.evaluation import controls as judge
    from neoresponse.evaluation.limit import read_oracle
    from neoresponse.explain.controls import predict_controls
    from neoresponse.preprocess.store import open_store
    from neoresponse.training.outputs import open_run

    oracle = read_oracle(truth) if truth is not None else None
    store = open_store(prepared)
    with new_folder(out, mark=judge.FILE_NAME, force=force) as part:
        predict_controls(open_run(run), store, read_split(run), part, track=track)
        verdicts = judge.judge_controls(part, oracle)
        judge.write_verdicts(part, verdicts)
    is_simulated = read_json(out / judge.FILE_NAME, schema=judge.SCHEMA)["is_simulated"]
    click.echo(judge.as_text(verdicts, judge.true_auc(out), is_simulated=is_simulated))
    click.echo(f"Wrote {out}")
    sys.exit(any(one.verdict == judge.NOT_FINE for one in verdicts))
