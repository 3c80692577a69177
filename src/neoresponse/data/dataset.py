"""Prepared store -> batches, for training sample by sample, for prediction patient by patient."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from neoresponse.contracts.bundle import ClinicalEncoding, Standardisation
from neoresponse.data.augment import Samples, apply_changes
from neoresponse.data.batch import Batch
from neoresponse.data.intensity import add_speckle, change_gain, change_stain
from neoresponse.data.variation import Variation, placement
from neoresponse.errors import RunError
from neoresponse.models.build import image_inputs
from neoresponse.models.trained import TrainedModel
from neoresponse.preprocess.clinical import encode
from neoresponse.preprocess.store import IMAGES, Store
from neoresponse.types import FloatArray, IntArray, Modality, Pixels

MAX_IN_MEMORY_BYTES = 4 * 2**30
"""The images of a store are read into memory once if they take no more; else they stay on disk."""
MAX_SHARE_OF_GPU = 0.5
"""A store up to this share of a GPU's free memory is put there whole."""


@dataclass(frozen=True)
class Dataset:
    """A prepared store with what was fitted on training patients.

    Attributes:
        store: the prepared store.
        arrays: image input -> stored pixels, in memory or on disk.
        resident: image input -> the same pixels, uint8, where they lie on the GPU; else empty.
        standardisation: mean and deviation of each image input.
        clinical: encoded variables of all stored patients, (patients, 4).
        is_known: where they are known, (patients, 4).
        inputs: the image inputs that the network takes.
        device: where batches are made.
    """

    store: Store
    arrays: Mapping[str, Pixels]
    resident: Mapping[str, Tensor]
    standardisation: Standardisation
    clinical: Tensor
    is_known: Tensor
    inputs: tuple[str, ...]
    device: torch.device

    def training_batch(
        self,
        samples: Samples,
        chosen: IntArray,
        patches: IntArray | None,
        variation: Variation | None = None,
    ) -> Batch:
        """Some training samples, changed as drawn.

        Args:
            samples: all training samples.
            chosen: which of them, (batch,).
            patches: which patch of the biopsy each shows, (batch,); None for all, changed alike.
            variation: further changes of these samples; speckle comes from torch's generator.
        """
        rows = samples.row[chosen]
        index = np.stack([rows] if patches is None else [rows, patches])
        places = self._move(torch.from_numpy(index))
        placed = placement(samples, chosen, variation)
        # All that is drawn goes over in one piece: a small copy costs as much as a large one.
        levels = [] if variation is None else [level_rows(variation)]
        drawn = self._move(torch.from_numpy(np.concatenate([*placed, *levels])))
        images = {}
        for name in self.inputs:
            is_biopsy = name == Modality.BIOPSY
            num_axes = len(index) if is_biopsy else 1
            shown = self._scale(name, self._pick(name, index[:num_axes], places))
            several = shown.shape[1:-3]  # the patches of a sample, where it shows all
            of_image = drawn.repeat_interleave(several.numel(), dim=1) if several else drawn
            flat = shown.flatten(0, -4)
            if variation is not None:
                flat = _vary_levels(flat, of_image[2 * NUM_PLACED :], variation, is_biopsy)
            changed = _place(self._standardise(name, flat), of_image, is_biopsy=is_biopsy)
            images[name] = lay_out(changed.reshape(shown.shape), self._order)
        return self._batch(rows, places[0], images)

    def patient_batches(self, rows: Sequence[int], *, batch_size: int) -> Iterator[Batch]:
        """Whole patients with all their patches, unchanged, in the given order."""
        for start in range(0, len(rows), batch_size):
            some = np.asarray(rows[start : start + batch_size], dtype=np.int64)
            places = self._move(torch.from_numpy(some[None]))
            images = {}
            for name in self.inputs:
                shown = self._scale(name, self._pick(name, some[None], places))
                images[name] = lay_out(self._standardise(name, shown), self._order)
            yield self._batch(some, places[0], images)

    @cached_property
    def _moments(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Mean and deviation of each input, (channels, 1, 1), on the device."""
        fitted = self.standardisation
        return {
            name: (
                self._move(torch.tensor(fitted.mean[name]).reshape(-1, 1, 1)),
                self._move(torch.tensor(fitted.deviation[name]).reshape(-1, 1, 1)),
            )
            for name in self.inputs
        }

    @cached_property
    def _available(self) -> dict[str, Tensor]:
        """Which stored patients have each image, (patients,), on the device."""
        patients = self.store.patients
        return {
            name: self._move(torch.tensor([name in patient.available for patient in patients]))
            for name in self.inputs
        }

    @cached_property
    def _label(self) -> Tensor:
        """Of all stored patients, NaN where unknown, (patients,), on the device."""
        labels = [patient.label for patient in self.store.patients]
        return self._move(
            torch.tensor([float("nan") if label is None else float(label) for label in labels])
        )

    @property
    def _order(self) -> torch.memory_format:
        """Convolutions of a GPU read channels-last; on a processor it gains nothing."""
        return torch.channels_last if self.device.type == "cuda" else torch.contiguous_format

    def _pick(self, name: str, index: IntArray, places: Tensor) -> Tensor:
        """Some stored images, uint8, on the device: picked there, or picked here and sent.

        Args:
            name: of the input.
            index: rows, and patches where one of each row is wanted, (1 or 2, images).
            places: starts with the same numbers, on the device.
        """
        if name in self.resident:
            return self.resident[name][tuple(places[: len(index)].unbind(0))]
        return self._move(torch.from_numpy(np.ascontiguousarray(self.arrays[name][tuple(index)])))

    def _move(self, tensor: Tensor) -> Tensor:
        """To the device; to a GPU without waiting for what it is doing."""
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def _scale(self, name: str, pixels: Tensor) -> Tensor:
        """uint8 pixels -> levels in [0, 1], with an axis of channels: one where grey."""
        levels = pixels.float() / 255
        # (batch, side, side) -> (batch, 1, side, side)
        return levels if name == Modality.BIOPSY else levels.unsqueeze(1)

    def _standardise(self, name: str, levels: Tensor) -> Tensor:
        """Levels in [0, 1] -> mean 0 and deviation 1 over training patients."""
        mean, deviation = self._moments[name]
        return (levels - mean) / deviation

    def _batch(self, rows: IntArray, places: Tensor, images: dict[str, Tensor]) -> Batch:
        """Tensors with everything that belongs to them; `places` are the rows on the device."""
        available = {name: known[places] for name, known in self._available.items()}
        return Batch(
            patient_ids=tuple(self.store.patients[row].patient_id for row in rows),
            images=images,
            clinical=self.clinical[places],
            available={**available, Modality.CLINICAL.value: self.is_known[places]},
            label=self._label[places],
        )


def open_dataset(
    store: Store,
    *,
    encoding: ClinicalEncoding,
    standardisation: Standardisation,
    inputs: Sequence[str],
    device: torch.device,
) -> Dataset:
    """Put a store and what was fitted together."""
    values, is_known = encode(encoding, [patient.clinical for patient in store.patients])
    stored = {str(name): store.array(name) for name in IMAGES if name in inputs}
    arrays, resident = place_pixels(stored, device)
    return Dataset(
        store=store,
        arrays=arrays,
        resident=resident,
        standardisation=standardisation,
        clinical=torch.from_numpy(values).to(device),
        is_known=torch.from_numpy(is_known).to(device),
        inputs=tuple(str(name) for name in inputs),
        device=device,
    )


def open_for(model: TrainedModel, store: Store) -> Dataset:
    """The store, seen as a trained model wants its inputs.

    Raises:
        RunError: the store was prepared with other settings than the model was trained on.
    """
    wanted = model.card.input.prepare
    if store.settings != wanted:
        named = [key for key, value in wanted if getattr(store.settings, key) != value]
        raise RunError(
            f"{store.folder}: expected a store prepared as for this model, got another "
            f"{', '.join(named)}. Prepare it with --config and the run's config.toml."
        )
    return open_dataset(
        store,
        encoding=model.card.input.clinical,
        standardisation=model.card.input.standardisation,
        inputs=image_inputs(model.settings),
        device=model.device,
    )


def place_pixels(
    stored: Mapping[str, Pixels], device: torch.device
) -> tuple[dict[str, Pixels], dict[str, Tensor]]:
    """Put pixels where they are read fastest: on a GPU that takes all of them, else in memory.

    Args:
        stored: image input -> memory map.
        device: where batches are made.

    Returns:
        The arrays: as stored, or read into memory where they are needed and small enough; and the
        same pixels on the GPU, or nothing.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what torch keeps for later would count as taken
        if fits(stored, torch.cuda.mem_get_info(device)[0]):
            return dict(stored), send_whole(stored, device)
    if _num_bytes(stored) > MAX_IN_MEMORY_BYTES:
        return dict(stored), {}
    return {name: np.asarray(array).copy() for name, array in stored.items()}, {}


def fits(arrays: Mapping[str, Pixels], free_bytes: int) -> bool:
    """Whether all pixels together leave enough of a GPU's free memory to the network."""
    return _num_bytes(arrays) <= MAX_SHARE_OF_GPU * free_bytes


def send_whole(arrays: Mapping[str, Pixels], device: torch.device) -> dict[str, Tensor]:
    """All pixels as uint8 tensors on a device, patient by patient so that little is held twice."""
    resident = {}
    for name, array in arrays.items():
        resident[name] = torch.empty(array.shape, dtype=torch.uint8, device=device)
        for row in range(len(array)):
            resident[name][row] = torch.from_numpy(np.array(array[row]))
    return resident


NUM_PLACED = 4
"""Numbers that place an image: two flips, an angle, a magnification."""


def level_rows(variation: Variation) -> FloatArray:
    """What changes levels, (8, batch): factors and offsets of the stains, gain, speckle."""
    stains = np.concatenate([variation.stain_factor, variation.stain_offset], axis=1)
    return np.concatenate([stains.T, variation.gain[None], variation.speckle[None]])


def _place(images: Tensor, drawn: Tensor, *, is_biopsy: bool) -> Tensor:
    """Flip, rotate and scale images, as the first rows of `drawn` say: biopsy, then ultrasound."""
    first = 0 if is_biopsy else NUM_PLACED
    flip_ud, flip_lr, angle_deg, scale = drawn[first : first + NUM_PLACED].unbind(0)
    return apply_changes(images, angle_deg=angle_deg, scale=scale, flip_ud=flip_ud, flip_lr=flip_lr)


def _vary_levels(levels: Tensor, drawn: Tensor, variation: Variation, is_biopsy: bool) -> Tensor:
    """Change levels in [0, 1] where anything does; `drawn` as `level_rows`, on the device."""
    if is_biopsy and variation.changes_stain:
        return change_stain(levels, factor=drawn[:3].T, offset=drawn[3:6].T)
    if not is_biopsy and variation.changes_levels:
        noise = torch.randn(levels.shape, device=levels.device)
        return add_speckle(change_gain(levels, drawn[6]), drawn[7], noise=noise)
    return levels


def lay_out(images: Tensor, order: torch.memory_format) -> Tensor:
    """Grey becomes three equal channels; each image's values lie in the order that is asked for.

    Args:
        images: (batch, 1 or 3, side, side), or (batch, patches, 3, side, side).
        order: of the values in memory.

    Returns:
        (batch, 3, side, side), or (batch, patches, 3, side, side).
    """
    rgb = images.flatten(0, -4).expand(-1, 3, -1, -1).contiguous(memory_format=order)
    return rgb.reshape(*images.shape[:-3], *rgb.shape[1:])


def _num_bytes(arrays: Mapping[str, Pixels]) -> int:
    """Size of all pixels together."""
    return sum(array.nbytes for array in arrays.values())
