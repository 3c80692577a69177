"""Backbones from timm in the frame of SE-CrossT: VGG16, ResNet50, DenseNet121, ViT, Swin, others.

Every one is cut into a stem and four stages that run one by one, so pathways, coherence, necks,
fusion and heat maps are the same for all. How each is cut: docs/explanation/paper.md.
"""

import difflib
import importlib
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from neoresponse.errors import ConfigError, MissingExtraError
from neoresponse.models.backbone import NUM_STAGES, Backbone
from neoresponse.models.pretrained import fetch_weights, read_weights
from neoresponse.models.torchvision_cure import import_torchvision

VIT_MODULES = ("timm.models.vision_transformer", "timm.models.deit")
"""Where timm keeps the networks that `VitBackbone` wraps."""


class StagedBackbone(Backbone):
    """Modules in a row, cut into a stem and four stages; VGG, ResNet, DenseNet, Swin and others."""

    def __init__(
        self,
        parts: list[nn.Sequential],
        *,
        channels: tuple[int, int, int, int],
        strides: tuple[int, int, int, int],
        is_channels_last: bool,
    ) -> None:
        """Put the parts together.

        Args:
            parts: the stem and the four stages.
            channels: of the map after each stage.
            strides: of the map after each stage.
            is_channels_last: whether the parts pass (batch, height, width, channels).
        """
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.channels = channels
        self.strides = strides
        self.num_features = channels[-1]
        self.is_channels_last = is_channels_last
        self.norm = nn.LayerNorm(self.num_features)

    def stem(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Run the stem."""
        grid: Tensor = self.parts[0](images)
        return grid if self.is_channels_last else grid.permute(0, 2, 3, 1)

    def stage(
        self, index: int, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """Run one stage; `index` counts from 0."""
        part = self.parts[index + 1]
        out: Tensor = part(grid if self.is_channels_last else grid.permute(0, 3, 1, 2))
        return out if self.is_channels_last else out.permute(0, 2, 3, 1)

    def pool(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch features"]:
        """Final norm, then the mean over the last map."""
        pooled: Tensor = self.norm(grid).mean(dim=(1, 2))
        return pooled


class VitBackbone(Backbone):
    """A vision transformer over patch tokens alone; its blocks in four equal runs."""

    def __init__(self, vit: Any, *, stride: int) -> None:  # noqa: ANN401 (timm is not typed)
        """Wrap a timm vision transformer that has no class token.

        Args:
            vit: the network.
            stride: side of its patches, in pixels.
        """
        super().__init__()
        width = int(vit.embed_dim)
        self.vit = vit
        self.channels = (width, width, width, width)
        self.strides = (stride, stride, stride, stride)
        self.num_features = width
        depth = len(vit.blocks)
        self.ends = [depth * number // NUM_STAGES for number in range(NUM_STAGES + 1)]

    def stem(
        self, images: Float[Tensor, "batch rgb image_height image_width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Patch embedding and position."""
        sides = tuple(side // self.strides[0] for side in images.shape[2:])
        tokens: Tensor = self.vit.norm_pre(self.vit._pos_embed(self.vit.patch_embed(images)))
        # (B, H*W, C) -> (B, H, W, C)
        return tokens.reshape(len(images), *sides, tokens.shape[-1])

    def stage(
        self, index: int, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch new_height new_width new_channels"]:
        """Run a quarter of the blocks; `index` counts from 0."""
        tokens = grid.flatten(1, 2)
        for block in self.vit.blocks[self.ends[index] : self.ends[index + 1]]:
            tokens = block(tokens)
        return tokens.reshape(grid.shape)

    def pool(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch features"]:
        """Final norm, then the mean over all tokens."""
        pooled: Tensor = self.vit.norm(grid).mean(dim=(1, 2))
        return pooled


def timm_backbone(
    name: str, *, image_px: int, weights: Path | None, drop_path: float = 0.0
) -> Backbone:
    """Build a timm network as a backbone.

    Args:
        name: of the network in timm, such as `resnet50`.
        image_px: side of the images, in pixels.
        weights: safetensors file in timm's naming for this network, or None.
        drop_path: largest rate of dropped residual branches.

    Raises:
        MissingExtraError: timm is not installed.
        ConfigError: timm has no such network, it has no four stages, it drops no paths where some
            are to be dropped, or the weights do not fit.
    """
    timm = _import_timm()
    config = _config(timm, name)
    source = None if weights is None else _Source(weights, read_weights(weights))
    options: dict[str, Any] = {"drop_path_rate": drop_path}
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_px
    if timm.model_entrypoint(name).__module__ in VIT_MODULES:
        return _vit(timm, name, options, source)
    return _staged(timm, name, options, source)


def published_weights(name: str) -> Path:
    """The file of a timm network's published weights, fetched unless it was before.

    Raises:
        MissingExtraError: timm is not installed.
        ConfigError: timm has no such network, or its weights cannot be had.
    """
    config = _config(_import_timm(), name)
    return fetch_weights(str((config and config.hf_hub_id) or ""), backbone=name)


@dataclass(frozen=True)
class _Source:
    """A weights file and what it holds."""

    path: Path
    tensors: dict[str, Tensor]


def _import_timm() -> ModuleType:
    """Import the optional package; by name, for it is heavy and may not be there."""
    try:
        import_torchvision()
        return importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"model.backbone: expected the extra `baselines`, got no module {error.name!r}. "
            "Run: pip install 'neoresponse[baselines]'"
        ) from None


def _config(timm: ModuleType, name: str) -> Any:  # noqa: ANN401 (timm is not typed)
    """What timm knows about a network's published weights, None where there are none."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, ["crossformer", *timm.list_models()], n=5)
        raise ConfigError(
            f"model.backbone: expected `crossformer` or a timm network, got {name!r}. "
            f"Near names: {near}."
        )
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError:  # the network is there, weights of this name are not
        known = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        raise ConfigError(
            f"model.backbone: expected a variant of weights that timm knows, got {name!r}. "
            f"Known: {known}."
        ) from None


def _vit(
    timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None
) -> VitBackbone:
    """A vision transformer without class token, pooled over its patch tokens."""
    options = {**options, "class_token": False, "global_pool": "avg", "fc_norm": False}
    if source is not None:
        source = _Source(source.path, _without_class_token(source.tensors))
    try:
        vit = _create(timm, name, {**options, "num_classes": 0}, source)
    except AssertionError:
        vit = None  # its head reads other tokens
    if vit is None or vit.num_prefix_tokens:
        raise ConfigError(
            f"model.backbone: expected a vision transformer with only patch tokens, got "
            f"{name!r}, which has others. Choose one without register or distillation tokens."
        )
    return VitBackbone(vit, stride=int(vit.patch_embed.patch_size[0]))


def _without_class_token(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a vision transformer but for its class token and the place of that."""
    tensors = {name: tensor for name, tensor in tensors.items() if name != "cls_token"}
    places = tensors.get("pos_embed")
    # In some networks the class token has no place of its own; patches alone make a square.
    if places is not None and math.isqrt(places.shape[1]) ** 2 != places.shape[1]:
        tensors["pos_embed"] = places[:, 1:]
    return tensors


def _staged(
    timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None
) -> StagedBackbone:
    """A network whose modules run in a row, cut where its last four maps come out."""
    try:
        net = _create(timm, name, {**options, "features_only": True}, source)
    except (RuntimeError, AssertionError, AttributeError):
        net = None  # timm has no maps of it to offer
    modules, ends = _row(net)
    if len(ends) < NUM_STAGES:
        raise ConfigError(
            f"model.backbone: expected a timm network with four maps that come out in a row, got "
            f"{name!r}. Choose another, such as resnet50."
        )
    stem_end = ends[-NUM_STAGES - 1] if len(ends) > NUM_STAGES else 1
    cuts = [0, stem_end, *ends[-NUM_STAGES:]]
    four = net.feature_info.get_dicts()[-NUM_STAGES:]
    channels = [int(info["num_chs"]) for info in four]
    strides = [int(info["reduction"]) for info in four]
    return StagedBackbone(
        [nn.Sequential(*modules[a:b]) for a, b in pairwise(cuts)],
        channels=(channels[0], channels[1], channels[2], channels[3]),
        strides=(strides[0], strides[1], strides[2], strides[3]),
        is_channels_last=getattr(net, "output_fmt", None) == "NHWC",
    )


def _row(net: Any) -> tuple[list[nn.Module], list[int]]:  # noqa: ANN401 (timm is not typed)
    """Modules that run one after the other, and after how many of them each map comes out."""
    kind = type(net).__name__
    if kind == "FeatureListNet":
        return list(net.values()), [n for n, key in enumerate(net, 1) if key in net.return_layers]
    if kind in ("EfficientNetFeatures", "MobileNetV3Features"):
        opening = [module for name, module in net.named_children() if name != "blocks"]
        ends = [len(opening) + stage for stage in net._stage_out_idx]
        return [*opening, *net.blocks], ends
    return [], []


def _create(timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None) -> Any:  # noqa: ANN401 (timm is not typed)
    """Let timm build a network; refuse dropped paths where it has none."""
    drop_path = options["drop_path_rate"]
    try:
        net = _load(timm, name, options, source)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        options = {key: value for key, value in options.items() if key != "drop_path_rate"}
        net = _load(timm, name, options, source)
    drops = any(isinstance(module, timm.layers.DropPath) for module in net.modules())
    if drop_path and not drops:
        raise ConfigError(
            f"model.drop_path: expected 0 for timm's {name}, which drops no paths, got "
            f"{drop_path}. Set it to 0."
        )
    return net


def _load(timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None) -> Any:  # noqa: ANN401 (timm is not typed)
    """Let timm build a network, and fit the weights file to its image size."""
    if source is None:
        return timm.create_model(name, pretrained=False, **options)
    overlay = {"state_dict": dict(source.tensors)}
    try:
        net = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ConfigError(
            f"model.weights {source.path}: expected weights of timm's {name}, got: {reason}. "
            "Choose the file of this network."
        ) from None
    net.pretrained_cfg.pop("state_dict", None)  # timm would hold the file's tensors for good
    # Old files do not hold how many batches a norm has seen; nothing here reads it.
    names = [key for key in net.state_dict() if not key.endswith(".num_batches_tracked")]
    missing = [key for key in names if not _has(source.tensors, key)]
    if missing:
        raise ConfigError(
            f"model.weights {source.path}: expected weights of timm's {name}, got none for "
            f"{len(missing)} names such as {missing[0]!r}. Choose the file of this network."
        )
    return net


def _has(tensors: dict[str, Tensor], key: str) -> bool:
    """Whether a file holds a tensor; timm's `layers_0.x` is `layers.0.x` in a file."""
    first, dot, rest = key.partition(".")
    pieces = first.split("_")
    names = ["_".join(pieces[:n]) + "." + "_".join(pieces[n:]) for n in range(1, len(pieces))]
    return any(f"{name}{dot}{rest}" in tensors for name in [first, *names])
