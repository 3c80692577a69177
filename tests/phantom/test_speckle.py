"""Ultrasound of the phantom."""

import numpy as np
import pytest
from scipy.stats import kstest
from shapely import Polygon, contains_xy

from neoresponse.phantom.ultrasound import breast, speckle
from neoresponse.phantom.ultrasound.lesion import LesionLook

FRAME_PX = 128


def draw_anatomy(seed=3, *, field_mm=42.0, **look):
    settings = {"diameter_mm": 24.0, "spiculation": 0.2} | look
    return speckle.draw_anatomy(
        np.random.default_rng(seed),
        look=LesionLook(**settings),
        field_mm=field_mm,
        frame_px=FRAME_PX,
    )


@pytest.fixture(scope="module")
def anatomy():
    return draw_anatomy()


def picture(anatomy, *, seed=4, **visit):
    return speckle.draw_picture(np.random.default_rng(seed), anatomy, speckle.Visit(**visit))


def homogeneous(size, *, spacing_mm=0.09, beam_factor=1.0):
    zeros = np.zeros((size, size), dtype=np.float32)
    noise = np.full((size, 1), -200.0, dtype=np.float32)
    return speckle.Scene(zeros, zeros, noise, spacing_mm=spacing_mm, beam_factor=beam_factor)


def scan(scene, *, num_looks=1):
    return speckle.scan(np.random.default_rng(1), scene, num_looks=num_looks)


@pytest.mark.parametrize("spacing_mm", [0.08, 0.35])
def test_speckle_in_homogeneous_tissue_is_fully_developed(spacing_mm):
    # Rayleigh amplitude: mean / standard deviation = sqrt(pi / (4 - pi)) = 1.91 (Wagner 1983)
    envelope = scan(homogeneous(384, spacing_mm=spacing_mm))
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, abs=0.04)
    assert np.mean(envelope**2) == pytest.approx(1, abs=0.05)


def test_one_look_follows_the_rayleigh_distribution():
    envelope = scan(homogeneous(512))[::16, ::32]  # far enough apart to be independent
    power = envelope.ravel() ** 2
    assert kstest(power, "expon").pvalue > 0.01
    assert power.mean() ** 2 / power.var() == pytest.approx(1, abs=0.15)  # Nakagami m


def test_compounding_raises_the_signal_to_noise_ratio_by_the_root_of_its_looks():
    envelope = scan(homogeneous(384), num_looks=4)
    assert envelope.mean() / envelope.std() == pytest.approx(2 * 1.913, rel=0.04)


def likeness(rows, lag=4):
    return np.corrcoef(rows[:, :-lag].ravel(), rows[:, lag:].ravel())[0, 1]


def test_the_beam_is_wider_far_from_the_focus():
    envelope = scan(homogeneous(512))
    focus = int(512 * speckle.FOCUS_SHARE)
    assert likeness(envelope[-60:]) > likeness(envelope[focus - 30 : focus + 30]) + 0.1


def test_a_wider_beam_gives_coarser_speckle_in_both_directions():
    usual, wide = scan(homogeneous(256)), scan(homogeneous(256, beam_factor=1.6))
    assert likeness(wide) > likeness(usual) + 0.1
    assert likeness(wide.T, lag=2) > likeness(usual.T, lag=2) + 0.1


def test_speckle_is_as_wide_as_the_point_spread_function_says():
    # the autocorrelation of Rayleigh power is exp(-lag^2 / (2 sigma^2))
    scene = homogeneous(512)
    sigma_px = speckle.PSF_AXIAL_MM / scene.spacing_mm
    power = scan(scene) ** 2
    assert likeness(power.T, lag=1) == pytest.approx(np.exp(-1 / (2 * sigma_px**2)), abs=0.03)


@pytest.mark.parametrize("frequency_mhz", [5.0, 10.0])
def test_attenuation_takes_its_share_of_every_centimetre_there_and_back(frequency_mhz):
    flat = np.zeros((200, 8), dtype=np.float32)
    tissue = breast.Tissue(echo_db=flat, mirror=flat, attenuation=flat + 0.5, texture=flat)
    scene = speckle.receive(tissue, spacing_mm=0.1, frequency_mhz=frequency_mhz, beam_factor=1.0)
    lost_db = scene.level_db[20, 4] - scene.level_db[120, 4]  # 1 cm deeper
    assert lost_db == pytest.approx(2 * frequency_mhz * (0.5 - speckle.COMPENSATION), abs=1e-3)


