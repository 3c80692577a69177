"""Backbones from timm in the frame of SE-CrossT: VGG16, ResNet50, DenseNet121, ViT, Swin, others.

Every one is cut into a stem and four stages that run one by one, so pathways, coherence, necks,
fusion and heat maps are the same for all. How each is cut: docs/explanation/paper.md.
"""

import difflib
import importlib
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
    name: str, *, image_px: int, weights: Path | None, is_pretrained: bool = False
) -> Backbone:
    """Build a timm network as a backbone.

    Args:
        name: of the network in timm, such as `resnet50`.
        image_px: side of the images, in pixels.
        weights: safetensors file in timm's naming for this network, or None.
        is_pretrained: whether to fetch its published weights where no file is given.

    Raises:
        MissingExtraError: timm is not installed.
        ConfigError: timm has no such network, it has no four stages, or the weights cannot be had
            or do not fit.
    """
    timm = _import_timm()
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, ["crossformer", *timm.list_models()], n=5)
        raise ConfigError(
            f"model.backbone: expected `crossformer` or a timm network, got {name!r}. "
            f"Near names: {near}."
        )
    if weights is None and is_pretrained:
        weights = fetch_weights(str(timm.get_pretrained_cfg(name).hf_hub_id or ""), backbone=name)
    source = None if weights is None else _Source(weights, read_weights(weights))
    options: dict[str, Any] = {}
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = image_px
    if timm.model_entrypoint(name).__module__ == "timm.models.vision_transformer":
        return _vit(timm, name, options, source)
    return _staged(timm, name, options, source)


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


def _vit(
    timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None
) -> VitBackbone:
    """A vision transformer without class token, pooled over its patch tokens."""
    options = {**options, "class_token": False, "global_pool": "avg", "fc_norm": False}
    if source is not None and "cls_token" in source.tensors:
        tensors = dict(source.tensors)
        del tensors["cls_token"]
        tensors["pos_embed"] = tensors["pos_embed"][:, 1:]  # the first place is the class token's
        source = _Source(source.path, tensors)
    vit = _create(timm, name, {**options, "num_classes": 0}, source)
    if vit.num_prefix_tokens:
        raise ConfigError(
            f"model.backbone: expected a vision transformer of patch tokens, got {name!r} with "
            f"{vit.num_prefix_tokens} others. Choose one without register tokens."
        )
    return VitBackbone(vit, stride=int(vit.patch_embed.patch_size[0]))


def _staged(
    timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None
) -> StagedBackbone:
    """A network whose modules run in a row, cut where its last four maps come out."""
    try:
        net = _create(timm, name, {**options, "features_only": True}, source)
    except (RuntimeError, AssertionError, AttributeError):
        net = None  # timm has no maps of it to offer
    if type(net).__name__ != "FeatureListNet" or len(net.feature_info) < NUM_STAGES:
        raise ConfigError(
            f"model.backbone: expected a timm network with four maps that come out in a row, got "
            f"{name!r}. Choose another, such as resnet50."
        )
    ends = [place for place, key in enumerate(net, start=1) if key in net.return_layers]
    stem_end = ends[-NUM_STAGES - 1] if len(ends) > NUM_STAGES else 1
    cuts = [0, stem_end, *ends[-NUM_STAGES:]]
    modules = list(net.values())
    four = net.feature_info.info[-NUM_STAGES:]
    channels = [int(info["num_chs"]) for info in four]
    strides = [int(info["reduction"]) for info in four]
    return StagedBackbone(
        [nn.Sequential(*modules[a:b]) for a, b in pairwise(cuts)],
        channels=(channels[0], channels[1], channels[2], channels[3]),
        strides=(strides[0], strides[1], strides[2], strides[3]),
        is_channels_last=str(net.output_fmt.value) == "NHWC",
    )


def _create(timm: ModuleType, name: str, options: dict[str, Any], source: _Source | None) -> Any:  # noqa: ANN401 (timm is not typed)
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
    missing = [key for key, _ in net.named_parameters() if not _has(source.tensors, key)]
    if missing:
        raise ConfigError(
            f"model.weights {source.path}: expected weights of timm's {name}, got none for "
            f"{len(missing)} parameters such as {missing[0]!r}. Choose the file of this network."
        )
    return net


def _has(tensors: dict[str, Tensor], key: str) -> bool:
    """Whether a file holds a parameter; timm's `layers_0.x` is `layers.0.x` in a file."""
    first, dot, rest = key.partition(".")
    pieces = first.split("_")
    names = ["_".join(pieces[:n]) + "." + "_".join(pieces[n:]) for n in range(1, len(pieces))]
    return any(f"{name}{dot}{rest}" in tensors for name in [first, *names])
