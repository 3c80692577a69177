"""A batch through the network: one place that knows about patches, one place for the sigmoid."""

import torch
from torch import Tensor

from neoresponse.data.batch import Batch
from neoresponse.models.se_crosst import BIOPSY, SECrossT


def batch_logits(network: SECrossT, batch: Batch) -> Tensor:
    """Logits of a batch.

    Args:
        network: the network.
        batch: with one patch a sample, with all patches of each patient, or without biopsy.

    Returns:
        (batch, patches), or (batch, 1) where there is one patch a sample or none.
    """
    patches = batch.images.get(BIOPSY)
    if patches is None or patches.ndim == 4:
        logits: Tensor = network(batch.images, batch.clinical, batch.available)
        return logits[:, None]
    others = {name: image for name, image in batch.images.items() if name != BIOPSY}
    return network.predict_patient(patches, others, batch.clinical, batch.available)


@torch.no_grad()
def batch_probability(network: SECrossT, batch: Batch) -> Tensor:
    """Probability of pCR of each patient: the mean over the patches; float64, (batch,)."""
    return torch.sigmoid(batch_logits(network, batch).double()).mean(dim=1)