def test_a_lower_frequency_has_a_wider_beam():
    flat = np.zeros((20, 8), dtype=np.float32)
    tissue = breast.Tissue(echo_db=flat, mirror=flat, attenuation=flat, texture=flat)
    scene = speckle.receive(tissue, spacing_mm=0.1, frequency_mhz=5.0, beam_factor=1.5)
    assert scene.beam_factor == 3.0


def test_compression_maps_decibels_to_grey_levels():
    white = 10 ** (-speckle.GLAND_LEVEL_DB / 20)
    half = white / 10 ** (speckle.DYNAMIC_RANGE_DB / 2 / 20)
    grey = speckle.compress(np.array([[2 * white, white, half, 0.0]]))
    assert grey.tolist() == [[255, 255, round(255 * 0.5**speckle.GREY_CURVE), 0]]


def test_echo_gets_brighter_with_gain(anatomy):
    assert picture(anatomy, gain_db=3.0).pixels.mean() > picture(anatomy).pixels.mean() + 5


def test_a_lesion_is_darker_than_the_tissue_around_it_and_brightens_as_asked(anatomy):
    usual = picture(anatomy)
    rows = np.flatnonzero(usual.mask.any(axis=1))
    beside = np.zeros_like(usual.mask)
    beside[rows[len(rows) // 2] - 10 : rows[len(rows) // 2] + 10] = True
    inside = usual.pixels[usual.mask].mean()
    assert inside < usual.pixels[beside & ~usual.mask].mean() - 12
    brighter = picture(anatomy, echo_change_db=5.0)
    assert brighter.pixels[usual.mask].mean() > inside + 8


def test_the_brightness_of_a_lesion_follows_its_look():
    dark, bright = (picture(draw_anatomy(echo_db=level)) for level in (-4.0, 4.0))
    assert bright.pixels[bright.mask].mean() > dark.pixels[dark.mask].mean() + 12


def test_the_border_polygon_is_the_border_of_the_mask(anatomy):
    drawn = picture(anatomy)
    y, x = np.mgrid[:FRAME_PX, :FRAME_PX] + 0.5
    filled = contains_xy(Polygon(drawn.border), x, y)
    assert (filled & drawn.mask).sum() / (filled | drawn.mask).sum() > 0.98


def test_an_invisible_lesion_has_neither_mask_nor_border(anatomy):
    drawn = picture(anatomy, relative_diameter=0.2, is_visible=False)
    assert not drawn.mask.any()
    assert not drawn.satellites.any()
    assert drawn.border is None


def test_where_nothing_is_visible_the_picture_tells_nothing_of_the_lesion():
    first = draw_anatomy(shadow_db_per_mm=0.4, spiculation=0.1, echo_db=-3.0)
    second = draw_anatomy(shadow_db_per_mm=-0.3, spiculation=0.9, diameter_mm=15.0)
    hidden = {"is_visible": False}
    pixels = picture(first, relative_diameter=0.25, echo_change_db=6.0, **hidden).pixels
    other = picture(second, relative_diameter=0.05, fragmentation=1.0, **hidden).pixels
    np.testing.assert_array_equal(pixels, other)


def test_one_picture_tells_how_large_and_bright_a_lesion_is_but_not_what_it_was():
    was_larger = draw_anatomy(diameter_mm=28.0, echo_db=1.0)
    smaller = draw_anatomy(diameter_mm=14.0, echo_db=0.0)
    after = picture(was_larger, relative_diameter=0.5, echo_change_db=3.0, fragmentation=0.5)
    same = picture(smaller, relative_diameter=1.0, echo_change_db=4.0, fragmentation=0.5)
    np.testing.assert_array_equal(after.mask, same.mask)
    assert (after.pixels != same.pixels).mean() < 0.01  # rounding alone


def test_two_visits_share_the_anatomy_but_not_the_speckle(anatomy):
    first, second = picture(anatomy, seed=1).pixels, picture(anatomy, seed=2).pixels
    assert (first != second).mean() > 0.8
    blocks = [pixels.reshape(16, 8, 16, 8).mean(axis=(1, 3)).ravel() for pixels in (first, second)]
    assert np.corrcoef(*blocks)[0, 1] > 0.9


def test_a_shift_moves_breast_and_lesion_together(anatomy):
    columns = 10
    shift_mm = (columns * anatomy.spacing_mm, 0.0)
    still, moved = picture(anatomy), picture(anatomy, shift_mm=shift_mm)
    np.testing.assert_array_equal(still.mask[:, :-columns], moved.mask[:, columns:])
    plane = {"frame_px": FRAME_PX, "spacing_mm": anatomy.spacing_mm}
    usual = breast.draw_tissue(anatomy.seed, breast.Plane(**plane)).echo_db
    beside = breast.draw_tissue(anatomy.seed, breast.Plane(**plane, shift_mm=shift_mm[0])).echo_db
    difference = usual[:, :-columns] - beside[:, columns:]
    assert np.median(np.abs(difference)) < 0.1 * usual.std()


def test_planes_are_the_less_alike_the_farther_they_are(anatomy):
    def tissue(beside_mm):
        plane = breast.Plane(FRAME_PX, anatomy.spacing_mm, beside_mm=beside_mm)
        return breast.draw_tissue(anatomy.seed, plane).echo_db[20:80].ravel()

    alike = [np.corrcoef(tissue(0.0), tissue(away))[0, 1] for away in (0.2, 1.0, 3.0, 10.0)]
    assert alike[0] > 0.97
    assert alike == sorted(alike, reverse=True)
    assert alike[-1] < alike[0] - 0.2


def test_a_picture_beside_the_lesion_shows_none_of_it(anatomy):
    drawn = picture(anatomy, plane_mismatch_mm=15.0)
    assert not drawn.mask.any()
    assert drawn.border is None


def test_an_absorbing_lesion_throws_a_shadow():
    behind = {}
    for strength in (0.5, -0.3):
        drawn = picture(draw_anatomy(seed=5, diameter_mm=18.0, shadow_db_per_mm=strength))
        columns = np.flatnonzero(drawn.mask.any(axis=0))
        bottom = np.flatnonzero(drawn.mask.any(axis=1))[-1]
        middle = columns[len(columns) // 4 : -len(columns) // 4]
        behind[strength] = drawn.pixels[bottom + 4 : bottom + 24, middle].mean()
    assert behind[0.5] < behind[-0.3] - 20


def test_satellites_are_dark_like_the_lesion_and_not_in_its_mask():
    drawn = picture(draw_anatomy(seed=6, diameter_mm=16.0, num_satellites=2))
    assert drawn.satellites.any()
    assert not (drawn.satellites & drawn.mask).any()
    around = ~(drawn.satellites | drawn.mask)
    rows = drawn.satellites.any(axis=1)
    outside = drawn.pixels[rows][around[rows]].mean()
    assert drawn.pixels[drawn.satellites].mean() < outside - 8


def test_calcifications_are_bright_points():
    drawn = next(a for a in map(draw_anatomy, range(20)) if len(a.lesion.points))
    section_px = drawn.lesion.points * drawn.lesion.main.half_axes_mm + drawn.lesion.main.centre_mm
    seen = picture(drawn)
    columns, rows = (section_px / drawn.spacing_mm).astype(int).T
    assert seen.pixels[rows, columns].mean() > seen.pixels[seen.mask].mean() + 40


@pytest.mark.parametrize("size_mm", [3.0, 9.0])
def test_random_fields_have_the_asked_size_and_spread(size_mm):
    plane = breast.Plane(400, 0.5)
    noise = breast.Fields(0, plane).field(size_mm, size_mm)
    assert noise.shape == (400, 400)
    assert noise.std() == pytest.approx(1, abs=0.15)
    lag = round(size_mm / 0.5)
    assert likeness(noise, lag=lag) < 0.4 < likeness(noise, lag=lag // 3)
