"""Settings -> network, put together from its parts."""

from torch import nn

from neoresponse.config import ModelSettings
from neoresponse.errors import ConfigError
from neoresponse.models.backbone import NUM_STAGES, Backbone
from neoresponse.models.baselines import timm_backbone
from neoresponse.models.cross_scale import excite_after_norm, excite_jointly, excite_per_scale
from neoresponse.models.crossformer import CrossFormer, CrossFormerSizes
from neoresponse.models.fusion import NUM_CLINICAL, ConcatFusion
from neoresponse.models.joint import JointPathway
from neoresponse.models.merged import Merge, MergedPathway
from neoresponse.models.neck import DifferenceNeck, MergedNeck, Neck, PerImageNeck
from neoresponse.models.pathway import (
    Coherence,
    Pathway,
    PositionTable,
    SeparatePathway,
    SiamesePathway,
    Trunk,
)
from neoresponse.models.pretrained import load_into
from neoresponse.models.se_crosst import SECrossT
from neoresponse.types import Modality

CROSSFORMER = "crossformer"
BIOPSY = Modality.BIOPSY.value
_INPUTS: dict[str, tuple[str, ...]] = {
    "patho_ult": (Modality.BIOPSY.value, Modality.US_0.value),
    "dou_ult": (Modality.US_0.value, Modality.US_1.value),
    "biopsy": (Modality.BIOPSY.value,),
    "us_0": (Modality.US_0.value,),
    "us_1": (Modality.US_1.value,),
}


def build_model(settings: ModelSettings, *, image_px: int) -> SECrossT:
    """Build the network and draw its first weights from torch's generator; seed that before.

    Args:
        settings: the network, as parts.
        image_px: side of every image and patch, in pixels.

    Raises:
        ConfigError: the settings cannot make a network, or the weights file does not fit.
        MissingExtraError: the backbone needs timm and it is not installed.
    """
    pathways: dict[str, Pathway] = {
        name: _pathway(name, settings, image_px) for name in settings.pathways
    }
    fusion = ConcatFusion(
        settings.neck_dim * len(pathways), num_clinical=NUM_CLINICAL if settings.clinical else 0
    )
    return SECrossT(pathways, fusion)


def image_inputs(settings: ModelSettings) -> tuple[str, ...]:
    """The images that the network needs: some of "biopsy", "us_0", "us_1", in this order."""
    needed = {image for name in settings.pathways for image in _INPUTS[name]}
    return tuple(modality.value for modality in Modality if modality.value in needed)


def build_backbone(
    settings: ModelSettings, *, image_px: int, num_streams: tuple[int, ...] = (1,) * NUM_STAGES
) -> Backbone:
    """Build the image network of one trunk, with pretrained weights where the settings name them.

    Args:
        settings: the network, as parts.
        image_px: side of the images, in pixels.
        num_streams: images that stand one after the other in the batch of each stage; joint
            excitation weighs their channels together. 0: the excitation is the pathway's.

    Raises:
        ConfigError: the settings cannot make a backbone, or the weights cannot be had or do not
            fit.
        MissingExtraError: it needs timm and timm is not installed.
    """
    if settings.backbone != CROSSFORMER:
        return timm_backbone(
            settings.backbone,
            image_px=image_px,
            weights=settings.weights,
            is_pretrained=settings.pretrained,
        )
    _check_crossformer(settings, image_px)
    group = settings.group_size
    is_usual = settings.se_place == "after_concat"
    backbone = CrossFormer(
        CrossFormerSizes(
            embed_dim=settings.embed_dim,
            depths=settings.depths,
            num_heads=settings.num_heads,
            group_sizes=(group, group, group, group),
            intervals=settings.intervals,
            mlp_ratios=(settings.mlp_ratio,) * 4,
            drop_path=settings.drop_path,
            se_ratio=settings.se_ratio if settings.se and is_usual else None,
        )
    )
    if settings.se and not is_usual:
        _place_excitation(backbone, settings, num_streams)
    if settings.pretrained:
        raise ConfigError(
            "model.pretrained: expected a timm backbone, got 'crossformer', whose published "
            "weights are pickles. Convert them once, see docs/reference/network.md, and name the "
            ".safetensors file with model.weights."
        )
    if settings.weights is not None:
        load_into(backbone, settings.weights, may_miss=("se",))
    return backbone


