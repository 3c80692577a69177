"""Shapes of the phantom's lesions."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from shapely import MultiPoint, Polygon

from neoresponse.phantom.ultrasound import lesion
from neoresponse.phantom.ultrasound.lesion import LesionLook

FIELD_MM = 60.0


def draw(seed=3, **look):
    settings = {"diameter_mm": 24.0} | look
    return lesion.draw_lesion(
        np.random.default_rng(seed), LesionLook(**settings), field_mm=FIELD_MM
    )


def cut(drawn, **changes):
    usual = {
        "relative_diameter": 1.0,
        "fragmentation": 0.0,
        "shift_mm": (0.0, 0.0),
        "plane_mm": 0.0,
    }
    return lesion.cut(drawn, **(usual | changes))


def mask_of(foci, frame_px=300):
    return lesion.distance_mm(foci, frame_px, spacing_mm=FIELD_MM / frame_px) < 0


def area_mm2(foci):
    return mask_of(foci).sum() * (FIELD_MM / 300) ** 2


@pytest.mark.parametrize("spiculation", [0.0, 1.0])
def test_the_longest_diameter_is_as_asked(spiculation):
    border = lesion.border_mm(cut(draw(spiculation=spiculation)))
    assert pdist(border).max() == pytest.approx(24.0, rel=1e-6)


def test_the_border_is_that_of_the_mask():
    section = cut(draw(spiculation=0.3))
    area = Polygon(lesion.border_mm(section)).area
    assert area == pytest.approx(area_mm2(section.pieces), rel=0.02)


def test_solidity_falls_as_the_margin_gets_more_spiculated():
    def solidity(seed, spiculation):
        border = lesion.border_mm(cut(draw(seed, spiculation=spiculation)))
        return Polygon(border).area / MultiPoint(border).convex_hull.area

    for seed in range(5):
        values = [solidity(seed, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        assert values == sorted(values, reverse=True)
        assert values[0] > 0.93
        assert values[-1] < 0.87


def test_area_falls_with_the_square_of_the_relative_diameter():
    drawn = draw()
    areas = [area_mm2(cut(drawn, relative_diameter=d).pieces) for d in (1.0, 0.7, 0.4)]
    assert areas[1] / areas[0] == pytest.approx(0.49, rel=0.02)
    assert areas[2] / areas[0] == pytest.approx(0.16, rel=0.03)


@pytest.mark.parametrize("fragmentation", [0.3, 1.0])
def test_pieces_have_the_area_of_the_one_rest(fragmentation):
    drawn = draw(spiculation=0.0)
    one = cut(drawn, relative_diameter=0.7)
    pieces = cut(drawn, relative_diameter=0.7, fragmentation=fragmentation)
    assert len(one.pieces) == 1
    assert len(pieces.pieces) == 3
    assert area_mm2(pieces.pieces) == pytest.approx(area_mm2(one.pieces), rel=0.03)


def test_pieces_of_a_lesion_that_has_shrunk_lie_in_its_old_bed():
    for seed in range(5):
        drawn = draw(seed, spiculation=0.0)
        old = mask_of(cut(drawn).pieces)
        new = mask_of(cut(drawn, relative_diameter=0.6, fragmentation=1.0).pieces)
        assert (new & ~old).sum() < 0.02 * new.sum()


def test_a_border_around_pieces_holds_them_all():
    section = cut(draw(), relative_diameter=0.6, fragmentation=1.0)
    around = Polygon(lesion.border_mm(section))
    assert around.area > 1.05 * area_mm2(section.pieces)
    for focus in section.pieces:
        alone = Polygon(lesion.border_mm(lesion.Section(pieces=(focus,))))
        assert alone.difference(around).area < 0.01 * alone.area


def test_what_is_left_tells_how_large_it_is_but_not_how_large_it_was():
    changes = {"fragmentation": 0.4, "shift_mm": (1.0, 0.5)}
    halved = cut(draw(diameter_mm=40.0, num_satellites=2), relative_diameter=0.5, **changes)
    whole = cut(draw(diameter_mm=20.0, num_satellites=2), relative_diameter=1.0, **changes)
    for first, second in zip(
        halved.pieces + halved.satellites, whole.pieces + whole.satellites, strict=True
    ):
        assert first.centre_mm == pytest.approx(second.centre_mm)
        assert first.half_axes_mm == pytest.approx(second.half_axes_mm)
        np.testing.assert_array_equal(first.profile, second.profile)
    np.testing.assert_allclose(halved.points_mm, whole.points_mm)


def test_satellites_are_smaller_and_lie_apart():
    for seed in range(8):
        section = cut(draw(seed, num_satellites=2, spiculation=0.0))
        main = mask_of(section.pieces)
        for satellite in section.satellites:
            other = mask_of((satellite,))
            assert 0 < other.sum() < 0.5 * main.sum()
            assert not (main & other).any()


def test_a_section_beside_the_middle_is_that_of_an_ellipsoid():
    drawn = draw()
    radius_mm = sum(drawn.main.half_axes_mm) / 2
    share = area_mm2(cut(drawn, plane_mm=0.6 * radius_mm).pieces) / area_mm2(cut(drawn).pieces)
    assert share == pytest.approx(1 - 0.6**2, rel=0.02)
    assert cut(drawn, plane_mm=1.01 * radius_mm).pieces == ()
    assert lesion.border_mm(cut(drawn, plane_mm=1.01 * radius_mm)) is None


def test_distance_grows_by_a_millimetre_per_millimetre():
    disc = lesion.Focus((30.0, 30.0), (10.0, 10.0), 0.0, np.ones(lesion.NUM_ANGLES))
    away = lesion.distance_mm((disc,), 120, spacing_mm=0.5)
    assert away[60, 60 + 26] == pytest.approx(13.25 - 10, abs=0.02)  # pixel centre 13.25 mm away
    assert away[60, 60 + 12] == pytest.approx(6.25 - 10, abs=0.02)
    assert away[0, 0] == lesion.FAR_MM


def test_the_rim_is_the_band_outside_the_border():
    y, x = np.indices((80, 80))
    disc = np.hypot(x - 40, y - 40) < 15
    rim = lesion.rim(disc, spacing_mm=0.5)
    away_px = np.hypot(x - 40, y - 40)
    assert not (rim & disc).any()
    assert rim[(away_px > 15.5) & (away_px < 18.5)].all()
    assert not rim[away_px > 19.5].any()
    assert not lesion.rim(np.zeros((4, 4), dtype=bool), spacing_mm=1.0).any()


@pytest.mark.parametrize("shift_mm", [(0.0, 0.0), (3.0, -2.0), (-1.5, 4.0)])
def test_the_changed_area_of_a_lesion_that_only_moved_is_empty(shift_mm):
    y, x = np.indices((60, 60))
    before = np.hypot(x - 30, y - 30) < 8
    after = np.hypot(x - 30 - 2 * shift_mm[0], y - 30 - 2 * shift_mm[1]) < 8
    assert not lesion.changed_area(before, after, shift_mm=shift_mm, spacing_mm=0.5).any()


def test_the_changed_area_is_what_went_and_what_came():
    before, after = np.zeros((2, 5, 8), dtype=bool)
    before[2, 1:4] = True
    after[2, 3:7] = True  # one to the right of where it was, and longer
    changed = lesion.changed_area(before, after, shift_mm=(1.0, 0.0), spacing_mm=1.0)
    assert np.flatnonzero(changed[2]).tolist() == [2, 5, 6]
    assert changed.sum() == 3
