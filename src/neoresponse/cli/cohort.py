"""Verbs from a simulated hospital to a prepared store."""

import json as json_module
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from neoresponse.cli.console import (
    has_grave_findings,
    num_left_out,
    show_findings,
    show_split,
    track,
    wrote,
)
from neoresponse.cli.options import (
    FOLDER,
    force_option,
    json_option,
    settings_file,
    settings_options,
)


@click.command()
@click.argument("out", type=FOLDER)
@click.option("--patients", type=click.IntRange(1, 99_999), help="Number of patients; default 596.")
@click.option(
    "--seed", type=click.IntRange(0), help="Random seed; the same seed gives identical files."
)
@click.option(
    "--workers", type=click.IntRange(1), help="Parallel processes; default: one per core."
)
@settings_options
@force_option
def phantom(
    out: Path,
    patients: int | None,
    seed: int | None,
    workers: int | None,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Simulate the cohort of a hospital.

    OUT/cohort holds what a hospital would send: images, slides and a patient table. OUT/truth holds
    the simulated truth behind them, which no network may use.

    Example: neoresponse phantom my-phantom --patients 60
    """
    from neoresponse.folders import keep_apart
    from neoresponse.phantom.writer import write_phantom
    from neoresponse.settings.toml import run_settings

    more = [f"phantom.num_patients={patients}"] if patients is not None else []
    more += [f"seed={seed}"] if seed is not None else []
    settings = run_settings(config, (*changes, *more))
    if (file := settings_file(config)) is not None:
        keep_apart(out, file)
    write_phantom(
        out,
        settings.phantom,
        seed=settings.seed,
        num_workers=workers or os.cpu_count() or 1,
        track=track,
        force=force,
    )
    wrote(out, f"neoresponse check {out / 'cohort'}")


@click.command()
@click.argument("cohort", type=FOLDER)
@click.argument("out", type=FOLDER, required=False)
@click.option("--unlabelled", is_flag=True, help="For prediction: the outcome column is optional.")
@json_option
@force_option
def check(cohort: Path, out: Path | None, unlabelled: bool, as_json: bool, force: bool) -> None:
    """Check a cohort and list every finding.

    Reads the patient table, images, outlines and slides of COHORT. With OUT, also writes the
    findings there. Exit code 1 if a patient would be left out or the cohort cannot be used.

    Example: neoresponse check my-cohort
    """
    from neoresponse.cohort.validate import check_cohort, write_check
    from neoresponse.contracts.flow import Flow
    from neoresponse.folders import check_output, new_folder

    if out is not None:
        check_output(out, mark=Flow.FILE_NAME, force=force, inputs=(cohort,))
    checked = check_cohort(cohort, need_label=not unlabelled, track=track)
    if out is not None:
        with new_folder(out, mark=Flow.FILE_NAME, force=force) as folder:
            write_check(folder, checked)
    if as_json:
        click.echo(json_module.dumps([asdict(finding) for finding in checked.findings], indent=1))
        sys.exit(has_grave_findings(checked))
    show_findings(checked)
    if out is not None:
        verb, name = ("prepare", "prepared") if unlabelled else ("split", "split")
        wrote(out, f"neoresponse {verb} {cohort} {out.parent / name}")
    sys.exit(has_grave_findings(checked))


@click.command()
@click.argument("cohort", type=FOLDER)
@click.argument("out", type=FOLDER)
@settings_options
@force_option
def split(
    cohort: Path, out: Path, config: str | None, changes: tuple[str, ...], force: bool
) -> None:
    """Split the patients into training, validation and test.

    No patient is in two groups. TC1 is the unifocal, TC2 the multifocal test cohort.

    Example: neoresponse split my-cohort work/split
    """
    from neoresponse.settings.toml import run_settings

    settings = run_settings(config, changes)
    from neoresponse.cohort.split import split_patients, write_split
    from neoresponse.cohort.validate import check_cohort, raise_on_stop
    from neoresponse.contracts.split import SplitSummary
    from neoresponse.folders import check_output, new_folder

    check_output(
        out, mark=SplitSummary.FILE_NAME, force=force, inputs=(cohort, settings_file(config))
    )
    checked = check_cohort(cohort, track=track)
    raise_on_stop(checked)
    assignments = split_patients(checked.patients, settings.split, seed=settings.seed)
    with new_folder(out, mark=SplitSummary.FILE_NAME, force=force) as folder:
        write_split(folder, assignments, settings.train.augment, seed=settings.seed)
    show_split(out, settings.split)
    wrote(out, f"neoresponse prepare {cohort} {out.parent / 'prepared'}")


@click.command()
@click.argument("cohort", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--unlabelled", is_flag=True, help="For prediction: the outcome column is optional.")
@settings_options
@force_option
def prepare(
    cohort: Path,
    out: Path,
    unlabelled: bool,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Crop the images of a cohort and store them for training.

    Reads COHORT and writes the lesion crops and biopsy patches to OUT. With --force, images of an
    older OUT that did not change are reused.

    Example: neoresponse prepare my-cohort work/prepared
    """
    from neoresponse.settings.toml import run_settings

    settings = run_settings(config, changes)
    from neoresponse.cohort.validate import check_cohort, raise_on_stop
    from neoresponse.contracts.split import SplitSummary
    from neoresponse.folders import check_output
    from neoresponse.preprocess.store import MANIFEST, prepare_store

    check_output(out, mark=MANIFEST, force=force, inputs=(cohort, settings_file(config)))
    checked = check_cohort(cohort, need_label=not unlabelled, track=track)
    raise_on_stop(checked)
    store = prepare_store(checked, out, settings.prepare, force=force, track=track)
    click.echo(f"{len(store.patients)} patients stored, {num_left_out(checked)} left out")
    split_folder = out.parent / "split"
    to_train = f"neoresponse split {cohort} {split_folder}"
    if (split_folder / SplitSummary.FILE_NAME).is_file():
        to_train = f"neoresponse train {out} {split_folder} {out.parent / 'runs' / 'NAME'}"
    to_predict = f"neoresponse predict RUN {out} {out.parent / 'predicted'}"
    wrote(out, to_predict if unlabelled else to_train)


@click.command()
@click.argument("prepared", type=FOLDER)
@click.argument("split_folder", metavar="SPLIT", type=FOLDER)
@click.argument("out", type=FOLDER)
@force_option
def reference(prepared: Path, split_folder: Path, out: Path, force: bool) -> None:
    """Fit the reference models that a network has to beat.

    Three logistic regressions on what is known without images: the four clinical variables, the
    subtype only, and the change in tumour size only. They are fitted on the training patients of
    SPLIT and written to OUT.

    Example: neoresponse reference work/prepared work/split work/reference
    """
    from neoresponse.cohort.split import read_split
    from neoresponse.contracts.reference_models import ReferenceCard
    from neoresponse.evaluation.reference import write_reference
    from neoresponse.folders import check_output, new_folder
    from neoresponse.preprocess.store import open_store

    check_output(out, mark=ReferenceCard.FILE_NAME, force=force, inputs=(prepared, split_folder))
    store, assignments = open_store(prepared), read_split(split_folder)
    with new_folder(out, mark=ReferenceCard.FILE_NAME, force=force) as folder:
        write_reference(folder, store, assignments)
    wrote(out, f"neoresponse evaluate RUN... {out.parent / 'evaluation'} --reference {out}")
