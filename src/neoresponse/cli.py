"""The command line: one short function per verb, in the order in which data flows.

Heavy modules are imported inside a verb, so that `--help` answers at once.
"""

import json as json_module
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from neoresponse import __version__
from neoresponse.cli_checks import controls, leaks
from neoresponse.cli_search import search
from neoresponse.cli_tables import (
    audit,
    describe,
    evaluate,
    force_option,
    json_option,
    plan,
    regress,
    settings_options,
)
from neoresponse.console import (
    clear,
    has_grave_findings,
    num_left_out,
    show_findings,
    show_split,
    track,
    watching,
    wrote,
)
from neoresponse.errors import Followed, NeoresponseError

FOLDER = click.Path(path_type=Path, file_okay=False)
ANY_PATH = click.Path(path_type=Path)


class OrderedGroup(click.Group):
    """Lists verbs in the order of the data, and says errors in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Verbs in the order in which they were defined."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's signature)
        """Turn our errors into one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except Followed as error:
            ctx.exit(error.exit_code)
        except NeoresponseError as error:
            click.echo(f"{error.title}: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped. Run the same command again to go on.", err=True)
            ctx.exit(1)


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="neoresponse")
def main() -> None:
    """Predict pathologic complete response in breast cancer. For research use only.

    Verbs stand in the order of the data; `study` does all of them, `demo` shows it on a phantom.
    """


@main.command()
@click.argument("out", type=FOLDER)
@click.option("--patients", type=click.IntRange(1, 99_999), help="How many; 596 by default.")
@click.option("--seed", type=click.IntRange(0), help="The same seed gives the same bytes.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one per core by default.")
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
    """Simulate a hospital: OUT/cohort is what it sends, OUT/truth what nobody else knows."""
    from neoresponse.phantom.writer import write_phantom
    from neoresponse.settings_file import run_settings

    more = [f"phantom.num_patients={patients}"] if patients is not None else []
    more += [f"seed={seed}"] if seed is not None else []
    settings = run_settings(config, (*changes, *more))
    write_phantom(
        out,
        settings.phantom,
        seed=settings.seed,
        num_workers=workers or os.cpu_count() or 1,
        track=track,
        force=force,
    )
    wrote(out, f"neoresponse check {out / 'cohort'}")


@main.command()
@click.argument("cohort", type=FOLDER)
@click.argument("out", type=FOLDER, required=False)
@click.option("--unlabelled", is_flag=True, help="The cohort is for prediction; labels may lack.")
@json_option
@force_option
def check(cohort: Path, out: Path | None, unlabelled: bool, as_json: bool, force: bool) -> None:
    """Check every patient of COHORT and list all findings; write them to OUT where it is given.

    Exit code 1 where a patient would be left out or nothing can go on.
    """
    from neoresponse.cohort.validate import check_cohort, write_check
    from neoresponse.durable import keep_apart, new_folder

    if out is not None:
        keep_apart(out, cohort)
    checked = check_cohort(cohort, need_label=not unlabelled, track=track)
    if out is not None:
        with new_folder(out, mark="flow.json", force=force) as part:
            write_check(part, checked)
    if as_json:
        click.echo(json_module.dumps([asdict(finding) for finding in checked.findings], indent=1))
        sys.exit(has_grave_findings(checked))
    show_findings(checked)
    if out is not None:
        verb, name = ("prepare", "prepared") if unlabelled else ("split", "split")
        wrote(out, f"neoresponse {verb} {cohort} {out.parent / name}")
    sys.exit(has_grave_findings(checked))


