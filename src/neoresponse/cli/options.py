"""Options that several verbs take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
ANY_PATH = click.Path(path_type=Path)
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


def outcome_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--pcr and --missing: what values of a table mean."""
    pcr = click.option("--pcr", metavar="VALUE", help="The outcome that is pCR, such as 2.")
    missing = click.option(
        "--missing", multiple=True, metavar="VALUE", help="A value for not known, such as 9."
    )
    return pcr(missing(command))
