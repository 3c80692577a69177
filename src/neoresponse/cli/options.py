"""Options that several verbs take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

NAMED = (
    *("guo2024", "guo2024_224", "modern", "demo", "ablations", "architectures", "recipes"),
    *("judge", "gpu_check"),
)
"""Configurations that come with the software, the protocol first."""
FOLDER = click.Path(path_type=Path, file_okay=False)
ANY_PATH = click.Path(path_type=Path)
force_option = click.option(
    "--force", is_flag=True, help="Replace OUT; the old one is kept as OUT.replaced-1."
)
begin_option = click.option(
    "--force",
    is_flag=True,
    help="Start again from the beginning; the old OUT is kept as OUT.replaced-1.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def settings_file(config: str | None) -> Path | None:
    """The file that --config names, or None where it names settings that come with the software."""
    return Path(config) if config is not None and Path(config).suffix == ".toml" else None


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config and --set."""
    config = click.option(
        "--config",
        metavar="FILE|NAME",
        help=f"Settings: a TOML file, or one of {', '.join(NAMED)}.",
    )
    change = click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="a.b=c",
        help="Change one setting, such as train.epochs=20; may repeat.",
    )
    return config(change(command))


def outcome_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--pcr and --missing: what values of a table mean."""
    pcr = click.option(
        "--pcr", metavar="VALUE", help="The value of the outcome column that means pCR."
    )
    missing = click.option(
        "--missing",
        multiple=True,
        metavar="VALUE",
        help="A value that means unknown, such as 9; may repeat.",
    )
    return pcr(missing(command))
