"""Biopsies of the phantom: the picture and its truth."""

import numpy as np
import pytest
from scipy.ndimage import label

from neoresponse.phantom.biopsy import histology, staining, tissue

USUAL = {"lymphocyte_fraction": 0.08, "stroma_share": 0.5, "nuclear_growth": 1.0}


def draw(*, seed=1, batch=7, region_px=192, mpp=1.0, defocus_um=0.0, **look):
    return tissue.draw_biopsy(
        np.random.default_rng(seed),
        look=tissue.TissueLook(**{**USUAL, **look}),
        stain=staining.draw_stain(np.random.default_rng(batch)),
        region_px=region_px,
        mpp=mpp,
        defocus_um=defocus_um,
    )


def inside(biopsy, array):
    left, top, side = biopsy.region
    return array[top : top + side, left : left + side]


@pytest.mark.parametrize(("region_px", "mpp"), [(384, 1.0), (192, 2.0)])
def test_lymphocytes_cover_the_wanted_share_of_the_region(region_px, mpp):
    for seed, wanted in enumerate((0.004, 0.02, 0.075, 0.26, 0.40)):
        biopsy = draw(seed=seed, region_px=region_px, mpp=mpp, lymphocyte_fraction=wanted)
        found = inside(biopsy, biopsy.lymphocytes).mean()
        assert found == pytest.approx(wanted, rel=0.03, abs=0.001)


@pytest.mark.parametrize("fat_share", [0.0, 0.15])
def test_nests_and_stroma_hold_the_wanted_shares_of_the_region(fat_share):
    block = histology.Block(shape=(500, 430), region=(20, 60, 384), mpp=1.0)
    habit = histology.Habit(0.4, fat_share, collagen=0, cleft=0.5, cytoplasm=0.15, chromatin=0.5)
    for seed, wanted in enumerate((0.26, 0.5, 0.74)):
        rng = np.random.default_rng(seed)
        drawn = histology.draw_histology(rng, block, habit, stroma_share=wanted)
        nests, solid = drawn.is_nest[block.map_region], drawn.is_solid[block.map_region]
        assert 1 - nests.sum() / solid.sum() == pytest.approx(wanted, abs=0.002)
        assert drawn.is_fat[block.map_region].mean() == pytest.approx(fat_share, abs=0.08)


def test_more_stroma_makes_the_picture_pinker_and_less_blue():
    shares = []
    for stroma_share in (0.26, 0.74):
        biopsy = draw(region_px=384, lymphocyte_fraction=0.01, stroma_share=stroma_share)
        red, _, blue = inside(biopsy, biopsy.pixels).mean(axis=(0, 1))
        shares.append(red / blue)
    assert shares[1] > shares[0] + 0.05


