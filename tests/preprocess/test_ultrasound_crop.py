import numpy as np
import pytest

from neoresponse.preprocess.ultrasound import (
    Window,
    crop_frame,
    follow_up_window,
    lesion_mm,
    lesion_window,
    window_box,
)
from neoresponse.types import Box, Roi, UltrasoundFrame


def frame(pixels=None, *, spacing_mm=(0.1, 0.1), region=None):
    pixels = np.full((200, 300), 100, np.uint8) if pixels is None else pixels
    region = region or Box(0, 0, pixels.shape[1], pixels.shape[0])
    return UltrasoundFrame(pixels, region, spacing_mm, None)


def square(left, top, side):
    return Roi(
        (
            np.array(
                [[left, top], [left + side, top], [left + side, top + side], [left, top + side]],
                float,
            ),
        )
    )


def test_window_is_centred_on_the_lesion_and_keeps_the_margin_on_both_sides():
    window = lesion_window(frame(), square(100, 50, 40), margin_ratio=0.25)
    assert window.centre == (120, 70)
    assert window.side == pytest.approx(40 * 0.1 * 1.5)
    assert window_box(frame(), window) == Box(90, 40, 150, 100)


def test_the_size_of_a_lesion_is_its_longest_side_in_mm():
    assert lesion_mm(frame(spacing_mm=(0.05, 0.2)), square(100, 50, 40)) == pytest.approx(8)


def test_an_invisible_lesion_has_size_0_and_one_without_pixel_size_none():
    assert lesion_mm(frame(), None) == 0
    assert lesion_mm(frame(spacing_mm=None), square(100, 50, 40)) is None


def test_window_is_square_in_mm_where_pixels_are_not():
    tall = frame(spacing_mm=(0.05, 0.1))
    box = window_box(tall, lesion_window(tall, square(100, 50, 40), margin_ratio=0))
    assert box.height == pytest.approx(2 * box.width)


def test_follow_up_window_shows_as_many_mm_as_before_around_the_lesion_of_now():
    before = lesion_window(frame(), square(100, 50, 40), margin_ratio=0.25)
    finer = frame(spacing_mm=(0.05, 0.05))
    after = follow_up_window(before, frame(), finer, square(60, 60, 10))
    assert after.centre == (65, 65)
    assert window_box(finer, after).width == pytest.approx(2 * window_box(frame(), before).width)


def test_an_invisible_lesion_is_looked_for_at_its_place_in_the_region_before():
    first = frame(region=Box(100, 0, 300, 200))
    second = frame(region=Box(0, 0, 100, 100))
    before = lesion_window(first, square(190, 90, 20), margin_ratio=0)
    assert follow_up_window(before, first, second, None).centre == (50, 50)


def test_crop_blanks_what_stands_outside_the_region():
    pixels = np.full((100, 100), 200, np.uint8)
    cropped = crop_frame(
        frame(pixels, region=Box(0, 50, 100, 100)), Window((50, 50), 100, False), image_px=100
    )
    assert cropped[:49].max() == 0
    assert cropped[51:].min() == 200


def test_crop_over_the_edge_is_black_there_and_keeps_its_scale():
    pixels = np.full((100, 100), 200, np.uint8)
    cropped = crop_frame(frame(pixels), Window((0, 50), 40, False), image_px=40)
    assert cropped[:, :19].max() == 0
    assert cropped[:, 21:].min() == 200


def test_crop_at_its_own_scale_gives_the_very_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 120)).astype(np.uint8)
    cropped = crop_frame(frame(pixels), Window((60, 50), 32, False), image_px=32)
    np.testing.assert_array_equal(cropped, pixels[34:66, 44:76])


def test_a_window_around_a_tiny_lesion_is_sixteen_pixels_wide():
    window = lesion_window(frame(), square(100, 50, 4), margin_ratio=0)
    assert window.centre == (102, 52)
    assert window_box(frame(), window).width == pytest.approx(16)
