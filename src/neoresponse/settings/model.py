"""[model]: the network, as parts."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neoresponse.settings.section import Settings


class ModelSettings(Settings):
    """The network, as parts."""

    backbone: str = "crossformer"
    """`crossformer`, or the timm name of another backbone such as `resnet50`."""
    pathways: tuple[Literal["patho_ult", "dou_ult", "biopsy", "us_0", "us_1"], ...] = (
        "patho_ult",
        "dou_ult",
    )
    """Image pathways: biopsy + US-0, US-0 + US-1, or a single image."""
    clinical: bool = True
    """Whether the four clinical variables join at the head."""
    size: Literal["T", "S", "B", "L"] | None = None
    """A published CrossFormer size, in place of `embed_dim`, `depths` and `num_heads`."""
    embed_dim: int = Field(64, ge=8)
    """Width of the first CrossFormer stage; doubled at each further stage."""
    depths: tuple[int, int, int, int] = (1, 1, 8, 6)
    """Blocks per CrossFormer stage."""
    num_heads: tuple[int, int, int, int] = (2, 4, 8, 16)
    """Attention heads per CrossFormer stage."""
    group_size: int = Field(8, ge=1)
    """Side of an attention group, in tokens."""
    intervals: tuple[int, int, int, int] | None = None
    """Distance of tokens in long-distance attention; else map side / group size, rounded up."""
    mlp_ratio: float = Field(4.0, gt=0)
    """Hidden width of a block's MLP, as a multiple of its width."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Largest rate of dropped residual branches, rising linearly with depth."""
    se: bool = True
    """Squeeze-and-excitation in each cross-scale embedding."""
    se_ratio: int = Field(16, ge=1)
    """Reduction of the squeeze-and-excitation bottleneck."""
    se_place: Literal["after_concat", "per_scale", "after_norm", "joint"] = "after_concat"
    """Excitation of all scales together, of each separately, after the norm, or of both streams."""
    dou_ult: Literal["coherence", "late_difference", "merge_after_stage_1"] = "coherence"
    """How time points meet: coherence module, [v0, v1, v1 - v0] at the neck, or one early map."""
    coherence_stages: tuple[Literal[1, 2, 3, 4], ...] = (1, 2)
    """Stages after which the ultrasound coherence module shares features between time points."""
    neck_dim: int = Field(8, ge=1)
    """Features that each pathway hands to the fusion."""
    neck: Literal["joint", "per_image"] = "joint"
    """One layer over all images of a pathway, or one per image with an equal share of features."""
    patch_pooling: Literal["mean", "attention"] = "mean"
    """Patches of a biopsy: the mean of their probabilities, or learned attention over vectors."""
    share_ultrasound_trunk: bool = False
    """One trunk for ultrasound in both pathways: 11 trunk passes per patient, not 12."""
    weights: Path | None = None
    """Local file with pretrained backbone weights (safetensors), or none."""
    pretrained: bool = False
    """Fetch a timm backbone's published weights (safetensors) from the Hugging Face hub."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_size(cls, content: Any) -> Any:  # noqa: ANN401 (whatever was given)
        sizes = {  # a test holds these against the network's own table
            "T": (64, (1, 1, 8, 6), (2, 4, 8, 16)),
            "S": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
            "B": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
            "L": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
        }
        name = content.get("size") if isinstance(content, dict) else None
        if not isinstance(name, str) or name not in sizes:
            return content
        of_size = dict(zip(("embed_dim", "depths", "num_heads"), sizes[name], strict=True))
        for key, value in of_size.items():
            given = content.get(key, value)
            given = tuple(given) if isinstance(given, list) else given
            # Files spell out defaults; anything else is a wish that the size cannot meet.
            if given not in (value, cls.model_fields[key].default):
                raise ValueError(f"size {name!r} means {key} {value}, got {given}; leave one out")
        return {**content, **of_size}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        pathways = set(self.pathways)
        if self.neck == "per_image" and pathways & {"patho_ult", "dou_ult"}:
            if self.neck_dim % 2:
                raise ValueError(f"neck per_image needs an even neck_dim, got {self.neck_dim}")
            if "dou_ult" in pathways and self.dou_ult != "coherence":
                raise ValueError(f"neck per_image has no place for dou_ult {self.dou_ult}")
        if self.share_ultrasound_trunk and {"patho_ult", "dou_ult"} <= pathways:
            if self.dou_ult == "merge_after_stage_1":
                raise ValueError("dou_ult merge_after_stage_1 leaves no US-0 vector to be shared")
            if self.se and self.se_place == "joint":
                raise ValueError("se_place joint needs both trunks in patho_ult, not a shared one")
        if self.weights is not None and self.pretrained:
            raise ValueError("weights and pretrained exclude each other; leave one out")
        return self

    @model_validator(mode="after")
    def _backbone_has_them(self) -> Self:
        own = ("size", "intervals", "se_place")
        named = [key for key in own if getattr(self, key) != type(self).model_fields[key].default]
        if named and self.backbone != "crossformer":
            raise ValueError(
                f"backbone {self.backbone} has no {named[0]}, which is CrossFormer's; leave it out"
            )
        is_joint = self.se and self.se_place == "joint" and "patho_ult" in self.pathways
        if is_joint and self.patch_pooling == "attention":
            raise ValueError(
                "patch_pooling attention needs a separate vector for each patch, which se_place "
                "joint does not give in patho_ult"
            )
        return self

    @model_validator(mode="after")
    def _has_an_input(self) -> Self:
        if not self.pathways and not self.clinical:
            raise ValueError("pathways is empty and clinical is off: the network has no input")
        if len(set(self.pathways)) != len(self.pathways):
            raise ValueError(f"pathways must differ, got {list(self.pathways)}")
        return self
