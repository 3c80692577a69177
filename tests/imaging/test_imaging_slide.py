import numpy as np
import pytest
from PIL import Image

from neoresponse.errors import ImageError, RoiError
from neoresponse.imaging import open_slide
from neoresponse.imaging import slide as slide_module
from neoresponse.types import Box


def test_a_public_aperio_slide_says_its_size_and_spacing(shared):
    with open_slide(shared / "data" / "he_wsi" / "CMU-1-Small-Region.svs", mpp=9) as slide:
        assert (slide.width, slide.height) == (2220, 2967)
        assert slide.mpp == pytest.approx(0.499)
        region = slide.read_region(Box(100, 200, 300, 350), out_px=(200, 150))
    assert region.shape == (150, 200, 3)
    assert region.dtype == np.uint8


def test_levels_of_a_pyramid_agree(shared):
    with open_slide(shared / "data" / "he_wsi" / "cmu1_pyramid_derived.tif") as slide:
        assert slide.levels == ((2048, 2048), (1024, 1024), (512, 512))
        box = Box(256, 512, 1280, 1536)
        full = slide.read_region(box, out_px=(1024, 1024))
        coarse = slide.read_region(box, out_px=(256, 256)).astype(int)
    expected = np.asarray(Image.fromarray(full).resize((256, 256), Image.Resampling.BOX), dtype=int)
    assert np.abs(coarse - expected).mean() < 4


def test_a_plain_image_is_a_slide_without_spacing(shared):
    path = shared / "data" / "he_wsi" / "cmu1_region_no_mpp.jpg"
    with open_slide(path) as slide:
        assert slide.mpp is None
        region = slide.read_region(Box(0, 0, slide.width, slide.height), out_px=(1500, 1500))
    np.testing.assert_array_equal(region, np.asarray(Image.open(path)))
    with open_slide(path, mpp=0.5) as slide:
        assert slide.mpp == 0.5


@pytest.fixture
def gradient(tmp_path):
    rows, columns = np.mgrid[0:200, 0:240]
    picture = np.stack([columns, rows, columns // 2 + rows // 2], axis=2).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "gradient.png")
    return tmp_path / "gradient.png"


def test_a_region_at_full_size_is_its_pixels(gradient):
    with open_slide(gradient) as slide:
        region = slide.read_region(Box(20, 30, 84, 94), out_px=(64, 64))
    assert region[0, 0].tolist() == [20, 30, 25]
    assert region[-1, -1].tolist() == [83, 93, 87]


def test_a_large_region_is_averaged_block_by_block_without_seams(gradient, monkeypatch):
    monkeypatch.setattr(slide_module, "BLOCK_PX", 64)
    with open_slide(gradient) as slide:
        small = slide.read_region(Box(0, 0, 240, 200), out_px=(24, 20)).astype(int)
    expected = np.arange(24) * 10 + 4.5
    assert np.abs(small[10, 1:-1, 0] - expected[1:-1]).max() <= 1.5
    assert np.abs(small[1:-1, 12, 1] - (np.arange(20) * 10 + 4.5)[1:-1]).max() <= 1.5


def test_averaging_in_blocks_equals_averaging_at_once(gradient, monkeypatch):
    with open_slide(gradient) as slide:
        at_once = slide.read_region(Box(7, 9, 230, 195), out_px=(20, 20)).astype(int)
        monkeypatch.setattr(slide_module, "BLOCK_PX", 16)
        in_blocks = slide.read_region(Box(7, 9, 230, 195), out_px=(20, 20)).astype(int)
    assert np.abs(at_once - in_blocks).max() <= 1


def test_glass_and_transparent_parts_are_white(tmp_path):
    Image.new("RGBA", (64, 64), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    with open_slide(tmp_path / "clear.png") as slide:
        region = slide.read_region(Box(0, 0, 64, 64), out_px=(32, 32))
    assert (region == 255).all()


def test_a_region_may_touch_the_edge_and_not_pass_it(gradient):
    with open_slide(gradient) as slide:
        slide.read_region(Box(-0.5, 0, 240.8, 200), out_px=(32, 32))
        for box in (
            Box(-5, 0, 50, 50),
            Box(0, 0, 50, 202),
            Box(500, 500, 600, 600),
            Box(5, 5, 5, 9),
        ):
            with pytest.raises(RoiError, match="expected a region inside 240 x 200 pixels"):
                slide.read_region(box, out_px=(32, 32))


def test_an_impossible_spacing_is_not_believed(tmp_path):
    picture = Image.fromarray(np.zeros((256, 256, 3), dtype=np.uint8))
    Image.Image.save(picture, tmp_path / "printer.tif", tile=(128, 128), dpi=(72, 72))
    with open_slide(tmp_path / "printer.tif") as slide:
        assert slide.mpp is None


@pytest.mark.parametrize("content", [b"", b"II*\x00" + bytes(500), b"not a slide"])
def test_a_file_that_is_no_slide_is_refused(tmp_path, content):
    (tmp_path / "x.svs").write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.svs: expected"):
        open_slide(tmp_path / "x.svs")


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.95])
def test_a_cut_slide_is_refused_when_opened_or_read(shared, tmp_path, cut):
    content = (shared / "data" / "he_wsi" / "cmu1_pyramid_derived.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: int(len(content) * cut)])

    def read_all():
        with open_slide(tmp_path / "cut.tif") as slide:
            slide.read_region(Box(0, 0, slide.width, slide.height), out_px=(2048, 2048))

    with pytest.raises(ImageError, match=r"cut\.tif: expected"):
        read_all()


def test_a_region_of_uneven_shape_keeps_memory_small(gradient):
    with open_slide(gradient) as slide:
        region = slide.read_region(Box(0, 0, 240, 10), out_px=(12, 10)).astype(int)
    assert np.abs(region[5, 1:-1, 0] - (np.arange(12) * 20 + 9.5)[1:-1]).max() <= 3


def test_a_region_without_coarser_level_is_read_up_to_a_limit(gradient, monkeypatch):
    monkeypatch.setattr(slide_module, "MAX_READ_PIXELS", 1000)
    with (
        open_slide(gradient) as slide,
        pytest.raises(ImageError, match="expected at most 1000 pixels to read, got 240 x 200"),
    ):
        slide.read_region(Box(0, 0, 240, 200), out_px=(32, 32))
