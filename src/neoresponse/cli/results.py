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
@click.option("--label", metavar="COLUMN", help="Outcome column of a table.")
@click.option("--probability", metavar="COLUMN", help="Column with the probability of pCR.")
@click.option(
    "--compare", metavar="COLUMN", help="Second probability column, compared with the first."
)
@outcome_options
@click.option(
    "--patient", metavar="COLUMN", help="Patient column; the rows of a patient are averaged."
)
@click.option(
    "--threshold", type=float, help="Probabilities from here on count as pCR; default 0.5."
)
@click.option(
    "--reference",
    type=FOLDER,
    help="Folder of reference models; default: reference/ beside OUT or runs/.",
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path, file_okay=False),
    help="OUT/truth of a phantom: compares with the best possible AUC.",
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
    **table: Any,  # noqa: ANN401 (options of a table only)
) -> None:
    """Compute AUC, rates and calibration with 95% CIs.

    Of run folders or predictions files: compares all SOURCEs and writes the folder OUT.

    Of any CSV or XLSX table, with --label and --probability: prints the numbers, and writes them to
    OUT if given. The outcome is 1, true, yes or pCR, and 0, false, no or RD; for anything else say
    which value means pCR with --pcr. The threshold is 0.5 or the one you give.

    Example: neoresponse evaluate table.csv --label pcr --probability score
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
    with new_folder(out, mark=Metrics.FILE_NAME, force=force) as folder:
        record_files(out.absolute().parent, named)
        write_record(folder, audited(evaluate_files(named, settings, **beside)))
    if beside["reference"] is None:
        click.echo(
            "No reference models for these patients, so networks are not compared with them. Run "
            "`neoresponse reference PREPARED SPLIT OUT`, then evaluate with --reference OUT."
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
    """Any table -> numbers on the terminal, and in a folder if one is given."""
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
    evaluation = evaluate_table(read, settings, threshold=table["threshold"])
    if len(paths) > 1:
        with new_folder(paths[1], mark=evaluation.FILE_NAME, force=force) as folder:
            write_record(folder, evaluation)
    as_json = json_module.dumps(content_of(evaluation), indent=1, allow_nan=False)
    click.echo(as_json if table["as_json"] else evaluation_as_text(evaluation))
    if len(paths) > 1:
        click.echo(f"Wrote {paths[1] / evaluation.FILE_NAME}", err=True)


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--truth", type=FOLDER, help="OUT/truth of a phantom: adds the best possible AUC.")
@force_option
def controls(run: Path, prepared: Path, out: Path, truth: Path | None, force: bool) -> None:
    """Test a trained network with ten negative controls.

    Each control removes information, such as the lesion, the order of the two ultrasounds or the
    patient's own biopsy, and predicts the test patients again; the AUC must not get better.
    Writes the predictions to OUT. Exit code 1 if a control fails.

    Example: neoresponse controls work/runs/first work/prepared work/controls
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

    with new_folder(out, mark=Controls.FILE_NAME, force=force) as folder:
        predict_controls(open_run(run), store, read_split(run), folder, track=track)
        verdicts = judge.judge_controls(folder, oracle)
        write_record(folder, Verdicts(verdicts=verdicts))
    is_simulated = read_record(out, Controls).is_simulated
    click.echo(judge.as_text(verdicts, judge.true_auc(out), is_simulated=is_simulated))
    click.echo(f"Wrote {out}")
    sys.exit(any(verdict.verdict == judge.NOT_FINE for verdict in verdicts))


@click.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--patient", "patients", multiple=True, help="Patient to explain; may repeat.")
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
    """Draw Grad-CAM heat maps of a trained network.

    Explains test patients of RUN's split, or the first patients in PREPARED if it is a new cohort;
    --patient chooses others. Writes one picture per patient and image to OUT.

    Example: neoresponse explain work/runs/first work/prepared work/explain/first
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
    with new_folder(out, mark=Explanation.FILE_NAME, force=force) as folder:
        tracked = track(chosen, name="explain")
        style = MapStyle(settings.stage, operating_point_of_run(run).threshold)
        explain_patients(open_run(run), store, tracked, folder, style=style)
    work = out.parent.parent if out.parent.name == "explain" else out.parent
    wrote(out, f"neoresponse report {work} {work / 'report'}")


@click.command()
@click.argument("work", type=FOLDER)
@click.argument("out", type=FOLDER)
@force_option
def report(work: Path, out: Path, force: bool) -> None:
    """Write the report: one HTML page, tables and figures.

    Reads the study folder WORK and writes OUT/report.html. Results that are missing are named on
    the page, with the command that makes them.

    Example: neoresponse report work work/report
    """
    from neoresponse.report.page import write_report

    page = write_report(work, out, force=force)
    click.echo(f"Wrote {page}\nOpen it in a browser.")
