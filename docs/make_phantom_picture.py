"""Draws the picture of simulated patients in docs/explanation/phantom.md.

    python docs/make_phantom_picture.py PHANTOM PICTURE.jpg

PHANTOM is what `neoresponse phantom PHANTOM --patients 6` wrote: a row each for the first patient
with pCR and the first without; US-0, US-1 and the slide.
"""

import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from neoresponse.imaging.slide import open_slide
from neoresponse.imaging.ultrasound import read_ultrasound
from neoresponse.types import Box, Pixels

OUTCOMES = ("pCR", "non-pCR")
THUMBNAIL_PX = 700


def main(phantom: Path, picture: Path) -> None:
    """Read two patients and draw them."""
    cohort = phantom / "cohort"
    with (cohort / "patients.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure, axes = plt.subplots(len(OUTCOMES), 3, figsize=(11, 6.6), layout="constrained")
    for line, outcome in zip(axes, OUTCOMES, strict=True):
        patient = next(row for row in rows if row["Pathology result"] == outcome)
        for axis, time_point in zip(line, ("US0", "US1"), strict=False):
            frame = read_ultrasound(cohort / patient[f"{time_point} file"])
            axis.imshow(frame.pixels, cmap="gray", vmin=0, vmax=255)
            axis.set_title(f"{time_point[:2]}-{time_point[2]}, {outcome}")
        line[2].imshow(thumbnail(cohort / patient["Slide file"]))
        line[2].set_title(f"biopsy, {outcome}")
    for axis in axes.flat:
        axis.set_axis_off()
    figure.suptitle("SIMULATED patients")
    figure.savefig(picture, dpi=90, pil_kwargs={"quality": 85})


def thumbnail(path: Path) -> Pixels:
    """The whole slide, small."""
    with open_slide(path) as slide:
        scale = THUMBNAIL_PX / max(slide.width, slide.height)
        size = (round(slide.width * scale), round(slide.height * scale))
        return slide.read_region(Box(0, 0, slide.width, slide.height), out_px=size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
