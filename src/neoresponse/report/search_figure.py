"""A search as one picture: the measure by trial, and by each key that was searched."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter
from pydantic import JsonValue

from neoresponse.report.figures import INK, PALE, PALETTE, SETTINGS, as_svg, new_figure

Point = tuple[int, float | None, Mapping[str, JsonValue]]
_COLUMNS, _WIDE, _HIGH = 3, 2.9, 2.3
_FAILED = "#7F7F7F"


@dataclass(frozen=True)
class SearchShown:
    """What is drawn.

    Attributes:
        measure: its name.
        is_high_good: whether a higher value is better.
        points: number, value (None: failed) and values of each trial.
        keys: what was searched.
        log_keys: those with a logarithmic range.
        best: number of the best trial.
    """

    measure: str
    is_high_good: bool
    points: tuple[Point, ...]
    keys: tuple[str, ...]
    log_keys: tuple[str, ...]
    best: int


@mpl.rc_context(SETTINGS)
def search_figure(shown: SearchShown, *, is_simulated: bool) -> bytes:
    """The picture, as SVG.

    Args:
        shown: at least one trial with a value.
        is_simulated: whether it has to say so.
    """
    num = 1 + len(shown.keys)
    columns = min(_COLUMNS, num)
    rows = -(-num // columns)
    width, height = 0.7 + _WIDE * columns, 0.62 + _HIGH * rows
    figure = new_figure(width=width, height=height)
    title = f"Mean {shown.measure} over the inner folds; best: trial {shown.best}"
    figure.text(0.02, 1 - 0.14 / height, title, weight="bold", fontsize=10, va="top")
    for place in range(num):
        row, column = divmod(place, columns)
        left, top = 0.65 + _WIDE * column, height - 0.55 - _HIGH * row
        axes = figure.add_axes(
            (
                left / width,
                (top - _HIGH + 0.75) / height,
                (_WIDE - 0.6) / width,
                (_HIGH - 0.75) / height,
            )
        )
        _draw_trials(axes, shown) if place == 0 else _draw_key(axes, shown, shown.keys[place - 1])
        if column == 0:
            axes.set_ylabel(shown.measure)
    return as_svg(figure, is_simulated=is_simulated)


def _draw_trials(axes: Axes, shown: SearchShown) -> None:
    """Every trial in turn, and the best so far."""
    numbers = [float(number) for number, _, _ in shown.points]
    _scatter(axes, shown, dict(enumerate(numbers)))
    best: list[float] = []
    at = []
    for number, value, _ in shown.points:
        if value is not None:
            pick = max if shown.is_high_good else min
            best.append(pick([*best[-1:], value]))
            at.append(number)
    axes.step(at, best, where="post", color=INK, linewidth=1, zorder=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial (line: best so far, cross: failed)", fontsize=8)


def _draw_key(axes: Axes, shown: SearchShown, key: str) -> None:
    """Every trial at its value of one key."""
    values = [values[key] for _, _, values in shown.points]
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        _scatter(axes, shown, dict(enumerate(numbers)))
        if key in shown.log_keys:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        elif all(isinstance(v, int) for v in values):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
    else:
        names = [v if isinstance(v, str) else json.dumps(v) for v in values]
        ticks = sorted(set(names))
        _scatter(axes, shown, {i: float(ticks.index(name)) for i, name in enumerate(names)})
        axes.set_xticks(range(len(ticks)), [_short(tick) for tick in ticks], fontsize=7)
        axes.set_xlim(-0.5, len(ticks) - 0.5)
    axes.set_xlabel(key, fontsize=8)


def _scatter(axes: Axes, shown: SearchShown, place: Mapping[int, float]) -> None:
    """Trials as points, the best one marked, failed ones as crosses at the bottom."""
    for i, (number, value, _) in enumerate(shown.points):
        if value is None:
            axes.plot(
                place[i], 0.03, "x", color=_FAILED, transform=axes.get_xaxis_transform(),
                markersize=5,
            )  # fmt: skip
            continue
        is_best = number == shown.best
        axes.plot(
            place[i], value, "D" if is_best else "o", color=PALETTE[1 if is_best else 0],
            markersize=7 if is_best else 4.5, zorder=3 if is_best else 2,
        )  # fmt: skip
    axes.margins(y=0.15)
    axes.grid(color=PALE, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _short(text: str) -> str:
    """A name that fits under a tick."""
    return text if len(text) <= 14 else f"{text[:13]}…"
