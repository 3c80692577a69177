"""What training makes small: the loss of each sample."""

import torch
import torch.nn.functional as nnf
from torch import Tensor

from neoresponse.settings import TrainSettings


def sample_losses(logits: Tensor, label: Tensor, settings: TrainSettings) -> Tensor:
    """Binary cross-entropy of each sample; with smoothed labels or focal where asked for.

    Args:
        logits: (batch,), float32.
        label: 1 for pCR, 0 for residual disease, (batch,).
        settings: `label_smoothing` s moves labels to y (1 - s) + s / 2; `focal_gamma` g weighs each
            loss by (1 - p)^g, p being the probability given to the label.

    Returns:
        (batch,).

    Source: smoothing, Szegedy et al., CVPR 2016, section 7; focal loss, Lin et al., ICCV 2017,
    equation 4, without class weights.
    """
    target = label
    if settings.label_smoothing:
        target = label * (1 - settings.label_smoothing) + settings.label_smoothing / 2
    loss = nnf.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if settings.focal_gamma:
        probability = torch.sigmoid(logits)
        missed = probability * (1 - target) + (1 - probability) * target
        loss = missed**settings.focal_gamma * loss
    return loss
