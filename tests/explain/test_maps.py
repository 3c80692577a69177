import numpy as np

from neoresponse.explain.maps import overlay


def test_no_heat_leaves_the_image_as_it_is():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    shown = overlay(image, np.zeros((3, 4)))
    assert shown.shape == (3, 4, 3)
    assert shown.dtype == np.uint8
    assert (shown == image[:, :, None]).all()


def test_heat_shows_where_it_is():
    image = np.full((4, 4, 3), 100, dtype=np.uint8)
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    changed = (overlay(image, heat) != image).any(axis=2)
    assert changed[1, 2]
    assert changed.sum() == 1


def test_the_image_itself_is_not_changed():
    image = np.full((4, 4, 3), 100, dtype=np.uint8)
    overlay(image, np.ones((4, 4)))
    assert (image == 100).all()
