import base64
import io

import numpy as np
import pytest
from PIL import Image

from neoresponse.errors import RunError
from neoresponse.report.pictures import LARGEST_SIDE_PX, inline_picture


def save(path, side_px):
    pixels = np.random.default_rng(1).integers(0, 256, size=(side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_a_small_picture_stays_as_it_is(tmp_path):
    save(tmp_path / "a.png", 40)
    address = inline_picture(tmp_path, "a.png")
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert content == (tmp_path / "a.png").read_bytes()


def test_a_large_picture_is_made_smaller(tmp_path):
    save(tmp_path / "a.png", 700)
    address = inline_picture(tmp_path, "a.png")
    content = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == (LARGEST_SIDE_PX, LARGEST_SIDE_PX)


@pytest.mark.parametrize("name", ["../a.png", "sub/a.png", "/etc/passwd", "..", ""])
def test_a_path_out_of_the_folder_is_refused(tmp_path, name):
    with pytest.raises(RunError, match="expected the name of a PNG in this folder"):
        inline_picture(tmp_path, name)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"<svg onload='x()'/>"])
def test_what_is_no_png_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(RunError, match=r"a\.png: expected a PNG"):
        inline_picture(tmp_path, "a.png")


def test_a_cut_off_png_is_refused(tmp_path):
    save(tmp_path / "a.png", 300)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:150_000])
    with pytest.raises(RunError, match="expected a PNG"):
        inline_picture(tmp_path, "a.png")
