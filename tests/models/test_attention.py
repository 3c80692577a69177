import pytest
import torch
from torch.nn.functional import pad

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
    ungroup_tokens,
)

CPU = torch.device("cpu")


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


@pytest.mark.parametrize(("group", "interval"), [(2, 1), (2, 3), (3, 2), (4, 1)])
def test_groups_equal_a_double_loop(group, interval):
    region = group * interval
    height, width = 2 * region, region
    grid = torch.arange(float(height * width)).reshape(1, height, width, 1)
    groups = group_tokens(grid, group=group, interval=interval)
    for y in range(height):
        for x in range(width):
            region_number = (y // region) * (width // region) + x // region
            start = (y % interval) * interval + x % interval
            place = (y % region // interval) * group + x % region // interval
            number = region_number * interval**2 + start
            assert groups[0, number, place, 0] == grid[0, y, x, 0]
    back = ungroup_tokens(groups, sides=(height, width), group=group, interval=interval)
    assert torch.equal(back, grid)


def test_padded_keys_are_those_below_and_right_of_the_map():
    hidden = padded_keys(CPU, (3, 5), 2, 1)
    whole = ungroup_tokens(hidden[None, :, :, None].float(), sides=(4, 6), group=2, interval=1)
    expected = torch.ones(4, 6)
    expected[:3, :5] = 0
    assert torch.equal(whole[0, :, :, 0], expected)


@pytest.mark.parametrize(("side", "interval"), [(8, 1), (8, 2), (7, 1), (7, 2), (3, 1), (9, None)])
def test_attention_equals_a_plain_one_that_pads_first(side, interval):
    torch.manual_seed(0)
    attention = Attention(16, num_heads=2, group_size=4, interval=interval).double()
    grid = torch.randn(2, side, side, 16, dtype=torch.float64)
    torch.testing.assert_close(attention(grid), padded_first(attention, grid))


def padded_first(attention, grid):
    """Pad, group, full scores, mask, softmax: one head at a time."""
    side = grid.shape[1]
    group, interval = attention.layout(side)
    extra = -side % (group * interval)
    padded = pad(grid, (0, 0, 0, extra, 0, extra))
    groups = group_tokens(attention.qkv(padded), group=group, interval=interval)
    query, key, value = groups.unflatten(-1, (3, attention.num_heads, -1)).unbind(3)
    table = attention.pos(group)[relative_rows(CPU, group)]
    hidden = padded_keys(CPU, (side, side), group, interval)
    heads = []
    for head in range(attention.num_heads):
        scores = query[:, :, :, head] @ key[:, :, :, head].transpose(-1, -2)
        scores = scores * query.shape[-1] ** -0.5 + table[:, :, head]
        scores = scores + MASKED * hidden[:, None, :].double()
        heads.append(scores.softmax(-1) @ value[:, :, :, head])
    sides = (side + extra, side + extra)
    merged = ungroup_tokens(torch.cat(heads, -1), sides=sides, group=group, interval=interval)
    return attention.proj(merged)[:, :side, :side]


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
        (20, None, (8, 2)),
        (9, None, (8, 1)),
        (8, None, (8, 1)),
        (5, 3, (5, 1)),
    ],
)
def test_the_interval_covers_the_map_unless_it_is_named(side, interval, layout):
    attention = Attention(16, num_heads=2, group_size=8, interval=interval)
    assert attention.layout(side) == layout


@pytest.mark.parametrize("masked", [False, True])
def test_fused_and_written_out_attention_agree(masked):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 3, 9, 8, dtype=torch.float64).unbind(0)
    bias = torch.randn(4 if masked else 1, 3, 9, 9, dtype=torch.float64)
    if masked:
        bias[:, :, :, -1] += MASKED
    plain = plain_attention(query, key, value, bias)
    torch.testing.assert_close(fused_attention(query, key, value, bias), plain)


@pytest.mark.parametrize(("group", "interval"), [(2, 1), (2, 3), (4, 2)])
def test_heads_are_cut_out_and_put_back_in_their_places(group, interval):
    side, heads, depth = 2 * group * interval, 3, 5
    tokens = torch.randn(2, side, side, 3 * heads * depth)
    cut = split_heads(tokens, num_heads=heads, group=group, interval=interval)
    for part, whole in zip(cut, tokens.chunk(3, dim=-1), strict=True):
        groups = group_tokens(whole, group=group, interval=interval)
        assert torch.equal(part.transpose(2, 3).flatten(3), groups)
        back = merge_heads(part, sides=(side, side), group=group, interval=interval)
        assert torch.equal(back, whole)


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


def test_a_bias_kept_in_inference_mode_serves_other_passes():
    layer = Attention(16, num_heads=2, group_size=4, interval=1).eval()
    grid = torch.randn(1, 8, 8, 16)
    with torch.inference_mode():
        expected = layer(grid).clone()
    with torch.no_grad():
        assert torch.equal(layer(grid), expected)
    layer.train()(grid).sum().backward()
