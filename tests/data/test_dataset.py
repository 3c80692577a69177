import dataclasses

import numpy as np
import pytest
import torch

from neoresponse.data import dataset as dataset_module
from neoresponse.data.dataset import fits, lay_out, open_dataset, place_pixels, send_whole
from neoresponse.preprocess.rows import patients_of
from neoresponse.preprocess.store import Store
from neoresponse.training.fit import fit_inputs, fit_preprocessing

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def fitted(store, assignments, tiny):
    return fit_inputs(store, assignments, tiny, CPU)


@pytest.fixture(scope="module")
def resident(fitted):
    """The same dataset with its pixels as tensors of the device."""
    data = fitted.dataset
    return dataclasses.replace(data, resident=send_whole(data.arrays, CPU), arrays={})


def assert_same_batch(ours, expected):
    assert ours.patient_ids == expected.patient_ids
    assert list(ours.images) == list(expected.images)
    for name, image in expected.images.items():
        assert torch.equal(ours.images[name], image)
    for name, mask in expected.available.items():
        assert torch.equal(ours.available[name], mask)
    assert torch.equal(ours.clinical, expected.clinical)
    assert torch.equal(ours.label, expected.label)


def test_pixels_on_the_device_give_the_same_training_batches(fitted, resident):
    chosen, patches = np.array([0, 7, 3, 7]), np.array([8, 0, 4, 1])
    expected = fitted.dataset.training_batch(fitted.samples, chosen, patches)
    assert_same_batch(resident.training_batch(fitted.samples, chosen, patches), expected)


def test_pixels_on_the_device_give_the_same_whole_patients(fitted, resident):
    pairs = zip(
        resident.patient_batches([4, 0, 9], batch_size=2),
        fitted.dataset.patient_batches([4, 0, 9], batch_size=2),
        strict=True,
    )
    for ours, expected in pairs:
        assert_same_batch(ours, expected)


def test_pixels_that_are_sent_stay_uint8(resident, store):
    for name, pixels in resident.resident.items():
        assert pixels.dtype == torch.uint8
        np.testing.assert_array_equal(pixels.numpy(), store.array(name))


def test_a_store_fits_where_it_leaves_half_of_the_memory_to_the_network():
    arrays = {"us_0": np.zeros((2, 10), np.uint8), "us_1": np.zeros((3, 10), np.uint8)}
    assert fits(arrays, free_bytes=100)
    assert not fits(arrays, free_bytes=99)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with 100 free bytes, once torch has let go of what it keeps."""
    free = {"bytes": 0}
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: free.update(bytes=100))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free["bytes"], 1000))
    monkeypatch.setattr(dataset_module, "send_whole", lambda arrays, _: dict.fromkeys(arrays))
    return torch.device("cuda")


def on_disk(folder, num_bytes):
    np.save(folder / f"{num_bytes}.npy", np.zeros(num_bytes, np.uint8))
    return np.load(folder / f"{num_bytes}.npy", mmap_mode="r")


def test_what_a_gpu_takes_is_not_read_into_memory_too(gpu, tmp_path):
    arrays, resident = place_pixels({"us_0": on_disk(tmp_path, 50)}, gpu)
    assert list(resident) == ["us_0"]
    assert isinstance(arrays["us_0"], np.memmap)


def test_what_no_gpu_takes_is_read_into_memory(gpu, tmp_path):
    arrays, resident = place_pixels({"us_0": on_disk(tmp_path, 51)}, gpu)
    assert not resident
    assert not isinstance(arrays["us_0"], np.memmap)


def test_all_images_together_must_fit_into_memory(tmp_path, monkeypatch):
    stored = {"us_0": on_disk(tmp_path, 60), "us_1": on_disk(tmp_path, 40)}
    for limit, is_on_disk in ((100, False), (99, True)):
        monkeypatch.setattr(dataset_module, "MAX_IN_MEMORY_BYTES", limit)
        arrays, _ = place_pixels(stored, CPU)
        assert [isinstance(array, np.memmap) for array in arrays.values()] == [is_on_disk] * 2


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 3, 4, 4), (2, 9, 3, 4, 4)])
def test_images_are_laid_out_channels_last_with_the_same_values(shape):
    images = torch.rand(shape)
    found = lay_out(images, torch.channels_last)
    assert torch.equal(found, images.expand(*shape[:-3], 3, 4, 4))
    assert found.flatten(0, -4).is_contiguous(memory_format=torch.channels_last)


def test_a_batch_is_sent_in_two_copies_where_pixels_lie_on_the_device(
    fitted, resident, monkeypatch
):
    """Where from, and how changed; what belongs to all patients is sent once, with the first."""
    batch = lambda: resident.training_batch(fitted.samples, np.array([0]), np.array([8]))  # noqa: E731
    batch()
    moved = []
    move = dataset_module.Dataset._move

    def note(self, tensor):
        moved.append(tensor)
        return move(self, tensor)

    monkeypatch.setattr(dataset_module.Dataset, "_move", note)
    batch()
    assert len(moved) == 2


def test_a_batch_holds_what_the_store_says_of_its_patients(fitted, store):
    patients = list(store.patients)
    left = tuple(name for name in patients[4].available if name != "us_1")
    patients[4] = patients[4].model_copy(update={"available": left})
    patients[0] = patients[0].model_copy(update={"label": None})
    manifest = store.manifest.model_copy(update={"patients": tuple(patients)})
    changed = Store(folder=store.folder, manifest=manifest)
    data = dataclasses.replace(fitted.dataset, store=changed)
    batch = next(data.patient_batches([9, 4, 0], batch_size=3))
    assert batch.patient_ids == tuple(store.patients[row].patient_id for row in (9, 4, 0))
    assert batch.available["us_1"].tolist() == [True, False, True]
    assert batch.label[:2].tolist() == [store.patients[row].label for row in (9, 4)]
    assert torch.isnan(batch.label[2])


def test_a_store_that_stays_on_disk_gives_the_same_batches(fitted, store, assignments, monkeypatch):
    encoder, standardisation = fit_preprocessing(store, patients_of(store, assignments, "train"))
    monkeypatch.setattr(dataset_module, "MAX_IN_MEMORY_BYTES", 0)
    streamed = open_dataset(
        store,
        encoding=encoder,
        standardisation=standardisation,
        inputs=fitted.dataset.inputs,
        device=CPU,
    )
    assert all(isinstance(array, np.memmap) for array in streamed.arrays.values())
    chosen, patches = np.array([1, 2]), np.array([3, 0])
    expected = fitted.dataset.training_batch(fitted.samples, chosen, patches)
    assert_same_batch(streamed.training_batch(fitted.samples, chosen, patches), expected)