@main.command()
@click.argument("cohort", type=FOLDER)
@click.argument("out", type=FOLDER)
@settings_options
@force_option
def split(
    cohort: Path, out: Path, config: str | None, changes: tuple[str, ...], force: bool
) -> None:
    """Decide, by patient, who of COHORT is trained on; write it to OUT."""
    from neoresponse.cohort.split import split_patients, write_split
    from neoresponse.cohort.validate import check_cohort, raise_on_stop
    from neoresponse.durable import keep_apart, new_folder
    from neoresponse.settings_file import run_settings

    keep_apart(out, cohort)
    settings = run_settings(config, changes)
    checked = check_cohort(cohort, track=track)
    raise_on_stop(checked)
    assignments = split_patients(checked.patients, settings.split, seed=settings.seed)
    with new_folder(out, mark="split.json", force=force) as part:
        write_split(part, assignments, settings.train.augment, seed=settings.seed)
    show_split(out)
    wrote(out, f"neoresponse prepare {cohort} {out.parent / 'prepared'}")


@main.command()
@click.argument("cohort", type=FOLDER)
@click.argument("out", type=FOLDER)
@click.option("--unlabelled", is_flag=True, help="The cohort is for prediction; labels may lack.")
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
    """Cut crops and patches of COHORT into the store OUT.

    With --force, rows of an older store at OUT are reused where nothing changed.
    """
    from neoresponse.cohort.validate import check_cohort, raise_on_stop
    from neoresponse.durable import keep_apart
    from neoresponse.preprocess.store import prepare_store
    from neoresponse.settings_file import run_settings

    keep_apart(out, cohort)
    settings = run_settings(config, changes)
    checked = check_cohort(cohort, need_label=not unlabelled, track=track)
    raise_on_stop(checked)
    store = prepare_store(checked, out, settings.prepare, force=force, track=track)
    click.echo(f"{len(store.patients)} patients stored, {num_left_out(checked)} left out")
    to_train = f"neoresponse train {out} {out.parent / 'split'} {out.parent / 'runs' / 'NAME'}"
    to_predict = f"neoresponse predict RUN {out} {out.parent / 'predicted'}"
    wrote(out, to_predict if unlabelled else to_train)


main.add_command(search)


