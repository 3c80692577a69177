import json
import zipfile

import numpy as np
import pytest
import roifile
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from neoresponse.errors import RoiError
from neoresponse.imaging import check_inside, mask_from_roi, mask_size, read_roi, roi_from_mask
from neoresponse.types import Box, Roi

SQUARE = [[10, 10], [30, 10], [30, 40], [10, 40], [10, 10]]


def area(roi):
    return sum(shapely.Polygon(polygon).area for polygon in roi.polygons)


@pytest.fixture
def write(tmp_path):
    def write(content, name="outline"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def imagescope(*regions):
    body = "".join(
        f'<Region Id="{i}" Type="{kind}" NegativeROA="{negative}"><Vertices>'
        + "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in vertices)
        + "</Vertices></Region>"
        for i, (kind, negative, vertices) in enumerate(regions, start=1)
    )
    return f"<Annotations><Annotation><Regions>{body}</Regions></Annotation></Annotations>"


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}


def test_imagescope_and_qupath_outlines_of_one_slide_agree(shared):
    folder = shared / "data" / "annotations"
    name = "TCGA-EJ-5519-01Z-00-DX1"
    aperio = read_roi(folder / "aperio" / f"{name}.xml")
    qupath = read_roi(folder / "qupath" / f"{name}.json")
    one, other = (
        shapely.union_all([shapely.Polygon(p) for p in r.polygons]) for r in (aperio, qupath)
    )
    assert one.intersection(other).area / one.union(other).area > 0.9999
    assert aperio.bounds.left == pytest.approx(qupath.bounds.left, abs=0.02)


@pytest.mark.parametrize("name", ["polygon", "freehand"])
def test_imagej_vertices_equal_the_expected_ones(reference, name):
    folder = reference / "imagej_roi"
    expected = json.loads((folder / f"{name}.json").read_text())[name]
    drawn = shapely.Polygon(list(zip(expected["x"], expected["y"], strict=True)))
    read = shapely.Polygon(read_roi(folder / f"{name}.roi").polygons[0])
    assert read.symmetric_difference(shapely.make_valid(drawn)).area == 0


@pytest.mark.parametrize("name", ["rectangle", "oval", "oval-left", "composite-oval-in-rect"])
def test_imagej_boxes_equal_the_expected_ones(reference, name):
    folder = reference / "imagej_roi"
    e = json.loads((folder / f"{name}.json").read_text())[name]
    box = read_roi(folder / f"{name}.roi").bounds
    assert (box.left, box.top) == pytest.approx((e["left"], e["top"]))
    assert (box.width, box.height) == pytest.approx((e["width"], e["height"]))


def test_an_imagej_ellipse_has_the_stated_axes(reference):
    folder = reference / "imagej_roi"
    e = json.loads((folder / "ellipse.json").read_text())["ellipse"]
    long_axis = np.hypot(e["ex2"] - e["ex1"], e["ey2"] - e["ey1"])
    expected = np.pi / 4 * long_axis * long_axis * e["aspect_ratio"]
    assert area(read_roi(folder / "ellipse.roi")) == pytest.approx(expected, rel=0.02)


def test_imagej_composites_keep_parts_and_drop_holes(reference):
    folder = reference / "imagej_roi"
    assert len(read_roi(folder / "composite-two-ovals.roi").polygons) == 2
    assert len(read_roi(folder / "composite-oval-in-rect.roi").polygons) == 1


@pytest.mark.parametrize("name", ["point", "polyline", "line1"])
def test_imagej_lines_and_points_are_refused(reference, name):
    with pytest.raises(RoiError, match="expected an ImageJ area, got"):
        read_roi(reference / "imagej_roi" / f"{name}.roi")


def test_a_zip_of_imagej_outlines_is_read_whole(tmp_path, write):
    outline = roifile.ImagejRoi.frompoints([[0, 0], [20, 0], [20, 20]]).tobytes()
    other = roifile.ImagejRoi.frompoints([[50, 50], [70, 50], [70, 70]]).tobytes()
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.roi", outline)
        archive.writestr("b.roi", other)
    assert len(read_roi(tmp_path / "set.zip").polygons) == 2
    with pytest.raises(RoiError, match=r"expected a whole zip of \.roi files"):
        read_roi(write((tmp_path / "set.zip").read_bytes()[:-30], "cut.zip"))
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(RoiError, match=r"expected 1 to 100 \.roi files in the zip, got 0"):
        read_roi(tmp_path / "none.zip")


def test_imagescope_shapes_are_read_and_excluded_regions_are_not(write):
    roi = read_roi(
        write(
            imagescope(
                ("1", "0", [(10, 10), (50, 40)]),
                ("2", "0", [(100, 100), (140, 120)]),
                ("3", "0", [(0, 0), (500, 500)]),
                ("0", "1", [(0, 0), (900, 0), (900, 900)]),
            )
        )
    )
    assert len(roi.polygons) == 2
    assert roi.bounds == Box(10, 10, 140, 120)
    assert area(roi) == pytest.approx(40 * 30 + np.pi * 20 * 10, rel=0.01)


