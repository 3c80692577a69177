"""A cohort folder of four good patients, made by hand; a test spoils one thing."""

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset

from neoresponse.cohort import check_cohort

WORDS = ("patient_id", "pcr", "focality", "er", "ki67_percent", "us_0", "us_0_roi", "us_1")
WORDS = (*WORDS, "us_1_roi", "slide", "slide_roi")
TOML = """\
schema = "neoresponse.cohort/1"
name = "By hand"
[table]
file = "table.csv"
[ultrasound]
spacing_mm = 0.1
[slide]
mpp = 0.5
[codes.er]
pos = "positive"
[columns]
"""
OUTLINE = '{"type": "Polygon", "coordinates": [[[20, 20], [60, 20], [60, 60], [20, 60]]]}'


class Cohort:
    """A folder of four good patients; a test spoils one thing and checks."""

    def __init__(self, folder):
        self.folder = folder
        self.toml = TOML + "".join(f'{word} = "{word.upper()}"\n' for word in WORDS)
        rng = np.random.default_rng(1)
        self.rows = {}
        for number, label in enumerate("0101", start=1):
            name = f"P{number}"
            for kind in ("us_0", "us_1", "slide"):
                pixels = rng.integers(0, 256, (80, 100), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}_{kind}.png")
            (folder / f"{name}.json").write_text(OUTLINE)
            self.rows[name] = {
                "patient_id": name,
                "pcr": label,
                "focality": "unifocal",
                "er": "pos",
                "ki67_percent": "30",
                **{kind: f"{name}_{kind}.png" for kind in ("us_0", "us_1", "slide")},
                **{f"{kind}_roi": f"{name}.json" for kind in ("us_0", "us_1", "slide")},
            }

    def put(self, name, **cells):
        self.rows[name] = {**self.rows[name], **cells}
        return self

    def check(self, **options):
        lines = [",".join(word.upper() for word in WORDS)]
        lines += [",".join(f'"{row[word]}"' for word in WORDS) for row in self.rows.values()]
        (self.folder / "table.csv").write_text("\n".join(lines) + "\n")
        (self.folder / "cohort.toml").write_text(self.toml)
        return check_cohort(self.folder, **options)

    def write_dicom(self, path, **elements):
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.Modality, dataset.PhotometricInterpretation = "US", "MONOCHROME2"
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 80, 100, 1
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        seed = len(list(self.folder.iterdir()))
        pixels = np.random.default_rng(seed).integers(0, 256, (80, 100), dtype=np.uint8)
        dataset.PixelData = pixels.tobytes()
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset["PixelData"].VR = "OW"
        dataset.save_as(self.folder / path, enforce_file_format=True)


@pytest.fixture
def cohort(tmp_path):
    folder = tmp_path / "cohort"
    folder.mkdir()
    return Cohort(folder)
