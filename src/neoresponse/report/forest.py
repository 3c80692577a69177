"""Subgroups of one run -> a forest plot, as `figures.py` draws."""

from collections.abc import Sequence

import matplotlib as mpl

from neoresponse.contracts.metrics import GroupMetrics, Level, SubgroupRow
from neoresponse.report.figures import (
    PALE,
    PALETTE,
    SETTINGS,
    as_svg,
    height_of,
    new_figure,
    say,
)
from neoresponse.report.names import VARIABLES, display_name

LONGEST = 26


@mpl.rc_context(SETTINGS)
def forest_figure(
    rows: Sequence[SubgroupRow], overall: GroupMetrics, *, is_simulated: bool, confidence: float
) -> bytes:
    """AUC with CI of one run in every subgroup, one line each.

    Args:
        rows: entries of `subgroups` in `metrics.json`, of one run.
        overall: the run's numbers in all these patients.
        is_simulated: whether the patients come from a phantom.
        confidence: coverage of the CIs.
    """
    num_lines = 2 + sum(len(row.levels) + 1.4 for row in rows)
    height, width = 1.15 + 0.235 * num_lines, 7.4
    figure = new_figure(width=width, height=height)
    axes = figure.add_axes((0.36, 0.62 / height, 0.3, 1 - 1.1 / height))
    title = f"{display_name(rows[0].run)}: AUC by subgroup with {100 * confidence:g}% CI"
    figure.text(0.02, 1 - 0.12 / height_of(figure), title, weight="bold", fontsize=10, va="top")
    line = -1.0
    lines: list[tuple[float, str, GroupMetrics | Level, bool]] = [
        (line, "All patients", overall, True)
    ]
    across = axes.get_yaxis_transform()  # x as a share of the axes, y as a line
    for row in rows:
        line -= 1.4
        name = str(VARIABLES.get(row.variable, row.variable))
        axes.text(-1.18, line, name, transform=across, weight="bold", va="center", fontsize=8)
        axes.text(
            1.72, line, _interaction(row), transform=across, va="center", ha="right", fontsize=7.5,
            color="#5A6572",
        )  # fmt: skip
        for level in row.levels:
            line -= 1
            lines.append((line, level.level[:LONGEST], level, False))
    for at, words, numbers, is_all in lines:
        estimate, colour = numbers.auc, PALETTE[0]
        axes.text(
            -1.14 if not is_all else -1.18, at, words, transform=across, va="center", fontsize=8
        )
        count = f"{numbers.num_patients} ({numbers.num_pcr})"
        axes.text(-0.06, at, count, transform=across, va="center", ha="right", fontsize=8)
        axes.text(1.06, at, say(estimate), transform=across, va="center", fontsize=8)
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [at, at], color=colour, linewidth=1.6)
        if estimate.value is not None:
            axes.plot(estimate.value, at, "D" if is_all else "s", color=colour, markersize=5)
    axes.text(-0.06, -0.1, "n (pCR)", transform=across, ha="right", fontsize=7.5, va="center")
    axes.axvline(0.5, color="#8A949E", linewidth=1, linestyle=":")
    if overall.auc.value is not None:
        axes.axvline(overall.auc.value, color=PALE, linewidth=1)
    axes.set(xlim=(0, 1), ylim=(line - 0.8, 0.3), xlabel="AUC", yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    return as_svg(figure, is_simulated=is_simulated)


def _interaction(row: SubgroupRow) -> str:
    """P of the test that all levels have one AUC, raw and adjusted."""
    value, adjusted = row.interaction.p_value, row.p_adjusted
    if value is None:
        return "interaction not estimable"
    return f"interaction P {_p(value)}, adjusted {_p(adjusted)}"


def _p(value: float | None) -> str:
    """A P value in three digits."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
