import math

import numpy as np
import pytest
from scipy.special import expit, logit

from neoresponse.stats.compare import paired_delong
from neoresponse.stats.cross_validated import compare_cross_validated, cross_validated_auc
from neoresponse.stats.discrimination import auc
from neoresponse.stats.interval import delong_interval

Z = 1.959963984540054


def draw(seed=3, num_patients=90, num_repeats=3, num_folds=4):
    """Two models; each fold on a scale of its own, with ties."""
    rng = np.random.default_rng(seed)
    label = (rng.random(num_patients) < 0.4).astype(int)
    traits = rng.normal(size=(2, num_patients)) + label * np.array([[1.3], [0.7]])
    fold = np.stack([rng.permutation(num_patients) % num_folds for _ in range(num_repeats)])
    noise = rng.normal(size=(2, num_repeats, num_patients))
    first, second = np.round(traits[:, None] + 0.5 * noise, 1) + 3 * fold
    return label, first, second, fold


def pair(p, q):
    return 1.0 if p > q else 0.5 if p == q else 0.0


def published_by_loops(label, probability, fold):
    """Estimate and standard error of one repeat as the source's package computes them."""
    num, num_pcr = len(label), sum(label)
    aucs, squares = [], []
    for number in sorted(set(fold)):
        rows = [i for i in range(num) if fold[i] == number]
        pcr, residual = ([i for i in rows if label[i] == one] for one in (1, 0))
        pairs = [pair(probability[i], probability[j]) for i in pcr for j in residual]
        area = sum(pairs) / len(pairs)
        values = []
        for i in pcr:
            share = sum(pair(probability[i], probability[j]) for j in residual) / len(residual)
            values.append((share - area) * num / num_pcr)
        for j in residual:
            share = sum(pair(probability[i], probability[j]) for i in pcr) / len(pcr)
            values.append((share - area) * num / (num - num_pcr))
        aucs.append(area)
        squares.append(sum(value**2 for value in values) / len(values))
    return sum(aucs) / len(aucs), math.sqrt(sum(squares) / len(squares) / num)


def corrected_by_loops(label, probability, fold):
    """Estimate and standard error over repeats, one patient at a time."""
    num, repeats = len(label), len(fold)
    areas = [
        [auc(label[row == k], values[row == k]) for k in sorted(set(row.tolist()))]
        for values, row in zip(probability, fold, strict=True)
    ]
    centres = [sum(row) / len(row) for row in areas]
    total = 0.0
    for i in range(num):
        added, own = 0.0, sum(label == label[i])
        for r in range(repeats):
            inside = [j for j in range(num) if fold[r][j] == fold[r][i]]
            others = [j for j in inside if label[j] != label[i]]
            alike = sum(label[j] == label[i] for j in inside)
            right = [pair(probability[r][i], probability[r][j]) for j in others]
            share = sum(right) / len(right)
            share = share if label[i] else 1 - share
            added += (share - centres[r]) / (len(areas[r]) * alike) * math.sqrt(own / (own - 1))
        total += (added / repeats) ** 2
    return sum(centres) / repeats, math.sqrt(total)


def test_the_published_interval_is_the_sources_on_folds_of_unequal_size():
    label, first, _, fold = draw(num_repeats=1)
    fold = np.where(fold == 0, np.arange(90) % 3 % 2, fold)  # some of fold 0 go to fold 1
    value, error = published_by_loops(label.tolist(), first[0].tolist(), fold[0].tolist())
    found = cross_validated_auc(label, first, fold, variant="published")
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, value - Z * error, value + Z * error), rel=1e-12
    )


def test_the_corrected_interval_equals_a_walk_over_patients_and_repeats():
    label, first, _, fold = draw()
    value, error = corrected_by_loops(label, first, fold)
    found = cross_validated_auc(label, first, fold)
    half = Z * error / (value * (1 - value))
    expected = (value, expit(logit(value) - half), expit(logit(value) + half))
    assert (found.value, found.low, found.high) == pytest.approx(expected, rel=1e-12)


def test_one_fold_gives_the_auc_and_delongs_interval():
    label, first, _, _ = draw(num_repeats=1)
    found = cross_validated_auc(label, first, np.zeros((1, 90), dtype=int))
    expected = delong_interval(label, first[0], scale="logit")
    assert (found.value, found.low, found.high) == pytest.approx(
        (expected.value, expected.low, expected.high), rel=1e-12
    )


def test_one_fold_compares_two_models_as_delong_does():
    label, first, second, _ = draw(num_repeats=1)
    found = compare_cross_validated(label, first, second, np.zeros((1, 90), dtype=int))
    expected = paired_delong(label, first[0], second[0])
    assert found.z == pytest.approx(expected.z, rel=1e-12)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-10)
    assert found.difference.high == pytest.approx(expected.difference.high, rel=1e-12)


def test_the_estimate_is_the_mean_of_the_aucs_of_folds_and_repeats():
    label, first, _, fold = draw()
    rows = zip(first, fold, strict=True)
    aucs = [[auc(label[row == k], p[row == k]) for k in range(4)] for p, row in rows]
    assert cross_validated_auc(label, first, fold).value == pytest.approx(np.mean(aucs), rel=1e-14)


def test_a_rising_map_inside_each_fold_changes_nothing():
    label, first, _, fold = draw()
    mapped = np.where(fold == 1, np.exp(first), first**3) - 40 * fold
    assert cross_validated_auc(label, mapped, fold) == cross_validated_auc(label, first, fold)


def test_the_same_repeat_again_brings_no_precision():
    label, first, _, fold = draw(num_repeats=1)
    once = cross_validated_auc(label, first, fold)
    twice = cross_validated_auc(label, np.repeat(first, 4, axis=0), np.repeat(fold, 4, axis=0))
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), rel=1e-12)


