"""Every damaged or hostile public file: refused with one sentence that names it, or read right."""

import resource

import numpy as np
import pytest

from neoresponse.errors import CohortError, ImageError, RoiError
from neoresponse.imaging import check_inside, open_slide, read_roi, read_ultrasound
from neoresponse.types import Box

REFUSED_DICOM = {
    "dicom/truncated_half.dcm": "expected whole pixel data",
    "dicom/truncated_header.dcm": "expected a DICOM header of modality 'US'",
    "dicom/no_pixeldata.dcm": "expected pixel data, got only a header",
    "dicom/wrong_transfer_syntax_says_jpeg.dcm": "expected whole pixel data",
    "dicom/not_dicom_text.dcm": "expected DICOM or a plain image",
    "dicom/empty.dcm": "got an empty file",
    "dicom/huge_rows_cols.dcm": "got 60000 x 60000 x 3",
    "dicom/modality_ct.dcm": "got 'CT'",
}
REFUSED_PICTURES = {
    "image/png_header_100000x100000.png": "expected at most 100000000 pixels",
    "image/png_bomb_20000x20000_grey.png": "expected at most 100000000 pixels",
    "image/animated.gif": "expected one picture, got 2",
    "image/truncated.jpg": "expected a whole image",
    "image/one_pixel.png": "expected at least 32 pixels a side, got 1 x 1",
}
READ_DICOM = ("dicom/mono1_inverted.dcm", "dicom/mono2_ref.dcm", "dicom/mono2_12in16bit.dcm")
READ_PICTURES = (
    "image/exif_rotated_6.jpg",
    "image/exif_reference.jpg",
    "image/cmyk.jpg",
    "image/png_named.jpg",
    "image/grey16.png",
)
REFUSED_OUTLINES = {
    "mask/mask_empty.png": "got an empty mask",
    "annotation/billion_laughs.xml": "without a document type or entities",
    "annotation/xxe.xml": "without a document type or entities",
    "annotation/two_vertices.xml": "expected at least 3 vertices, got 2",
    "annotation/roi_truncated.roi": "expected a whole ImageJ outline",
}


@pytest.fixture
def bad(reference):
    return reference / "bad_inputs"


@pytest.fixture
def pictures(shared):
    """Photographs and slides, whose licences keep them out of this repository."""
    return shared / "data" / "bad_inputs"


@pytest.mark.parametrize(("name", "words"), REFUSED_DICOM.items())
def test_a_dicom_frame_that_cannot_be_used_is_refused_in_one_sentence(bad, name, words):
    assert_refused_cheaply(bad / name, words)


@pytest.mark.parametrize(("name", "words"), REFUSED_PICTURES.items())
def test_a_picture_that_cannot_be_used_is_refused_in_one_sentence(pictures, name, words):
    assert_refused_cheaply(pictures / name, words)


def assert_refused_cheaply(path, words):
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageError) as caught:
        read_ultrasound(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert words in message
    assert "\n" not in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000


@pytest.mark.parametrize("name", READ_DICOM)
def test_an_unusual_dicom_frame_is_read(bad, name):
    assert_read(bad / name)


@pytest.mark.parametrize("name", READ_PICTURES)
def test_an_unusual_picture_is_read(pictures, name):
    assert_read(pictures / name)


def assert_read(path):
    frame = read_ultrasound(path)
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.max() > 200
    assert frame.pixels.std() > 10


@pytest.mark.parametrize(("name", "words"), REFUSED_OUTLINES.items())
def test_an_outline_that_cannot_be_used_is_refused_in_one_sentence(bad, name, words):
    with pytest.raises(RoiError) as caught:
        read_roi(bad / name)
    message = str(caught.value)
    assert message.startswith(f"{bad / name}: expected ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["wsi/cmu_truncated_100k.svs", "wsi/histolab_broken.svs"])
def test_a_broken_slide_is_refused_in_one_sentence(pictures, name):
    with pytest.raises(ImageError, match="expected a slide that OpenSlide reads"):
        open_slide(pictures / name)


def test_every_listed_file_is_covered_by_a_test(bad):
    lines = (bad / "expectations.csv").read_text().splitlines()[1:]
    listed = {line.split(",")[0] for line in lines}
    elsewhere = {n for n in listed if n.startswith(("table/", "wsi/"))}
    elsewhere |= {"annotation/bowtie.xml", "annotation/outside_slide.xml"}
    elsewhere |= {"mask/mask_wrong_size.png"}
    frames = {*REFUSED_DICOM, *REFUSED_PICTURES, *READ_DICOM, *READ_PICTURES}
    assert listed == {*frames, *REFUSED_OUTLINES, *elsewhere}


def test_an_inverted_frame_equals_its_reference(bad):
    inverted = read_ultrasound(bad / "dicom/mono1_inverted.dcm")
    reference = read_ultrasound(bad / "dicom/mono2_ref.dcm")
    np.testing.assert_array_equal(inverted.pixels, reference.pixels)


def test_twelve_bits_are_scaled_to_the_full_range(bad):
    deep = read_ultrasound(bad / "dicom/mono2_12in16bit.dcm").pixels.astype(int)
    reference = read_ultrasound(bad / "dicom/mono2_ref.dcm").pixels.astype(int)
    assert np.abs(deep - reference).max() <= 1


def test_a_rotated_photograph_is_turned_upright(pictures):
    rotated = read_ultrasound(pictures / "image/exif_rotated_6.jpg").pixels.astype(int)
    upright = read_ultrasound(pictures / "image/exif_reference.jpg").pixels.astype(int)
    assert rotated.shape == upright.shape
    assert np.abs(rotated - upright).mean() < 4


def test_sixteen_bit_grey_is_scaled_and_not_clipped(pictures):
    deep = read_ultrasound(pictures / "image/grey16.png").pixels.astype(int)
    reference = read_ultrasound(pictures / "image/png_named.jpg").pixels.astype(int)
    assert np.abs(deep - reference).mean() < 2
    assert (deep == 255).mean() < 0.01


def test_a_bow_tie_is_mended_into_two_triangles(bad):
    roi = read_roi(bad / "annotation/bowtie.xml")
    assert [len(polygon) for polygon in roi.polygons] == [3, 3]
    assert roi.bounds == Box(0, 0, 100, 100)


def test_an_outline_outside_its_slide_is_refused(bad):
    roi = read_roi(bad / "annotation/outside_slide.xml")
    with pytest.raises(RoiError, match="expected an outline inside its image of 2220 x 2967"):
        check_inside(roi, width=2220, height=2967)


def test_no_content_of_another_file_leaks_out_of_an_outline(tmp_path):
    (tmp_path / "secret.txt").write_text("the-secret")
    (tmp_path / "outline.xml").write_text(
        f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]>'
        '<Annotations><Region><Vertices><Vertex X="&x;" Y="1"/></Vertices></Region></Annotations>'
    )
    with pytest.raises(RoiError) as caught:
        read_roi(tmp_path / "outline.xml")
    assert "the-secret" not in str(caught.value)


@pytest.mark.parametrize("reader", [read_ultrasound, open_slide, read_roi])
def test_a_missing_file_is_named(tmp_path, reader):
    with pytest.raises(CohortError, match=r"nothing\.dcm: expected .*, found no file"):
        reader(tmp_path / "nothing.dcm")
