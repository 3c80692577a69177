"""A table as rows of text, and as plain text, CSV, Markdown or one HTML page."""

import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from neoresponse.types import RESEARCH_USE, SIMULATED, Estimate

NONE = "-"
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2933; margin: 2rem auto; max-width: 90rem;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; vertical-align: top;
  white-space: nowrap; }
thead th { border-top: 2px solid #1f2933; border-bottom: 1px solid #1f2933; }
tbody tr:last-child td { border-bottom: 2px solid #1f2933; }
td.level { padding-left: 1.4rem; color: #4a5560; }
.scroll { overflow-x: auto; }
.simulated { color: #a3001b; font-weight: 700; }
.notes { font-size: 13px; color: #4a5560; }
svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True)
class Grid:
    """A table ready to be shown.

    Attributes:
        title: above the table.
        header: one text per column.
        rows: as many texts each; the first one is indented by two spaces where the row is a level
            of the variable above.
        notes: below the table.
        is_simulated: whether the word SIMULATED must stand on it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    is_simulated: bool

    @property
    def footer(self) -> tuple[str, ...]:
        """What stands below, the two marks included."""
        return (*self.notes, *([f"{SIMULATED} patients."] if self.is_simulated else []))


def as_text(grid: Grid) -> str:
    """Aligned columns."""
    lines = [grid.header, *grid.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(grid.header))]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    rule = "-" * max(len(line) for line in shown)
    mark = f" ({SIMULATED})" if grid.is_simulated else ""
    body = [grid.title + mark, shown[0], rule, *shown[1:], rule, *grid.footer, RESEARCH_USE]
    return "\n".join(body)


def as_csv(grid: Grid) -> str:
    """The cells as shown; a column says SIMULATED where the patients are."""
    mark = [SIMULATED] if grid.is_simulated else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*grid.header, *(["patients"] if mark else [])])
    writer.writerows([*row, *mark] for row in grid.rows)
    return text.getvalue()


def as_markdown(grid: Grid) -> str:
    """A Markdown table with its notes."""
    lines = [
        f"**{_marked(grid.title)}**" + (f" **{SIMULATED}**" if grid.is_simulated else ""),
        "",
        _markdown_row(grid.header),
        "|" + "---|" * len(grid.header),
        *(_markdown_row(row) for row in grid.rows),
        "",
        *(f"- {_marked(note)}" for note in (*grid.footer, RESEARCH_USE)),
    ]
    return "\n".join(lines) + "\n"


def as_html(title: str, grids: Sequence[Grid], *, pictures: Sequence[str] = ()) -> str:
    """One page that opens without a network.

    Args:
        title: of the page.
        grids: its tables, from top to bottom.
        pictures: SVG elements made by this project, below them.
    """
    is_simulated = any(grid.is_simulated for grid in grids)
    mark = f'<p class="simulated">{SIMULATED}: no real patient.</p>' if is_simulated else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body>"
        f"<h1>{html.escape(title)}</h1>{mark}\n"
        + "\n".join(_html_table(grid) for grid in grids)
        + "\n".join(pictures)
        + f'<p class="notes">{RESEARCH_USE}</p></body></html>\n'
    )


def p_text(p_value: float | None) -> str:
    """A P value as papers print it."""
    if p_value is None:
        return NONE
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def number_text(value: float | None, decimals: int = 2) -> str:
    """A number with so many decimals; very large and very small ones in powers of ten."""
    if value is None:
        return NONE
    is_plain = value == 0 or 10.0 ** -(decimals + 1) <= abs(value) < 1e5
    # Adding 0 turns the -0.0 that rounding may leave into 0.0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if is_plain else f"{value:.1e}"


def interval_text(estimate: Estimate, decimals: int = 2) -> str:
    """A value with its interval; an end at infinity is named so."""
    if estimate.value is None and estimate.low is None and estimate.high is None:
        return NONE
    low = number_text(estimate.low, decimals) if estimate.low is not None else "no end"
    high = number_text(estimate.high, decimals) if estimate.high is not None else "no end"
    return f"{number_text(estimate.value, decimals)} ({low} to {high})"


def decimals_for(spread: float | None) -> int:
    """Decimals that give a spread three significant digits."""
    if not spread:
        return 1
    return max(0, 2 - math.floor(math.log10(spread)))


def percent_text(count: int, total: int) -> str:
    """A count with its share."""
    return f"{count} ({100 * count / total:.1f}%)" if total else f"{count} ({NONE})"


def _html_table(grid: Grid) -> str:
    """One table with its notes."""
    header = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in grid.header)
    rows = "\n".join(f"<tr>{_html_row(row)}</tr>" for row in grid.rows)
    notes = "<br>".join(html.escape(note) for note in grid.footer)
    return (
        f'<div class="scroll"><table><caption>{html.escape(grid.title)}</caption>'
        f"<thead><tr>{header}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
        f'<p class="notes">{notes}</p>'
    )


def _html_row(row: Sequence[str]) -> str:
    """The cells of one row."""
    kind = ' class="level"' if row[0].startswith(" ") else ""
    first, *others = (html.escape(cell.strip()) for cell in row)
    return f"<td{kind}>{first}</td>" + "".join(f"<td>{cell}</td>" for cell in others)


def _markdown_row(cells: Sequence[str]) -> str:
    """One line; indents become what Markdown keeps."""
    kept = (
        ("&nbsp;&nbsp;" if cell.startswith(" ") else "") + _marked(cell.strip()) for cell in cells
    )
    return "| " + " | ".join(kept) + " |"


def _marked(text: str) -> str:
    """Text of a table that Markdown shows as it is, in one line."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{mark}" if mark in "\\|*_[]`" else mark for mark in plain)
