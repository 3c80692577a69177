"""Verbs that need no cohort: a table of results, or a few numbers."""

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.command()
@click.argument("tables", type=click.Path(path_type=Path))
@_json
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
@_json
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
