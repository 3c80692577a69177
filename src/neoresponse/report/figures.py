"""Numbers -> SVG figures; the same numbers give the same bytes.

Every figure of simulated patients carries the word SIMULATED, and every figure says that it is for
research use only. Colours are those of Okabe and Ito, told apart by colour-blind readers too.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neoresponse.contracts.metrics import Metrics
from neoresponse.report.names import capitalised, display_name
from neoresponse.report.sources import Epoch
from neoresponse.types import REFERENCE_MODELS, RESEARCH_USE, SIMULATED, Estimate

# Okabe and Ito, Color Universal Design, 2008.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
MARKERS = ("o", "s", "^", "v", "P", "X")
INK, PALE, WARNING = "#1F2933", "#D5DAE0", "#A3001B"
SETTINGS: Any = {
    "svg.hashsalt": "neoresponse",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8A949E",
    "axes.linewidth": 0.8,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Look:
    """How one run is drawn, in every figure alike."""

    colour: str
    dash: Any
    marker: str


REFERENCE_LOOKS = (
    Look("#595959", (0, (4, 2)), "D"),
    Look("#7F7F7F", (0, (1, 1)), "d"),
    Look("#7F7F7F", (0, (3, 1, 1, 1)), "P"),
)
"""How the reference models are drawn, in the order of `REFERENCE_MODELS`."""


def looks(runs: Sequence[str]) -> dict[str, Look]:
    """A look per run; reference models are grey and dashed."""
    images = [name for name in runs if name not in REFERENCE_MODELS]
    found = {
        name: Look(
            PALETTE[place % len(PALETTE)],
            DASHES[place // len(PALETTE) % len(DASHES)],
            MARKERS[place % len(MARKERS)],
        )
        for place, name in enumerate(images)
    }
    return found | dict(zip(REFERENCE_MODELS, REFERENCE_LOOKS, strict=True))


@mpl.rc_context(SETTINGS)
def auc_figure(metrics: Metrics, *, runs: Sequence[str], cohorts: Sequence[str]) -> bytes:
    """AUC with CI of every run in every cohort, one line each.

    Args:
        metrics: content of `metrics.json`.
        runs: names, in the order to draw.
        cohorts: groups, from top to bottom.
    """
    lines = [
        (cohort, run, metrics.runs[run].cohorts[cohort].auc)
        for cohort in cohorts
        for run in runs
        if cohort in metrics.runs[run].cohorts
    ]
    names = 0.35 + 0.075 * max((len(display_name(run)) for run in runs), default=0)  # inches
    width = 4.4 + names
    figure = new_figure(width=width, height=1.25 + 0.27 * len(lines) + 0.34 * len(cohorts))
    bottom, top = 0.62 / height_of(figure), 1 - 0.4 / height_of(figure)
    axes = figure.add_axes((names / width, bottom, 2.6 / width, top - bottom))
    title = f"AUC with {100 * metrics.confidence:g}% CI"
    figure.text(0.02, 1 - 0.12 / height_of(figure), title, weight="bold", fontsize=10, va="top")
    place, ticks, seen = 0.0, [], ""
    for cohort, run, estimate in lines:
        if cohort != seen:
            place -= 1.3
            left = (0.12 - names) / 2.6
            axes.text(left, place, cohort, transform=axes.get_yaxis_transform(), weight="bold")
            seen = cohort
        place -= 1
        ticks.append((place, display_name(run)))
        _whisker(axes, place, estimate, looks(runs)[run])
    _finish_auc_axes(axes, ticks, lines, bottom=place)
    return as_svg(figure, is_simulated=metrics.is_simulated)


@mpl.rc_context(SETTINGS)
def roc_figure(metrics: Metrics, cohort: str, *, runs: Sequence[str], title: str) -> bytes:
    """ROC curves of all runs in one cohort, the AUCs with their CIs below.

    Args:
        metrics: content of `metrics.json`.
        cohort: the group drawn.
        runs: names, in the order to draw.
        title: the group in words.
    """
    figure, axes = square_axes(num_runs=len(runs))
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1, zorder=1)
    for run in runs:
        group = metrics.runs[run].cohorts.get(cohort)
        if group is None:
            continue
        look = looks(runs)[run]
        axes.plot(
            group.roc.false_positive_rate,
            group.roc.true_positive_rate,
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.8,
            label=f"{display_name(run)}   {say(group.auc)}",
            clip_on=False,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 - specificity", ylabel="sensitivity")
    finish_square(figure, axes, title=title, legend=f"AUC ({100 * metrics.confidence:g}% CI)")
    return as_svg(figure, is_simulated=metrics.is_simulated)


def square_axes(*, num_runs: int) -> tuple[Figure, Axes]:
    """A figure with square axes, and room below them for a legend with a line per run."""
    height = 4.65 + 0.2 * num_runs
    figure = new_figure(width=4.1, height=height)
    return figure, figure.add_axes((0.15, 1 - 3.85 / height, 0.8, 3.28 / height))


def finish_square(figure: Figure, axes: Axes, *, title: str, legend: str) -> None:
    """Grid, title and the legend below, of axes from `square_axes`."""
    axes.set_aspect("equal")
    axes.grid(color=PALE, linewidth=0.5)
    axes.set_title(capitalised(title), loc="left")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.12, 1 - 4.22 / figure.get_figheight()),
        frameon=False, fontsize=8, handlelength=2.6, title=legend, title_fontsize=8,
        alignment="left",
    )  # fmt: skip


@mpl.rc_context(SETTINGS)
def loss_figure(run: str, epochs: Sequence[Epoch], *, is_simulated: bool) -> bytes:
    """Loss per epoch in training and validation, the kept epoch marked."""
    lines = {
        "training": [epoch.train_loss for epoch in epochs],
        "validation": [epoch.validation_loss for epoch in epochs],
    }
    return _curves(run, epochs, lines, is_simulated=is_simulated, name="loss")


@mpl.rc_context(SETTINGS)
def validation_figure(run: str, epochs: Sequence[Epoch], *, is_simulated: bool) -> bytes:
    """Accuracy and AUC per epoch in validation, the kept epoch marked."""
    lines: dict[str, list[float]] = {"accuracy": [epoch.accuracy for epoch in epochs]}
    if all(epoch.auc is not None for epoch in epochs):
        lines["AUC"] = [epoch.auc for epoch in epochs if epoch.auc is not None]
    return _curves(run, epochs, lines, is_simulated=is_simulated, name="validation")


def say(estimate: Estimate) -> str:
    """An estimate as in the tables: 0.812 (0.701–0.923)."""
    if estimate.value is None:
        return "not estimable"
    value = f"{estimate.value:.3f}"
    if estimate.low is None:
        return f"{value} (no CI)"
    return f"{value} ({estimate.low:.3f}–{estimate.high:.3f})"


def _curves(
    run: str,
    epochs: Sequence[Epoch],
    lines: Mapping[str, Sequence[float]],
    *,
    is_simulated: bool,
    name: str,
) -> bytes:
    """Lines over epochs."""
    figure = new_figure(width=4.6, height=3.1)
    axes = figure.add_axes((0.12, 0.2, 0.84, 0.64))
    numbers = [epoch.epoch for epoch in epochs]
    for place, (label, values) in enumerate(lines.items()):
        axes.plot(
            numbers,
            values,
            label=label,
            marker="o" if len(numbers) == 1 else None,
            color=PALETTE[place],
            linestyle=DASHES[place],
            linewidth=1.6,
        )
    for epoch in epochs:
        if epoch.is_kept:
            kept = f"epoch {epoch.epoch} kept"
            axes.axvline(epoch.epoch, color=INK, linewidth=1, linestyle=":", label=kept)
    axes.set_xlabel("epoch")
    axes.set_title(f"{display_name(run)}: {name}", loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=PALE, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=True, framealpha=0.85, edgecolor="none", fontsize=8)
    return as_svg(figure, is_simulated=is_simulated)


def _whisker(axes: Axes, place: float, estimate: Estimate, look: Look) -> None:
    """One estimate as point and CI, and as text to the right."""
    right = axes.get_yaxis_transform()
    axes.text(1.04, place, say(estimate), transform=right, va="center", fontsize=8)
    if estimate.low is not None and estimate.high is not None:
        ends = [estimate.low, estimate.high]
        axes.plot(ends, [place, place], color=look.colour, linewidth=2, solid_capstyle="butt")
    if estimate.value is not None:
        axes.plot(estimate.value, place, look.marker, color=look.colour, markersize=6)


def _finish_auc_axes(
    axes: Axes, ticks: Sequence[tuple[float, str]], lines: Sequence[Any], *, bottom: float
) -> None:
    """Scale, names of runs and the line of no discrimination."""
    lows = [e.low if e.low is not None else e.value for _, _, e in lines]
    left = min([0.45, *(low - 0.02 for low in lows if low is not None)])
    axes.set(xlim=(max(left, 0), 1.0), ylim=(bottom - 0.7, -0.5), xlabel="AUC")
    axes.axvline(0.5, color="#8A949E", linewidth=1, linestyle=":")
    axes.set_yticks([place for place, _ in ticks], [run for _, run in ticks], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=PALE, linewidth=0.5)


def new_figure(*, width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height))


def height_of(figure: Figure) -> float:
    """Height in inches."""
    return float(figure.get_figheight())


def as_svg(figure: Figure, *, is_simulated: bool) -> bytes:
    """Write a figure with its marks; no date, no random ids."""
    figure.text(
        0.01, 0.05 / height_of(figure), RESEARCH_USE, fontsize=6, color="#6B7580", va="bottom"
    )
    if is_simulated:
        top = 1 - 0.1 / height_of(figure)
        frame = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": WARNING}
        figure.text(
            0.975, top, SIMULATED, color=WARNING, weight="bold", fontsize=8, va="top",
            ha="right", bbox=frame,
        )  # fmt: skip
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
