"""SE-CrossT, the whole: pathways and a fusion.

Source: Guo et al., 2024, "Model construction"; our readings of it: docs/explanation/paper.md.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.errors import ConfigError
from neoresponse.models.fusion import ConcatFusion
from neoresponse.models.patches import PatchBag
from neoresponse.models.pathway import Images, Masks, Pathway, Trunk

BIOPSY = "biopsy"
CLINICAL = "clinical"

Vectors = dict[str, dict[str, Tensor]]


class SECrossT(nn.Module):
    """Pathways side by side, met by the clinical variables at the fusion.

    Attributes:
        inputs: the images that the pathways need.
        pools_patches: whether the patches of a patient become one vector, so that a row holds all
            of them and has one logit.
    """

    def __init__(self, pathways: Mapping[str, Pathway], fusion: ConcatFusion) -> None:
        """Put the parts together.

        Args:
            pathways: by name, the lenders of borrowed vectors among them.
            fusion: made for the features of all pathways, in their order.
        """
        super().__init__()
        self.pathways = nn.ModuleDict(pathways)
        self.fusion = fusion
        self.inputs = tuple(dict.fromkeys(n for p in pathways.values() for n in p.inputs))
        self.pools_patches = any(isinstance(module, PatchBag) for module in self.modules())

    def forward(
        self,
        images: Images,
        clinical: Float[Tensor, "batch variables"],
        available: Masks,
    ) -> Float[Tensor, " batch"]:
        """The logit of pCR of each row.

        Args:
            images: "biopsy", "us_0", "us_1" as far as the pathways need them; standardised,
                (batch, 3, side, side): one patch a row; where patches are pooled, all of a
                patient, (batch, patches, 3, side, side).
            clinical: encoded variables, (batch, 4).
            available: image -> (batch,); "clinical" -> (batch, 4). False means missing; what stands
                in its place is then never used.

        Raises:
            ConfigError: an image that a pathway needs is not given.
        """
        self._check_inputs(images)
        vectors = {
            name: _encode(pathway, images, available) for name, pathway in self._pathways().items()
        }
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
    ) -> Float[Tensor, "batch logits"]:
        """The logit of pCR for every patch of each patient; nothing is encoded twice.

        Where patches are pooled there is one logit per patient.

        Only where a pathway's images see each other beside the biopsy (joint excitation) does an
        ultrasound image go through its trunk once per patch.

        Args:
            patches: of the biopsy, (batch, patches, 3, side, side).
            images: the ultrasound images, (batch, 3, side, side).
            clinical: encoded variables, (batch, 4).
            available: as for `forward`, one entry per patient.

        Raises:
            ConfigError: an image that a pathway needs is not given.
        """
        if self.pools_patches:
            whole: Tensor = self({**images, BIOPSY: patches}, clinical, available)
            return whole[:, None]
        num = patches.shape[1]
        self._check_inputs({**images, BIOPSY: patches})
        once = {name: image for name, image in images.items() if name != BIOPSY}
        flat, of_patch = patches.flatten(0, 1), _repeated(available, num)
        vectors: Vectors = {}
        for name, pathway in self._pathways().items():
            if pathway.is_joint and BIOPSY in pathway.encodes:
                beside = {n: once[n] for n in pathway.encodes if n != BIOPSY}
                together = {**_repeated(beside, num), BIOPSY: flat}
                vectors[name] = pathway.encode(together, of_patch)
            else:
                of_biopsy = _encode(pathway, {BIOPSY: flat}, of_patch)
                vectors[name] = {**_encode(pathway, once, available), **of_biopsy}
        features = []
        for name, pathway in self._pathways().items():
            parts = self._gather(name, vectors)
            if BIOPSY in pathway.inputs:
                few = {n: vector for n, vector in parts.items() if len(vector) < len(flat)}
                features.append(pathway.join({**parts, **_repeated(few, num)}, of_patch))
            else:
                joined = pathway.join(parts, available)
                features.append(joined.repeat_interleave(num, dim=0))
        clinical = clinical.repeat_interleave(num, dim=0)
        logits: Tensor = self.fusion(features, clinical, of_patch[CLINICAL])
        return logits.reshape(-1, num)

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
                "that a pathway needs; mark those that a patient does not have in `available`."
            )

    def _gather(self, name: str, vectors: Vectors) -> dict[str, Tensor]:
        """The vectors that a pathway joins: its own, and what others lend it."""
        pathway = self._pathways()[name]
        lent = {image: vectors[lender][image] for image, lender in pathway.borrowed.items()}
        return {**vectors[name], **lent}


def _encode(pathway: Pathway, images: Images, available: Masks) -> dict[str, Tensor]:
    """Image -> vector, of the images that the pathway encodes; none where it encodes none."""
    if any(image in images for image in pathway.encodes):
        return pathway.encode(images, available)
    return {}


def _repeated(tensors: Mapping[str, Tensor], num: int) -> dict[str, Tensor]:
    """Each row `num` times in a row: what stands beside each patch."""
    return {name: tensor.repeat_interleave(num, dim=0) for name, tensor in tensors.items()}
