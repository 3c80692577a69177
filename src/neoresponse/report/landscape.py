"""A `Landscape` -> one SVG: a column per patient, a row per variable, each with its own key.

Source: Guo 2024, Figure 3.
"""

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from neoresponse.describe import Landscape, Variable, levels
from neoresponse.report.figures import INK, PALE, PALETTE, SETTINGS, WARNING
from neoresponse.types import RESEARCH_USE, SIMULATED, FloatArray

WIDTH_IN, NAMES_IN, KEY_IN, ROW_IN, GAP_IN = 11.6, 1.5, 4.5, 0.2, 0.06
BARS_IN, TOP_IN, BOTTOM_IN = 0.9, 0.5, 0.3
PCR_COLOUR, RESIDUAL_COLOUR = PALETTE[1], "#9AA5B1"
MORE_COLOURS = ("#F0E442", "#7F3C8D", "#A5AA99", "#3969AC")
MISSING_COLOUR = "#FFFFFF"
LOW_COLOUR, HIGH_COLOUR = "#E8F1F8", "#08306B"
LETTER_IN, MARK_IN, MORE_IN, MAX_NAME = 0.057, 0.3, 0.75, 22


@mpl.rc_context(SETTINGS)
def landscape_figure(drawn: Landscape) -> bytes:
    """Draw everybody.

    Args:
        drawn: the patients in their order.

    Returns:
        SVG; the same numbers give the same bytes.
    """
    rows = [_outcome(drawn), *_part(drawn), *drawn.variables]
    bars = BARS_IN + GAP_IN if drawn.probability is not None else 0.0
    height = TOP_IN + bars + len(rows) * (ROW_IN + GAP_IN) + BOTTOM_IN
    figure = Figure(figsize=(WIDTH_IN, height))
    num_pcr = int(drawn.label.sum())
    title = f"{drawn.cohort}: {len(drawn.label)} patients, {num_pcr} with pCR"
    figure.text(NAMES_IN / WIDTH_IN, 1 - 0.16 / height, title, weight="bold", va="top", fontsize=10)
    top = TOP_IN
    if drawn.probability is not None:
        _draw_probabilities(_axes(figure, top, BARS_IN), drawn, drawn.probability)
        top += bars
    for place, row in enumerate(rows):
        axes = _axes(figure, top, ROW_IN)
        _draw_row(axes, row, is_outcome=place == 0)
        axes.axvline(num_pcr - 0.5, color=INK, linewidth=1)
        top += ROW_IN + GAP_IN
    return _svg(figure, is_simulated=drawn.is_simulated)


def pixels_of(row: Variable, colours: Sequence[str]) -> FloatArray:
    """One colour per patient.

    Args:
        row: the variable.
        colours: one per level; a number goes from light to dark.

    Returns:
        Red, green and blue from 0 to 1, shape (patients, 3); white where missing.
    """
    if row.levels:
        table = np.array([to_rgb(colour) for colour in colours])
        pixels = table[row.values.astype(np.int64)]
    else:
        low, high = np.array(to_rgb(LOW_COLOUR)), np.array(to_rgb(HIGH_COLOUR))
        known = row.values[row.is_known]
        least, most = (known.min(), known.max()) if known.size else (0.0, 0.0)
        share = (row.values - least) / (most - least) if most > least else 0 * row.values
        pixels = low + np.clip(share, 0, 1)[:, np.newaxis] * (high - low)
    pixels[~row.is_known] = to_rgb(MISSING_COLOUR)
    return np.asarray(pixels)


def _outcome(drawn: Landscape) -> Variable:
    """The outcome as a row."""
    words = ["pCR" if label else "residual" for label in drawn.label]
    return levels("outcome", words, ("pCR", "residual"))


def _part(drawn: Landscape) -> list[Variable]:
    """The part of the split as a row, where there is a split."""
    return [levels("part", drawn.part, drawn.parts)] if drawn.part else []


