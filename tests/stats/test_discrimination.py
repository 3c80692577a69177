import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.stats.discrimination import auc, has_both_classes, placements, roc_curve

# A coarse grid of probabilities makes ties common; both classes are always there.
patients = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12)), min_size=2, max_size=40
).filter(lambda rows: len({label for label, _ in rows}) == 2)
quick = settings(max_examples=60, deadline=None, derandomize=True)


def split(rows):
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]) / 12


def wins(pcr, residual):
    """The obvious twin: 1 for a win, one half for a tie."""
    return 1.0 if pcr > residual else 0.5 if pcr == residual else 0.0


@quick
@given(patients)
def test_auc_equals_a_double_loop_over_pairs(rows):
    label, probability = split(rows)
    pairs = [wins(p, q) for p in probability[label == 1] for q in probability[label == 0]]
    assert auc(label, probability) == pytest.approx(np.mean(pairs), abs=1e-14)


@quick
@given(patients)
def test_placements_equal_a_double_loop(rows):
    label, probability = split(rows)
    pcr, residual = probability[label == 1], probability[label == 0]
    placed = placements(label, probability)
    np.testing.assert_allclose(
        placed.positive, [np.mean([wins(p, q) for q in residual]) for p in pcr], atol=1e-15
    )
    np.testing.assert_allclose(
        placed.negative, [np.mean([wins(p, q) for p in pcr]) for q in residual], atol=1e-15
    )


@quick
@given(patients)
def test_roc_points_equal_counting_at_each_cut(rows):
    label, probability = split(rows)
    curve = roc_curve(label, probability)
    for cut, num_true, num_false in zip(
        curve.threshold, curve.num_true_positive, curve.num_false_positive, strict=True
    ):
        assert num_true == sum(p >= cut and y == 1 for y, p in zip(label, probability, strict=True))
        assert num_false == sum(
            p >= cut and y == 0 for y, p in zip(label, probability, strict=True)
        )


@quick
@given(patients)
def test_area_under_the_roc_points_is_the_auc(rows):
    label, probability = split(rows)
    curve = roc_curve(label, probability)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(auc(label, probability), abs=1e-12)


@quick
@given(patients)
def test_auc_of_swapped_labels_is_one_minus_the_auc(rows):
    label, probability = split(rows)
    assert auc(1 - label, probability) == pytest.approx(1 - auc(label, probability), abs=1e-15)


@quick
@given(patients, st.randoms(use_true_random=False))
def test_auc_does_not_depend_on_the_order_of_patients_or_a_rising_change(rows, random):
    label, probability = split(rows)
    random.shuffle(rows)
    shuffled_label, shuffled = split(rows)
    assert auc(label, probability) == auc(shuffled_label, np.exp(3 * shuffled))


def test_an_auc_below_one_half_is_not_flipped():
    assert auc([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1]) == 0.0


def test_neighbouring_floats_are_not_a_tie():
    assert auc([0, 1], [0.5, np.nextafter(0.5, 1)]) == 1.0


@pytest.mark.parametrize("label", [[1, 1], [0, 0], []])
def test_one_class_has_no_auc(label):
    assert auc(label, np.full(len(label), 0.5)) is None
    assert not has_both_classes(label)


def test_a_roc_curve_needs_both_classes():
    with pytest.raises(ValueError, match=r"expected both classes, got 2 pCR of 2"):
        roc_curve([1, 1], [0.1, 0.2])


@pytest.mark.parametrize(
    ("label", "probability", "message"),
    [
        ([0, 1], [0.5], "one shape"),
        ([[0, 1]], [[0.5, 0.6]], "one shape"),
        ([0, 2], [0.5, 0.6], "expected 0 or 1"),
        ([0, np.nan], [0.5, 0.6], "expected 0 or 1"),
        ([0, 1], [0.5, np.nan], "expected finite"),
    ],
)
def test_impossible_arrays_are_refused(label, probability, message):
    with pytest.raises(ValueError, match=message):
        auc(label, probability)
