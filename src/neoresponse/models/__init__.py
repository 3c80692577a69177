"""Images and clinical values -> logits."""

from neoresponse.models.build import build_backbone, build_model, image_inputs, weights_file
from neoresponse.models.crossformer import NAMED_SIZES, CrossFormer, CrossFormerSizes
from neoresponse.models.se_crosst import SECrossT

__all__ = [
    "NAMED_SIZES",
    "CrossFormer",
    "CrossFormerSizes",
    "SECrossT",
    "build_backbone",
    "build_model",
    "image_inputs",
    "weights_file",
]
