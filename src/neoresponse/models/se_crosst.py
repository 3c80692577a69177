"""SE-CrossT, the whole: pathways and a fusion.

Source: Guo et al., 2024, "Model construction"; our readings of it: docs/explanation/paper.md.
"""

from collections.abc import Mapping

from jaxtyping import Bool, Float
from torch import Tensor, nn

from neoresponse.errors import ConfigError
from neoresponse.models.fusion import ConcatFusion
from neoresponse.models.pathway import Pathway, Trunk

BIOPSY = "biopsy"
CLINICAL = "clinical"

Images = Mapping[str, Float[Tensor, "batch rgb image_height image_width"]]
Masks = Mapping[str, Bool[Tensor, "batch ..."]]
Vectors = dict[str, dict[str, Tensor]]


class SECrossT(nn.Module):
    """Pathways side by side, met by the clinical variables at the fusion.

    Attributes:
        inputs: the images that the pathways need.
    """

    def __init__(self, pathways: Mapping[str, Pathway], fusion: ConcatFusion) -> None:
        """Put the parts together.

        Args:
            pathways: by name; an image that a pathway joins but does not encode is lent by the
                first pathway that encodes it.
            fusion: made for the features of all pathways, in their order.
        """
        super().__init__()
        self.pathways = nn.ModuleDict(pathways)
        self.fusion = fusion
        self.inputs = tuple(dict.fromkeys(n for p in pathways.values() for n in p.inputs))

    def forward(
        self,
        images: Images,
        clinical: Float[Tensor, "batch variables"],
        available: Masks,
    ) -> Float[Tensor, " batch"]:
        """The logit of pCR of each row.

        Args:
            images: "biopsy" (one patch a row), "us_0", "us_1" as far as the pathways need them;
                standardised, (batch, 3, side, side).
            clinical: encoded variables, (batch, 4).
            available: image -> (batch,); "clinical" -> (batch, 4). False means missing; what stands
                in its place is then never used.

        Raises:
            ConfigError: an image that a pathway needs is not given.
        """
        self._check_inputs(images)
        vectors = self._encode(images, available)
        features = [
            pathway.join(self._gather(name, vectors), available)
            for name, pathway in self._pathways().items()
        ]
        logits: Tensor = self.fusion(features, clinical, available[CLINICAL])
        return logits

    def predict_patient(
        self,
        patches: Float[Tensor, "batch patches rgb image_height image_width"],
        images: Images,
        clinical: Float[Tensor, "batch variables"],
        available: Masks,
    ) -> Float[Tensor, "batch patches"]:
        """The logit of pCR for every patch of each patient; nothing is encoded twice.

        Args:
            patches: of the biopsy, (batch, patches, 3, side, side).
            images: the ultrasound images, (batch, 3, side, side).
            clinical: encoded variables, (batch, 4).
            available: as for `forward`, one entry per patient.

        Raises:
            ConfigError: an image that a pathway needs is not given.
        """
        num_patches = patches.shape[1]
        self._check_inputs({**images, BIOPSY: patches})
        of_patch = {n: mask.repeat_interleave(num_patches, dim=0) for n, mask in available.items()}
        vectors = self._encode({n: i for n, i in images.items() if n != BIOPSY}, available)
        for name, more in self._encode({BIOPSY: patches.flatten(0, 1)}, of_patch).items():
            vectors.setdefault(name, {}).update(more)
        features = []
        for name, pathway in self._pathways().items():
            parts = self._gather(name, vectors)
            if BIOPSY in parts:
                repeated = {
                    n: vector if n == BIOPSY else vector.repeat_interleave(num_patches, dim=0)
                    for n, vector in parts.items()
                }
                features.append(pathway.join(repeated, of_patch))
            else:
                joined = pathway.join(parts, available)
                features.append(joined.repeat_interleave(num_patches, dim=0))
        clinical = clinical.repeat_interleave(num_patches, dim=0)
        logits: Tensor = self.fusion(features, clinical, of_patch[CLINICAL])
        return logits.reshape(-1, num_patches)

    def streams(self) -> list[tuple[Trunk, tuple[str, ...]]]:
        """Each trunk of the network with the images in its batch, one after the other."""
        return [stream for pathway in self._pathways().values() for stream in pathway.streams()]

    def _pathways(self) -> dict[str, Pathway]:
        """The pathways with their type."""
        return {n: module for n, module in self.pathways.items() if isinstance(module, Pathway)}

    def _check_inputs(self, images: Mapping[str, Tensor]) -> None:
        """All images that the pathways need must be there."""
        if not set(self.inputs) <= set(images):
            raise ConfigError(
                f"images: expected {list(self.inputs)}, got {sorted(images)}. Give every image "
                "that a pathway needs; mark those a patient lacks in `available`."
            )

    def _encode(self, images: Images, available: Masks) -> Vectors:
        """Pathway -> image -> vector, for each pathway that encodes any of the images."""
        return {
            name: pathway.encode(images, available)
            for name, pathway in self._pathways().items()
            if any(image in images for image in pathway.encodes)
        }

    def _gather(self, name: str, vectors: Vectors) -> dict[str, Tensor]:
        """The vectors of all inputs of a pathway: its own first, then what others lend."""
        lenders = [vectors.get(name, {}), *vectors.values()]
        return {
            image: next(lent[image] for lent in lenders if image in lent)
            for image in self._pathways()[name].inputs
        }
