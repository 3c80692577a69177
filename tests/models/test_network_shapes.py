"""docs/reference/network.md says the truth about every tensor at 512 px."""

from pathlib import Path

import pytest
import torch

from neoresponse.models import attention
from neoresponse.models.build import build_model
from neoresponse.settings import ModelSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "network.md"
BATCH = 3
SIZES = {
    "T": ModelSettings(),
    "S": ModelSettings(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
}
PATHWAYS = {"Patho-Ult": "patho_ult", "Dou-Ult": "dou_ult"}


@pytest.mark.parametrize("size", ["T", "S"])
def test_the_page_names_the_shape_of_every_tensor_at_512_px(size, monkeypatch):
    assert written(size) == traced(size, monkeypatch)


def written(size):
    """Name -> shape as the page's table has them."""
    rows = [line.strip("| ").split("|") for line in PAGE.read_text().splitlines() if "` |" in line]
    column = {"T": 2, "S": 3}[size]
    return {
        (row[0].strip(), row[1].strip()): row[column].strip().strip("`")
        for row in rows
        if len(row) == 4
    }


def traced(size, monkeypatch):
    """Name -> shape as the network makes them; nothing is computed."""
    cuts = record_cuts(monkeypatch)
    with torch.device("meta"):
        model = build_model(SIZES[size], image_px=512)
        images = {name: torch.empty(BATCH, 3, 512, 512) for name in model.inputs}
        clinical = torch.empty(BATCH, 4)
        available = {name: torch.empty(BATCH, dtype=torch.bool) for name in images}
    available["clinical"] = torch.empty(BATCH, 4, dtype=torch.bool, device="meta")
    found = {}
    for title, name in PATHWAYS.items():
        pathway = model.pathways[name]
        watch_trunk(pathway.streams()[0][0], title, found, cuts)
        for stage, module in getattr(pathway, "coherence", {}).items():
            watch(module.linear, found, (title, f"coherence {stage}: both time points"), is_in=True)
            watch(module.linear, found, (title, f"coherence {stage}: h"))
        watch(pathway.neck.linear, found, (title, "vectors, concatenated"), is_in=True)
        watch(pathway.neck, found, (title, "features"))
    watch(model.fusion.head, found, ("Fusion", "features and clinical, concatenated"), is_in=True)
    found["Fusion", "logit"] = said(model(images, clinical, available).shape)
    return found


def record_cuts(monkeypatch):
    """A list that gets the groups of each attention as its map is really cut."""
    cuts, real = [], attention.split_heads

    def split_heads(tokens, *, num_heads, group, interval):
        cut = real(tokens, num_heads=num_heads, group=group, interval=interval)
        _, _, groups, _, num_tokens, _ = cut.shape
        assert num_tokens == group**2
        apart = "" if interval == 1 else f", {interval} apart"
        cuts.append(f"{groups} of {group} x {group}{apart}")
        return cut

    monkeypatch.setattr(attention, "split_heads", split_heads)
    return cuts


def watch_trunk(trunk, title, found, cuts):
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
        found[title, f"stage {number}: long-distance groups"] = "none"
        for block, name in zip(layer.blocks, ("groups", "long-distance groups"), strict=False):
            watch_cuts(block.attn, found, (title, f"stage {number}: {name}"), cuts)
        watch(tap, found, (title, f"stage {number}: map"))
    watch(backbone.norm, found, (title, "final norm"))


def watch(module, found, key, *, is_in=False):
    """Note the shape that enters or leaves a module."""

    def note(_module, inputs, output):
        found[key] = said((inputs[0] if is_in else output).shape)

    module.register_forward_hook(note)


def watch_cuts(module, found, key, cuts):
    """Note into which groups an attention has cut its map."""
    module.register_forward_hook(lambda *_: found.update({key: cuts[-1]}))


def said(shape):
    """A shape in words: B for the batch."""
    names = {BATCH: "B", 2 * BATCH: "2B"}
    first = names.get(shape[0], str(shape[0]))
    return ", ".join([first, *map(str, shape[1:])])
