"""Nuclei of the phantom's biopsies."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import find_objects, label

from neoresponse.phantom.biopsy import cells, histology, nuclei

HABIT = histology.Habit(0.4, 0.0, collagen=0, cleft=0.0, cytoplasm=0.15, chromatin=0.45)
MPP = 0.5


@pytest.fixture(scope="module")
def drawn():
    """Half nests, half stroma, 0.4 mm wide."""
    block = histology.Block(shape=(860, 860), region=(30, 30, 800), mpp=MPP)
    rng = np.random.default_rng(1)
    return histology.draw_histology(rng, block, HABIT, stroma_share=0.5)


def all_stroma(drawn):
    return replace(drawn, nest_depth=np.full_like(drawn.nest_depth, -1), rings=())


def all_nest(drawn):
    return replace(drawn, nest_depth=np.full_like(drawn.nest_depth, 1), rings=())


def nobody(drawn):
    return np.zeros(drawn.block.shape, dtype=bool)


def areas_um2(shapes, *, above):
    return (shapes > above).sum(axis=(1, 2)) * MPP**2


def centred_moments(shape):
    y, x = np.indices(shape.shape)
    y, x = y - np.average(y, weights=shape), x - np.average(x, weights=shape)
    return np.cov(np.stack([x.ravel(), y.ravel()]), aweights=shape.ravel())


@pytest.mark.parametrize("growth", [0.87, 1.0, 1.13])
def test_tumour_nuclei_have_the_diameter_that_growth_asks_for(growth):
    diameter_um = nuclei.TUMOUR_NUCLEUS_UM * growth
    kind = cells.tumour_kind(diameter_um=diameter_um, chromatin=0.5)
    shapes = np.concatenate(
        [cells.draw_shapes(np.random.default_rng(seed), kind, mpp=MPP) for seed in range(6)]
    )
    found_um = 2 * np.sqrt(np.median(areas_um2(shapes, above=0.25)) / np.pi)
    assert found_um == pytest.approx(diameter_um, rel=0.05)


def test_nuclei_cover_more_of_the_nests_as_they_grow(drawn):
    covers = []
    for growth in (0.87, 1.0, 1.13):
        rng = np.random.default_rng(2)
        canvas = nuclei.draw_other_nuclei(rng, all_nest(drawn), growth=growth, taken=nobody(drawn))
        covers.append((canvas > 0.25).mean())
    assert covers[0] < covers[1] - 0.05
    assert covers[1] < covers[2] - 0.05


def test_cells_crowd_as_nuclei_grow():
    assert nuclei.tumour_pitch_um(0.87) > nuclei.tumour_pitch_um(1.0) > nuclei.tumour_pitch_um(1.13)


def test_mitotic_figures_come_at_their_rate(drawn):
    scene, found = all_nest(drawn), {0.87: 0, 1.13: 0}
    mm2 = scene.is_nest.mean() * np.prod(drawn.block.shape) * MPP**2 / 1e6
    for growth in found:
        for seed in range(6):
            rng = np.random.default_rng(seed)
            canvas = nuclei.draw_other_nuclei(rng, scene, growth=growth, taken=nobody(drawn))
            parts, _ = label(canvas > 0.98)  # no other nucleus is as dark over 8 µm²
            found[growth] += (np.bincount(parts.ravel())[1:] * MPP**2 > 8).sum()
    for growth, num in found.items():
        wanted = 6 * mm2 * nuclei.mitosis_rate(growth)
        assert abs(num - wanted) < 4 * np.sqrt(wanted)
    assert found[1.13] > 4 * found[0.87]


def test_a_lymphocyte_is_about_seven_micrometres_wide():
    shapes = cells.draw_shapes(np.random.default_rng(1), cells.LYMPHOCYTE, mpp=MPP)
    areas = areas_um2(shapes, above=cells.LYMPHOCYTE_EDGE)
    assert 2 * np.sqrt(np.median(areas) / np.pi) == pytest.approx(7.0, abs=0.3)


def test_lymphocytes_prefer_stroma_to_nests(drawn):
    _, mask = nuclei.draw_lymphocytes(np.random.default_rng(1), drawn, fraction=0.1)
    depth = histology.resized(drawn.nest_depth, drawn.block.shape)
    assert mask[depth < 0].mean() > 2 * mask[depth > 0].mean()


def test_lymphocytes_lie_outside_the_square_as_densely_as_inside(drawn):
    block = replace(drawn.block, region=(200, 200, 400))
    fractions = np.zeros(2)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        _, mask = nuclei.draw_lymphocytes(rng, replace(drawn, block=block), fraction=0.1)
        fractions += [
            mask[200:600, 200:600].sum() / 8,
            (mask.sum() - mask[200:600, 200:600].sum()) / 8,
        ]
    dense = fractions / [400**2, 860**2 - 400**2]
    assert 0.4 < dense[1] / dense[0] < 2.0


def test_a_shape_is_turned_by_its_number():
    kind = replace(cells.FIBROBLAST, size_spread=0.02)
    shapes = cells.draw_shapes(np.random.default_rng(1), kind, mpp=0.25)
    for number in range(0, cells.NUM_SHAPES, 5):
        values, vectors = np.linalg.eigh(centred_moments(shapes[number]))
        angle = np.arctan2(vectors[1, 1], vectors[0, 1])
        assert values[1] > 3 * values[0]
        off = (angle - number * np.pi / cells.NUM_SHAPES + np.pi / 2) % np.pi - np.pi / 2
        assert abs(off) < 0.1
        assert cells.shape_of(np.array([angle]))[0] in {
            (number + step) % cells.NUM_SHAPES for step in (-1, 0, 1)
        }


@pytest.mark.parametrize("axis", [0, 1])
def test_stroma_nuclei_lie_along_the_fibres(drawn, axis):
    rows, columns = drawn.nest_depth.shape
    across = np.indices((rows, columns))[axis].astype(np.float32)  # fibres run along the other axis
    scene = replace(all_stroma(drawn), across_um=across)
    canvas = nuclei.draw_other_nuclei(
        np.random.default_rng(1), scene, growth=1.0, taken=nobody(drawn)
    )
    parts, _ = label(canvas > 0.3)
    ratios = []
    for number, window in enumerate(find_objects(parts), start=1):
        places = np.nonzero(parts[window] == number)
        if len(places[0]) > 60:
            ratios.append(np.std(places[axis]) / np.std(places[1 - axis]))
    assert len(ratios) > 20
    assert np.median(ratios) < 0.6


def test_where_two_nuclei_overlap_the_darker_one_is_seen():
    canvas = cells.Canvas.empty((40, 40), mpp=1.0)
    shapes = np.stack([np.full((5, 5), 0.4), np.full((5, 5), 0.7)]).astype(np.float32)
    centres = np.array([[10, 10], [12, 12], [0, 39]], dtype=np.float32)
    canvas.stamp(shapes, centres, np.array([1, 0, 0]))
    assert canvas.inner[12, 12] == pytest.approx(0.7)
    assert canvas.inner[14, 14] == pytest.approx(0.4)
    assert canvas.inner[0, 39] == pytest.approx(0.4)
    assert (canvas.inner > 0).sum() == 25 + 25 - 9 + 9
