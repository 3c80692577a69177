"""Compares simulated pictures with real ones: one table, one page of plots.

    python benchmarks/realism.py [--data data] [--out realism.png] [--patients 60]

`--data` names a folder of public pictures: `us_breast_usg` and `us_busbra` for ultrasound,
`he_breast_roi` for tissue; what they hold stands in `ultrasound_measures.py` and
`tissue_measures.py`. Every measure is taken alike from both sides. The Kolmogorov distance is the
largest gap between the two cumulative distributions: 0 where they are the same, 1 where they do not
overlap; "chance" is what two samples of these sizes from one distribution exceed once in twenty
times.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tissue_measures
import ultrasound_measures
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import ks_2samp

from neoresponse.types import SIMULATED

Floats = npt.NDArray[np.floating]
Compared = Mapping[str, tuple[Floats, Floats]]

NUM_COLUMNS = 5
PHANTOM_COLOUR, REAL_COLOUR = "#D55E00", "#0072B2"


def main() -> int:
    """Read the command line, measure, print, draw; 2 where there are no real pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, help="PNG or SVG; nothing is drawn without it")
    parser.add_argument("--patients", type=int, default=60)
    chosen = parser.parse_args()
    try:
        found = {
            "ultrasound": ultrasound_measures.compare(chosen.data, chosen.patients),
            "tissue": tissue_measures.compare(chosen.data / "he_breast_roi", chosen.patients),
        }
    except FileNotFoundError as error:
        print(error)
        return 2
    for kind, compared in found.items():
        print_table(kind, compared)
    if chosen.out:
        draw_page(found).savefig(chosen.out, dpi=110)
        print(f"wrote {chosen.out}")
    return 0


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Help as it is written above."""


def print_table(kind: str, compared: Compared) -> None:
    """One row per measure: medians and quartiles of both sides, and how far they are apart."""
    width = max(len(name) for name in compared)
    print(f"\n{kind + ':':{width}s}  {SIMULATED + ' [quartiles]':26s}  real [quartiles]")
    for name, (drawn, real) in compared.items():
        print(
            f"{name:{width}s}  {_summary(drawn):26s}  {_summary(real):26s}  n {len(real):3d}  "
            f"Kolmogorov {kolmogorov(drawn, real):.2f}, chance {chance(len(drawn), len(real)):.2f}"
        )


def kolmogorov(first: Floats, second: Floats) -> float:
    """Largest gap between two cumulative distributions."""
    return float(ks_2samp(first, second).statistic)


def chance(num_first: int, num_second: int) -> float:
    """Kolmogorov distance that two samples of one distribution exceed with probability 0.05."""
    return float(1.358 * np.sqrt((num_first + num_second) / (num_first * num_second)))


def draw_page(found: Mapping[str, Compared]) -> Figure:
    """Cumulative distributions of every measure, simulated and real."""
    panels = [
        (f"{kind}: {name}", pair)
        for kind, compared in found.items()
        for name, pair in compared.items()
    ]
    num_rows = -(-len(panels) // NUM_COLUMNS)
    figure = Figure(figsize=(3.1 * NUM_COLUMNS, 1.9 * num_rows + 0.6), layout="constrained")
    figure.suptitle(
        f"{SIMULATED} pictures of the phantom beside real ones: share of pictures below"
    )
    axes = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False).ravel()
    for panel, (name, pair) in zip(axes, panels, strict=False):
        _draw_panel(panel, name, pair)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    axes[0].legend(fontsize=7)
    return figure


def _draw_panel(panel: Axes, name: str, pair: tuple[Floats, Floats]) -> None:
    """Two step curves; the distance between them in the title."""
    kinds = ((SIMULATED, PHANTOM_COLOUR), ("real", REAL_COLOUR))
    for values, (label, colour) in zip(pair, kinds, strict=True):
        panel.ecdf(values, label=label, color=colour)
    panel.set_title(f"{name}\ndistance {kolmogorov(*pair):.2f}", fontsize=7)
    panel.tick_params(labelsize=7)


def _summary(values: Floats) -> str:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    raise SystemExit(main())
