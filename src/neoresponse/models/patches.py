"""All patches of a patient's biopsy -> one vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.errors import ConfigError
from neoresponse.models.linear import draw_weights
from neoresponse.models.pathway import Trunk

HIDDEN = 128
"""Width of the attention's hidden layers, as published."""


class AttentionPooling(nn.Module):
    """Gated attention: a weighted mean of vectors, whose weights are learned.

    z = sum_k a_k h_k with a = softmax_k(w (tanh(V h_k) * sigmoid(U h_k))).
    Source: Ilse, Tomczak and Welling, Attention-based Deep MIL, ICML 2018, equations 7 and 9.
    """

    def __init__(self, num_features: int) -> None:
        """Build the layers for vectors of this length."""
        super().__init__()
        self.tanh = nn.Linear(num_features, HIDDEN, bias=False)
        self.gate = nn.Linear(num_features, HIDDEN, bias=False)
        self.weigh = nn.Linear(HIDDEN, 1, bias=False)
        self.apply(draw_weights)

    def forward(
        self, vectors: Float[Tensor, "batch patches features"]
    ) -> Float[Tensor, "batch features"]:
        """The weighted mean over the patches."""
        return (self.weights(vectors)[:, :, None] * vectors).sum(dim=1)

    def weights(
        self, vectors: Float[Tensor, "batch patches features"]
    ) -> Float[Tensor, "batch patches"]:
        """How much each patch counts; a patient's weights sum to one."""
        hidden = torch.tanh(self.tanh(vectors)) * torch.sigmoid(self.gate(vectors))
        weights: Tensor = self.weigh(hidden).squeeze(-1).softmax(dim=1)
        return weights


class PatchBag(nn.Module):
    """Every patch through one trunk, then their vectors pooled into one."""

    def __init__(self, trunk: Trunk, pooling: AttentionPooling) -> None:
        """Put the parts together; the pooling is made for the trunk's vectors."""
        super().__init__()
        self.trunk = trunk
        self.pooling = pooling

    def forward(
        self, patches: Float[Tensor, "batch *patches_rgb image_height image_width"]
    ) -> Float[Tensor, "batch features"]:
        """Encode and pool.

        Args:
            patches: standardised, (batch, patches, 3, height, width).

        Raises:
            ConfigError: there is one patch per row.
        """
        if patches.ndim != 5:
            raise ConfigError(
                "biopsy: expected all patches of each patient, (batch, patches, 3, height, "
                f"width), got {tuple(patches.shape)}. Give them all, or set model.patch_pooling "
                "to mean."
            )
        vectors = self.trunk(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
        pooled: Tensor = self.pooling(vectors)
        return pooled