def _axes(figure: Figure, top: float, height: float) -> Axes:
    """One strip of the figure; lengths in inches from the top."""
    total = float(figure.get_figheight())
    width = WIDTH_IN - NAMES_IN - KEY_IN
    return figure.add_axes(
        (NAMES_IN / WIDTH_IN, 1 - (top + height) / total, width / WIDTH_IN, height / total)
    )


def _draw_probabilities(axes: Axes, drawn: Landscape, probability: FloatArray) -> None:
    """One bar per patient, from 0 to 1."""
    colours = [PCR_COLOUR if label else RESIDUAL_COLOUR for label in drawn.label]
    axes.bar(np.arange(len(probability)), probability, width=1.0, color=colours, linewidth=0)
    axes.set(xlim=(-0.5, len(probability) - 0.5), ylim=(0, 1), yticks=(0, 0.5, 1))
    axes.set_ylabel("probability\nof pCR", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.set_xticks([])
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_row(axes: Axes, row: Variable, *, is_outcome: bool) -> None:
    """One variable of all patients, its name on the left, its key on the right."""
    colours = (PCR_COLOUR, RESIDUAL_COLOUR) if is_outcome else _colours(len(row.levels))
    pixels = pixels_of(row, colours)
    axes.imshow(pixels[np.newaxis], aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    name = row.name if len(row.name) <= MAX_NAME else f"{row.name[: MAX_NAME - 1]}…"
    axes.set_yticks([0], [name], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set(color=PALE)
    key = list(zip(row.levels, colours, strict=True)) if row.levels else _key_of_number(row)
    if not row.is_known.all():
        num_missing = int((~row.is_known).sum())
        key.append((f"missing ({num_missing})", MISSING_COLOUR))
    _draw_key(axes, key)


def _colours(num: int) -> list[str]:
    """A colour per level; shades of grey from the eleventh on."""
    named = (*(PALETTE[place] for place in (5, 0, 2, 4, 3, 1)), *MORE_COLOURS)
    more = [mpl.colors.to_hex((shade,) * 3) for shade in np.linspace(0.2, 0.85, max(0, num - 10))]
    return [*named[:num], *more]


def _key_of_number(row: Variable) -> list[tuple[str, str]]:
    """Least and largest value with their colours."""
    known = row.values[row.is_known]
    if not known.size:
        return []
    return [(f"{known.min():.4g}", LOW_COLOUR), (f"{known.max():.4g}", HIGH_COLOUR)]


def _draw_key(axes: Axes, key: Sequence[tuple[str, str]]) -> None:
    """Colour and name of every level in one line; what does not fit is counted."""
    inch = 1 / (WIDTH_IN - NAMES_IN - KEY_IN)  # in widths of the axes
    left = 0.15
    for number, (name, colour) in enumerate(key):
        width = MARK_IN + LETTER_IN * len(name)
        room = KEY_IN - left - (MORE_IN if number < len(key) - 1 else 0.0)
        if width > room:
            text, place = f"and {len(key) - number} more", 1 + left * inch
            axes.text(place, 0.46, text, transform=axes.transAxes, va="center", fontsize=7)
            return
        axes.add_patch(
            Rectangle(
                (1 + left * inch, 0.2),
                0.11 * inch,
                0.6,
                transform=axes.transAxes,
                clip_on=False,
                facecolor=colour,
                edgecolor="#8A949E",
                linewidth=0.5,
            )
        )
        place = 1 + (left + 0.16) * inch
        axes.text(place, 0.46, name, transform=axes.transAxes, va="center", fontsize=7)
        left += width


def _svg(figure: Figure, *, is_simulated: bool) -> bytes:
    """Write the figure with its marks; no date, no random ids."""
    height = float(figure.get_figheight())
    figure.text(0.01, 0.06 / height, RESEARCH_USE, fontsize=6, color="#6B7580")
    if is_simulated:
        figure.text(
            0.985, 1 - 0.16 / height, SIMULATED, color=WARNING, weight="bold", va="top", ha="right"
        )
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
