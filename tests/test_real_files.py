"""Real public files, paired arbitrarily, through check, prepare, predict and explain."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neoresponse.cli import main
from neoresponse.contracts.predictions import read_predictions
from neoresponse.preprocess.store import open_store
from neoresponse.types import Modality

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "real_public_files.py"


@pytest.fixture(scope="module")
def real(shared, run, tiny, tmp_path_factory):
    """The work folder after all four verbs, and what they printed."""
    from neoresponse.settings.toml import to_toml

    work = tmp_path_factory.mktemp("real")
    spec = importlib.util.spec_from_file_location("real_public_files", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.build(shared / "data", work / "cohort")
    (work / "tiny.toml").write_text(to_toml(tiny))
    config = ["--config", str(work / "tiny.toml")]
    verbs = (
        ["check", "cohort", "check", "--unlabelled"],
        ["prepare", "cohort", "prepared", "--unlabelled", *config],
        ["predict", str(run), "prepared", "predicted"],
        ["explain", str(run), "prepared", "explain/se_crosst", *config],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        for words in verbs:
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 0, result.output
    return work


def test_every_real_patient_passes_and_is_predicted(real):
    predictions = read_predictions(real / "predicted" / "predictions.csv")
    assert [p.patient_id for p in predictions] == ["BREAST-USG", "BUS-BRA", "DICOM"]
    assert all(p.label is None and 0 < p.probability < 1 for p in predictions)


@pytest.mark.parametrize(
    ("patient", "column", "mask"),
    [
        ("BREAST-USG", "us_0", "us_breast_usg/images/case005_tumor.png"),
        ("BREAST-USG", "us_1", "us_breast_usg/images/case028_tumor.png"),
        ("BUS-BRA", "us_0", "us_busbra/masks/malignant_0261-l.png"),
        ("BUS-BRA", "us_1", "us_busbra/masks/1-malignant_0010-r.png"),
    ],
)
def test_the_lesion_of_the_source_lies_in_the_centre_of_its_crop(
    real, shared, patient, column, mask
):
    store = open_store(real / "prepared")
    record = store.patients[store.row_of[patient]]
    left, top, right, bottom = record.images[Modality(column)].window
    pixels = np.asarray(Image.open(shared / "data" / mask).convert("RGB")).max(axis=2) > 127
    rows, columns = np.nonzero(pixels)
    middle = ((columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2)
    np.testing.assert_allclose(middle, ((left + right) / 2, (top + bottom) / 2), atol=2)
    if column == "us_0":  # the window is fitted to this lesion
        assert left < columns.min()
        assert columns.max() < right
        assert top < rows.min()
        assert rows.max() < bottom


def test_the_crop_shows_the_pixels_of_the_source(real, shared):
    """The lesion is darker than what surrounds it, in the source and in the crop alike."""
    store = open_store(real / "prepared")
    row = store.row_of["BUS-BRA"]
    crop = np.asarray(store.array(Modality.US_0)[row], dtype=float)
    box = store.patients[row].images[Modality.US_0].window
    source = Image.open(shared / "data" / "us_busbra/images/malignant_0261-l.png").convert("L")
    side = store.settings.image_px
    expected = np.asarray(source.crop([round(edge) for edge in box]).resize((side, side), 2), float)
    assert np.corrcoef(crop.ravel(), expected.ravel())[0, 1] > 0.98


def test_the_svs_region_is_the_outlined_one(real, shared):
    from neoresponse.imaging.slide import open_slide
    from neoresponse.types import Box

    store = open_store(real / "prepared")
    patches = np.asarray(store.array(Modality.BIOPSY)[store.row_of["BREAST-USG"]], dtype=float)
    side = store.settings.image_px
    with open_slide(shared / "data" / "he_wsi" / "CMU-1-Small-Region.svs") as slide:
        assert slide.mpp == pytest.approx(0.499)
        region = slide.read_region(Box(300, 400, 1500, 1600), out_px=(3 * side, 3 * side))
    middle = region[side : 2 * side, side : 2 * side].transpose(2, 0, 1)
    np.testing.assert_allclose(patches[4], middle, atol=1)


def test_heat_maps_of_real_patients_show_the_stored_image_and_its_heat(real):
    from neoresponse.contracts.explanation import Explanation
    from neoresponse.contracts.record import read_record
    from neoresponse.explain.patients import GAP_PX

    folder, store = real / "explain" / "se_crosst", open_store(real / "prepared")
    patients = read_record(folder, Explanation).patients
    shown = [(p.patient_id, image) for p in patients for image in p.images]
    assert shown
    for patient_id, image in shown:
        stored = _as_one_picture(
            np.asarray(store.array(Modality(image.input))[store.row_of[patient_id]])
        )
        with Image.open(folder / image.file) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        side = (pixels.shape[1] - GAP_PX) // 2
        assert pixels.shape[1] == 2 * side + GAP_PX
        assert side % len(stored) == 0
        factor = side // len(stored)
        left, right = pixels[:side, :side], pixels[:side, side + GAP_PX :]
        np.testing.assert_array_equal(left, stored.repeat(factor, axis=0).repeat(factor, axis=1))
        assert (pixels[:side, side : side + GAP_PX] == 255).all()
        assert (left != right).any()


def _as_one_picture(stored):
    """A crop (side, side), or patches (patches, 3, side, side) row by row, as RGB."""
    if stored.ndim == 2:
        return np.stack([stored] * 3, axis=-1)
    num = round(len(stored) ** 0.5)
    rows = [np.concatenate(stored[num * i : num * (i + 1)], axis=2) for i in range(num)]
    return np.concatenate(rows, axis=1).transpose(1, 2, 0)


def test_the_page_says_that_the_pairing_is_arbitrary():
    text = (SCRIPT.parent / "real-public-files.md").read_text()
    assert "pairing is arbitrary" in text
    assert "no number that comes out\nmeans anything" in text
