"""Verbs from predictions to numbers, pictures and a page."""

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neoresponse.cli.console import track, wrote
from neoresponse.cli.options import (
    FOLDER,
    force_option,
    json_option,
    outcome_options,
    settings_file,
    settings_options,
)

if TYPE_CHECKING:
    from neoresponse.settings import EvaluateSettings


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
@outcome_options
@click.option("--patient", metavar="COLUMN", help="Averages the rows of each patient.")
@click.option("--threshold", type=float, help="Called pCR from here on; 0.5 by default.")
@click.option(
    "--reference",
    type=FOLDER,
    help="Folder of reference models; by default reference/ beside OUT or beside runs/.",
)
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
    reference: Path | None,
    truth: Path | None,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
    **table: Any,  # noqa: ANN401 (options of a table alone)
) -> None:
    """Compute every number of predictions, with intervals.

    With --label and --probability: of any CSV or XLSX table, printed, and written to OUT where it
    is given. The outcome is 1, true, yes or pCR, or 0, false, no or RD; else --pcr says what means
    pCR. Nothing is chosen on these patients: the threshold is 0.5 or the one you give.

    Without: of run folders or predictions files SOURCE..., written to the folder OUT.
    """
    from neoresponse.folders import keep_apart
    from neoresponse.settings.toml import run_settings

    settings = run_settings(config, changes).evaluate
    if (file := settings_file(config)) is not None and len(paths) > 1:
        keep_apart(paths[-1], file)
    if label is None and probability is None:
        if len(paths) < 2:
            raise click.UsageError("Missing argument 'OUT', or --label and --probability.")
        if any(table.values()) or table["threshold"] is not None:
            raise click.UsageError(
                "--compare, --pcr, --missing, --patient, --threshold and --json go with --label "
                "and --probability. The "
                "threshold of runs is a setting: --set evaluate.threshold=half."
            )
        beside = {"reference": reference, "truth": truth}
        _evaluate_runs(paths[:-1], paths[-1], settings, beside=beside, force=force)
        return
    if label is None or probability is None or reference or truth or len(paths) > 2:
        raise click.UsageError("Expected TABLE [OUT] --label COLUMN --probability COLUMN.")
    _evaluate_table(paths, (label, probability), settings, table=table, force=force)


