"""A batch through the network: one place each for patches, number format and the sigmoid."""

from typing import Literal

import torch
from torch import Tensor

from neoresponse.data.batch import Batch
from neoresponse.models.linear import has_bfloat16
from neoresponse.models.se_crosst import BIOPSY, SECrossT
from neoresponse.models.trained import TrainedModel

Precision = Literal["float32", "bfloat16"]
"""Number format of products and convolutions; weights, norms and logits are float32 in both."""


def batch_logits(network: SECrossT, batch: Batch) -> Tensor:
    """Logits of a batch.

    Args:
        network: the network.
        batch: with one patch a sample, with all patches of each patient, or without biopsy.

    Returns:
        (batch, patches), or (batch, 1) where there is one patch a sample or none, or where the
        network pools them.
    """
    patches = batch.images.get(BIOPSY)
    if patches is None or patches.ndim == 4:
        logits: Tensor = network(batch.images, batch.clinical, batch.available)
        return logits[:, None]
    others = {name: image for name, image in batch.images.items() if name != BIOPSY}
    return network.predict_patient(patches, others, batch.clinical, batch.available)


@torch.no_grad()
def batch_probability(
    network: SECrossT, batch: Batch, *, precision: Precision = "float32"
) -> Tensor:
    """Probability of pCR of each patient: the mean over the patches; float64, (batch,)."""
    with autocast(batch.clinical.device, precision):
        logits = batch_logits(network, batch)
    return torch.sigmoid(logits.double()).mean(dim=1)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Mixed precision inside, where it is bfloat16."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def prediction_precision(model: TrainedModel) -> Precision:
    """The number format that a model was validated in, so that its predictions agree with that.

    A processor without bfloat16 takes float32 in its place.
    """
    is_half = model.card.precision == "bfloat16"
    has_it = model.device.type != "cpu" or has_bfloat16()
    return "bfloat16" if is_half and has_it else "float32"
