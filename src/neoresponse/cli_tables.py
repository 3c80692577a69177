"""Verbs that need no cohort: predictions, a table of results, or a few numbers."""

import json as json_module
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neoresponse.console import wrote

if TYPE_CHECKING:
    from neoresponse.config import EvaluateSettings

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
    from neoresponse.evaluation.metrics_file import write_metrics

    files = [p.absolute() / "predictions.csv" if p.is_dir() else p.absolute() for p in sources]
    named = {p.parent.name if p.stem == "predictions" else p.stem: p for p in files}
    if len(named) < len(files):
        raise RunError(
            f"SOURCE: expected different names, got {sorted(str(p) for p in files)}. "
            "Name each folder or file differently."
        )
    with new_folder(out, mark="metrics.json", force=force) as part:
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
