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
            help="Read a column as levels or as numbers; may repeat.",
        ),
        click.option(
            "--column", "columns", multiple=True, help="Use only this column; may repeat."
        ),
        click.option(
            "--split", metavar="FOLDER|COLUMN", help="Split folder, or a column with the groups."
        ),
        outcome_options,
        click.option("--label", metavar="COLUMN", help="Outcome column of a table."),
        click.argument("out", type=click.Path(path_type=Path, file_okay=False), required=False),
        click.argument("source", type=click.Path(path_type=Path)),
    ):
        command = option(command)
    return command


@click.command()
@_of_patients
@click.option(
    "--probability",
    metavar="FILE|COLUMN",
    help="Predicted probabilities; sorts the landscape figure.",
)
@json_option
@force_option
def describe(source: Path, out: Path | None, as_json: bool, force: bool, **given: Any) -> None:  # noqa: ANN401 (click names the options above)
    """Describe the patients by outcome (Table 1).

    SOURCE is a cohort folder or a table (CSV, XLSX). With --split, also by training, validation and
    test. With OUT, writes the tables as HTML, CSV, Markdown and JSON, and a landscape figure with
    one column per patient.

    Example: neoresponse describe patients.xlsx --label pcr
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
    described = {"outcome": describe_by_outcome(table)}
    if table.part:
        described["parts"] = describe_by_part(table)
    if out is not None:
        with new_folder(out, mark="describe.json", force=force) as folder:
            write_description(folder, described, landscape(table))
    content = {name: asdict(groups) for name, groups in described.items()}
    texts = [as_text(grid_of_groups(groups)) for groups in described.values()]
    click.echo(json_module.dumps(content, indent=1) if as_json else "\n\n".join(texts))
    if out is not None:
        click.echo(f"Wrote {out}", err=as_json)


@click.command()
@_of_patients
@click.option(
    "--reference",
    multiple=True,
    metavar="COLUMN=LEVEL",
    help="Reference level of a variable; may repeat.",
)
@click.option(
    "--p-limit",
    type=float,
    default=0.05,
    show_default=True,
    help="Largest P value to enter the model.",
)
@json_option
@force_option
def regress(source: Path, out: Path | None, as_json: bool, force: bool, **given: Any) -> None:  # noqa: ANN401 (click names the options above)
    """Regress pCR on the clinical variables (Table 2).

    SOURCE is a cohort folder or a table (CSV, XLSX). Univariable logistic regression of each
    variable, then multivariable of those with a P below the limit. With --split, on training
    patients only.

    Example: neoresponse regress patients.xlsx --label pcr
    """
    from neoresponse.describe import Plan, as_text, grids_of_regression
    from neoresponse.describe import regress as regress_table
    from neoresponse.folders import check_output, new_folder
    from neoresponse.report.cohort_pages import write_regression

    if out is not None:
        check_output(out, mark="regress.json", force=force, inputs=_files(source, given))
    chosen = Plan(given["p_limit"], _pairs("--reference", given["reference"]))
    regression = regress_table(_read_patients(source, given), chosen)
    if out is not None:
        with new_folder(out, mark="regress.json", force=force) as folder:
            write_regression(folder, regression)
    texts = [as_text(grid) for grid in grids_of_regression(regression)]
    click.echo(json_module.dumps(asdict(regression), indent=1) if as_json else "\n\n".join(texts))
    if out is not None:
        click.echo(f"Wrote {out}", err=as_json)


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@json_option
def audit(tables: Path, as_json: bool) -> None:
    """Find contradictions between the numbers of a paper.

    TABLES is a JSON or CSV file with the paper's tables, or a metrics.json of ours. Exit code 1 if
    a contradiction is found.

    Example: neoresponse audit paper.csv
    """
    from neoresponse.audit import as_text, read_tables
    from neoresponse.audit import audit as audit_tables

    contradictions = audit_tables(read_tables(tables))
    listed = [contradiction.model_dump() for contradiction in contradictions]
    click.echo(json_module.dumps(listed, indent=1) if as_json else as_text(contradictions))
    sys.exit(bool(contradictions))


@click.command()
@click.option(
    "--n", "num_patients", type=click.IntRange(1), required=True, help="Number of patients."
)
@click.option("--prevalence", type=float, required=True, help="pCR rate, from 0 to 1.")
@click.option("--auc", type=float, default=0.8, show_default=True, help="Expected AUC.")
@click.option("--ratio", default="8:1:1", show_default=True, help="Training, validation, test.")
@click.option(
    "--models",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="Number of models compared.",
)
@json_option
def plan(**given: Any) -> None:  # noqa: ANN401 (click names the options above)
    """Say what a study of this size can show, before you start.

    Prints the expected CIs of AUC, sensitivity and specificity, the smallest difference between two
    models that can be detected, and whether one test cohort or cross-validation suits.

    Example: neoresponse plan --n 596 --prevalence 0.3
    """
    from neoresponse.evaluation.planner import Assumptions, plan_as_text, read_ratio
    from neoresponse.evaluation.planner import plan as plan_study

    expected = Assumptions(
        auc=given["auc"], ratio=read_ratio(given["ratio"]), num_models=given["models"]
    )
    planned = plan_study(
        given["num_patients"], prevalence=given["prevalence"], assumptions=expected
    )
    as_json = given["as_json"]
    click.echo(json_module.dumps(asdict(planned), indent=1) if as_json else plan_as_text(planned))


@click.command()
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--label", metavar="COLUMN", help="Outcome column of a table; default: label or pcr.")
@outcome_options
@click.option("--patient", metavar="COLUMN", help="Patient column of a table; default: patient_id.")
@json_option
def leaks(
    sources: tuple[Path, ...],
    label: str | None,
    pcr: str | None,
    missing: tuple[str, ...],
    patient: str | None,
    as_json: bool,
) -> None:
    """Look for leaks between training and test patients.

    SOURCE is a cohort, study, prepared, split or run folder, or a table with a column patient_id
    and, if it has them, split, label and image paths. Give several to check them together. Checks
    that could not run are listed. Exit code 1 if a leak is found or a source could not be read.

    Example: neoresponse leaks my-study
    """
    from neoresponse.cohort.label_table import Meaning
    from neoresponse.leaks import Leak, as_text, audit_leaks, gather, in_order, unchecked_as_text
    from neoresponse.training.refit import fitted_on

    given = gather(sources, label=label, meaning=Meaning(pcr, missing, patient))
    looked = audit_leaks(given, track=track)
    leaks_found = list(looked.leaks)
    for run in given.runs if given.store is not None else ():
        if given.store is not None and (patients := fitted_on(run, given.store)) is not None:
            sentence = (
                f"{run.name}: expected standardisation and encoding fitted on training patients, "
                f"got those of {patients}. Fit them after the split."
            )
            leaks_found.append(Leak("fitted on test", (), sentence))
    listed = in_order(leaks_found)
    as_list = [asdict(leak) for leak in listed]
    text = as_text(listed, has_unread=bool(looked.unread))
    click.echo(json_module.dumps(as_list, indent=1) if as_json else text)
    if unchecked := unchecked_as_text(looked.not_given, looked.unread, looked.notes):
        click.echo(unchecked, err=as_json)
    sys.exit(bool(listed or looked.unread))


def _read_patients(source: Path, given: Mapping[str, Any]) -> "CohortTable":
    """Patients of a cohort folder, or of a table."""
    from neoresponse.describe import Columns, table_of_cohort, table_of_file

    split, probability = given["split"], given.get("probability")
    if source.is_dir():
        if any(given[name] for name in ("label", "kinds", "pcr", "missing")):
            raise click.UsageError(
                "--label, --kind, --pcr, --missing: expected none of these with a cohort folder. "
                "Its cohort.toml says what the columns mean."
            )
        table = table_of_cohort(
            source,
            split=Path(split) if split else None,
            predictions=Path(probability) if probability else None,
            track=track,
        )
        return table.only(given["columns"]) if given["columns"] else table
    if not given["label"]:
        raise click.UsageError("--label: expected the outcome column of the table.")
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
    """The files read: SOURCE, and --split and --probability if they are files."""
    named = [given["split"], given.get("probability")]
    return [source, *(Path(text) for text in named if text and Path(text).exists())]


def _pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts; the last `=` divides."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise click.UsageError(f"{option}: expected COLUMN=VALUE, got {wrong[0]!r}.")
    pairs = [text.rpartition("=") for text in texts]
    return {name: value for name, _, value in pairs}
