import pytest
import torch

from neoresponse.models.crossformer import NAMED_SIZES, CrossFormer, CrossFormerSizes, DropPath


def test_all_scales_reach_the_first_map_in_halves():
    model = CrossFormer(CrossFormerSizes(64, (1, 1, 1, 1), (2, 4, 8, 16)))
    assert [conv.out_channels for conv in model.patch_embed.projs] == [32, 16, 8, 8]
    assert [conv.out_channels for conv in model.layers[0].downsample.reductions] == [64, 64]


@pytest.mark.parametrize("side", [32, 64, 96, 100])
def test_each_map_has_the_named_width_and_stride(side):
    model = CrossFormer(CrossFormerSizes(16, (1, 1, 1, 1), (1, 2, 4, 4), se_ratio=16))
    grid = model.stem(torch.zeros(2, 3, side, side))
    for index in range(4):
        grid = model.stage(index, grid)
        side_of_map = side // model.strides[index]
        assert grid.shape == (2, side_of_map, side_of_map, model.channels[index])
    assert model.pool(grid).shape == (2, model.num_features)


@pytest.mark.parametrize(("name", "millions"), [("T", 27.8), ("S", 30.7), ("B", 52.0), ("L", 92.0)])
def test_the_published_sizes_have_the_published_numbers_of_parameters(name, millions):
    sizes = NAMED_SIZES[name]
    with torch.device("meta"):
        found = sum(parameter.numel() for parameter in CrossFormer(sizes).parameters())
    assert found == counted_by_hand(sizes.embed_dim, sizes.depths, sizes.num_heads)
    classifier = 8 * sizes.embed_dim * 1000 + 1000
    assert round((found + classifier) / 1e6, 1) == millions  # published to one decimal


def counted_by_hand(width, depths, num_heads):
    """All parameters: a linear layer a -> b has a b + b, a norm of a has 2 a."""
    last = 8 * width
    shares = (width // 2, width // 4, width // 8, width // 8)
    total = sum(3 * k * k * c + c for k, c in zip((4, 8, 16, 32), shares, strict=True)) + 2 * width
    for depth, heads in zip(depths, num_heads, strict=True):
        small = width // 16
        position = 3 * small + 2 * (2 * small + small**2 + small) + 2 * small + (small + 1) * heads
        attention = (3 * width**2 + 3 * width) + (width**2 + width) + position
        mlp = (4 * width**2 + 4 * width) + (4 * width**2 + width)
        total += depth * (attention + mlp + 4 * width)
        if width < last:  # but for the last stage, an embedding to twice the width
            total += 2 * width + (4 * width**2 + width) + (16 * width**2 + width)
            width *= 2
    return total + 2 * width


def test_drop_path_keeps_the_mean_and_is_still_in_evaluation():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    branch = torch.ones(4000, 2, 1)
    dropped = drop(branch)
    assert torch.equal(drop.eval()(branch), branch)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert torch.equal(dropped[:, 0], dropped[:, 1])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def test_drop_path_rises_with_depth():
    model = CrossFormer(CrossFormerSizes(16, (1, 1, 2, 1), (1, 1, 1, 1), drop_path=0.4))
    rates = [block.drop_path for layer in model.layers for block in layer.blocks]
    assert isinstance(rates[0], torch.nn.Identity)
    assert [drop.rate for drop in rates[1:]] == pytest.approx([0.1, 0.2, 0.3, 0.4])
