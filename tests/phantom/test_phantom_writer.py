"""The folder that the phantom writes, read back with other people's readers."""

import csv
import hashlib
import json

import numpy as np
import openslide
import pydicom
import pytest
from defusedxml.ElementTree import parse
from PIL import Image
from roifile import ImagejRoi
from shapely import Polygon, contains_xy

from neoresponse.cohort.dictionary import CLINICAL, CohortFile, Levels, load_cohort_file
from neoresponse.errors import RunError
from neoresponse.phantom import write_phantom
from neoresponse.phantom.tumour import strata
from neoresponse.settings import PhantomSettings

TINY = {"frame_px": 96, "region_px": 96, "mpp": 2.0}


def settings(num_patients=6, **changes):
    return PhantomSettings(num_patients=num_patients, **{**TINY, **changes})


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom") / "out"
    write_phantom(out, settings(14), seed=3)
    return out


@pytest.fixture(scope="module")
def cohort_file(phantom):
    return load_cohort_file(phantom / "cohort")


@pytest.fixture(scope="module")
def rows(phantom, cohort_file: CohortFile):
    """The table in our words."""
    return [
        {
            word: cohort_file.codes.get(word, {}).get(row[column], row[column])
            for word, column in cohort_file.columns.items()
        }
        for row in read_csv(phantom / "cohort" / "patients.csv")
    ]


@pytest.fixture(scope="module")
def truths(phantom):
    return {row["patient_id"]: row for row in read_csv(phantom / "truth" / "truth.csv")}


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path):
    write_phantom(tmp_path / "one", settings(3), seed=1)
    write_phantom(tmp_path / "two", settings(3), seed=1, num_workers=2)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_another_seed_gives_other_bytes(tmp_path, phantom):
    write_phantom(tmp_path / "out", settings(1), seed=4)
    name = "cohort/slides/P0001.tif"
    assert (tmp_path / "out" / name).read_bytes() != (phantom / name).read_bytes()


def test_a_patient_does_not_depend_on_how_many_are_made(tmp_path, phantom):
    write_phantom(tmp_path / "out", settings(2), seed=3)
    few, many = bytes_of(tmp_path / "out"), bytes_of(phantom)
    own = [name for name in few if "P000" in name]
    assert len(own) >= 2 * 9
    assert {name: few[name] for name in own} == {name: many[name] for name in own}
    for name in ("cohort/patients.csv", "truth/truth.csv"):
        lines = (tmp_path / "out" / name).read_text().splitlines()
        assert (phantom / name).read_text().splitlines()[:3] == lines


def test_the_table_is_legal_in_our_words(rows):
    for row in rows:
        for name, rule in CLINICAL.items():
            if isinstance(rule, Levels):
                assert row[name] in rule.words
            else:
                assert rule.low <= float(row[name]) <= rule.high


def test_outcome_and_focality_follow_the_strata(rows):
    found = [(row["focality"], int(row["pcr"])) for row in rows]
    assert found == strata(14)


def test_the_cohort_says_that_it_is_simulated(cohort_file):
    assert cohort_file.is_simulated
    assert "SIMULATED" in cohort_file.note
    assert cohort_file.name == "Phantom guo2024, seed 3"


def test_every_file_of_the_table_is_there_and_no_other(phantom, rows):
    names = ("us_0", "us_0_roi", "us_1", "us_1_roi", "slide", "slide_roi")
    named = {row[name] for row in rows for name in names} - {""}
    found = {
        path.relative_to(phantom / "cohort").as_posix()
        for folder in ("ultrasound", "slides")
        for path in (phantom / "cohort" / folder).iterdir()
    }
    assert named == found


