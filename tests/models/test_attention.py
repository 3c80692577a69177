"""Attention against plain loops over tokens, which share nothing with its index tables."""

import pytest
import torch

from neoresponse.models.attention import (
    MASKED,
    Attention,
    fused_attention,
    group_tokens,
    merge_heads,
    padded_keys,
    plain_attention,
    position_offsets,
    relative_rows,
    split_heads,
)

CPU = torch.device("cpu")
LAYOUTS = [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (4, 1)]
every_layout = pytest.mark.parametrize(("group", "interval"), LAYOUTS)


def place_of(y, x, *, group, interval, width):
    """Number of a token's group, and its number in the group, from the definition.

    A region of G x I tokens a side holds I x I groups: one for each token of its first I x I.
    """
    region = group * interval
    region_number = (y // region) * (width // region) + x // region
    start = (y % interval) * interval + x % interval
    row, column = (y % region) // interval, (x % region) // interval
    return region_number * interval**2 + start, row * group + column


@pytest.mark.parametrize("group", [1, 2, 4, 7])
def test_relative_rows_equal_a_double_loop(group):
    rows, offsets = relative_rows(CPU, group), position_offsets(CPU, group)
    for query in range(group * group):
        for key in range(group * group):
            dy = query // group - key // group
            dx = query % group - key % group
            row = (dy + group - 1) * (2 * group - 1) + dx + group - 1
            assert rows[query, key] == row
            assert offsets[row].tolist() == [dy, dx]


@every_layout
def test_groups_equal_a_double_loop(group, interval):
    height, width = 2 * group * interval, group * interval
    grid = torch.arange(float(height * width)).reshape(1, height, width, 1)
    groups = group_tokens(grid, group=group, interval=interval)
    for y in range(height):
        for x in range(width):
            number, token = place_of(y, x, group=group, interval=interval, width=width)
            assert groups[0, number, token, 0] == grid[0, y, x, 0]


@every_layout
@pytest.mark.parametrize("sides", [(3, 5), (7, 4), (12, 12)])
def test_padded_keys_are_those_below_and_right_of_the_map(sides, group, interval):
    hidden = padded_keys(CPU, sides, group, interval)
    height, width = (-(-side // (group * interval)) * group * interval for side in sides)
    assert hidden.numel() == height * width
    for y in range(height):
        for x in range(width):
            number, token = place_of(y, x, group=group, interval=interval, width=width)
            assert bool(hidden[number, token]) == (y >= sides[0] or x >= sides[1])


@every_layout
def test_heads_are_cut_out_and_put_back_in_their_places(group, interval):
    height, width = group * interval, 2 * group * interval
    heads, depth = 2, 3
    tokens = torch.randn(2, height, width, 3 * heads * depth)
    cut = split_heads(tokens, num_heads=heads, group=group, interval=interval)
    for y in range(height):
        for x in range(width):
            number, token = place_of(y, x, group=group, interval=interval, width=width)
            for part in range(3):
                for head in range(heads):
                    first = (part * heads + head) * depth
                    expected = tokens[:, y, x, first : first + depth]
                    assert torch.equal(cut[part, :, number, head, token], expected)
    for part, whole in zip(cut, tokens.chunk(3, dim=-1), strict=True):
        back = merge_heads(part, sides=(height, width), group=group, interval=interval)
        assert torch.equal(back, whole)


@pytest.mark.parametrize(
    ("sides", "interval"),
    [
        ((8, 8), 1),
        ((8, 8), 2),
        ((7, 7), 1),
        ((7, 7), 2),
        ((7, 7), 3),
        ((3, 3), 1),
        ((9, 9), None),
        ((14, 14), None),
        ((6, 11), 2),
        ((9, 5), None),
    ],
)
def test_attention_equals_a_loop_over_all_pairs_of_tokens(sides, interval):
    torch.manual_seed(0)
    attention = Attention(32, num_heads=2, group_size=4, interval=interval).double()
    grid = torch.randn(2, *sides, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(attention(grid), over_all_pairs(attention, grid))


def over_all_pairs(attention, grid):
    """Every token looks at all of the map; those of other groups are hidden. Nothing is padded."""
    batch, height, width, channels = grid.shape
    group, interval = attention.group_size, attention.interval
    if min(height, width) <= group:
        group, interval = min(height, width), 1
    elif interval is None:
        interval = next(i for i in range(1, 99) if i * group >= min(height, width))
    places = [(y, x) for y in range(height) for x in range(width)]
    region = group * interval
    num, heads = len(places), attention.num_heads
    bias = torch.full((heads, num, num), -torch.inf, dtype=grid.dtype)
    for i, (y, x) in enumerate(places):
        for j, (v, u) in enumerate(places):
            is_near = (y // region, x // region) == (v // region, u // region)
            if is_near and (y - v) % interval == 0 and (x - u) % interval == 0:
                offset = torch.tensor([(y - v) // interval, (x - u) // interval])
                bias[:, i, j] = bias_of(attention.pos, offset.to(grid.dtype))
    query, key, value = (
        part.reshape(batch, num, heads, -1).transpose(1, 2)
        for part in attention.qkv(grid).chunk(3, dim=-1)
    )
    scores = query @ key.transpose(-1, -2) / (channels // heads) ** 0.5 + bias
    mixed = scores.softmax(dim=-1) @ value
    return attention.proj(mixed.transpose(1, 2).reshape(batch, height, width, channels))


def bias_of(pos, offset):
    """The network of position biases at one offset, a bias per head."""
    hidden = pos.pos_proj(offset)
    for layers in (pos.pos1, pos.pos2, pos.pos3):
        norm, _, linear = layers
        hidden = linear(norm(hidden).clamp(min=0))
    return hidden


@pytest.mark.parametrize(("width", "hidden"), [(64, 4), (96, 6), (16, 1), (8, 1)])
def test_the_position_bias_has_a_sixteenth_of_the_width(width, hidden):
    assert Attention(width, num_heads=2, group_size=4, interval=1).pos.pos_proj.out_features == (
        hidden
    )


def test_a_table_made_in_inference_mode_serves_training_too():
    attention = Attention(16, num_heads=2, group_size=5, interval=1)
    with torch.inference_mode():
        attention(torch.zeros(1, 5, 5, 16))
    attention(torch.zeros(1, 5, 5, 16)).sum().backward()
    assert attention.qkv.weight.grad is not None


@pytest.mark.parametrize(
    ("side", "interval", "layout"),
    [
        (128, None, (8, 16)),
        (64, None, (8, 8)),
        (32, None, (8, 4)),
        (16, None, (8, 2)),
        (20, None, (8, 3)),
        (14, None, (8, 2)),
        (9, None, (8, 2)),
        (8, None, (8, 1)),
        (5, 3, (5, 1)),
        (20, 1, (8, 1)),
    ],
)
def test_one_region_covers_the_map_unless_the_interval_is_named(side, interval, layout):
    attention = Attention(16, num_heads=2, group_size=8, interval=interval)
    group, chosen = attention.layout(side)
    assert (group, chosen) == layout
    assert interval is not None or group * chosen >= side


@pytest.mark.parametrize("masked", [False, True])
def test_fused_and_written_out_attention_agree(masked):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 3, 9, 8, dtype=torch.float64).unbind(0)
    bias = torch.randn(4 if masked else 1, 3, 9, 9, dtype=torch.float64)
    if masked:
        bias[:, :, :, -1] += MASKED
    plain = plain_attention(query, key, value, bias)
    torch.testing.assert_close(fused_attention(query, key, value, bias), plain)


def test_a_kept_bias_is_used_until_a_weight_changes():
    layer = Attention(64, num_heads=2, group_size=4, interval=1).eval()
    bias = lambda side=4, kind=torch.float32: layer.bias((side, side), kind)  # noqa: E731
    with torch.no_grad():
        first = bias()
        assert bias() is first
        layer.pos.pos_proj.weight.mul_(-2)
        changed = bias()
        assert not torch.equal(changed, first)
        layer.load_state_dict({name: value / 2 for name, value in layer.state_dict().items()})
        assert not torch.equal(bias(), changed)
        assert bias(3).shape == (1, 2, 9, 9)
        assert bias(6).shape == (4, 2, 16, 16)
        assert bias(kind=torch.bfloat16).dtype == torch.bfloat16
    assert bias().requires_grad
    with torch.no_grad():
        layer.double()
        assert bias(kind=torch.float64).dtype == torch.float64


class Meddling(tuple):
    """Sides of a map; whoever compares them finds that the kept bias was just thrown away."""

    __slots__ = ()
    layer = None

    def __eq__(self, other):
        with torch.enable_grad():
            self.layer.bias((4, 4), torch.float32)
        return tuple.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = tuple.__hash__


def test_a_bias_thrown_away_by_another_thread_while_it_is_looked_up_does_no_harm():
    layer = Attention(64, num_heads=2, group_size=4, interval=1).eval()
    Meddling.layer = layer
    with torch.no_grad():
        expected = layer.bias((4, 4), torch.float32).clone()
        assert torch.equal(layer.bias(Meddling((4, 4)), torch.float32), expected)


def test_a_bias_kept_in_inference_mode_serves_other_passes():
    layer = Attention(16, num_heads=2, group_size=4, interval=1).eval()
    grid = torch.randn(1, 8, 8, 16)
    with torch.inference_mode():
        expected = layer(grid).clone()
    with torch.no_grad():
        assert torch.equal(layer(grid), expected)
    layer.train()(grid).sum().backward()


def test_weights_made_in_inference_mode_are_read_anew_each_time():
    with torch.inference_mode():
        layer = Attention(64, num_heads=2, group_size=4, interval=1).eval()
        first = layer.bias((4, 4), torch.float32).clone()
        layer.pos.pos3[2].bias.add_(1)
        torch.testing.assert_close(layer.bias((4, 4), torch.float32), first + 1)
