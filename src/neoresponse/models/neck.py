"""Necks: the vectors of a pathway's images -> the features that the pathway hands on.

All take vectors by name and what is available, and replace what is missing by a learned vector.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from neoresponse.models.linear import draw_weights

CHANGE = "change"
"""Name under which the difference of two time points is kept."""
MERGED = "merged"
"""Name of the one vector of a pathway that merged its images."""


class Neck(nn.Module):
    """Concatenation, then one layer over all images: a feature may draw on several."""

    def __init__(self, num_features: Mapping[str, int], *, neck_dim: int) -> None:
        """Build the layer and the vectors that stand for missing images.

        Args:
            num_features: image -> length of its vector, in the order of concatenation.
            neck_dim: length of the result.
        """
        super().__init__()
        self.missing = _missing_vectors(num_features)
        self.linear = _linear(sum(num_features.values()), neck_dim)
        self.names = tuple(num_features)

    def forward(
        self,
        vectors: Mapping[str, Float[Tensor, "batch _"]],
        available: Mapping[str, Bool[Tensor, "batch ..."]],
    ) -> Float[Tensor, "batch neck"]:
        """Replace what is missing, concatenate, project."""
        parts = [_present(name, vectors, available, self.missing) for name in self.names]
        out: Tensor = self.linear(torch.cat(parts, dim=1))
        return out


class PerImageNeck(nn.Module):
    """One layer per image, each giving an equal share of the features: 4 + 4."""

    def __init__(self, num_features: Mapping[str, int], *, neck_dim: int) -> None:
        """Build the layers and the vectors that stand for missing images.

        Args:
            num_features: image -> length of its vector.
            neck_dim: length of the result, a multiple of the number of images.
        """
        super().__init__()
        self.missing = _missing_vectors(num_features)
        share = neck_dim // len(num_features)
        self.linears = nn.ModuleDict(
            {name: _linear(length, share) for name, length in num_features.items()}
        )

    def forward(
        self,
        vectors: Mapping[str, Float[Tensor, "batch _"]],
        available: Mapping[str, Bool[Tensor, "batch ..."]],
    ) -> Float[Tensor, "batch neck"]:
        """Replace what is missing, project, concatenate."""
        parts = [
            linear(_present(name, vectors, available, self.missing))
            for name, linear in self.linears.items()
        ]
        return torch.cat(parts, dim=1)


class DifferenceNeck(nn.Module):
    """One layer over [v0, v1, v1 - v0]: late fusion of two time points.

    Where either is missing there is no change to be seen, and a learned vector stands for it.
    """

    def __init__(self, time_points: tuple[str, str], *, num_features: int, neck_dim: int) -> None:
        """Build the layer and the vectors that stand for what is missing.

        Args:
            time_points: names of the two images, earlier first.
            num_features: length of the vector of each.
            neck_dim: length of the result.
        """
        super().__init__()
        self.time_points = time_points
        self.missing = _missing_vectors(dict.fromkeys([*time_points, CHANGE], num_features))
        self.linear = _linear(3 * num_features, neck_dim)

    def forward(
        self,
        vectors: Mapping[str, Float[Tensor, "batch _"]],
        available: Mapping[str, Bool[Tensor, "batch ..."]],
    ) -> Float[Tensor, "batch neck"]:
        """Take the difference, replace what is missing, concatenate, project."""
        early, late = self.time_points
        vectors = {**vectors, CHANGE: vectors[late] - vectors[early]}
        available = {**available, CHANGE: available[early] & available[late]}
        names = (early, late, CHANGE)
        parts = [_present(name, vectors, available, self.missing) for name in names]
        out: Tensor = self.linear(torch.cat(parts, dim=1))
        return out


class MergedNeck(nn.Module):
    """One layer over the one vector of images that were merged; nothing is missing by then."""

    def __init__(self, num_features: int, *, neck_dim: int) -> None:
        """Build the layer, `num_features` -> `neck_dim`."""
        super().__init__()
        self.linear = _linear(num_features, neck_dim)

    def forward(
        self,
        vectors: Mapping[str, Float[Tensor, "batch _"]],
        available: Mapping[str, Bool[Tensor, "batch ..."]],
    ) -> Float[Tensor, "batch neck"]:
        """Project."""
        out: Tensor = self.linear(vectors[MERGED])
        return out


def _missing_vectors(num_features: Mapping[str, int]) -> nn.ParameterDict:
    """A learned vector for each name."""
    return nn.ParameterDict(
        {
            name: nn.Parameter(nn.init.trunc_normal_(torch.empty(length), std=0.02))
            for name, length in num_features.items()
        }
    )


def _linear(num_features: int, neck_dim: int) -> nn.Linear:
    """A layer with the first weights of a neck."""
    linear = nn.Linear(num_features, neck_dim)
    draw_weights(linear)
    return linear


def _present(
    name: str,
    vectors: Mapping[str, Tensor],
    available: Mapping[str, Tensor],
    missing: nn.ParameterDict,
) -> Tensor:
    """A vector, or the learned one where its image is missing."""
    return torch.where(available[name][:, None], vectors[name], missing[name])