def test_ultrasound_reads_as_dicom_with_its_region_and_spacing(phantom, rows, truths):
    machines = set()
    for row in rows:
        for name in ("us_0", "us_1"):
            dataset = pydicom.dcmread(phantom / "cohort" / row[name])
            region = dataset.SequenceOfUltrasoundRegions[0]
            spacing_mm = float(truths[row["patient_id"]]["spacing_mm"])
            assert dataset.SOPClassUID == pydicom.uid.UltrasoundImageStorage
            assert region.RegionLocationMaxX1 - region.RegionLocationMinX0 + 1 == 96
            assert region.RegionLocationMaxY1 - region.RegionLocationMinY0 + 1 == 96
            assert (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (3, 3)
            assert region.PhysicalDeltaX * 10 == pytest.approx(spacing_mm)
            assert region.PhysicalDeltaY * 10 == pytest.approx(spacing_mm)
            assert [float(v) for v in dataset.PixelSpacing] == pytest.approx([spacing_mm] * 2, 1e-4)
            assert dataset.pixel_array.dtype == np.uint8
            assert dataset.BurnedInAnnotation == "YES"
            machines.add((row["machine"], dataset.pixel_array.shape))
    assert len(machines) == len({name for name, _ in machines}) == 3


def test_the_banner_stands_outside_the_region_alone(phantom, rows):
    for row in rows:
        dataset = pydicom.dcmread(phantom / "cohort" / row["us_0"])
        region = dataset.SequenceOfUltrasoundRegions[0]
        pixels = dataset.pixel_array.copy()
        picture = pixels[
            region.RegionLocationMinY0 : region.RegionLocationMaxY1 + 1,
            region.RegionLocationMinX0 : region.RegionLocationMaxX1 + 1,
        ]
        if picture.ndim == 3:
            assert (picture == picture[..., :1]).all()
        picture[:] = 0
        assert (pixels > 100).sum() > 50


def test_headers_say_simulated_and_name_nobody(phantom, rows):
    for row in rows:
        dataset = pydicom.dcmread(phantom / "cohort" / row["us_1"])
        assert dataset.PatientID == row["patient_id"]
        assert str(dataset.PatientName) == ""
        for text in (dataset.ImageComments, dataset.InstitutionName, dataset.Manufacturer):
            assert "SIMULATED" in text


def test_us_0_lies_in_the_week_before_and_us_1_about_six_weeks_after(phantom, rows):
    for row in rows:
        days = [
            np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}")
            for name in ("us_0", "us_1")
            for day in [pydicom.dcmread(phantom / "cohort" / row[name]).AcquisitionDate]
        ]
        assert 40 <= (days[1] - days[0]).astype(int) <= 51


def test_identifiers_are_unique(phantom):
    headers = [pydicom.dcmread(path) for path in (phantom / "cohort").rglob("*.dcm")]
    uids = [
        uid for h in headers for uid in (h.SOPInstanceUID, h.StudyInstanceUID, h.SeriesInstanceUID)
    ]
    assert len(set(uids)) == len(uids) == 3 * 28


def test_drawn_outlines_fit_the_true_lesion(phantom, rows, truths):
    for row in rows:
        for name in ("us_0", "us_1"):
            path = f"{row['patient_id']}_{name}_lesion.png"
            mask = np.asarray(Image.open(phantom / "truth" / "masks" / path)) > 0
            frame = pydicom.dcmread(phantom / "cohort" / row[name])
            assert mask.shape == frame.pixel_array.shape[:2]
            if not row[f"{name}_roi"]:
                assert not mask.any()
                assert truths[row["patient_id"]]["is_visible_us_1"] == "0"
                continue
            roi = ImagejRoi.fromfile(phantom / "cohort" / row[f"{name}_roi"])
            y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
            filled = contains_xy(Polygon(roi.coordinates()), x, y)
            # around a lesion in pieces one draws a line around them all
            whole = name == "us_0" or truths[row["patient_id"]]["fragmentation"] == "0.0"
            assert (filled & mask).sum() / (filled | mask if whole else mask).sum() > 0.9


def test_the_lesion_shrinks_as_the_patient_responds(truths):
    ratio = [float(t["lesion_mm2_us_1"]) / float(t["lesion_mm2_us_0"]) for t in truths.values()]
    response = [float(t["z_response"]) for t in truths.values()]
    assert np.corrcoef(ratio, response)[0, 1] < -0.9