@main.command()
@click.argument("prepared", type=FOLDER)
@click.argument("split_folder", metavar="SPLIT", type=FOLDER)
@click.argument("out", type=FOLDER)
@settings_options
@force_option
def train(
    prepared: Path,
    split_folder: Path,
    out: Path,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Train one network on the store PREPARED and the split SPLIT; write the run folder OUT.

    A run that was stopped goes on where it stood when the same command is given again. Under
    torchrun, several processes train it together.
    """
    from neoresponse.cohort.split import read_split
    from neoresponse.preprocess.store import open_store
    from neoresponse.settings_file import run_settings
    from neoresponse.training.run import forget_run, train_run
    from neoresponse.training.team import open_team

    with open_team() as team:
        with team.together():
            settings = run_settings(config, changes)
            store, assignments = open_store(prepared), read_split(split_folder)
            if force and team.is_first:
                forget_run(out)
        summary = train_run(store, assignments, settings, out, track=track)
    if team.is_first:
        click.echo(f"{summary['num_parameters']:,} parameters, kept epoch {summary['kept_epoch']}")
        wrote(out, f"neoresponse predict {out} {prepared}")


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("prepared", type=FOLDER)
@click.argument("out", type=FOLDER, required=False)
@force_option
def predict(run: Path, prepared: Path, out: Path | None, force: bool) -> None:
    """Predict with the model of RUN.

    Without OUT: the patients of RUN's own split, into RUN/predictions.csv. With OUT: every patient
    of PREPARED as a new cohort, into OUT/predictions.csv. Under torchrun, several processes share
    the patients.
    """
    from contextlib import ExitStack

    from neoresponse.durable import new_folder
    from neoresponse.errors import RunError
    from neoresponse.preprocess.store import open_store
    from neoresponse.training.outputs import predict_new, predict_run
    from neoresponse.training.team import open_team

    written = (out or run) / "predictions.csv"
    with open_team() as team, ExitStack() as stack:
        with team.together():
            store, part = open_store(prepared), out or run
            if out is None and written.exists() and not force:
                raise RunError(
                    f"{written}: expected no file, found one. Add --force to replace it."
                )
            if out is not None and team.is_first:
                part = stack.enter_context(new_folder(out, mark="predictions.csv", force=force))
        if out is None:
            predict_run(run, store, track=track)
        else:
            predict_new(run, store, part, track=track)
    if not team.is_first:
        return
    if out is None:
        wrote(written, f"neoresponse evaluate {run} {run.parent.parent / 'evaluation'}")
    else:
        explained = out.parent / "explain" / run.name
        wrote(written, f"neoresponse explain {run} {prepared} {explained}")


main.add_command(evaluate)


@main.command()
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
    from neoresponse.durable import new_folder
    from neoresponse.explain.patients import explain_patients, find_patients
    from neoresponse.preprocess.store import open_store
    from neoresponse.settings_file import run_settings
    from neoresponse.training.outputs import open_run
    from neoresponse.training.run import is_trained_on

    settings = run_settings(config, changes).explain
    store = open_store(prepared)
    is_own = is_trained_on(run, store)
    chosen = find_patients(run, store, patients, is_own=is_own, num_patients=settings.num_patients)
    with new_folder(out, mark="explain.json", force=force) as part:
        tracked = track(chosen, name="explain")
        explain_patients(open_run(run), store, tracked, part, stage=settings.stage)
    wrote(out, f"neoresponse report {out.parent.parent} {out.parent.parent / 'report'}")


@main.command()
@click.argument("work", type=FOLDER)
@click.argument("out", type=FOLDER)
@force_option
def report(work: Path, out: Path, force: bool) -> None:
    """Write one page, tables and figures of the work folder WORK to OUT."""
    from neoresponse.report.page import write_report

    page = write_report(work, out, force=force)
    click.echo(f"Wrote {page}\nOpen it in a browser.")


@main.command()
@click.argument("study_file", metavar="STUDY.toml", type=ANY_PATH)
@click.argument("out", type=FOLDER)
@click.option("--set", "changes", multiple=True, metavar="a.b=c", help="Change one setting.")
@click.option("--force", is_flag=True, help="Begin again from nothing.")
def study(study_file: Path, out: Path, changes: tuple[str, ...], force: bool) -> None:
    """Do everything that STUDY.toml names, in the folder OUT.

    Given again, it does only what is not done: after a stop, or after a changed file or setting.
    """
    from neoresponse.settings_file import study_settings
    from neoresponse.study import run_study

    settings = study_settings(str(study_file), changes)
    clear(out, "study.json", force=force)
    with watching() as watch:
        page = run_study(settings, out, track=track, say=click.echo, watch=watch)
    show_split(out / "split")
    click.echo(f"Wrote {page}\nOpen it in a browser.")


@main.command()
@click.argument("out", type=FOLDER)
@click.option("--force", is_flag=True, help="Begin again from nothing.")
def demo(out: Path, force: bool) -> None:
    """Simulate a small hospital and run a whole study on it: OUT/study/report/report.html.

    Given again, it does only what is not done.
    """
    from neoresponse.study import run_demo

    clear(out, "study.json", force=force)
    with watching() as watch:
        page = run_demo(out, track=track, say=click.echo, watch=watch)
    show_split(out / "study" / "split")
    click.echo(f"Wrote {page}\nOpen it in a browser.")


for verb in (describe, regress, audit, plan, leaks, controls):
    main.add_command(verb)


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine has, what is missing, and how to mend it."""
    from neoresponse.doctor import diagnose

    found = diagnose(Path.cwd())
    if as_json:
        click.echo(json_module.dumps([asdict(item) for item in found], indent=1))
    else:
        for item in found:
            mark = "ok  " if item.is_fine else "lack" if item.is_needed else "note"
            click.echo(f"{mark}  {item.name}: {item.found}. {item.remedy}".rstrip())
    if any(item.is_needed and not item.is_fine for item in found):
        sys.exit(1)
