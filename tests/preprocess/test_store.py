import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from neoresponse.cohort.validate import check_cohort
from neoresponse.durable import sha256_of
from neoresponse.errors import CohortError, RunError
from neoresponse.imaging.roi import read_roi
from neoresponse.imaging.ultrasound import read_ultrasound
from neoresponse.preprocess.slide import cut_patches
from neoresponse.preprocess.store import open_store, prepare_store
from neoresponse.types import Modality


def test_arrays_have_the_patient_first_and_one_row_each(store, checked, tiny):
    num = len(checked.patients)
    assert store.array(Modality.US_0).shape == (num, 32, 32)
    assert store.array(Modality.BIOPSY).shape == (num, 9, 3, 32, 32)
    assert [p.patient_id for p in store.patients] == [p.patient_id for p in checked.patients]


def test_shrinkage_follows_from_the_outlines_of_both_time_points(store, checked):
    for stored, patient in zip(store.patients, checked.patients, strict=True):
        sides = []
        for source in (patient.us_0, patient.us_1):
            frame = read_ultrasound(source.path)
            box = None if source.roi_path is None else read_roi(source.roi_path).bounds
            row_mm, column_mm = frame.spacing_mm
            sides.append(max(box.width * column_mm, box.height * row_mm) if box else 0)
        assert stored.shrinkage == pytest.approx(1 - sides[1] / sides[0], abs=1e-12)


def test_manifest_has_the_hash_of_every_source(store, checked):
    for patient, record in zip(checked.patients, store.patients, strict=True):
        assert record.images["us_0"].sha256 == sha256_of(patient.us_0.path)
        assert record.images["us_0"].roi_sha256 == sha256_of(patient.us_0.roi_path)
        assert record.images["biopsy"].sha256 == sha256_of(patient.biopsy.path)


def test_a_second_store_of_the_same_cohort_has_the_same_bytes(store, checked, tiny, tmp_path):
    again = prepare_store(checked, tmp_path / "again", tiny.prepare)
    for name in ("manifest.json", "us_0.npy", "us_1.npy", "biopsy.npy"):
        assert sha256_of(again.folder / name) == sha256_of(store.folder / name)


def test_only_changed_patients_are_cut_again_and_the_result_is_as_if_all_were(
    phantom, store, checked, tiny, tmp_path, monkeypatch
):
    cohort = shutil.copytree(phantom / "cohort", tmp_path / "cohort")
    out = shutil.copytree(store.folder, tmp_path / "prepared")
    changed = checked.patients[3]
    twin = checked.patients[4]
    shutil.copyfile(twin.biopsy.path, cohort / changed.biopsy.path.relative_to(phantom / "cohort"))
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    rechecked = dataclasses.replace(
        checked,
        patients=tuple(
            dataclasses.replace(
                p,
                biopsy=dataclasses.replace(
                    p.biopsy, path=cohort / p.biopsy.path.relative_to(phantom / "cohort")
                ),
            )
            for p in checked.patients
        ),
    )
    from neoresponse.preprocess import store as module

    cut = []
    original = module._cut_biopsy
    monkeypatch.setattr(
        module, "_cut_biopsy", lambda p, *rest: cut.append(p.patient_id) or original(p, *rest)
    )
    again = prepare_store(rechecked, out, tiny.prepare, force=True)
    assert cut == [changed.patient_id]
    whole = prepare_store(rechecked, tmp_path / "whole", tiny.prepare)
    for name in ("manifest.json", "us_0.npy", "us_1.npy", "biopsy.npy"):
        assert sha256_of(again.folder / name) == sha256_of(whole.folder / name)


def test_a_patient_without_an_image_has_zeros_and_says_so(checked, tiny, tmp_path):
    patients = tuple(
        dataclasses.replace(p, us_1=None) if row == 0 else p
        for row, p in enumerate(checked.patients[:2])
    )
    made = prepare_store(
        dataclasses.replace(checked, patients=patients), tmp_path / "prepared", tiny.prepare
    )
    assert Modality.US_1 not in made.patients[0].available
    assert made.array(Modality.US_1)[0].max() == 0
    assert made.array(Modality.US_1)[1].max() > 0