def _place_excitation(
    backbone: CrossFormer, settings: ModelSettings, num_streams: tuple[int, ...]
) -> None:
    """Put squeeze-and-excitation where the settings want it, other than after the scales."""
    if settings.se_place == "per_scale":
        excite_per_scale(backbone, ratio=settings.se_ratio)
    elif settings.se_place == "after_norm":
        excite_after_norm(backbone, ratio=settings.se_ratio)
    elif all(num_streams):
        excite_jointly(backbone, ratio=settings.se_ratio, num_streams=num_streams)


def _pathway(name: str, settings: ModelSettings, image_px: int) -> Pathway:
    """One pathway by its name."""
    inputs = _INPUTS[name]
    if name == "dou_ult":
        return _dou_ult(settings, image_px)
    is_lent = settings.share_ultrasound_trunk and "dou_ult" in settings.pathways
    own = [image for image in inputs if name != "patho_ult" or image == BIOPSY or not is_lent]
    is_joint = settings.se and settings.se_place == "joint" and len(own) > 1
    is_joint = is_joint and settings.backbone == CROSSFORMER
    streams = (0 if is_joint else 1,) * NUM_STAGES
    trunks = {image: _trunk(settings, image_px, num_streams=streams) for image in own}
    neck = _neck(inputs, trunks[own[0]], settings)
    if is_joint:
        return JointPathway(trunks, neck=neck, ratio=settings.se_ratio)
    return SeparatePathway(trunks, neck=neck, inputs=inputs)


def _dou_ult(settings: ModelSettings, image_px: int) -> Pathway:
    """The pathway of both time points, in one of its readings."""
    early, late = _INPUTS["dou_ult"]
    if settings.dou_ult == "merge_after_stage_1":
        trunk = _trunk(settings, image_px, num_time_points=2, num_streams=(2, 1, 1, 1))
        return MergedPathway(
            trunk,
            Merge(trunk.backbone.channels[0], time_points=(early, late)),
            neck=MergedNeck(trunk.num_features, neck_dim=settings.neck_dim),
        )
    trunk = _trunk(settings, image_px, num_time_points=2, num_streams=(2, 2, 2, 2))
    if settings.dou_ult == "late_difference":
        neck = DifferenceNeck(
            (early, late), num_features=trunk.num_features, neck_dim=settings.neck_dim
        )
        return SiamesePathway(trunk, coherence={}, neck=neck)
    return SiamesePathway(
        trunk,
        coherence={
            stage: Coherence(trunk.backbone.channels[stage - 1])
            for stage in sorted(set(settings.coherence_stages))
        },
        neck=_neck((early, late), trunk, settings),
    )


def _trunk(
    settings: ModelSettings,
    image_px: int,
    *,
    num_time_points: int = 1,
    num_streams: tuple[int, ...] = (1,) * NUM_STAGES,
) -> Trunk:
    """A backbone, and the position table that CrossFormer gets (others know places already)."""
    backbone = build_backbone(settings, image_px=image_px, num_streams=num_streams)
    if settings.backbone != CROSSFORMER:
        return Trunk(backbone, None)
    side = image_px // backbone.strides[0]
    position = PositionTable(side, backbone.channels[0], num_time_points=num_time_points)
    return Trunk(backbone, position)


def _neck(inputs: tuple[str, ...], trunk: Trunk, settings: ModelSettings) -> nn.Module:
    """The neck of a pathway whose images all have vectors of the trunk's length."""
    lengths = dict.fromkeys(inputs, trunk.num_features)
    if settings.neck == "per_image":
        return PerImageNeck(lengths, neck_dim=settings.neck_dim)
    return Neck(lengths, neck_dim=settings.neck_dim)


def _check_crossformer(settings: ModelSettings, image_px: int) -> None:
    """Refuse sizes of which no CrossFormer can be made."""
    if settings.embed_dim % 8:
        raise ConfigError(
            f"model.embed_dim: expected a multiple of 8, got {settings.embed_dim}. The smallest "
            "of the four scales gets an eighth of it."
        )
    widths = [settings.embed_dim * 2**index for index in range(4)]
    for width, heads in zip(widths, settings.num_heads, strict=True):
        if heads < 1 or width % heads:
            raise ConfigError(
                f"model.num_heads: expected divisors of the stage widths {widths}, got "
                f"{list(settings.num_heads)}. Change one of them."
            )
    if min(settings.depths) < 1 or min(settings.intervals or (1,)) < 1:
        raise ConfigError(
            f"model: expected depths and intervals of at least 1, got {list(settings.depths)} "
            f"and {settings.intervals}. Raise them."
        )
    if image_px < 32:
        raise ConfigError(
            f"image_px: expected at least 32, got {image_px}. The last map has stride 32."
        )
