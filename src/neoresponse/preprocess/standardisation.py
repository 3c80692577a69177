"""Training patients' pixels -> mean and deviation of each image input."""

from collections.abc import Sequence

import numpy as np

from neoresponse.contracts.bundle import Standardisation
from neoresponse.preprocess.store import Store
from neoresponse.types import Modality


def fit_standardisation(store: Store, rows: Sequence[int]) -> Standardisation:
    """Fit on training patients.

    Both ultrasound inputs share one mean and deviation, so that a change in brightness between
    time points stays visible.

    Args:
        store: the prepared store.
        rows: rows of the training patients.
    """
    ultrasound = _moments(store, rows, (Modality.US_0, Modality.US_1), channel_axis=None)
    biopsy = _moments(store, rows, (Modality.BIOPSY,), channel_axis=1)
    by_input = {Modality.US_0: ultrasound, Modality.US_1: ultrasound, Modality.BIOPSY: biopsy}
    return Standardisation(
        mean={name: moments[0] for name, moments in by_input.items()},
        deviation={name: moments[1] for name, moments in by_input.items()},
    )


def _moments(
    store: Store,
    rows: Sequence[int],
    modalities: tuple[Modality, ...],
    *,
    channel_axis: int | None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel over all patients that have the image."""
    sums: list[np.ndarray] = []
    for modality in modalities:
        array = store.array(modality)
        for row in rows:
            if modality in store.patients[row].available:
                image = array[row] / 255.0
                axes = tuple(axis for axis in range(image.ndim) if axis != channel_axis)
                sums.append(np.stack([np.mean(image, axis=axes), np.mean(image**2, axis=axes)]))
    if not sums:
        num = 1 if channel_axis is None else 3
        return (0.5,) * num, (0.25,) * num
    mean, mean_square = np.mean(sums, axis=0)
    deviation = np.sqrt(np.maximum(mean_square - mean**2, 1e-6))
    return tuple(np.atleast_1d(mean).tolist()), tuple(np.atleast_1d(deviation).tolist())
