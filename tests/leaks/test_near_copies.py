"""Near copies: what is found, what is not, and the plain loop that the search must agree with."""

from itertools import product

import numpy as np
import pytest
from PIL import Image
from scipy.fft import rfft2
from scipy.ndimage import gaussian_filter

from neoresponse.imaging.raster import read_grey
from neoresponse.leaks import near

NUM = 24


def picture(seed):
    """Speckle of two sizes over a dark blob, as a lesion looks."""
    rng = np.random.default_rng(seed)
    speckle = gaussian_filter(rng.random((128, 160)), 1.2) + gaussian_filter(
        rng.random((128, 160)), 4
    )
    row, column = np.mgrid[:128, :160]
    lesion = np.hypot((row - 64) / 30, (column - 80) / 40) < 1
    values = (speckle - speckle.min()) / np.ptp(speckle) * np.where(lesion, 0.4, 1.0)
    return Image.fromarray((255 * values).astype(np.uint8))


@pytest.fixture(scope="module")
def pictures():
    return [picture(seed) for seed in range(NUM)]


def found_with(pictures, added):
    planes = np.stack([near.thumbnail(np.asarray(one)) for one in [*pictures, added]])
    return near.near_copies(planes, [*range(NUM), "added"])


def gamma(one):
    return Image.fromarray((255 * (np.asarray(one) / 255) ** 1.5).astype(np.uint8))


CHANGES = {
    "resized": lambda one: one.resize((100, 70)),
    "left-right": lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "up-down": lambda one: one.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "turned": lambda one: one.rotate(8, Image.Resampling.BILINEAR),
    "turned back": lambda one: one.rotate(-9, Image.Resampling.BILINEAR),
    "cropped": lambda one: one.crop((10, 5, 150, 120)),
    "darker": gamma,
    "mirrored and turned": lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(7),
}


def test_pictures_of_like_shape_are_no_copies(pictures):
    planes = np.stack([near.thumbnail(np.asarray(one)) for one in pictures])
    assert near.near_copies(planes, range(NUM)) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_picture_is_found_with_its_source(pictures, change):
    (pair,) = found_with(pictures, change(pictures[3]))
    assert (pair.first, pair.second) == (3, NUM)
    assert pair.correlation > 0.75


def test_pictures_of_one_owner_are_not_held_against_each_other(pictures):
    planes = np.stack([near.thumbnail(np.asarray(pictures[0]))] * 2)
    assert near.near_copies(planes, ["a", "a"]) == []
    assert len(near.near_copies(planes, ["a", "b"])) == 1


def test_the_search_finds_what_a_loop_over_all_pairs_and_ways_finds(pictures):
    some = [*pictures[:5], CHANGES["cropped"](pictures[2])]
    planes = np.stack([near.thumbnail(np.asarray(one)) for one in some])
    detail = near._detail(planes, near.FINE)
    spectra = rfft2(near._unit(detail, near.WINDOW)).conj()
    ways = list(product(range(8), near.ANGLES_DEG, near.SCALES))
    loop = {
        (one, two)
        for one in range(len(some))
        for two in range(one + 1, len(some))
        if max(near._overlaid(detail[one], spectra[two], way) for way in ways) >= near.SAME
    }
    assert {(p.first, p.second) for p in near.near_copies(planes, range(6))} == loop == {(2, 5)}


@pytest.mark.parametrize("empty", [[], [np.zeros((40, 40), np.uint8)]])
def test_fewer_than_two_pictures_have_no_pair(empty):
    planes = np.stack([near.thumbnail(one) for one in empty]) if empty else np.zeros((0, 64, 64))
    assert near.near_copies(planes.astype(np.float32), range(len(empty))) == []


def test_flat_pictures_are_no_copies():
    planes = np.zeros((3, 64, 64), np.float32)
    assert near.near_copies(planes, "abc") == []


def test_real_ultrasound_frames_are_told_apart_and_known_again_when_mirrored(shared):
    files = sorted((shared / "data" / "us_breast_usg" / "images").glob("case???.png"))[:12]
    frames = [read_grey(path) for path in files]
    planes = np.stack([near.thumbnail(one) for one in [*frames, frames[4][:, ::-1].copy()]])
    pairs = near.near_copies(planes, range(len(planes)))
    assert [(pair.first, pair.second) for pair in pairs] == [(4, len(frames))]
