"""The verb that removes older results, which `--force` set aside."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neoresponse.cli.options import ANY_PATH

if TYPE_CHECKING:
    from neoresponse.folders import Older


@click.command()
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=ANY_PATH)
@click.option("--kept", is_flag=True, help="Also trainings that a study keeps for a later setting.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
def clean(folders: tuple[Path, ...], kept: bool, yes: bool) -> None:
    """Remove older results that --force set aside.

    Looks beside and inside FOLDER for FOLDER.replaced-1 and the like, and for what a killed process
    left behind; lists all with their sizes, then asks. Only files that neoresponse wrote are
    removed; your own files in these folders are listed and kept. With --kept also the trainings in
    FOLDER/kept, which took hours and cannot be restored.

    Example: neoresponse clean my-study
    """
    from neoresponse.folders import find_older, remove_older
    from neoresponse.study.kept import kept_trainings

    trainings = [one for folder in folders for one in kept_trainings(folder)]
    older = find_older(folders, kept=[one.folder for one in trainings] if kept else ())
    _show(older)
    if trainings and not kept:
        in_all = _in_words(sum(one.num_bytes for one in trainings))
        click.echo(f"{len(trainings)} kept trainings stay ({in_all}); --kept removes them.")
    size = sum(folder.num_bytes for folder in older)
    if not any(folder.ours for folder in older):
        click.echo("Nothing to remove.")
        return
    if not yes:
        click.confirm(f"Remove {_in_words(size)}?", abort=True)
    remove_older(older)
    click.echo(f"Removed {_in_words(size)}.")


def _show(older: "Sequence[Older]") -> None:
    """One line per folder, and one per file that neoresponse did not write."""
    for result in older:
        num, size = len(result.ours), _in_words(result.num_bytes)
        click.echo(f"{result.folder}: {num} file{'' if num == 1 else 's'}, {size}")
        for path in result.others:
            click.echo(f"  kept, not written by neoresponse: {path.relative_to(result.folder)}")


def _in_words(num_bytes: int) -> str:
    """A size in the unit that reads best."""
    size, unit = float(num_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
