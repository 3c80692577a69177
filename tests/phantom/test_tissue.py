"""Biopsies of the phantom."""

import numpy as np
import pytest
from scipy.ndimage import label

from neoresponse.phantom import tissue
from neoresponse.phantom.clinical import lymphocyte_fraction


def draw(fraction, *, seed=1, region_px=192, mpp=1.0):
    return tissue.draw_biopsy(
        np.random.default_rng(seed),
        lymphocyte_fraction=fraction,
        stain=tissue.draw_stain(np.random.default_rng(7)),
        region_px=region_px,
        mpp=mpp,
    )


def region_of(biopsy, array):
    left, top, side = biopsy.region
    return array[top : top + side, left : left + side]


def test_the_lymphocyte_share_of_the_region_is_the_wanted_one():
    for z_til in (-2, -1, 0, 1, 2):
        wanted = lymphocyte_fraction(z_til)
        biopsy = draw(wanted)
        assert region_of(biopsy, biopsy.lymphocytes).mean() == pytest.approx(
            wanted, rel=0.15, abs=0.004
        )


def test_more_lymphocytes_make_the_picture_darker():
    means = []
    for z_til in (-2, 0, 2):
        biopsy = draw(lymphocyte_fraction(z_til))
        means.append(region_of(biopsy, biopsy.pixels).mean())
    assert means[0] > means[1] > means[2]


def test_lymphocytes_are_darker_than_the_rest():
    biopsy = draw(0.1)
    inside, mask = region_of(biopsy, biopsy.pixels), region_of(biopsy, biopsy.lymphocytes)
    assert inside[mask].mean() < inside[~mask].mean() - 50


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_a_lymphocyte_is_about_seven_micrometres_wide(mpp):
    biopsy = draw(0.01, mpp=mpp, region_px=384)
    parts, num = label(biopsy.lymphocytes)
    areas_um2 = np.bincount(parts.ravel())[1:] * mpp**2
    assert num > 5
    assert 2 * np.sqrt(np.median(areas_um2) / np.pi) == pytest.approx(7.0, abs=0.8)


def test_the_region_lies_inside_the_tissue_and_the_slide_is_white_beside_it():
    biopsy = draw(0.05, region_px=256)
    left, top, side = biopsy.region
    assert left > 0
    assert left + side < biopsy.pixels.shape[1]
    assert top + side <= biopsy.pixels.shape[0]
    assert biopsy.pixels[:, :4].mean() > 225
    assert (region_of(biopsy, biopsy.pixels).mean(axis=(0, 1)) < 225).all()


def test_tissue_is_pink_and_nuclei_are_blue():
    biopsy = draw(0.1)
    inside, mask = region_of(biopsy, biopsy.pixels), region_of(biopsy, biopsy.lymphocytes)
    red, green, blue = inside[~mask].mean(axis=0)
    assert red > green
    assert blue > green
    assert inside[mask][:, 2].mean() > inside[mask][:, 0].mean()


def test_batches_differ_in_stain_but_not_in_cells():
    biopsies = [
        tissue.draw_biopsy(
            np.random.default_rng(1),
            lymphocyte_fraction=0.1,
            stain=tissue.draw_stain(np.random.default_rng(batch)),
            region_px=128,
            mpp=2.0,
        )
        for batch in (1, 2)
    ]
    assert np.array_equal(biopsies[0].lymphocytes, biopsies[1].lymphocytes)
    assert not np.array_equal(biopsies[0].pixels, biopsies[1].pixels)


def test_the_smallest_slide_can_be_drawn():
    assert draw(0.4, region_px=96, mpp=8.0).pixels.shape == (128, 128, 3)
