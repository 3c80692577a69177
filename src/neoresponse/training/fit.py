"""Everything that is settled before the first step; what is fitted, on training patients alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from neoresponse.cohort.split import Assignment
from neoresponse.contracts.bundle import ClinicalEncoding, Standardisation
from neoresponse.data.augment import Samples, draw_samples
from neoresponse.data.dataset import (
    Dataset,
    open_dataset,
)
from neoresponse.data.forward import Precision
from neoresponse.models.build import image_inputs
from neoresponse.preprocess.clinical import fit_encoder
from neoresponse.preprocess.rows import patients_of
from neoresponse.preprocess.standardisation import fit_standardisation
from neoresponse.preprocess.store import Store
from neoresponse.settings import RunSettings
from neoresponse.training.arrange import choose_precision
from neoresponse.types import IntArray


@dataclass(frozen=True)
class Fitted:
    """What training needs besides the network.

    Attributes:
        encoder: clinical encoder, fitted on training patients.
        standardisation: grey-level moments, fitted on training patients.
        dataset: the store with both.
        samples: all training samples.
        validation_rows: rows of the validation patients in the store.
        precision: number format of the forward pass, in training and validation.
    """

    encoder: ClinicalEncoding
    standardisation: Standardisation
    dataset: Dataset
    samples: Samples
    validation_rows: tuple[int, ...]
    precision: Precision

    def patient_ids(self, chosen: IntArray) -> list[str]:
        """Whose samples some samples are, (chosen,)."""
        patients = self.dataset.store.patients
        return [patients[row].patient_id for row in self.samples.row[chosen]]

    @property
    def is_simulated(self) -> bool:
        """Whether the patients come from a phantom."""
        return self.dataset.store.manifest.is_simulated


def fit_inputs(
    store: Store, assignments: Sequence[Assignment], settings: RunSettings, device: torch.device
) -> Fitted:
    """Fit encoder and moments, and draw the training samples.

    Raises:
        RunError: a patient of the split is not in the store.
        ConfigError: the device has not the precision that is asked for.
    """
    precision = choose_precision(settings.train.precision, device)
    train = patients_of(store, assignments, "train")
    labels = [label for _, label in train]
    encoder, standardisation = fit_preprocessing(store, train)
    dataset = open_dataset(
        store,
        encoding=encoder,
        standardisation=standardisation,
        inputs=image_inputs(settings.model),
        device=device,
    )
    samples = draw_samples(
        [store.patients[row].patient_id for row, _ in train],
        [row for row, _ in train],
        labels,
        settings.train.augment,
        seed=settings.seed,
    )
    return Fitted(
        encoder,
        standardisation,
        dataset,
        samples,
        validation_rows=tuple(row for row, _ in patients_of(store, assignments, "validation")),
        precision=precision,
    )


def fit_preprocessing(
    store: Store, train: Sequence[tuple[int, int]]
) -> tuple[ClinicalEncoding, Standardisation]:
    """Clinical encoder and grey-level moments of (row, label) pairs of training patients."""
    rows = [row for row, _ in train]
    clinical = [store.patients[row].clinical for row in rows]
    encoder = fit_encoder(clinical, [label for _, label in train])
    return encoder, fit_standardisation(store, rows)
