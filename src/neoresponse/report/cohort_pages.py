"""Tables of a cohort -> files: one page, CSV, Markdown, JSON, and the landscape."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from neoresponse.describe import (
    Grid,
    GroupTable,
    Landscape,
    RegressionTable,
    as_csv,
    as_html,
    as_markdown,
    grid_of_groups,
    grids_of_regression,
    landscape_csv,
)
from neoresponse.durable import write_bytes, write_json, write_text
from neoresponse.report.landscape import landscape_figure

DESCRIBE_SCHEMA, REGRESS_SCHEMA = "neoresponse.describe/1", "neoresponse.regress/1"


def write_description(folder: Path, tables: Mapping[str, GroupTable], drawn: Landscape) -> None:
    """Write `tables.html`, `tables.md`, `describe.json`, a CSV per table and the landscape.

    Args:
        folder: an existing folder.
        tables: name of the CSV, such as outcome -> table.
        drawn: the landscape of the same patients.
    """
    grids = {name: grid_of_groups(table) for name, table in tables.items()}
    picture = landscape_figure(drawn)
    title = f"Patients of {drawn.cohort}"
    _write_grids(folder, grids, title=title, pictures=[_inlined(picture)])
    write_text(folder / "landscape.csv", landscape_csv(drawn))
    write_bytes(folder / "landscape.svg", picture)
    content = {name: asdict(table) for name, table in tables.items()}
    write_json(folder / "describe.json", {"schema": DESCRIBE_SCHEMA, **content})


def write_regression(folder: Path, table: RegressionTable) -> None:
    """Write `tables.html`, `tables.md`, `regress.json` and a CSV of each of its tables.

    Args:
        folder: an existing folder.
        table: the regression.
    """
    names = ("univariable", "multivariable")
    grids = dict(zip(names, grids_of_regression(table), strict=False))
    _write_grids(folder, grids, title=f"What goes with pCR in {table.cohort}", pictures=[])
    write_json(folder / "regress.json", {"schema": REGRESS_SCHEMA, **asdict(table)})


def _write_grids(
    folder: Path, grids: Mapping[str, Grid], *, title: str, pictures: Sequence[str]
) -> None:
    """The page, the Markdown, and one CSV per table."""
    for name, grid in grids.items():
        write_text(folder / f"{name}.csv", as_csv(grid))
    write_text(folder / "tables.md", "\n".join(as_markdown(grid) for grid in grids.values()))
    write_text(folder / "tables.html", as_html(title, list(grids.values()), pictures=pictures))


def _inlined(picture: bytes) -> str:
    """An SVG file as an element of a page."""
    text = picture.decode()
    return text[text.index("<svg") :]
