from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from neoresponse.errors import ImageError
from neoresponse.imaging import names_patient, read_ultrasound
from neoresponse.types import Box

PYDICOM = Path(pydicom.data.__file__).parent / "test_files"  # frames that come with pydicom
PYDICOM_FRAMES = ("ExplVR_BigEnd", "examples_jpeg2k", "examples_palette", "examples_rgb_color")
PUBLIC_FRAMES = (
    "GREYSCALE_IMAGE",
    "JPGLosslessP14SV1_1s_1f_8b",
    "OBXXXX1A_rle",
    "color-pl",
    "color-px",
)


def region(left=10, top=20, right=89, bottom=79, *, data_type=1, delta_cm=0.01):
    item = pydicom.Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = data_type
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm, 2 * delta_cm
    return item


@pytest.fixture
def write_dicom(tmp_path):
    def write(name="frame.dcm", **elements):
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
        dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["x"])
        pixels = np.arange(100 * 100, dtype=np.uint8).reshape(100, 100)
        values = {
            "Modality": "US",
            "Rows": 100,
            "Columns": 100,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "PixelRepresentation": 0,
            "PixelData": pixels.tobytes(),
            **elements,
        }
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset["PixelData"].VR = "OW"
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", PYDICOM_FRAMES)
def test_dicom_of_pydicom_decodes_to_the_luminance_that_pydicom_gives(name):
    assert_decoded_as_by_pydicom(PYDICOM / f"{name}.dcm")


@pytest.mark.parametrize("name", PUBLIC_FRAMES)
def test_public_dicom_decodes_to_the_luminance_that_pydicom_gives(shared, name):
    assert_decoded_as_by_pydicom(shared / "data" / "us_dicom" / f"{name}.dcm")


def assert_decoded_as_by_pydicom(path):
    frame = read_ultrasound(path)
    dataset = pydicom.dcmread(path)
    array = dataset.pixel_array if path.name[0] != "J" else frame.pixels
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        colours = pydicom.pixels.apply_color_lut(array, dataset)
        array = colours >> 8 if colours.max() > 255 else colours
    expected = Image.fromarray(array.astype(np.uint8)).convert("L")
    assert np.abs(frame.pixels.astype(int) - np.asarray(expected, dtype=int)).max() <= 1


def test_jpeg_lossless_equals_another_decoder(shared):
    import imagecodecs
    from pydicom.encaps import get_frame

    path = shared / "data" / "us_dicom" / "JPGLosslessP14SV1_1s_1f_8b.dcm"
    code = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    np.testing.assert_array_equal(read_ultrasound(path).pixels, imagecodecs.ljpeg_decode(code))


def test_planar_and_interleaved_colour_give_the_same_picture(shared):
    folder = shared / "data" / "us_dicom"
    by_plane, by_pixel = (read_ultrasound(folder / f"color-{x}.dcm").pixels for x in ("pl", "px"))
    np.testing.assert_array_equal(by_plane, by_pixel)


def test_a_public_frame_says_its_region_spacing_and_day(shared):
    frame = read_ultrasound(shared / "data" / "us_dicom" / "GREYSCALE_IMAGE.dcm", spacing_mm=9)
    assert frame.region == Box(14, 38, 1011, 759)
    assert frame.spacing_mm == pytest.approx((0.0649, 0.0649), abs=1e-4)
    assert frame.acquired == date(2017, 3, 2)


def test_a_cine_loop_is_refused():
    with pytest.raises(ImageError, match="expected one frame, got 30"):
        read_ultrasound(PYDICOM / "examples_ybr_color.dcm")


def test_the_largest_tissue_region_is_chosen(write_dicom):
    items = [region(0, 0, 99, 99, data_type=2), region(), region(0, 0, 40, 40)]
    frame = read_ultrasound(write_dicom(SequenceOfUltrasoundRegions=items))
    assert frame.region == Box(10, 20, 90, 80)
    assert frame.spacing_mm == pytest.approx((0.2, 0.1))


def test_a_region_of_another_frame_size_is_not_used(write_dicom):
    path = write_dicom(SequenceOfUltrasoundRegions=[region(10, 20, 400, 300)])
    frame = read_ultrasound(path, spacing_mm=0.3)
    assert frame.region == Box(0, 0, 100, 100)
    assert frame.spacing_mm == (0.3, 0.3)


def test_pixel_spacing_is_second_choice_and_the_given_one_third(write_dicom):
    assert read_ultrasound(write_dicom(PixelSpacing=[0.4, 0.5]), spacing_mm=1).spacing_mm == (
        0.4,
        0.5,
    )
    assert read_ultrasound(write_dicom(PixelSpacing=[0, 0]), spacing_mm=1).spacing_mm == (1, 1)
    assert read_ultrasound(write_dicom()).spacing_mm is None


