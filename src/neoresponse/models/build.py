"""Settings -> network, put together from its parts."""

from pathlib import Path

from torch import nn

from neoresponse.errors import ConfigError
from neoresponse.models.backbone import NUM_STAGES, Backbone
from neoresponse.models.baselines import published_weights, timm_backbone
from neoresponse.models.cross_scale import excited_crossformer
from neoresponse.models.crossformer import CrossFormerSizes
from neoresponse.models.fusion import NUM_CLINICAL, ConcatFusion
from neoresponse.models.joint import JointPathway
from neoresponse.models.merged import Merge, MergedPathway
from neoresponse.models.neck import DifferenceNeck, MergedNeck, Neck, PerImageNeck
from neoresponse.models.patches import AttentionPooling, PatchBag
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
from neoresponse.settings import ModelSettings
from neoresponse.types import Modality

CROSSFORMER = "crossformer"
BIOPSY, US_0 = Modality.BIOPSY.value, Modality.US_0.value
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


def weights_file(settings: ModelSettings) -> Path | None:
    """The file that the backbones start from, fetched if need be; None for drawn weights.

    Raises:
        ConfigError: weights are to be fetched and cannot be had.
        MissingExtraError: they need timm and timm is not installed.
    """
    if settings.weights is not None or not settings.pretrained:
        return settings.weights
    if settings.backbone == CROSSFORMER:
        raise ConfigError(
            "model.pretrained: expected a timm backbone, got 'crossformer', whose published "
            "weights are pickles. Convert them once, see docs/reference/network.md, and name the "
            ".safetensors file with model.weights."
        )
    return published_weights(settings.backbone)


def build_backbone(
    settings: ModelSettings, *, image_px: int, num_streams: tuple[int, ...] = (1,) * NUM_STAGES
) -> Backbone:
    """Build the image network of one trunk, with pretrained weights where the settings name them.

    Args:
        settings: the network, as parts.
        image_px: side of the images, in pixels.
        num_streams: images that stand one after the other in the batch of each stage; joint
            excitation weighs their channels together.

    Raises:
        ConfigError: the settings cannot make a backbone, or the weights cannot be had or do not
            fit.
        MissingExtraError: it needs timm and timm is not installed.
    """
    weights = weights_file(settings)
    if settings.backbone != CROSSFORMER:
        return timm_backbone(
            settings.backbone, image_px=image_px, weights=weights, drop_path=settings.drop_path
        )
    _check_crossformer(settings, image_px)
    group = settings.group_size
    sizes = CrossFormerSizes(
        embed_dim=settings.embed_dim,
        depths=settings.depths,
        num_heads=settings.num_heads,
        group_sizes=(group, group, group, group),
        intervals=settings.intervals,
        mlp_ratios=(settings.mlp_ratio,) * 4,
        drop_path=settings.drop_path,
        se_ratio=settings.se_ratio if settings.se else None,
    )
    backbone = excited_crossformer(sizes, settings.se_place, num_streams=num_streams)
    if weights is not None:
        load_into(backbone, weights, may_miss=("se",))
    return backbone


def _pathway(name: str, settings: ModelSettings, image_px: int) -> Pathway:
    """One pathway by its name."""
    inputs = _INPUTS[name]
    if name == "dou_ult":
        return _dou_ult(settings, image_px)
    is_lent = settings.share_ultrasound_trunk and "dou_ult" in settings.pathways
    borrowed = {US_0: "dou_ult"} if name == "patho_ult" and is_lent else {}
    own = [image for image in inputs if image not in borrowed]
    is_joint = settings.se and settings.se_place == "joint" and len(own) > 1
    if is_joint and settings.backbone == CROSSFORMER:
        plain = settings.model_copy(update={"se": False})  # the excitation is the pathway's
        trunks = {image: _trunk(plain, image_px) for image in own}
        neck = _neck(inputs, trunks[BIOPSY], settings)
        return JointPathway(trunks, neck=neck, ratio=settings.se_ratio)
    trunks = {image: _trunk(settings, image_px) for image in own}
    neck = _neck(inputs, trunks[own[0]], settings)
    parts: dict[str, nn.Module] = dict(trunks)
    if settings.patch_pooling == "attention" and BIOPSY in trunks:
        pooling = AttentionPooling(trunks[BIOPSY].num_features)
        parts[BIOPSY] = PatchBag(trunks[BIOPSY], pooling)
    return SeparatePathway(parts, neck=neck, borrowed=borrowed)


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
