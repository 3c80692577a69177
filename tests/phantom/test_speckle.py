"""Ultrasound of the phantom."""

import numpy as np
import pytest
from shapely import Polygon, contains_xy

from neoresponse.phantom import speckle


@pytest.fixture(scope="module")
def anatomy():
    return speckle.draw_anatomy(np.random.default_rng(3), size_mm=24.0, field_mm=42.0, frame_px=128)


def picture(anatomy, *, seed=4, **visit):
    return speckle.draw_picture(np.random.default_rng(seed), anatomy, speckle.Visit(**visit))


@pytest.mark.parametrize("spacing_mm", [0.08, 0.35])
def test_speckle_in_homogeneous_tissue_is_fully_developed(spacing_mm):
    # Rayleigh amplitude: mean / standard deviation = sqrt(pi / (4 - pi)) = 1.91 (Wagner 1983)
    envelope = speckle.scan(np.random.default_rng(1), np.zeros((384, 384)), spacing_mm=spacing_mm)
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, abs=0.04)
    assert np.mean(envelope**2) == pytest.approx(1, abs=0.05)


def test_the_beam_is_wider_far_from_the_focus():
    envelope = speckle.scan(np.random.default_rng(1), np.zeros((512, 512)), spacing_mm=0.08)
    focus = int(512 * speckle.FOCUS_SHARE)

    def likeness(rows):
        return np.corrcoef(rows[:, :-4].ravel(), rows[:, 4:].ravel())[0, 1]

    assert likeness(envelope[-60:]) > likeness(envelope[focus - 30 : focus + 30]) + 0.1


def test_compression_maps_decibels_to_grey_levels():
    level = 10 ** (-speckle.GLAND_LEVEL_DB / 20)
    grey = speckle.compress(np.array([[level, level / 10**1.5, 0.0]]))
    assert grey.tolist() == [[255, 128, 0]]


def test_echo_gets_brighter_with_gain(anatomy):
    assert picture(anatomy, gain_db=3.0).pixels.mean() > picture(anatomy).pixels.mean() + 5


def test_a_lesion_is_darker_than_the_tissue_around_it(anatomy):
    drawn = picture(anatomy)
    rows = np.flatnonzero(drawn.mask.any(axis=1))
    beside = np.zeros_like(drawn.mask)
    beside[rows[len(rows) // 2] - 10 : rows[len(rows) // 2] + 10] = True
    inside = drawn.pixels[drawn.mask].mean()
    assert inside < drawn.pixels[beside & ~drawn.mask].mean() - 20


def test_lesion_width_in_mm_follows_the_tumour_size(anatomy):
    columns = np.flatnonzero(picture(anatomy).mask.any(axis=0))
    width_mm = (columns[-1] - columns[0] + 1) * anatomy.spacing_mm
    assert width_mm == pytest.approx(24.0, rel=0.15)


def test_the_border_polygon_is_the_border_of_the_mask(anatomy):
    drawn = picture(anatomy)
    y, x = np.mgrid[:128, :128] + 0.5
    filled = contains_xy(Polygon(drawn.border), x, y)
    assert (filled & drawn.mask).sum() / (filled | drawn.mask).sum() > 0.98


def test_area_falls_with_the_relative_diameter(anatomy):
    areas = [picture(anatomy, relative_diameter=d).mask.sum() for d in (1.0, 0.7, 0.4)]
    assert areas[1] / areas[0] == pytest.approx(0.49, abs=0.03)
    assert areas[2] / areas[0] == pytest.approx(0.16, abs=0.03)


def test_an_invisible_lesion_has_neither_mask_nor_border(anatomy):
    drawn = picture(anatomy, relative_diameter=0.2, is_visible=False)
    assert not drawn.mask.any()
    assert drawn.border is None


def test_two_visits_share_the_anatomy_but_not_the_speckle(anatomy):
    first, second = picture(anatomy, seed=1).pixels, picture(anatomy, seed=2).pixels
    assert (first != second).mean() > 0.9
    blocks = [pixels.reshape(16, 8, 16, 8).mean(axis=(1, 3)).ravel() for pixels in (first, second)]
    assert np.corrcoef(*blocks)[0, 1] > 0.9


def test_an_absorbing_lesion_throws_a_shadow():
    shadows = {}
    for strength in (0.9, -0.35):
        drawn_from = speckle.draw_anatomy(
            np.random.default_rng(5), size_mm=18.0, field_mm=42.0, frame_px=128
        )
        changed = speckle.Anatomy(
            echo_db=drawn_from.echo_db,
            lesion=drawn_from.lesion,
            texture_db=drawn_from.texture_db,
            shadow_db_per_mm=strength,
            spacing_mm=drawn_from.spacing_mm,
        )
        drawn = picture(changed)
        columns = np.flatnonzero(drawn.mask.any(axis=0))
        bottom = np.flatnonzero(drawn.mask.any(axis=1))[-1]
        middle = columns[len(columns) // 4 : -len(columns) // 4]
        shadows[strength] = drawn.pixels[bottom + 4 : bottom + 24, middle].mean()
    assert shadows[0.9] < shadows[-0.35] - 20


def test_smooth_noise_has_the_asked_size():
    noise = speckle.smooth_noise(np.random.default_rng(0), (400, 300), scale_px=6)
    assert noise.shape == (400, 300)
    assert noise.std() == pytest.approx(1, abs=0.15)
