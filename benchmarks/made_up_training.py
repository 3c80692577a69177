"""A training of the study's size on made-up pixels: what the loop needs, without any files."""

import dataclasses
from pathlib import Path

import torch

from neoresponse.contracts.bundle import ClinicalEncoding, Standardisation
from neoresponse.contracts.store import StoredPatient, StoreManifest
from neoresponse.data.augment import Samples, draw_samples
from neoresponse.data.dataset import Dataset
from neoresponse.models.build import build_model
from neoresponse.models.se_crosst import SECrossT
from neoresponse.preprocess.store import Store
from neoresponse.settings import RunSettings
from neoresponse.training.arrange import choose_precision
from neoresponse.training.fit import Fitted
from neoresponse.training.loop import drawn_from, take_steps
from neoresponse.training.plan import draw_plan
from neoresponse.training.state import Training
from neoresponse.types import Modality

INPUTS = ("biopsy", "us_0", "us_1")
NUM_TRAINING, NUM_PCR, NUM_VALIDATION = 391, 105, 49


def start(
    settings: RunSettings, device: torch.device, *, num_samples: int
) -> tuple[SECrossT, Fitted]:
    """A network with drawn weights, and what it is trained on."""
    torch.manual_seed(settings.seed)
    network = build_model(settings.model, image_px=settings.prepare.image_px).to(device)
    return network, made_up(settings, device, num_samples=num_samples)


def take_epoch(training: Training, fitted: Fitted, settings: RunSettings) -> None:
    """The steps of an epoch, without its end."""
    drawn = drawn_from(fitted, settings)
    plan = draw_plan(drawn, settings.train, epoch=training.progress.epoch)
    take_steps(training, fitted, settings, plan, None)
    training.progress.end_epoch({})


def made_up(settings: RunSettings, device: torch.device, *, num_samples: int) -> Fitted:
    """As many patients as the study had, their random pixels on the device, and their samples."""
    label = [1] * NUM_PCR + [0] * (NUM_TRAINING - NUM_PCR) + [1] * 13 + [0] * 36
    return made_up_of(label, NUM_TRAINING, settings, device, num_samples=num_samples)


def made_up_of(
    label: list[int],
    num_training: int,
    settings: RunSettings,
    device: torch.device,
    *,
    num_samples: int,
) -> Fitted:
    """Patients with these labels, the first of them trained on; all others are validated.

    Pixels lie where they would: on a GPU, or in memory.
    """
    num = len(label)
    side, patches = settings.prepare.image_px, settings.prepare.num_patches
    shapes = {"biopsy": (num, patches, 3, side, side), "us_0": (num, side, side)}
    shapes["us_1"] = shapes["us_0"]
    pixels = {
        name: torch.randint(256, shape, dtype=torch.uint8, device=device)
        for name, shape in shapes.items()
    }
    on_gpu = device.type == "cuda"
    store = made_up_store(settings, label)
    standardisation = Standardisation(
        mean={name: (0.5,) for name in INPUTS}, deviation={name: (0.3,) for name in INPUTS}
    )
    dataset = Dataset(
        store=store,
        arrays={} if on_gpu else {name: tensor.numpy() for name, tensor in pixels.items()},
        resident=pixels if on_gpu else {},
        standardisation=standardisation,
        clinical=torch.randn(num, 4, device=device),
        is_known=torch.ones(num, 4, dtype=torch.bool, device=device),
        inputs=INPUTS,
        device=device,
    )
    ids = [patient.patient_id for patient in store.patients[:num_training]]
    rows = range(num_training)
    samples = draw_samples(ids, rows, label[:num_training], settings.train.augment, seed=1)
    validation = tuple(range(num_training, num))
    return Fitted(
        ClinicalEncoding(levels={}, numbers={}),
        standardisation,
        dataset,
        first(samples, num_samples),
        validation_rows=validation,
        precision=choose_precision(settings.train.precision, device),
    )


def made_up_store(settings: RunSettings, label: list[int]) -> Store:
    """What a prepared store says of its patients; it has no files."""
    patients = tuple(
        StoredPatient(
            patient_id=f"P{row:03d}",
            label=outcome,
            is_multifocal=False,
            clinical={},
            available=tuple(Modality(name) for name in INPUTS),
            machine=None,
            centre=None,
            images={},
        )
        for row, outcome in enumerate(label)
    )
    manifest = StoreManifest(
        cohort_name="made up",
        is_simulated=True,
        settings=settings.prepare,
        shapes={},
        patients=patients,
    )
    return Store(folder=Path(), manifest=manifest)


def first(samples: Samples, num: int) -> Samples:
    """The first samples alone."""
    columns = {
        field.name: getattr(samples, field.name)[:num] for field in dataclasses.fields(samples)
    }
    return Samples(**columns)