def test_the_variance_is_that_of_leaving_each_patient_out():
    """Fixed scores: the jackknife within classes of the mean of the folds' AUCs."""
    label, first, _, fold = draw(seed=8, num_patients=400)

    def estimate(keep):
        return cross_validated_auc(label[keep], first[:, keep], fold[:, keep]).value

    everyone = np.arange(400)
    left_out = np.array([estimate(everyone != one) for one in everyone])
    classes = [left_out[label == one] for one in (0, 1)]
    variance = sum((len(v) - 1) / len(v) * np.sum((v - v.mean()) ** 2) for v in classes)
    found = cross_validated_auc(label, first, fold)
    error = (logit(found.high) - logit(found.low)) / 2 / Z * found.value * (1 - found.value)
    assert error == pytest.approx(math.sqrt(variance), rel=0.02)


def test_the_error_of_a_difference_is_that_of_drawing_patients_anew():
    label, first, second, fold = draw(seed=5, num_patients=400)
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(400):
        rows = np.concatenate(
            [rng.choice(own, len(own)) for one in (0, 1) for own in [np.flatnonzero(label == one)]]
        )
        found = compare_cross_validated(label[rows], first[:, rows], second[:, rows], fold[:, rows])
        gaps.append(found.difference.value)
    found = compare_cross_validated(label, first, second, fold)
    assert found.difference.value / found.z == pytest.approx(np.std(gaps), rel=0.12)


def test_a_model_does_not_differ_from_itself():
    label, first, _, fold = draw()
    found = compare_cross_validated(label, first, first, fold)
    assert found.difference.value == 0
    assert found.p_value is None
    assert "variance of the difference is zero" in found.difference.note


def test_swapping_the_models_mirrors_the_comparison():
    label, first, second, fold = draw()
    there = compare_cross_validated(label, first, second, fold)
    back = compare_cross_validated(label, second, first, fold)
    assert there.difference.low == -back.difference.high
    assert there.p_value == back.p_value


def test_the_difference_is_that_of_the_two_estimates():
    label, first, second, fold = draw()
    values = [cross_validated_auc(label, one, fold).value for one in (first, second)]
    found = compare_cross_validated(label, first, second, fold)
    assert found.difference.value == pytest.approx(values[0] - values[1], abs=1e-15)


def test_a_fold_of_one_class_is_left_out_and_counted():
    label = np.array([0, 1, 0, 1, 1, 0, 0, 0])
    probability = [[0.1, 0.9, 0.2, 0.3, 0.25, 0.3, 0.8, 0.9]]
    found = cross_validated_auc(label, probability, [[0, 0, 0, 0, 0, 0, 1, 1]])
    assert found.value == auc(label[:6], probability[0][:6])
    assert found.num_patients == 6
    assert "1 of 2 folds left out" in found.note


def test_a_patient_outside_a_repeat_is_not_looked_at():
    label, first, _, fold = draw()
    fold[1, :20] = -1
    without = np.where(fold < 0, math.nan, first)
    assert cross_validated_auc(label, without, fold) == cross_validated_auc(label, first, fold)


def test_a_patient_in_no_repeat_is_not_counted():
    label, first, _, fold = draw()
    fold[:, 0] = -1
    found = cross_validated_auc(label, first, fold)
    fewer = cross_validated_auc(label[1:], first[:, 1:], fold[:, 1:])
    assert found.num_patients == fewer.num_patients == 89
    assert (found.value, found.low) == pytest.approx((fewer.value, fewer.low), rel=1e-14)


@pytest.mark.parametrize(
    ("label", "value", "note"),
    [
        ([1, 1, 1, 1], None, "only one of the two classes"),
        ([1, 0, 0, 0], 1.0, "fewer than two patients"),
        ([1, 1, 0, 0], 1.0, "all zero"),
    ],
)
def test_an_interval_that_cannot_be_had_says_why(label, value, note):
    found = cross_validated_auc(label, [[0.9, 0.8, 0.2, 0.1]], [[0, 0, 0, 0]])
    assert (found.value, found.low) == (value, None)
    assert note in found.note
    gap = compare_cross_validated(label, [[0.9, 0.8, 0.2, 0.1]], [[0.9] * 4], [[0, 0, 0, 0]])
    assert gap.difference.note


@pytest.mark.parametrize(
    ("probability", "fold", "message"),
    [
        ([0.1, 0.2], [0, 0], "repeats, patients"),
        ([[0.1, 0.2, 0.3]], [[0, 0, 0]], "repeats, patients"),
        ([[0.1, 0.2]], [[0.0, 0.5]], "whole numbers"),
        ([[0.1, 0.2]], [[0, -2]], "whole numbers"),
        ([[0.1, math.nan]], [[0, 0]], "finite"),
    ],
)
def test_impossible_arrays_are_refused(probability, fold, message):
    with pytest.raises(ValueError, match=message):
        cross_validated_auc([0, 1], probability, fold)


def test_an_unknown_variant_is_refused():
    label, first, _, fold = draw()
    with pytest.raises(ValueError, match="'corrected' or 'published'"):
        cross_validated_auc(label, first, fold, variant="plain")


def test_the_published_interval_is_cut_at_one():
    label = np.array([1, 1, 1, 0, 0, 0])
    values, fold = [[0.9, 0.8, 0.3, 0.4, 0.2, 0.1]], [[0] * 6]
    found = cross_validated_auc(label, values, fold, variant="published")
    assert found.high == 1.0
    assert found.low > delong_interval(label, values[0]).low  # n, not n - 1
