"""The files of single pictures."""

from datetime import date

import numpy as np
import pydicom
import pytest
from PIL import Image
from roifile import ImagejRoi

from neoresponse.phantom import formats


def facts(machine, frame_px):
    return formats.FrameFacts(
        machine=machine,
        patient_id="P0001",
        visit="US-0",
        acquired=date(2020, 2, 3),
        frame_px=frame_px,
        spacing_mm=40 / frame_px,
        entropy=("test",),
    )


@pytest.mark.parametrize("machine", formats.MACHINES, ids=lambda machine: machine.name)
@pytest.mark.parametrize("frame_px", [96, 512])
def test_the_picture_stands_unchanged_in_the_frame(tmp_path, machine, frame_px):
    picture = np.random.default_rng(0).integers(0, 256, (frame_px, frame_px), dtype=np.uint8)
    formats.write_ultrasound(tmp_path / "a.dcm", picture, facts(machine, frame_px))
    stored = pydicom.dcmread(tmp_path / "a.dcm").pixel_array
    region = formats.region_of(machine, frame_px)
    inside = stored[int(region.top) : int(region.bottom), int(region.left) : int(region.right)]
    assert np.array_equal(inside if inside.ndim == 2 else inside[..., 0], picture)


@pytest.mark.parametrize("machine", formats.MACHINES, ids=lambda machine: machine.name)
@pytest.mark.parametrize("frame_px", [96, 128, 512])
def test_the_banner_keeps_clear_of_the_picture(machine, frame_px):
    # a white and a black picture: text that runs under the picture would change nothing outside,
    # so the last dark line or column before the picture tells that the text has ended
    black = np.zeros((frame_px, frame_px), dtype=np.uint8)
    screen = formats.compose_frame(black, facts(machine, frame_px)).max(axis=2)
    region = formats.region_of(machine, frame_px)
    left, top, bottom = int(region.left), int(region.top), int(region.bottom)
    edges = {
        "machine A": screen[top - 1, :],
        "machine B": screen[:, left - 1],
        "machine C": screen[bottom + 1, : left + frame_px],
    }
    assert edges[machine.name].max() < 60


def test_a_mask_is_put_where_the_picture_is():
    for machine in formats.MACHINES:
        placed = formats.in_frame(np.ones((96, 96), dtype=np.uint8), machine)
        rows, columns = np.nonzero(placed)
        region = formats.region_of(machine, 96)
        assert (columns.min(), rows.min()) == (region.left, region.top)
        assert (columns.max() + 1, rows.max() + 1) == (region.right, region.bottom)


def test_an_outline_keeps_parts_of_pixels(tmp_path):
    outline = np.array([[1.25, 2.5], [30.75, 3.0], [20.5, 40.125]])
    formats.write_ultrasound_outline(tmp_path / "a.roi", outline)
    read = ImagejRoi.fromfile(tmp_path / "a.roi")
    assert read.roitype.name == "POLYGON"
    np.testing.assert_allclose(read.coordinates(), outline)


def test_an_outline_has_the_same_bytes_twice(tmp_path):
    outline = np.array([[1.0, 2.0], [30.0, 3.0], [20.0, 40.0]])
    for name in ("a.roi", "b.roi"):
        formats.write_ultrasound_outline(tmp_path / name, outline)
    assert (tmp_path / "a.roi").read_bytes() == (tmp_path / "b.roi").read_bytes()


def test_a_slide_keeps_its_colours(tmp_path):
    pixels = np.full((256, 256, 3), (200, 90, 160), dtype=np.uint8)
    formats.write_slide(tmp_path / "a.tif", pixels, mpp=1.0)
    with Image.open(tmp_path / "a.tif") as slide:
        assert slide.size == (256, 256)
        np.testing.assert_allclose(np.asarray(slide).mean(axis=(0, 1)), (200, 90, 160), atol=3)
