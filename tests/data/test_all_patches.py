"""Training samples that hold every patch of their patient, for networks that pool patches."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neoresponse.contracts.bundle import Standardisation
from neoresponse.contracts.store import StoredPatient, StoreManifest
from neoresponse.data.augment import draw_samples
from neoresponse.data.dataset import Dataset
from neoresponse.preprocess.store import Store
from neoresponse.settings import AugmentSettings, PrepareSettings

INPUTS, PATCHES = ("biopsy", "us_0"), 4


@pytest.fixture(params=["in memory", "on the device"])
def dataset(request):
    """Two patients of random pixels."""
    rng = np.random.default_rng(0)
    arrays = {
        "biopsy": rng.integers(256, size=(2, PATCHES, 3, 8, 8), dtype=np.uint8),
        "us_0": rng.integers(256, size=(2, 8, 8), dtype=np.uint8),
    }
    patient = {"label": 1, "is_multifocal": False, "clinical": {}, "available": INPUTS}
    patients = tuple(
        StoredPatient(**patient, patient_id=f"P{row}", machine=None, centre=None) for row in "01"
    )
    manifest = StoreManifest(
        cohort_name="random pixels",
        is_simulated=True,
        settings=PrepareSettings(),
        shapes={},
        patients=patients,
    )
    is_resident = request.param == "on the device"
    return Dataset(
        store=Store(folder=Path(), manifest=manifest),
        arrays={} if is_resident else arrays,
        resident={n: torch.from_numpy(a) for n, a in arrays.items()} if is_resident else {},
        standardisation=Standardisation(
            mean=dict.fromkeys(INPUTS, (0.5,)), deviation=dict.fromkeys(INPUTS, (0.3,))
        ),
        clinical=torch.zeros(2, 4),
        is_known=torch.ones(2, 4, dtype=torch.bool),
        inputs=INPUTS,
        device=torch.device("cpu"),
    )


def test_a_sample_of_all_patches_changes_each_as_a_sample_of_that_patch(dataset):
    samples = draw_samples(["P0", "P1"], [0, 1], [1, 0], AugmentSettings(num_variants=2), seed=1)
    chosen = np.array([3, 0, 9, 7, 11])
    whole = dataset.training_batch(samples, chosen, None)
    assert whole.images["biopsy"].shape == (5, PATCHES, 3, 8, 8)
    for number in range(PATCHES):
        single = dataset.training_batch(samples, chosen, np.full(5, number))
        assert torch.equal(whole.images["biopsy"][:, number], single.images["biopsy"])
        assert torch.equal(whole.images["us_0"], single.images["us_0"])
    assert whole.patient_ids == single.patient_ids
