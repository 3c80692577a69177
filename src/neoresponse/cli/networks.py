"""Verbs that search, train and predict.

Each reads its settings and inputs before it imports torch, so that a wrong name is told at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neoresponse.cli.console import track, wrote
from neoresponse.cli.options import (
    FOLDER,
    begin_option,
    force_option,
    settings_file,
    settings_options,
)

if TYPE_CHECKING:
    from neoresponse.cohort.split import Assignment
    from neoresponse.preprocess.store import Store
    from neoresponse.settings import RunSettings


@click.command()
@click.argument("prepared", type=FOLDER)
@click.argument("split_folder", metavar="SPLIT", type=FOLDER)
@click.argument("out", type=FOLDER)
@settings_options
@begin_option
def search(
    prepared: Path,
    split_folder: Path,
    out: Path,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Search for good training settings.

    Uses only the training patients of SPLIT; validation and test patients play no role. The
    settings to vary are listed under [search.space]. The best settings are in OUT/best.toml. Run
    the same command again to continue a search that was stopped.

    Example: neoresponse search work/prepared work/split work/search
    """
    from neoresponse.contracts.search import SearchInputs

    mark = SearchInputs.FILE_NAME
    begun = _begin(prepared, split_folder, out, config, changes, mark=mark)
    from neoresponse.search.search import Search, run_search

    task = Search(*begun, track=track, say=click.echo)
    best = run_search(task, out, force=force)
    click.echo(
        f"Wrote {best}\nNext: neoresponse train {prepared} {split_folder} "
        f"{out.parent / 'runs' / 'best'} --config {best}"
    )


@click.command()
@click.argument("prepared", type=FOLDER)
@click.argument("split_folder", metavar="SPLIT", type=FOLDER)
@click.argument("out", type=FOLDER)
@settings_options
@begin_option
def train(
    prepared: Path,
    split_folder: Path,
    out: Path,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Train one network.

    Uses the images in PREPARED and the groups in SPLIT, and writes the run folder OUT. Run the same
    command again to continue a training that was stopped. Under torchrun, several processes share
    the training.

    Example: neoresponse train work/prepared work/split work/runs/first
    """
    from neoresponse.contracts.run import RunInputs

    mark = RunInputs.FILE_NAME
    store, assignments, settings = _begin(prepared, split_folder, out, config, changes, mark=mark)
    from neoresponse.training.run import keep_older_run, train_run
    from neoresponse.training.team import open_team

    with open_team() as team:
        with team.together():
            if force and team.is_first:
                keep_older_run(out, store, assignments, settings)
        summary = train_run(store, assignments, settings, out, track=track)
    if team.is_first:
        click.echo(f"{summary.num_parameters:,} parameters, epoch {summary.kept_epoch} kept")
        wrote(out, f"neoresponse predict {out} {prepared}")


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER, required=False)
@force_option
def predict(run: Path, prepared: Path, out: Path | None, force: bool) -> None:
    """Predict pCR with a trained network.

    Without OUT: predicts the patients of RUN's own split and writes RUN/predictions.csv. With OUT:
    predicts every patient in PREPARED as a new cohort and writes OUT/predictions.csv. Under
    torchrun, several processes share the patients.

    Example: neoresponse predict work/runs/first work/prepared
    """
    from contextlib import ExitStack

    from neoresponse.contracts.predictions import CARD_NAME, FILE_NAME
    from neoresponse.durable import only_one
    from neoresponse.errors import RunError
    from neoresponse.folders import check_output, new_folder
    from neoresponse.preprocess.store import open_store

    store = open_store(prepared)
    from neoresponse.training.outputs import predict_new, predict_run
    from neoresponse.training.team import open_team

    written = (out or run) / FILE_NAME
    with open_team() as team, ExitStack() as stack:
        with team.together():
            if out is not None:
                check_output(out, mark=CARD_NAME, force=force, inputs=(run, prepared))
            folder = out or run
            if out is None and written.exists() and not force:
                raise RunError(f"{written}: expected no file, got one. Add --force to replace it.")
            if out is None and team.is_first:
                stack.enter_context(only_one(run))
            elif out is not None and team.is_first:
                folder = stack.enter_context(new_folder(out, mark=CARD_NAME, force=force))
        if out is None:
            predict_run(run, store, track=track)
        else:
            predict_new(run, store, folder, track=track)
            if team.is_first:
                _describe_new(run, store, folder)
    if not team.is_first:
        return
    if out is None:
        wrote(written, f"neoresponse evaluate {run} {run.parent.parent / 'evaluation'}")
    else:
        explained = out.parent / "explain" / run.name
        wrote(written, f"neoresponse explain {run} {prepared} {explained}")


def _describe_new(run: Path, store: "Store", folder: Path) -> None:
    """Add the threshold and the patients' characteristics to predictions of a new cohort."""
    from neoresponse.contracts.predictions import read_card, write_card
    from neoresponse.evaluation.operating_point import operating_point_of_run, with_point
    from neoresponse.evaluation.reference import write_patient_characteristics

    write_card(folder, with_point(read_card(folder), operating_point_of_run(run)))
    write_patient_characteristics(folder, store, list(store.row_of))


def _begin(
    prepared: Path,
    split_folder: Path,
    out: Path,
    config: str | None,
    changes: tuple[str, ...],
    *,
    mark: str,
) -> "tuple[Store, tuple[Assignment, ...], RunSettings]":
    """Store, split and settings of a training or search, once OUT is known to be free for it."""
    from neoresponse.settings.toml import run_settings

    settings = run_settings(config, changes)
    from neoresponse.folders import check_output

    inputs = (prepared, split_folder, settings_file(config), settings.model.weights)
    check_output(out, mark=mark, force=True, inputs=inputs)
    from neoresponse.cohort.split import read_split
    from neoresponse.preprocess.store import open_store

    return open_store(prepared), read_split(split_folder), settings
