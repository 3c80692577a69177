"""Grad-CAM: where in each image the network finds what speaks for its answer.

Source: Selvaraju et al., Grad-CAM, Int. J. Comput. Vis. 2020, 128:336-359, equations 1 and 2.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from neoresponse.data.batch import Batch
from neoresponse.data.forward import batch_logits
from neoresponse.models.se_crosst import SECrossT

Heat = dict[str, Tensor]
Direction = Literal["predicted", "pcr", "residual"]


def grad_cam(model: SECrossT, batch: Batch, *, stage: int, toward: Direction = "predicted") -> Heat:
    """Heat map of every image of a batch.

    A map of the given stage is weighed channel by channel with the mean over all places of
    d logit / d map; what is negative is cut. An image that two pathways encode, or that goes
    through a trunk once beside each patch, gets the sum. Images that were merged before the stage
    share one map.

    Args:
        model: the network; evaluated in evaluation mode, left as it was.
        batch: "biopsy" may be one patch per patient or, (batch, patches, 3, side, side), all.
        stage: 1 to 4; the later, the coarser.
        toward: what the heat speaks for: pCR (+logit), residual disease (-logit), or whichever of
            the two the patient's (mean) logit predicts.

    Returns:
        Image name -> (batch, side, side), biopsy with patches (batch, patches, side, side); float
        in [0, 1]. The highest place of a patient's image (of all patches together) is 1, unless
        nothing speaks for the answer: then all is 0, as for a missing image.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.enable_grad(), _captured(model, stage) as maps:
            signed = _signed_logits(model, batch, toward)
            gradients = torch.autograd.grad(signed.sum(), [grid for _, grid in maps])
    finally:
        model.train(was_training)
    raw: Heat = {}
    for (names, grid), gradient in zip(maps, gradients, strict=True):
        heat = relu((grid.detach() * gradient.mean(dim=(1, 2), keepdim=True)).sum(dim=-1))
        for name, part in zip(names, _per_image(heat, names, batch), strict=True):
            raw[name] = raw[name] + part if name in raw else part
    return {
        name: _fit(_available(heat, name, batch), batch.images[name]) for name, heat in raw.items()
    }


@contextmanager
def _captured(model: SECrossT, stage: int) -> Iterator[list[tuple[tuple[str, ...], Tensor]]]:
    """While open, each trunk's map of the stage is kept, with the images in its batch."""
    maps: list[tuple[tuple[str, ...], Tensor]] = []
    handles = [
        trunk.taps[stage - 1].register_forward_hook(_keeper(maps, names))
        for trunk, names in model.streams()
    ]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def _keeper(
    maps: list[tuple[tuple[str, ...], Tensor]], names: tuple[str, ...]
) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    """A hook that keeps a map and hands on a leaf, so nothing before it is differentiated."""

    def keep(_module: nn.Module, _inputs: Any, grid: Tensor) -> Tensor:  # noqa: ANN401
        leaf = grid.detach().requires_grad_()
        maps.append((names, leaf))
        return leaf

    return keep


def _signed_logits(model: SECrossT, batch: Batch, toward: Direction) -> Tensor:
    """The logit of each patient or patch, turned so that higher speaks for the answer."""
    logits = batch_logits(model, batch)
    if toward == "predicted":
        # One answer per patient: that of the mean logit over the patches.
        answer = logits.detach().mean(dim=1, keepdim=True)
        return logits * torch.where(answer > 0, 1.0, -1.0).to(logits.dtype)
    return logits if toward == "pcr" else -logits


def _per_image(heat: Tensor, names: tuple[str, ...], batch: Batch) -> list[Tensor]:
    """The heat of each image of a trunk's batch, a row for each that the batch holds."""
    num = batch.images[names[0]].shape[:-3].numel()
    is_merged = len(names) > 1 and len(heat) == num
    parts = [heat] * len(names) if is_merged else list(heat.chunk(len(names)))
    return [part.reshape(num, -1, *part.shape[1:]).sum(dim=1) for part in parts]


def _available(heat: Tensor, name: str, batch: Batch) -> Tensor:
    """No heat for a missing image, though what stands for it may sway the answer."""
    available = batch.available[name]
    rows = available.repeat_interleave(len(heat) // len(available))
    return torch.where(rows[:, None, None], heat, torch.zeros_like(heat))


def _fit(heat: Tensor, images: Tensor) -> Tensor:
    """Resize to the image and bring a patient's highest place to 1."""
    sides = images.shape[-2:]
    resized = interpolate(heat[:, None].float(), size=sides, mode="bilinear").squeeze(1)
    shaped = resized.reshape(*images.shape[:-3], *sides)
    highest = shaped.flatten(1).amax(dim=1).reshape(-1, *[1] * (shaped.ndim - 1))
    return torch.where(highest > 0, shaped / highest.clamp(min=1e-30), torch.zeros_like(shaped))
