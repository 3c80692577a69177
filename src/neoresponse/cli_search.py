"""The verb that searches for good settings, on training patients alone."""

from pathlib import Path

import click

from neoresponse.cli_tables import settings_options
from neoresponse.console import clear, track

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("prepared", type=FOLDER)
@click.argument("split_folder", metavar="SPLIT", type=FOLDER)
@click.argument("out", type=FOLDER)
@settings_options
@click.option("--force", is_flag=True, help="Begin again from nothing.")
def search(
    prepared: Path,
    split_folder: Path,
    out: Path,
    config: str | None,
    changes: tuple[str, ...],
    force: bool,
) -> None:
    """Search for good settings among the training patients of SPLIT; OUT/best.toml is the best.

    What may vary stands under [search.space] of the settings. Validation and test patients of SPLIT
    are not looked at. A search that was stopped goes on when the same command is given again.
    """
    from neoresponse.cohort.split import read_split
    from neoresponse.preprocess.store import open_store
    from neoresponse.search.search import FILE_NAME, Search, run_search
    from neoresponse.settings_file import run_settings

    settings = run_settings(config, changes)
    clear(out, FILE_NAME, force=force)
    task = Search(
        open_store(prepared), read_split(split_folder), settings, track=track, say=click.echo
    )
    best = run_search(task, out)
    click.echo(
        f"Wrote {best}\nNext: neoresponse train {prepared} {split_folder} "
        f"{out.parent / 'runs' / 'best'} --config {best}"
    )
