"""A training under way as one small picture: losses on the left, accuracy and AUC on the right.

Written by hand as SVG: it is drawn at the end of every epoch, and the library that draws the
report's figures needs a second to start and a tenth for each.
"""

from collections.abc import Sequence
from html import escape

from neoresponse.training.keep import Row
from neoresponse.types import SIMULATED

_WIDTH, _HEIGHT = 380, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 48, 34, 12, 34
_BLUE, _ORANGE = "#0072b2", "#d55e00"
_PANELS = (
    ("Loss", (("train_loss", "training", _BLUE), ("validation_loss", "validation", _ORANGE))),
    (
        "Validation patients",
        (("validation_accuracy", "accuracy", _BLUE), ("validation_auc", "AUC", _ORANGE)),
    ),
)


def progress_svg(history: Sequence[Row], *, kept_epoch: int | None, is_simulated: bool) -> str:
    """The picture.

    Args:
        history: metrics of all epochs so far, at least one.
        kept_epoch: marked by a dashed line; None where none may be kept yet.
        is_simulated: whether it has to say so.

    Returns:
        The content of an SVG file.
    """
    panels = [
        f'<g transform="translate({_WIDTH * place} 22)">{_panel(history, kept_epoch, *panel)}</g>'
        for place, panel in enumerate(_PANELS)
    ]
    title = f"Epoch {len(history) - 1}"
    title += "" if kept_epoch is None else f", kept so far: {kept_epoch}"
    mark = f'<tspan fill="#b00020" font-weight="bold"> {SIMULATED}</tspan>' if is_simulated else ""
    size = f"{2 * _WIDTH} {_HEIGHT + 22}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        'font-family="sans-serif" font-size="11" fill="#222">\n'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<text x="12" y="18" font-size="13">{escape(title)}{mark}</text>\n'
        + "\n".join(panels)
        + "\n</svg>\n"
    )


def _panel(
    history: Sequence[Row],
    kept_epoch: int | None,
    title: str,
    curves: Sequence[tuple[str, str, str]],
) -> str:
    """One pair of axes with its curves."""
    curves = [curve for curve in curves if all(curve[0] in row for row in history)]
    values = [row[name] for row in history for name, _, _ in curves]
    low, high = (0.0, 1.0) if title != "Loss" else (0.0, max(values) * 1.05 or 1.0)
    last = max(1, len(history) - 1)
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(epoch: float, value: float) -> str:
        x = _LEFT + plot_width * epoch / last
        y = _TOP + plot_height * (1 - (value - low) / (high - low))
        return f"{x:.1f},{y:.1f}"

    parts = [_axes(title, low, high, last)]
    if kept_epoch is not None:
        ends = place(kept_epoch, low), place(kept_epoch, high)
        parts.append(f'<polyline points="{" ".join(ends)}" stroke="#888" stroke-dasharray="4 3"/>')
    for number, (name, label, colour) in enumerate(curves):
        points = [place(row["epoch"], row[name]) for row in history]
        parts.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
            'stroke-width="1.6"/>'
        )
        x, y = points[-1].split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>')
        place_x = _WIDTH - _RIGHT - 150 + 80 * number
        parts.append(f'<text x="{place_x}" y="24" fill="{colour}">{label}</text>')
    return "".join(parts)


def _axes(title: str, low: float, high: float, last: int) -> str:
    """Frame, ticks and names."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<text x="{_LEFT}" y="24" font-weight="bold">{title}</text>',
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" stroke="#444" fill="none"/>',
        f'<text x="{_LEFT}" y="{bottom + 14}" text-anchor="middle">0</text>',
        f'<text x="{right}" y="{bottom + 14}" text-anchor="end">{last}</text>',
        f'<text x="{(_LEFT + right) / 2}" y="{bottom + 28}" text-anchor="middle">epoch</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - _TOP)
        value = low + share * (high - low)
        parts.append(f'<path d="M{_LEFT} {y}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.2f}</text>')
    return "".join(parts)