def test_clusters_are_where_a_plain_count_finds_many_lymphocytes():
    rng = np.random.default_rng(3)
    field = np.repeat(np.repeat(rng.random((7, 9)), 20, axis=0), 20, axis=1)
    mask = rng.random(field.shape) < 0.7 * field
    found = tissue.find_clusters(mask, mpp=2.0)
    half = 12  # 25 pixels of 2 micrometres are the window of 50
    for y in range(0, mask.shape[0], 7):
        for x in range(0, mask.shape[1], 7):
            window = mask[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            assert found[y, x] == (window.sum() >= tissue.CLUSTER_COVER * 25**2)
    assert 0.1 < found.mean() < 0.9


def test_clusters_are_counted_in_cells_of_two_micrometres_where_pixels_are_smaller():
    rng = np.random.default_rng(4)
    field = np.repeat(np.repeat(rng.random((4, 4)), 60, axis=0), 60, axis=1)[:230, :239]
    mask = rng.random(field.shape) < 0.7 * field
    found = tissue.find_clusters(mask, mpp=0.5)
    assert found.shape == mask.shape
    for y in range(1, 230, 17):
        for x in range(1, 239, 17):
            rows = slice(max(0, y // 4 - 12) * 4, (y // 4 + 13) * 4)
            columns = slice(max(0, x // 4 - 12) * 4, (x // 4 + 13) * 4)
            assert found[y, x] == (mask[rows, columns].sum() >= tissue.CLUSTER_COVER * 100**2)
    assert 0.1 < found.mean() < 0.9


def test_clusters_hold_most_lymphocytes_when_there_are_many():
    biopsy = draw(region_px=384, lymphocyte_fraction=0.2)
    lymphocytes, clusters = inside(biopsy, biopsy.lymphocytes), inside(biopsy, biopsy.clusters)
    assert lymphocytes[clusters].mean() > 3 * lymphocytes[~clusters].mean()


def test_the_region_lies_in_one_core_among_several_on_white_glass():
    for seed in range(6):
        biopsy = draw(seed=seed, region_px=256, mpp=2.0)
        is_tissue = biopsy.pixels.min(axis=2) < 215
        parts, num = label(is_tissue)
        sizes = np.bincount(parts.ravel(), minlength=num + 1)[1:]
        assert 2 <= (sizes > 0.02 * is_tissue.size).sum() <= 3
        assert np.argmax(np.bincount(inside(biopsy, parts).ravel())) == 1 + np.argmax(sizes)
        assert biopsy.pixels[:4].mean() > 225
        assert biopsy.pixels[:, :2].mean() > 225


@pytest.mark.parametrize("region_px", [96, 192, 1536])
def test_the_region_is_tissue_everywhere_and_lies_inside_the_picture(region_px):
    rng = np.random.default_rng(5)
    block = tissue._plan_block(rng, region_px=region_px, mpp=768 / region_px)
    drawn = histology.draw_histology(rng, block, histology.draw_habit(rng), stroma_share=0.5)
    assert drawn.is_tissue[block.map_region].all()
    left, top, side = block.region
    assert 0 < left < left + side < block.shape[1]
    assert 0 < top < top + side < block.shape[0]


def test_the_slide_picture_is_not_larger_than_it_needs_to_be():
    height, width = tissue.slide_shape(1536)
    assert height * width <= 1.35 * 1920**2


def test_the_same_randomness_gives_the_same_bytes():
    one, two, other = draw(), draw(), draw(seed=2)
    assert one.region == two.region
    for name in ("pixels", "lymphocytes", "clusters"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.pixels.tobytes() != other.pixels.tobytes()


def test_unmixing_the_light_gives_the_stain_amounts_back():
    rng = np.random.default_rng(1)
    stain = staining.draw_stain(rng)
    amounts = rng.uniform(0, 1, (2, 20, 30)).astype(np.float32)
    light = [staining.transmitted(*amounts, stain, channel=c) for c in range(3)]
    density = -np.log10(np.stack(light, axis=-1) / stain.white)
    mixing = np.stack([stain.haematoxylin, stain.eosin])
    found = np.linalg.lstsq(mixing.T, density.reshape(-1, 3).T, rcond=None)[0]
    np.testing.assert_allclose(found.reshape(amounts.shape), amounts, atol=1e-4)


def test_a_scanned_picture_is_the_light_with_noise_of_less_than_two_grey_levels():
    stain = staining.draw_stain(np.random.default_rng(2))
    amount = np.full((200, 200), 0.3, dtype=np.float32)
    pixels = staining.scanned(np.random.default_rng(3), amount, amount, stain=stain)
    for channel in range(3):
        light = staining.transmitted(amount, amount, stain, channel=channel)[0, 0]
        assert pixels[..., channel].mean() == pytest.approx(light, abs=0.1)
        assert 1.4 < pixels[..., channel].std() < 1.8


def test_tissue_is_pink_and_lymphocytes_are_dark_and_blue():
    biopsy = draw(lymphocyte_fraction=0.1)
    pixels, mask = inside(biopsy, biopsy.pixels), inside(biopsy, biopsy.lymphocytes)
    red, green, blue = pixels[~mask].mean(axis=0)
    assert red > green
    assert blue > green
    assert pixels[mask][:, 2].mean() > pixels[mask][:, 0].mean()
    assert pixels[mask].mean() < pixels[~mask].mean() - 50


def test_batches_differ_in_stain_but_not_in_cells():
    one, two = draw(batch=1), draw(batch=2)
    assert np.array_equal(one.lymphocytes, two.lymphocytes)
    assert not np.array_equal(one.pixels, two.pixels)


def test_a_stain_shifts_by_dose_and_not_at_all_at_zero():
    stain = staining.draw_stain(np.random.default_rng(1))
    same = staining.shift_stain(stain, 0.0)
    away = []
    for dose in (0.5, 1.0):
        shifted = staining.shift_stain(stain, dose)
        away.append(np.linalg.norm(shifted.haematoxylin - stain.haematoxylin))
    for name in ("haematoxylin", "eosin", "white"):
        np.testing.assert_allclose(getattr(same, name), getattr(stain, name), rtol=1e-6)
    assert away[1] > 1.5 * away[0] > 0


def test_defocus_blurs_the_picture_and_leaves_the_truth():
    sharp, blurred = draw(), draw(defocus_um=3.0)
    assert np.array_equal(sharp.lymphocytes, blurred.lymphocytes)
    contrast = [inside(b, b.pixels).astype(float).std(axis=(0, 1)).mean() for b in (sharp, blurred)]
    assert contrast[1] < 0.8 * contrast[0]


@pytest.mark.parametrize(("mpp", "error"), [(0.25, 0.10), (8.0, 0.02)])
def test_small_slides_can_be_drawn_at_any_spacing(mpp, error):
    biopsy = draw(region_px=96, mpp=mpp, lymphocyte_fraction=0.4)
    assert biopsy.pixels.shape == (*tissue.slide_shape(96), 3)
    # a square of 24 micrometres has room for some eight lymphocytes, one more or less
    assert inside(biopsy, biopsy.lymphocytes).mean() == pytest.approx(0.4, abs=error)