def test_signed_pixels_are_shifted(write_dicom):
    values = np.full((100, 100), -2048, dtype=np.int16)
    values[50:] = 2047
    path = write_dicom(
        PixelData=values.tobytes(),
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=1,
    )
    pixels = read_ultrasound(path).pixels
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)


def test_a_compressed_picture_larger_than_its_header_is_refused(tmp_path):
    dataset = pydicom.dcmread(PYDICOM / "examples_jpeg2k.dcm")
    dataset.Rows = dataset.Columns = 64
    dataset.save_as(tmp_path / "lies.dcm")
    with pytest.raises(
        ImageError, match="expected 64 x 64 pixels as the header says, got 640 x 480"
    ):
        read_ultrasound(tmp_path / "lies.dcm")


def test_a_data_set_without_preamble_is_read(write_dicom, tmp_path):
    dataset = pydicom.dcmread(write_dicom())
    dataset.file_meta, dataset.preamble = FileMetaDataset(), None
    dataset.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True)
    assert (tmp_path / "bare.dcm").read_bytes()[128:132] != b"DICM"
    assert read_ultrasound(tmp_path / "bare.dcm").pixels.shape == (100, 100)


def test_a_deflated_data_set_is_refused(write_dicom):
    path = write_dicom()
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    with pytest.raises(ImageError, match="got a deflated one"):
        read_ultrasound(path)


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        (
            {"PhotometricInterpretation": "HSV"},
            "expected grey, RGB, YBR or palette pixels, got 'HSV'",
        ),
        (
            {"Rows": 10, "PixelData": bytes(1000)},
            "expected at least 32 pixels a side, got 100 x 10",
        ),
        ({"Modality": None}, "expected a DICOM header of modality 'US', got None"),
    ],
)
def test_a_header_that_cannot_be_is_refused(write_dicom, elements, words):
    with pytest.raises(ImageError, match=words):
        read_ultrasound(write_dicom(**elements))


def test_a_header_with_name_and_number_names_the_patient(write_dicom):
    path = write_dicom(PatientID="4711", PatientName="Doe^Jane")
    assert names_patient(path, "4711")
    assert not names_patient(path, "P001")
    assert not names_patient(write_dicom(PatientID="4711", PatientName=""), "4711")


def test_a_message_never_tells_who_the_patient_is(write_dicom):
    path = write_dicom(PatientID="4711", PatientName="Doe^Jane", Modality="CT")
    with pytest.raises(ImageError) as caught:
        read_ultrasound(path)
    assert "Doe" not in str(caught.value)
    assert "4711" not in str(caught.value)


def test_transparent_parts_are_black_and_real_frames_keep_their_size(shared, tmp_path):
    picture = np.full((40, 50, 4), 255, dtype=np.uint8)
    picture[:20, :, 3] = 0
    Image.fromarray(picture).save(tmp_path / "half.png")
    pixels = read_ultrasound(tmp_path / "half.png", spacing_mm=0.1).pixels
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)
    frame = read_ultrasound(shared / "data" / "us_breast_usg" / "images" / "case006.png")
    assert frame.pixels.shape == (537, 485)
    assert frame.spacing_mm is None


@pytest.mark.parametrize("cut", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("name", ["examples_jpeg2k", "examples_rgb_color", "in run lengths"])
def test_a_cut_file_is_refused_never_a_crash(tmp_path, name, cut):
    whole = PYDICOM / f"{name}.dcm"
    if name == "in run lengths":
        dataset = pydicom.dcmread(PYDICOM / "examples_palette.dcm")
        dataset.compress(RLELossless, generate_instance_uid=False)
        whole = tmp_path / "whole.dcm"
        dataset.save_as(whole)
    content = whole.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(ImageError, match=r"cut\.dcm: expected"):
        read_ultrasound(tmp_path / "cut.dcm")


def test_flipped_bytes_are_refused_or_read_never_a_crash(tmp_path):
    rng = np.random.default_rng(1)
    content = (PYDICOM / "examples_rgb_color.dcm").read_bytes()[:8000]
    content = np.frombuffer(content, dtype=np.uint8)
    for _ in range(60):
        damaged = content.copy()
        damaged[rng.integers(0, 1500, size=20)] = rng.integers(0, 256, size=20)
        (tmp_path / "damaged.dcm").write_bytes(damaged.tobytes())
        try:
            read_ultrasound(tmp_path / "damaged.dcm")
        except ImageError as error:
            assert "expected" in str(error)  # noqa: PT017 (either outcome is right)
