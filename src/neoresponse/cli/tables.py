"""Verbs that need no images: tables of results, of patients, of predictions, or a few numbers."""

import json as json_module
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neoresponse.cli.console import track
from neoresponse.cli.options import force_option, json_option, outcome_options

if TYPE_CHECKING:
    from neoresponse.describe import CohortTable


def _of_patients(command: Callable[..., Any]) -> Callable[..., Any]:
    """SOURCE, OUT, and which columns of a table mean what."""
    for option in (
        click.option(
            "--kind",
            "kinds",
            multiple=True,
            metavar="COLUMN=levels|number",
            help="How to read a column; may repeat.",
        ),
        click.option("--column", "columns", multiple=True, help="Only this one; may repeat."),
        click.option("--split", metavar="FOLDER|COLUMN", help="Who is trained on."),
        outcome_options,
        click.option("--label", metavar="COLUMN", help="Of a table: the outcome."),
        click.argument("out", type=click.Path(path_type=Path, file_okay=False), required=False),
        click.argument("source", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


@click.command()
@_of_patients
@click.option("--probability", metavar="FILE|COLUMN", help="Sorts the landscape.")
@json_option
@force_option
def describe(source: Path, out: Path | None, as_json: bool, force: bool, **given: Any) -> None:  # noqa: ANN401 (click names the options above)
    """Describe the patients of SOURCE, a cohort folder or a table (CSV, XLSX).

    Prints them by outcome (Table 1) and, with --split, by part of the split. With OUT writes both
    as HTML, CSV, Markdown and JSON, and the landscape of all patients as CSV and SVG.
    """
    from neoresponse.describe import (
        as_text,
        describe_by_outcome,
        describe_by_part,
        grid_of_groups,
        landscape,
    )
    from neoresponse.folders import check_output, new_folder
    from neoresponse.report.cohort_pages import write_description

    if out is not None:
        check_output(out, mark="describe.json", force=force, inputs=_files(source, given))
    table = _read_patients(source, given)
    found = {"outcome": describe_by_outcome(table)}
    if table.part:
        found["parts"] = describe_by_part(table)
    if out is not None:
        with new_folder(out, mark="describe.json", force=force) as part:
            write_description(part, found, landscape(table))
    content = {name: asdict(one) for name, one in found.items()}
    texts = [as_text(grid_of_groups(one)) for one in found.values()]
    click.echo(json_module.dumps(content, indent=1) if as_json else "\n\n".join(texts))
    if out is not None:
        click.echo(f"Wrote {out}", err=as_json)


@click.command()
@_of_patients
@click.option("--reference", multiple=True, metavar="COLUMN=LEVEL", help="To compare with.")
@click.option("--p-limit", type=float, default=0.05, show_default=True, help="To be chosen.")
@json_option
@force_option
def regress(source: Path, out: Path | None, as_json: bool, force: bool, **given: Any) -> None:  # noqa: ANN401 (click names the options above)
    """Find what goes with pCR in SOURCE, a cohort folder or a table (CSV, XLSX).

    Logistic regression of each variable alone, then of those with a P below the limit together
    (Table 2). With --split, on its training patients alone.
    """
    from neoresponse.describe import Plan, as_text, grids_of_regression
    from neoresponse.describe import regress as regress_table
    from neoresponse.folders import check_output, new_folder
    from neoresponse.report.cohort_pages import write_regression

    if out is not None:
        check_output(out, mark="regress.json", force=force, inputs=_files(source, given))
    chosen = Plan(given["p_limit"], _pairs("--reference", given["reference"]))
    found = regress_table(_read_patients(source, given), chosen)
    if out is not None:
        with new_folder(out, mark="regress.json", force=force) as part:
            write_regression(part, found)
    texts = [as_text(grid) for grid in grids_of_regression(found)]
    click.echo(json_module.dumps(asdict(found), indent=1) if as_json else "\n\n".join(texts))
    if out is not None:
        click.echo(f"Wrote {out}", err=as_json)


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@json_option
def audit(tables: Path, as_json: bool) -> None:
    """List what cannot be in TABLES: a paper's tables (JSON or CSV) or a metrics.json.

    Exit code 1 where a contradiction is found.
    """
    from neoresponse.audit import as_text, read_tables
    from neoresponse.audit import audit as audit_tables

    found = audit_tables(read_tables(tables))
    listed = [asdict(one) for one in found]
    click.echo(json_module.dumps(listed, indent=1) if as_json else as_text(found))
    sys.exit(bool(found))


@click.command()
@click.option("--n", "num_patients", type=click.IntRange(1), required=True, help="Patients.")
@click.option("--prevalence", type=float, required=True, help="Share with pCR, 0 to 1.")
@click.option("--auc", type=float, default=0.8, show_default=True, help="AUC expected.")
@click.option("--ratio", default="8:1:1", show_default=True, help="Train, validation, test.")
@click.option("--models", type=click.IntRange(1), default=6, show_default=True, help="Compared.")
@json_option
def plan(**given: Any) -> None:  # noqa: ANN401 (click names the options above)
    """Say what a study of so many patients can show, before it is done."""
    from neoresponse.evaluation.planner import Assumptions, plan_as_text, read_ratio
    from neoresponse.evaluation.planner import plan as plan_study

    expected = Assumptions(
        auc=given["auc"], ratio=read_ratio(given["ratio"]), num_models=given["models"]
    )
    found = plan_study(given["num_patients"], prevalence=given["prevalence"], assumptions=expected)
    as_json = given["as_json"]
    click.echo(json_module.dumps(asdict(found), indent=1) if as_json else plan_as_text(found))


@click.command()
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--label", metavar="COLUMN", help="Of a table: the outcome; else label or pcr.")
@outcome_options
@click.option("--patient", metavar="COLUMN", help="Of a table: who a patient is; else patient_id.")
@json_option
def leaks(
    sources: tuple[Path, ...],
    label: str | None,
    pcr: str | None,
    missing: tuple[str, ...],
    patient: str | None,
    as_json: bool,
) -> None:
    """List what an evaluation may know and should not.

    SOURCE is a cohort, a study, a prepared store, a split or a run folder, or a table of patients
    with a column patient_id, and where it has them split, label and paths of images. Several are
    looked at together.

    It says which checks did not run. Exit code 1 where a leak is found, or where something that
    was given could not be read.
    """
    from neoresponse.cohort.label_table import Meaning
    from neoresponse.leaks import Leak, as_text, audit_leaks, gather, in_order, unchecked_as_text
    from neoresponse.training.refit import fitted_on

    given = gather(sources, label=label, meaning=Meaning(pcr, missing, patient))
    looked = audit_leaks(given, track=track)
    found = list(looked.leaks)
    for run in given.runs if given.store is not None else ():
        if given.store is not None and (whom := fitted_on(run, given.store)) is not None:
            sentence = (
                f"{run.name}: expected standardisation and encoding fitted on training patients, "
                f"got those of {whom}. Fit them after the split."
            )
            found.append(Leak("fitted on test", (), sentence))
    listed = in_order(found)
    as_list = [asdict(leak) for leak in listed]
    text = as_text(listed, has_unread=bool(looked.unread))
    click.echo(json_module.dumps(as_list, indent=1) if as_json else text)
    if unchecked := unchecked_as_text(looked.not_given, looked.unread, looked.notes):
        click.echo(unchecked, err=as_json)
    sys.exit(bool(listed or looked.unread))


def _read_patients(source: Path, given: Mapping[str, Any]) -> "CohortTable":
    """Patients of a cohort folder, or of a table."""
    from neoresponse.cli.console import track
    from neoresponse.describe import Columns, table_of_cohort, table_of_file

    split, probability = given["split"], given.get("probability")
    if source.is_dir():
        if any(given[name] for name in ("label", "kinds", "pcr", "missing")):
            raise click.UsageError(
                "--label, --kind, --pcr, --missing: expected none, cohort.toml says it."
            )
        table = table_of_cohort(
            source,
            split=Path(split) if split else None,
            predictions=Path(probability) if probability else None,
            track=track,
        )
        return table.only(given["columns"]) if given["columns"] else table
    if not given["label"]:
        raise click.UsageError("--label: expected the column with the outcome of a table.")
    columns = Columns(
        label=given["label"],
        pcr=given["pcr"],
        missing=given["missing"],
        part=split,
        variables=given["columns"],
        probability=probability,
        kinds=_pairs("--kind", given["kinds"]),
    )
    return table_of_file(source, columns)


def _files(source: Path, given: Mapping[str, Any]) -> list[Path]:
    """What is read: SOURCE, and what --split and --probability name where those are no columns."""
    named = [given["split"], given.get("probability")]
    return [source, *(Path(text) for text in named if text and Path(text).exists())]


def _pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts; the last `=` divides."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise click.UsageError(f"{option}: expected COLUMN=VALUE, got {wrong[0]!r}.")
    pairs = [text.rpartition("=") for text in texts]
    return {name: value for name, _, value in pairs}