def test_slides_open_with_openslide_as_a_pyramid_with_spacing(phantom, rows):
    for row in rows[:3]:
        with openslide.OpenSlide(phantom / "cohort" / row["slide"]) as slide:
            assert slide.properties["openslide.vendor"] == "generic-tiff"
            assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(2.0)
            assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(2.0)
            assert slide.level_count > 1
            region = slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")
            assert 100 < np.asarray(region).mean() < 240


@pytest.mark.parametrize("mpp", [0.3, 1.5])
def test_spacing_of_a_slide_survives_when_it_is_no_round_number(tmp_path, mpp):
    write_phantom(tmp_path / "out", settings(1, mpp=mpp), seed=1)
    with openslide.OpenSlide(tmp_path / "out/cohort/slides/P0001.tif") as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(mpp, rel=1e-5)


def test_the_slide_outline_is_a_square_inside_the_slide(phantom, rows, truths):
    for row in rows:
        root = parse(phantom / "cohort" / row["slide_roi"]).getroot()
        assert float(root.attrib["MicronsPerPixel"]) == 2.0
        vertices = np.array(
            [[float(v.attrib["X"]), float(v.attrib["Y"])] for v in root.iter("Vertex")]
        )
        assert np.ptp(vertices, axis=0).tolist() == [96, 96]
        with openslide.OpenSlide(phantom / "cohort" / row["slide"]) as slide:
            assert (vertices >= 0).all()
            assert (vertices <= slide.dimensions).all()
        path = phantom / "truth" / "masks" / f"{row['patient_id']}_slide_lymphocytes.png"
        mask = np.asarray(Image.open(path))
        assert mask.shape == (96, 96)
        fraction = float(truths[row["patient_id"]]["lymphocyte_fraction"])
        assert mask.mean() / 255 == pytest.approx(fraction, abs=1e-6)


def test_the_lymphocyte_share_rises_with_its_trait(truths):
    share = [float(t["lymphocyte_fraction"]) for t in truths.values()]
    trait = [float(t["z_lymphocytes"]) for t in truths.values()]
    assert np.corrcoef(np.log(share), trait)[0, 1] > 0.95


def test_truth_keeps_seed_settings_and_effects(phantom):
    truth = json.loads((phantom / "truth" / "truth.json").read_text())
    assert truth["schema"] == "neoresponse.truth/2"
    assert truth["seed"] == 3
    assert truth["settings"]["num_patients"] == 14
    assert truth["effects"]["traits"]["response"]["outcome"] > 0


def test_the_oracle_lies_beside_the_truth_and_with_all_inputs_is_the_probability(phantom, truths):
    rows = read_csv(phantom / "truth" / "oracle.csv")
    assert [row["patient_id"] for row in rows] == list(truths)
    assert len(rows[0]) == 2 + 15
    for row in rows:
        truth = truths[row["patient_id"]]
        assert row["label"] == truth["label"]
        if truth["is_visible_us_1"] == "1":
            everything = float(row["biopsy+us_0+us_1+clinical"])
            assert everything == pytest.approx(float(truth["probability"]))


def test_a_dose_of_zero_gives_the_very_bytes_of_a_cohort_without_stress(tmp_path):
    write_phantom(tmp_path / "plain", settings(2), seed=1)
    write_phantom(tmp_path / "dosed", settings(2, stress="gain", dose=0.0), seed=1)
    assert bytes_of(tmp_path / "plain" / "cohort") == bytes_of(tmp_path / "dosed" / "cohort")


TOUCHED = {
    "gain": {"dcm"},
    "depth": {"dcm", "roi"},
    "probe": {"dcm"},
    "speckle": {"dcm"},
    "outline": {"roi"},
    "plane": {"dcm", "roi"},
    "stain": {"tif"},
    "focus": {"tif"},
    "jpeg": {"tif"},
    "shift": {"roi"},
}
"""Stress -> what kinds of files of a cohort it may change."""


