"""Named tensors of some patients, with their ids and with what is missing made explicit."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """What the network sees.

    Attributes:
        patient_ids: whose tensors these are, in order.
        images: "us_0", "us_1" (batch, 3, side, side); "biopsy" (batch, 3, side, side) in training,
            one patch a sample, or (batch, patches, 3, side, side) for whole patients and for
            networks that pool patches; standardised.
        clinical: encoded variables, (batch, 4); 0 where missing.
        available: image name -> bool (batch,); "clinical" -> bool (batch, 4).
        label: 1 for pCR, 0 for residual disease, NaN where unknown, (batch,).
    """

    patient_ids: tuple[str, ...]
    images: Mapping[str, Tensor]
    clinical: Tensor
    available: Mapping[str, Tensor]
    label: Tensor

    def __len__(self) -> int:
        return len(self.patient_ids)

    def first(self, num: int) -> "Batch":
        """The first patients alone."""
        return Batch(
            patient_ids=self.patient_ids[:num],
            images={name: image[:num] for name, image in self.images.items()},
            clinical=self.clinical[:num],
            available={name: mask[:num] for name, mask in self.available.items()},
            label=self.label[:num],
        )
