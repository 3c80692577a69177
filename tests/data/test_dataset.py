import dataclasses

import numpy as np
import pytest
import torch

from neoresponse.data import dataset as dataset_module
from neoresponse.data.dataset import fits, open_dataset, send_whole
from neoresponse.training.fit import fit_inputs, fit_preprocessing, patients_of

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


def test_a_store_that_stays_on_disk_gives_the_same_batches(fitted, store, assignments, monkeypatch):
    encoder, standardisation = fit_preprocessing(store, patients_of(store, assignments, "train"))
    monkeypatch.setattr(dataset_module, "MAX_IN_MEMORY_BYTES", 0)
    streamed = open_dataset(
        store,
        encoder=encoder,
        standardisation=standardisation,
        inputs=fitted.dataset.inputs,
        device=CPU,
    )
    assert all(isinstance(array, np.memmap) for array in streamed.arrays.values())
    chosen, patches = np.array([1, 2]), np.array([3, 0])
    expected = fitted.dataset.training_batch(fitted.samples, chosen, patches)
    assert_same_batch(streamed.training_batch(fitted.samples, chosen, patches), expected)