@pytest.fixture(scope="module")
def unstressed(tmp_path_factory):
    out = tmp_path_factory.mktemp("unstressed") / "out"
    write_phantom(out, settings(1), seed=1)
    return out


@pytest.mark.parametrize("stress", TOUCHED)
def test_a_stress_changes_its_own_files_alone_and_no_truth_about_the_patient(
    unstressed, tmp_path, stress
):
    write_phantom(tmp_path / "hard", settings(1, stress=stress, dose=1.0), seed=1)
    plain, hard = (pixels_of(folder / "cohort") for folder in (unstressed, tmp_path / "hard"))
    changed = {name.rsplit(".")[-1] for name in plain if plain[name] != hard[name]}
    assert changed
    assert changed <= TOUCHED[stress]
    assert (
        bytes_of(unstressed / "truth")["oracle.csv"]
        == (bytes_of(tmp_path / "hard/truth")["oracle.csv"])
    )


def pixels_of(cohort):
    """Hash of every file; of DICOM, of its pixels: identifiers follow from the settings."""
    found = bytes_of(cohort)
    for path in cohort.rglob("*.dcm"):
        pixels = pydicom.dcmread(path).pixel_array.tobytes()
        found[path.relative_to(cohort).as_posix()] = hashlib.sha256(pixels).hexdigest()
    return {name: value for name, value in found.items() if name.endswith(("dcm", "roi", "tif"))}


def test_a_folder_with_files_is_replaced_only_when_forced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for force in (False, True):
        with pytest.raises(RunError, match=r"(N|n)ame another folder"):
            write_phantom(out, settings(1), seed=1, force=force)
    assert (out / "mine.txt").read_text() == "mine"
    (out / "mine.txt").unlink()
    write_phantom(out, settings(1), seed=1)
    with pytest.raises(RunError, match="--force"):
        write_phantom(out, settings(1), seed=1)
    write_phantom(out, settings(1), seed=1, force=True)
    assert sorted(path.name for path in out.iterdir()) == [".neoresponse.json", "cohort", "truth"]


def test_progress_counts_patients(tmp_path):
    seen = []

    def track(items, *, name, total=None):
        for item in items:
            seen.append((name, total))
            yield item

    write_phantom(tmp_path / "out", settings(2), seed=1, track=track)
    assert seen == [("patients", 2)] * 2


def test_truth_masks_agree_with_each_other(phantom, truths):
    def mask(patient_id, name):
        path = phantom / "truth" / "masks" / f"{patient_id}_{name}.png"
        return np.asarray(Image.open(path)) > 0

    for patient_id, truth in truths.items():
        before, after = (mask(patient_id, f"us_{n}_lesion") for n in (0, 1))
        assert not (mask(patient_id, "us_0_rim") & before).any()
        assert mask(patient_id, "us_0_rim").any()
        changed = mask(patient_id, "us_1_changed")
        if float(truth["z_response"]) > 0:  # much of the lesion is gone
            assert changed.sum() > 0.3 * before.sum()
        assert not (changed & after).sum() > 0.5 * after.sum()
        clusters, cells = (mask(patient_id, f"slide_{n}") for n in ("clusters", "lymphocytes"))
        if clusters.any():
            assert cells[clusters].mean() > cells[~clusters].mean()


def test_multifocal_patients_have_smaller_foci_and_others_have_none(phantom, truths):
    for patient_id, truth in truths.items():
        path = phantom / "truth" / "masks" / f"{patient_id}_us_0_satellites.png"
        assert path.exists() == (truth["is_multifocal"] == "1")
        assert (int(truth["num_satellites"]) > 0) == path.exists()
        if path.exists():
            area = (np.asarray(Image.open(path)) > 0).sum() * float(truth["spacing_mm"]) ** 2
            assert 0 < area < 2 * float(truth["lesion_mm2_us_0"])
