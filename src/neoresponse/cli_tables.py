"""Verbs that need no images: predictions, a table of results or patients, or a few numbers."""

import json as json_module
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neoresponse.console import wrote

if TYPE_CHECKING:
    from neoresponse.config import EvaluateSettings
    from neoresponse.evaluation.cohort_tables import CohortTable

force_option = click.option("--force", is_flag=True, help="Replace what is there.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --set."""
    config = click.option(
        "--config", metavar="FILE|NAME", help="Settings: a TOML file, or guo2024 or demo."
    )
    change = click.option(
        "--set", "changes", multiple=True, metavar="a.b=c", help="Change one setting; may repeat."
    )
    return config(change(command))


@click.command()
@click.argument(
    "paths",
    metavar="SOURCE... [OUT]",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option("--label", metavar="COLUMN", help="Of any table: the column with the outcome.")
@click.option("--probability", metavar="COLUMN", help="The column with the probability of pCR.")
@click.option("--compare", metavar="COLUMN", help="A second one, compared with the first.")
@click.option("--threshold", type=float, help="Called pCR from here on; 0.5 by default.")
@click.option(
    "--truth",
    type=click.Path(path_type=Path, file_okay=False),
    help="Of a phantom: hold runs against the best possible.",
)
@settings_options
@json_option
@force_option
def evaluate(
    paths: tuple[Path, ...],
    label: str | None,
    probability: str | None,
    truth: Path | None,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
    **table: Any,  # noqa: ANN401 (--compare, --threshold, --json: of a table alone)
) -> None:
    """Compute every number of predictions, with intervals.

    With --label and --probability: of any CSV or XLSX table, printed, and written to OUT where it
    is given. The outcome is 1, true, yes or pCR, or 0, false, no or RD. Nothing is chosen on these
    patients: the threshold is 0.5 or the one you give.

    Without: of run folders or predictions files SOURCE..., written to the folder OUT.
    """
    from neoresponse.settings_file import run_settings

    settings = run_settings(config, changes).evaluate
    if label is None and probability is None:
        if len(paths) < 2:
            raise click.UsageError("Missing argument 'OUT', or --label and --probability.")
        if any(table.values()) or table["threshold"] is not None:
            raise click.UsageError(
                "--compare, --threshold and --json go with --label and --probability. The "
                "threshold of runs is a setting: --set evaluate.threshold=half."
            )
        _evaluate_runs(paths[:-1], paths[-1], settings, truth=truth, force=force)
        return
    if label is None or probability is None or truth is not None or len(paths) > 2:
        raise click.UsageError("Expected TABLE [OUT] --label COLUMN --probability COLUMN.")
    _evaluate_table(paths, (label, probability), settings, table=table, force=force)


def _evaluate_runs(
    sources: tuple[Path, ...],
    out: Path,
    settings: "EvaluateSettings",
    *,
    truth: Path | None,
    force: bool,
) -> None:
    """Run folders or predictions files -> metrics.json."""
    from neoresponse.durable import new_folder
    from neoresponse.errors import RunError
    from neoresponse.evaluation.evaluate import evaluate_files
    from neoresponse.evaluation.leaks import record_files
    from neoresponse.evaluation.metrics_file import write_metrics

    files = [p.absolute() / "predictions.csv" if p.is_dir() else p.absolute() for p in sources]
    named = {p.parent.name if p.stem == "predictions" else p.stem: p for p in files}
    if len(named) < len(files):
        raise RunError(
            f"SOURCE: expected different names, got {sorted(str(p) for p in files)}. "
            "Name each folder or file differently."
        )
    with new_folder(out, mark="metrics.json", force=force) as part:
        record_files(out.absolute().parent, named)
        write_metrics(part, evaluate_files(named, settings, truth=truth))
    wrote(out, f"neoresponse report {out.parent} {out.parent / 'report'}")


def _evaluate_table(
    paths: tuple[Path, ...],
    columns: tuple[str, str],
    settings: "EvaluateSettings",
    *,
    table: dict[str, Any],
    force: bool,
) -> None:
    """Any table -> numbers on the terminal, and in a folder where one is named."""
    from neoresponse.durable import new_folder, write_json
    from neoresponse.evaluation.alone import FILE_NAME, evaluate_table
    from neoresponse.evaluation.in_words import evaluation_as_text
    from neoresponse.evaluation.table import read_label_table

    label, *wanted = (*columns, table["compare"]) if table["compare"] else columns
    read = read_label_table(paths[0], label=label, columns=wanted)
    found = evaluate_table(read, settings, threshold=table["threshold"])
    if len(paths) > 1:
        with new_folder(paths[1], mark=FILE_NAME, force=force) as part:
            write_json(part / FILE_NAME, found)
    as_json = json_module.dumps(found, indent=1, allow_nan=False)
    click.echo(as_json if table["as_json"] else evaluation_as_text(found))
    if len(paths) > 1:
        click.echo(f"Wrote {paths[1] / FILE_NAME}", err=True)


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@json_option
def audit(tables: Path, as_json: bool) -> None:
    """List what cannot be in TABLES: a paper's tables (JSON or CSV) or a metrics.json.

    Exit code 1 where a contradiction is found.
    """
    from neoresponse.evaluation.audit import as_text, read_tables
    from neoresponse.evaluation.audit import audit as audit_tables

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
        click.option("--pcr", help="Its value for pCR; else 1, true, yes or pCR."),
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
    from neoresponse.durable import new_folder
    from neoresponse.evaluation.cohort_tables import (
        as_text,
        describe_by_outcome,
        describe_by_part,
        grid_of_groups,
        landscape,
    )
    from neoresponse.report.cohort_pages import write_description

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
    from neoresponse.durable import new_folder
    from neoresponse.evaluation.cohort_tables import Plan, as_text, grids_of_regression
    from neoresponse.evaluation.cohort_tables import regress as regress_table
    from neoresponse.report.cohort_pages import write_regression

    chosen = Plan(given["p_limit"], _pairs("--reference", given["reference"]))
    found = regress_table(_read_patients(source, given), chosen)
    if out is not None:
        with new_folder(out, mark="regress.json", force=force) as part:
            write_regression(part, found)
    texts = [as_text(grid) for grid in grids_of_regression(found)]
    click.echo(json_module.dumps(asdict(found), indent=1) if as_json else "\n\n".join(texts))
    if out is not None:
        click.echo(f"Wrote {out}", err=as_json)


def _read_patients(source: Path, given: Mapping[str, Any]) -> "CohortTable":
    """Patients of a cohort folder, or of a table."""
    from neoresponse.console import track
    from neoresponse.evaluation.cohort_tables import Columns, table_of_cohort, table_of_file

    split, probability = given["split"], given.get("probability")
    if source.is_dir():
        if given["label"] or given["kinds"]:
            raise click.UsageError("--label, --kind: expected none, cohort.toml says it.")
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
        part=split,
        variables=given["columns"],
        probability=probability,
        kinds=_pairs("--kind", given["kinds"]),
    )
    return table_of_file(source, columns)


def _pairs(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts; the last `=` divides."""
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise click.UsageError(f"{option}: expected COLUMN=VALUE, got {wrong[0]!r}.")
    pairs = [text.rpartition("=") for text in texts]
    return {name: value for name, _, value in pairs}