@pytest.mark.parametrize(
    "document",
    [
        [feature(POLYGON)],
        {"type": "FeatureCollection", "features": [feature(POLYGON, objectType="annotation")]},
        feature(POLYGON),
        POLYGON,
        {"type": "MultiPolygon", "coordinates": [[SQUARE, SQUARE]]},
        [feature(POLYGON), feature({"type": "Point", "coordinates": [900, 900]})],
        [
            feature(POLYGON),
            feature(
                {**POLYGON, "coordinates": [[[90, 90], [99, 90], [99, 99]]]}, objectType="detection"
            ),
        ],
    ],
)
def test_geojson_is_read_in_each_wrapping(write, document):
    roi = read_roi(write(json.dumps(document)))
    assert roi.bounds == Box(10, 10, 30, 40)
    assert len(roi.polygons[0]) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "expected an outline of 1 to"),
        ("hello", "got something else"),
        ("{", "expected whole JSON"),
        ("[" * 100_000, "expected whole JSON"),
        ("[1, 2]", "expected GeoJSON polygons, got malformed ones"),
        ('{"type": "Polygon", "coordinates": [[["a", 1]]]}', "malformed"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 1], [2, 3], [4, 4]]]}', "impossible numbers"),
        ('{"type": "LineString", "coordinates": [[1, 2], [3, 4]]}', "expected a Polygon or"),
        ("<Annotations>", "expected whole XML"),
        ("<Annotations/>", "expected an outlined region, got none"),
        (imagescope(("0", "0", [("x", 1), (2, 2), (3, 3)])), "expected vertices with X and Y"),
        (imagescope(("0", "0", [(0, 0), (1, 1), (2, 2)])), "expected an outlined area, got a line"),
        (b"Iout", "expected a whole ImageJ outline"),
    ],
)
def test_a_broken_outline_is_refused_in_one_sentence(write, content, words):
    with pytest.raises(RoiError, match=words) as caught:
        read_roi(write(content))
    assert str(caught.value).count("\n") == 0


def test_an_outline_may_touch_the_edge_and_not_pass_it():
    roi = Roi(polygons=(np.array([[-0.5, 0], [50.5, 0], [20, 40]]),))
    check_inside(roi, width=50, height=40)
    with pytest.raises(RoiError, match="expected an outline inside its image of 48 x 40"):
        check_inside(roi, width=48, height=40)


@pytest.mark.parametrize("case", ["case005", "case006", "case181"])
def test_a_real_mask_comes_back_from_its_outline(shared, case):
    path = shared / "data" / "us_breast_usg" / "images" / f"{case}_tumor.png"
    mask = np.asarray(Image.open(path).convert("RGB")).max(axis=2) > 0
    height, width = mask.shape
    assert mask_size(path) == (width, height)
    filled = mask_from_roi(read_roi(path), height=height, width=width)
    assert (filled != ndimage.binary_fill_holes(mask)).mean() < 0.001


@pytest.mark.parametrize("name", ["benign_0847-s", "malignant_0261-l"])
def test_a_coloured_mask_counts_whatever_its_colour(shared, name):
    path = shared / "data" / "us_busbra" / "masks" / f"{name}.png"
    picture = np.asarray(Image.open(path))
    rows, columns = np.nonzero(picture.max(axis=2) > 0)
    box = read_roi(path).bounds
    assert box == Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_a_soft_edged_mask_is_cut_at_half(tmp_path):
    mask = np.zeros((100, 100))
    mask[30:70, 20:60] = 255
    Image.fromarray(ndimage.gaussian_filter(mask, 2).astype(np.uint8)).save(tmp_path / "soft.png")
    assert read_roi(tmp_path / "soft.png").bounds == Box(20, 30, 60, 70)


def test_a_mask_of_ones_is_a_mask_and_a_full_one_is_not(tmp_path):
    mask = np.zeros((50, 50), dtype=np.uint8)
    mask[10:20, 10:20] = 1
    Image.fromarray(mask).save(tmp_path / "ones.png")
    assert read_roi(tmp_path / "ones.png").bounds == Box(10, 10, 20, 20)
    with pytest.raises(RoiError, match="expected some background"):
        roi_from_mask(np.ones((5, 5), dtype=bool))


def test_specks_beside_a_lesion_are_left_out():
    mask = np.zeros((60, 60), dtype=bool)
    mask[10:40, 10:40] = True
    mask[55, 55] = True
    assert roi_from_mask(mask).bounds == Box(10, 10, 40, 40)


def test_only_an_image_has_a_mask_size(write):
    assert mask_size(write(json.dumps(POLYGON))) is None


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=14)))
def test_a_mask_without_holes_and_specks_comes_back_exactly(mask):
    mask = ndimage.binary_fill_holes(mask)
    if not mask.any() or mask.all():
        return
    labelled, _ = ndimage.label(mask)
    areas = np.bincount(labelled.ravel())
    areas[0] = 0
    kept = mask & (areas >= 0.1 * areas.max())[labelled]
    filled = mask_from_roi(roi_from_mask(mask), height=mask.shape[0], width=mask.shape[1])
    np.testing.assert_array_equal(filled, kept)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=st.floats(-5, 25)))
def test_filling_equals_asking_each_pixel_centre(vertices):
    mask = mask_from_roi(Roi(polygons=(vertices,)), height=16, width=18)
    columns, rows = np.meshgrid(np.arange(18) + 0.5, np.arange(16) + 0.5)
    crossings = np.zeros((16, 18), dtype=int)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        crosses = (y0 <= rows) != (y1 <= rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
        crossings += crosses & (x <= columns)
    np.testing.assert_array_equal(mask, crossings % 2 == 1)
