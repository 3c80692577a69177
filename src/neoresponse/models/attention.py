"""Short- and long-distance attention with a dynamic position bias.

A group is G x G tokens. Short distance: neighbours. Long distance: tokens I apart, so a group
spans a region of (G I) x (G I) tokens. Short distance is long distance with I = 1.
Source: Wang et al., CrossFormer, ICLR 2022, sections 3.2 and 3.3.
"""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

MASKED = -1e6
"""Added to the score of a key that is padding."""


class Attention(nn.Module):
    """Self-attention inside groups of tokens."""

    def __init__(
        self, width: int, *, num_heads: int, group_size: int, interval: int | None
    ) -> None:
        """Build the layers.

        Args:
            width: channels of the map.
            num_heads: attention heads; divides `width`.
            group_size: side G of a group; where the map is not larger, its side is taken instead
                and the attention is short-distance.
            interval: distance I of the tokens of a group; 1 for short distance; None for the
                map's side // G, so that one region covers the map.
        """
        super().__init__()
        self.num_heads = num_heads
        self.group_size = group_size
        self.interval = interval
        self.pos = DynamicPositionBias(width // 4, num_heads=num_heads)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, grid: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Let the tokens of each group look at each other."""
        height, width = grid.shape[1:3]
        group, interval = self.layout(min(height, width))
        region = group * interval
        # Padded queries are dropped and padded keys are masked, so padding after the projection
        # gives the same result as padding before it, for less work.
        below, right = -height % region, -width % region
        tokens = self.qkv(grid)
        bias = self.bias(group)
        if below or right:
            tokens = pad(tokens, (0, 0, 0, right, 0, below))
            hidden = padded_keys(height, width, group=group, interval=interval).to(grid.device)
            mask = torch.zeros_like(hidden, dtype=bias.dtype).masked_fill(hidden, MASKED)
            bias = (bias + mask[:, None, None, :]).repeat(len(grid), 1, 1, 1)
        groups = group_tokens(tokens, group=group, interval=interval)
        mixed = self._attend(groups, bias.to(groups.dtype))
        sides = (height + below, width + right)
        merged = ungroup_tokens(mixed, sides=sides, group=group, interval=interval)
        out: Tensor = self.proj(merged[:, :height, :width])
        return out

    def _attend(
        self,
        groups: Float[Tensor, "batch groups tokens three_channels"],
        bias: Float[Tensor, "any heads tokens tokens"],
    ) -> Float[Tensor, "batch groups tokens channels"]:
        """Attention inside each group; the last axis holds query, key, value, each by head."""
        batch, num_groups, num_tokens, _ = groups.shape
        # (B, groups, G*G, 3C) -> (3, B * groups, heads, G*G, C / heads)
        split = groups.reshape(batch * num_groups, num_tokens, 3, self.num_heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        # (B * groups, heads, G*G, C / heads) -> (B, groups, G*G, C)
        return mixed.transpose(1, 2).reshape(batch, num_groups, num_tokens, -1)

    def layout(self, side: int) -> tuple[int, int]:
        """Group side and interval on a map whose shorter side is `side`."""
        if side <= self.group_size:
            return side, 1
        interval = side // self.group_size if self.interval is None else self.interval
        return self.group_size, interval

    def bias(self, group: int) -> Float[Tensor, "one heads query key"]:
        """Position bias of every pair of tokens of a group, (1, heads, G*G, G*G)."""
        rows = relative_rows(group).to(self.qkv.weight.device)
        # (G*G, G*G, heads) -> (1, heads, G*G, G*G)
        table: Tensor = self.pos(group)
        return table[rows].permute(2, 0, 1).unsqueeze(0)


class DynamicPositionBias(nn.Module):
    """A small network from the offset of two tokens to a bias per head.

    Its hidden width is a sixteenth of the map's.
    """

    def __init__(self, width: int, *, num_heads: int) -> None:
        """Build the layers; hidden width is width / 4, at least 1."""
        super().__init__()
        hidden = max(1, width // 4)
        self.pos_proj = nn.Linear(2, hidden)
        self.pos1 = _bias_layer(hidden, hidden)
        self.pos2 = _bias_layer(hidden, hidden)
        self.pos3 = _bias_layer(hidden, num_heads)

    def forward(self, group: int) -> Float[Tensor, "offsets heads"]:
        """The table for groups of side G: ((2G - 1)^2, heads); see `position_offsets`."""
        weight = self.pos_proj.weight
        offsets = position_offsets(group).to(device=weight.device, dtype=weight.dtype)
        table: Tensor = self.pos3(self.pos2(self.pos1(self.pos_proj(offsets))))
        return table


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a table made in inference must serve training too
def position_offsets(group: int) -> Int[Tensor, "offsets axes"]:
    """All offsets (dy, dx) of two tokens of a group, query minus key, in tokens of the group.

    Row (dy + G - 1) (2G - 1) + (dx + G - 1); ((2G - 1)^2, 2).
    """
    steps = torch.arange(1 - group, group)
    return torch.cartesian_prod(steps, steps)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a table made in inference must serve training too
def relative_rows(group: int) -> Int[Tensor, "query key"]:
    """For each pair of tokens of a group, the row of its offset; (G*G, G*G)."""
    side = torch.arange(group)
    tokens = torch.cartesian_prod(side, side)
    offsets = tokens[:, None] - tokens[None, :] + group - 1
    return offsets[..., 0] * (2 * group - 1) + offsets[..., 1]


def group_tokens(
    grid: Float[Tensor, "batch height width channels"], *, group: int, interval: int
) -> Float[Tensor, "batch groups tokens channels"]:
    """Cut a map into groups.

    Args:
        grid: a map whose sides are multiples of group * interval.
        group: side G of a group.
        interval: distance I of its tokens.

    Returns:
        (batch, groups, G*G, channels). Groups run over the regions row by row, inside a region
        over the I x I starting tokens row by row.
    """
    batch, height, width, channels = grid.shape
    region = group * interval
    split = grid.reshape(
        batch, height // region, group, interval, width // region, group, interval, channels
    )
    # (B, RH, G, I, RW, G, I, C) -> (B, RH, RW, I, I, G, G, C) -> (B, groups, G*G, C)
    return split.permute(0, 1, 4, 3, 6, 2, 5, 7).flatten(5, 6).flatten(1, 4)


def ungroup_tokens(
    tokens: Float[Tensor, "batch groups tokens channels"],
    *,
    sides: tuple[int, int],
    group: int,
    interval: int,
) -> Float[Tensor, "batch height width channels"]:
    """The inverse of `group_tokens`; `sides` are height and width of the map."""
    batch, _, _, channels = tokens.shape
    region = group * interval
    down, across = sides[0] // region, sides[1] // region
    split = tokens.reshape(batch, down, across, interval, interval, group, group, channels)
    # (B, RH, RW, I, I, G, G, C) -> (B, RH, G, I, RW, G, I, C)
    return split.permute(0, 1, 5, 3, 2, 6, 4, 7).reshape(batch, *sides, channels)


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # a table made in inference must serve training too
def padded_keys(
    height: int, width: int, *, group: int, interval: int
) -> Bool[Tensor, "groups tokens"]:
    """Which tokens of each group are padding below or right of a map; (groups, G*G)."""
    region = group * interval
    is_padding = torch.ones(1, height + -height % region, width + -width % region, 1)
    is_padding[:, :height, :width] = 0
    return group_tokens(is_padding, group=group, interval=interval)[0, :, :, 0] > 0


def _bias_layer(width: int, out: int) -> nn.Sequential:
    """Norm, ReLU, linear."""
    return nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out))
