"""Where the features meet: pathway features and clinical variables -> one logit."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neoresponse.models.linear import draw_weights, without_autocast

NUM_CLINICAL = 4
"""Subtype, ER, Ki-67 and regimen, encoded as one number each."""


class ConcatFusion(nn.Module):
    """Concatenates all features and clinical values; one linear layer gives the logit.

    With both pathways of 8 features and the clinical variables these are 8 + 8 + 4 = 20 numbers.
    A clinical value that is missing is replaced by a learned one.
    """

    def __init__(self, num_features: int, *, num_clinical: int = NUM_CLINICAL) -> None:
        """Build the layer.

        Args:
            num_features: of all pathways together.
            num_clinical: clinical variables; 0 leaves them out.
        """
        super().__init__()
        self.num_clinical = num_clinical
        if num_clinical:
            self.missing = nn.Parameter(torch.zeros(num_clinical))
        self.head = nn.Linear(num_features + num_clinical, 1)
        draw_weights(self.head)

    def forward(
        self,
        features: Sequence[Float[Tensor, "batch _"]],
        clinical: Float[Tensor, "batch variables"],
        available: Bool[Tensor, "batch variables"],
    ) -> Float[Tensor, " batch"]:
        """The logit of each row.

        Args:
            features: of each pathway, (batch, features) each.
            clinical: encoded clinical variables, (batch, 4).
            available: which of them are known, (batch, 4).
        """
        parts = list(features)
        if self.num_clinical:
            parts.append(torch.where(available, clinical, self.missing))
        joined = torch.cat(parts, dim=1).to(self.head.weight.dtype)
        # Eight bits would let patients tie whose logits differ; twenty products cost nothing.
        with without_autocast(joined.device):
            logits: Tensor = self.head(joined).squeeze(1)
        return logits
