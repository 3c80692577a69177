"""docs/reference/network.md says the truth about every tensor at 512 px."""

from pathlib import Path

import pytest
import torch

from neoresponse.config import ModelSettings
from neoresponse.models.build import build_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "network.md"
BATCH = 3
SIZES = {
    "T": ModelSettings(),
    "S": ModelSettings(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
}
PATHWAYS = {"Patho-Ult": "patho_ult", "Dou-Ult": "dou_ult"}


@pytest.mark.parametrize("size", ["T", "S"])
def test_the_page_names_the_shape_of_every_tensor_at_512_px(size):
    assert written(size) == traced(size)


def written(size):
    """Name -> shape as the page's table has them."""
    rows = [line.strip("| ").split("|") for line in PAGE.read_text().splitlines() if "` |" in line]
    column = {"T": 2, "S": 3}[size]
    return {
        (row[0].strip(), row[1].strip()): row[column].strip().strip("`")
        for row in rows
        if len(row) == 4
    }


def traced(size):
    """Name -> shape as the network makes them; nothing is computed."""
    with torch.device("meta"):
        model = build_model(SIZES[size], image_px=512)
        images = {name: torch.empty(BATCH, 3, 512, 512) for name in model.inputs}
        clinical = torch.empty(BATCH, 4)
        available = {name: torch.empty(BATCH, dtype=torch.bool) for name in images}
    available["clinical"] = torch.empty(BATCH, 4, dtype=torch.bool, device="meta")
    found = {}
    for title, name in PATHWAYS.items():
        pathway = model.pathways[name]
        watch_trunk(pathway.streams()[0][0], title, found)
        for stage, module in getattr(pathway, "coherence", {}).items():
            watch(module.linear, found, (title, f"coherence {stage}: both time points"), is_in=True)
            watch(module.linear, found, (title, f"coherence {stage}: h"))
        watch(pathway.neck.linear, found, (title, "vectors, concatenated"), is_in=True)
        watch(pathway.neck, found, (title, "features"))
    watch(model.fusion.head, found, ("Fusion", "features and clinical, concatenated"), is_in=True)
    found["Fusion", "logit"] = said(model(images, clinical, available).shape)
    return found


def watch_trunk(trunk, title, found):
    """Note what passes through a trunk."""
    backbone = trunk.backbone
    watch(backbone.patch_embed, found, (title, "images"), is_in=True)
    watch(backbone.patch_embed, found, (title, "SE-CEL 1"))
    found[title, "position table"] = said(trunk.position.table.shape)
    if trunk.position.num_time_points > 1:
        found[title, "time points"] = said(trunk.position.time_point.shape)
    for number, (layer, tap) in enumerate(zip(backbone.layers, trunk.taps, strict=True), start=1):
        if number < 4:
            watch(layer.downsample, found, (title, f"SE-CEL {number + 1}"))
        watch(layer.blocks[0].attn, found, (title, f"stage {number}: groups"), is_group=True)
        watch(tap, found, (title, f"stage {number}: map"))
    watch(backbone.norm, found, (title, "final norm"))


def watch(module, found, key, *, is_in=False, is_group=False):
    """Note the shape that enters or leaves a module."""

    def note(module, inputs, output):
        shape = (inputs[0] if is_in else output).shape
        if is_group:
            group, _ = module.layout(shape[1])
            found[key] = f"{(shape[1] // group) ** 2} of {group} x {group}"
        else:
            found[key] = said(shape)

    module.register_forward_hook(note)


def said(shape):
    """A shape in words: B for the batch."""
    names = {BATCH: "B", 2 * BATCH: "2B"}
    first = names.get(shape[0], str(shape[0]))
    return ", ".join([first, *map(str, shape[1:])])
