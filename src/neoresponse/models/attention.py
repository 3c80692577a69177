"""Short- and long-distance attention with a dynamic position bias.

A group is G x G tokens. Short distance: neighbours. Long distance: tokens I apart, so a group
spans a region of (G I) x (G I) tokens. Short distance is long distance with I = 1.
Source: Wang et al., CrossFormer, ICLR 2022, sections 3.2 and 3.3.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from neoresponse.models.linear import apply_linear, without_autocast

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
                map's shorter side / G, rounded up, so that one region covers that side.
        """
        super().__init__()
        self.num_heads = num_heads
        self.group_size = group_size
        self.interval = interval
        self.pos = DynamicPositionBias(width, num_heads=num_heads)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self._last_bias: tuple[tuple[object, ...], Tensor] | None = None

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
        tokens = apply_linear(self.qkv, grid)
        if below or right:  # padding by nothing would still copy
            tokens = pad(tokens, (0, 0, 0, right, 0, below))
        bias = self.bias((height, width), tokens.dtype)
        query, key, value = split_heads(
            tokens, num_heads=self.num_heads, group=group, interval=interval
        ).unbind(0)
        attend = fused_attention if grid.device.type == "cuda" else plain_attention
        mixed = attend(query, key, value, bias)
        sides = (height + below, width + right)
        merged = merge_heads(mixed, sides=sides, group=group, interval=interval)
        return apply_linear(self.proj, merged[:, :height, :width])

    def layout(self, side: int) -> tuple[int, int]:
        """Group side and interval on a map whose shorter side is `side`."""
        if side <= self.group_size:
            return side, 1
        interval = -(-side // self.group_size) if self.interval is None else self.interval
        return self.group_size, interval

    def bias(
        self, sides: tuple[int, int], number_format: torch.dtype
    ) -> Float[Tensor, "one_or_groups heads query key"]:
        """Position bias of every pair of tokens of a group, and the mask of keys that are padding.

        Where no gradient is wanted it is made once and kept until a weight changes.

        Args:
            sides: height and width of the map.
            number_format: of the result.

        Returns:
            (1, heads, G*G, G*G); where there is padding, one for each group of the map.
        """
        weights = list(self.pos.parameters())
        is_changing = self.training or torch.is_grad_enabled() or torch.compiler.is_compiling()
        # A weight made in inference mode does not tell what was written into it.
        if is_changing or any(weight.is_inference() for weight in weights):
            self._last_bias = None
            return self._new_bias(sides).to(number_format)
        # A weight's version counts what was written into it; its address changes when it moves.
        versions = tuple((weight.data_ptr(), weight._version) for weight in weights)
        state = (sides, number_format, versions)
        kept = self._last_bias  # read once: another thread may replace it at any moment
        if kept is None or kept[0] != state:
            kept = (state, self._new_bias(sides).to(number_format))
            self._last_bias = kept
        return kept[1]

    def _new_bias(self, sides: tuple[int, int]) -> Float[Tensor, "one_or_groups heads query key"]:
        """Bias and mask, made anew."""
        group, interval = self.layout(min(sides))
        device = self.qkv.weight.device
        rows = _table(relative_rows, device, group)
        # The network is tiny: casting its weights costs more than a smaller number format saves.
        with without_autocast(device):
            table: Tensor = self.pos(group)
        # (G*G, G*G, heads) -> (1, heads, G*G, G*G)
        bias = table[rows].permute(2, 0, 1).unsqueeze(0)
        if not any(side % (group * interval) for side in sides):
            return bias
        hidden = _table(padded_keys, device, sides, group, interval)
        mask = torch.zeros_like(hidden, dtype=bias.dtype).masked_fill(hidden, MASKED)
        return bias + mask[:, None, None, :]  # (groups, heads, G*G, G*G)


class DynamicPositionBias(nn.Module):
    """A small network from the offset of two tokens to a bias per head."""

    def __init__(self, width: int, *, num_heads: int) -> None:
        """Build the layers; the hidden width is a sixteenth of the map's `width`, at least 1."""
        super().__init__()
        hidden = max(1, width // 16)
        self.pos_proj = nn.Linear(2, hidden)
        self.pos1 = _bias_layer(hidden, hidden)
        self.pos2 = _bias_layer(hidden, hidden)
        self.pos3 = _bias_layer(hidden, num_heads)

    def forward(self, group: int) -> Float[Tensor, "offsets heads"]:
        """The table for groups of side G: ((2G - 1)^2, heads); see `position_offsets`."""
        weight = self.pos_proj.weight
        offsets = _table(position_offsets, weight.device, group).to(weight.dtype)
        table: Tensor = self.pos3(self.pos2(self.pos1(self.pos_proj(offsets))))
        return table


def plain_attention(
    query: Float[Tensor, "batch groups heads tokens depth"],
    key: Float[Tensor, "batch groups heads tokens depth"],
    value: Float[Tensor, "batch groups heads tokens depth"],
    bias: Float[Tensor, "any heads tokens tokens"],
) -> Float[Tensor, "batch groups heads tokens depth"]:
    """softmax(Q K^T / sqrt(depth) + bias) V, step by step.

    On a processor, groups of 64 tokens are too small for the fused kernel to gain anything; it
    takes twice as long (docs/explanation/speed.md).
    """
    shape = query.shape
    tokens, depth = shape[-2:]
    # The bias is laid down first and the products are added onto it: one pass, not three.
    scores = bias.expand(*shape[:3], tokens, tokens).reshape(-1, tokens, tokens)
    scores = torch.baddbmm(
        scores, query.flatten(0, 2), key.flatten(0, 2).transpose(1, 2), alpha=depth**-0.5
    )
    return torch.bmm(scores.softmax(dim=-1), value.flatten(0, 2)).reshape(shape)


def fused_attention(
    query: Float[Tensor, "batch groups heads tokens depth"],
    key: Float[Tensor, "batch groups heads tokens depth"],
    value: Float[Tensor, "batch groups heads tokens depth"],
    bias: Float[Tensor, "any heads tokens tokens"],
) -> Float[Tensor, "batch groups heads tokens depth"]:
    """The same through torch's fused kernel, for a GPU."""
    if len(bias) > 1:
        bias = bias.repeat(len(query), 1, 1, 1)
    mixed = scaled_dot_product_attention(
        query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), attn_mask=bias
    )
    return mixed.reshape(query.shape)


def split_heads(
    tokens: Float[Tensor, "batch height width three_channels"],
    *,
    num_heads: int,
    group: int,
    interval: int,
) -> Float[Tensor, "three batch groups heads tokens depth"]:
    """Cut a map of queries, keys and values into groups and heads, in one copy.

    Args:
        tokens: the last axis holds query, key, value, each by head; the sides are multiples of
            group * interval.
        num_heads: attention heads.
        group: side G of a group.
        interval: distance I of its tokens.

    Returns:
        (3, batch, groups, heads, G*G, channels / heads), groups as in `group_tokens`.
    """
    batch, height, width, _ = tokens.shape
    region = group * interval
    down, across = height // region, width // region
    split = tokens.reshape(batch, down, group, interval, across, group, interval, 3, num_heads, -1)
    # (B, RH, G, I, RW, G, I, 3, heads, depth) -> (3, B, RH, RW, I, I, heads, G, G, depth)
    ordered = split.permute(7, 0, 1, 4, 3, 6, 8, 2, 5, 9)
    num_groups = down * across * interval**2
    return ordered.reshape(3, batch, num_groups, num_heads, group**2, split.shape[-1])


def merge_heads(
    mixed: Float[Tensor, "batch groups heads tokens depth"],
    *,
    sides: tuple[int, int],
    group: int,
    interval: int,
) -> Float[Tensor, "batch height width channels"]:
    """Put groups and heads back to a map; `sides` are its height and width."""
    batch, _, num_heads, _, depth = mixed.shape
    region = group * interval
    down, across = sides[0] // region, sides[1] // region
    split = mixed.reshape(batch, down, across, interval, interval, num_heads, group, group, depth)
    # (B, RH, RW, I, I, heads, G, G, depth) -> (B, RH, G, I, RW, G, I, heads, depth)
    return split.permute(0, 1, 6, 3, 2, 7, 4, 5, 8).reshape(batch, *sides, num_heads * depth)


def position_offsets(device: torch.device, group: int) -> Int[Tensor, "offsets axes"]:
    """All offsets (dy, dx) of two tokens of a group, query minus key, in tokens of the group.

    Row (dy + G - 1) (2G - 1) + (dx + G - 1); ((2G - 1)^2, 2).
    """
    steps = torch.arange(1 - group, group, device=device)
    return torch.cartesian_prod(steps, steps)


def relative_rows(device: torch.device, group: int) -> Int[Tensor, "query key"]:
    """For each pair of tokens of a group, the row of its offset; (G*G, G*G)."""
    side = torch.arange(group, device=device)
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


def padded_keys(
    device: torch.device, sides: tuple[int, int], group: int, interval: int
) -> Bool[Tensor, "groups tokens"]:
    """Which tokens of each group are padding below or right of a map; (groups, G*G)."""
    height, width = sides
    region = group * interval
    is_padding = torch.ones(1, height + -height % region, width + -width % region, 1, device=device)
    is_padding[:, :height, :width] = 0
    return group_tokens(is_padding, group=group, interval=interval)[0, :, :, 0] > 0


def _table(make: Callable[..., Tensor], device: torch.device, *sizes: object) -> Tensor:
    """An index table, made once per device; compiled code has it inside."""
    if torch.compiler.is_compiling():
        return make(device, *sizes)
    return _made(make, device, *sizes)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a table made in inference must serve training too
def _made(make: Callable[..., Tensor], device: torch.device, *sizes: object) -> Tensor:
    """Make a table."""
    return make(device, *sizes)


def _bias_layer(width: int, out: int) -> nn.Sequential:
    """Norm, ReLU, linear."""
    return nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, out))