def _evaluate_runs(
    sources: tuple[Path, ...],
    out: Path,
    settings: "EvaluateSettings",
    *,
    beside: dict[str, Path | None],
    force: bool,
) -> None:
    """Run folders or predictions files, and what lies beside them -> metrics.json."""
    from neoresponse.audit import audited
    from neoresponse.contracts.metrics import Metrics
    from neoresponse.contracts.record import write_record
    from neoresponse.errors import RunError
    from neoresponse.evaluation.evaluate import evaluate_files
    from neoresponse.evaluation.reference import reference_beside
    from neoresponse.folders import check_output, new_folder
    from neoresponse.leaks import record_files

    files = [p.absolute() / "predictions.csv" if p.is_dir() else p.absolute() for p in sources]
    named = {p.parent.name if p.stem == "predictions" else p.stem: p for p in files}
    if len(named) < len(files):
        raise RunError(
            f"SOURCE: expected different names, got {sorted(str(p) for p in files)}. "
            "Name each folder or file differently."
        )
    check_output(out, mark=Metrics.FILE_NAME, force=force, inputs=(*sources, *beside.values()))
    places = (out.absolute().parent, *(path.parent.parent.parent for path in files))
    beside["reference"] = beside["reference"] or reference_beside(files[0], places)
    with new_folder(out, mark=Metrics.FILE_NAME, force=force) as part:
        record_files(out.absolute().parent, named)
        write_record(part, audited(evaluate_files(named, settings, **beside)))
    if beside["reference"] is None:
        click.echo(
            "No reference models of these patients were found. Make them with `neoresponse "
            "reference PREPARED SPLIT OUT` and evaluate again with --reference OUT."
        )
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
    from neoresponse.cohort.label_table import Meaning, read_label_table
    from neoresponse.contracts.evaluation import TableEvaluation
    from neoresponse.contracts.record import content_of, write_record
    from neoresponse.evaluation.alone import evaluate_table
    from neoresponse.evaluation.in_words import evaluation_as_text
    from neoresponse.folders import check_output, new_folder

    if len(paths) > 1:
        check_output(paths[1], mark=TableEvaluation.FILE_NAME, force=force, inputs=paths[:1])
    label, *wanted = (*columns, table["compare"]) if table["compare"] else columns
    meaning = Meaning(table["pcr"], table["missing"], table["patient"])
    read = read_label_table(paths[0], label=label, columns=wanted, meaning=meaning)
    found = evaluate_table(read, settings, threshold=table["threshold"])
    if len(paths) > 1:
        with new_folder(paths[1], mark=found.FILE_NAME, force=force) as part:
            write_record(part, found)
    as_json = json_module.dumps(content_of(found), indent=1, allow_nan=False)
    click.echo(as_json if table["as_json"] else evaluation_as_text(found))
    if len(paths) > 1:
        click.echo(f"Wrote {paths[1] / found.FILE_NAME}", err=True)


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--truth", type=FOLDER, help="Of a phantom: what is best possible from what is left.")
@force_option
def controls(run: Path, prepared: Path, out: Path, truth: Path | None, force: bool) -> None:
    """Predict test patients of RUN under ten negative controls; write predictions to OUT.

    Each takes something away: the lesion, the order of time, the patient's own biopsy. Exit code 1
    where one does not behave as it must.
    """
    from neoresponse.cohort.split import read_split
    from neoresponse.contracts.controls import Controls, Verdicts
    from neoresponse.contracts.record import read_record, write_record
    from neoresponse.evaluation import controls as judge
    from neoresponse.evaluation.limit import read_oracle
    from neoresponse.folders import check_output, new_folder
    from neoresponse.preprocess.store import open_store

    check_output(out, mark=Controls.FILE_NAME, force=force, inputs=(run, prepared, truth))
    oracle = read_oracle(truth) if truth is not None else None
    store = open_store(prepared)
    from neoresponse.explain.controls import predict_controls
    from neoresponse.training.outputs import open_run

    with new_folder(out, mark=Controls.FILE_NAME, force=force) as part:
        predict_controls(open_run(run), store, read_split(run), part, track=track)
        verdicts = judge.judge_controls(part, oracle)
        write_record(part, Verdicts(verdicts=verdicts))
    is_simulated = read_record(out, Controls).is_simulated
    click.echo(judge.as_text(verdicts, judge.true_auc(out), is_simulated=is_simulated))
    click.echo(f"Wrote {out}")
    sys.exit(any(one.verdict == judge.NOT_FINE for one in verdicts))


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--patient", "patients", multiple=True, help="Whom to explain; may repeat.")
@settings_options
@force_option
def explain(
    run: Path,
    prepared: Path,
    out: Path,
    patients: tuple[str, ...],
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Draw heat maps (Grad-CAM) of the model of RUN on patients of PREPARED.

    Without --patient: test patients of RUN's split, or of a new cohort the first ones.
    """
    from neoresponse.contracts.explanation import Explanation
    from neoresponse.evaluation.operating_point import operating_point_of_run
    from neoresponse.folders import check_output, new_folder
    from neoresponse.preprocess.store import open_store
    from neoresponse.settings.toml import run_settings

    settings = run_settings(config, changes).explain
    inputs = (run, prepared, settings_file(config))
    check_output(out, mark=Explanation.FILE_NAME, force=force, inputs=inputs)
    store = open_store(prepared)
    from neoresponse.explain.patients import MapStyle, explain_patients, find_patients
    from neoresponse.training.outputs import open_run
    from neoresponse.training.run import is_trained_on

    is_own = is_trained_on(run, store)
    chosen = find_patients(run, store, patients, is_own=is_own, num_patients=settings.num_patients)
    with new_folder(out, mark=Explanation.FILE_NAME, force=force) as part:
        tracked = track(chosen, name="explain")
        style = MapStyle(settings.stage, operating_point_of_run(run).threshold)
        explain_patients(open_run(run), store, tracked, part, style=style)
    work = out.parent.parent if out.parent.name == "explain" else out.parent
    wrote(out, f"neoresponse report {work} {work / 'report'}")


@click.command()
@click.argument("work", type=FOLDER)
@click.argument("out", type=FOLDER)
@force_option
def report(work: Path, out: Path, force: bool) -> None:
    """Write one page, tables and figures of the work folder WORK to OUT."""
    from neoresponse.report.page import write_report

    page = write_report(work, out, force=force)
    click.echo(f"Wrote {page}\nOpen it in a browser.")
