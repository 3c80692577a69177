"""CrossFormer written the plain way: the twin that the network is timed against.

As the published code does it: the map is padded before anything else, every group holds its padding
through the projections, the table of position biases is made in each forward pass (its offsets and
index rows once), and attention is softmax(Q K^T + bias + mask) V, written out. It runs on the
weights of a `CrossFormer`.
Source: Wang et al., CrossFormer, ICLR 2022.
"""

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from neoresponse.models.crossformer import CrossFormer


def plain_forward(model: CrossFormer, images: Tensor) -> Tensor:
    """The pooled vector of each image, (batch, features).

    Args:
        model: whose weights are used; without squeeze-and-excitation and dropped paths.
        images: (batch, 3, side, side).
    """
    embed = model.patch_embed
    maps = torch.cat([conv(images) for conv in embed.projs], dim=1)
    side = maps.shape[-1]
    tokens = embed.norm(maps.flatten(2).transpose(1, 2))  # (B, C, H, W) -> (B, H*W, C)
    for number, stage in enumerate(model.layers):
        for block in cast(Any, stage).blocks:
            tokens = tokens + _attention(block.attn, block.norm1(tokens), side)
            hidden = nnf.gelu(block.mlp.fc1(block.norm2(tokens)))
            tokens = tokens + block.mlp.fc2(hidden)
        if number < len(model.layers) - 1:
            merge = cast(Any, stage).downsample
            grid = merge.norm(tokens).transpose(1, 2).unflatten(2, (side, side))
            maps = torch.cat([conv(grid) for conv in merge.reductions], dim=1)
            side //= 2
            tokens = maps.flatten(2).transpose(1, 2)
    return cast(Tensor, model.norm(tokens).mean(dim=1))


def _attention(layer: Any, tokens: Tensor, side: int) -> Tensor:  # noqa: ANN401 (module by name)
    """Pad, group, attend, put back, cut the padding off."""
    batch, _, channels = tokens.shape
    group, interval = layer.layout(side)
    region = group * interval
    more = -side % region
    grid = nnf.pad(tokens.unflatten(1, (side, side)), (0, 0, 0, more, 0, more))
    groups = _group(grid, group, interval)
    heads = layer.num_heads
    # (groups, G*G, 3C) -> (3, groups, heads, G*G, depth)
    qkv = layer.qkv(groups).unflatten(2, (3, heads, channels // heads)).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)
    scores = (query * (channels // heads) ** -0.5) @ key.transpose(-2, -1)
    scores = scores + _bias(layer.pos, group)
    if more:
        mask = _mask(side, more, group, interval).repeat(batch, 1, 1)
        scores = scores + mask[:, None]
    mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
    down = (side + more) // region
    split = layer.proj(mixed).reshape(batch, down, down, interval, interval, group, group, channels)
    whole = split.permute(0, 1, 5, 3, 2, 6, 4, 7).reshape(batch, side + more, side + more, channels)
    return whole[:, :side, :side].flatten(1, 2)


def _group(grid: Tensor, group: int, interval: int) -> Tensor:
    """(B, H, W, C) -> (groups, G*G, C)."""
    batch, side, _, channels = grid.shape
    down = side // (group * interval)
    split = grid.reshape(batch, down, group, interval, down, group, interval, channels)
    return split.permute(0, 1, 4, 3, 6, 2, 5, 7).reshape(-1, group**2, channels)


def _mask(side: int, more: int, group: int, interval: int) -> Tensor:
    """A large negative number for each key that is padding; (groups, G*G, G*G)."""
    is_padding = nnf.pad(torch.zeros(1, side, side, 1), (0, 0, 0, more, 0, more), value=1)
    hidden = _group(is_padding, group, interval).transpose(1, 2)  # (groups, 1, G*G)
    return torch.zeros(len(hidden), group**2, group**2).masked_fill(hidden > 0, -1e6)


def _bias(pos: nn.Module, group: int) -> Tensor:
    """The network over all offsets, then one entry per pair of tokens; (heads, G*G, G*G)."""
    layers = cast(Any, pos)
    offsets, rows = _offsets_and_rows(group)
    offsets = offsets.to(layers.pos_proj.weight.dtype)
    table = layers.pos3(layers.pos2(layers.pos1(layers.pos_proj(offsets))))
    return cast(Tensor, table[rows].reshape(group**2, group**2, -1).permute(2, 0, 1))


@cache
@torch.inference_mode(False)  # made in inference they must serve training too
def _offsets_and_rows(group: int) -> tuple[Tensor, Tensor]:
    """All offsets, ((2G - 1)^2, 2), and the row of each pair of tokens, (G*G * G*G,)."""
    steps = torch.arange(1 - group, group)
    places = torch.cartesian_prod(torch.arange(group), torch.arange(group))
    apart = places[:, None] - places[None] + group - 1
    rows = apart[..., 0] * (2 * group - 1) + apart[..., 1]
    return torch.cartesian_prod(steps, steps), rows.flatten()
