"""Puts real public images together as a cohort folder, to see real bytes go through.

    python docs/how-to/real_public_files.py PUBLIC OUT

PUBLIC holds `us_breast_usg`, `us_busbra`, `us_dicom`, `he_breast_roi`, `he_wsi` and `annotations`
(see real-public-files.md for where they come from). Nothing in it belongs to one patient: frames of
different women, a slide of a third. The pairing is arbitrary, no outcome is known, and no number
that comes out means anything.
"""

import csv
import shutil
import sys
from pathlib import Path

COHORT_TOML = """\
schema = "neoresponse.cohort/1"
name = "Real public images, paired arbitrarily"
note = "Images of different people put together to test reading. No number means anything."

[table]
file = "patients.csv"

[columns]
patient_id = "id"
us_0 = "US before"
us_0_roi = "outline before"
us_1 = "US after"
us_1_roi = "outline after"
slide = "slide"
slide_roi = "slide outline"
er = "ER"
ki67_percent = "Ki67"
"""

BREAST_USG, BUS_BRA = "us_breast_usg/images", "us_busbra"
DICOM, IMAGEJ = "us_dicom", "annotations/imagej_roi"
SLIDES, REGIONS = "he_wsi", "he_breast_roi/brecahad/images"

# id, US-0, its outline, US-1, its outline, slide, its outline, ER, Ki-67
ROWS = (
    (
        "BREAST-USG",
        f"{BREAST_USG}/case005.png",
        f"{BREAST_USG}/case005_tumor.png",
        f"{BREAST_USG}/case028.png",
        f"{BREAST_USG}/case028_tumor.png",
        f"{SLIDES}/CMU-1-Small-Region.svs",
        "SVS",
        "positive",
        "20",
    ),
    (
        "BUS-BRA",
        f"{BUS_BRA}/images/malignant_0261-l.png",
        f"{BUS_BRA}/masks/malignant_0261-l.png",
        f"{BUS_BRA}/images/1-malignant_0010-r.png",
        f"{BUS_BRA}/masks/1-malignant_0010-r.png",
        f"{REGIONS}/10021.jpg",
        "",
        "negative",
        "60",
    ),
    (
        "DICOM",
        f"{DICOM}/GREYSCALE_IMAGE.dcm",
        "ROI",
        f"{DICOM}/JPGLosslessP14SV1_1s_1f_8b.dcm",
        "",
        f"{SLIDES}/cmu1_pyramid_derived.tif",
        "",
        "",
        "",
    ),
)
HEADER = (
    "id",
    "US before",
    "outline before",
    "US after",
    "outline after",
    "slide",
    "slide outline",
    "ER",
    "Ki67",
)


def build(public: Path, out: Path) -> None:
    """Copy the files and write table, outlines and `cohort.toml`.

    Args:
        public: folder with the public files.
        out: the cohort folder to make.
    """
    out.mkdir(parents=True)
    rows = [[_place(public, out, cell) for cell in row] for row in ROWS]
    with (out / "patients.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])
    (out / "cohort.toml").write_text(COHORT_TOML, encoding="utf-8")


def _place(public: Path, out: Path, cell: str) -> str:
    """Copy what a cell names; the cell as it stands in the table."""
    if cell == "SVS":
        (out / "svs_outline.xml").write_text(_imagescope(300, 400, 1500, 1600), encoding="utf-8")
        return "svs_outline.xml"
    source = public / (f"{IMAGEJ}/freehand.roi" if cell == "ROI" else cell)
    if not cell or not source.is_file():
        return cell
    place = source.relative_to(public)
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, out / place)
    return str(place)


def _imagescope(left: int, top: int, right: int, bottom: int) -> str:
    """A rectangle as ImageScope writes it."""
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in corners)
    return (
        '<Annotations MicronsPerPixel="0.499"><Annotation Id="1"><Regions><Region Id="1" Type="1">'
        f"<Vertices>{vertices}</Vertices></Region></Regions></Annotation></Annotations>"
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
