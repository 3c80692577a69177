"""Whether a network takes pictures of the prepared size, found out before anything is written."""

import torch

from neoresponse.errors import ConfigError, NeoresponseError
from neoresponse.models.backbone import NUM_STAGES, Backbone
from neoresponse.models.build import CROSSFORMER, build_backbone
from neoresponse.settings import ModelSettings

_SIDES = (32, 64, 96, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512)
"""Sides of pictures that are tried for a network which does not take those that there are."""


def check_network(settings: ModelSettings, *, image_px: int) -> None:
    """Run the image network once, without numbers, on a picture of the prepared size.

    Args:
        settings: the network, as parts; its weights are not read.
        image_px: side of every image and patch, in pixels.

    Raises:
        ConfigError: the network is unknown, or takes no pictures of this size.
        MissingExtraError: it needs timm and timm is not installed.
    """
    if settings.backbone == CROSSFORMER or not settings.pathways:
        return
    if _takes(settings, image_px):
        return
    larger = (side for side in _SIDES if side > image_px and _takes(settings, side))
    least = next(larger, None)
    wanted = "another size" if least is None else f"{least} px"
    raise ConfigError(
        f"model.backbone: expected a network that takes pictures of {image_px} px, got "
        f"{settings.backbone!r}, which needs {wanted}. Raise prepare.image_px and "
        "prepare.region_px and prepare the cohort again, or choose another network."
    )


def _takes(settings: ModelSettings, image_px: int) -> bool:
    """Whether the network can be built for a size and be run on it."""
    plain = settings.model_copy(update={"weights": None, "pretrained": False})
    try:
        with torch.random.fork_rng(devices=[]):
            backbone = build_backbone(plain, image_px=image_px)
        _run(backbone.eval().to("meta"), image_px)
    except NeoresponseError:
        raise
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, ValueError):
        return False  # whatever torch or timm says of a map that became too small
    return True


@torch.no_grad()
def _run(backbone: Backbone, image_px: int) -> None:
    """One picture through stem, stages and pooling; on the meta device it costs no arithmetic."""
    grid = backbone.stem(torch.zeros(1, 3, image_px, image_px, device="meta"))
    for stage in range(NUM_STAGES):
        grid = backbone.stage(stage, grid)
    backbone.pool(grid)