def test_the_lesion_of_the_truth_lies_in_the_middle_of_its_crop(phantom, store, checked):
    for patient, record in zip(checked.patients, store.patients, strict=True):
        mask_path = phantom / "truth" / "masks" / f"{patient.patient_id}_us_0_lesion.png"
        mask = np.asarray(Image.open(mask_path)) > 0
        left, top, right, bottom = record.images["us_0"].window
        rows, columns = np.nonzero(mask)
        assert left < columns.min()
        assert columns.max() < right
        assert top < rows.min()
        assert rows.max() < bottom


def test_patches_are_cut_row_by_row_and_lose_nothing():
    region = np.arange(6 * 6 * 3, dtype=np.uint8).reshape(6, 6, 3)
    patches = cut_patches(region, patch_px=2)
    assert patches.shape == (9, 3, 2, 2)
    np.testing.assert_array_equal(patches[5], region[2:4, 4:6].transpose(2, 0, 1))


def test_an_old_store_is_not_replaced_unless_forced(store, checked, tiny):
    with pytest.raises(RunError, match="expected a new folder"):
        prepare_store(checked, store.folder, tiny.prepare)


def test_an_array_of_another_shape_is_refused(store, tmp_path):
    broken = shutil.copytree(store.folder, tmp_path / "prepared")
    np.save(broken / "us_0.npy", np.zeros((2, 2), np.uint8))
    with pytest.raises(RunError, match=r"us_0.npy: expected shape .*got \(2, 2\)"):
        open_store(broken)


def test_a_store_of_another_version_is_refused(store, tmp_path):
    other = shutil.copytree(store.folder, tmp_path / "prepared")
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(
        json.dumps({**manifest, "schema": "neoresponse.prepared/9"})
    )
    with pytest.raises(RunError, match=r"expected schema 'neoresponse\.prepared/1'"):
        open_store(other)


def test_the_truth_is_never_read(phantom, tmp_path, tiny):
    cohort = shutil.copytree(phantom / "cohort", tmp_path / "alone")
    assert len(check_cohort(cohort).patients) == tiny.phantom.num_patients


def test_a_patient_without_any_image_is_stored_again_and_again(checked, tiny, tmp_path):
    bare = dataclasses.replace(checked.patients[0], us_0=None, us_1=None, biopsy=None)
    only = dataclasses.replace(checked, patients=(bare, checked.patients[1]))
    two = dataclasses.replace(checked, patients=checked.patients[1:2])
    prepare_store(two, tmp_path / "prepared", tiny.prepare)
    made = prepare_store(only, tmp_path / "prepared", tiny.prepare, force=True)
    assert made.patients[0].available == (Modality.CLINICAL,)
    again = prepare_store(only, tmp_path / "prepared", tiny.prepare, force=True)
    assert again.manifest == made.manifest


def test_a_damaged_row_is_cut_again_and_not_copied(store, checked, tiny, tmp_path):
    out = shutil.copytree(store.folder, tmp_path / "prepared")
    array = np.load(out / "us_0.npy")
    array[2] = 255 - array[2]
    np.save(out / "us_0.npy", array)
    again = prepare_store(checked, out, tiny.prepare, force=True)
    for name in ("manifest.json", "us_0.npy"):
        assert sha256_of(again.folder / name) == sha256_of(store.folder / name)


def test_a_file_that_changed_after_the_check_names_its_patient(checked, tiny, tmp_path):
    broken = tmp_path / "gone.dcm"
    broken.write_bytes(b"nothing")
    first = checked.patients[0]
    patient = dataclasses.replace(first, us_0=dataclasses.replace(first.us_0, path=broken))
    with pytest.raises(CohortError, match=rf"^{first.patient_id}: .*expected"):
        prepare_store(
            dataclasses.replace(checked, patients=(patient,)), tmp_path / "out", tiny.prepare
        )
    assert not (tmp_path / "out").exists()
