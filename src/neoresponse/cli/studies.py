"""Verbs that do everything, and one that looks at this machine."""

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path

import click

from neoresponse.cli.console import show_study, track, watching
from neoresponse.cli.options import ANY_PATH, FOLDER, begin_option, json_option, settings_file


@click.command()
@click.argument("study_file", metavar="STUDY.toml", type=ANY_PATH)
@click.argument("out", type=FOLDER)
@click.option(
    "--set", "changes", multiple=True, metavar="a.b=c", help="Change one setting; may repeat."
)
@click.option(
    "--status", is_flag=True, help="Show what is done and what is due, and change nothing."
)
@begin_option
def study(study_file: Path, out: Path, changes: tuple[str, ...], status: bool, force: bool) -> None:
    """Run a whole study from one settings file.

    Does every step from check to report in the folder OUT. Run it again after a stop, or after a
    change of files or settings: only what is missing or out of date is done. A finished training
    that the new settings do not use moves to OUT/kept, and is used again if you change them back.

    Example: neoresponse study my-study.toml my-study
    """
    from neoresponse.folders import keep_apart
    from neoresponse.settings.toml import study_settings

    settings = study_settings(str(study_file), changes)
    from neoresponse.study import keep_older_study, run_study

    if status:
        from neoresponse.study.status import as_text, study_status

        click.echo(as_text(study_status(settings, out)))
        return
    if (file := settings_file(str(study_file))) is not None:
        keep_apart(out, file)
    if force:
        keep_older_study(settings, out, track=track)
    with watching() as watch:
        page = run_study(settings, out, track=track, say=click.echo, watch=watch)
    show_study(out, settings.split)
    click.echo(f"Wrote {page}\nOpen it in a browser.")


@click.command()
@click.argument("out", type=FOLDER)
@begin_option
def demo(out: Path, force: bool) -> None:
    """Run a whole study on simulated patients.

    Open OUT/study/report/report.html when it has finished. Run it again to continue after a stop.

    Example: neoresponse demo my-demo
    """
    from neoresponse.contracts.study import StudyRecord
    from neoresponse.durable import only_one
    from neoresponse.folders import set_aside
    from neoresponse.study import run_demo

    if force:
        with only_one(out):
            set_aside(out, mark=StudyRecord.FILE_NAME)
    with watching() as watch:
        page = run_demo(out, track=track, say=click.echo, watch=watch)
    show_study(out / "study")
    click.echo(f"Wrote {page}\nOpen it in a browser.")


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check this machine: what is installed and what is missing.

    Exit code 1 if something necessary is missing; the command to install it is shown.

    Example: neoresponse doctor
    """
    from neoresponse.doctor import diagnose

    diagnoses = diagnose(Path.cwd())
    if as_json:
        click.echo(json_module.dumps([asdict(item) for item in diagnoses], indent=1))
    else:
        for item in diagnoses:
            mark = "ok     " if item.is_fine else "missing" if item.is_needed else "note   "
            click.echo(f"{mark}  {item.name}: {item.found}. {item.remedy}".rstrip())
    if any(item.is_needed and not item.is_fine for item in diagnoses):
        sys.exit(1)
