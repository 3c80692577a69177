import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.stats.areas import (
    RocPart,
    area_under_precision,
    area_under_roc,
    average_precision,
    bootstrap_area,
    partial_auc,
    precision_recall_curve,
)
from neoresponse.stats.bootstrap import Bootstrap
from neoresponse.stats.bootstrap_auc import bootstrap_auc
from neoresponse.stats.decision import decision_curve
from neoresponse.stats.discrimination import auc

patients = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=30
).filter(lambda rows: len({label for label, _ in rows}) == 2)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def split(rows):
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]) / 9


@quick
@given(patients)
def test_average_precision_equals_a_loop_over_pcr_patients(rows):
    label, probability = split(rows)
    twin = [np.mean(label[probability >= p] == 1) for p in probability[label == 1]]
    assert average_precision(label, probability) == pytest.approx(np.mean(twin), rel=1e-12)


@quick
@given(patients)
def test_precision_and_recall_equal_counting_at_each_cut(rows):
    label, probability = split(rows)
    curve = precision_recall_curve(label, probability)
    for cut, precision, recall in zip(curve.threshold, curve.precision, curve.recall, strict=True):
        assert precision == np.mean(label[probability >= cut])
        assert recall == np.mean(probability[label == 1] >= cut)


@quick
@given(patients, st.integers(0, 8), st.integers(1, 4))
def test_a_partial_area_equals_fine_trapezoids_under_the_roc_points(rows, start, width):
    label, probability = split(rows)
    low, high = start / 12, (start + width) / 12
    cuts = [np.inf, *sorted(set(probability), reverse=True)]
    runs = [np.mean(probability[label == 0] >= cut) for cut in cuts]
    rises = [np.mean(probability[label == 1] >= cut) for cut in cuts]
    grid = np.linspace(low, high, 4001)[1:] - (high - low) / 8000  # mid-points
    twin = 0.0
    for left, right, bottom, top in zip(runs, runs[1:], rises, rises[1:], strict=False):
        inside = grid[(grid > left) & (grid <= right)]
        if right > left:
            twin += np.sum(bottom + (top - bottom) * (inside - left) / (right - left))
    part = RocPart(low, high, standardized=False)
    assert partial_auc(label, probability, part=part) == pytest.approx(
        twin * (high - low) / 4000, abs=2e-4
    )


@quick
@given(patients)
def test_the_parts_of_the_roc_curve_add_up_to_the_auc(rows):
    label, probability = split(rows)
    for axis in ("false positive rate", "sensitivity"):
        parts = [
            partial_auc(label, probability, part=RocPart(*ends, axis, standardized=False))
            for ends in ((0.0, 0.3), (0.3, 1.0))
        ]
        assert sum(parts) == pytest.approx(auc(label, probability), abs=1e-12)


def test_on_the_standard_scale_chance_is_one_half_and_perfection_is_one():
    part = RocPart(0.0, 0.2)
    assert partial_auc([0, 1, 0, 1], [0.5] * 4, part=part) == pytest.approx(0.5)
    assert partial_auc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], part=part) == pytest.approx(1.0)


@pytest.mark.parametrize("label", [[1, 1], [0, 0]])
def test_one_class_has_no_area(label):
    assert average_precision(label, [0.1, 0.2]) is None
    assert partial_auc(label, [0.1, 0.2]) is None
    rng = np.random.default_rng(0)
    estimate = bootstrap_area(label, [0.1, 0.2], measure=area_under_precision, rng=rng)
    assert estimate.value is None
    assert "only one of the two classes" in estimate.note


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_the_general_bootstrap_gives_the_interval_of_the_fast_one(kind):
    rng = np.random.default_rng(4)
    label = np.repeat([0, 1], [36, 13])
    probability = np.round(rng.normal(size=49) + label, 1)
    plan = Bootstrap(num_replicates=4000, kind=kind)
    fast = bootstrap_auc(label, probability, rng=np.random.default_rng(1), plan=plan)
    slow = bootstrap_area(
        label, probability, measure=area_under_roc, rng=np.random.default_rng(2), plan=plan
    )
    assert slow.value == pytest.approx(fast.value, abs=1e-12)
    assert slow.low == pytest.approx(fast.low, abs=0.02)
    assert slow.high == pytest.approx(fast.high, abs=0.02)


@pytest.mark.parametrize("ends", [(0.2, 0.2), (-0.1, 0.5), (0.5, 1.1)])
def test_an_impossible_range_is_refused(ends):
    with pytest.raises(ValueError, match="expected 0 <= low < high <= 1"):
        RocPart(*ends)


def test_an_unknown_axis_is_refused():
    with pytest.raises(ValueError, match="expected 'false positive rate' or 'sensitivity'"):
        RocPart(axis="specificity")


def test_many_patients_have_the_interval_of_net_benefit_that_a_normal_law_gives():
    rng = np.random.default_rng(3)
    probability = rng.random(20_000)
    label = (rng.random(20_000) < probability).astype(int)
    cuts = np.array([0.2, 0.7])
    found = decision_curve(label, probability, thresholds=cuts, rng=rng)
    worth = (probability[:, None] >= cuts) * np.where(label[:, None] == 1, 1, -cuts / (1 - cuts))
    half = 1.96 * worth.std(axis=0) / 20_000**0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)
    assert (found.high + found.low) / 2 == pytest.approx(worth.mean(axis=0), abs=0.1 * half.min())
