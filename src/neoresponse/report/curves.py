"""Precision-recall, calibration and decision curves -> SVG, as `figures.py` draws.

In: content of `metrics.json`. Out: the bytes of a figure.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from neoresponse.contracts.metrics import Calibration, GroupMetrics, Metrics
from neoresponse.report.figures import (
    INK,
    PALE,
    SETTINGS,
    Look,
    as_svg,
    finish_square,
    height_of,
    looks,
    new_figure,
    say,
    square_axes,
)
from neoresponse.report.names import display_name

PER_ROW = 3
"""Calibration panels side by side."""


@mpl.rc_context(SETTINGS)
def precision_recall_figure(
    metrics: Metrics, cohort: str, *, runs: Sequence[str], title: str
) -> bytes:
    """Precision against recall of all runs in one cohort; chance is the pCR rate.

    Args:
        metrics: content of `metrics.json`.
        cohort: the group drawn.
        runs: names, in the order to draw.
        title: the group in words.
    """
    figure, axes = square_axes(num_runs=len(runs))
    for run, group in _groups(metrics, cohort, runs):
        curve, look = group.precision_recall, looks(runs)[run]
        if not curve.recall:
            continue
        label = f"{display_name(run)}   {say(group.average_precision)}"
        axes.step(
            [0.0, *curve.recall],
            [*curve.precision[:1], *curve.precision],
            where="pre",
            color=look.colour,
            linestyle=look.dash,
            linewidth=1.6,
            label=label,
        )
        share = group.num_pcr / group.num_patients if group.num_patients else 0.0
        axes.axhline(share, color=PALE, linewidth=1, zorder=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall (sensitivity)", ylabel="precision (PPV)")
    finish_square(
        figure, axes, title=title, legend=f"Average precision ({100 * metrics.confidence:g}% CI)"
    )
    return as_svg(figure, is_simulated=metrics.is_simulated)


@mpl.rc_context(SETTINGS)
def calibration_figure(metrics: Metrics, cohort: str, *, runs: Sequence[str]) -> bytes:
    """Observed pCR rate against predicted probability, one panel per run.

    Args:
        metrics: content of `metrics.json`.
        cohort: the group drawn.
        runs: names, in the order to draw.
    """
    panels = _groups(metrics, cohort, runs)
    num_rows = max(1, -(-len(panels) // PER_ROW))
    width, height = 2.55 * min(PER_ROW, max(1, len(panels))) + 0.35, 2.75 * num_rows + 0.55
    figure = new_figure(width=width, height=height)
    for place, (run, group) in enumerate(panels):
        left = 0.55 + 2.55 * (place % PER_ROW)
        bottom = height - 2.55 - 2.75 * (place // PER_ROW)
        axes = figure.add_axes((left / width, bottom / height, 1.95 / width, 1.95 / height))
        _calibration_panel(axes, group.calibration, looks(runs)[run])
        axes.set_title(display_name(run), loc="left", fontsize=9)
    return as_svg(figure, is_simulated=metrics.is_simulated)


@mpl.rc_context(SETTINGS)
def decision_figure(metrics: Metrics, cohort: str, *, runs: Sequence[str]) -> bytes:
    """Net benefit against the threshold: every run, treating all, treating none.

    Args:
        metrics: content of `metrics.json`.
        cohort: the group drawn.
        runs: names, in the order to draw; the first one's CI is shaded.
    """
    figure = new_figure(width=7.4, height=3.9)
    axes = figure.add_axes((0.09, 0.19, 0.62, 0.66))
    top = 0.05
    for place, (run, group) in enumerate(_groups(metrics, cohort, runs)):
        curve, look = group.decision.curve, looks(runs)[run]
        thresholds = curve.threshold
        if not thresholds:
            continue
        if place == 0:
            axes.plot(thresholds, curve.treat_all, color=INK, linewidth=1, label="treat all as pCR")
            axes.axhline(0, color=INK, linewidth=1, linestyle=":", label="treat none")
            axes.fill_between(
                thresholds, curve.low, curve.high, color=look.colour, alpha=0.15, linewidth=0,
                label=f"{100 * metrics.confidence:g}% CI of {display_name(run)}",
            )  # fmt: skip
        axes.plot(
            thresholds, curve.net_benefit, color=look.colour, linestyle=look.dash, linewidth=1.8,
            label=display_name(run),
        )  # fmt: skip
        top = max(top, *curve.net_benefit, *curve.high)
    for threshold in metrics.decision_thresholds:
        axes.axvline(threshold, color=PALE, linewidth=0.8, zorder=0)
    axes.set(xlim=(0, 1), ylim=(-0.35 * top, 1.1 * top))
    axes.set(xlabel="threshold probability of pCR", ylabel="net benefit")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.text(
        0.02, 1 - 0.12 / height_of(figure), "Net benefit", weight="bold", fontsize=10, va="top"
    )
    return as_svg(figure, is_simulated=metrics.is_simulated)


def _groups(metrics: Metrics, cohort: str, runs: Sequence[str]) -> list[tuple[str, GroupMetrics]]:
    """Each run that has the cohort, and its numbers there."""
    cohorts = ((run, metrics.runs[run].cohorts) for run in runs)
    return [(run, groups[cohort]) for run, groups in cohorts if cohort in groups]


def _calibration_panel(axes: Axes, calibration: Calibration, look: Look) -> None:
    """Bins of equal size with Wilson CIs, and the slope."""
    axes.plot([0, 1], [0, 1], color="#8A949E", linewidth=1, linestyle=":")
    centres = np.array([one.mean_probability for one in calibration.curve])
    shares = [one.observed for one in calibration.curve]
    ends = np.array([(share.low, share.high) for share in shares], dtype=float)
    for x, pair in zip(centres, ends, strict=True):
        axes.plot([x, x], pair, color=look.colour, linewidth=1.2)
    axes.plot(
        centres,
        np.array([share.value for share in shares], dtype=float),
        color=look.colour,
        marker="o",
        markersize=3.5,
        linewidth=0.8,
        linestyle="-",
    )
    slope = calibration.slope.value
    words = "no slope" if slope is None else f"slope {slope:.2f}"
    axes.text(0.03, 0.95, words, fontsize=8, va="top")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="observed pCR rate")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.grid(color=PALE, linewidth=0.5)
