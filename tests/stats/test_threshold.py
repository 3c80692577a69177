import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.stats.threshold import (
    Confusion,
    confusion,
    corner_threshold,
    cost_threshold,
    rates,
    sensitivity_threshold,
    youden_threshold,
)

patients = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=2, max_size=30
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(patients)
def test_youden_equals_trying_every_probability_from_high_to_low(rows):
    label = np.array([r[0] for r in rows])
    probability = np.array([r[1] for r in rows]) / 10
    best, best_index = None, None
    for cut in sorted(set(probability.tolist()), reverse=True):
        counts = confusion(label, probability, threshold=cut)
        index = counts.tp * (counts.tn + counts.fp) - counts.fp * (counts.tp + counts.fn)
        if best_index is None or index > best_index:
            best, best_index = cut, index
    assert youden_threshold(label, probability) == best


def test_of_equally_good_cuts_the_highest_is_taken():
    assert youden_threshold([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.6]) == 0.9


def test_a_patient_at_the_threshold_is_called_pcr():
    assert confusion([1, 0], [0.5, 0.4], threshold=0.5) == Confusion(tp=1, fp=0, fn=0, tn=1)


@pytest.mark.parametrize("label", [[1, 1], [0, 0]])
def test_one_class_has_no_youden_threshold(label):
    assert youden_threshold(label, [0.1, 0.2]) is None


def test_accuracy_lies_between_sensitivity_and_specificity():
    found = rates(Confusion(tp=9, fp=10, fn=4, tn=26))
    low, high = sorted([found["sensitivity"].value, found["specificity"].value])
    assert low <= found["accuracy"].value <= high


def test_an_empty_denominator_gives_no_rate():
    found = rates(Confusion(tp=0, fp=0, fn=3, tn=5))
    assert found["ppv"].value is None
    assert found["ppv"].note
    assert found["npv"].value == 5 / 8


def best_cut(label, probability, worth):
    """The highest of the best cuts, by trying all."""
    cuts = sorted(set(probability.tolist()), reverse=True)
    return max(cuts, key=lambda cut: worth(confusion(label, probability, threshold=cut)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(patients)
def test_other_rules_equal_trying_every_probability_from_high_to_low(rows):
    label = np.array([r[0] for r in rows])
    probability = np.array([r[1] for r in rows]) / 10
    num_pcr, num_residual = label.sum(), (1 - label).sum()
    near = best_cut(
        label, probability, lambda c: -((c.fn / num_pcr) ** 2) - (c.fp / num_residual) ** 2
    )
    found = corner_threshold(label, probability)
    worth = [
        (c.fn / num_pcr) ** 2 + (c.fp / num_residual) ** 2
        for c in (confusion(label, probability, threshold=cut) for cut in (near, found))
    ]
    assert worth[0] == pytest.approx(worth[1], abs=1e-12)
    enough = best_cut(label, probability, lambda c: c.tp >= 0.8 * num_pcr - 1e-9)
    assert sensitivity_threshold(label, probability, sensitivity=0.8) == enough
    cheap = cost_threshold(label, probability, cost_ratio=0.5)
    cost = [confusion(label, probability, threshold=cut) for cut in sorted(set(probability))]
    least = min(min(c.fn + 0.5 * c.fp for c in cost), num_pcr)
    chosen = confusion(label, probability, threshold=cheap)
    assert chosen.fn + 0.5 * chosen.fp == least


def test_where_wrong_calls_cost_most_nobody_is_called():
    assert cost_threshold([0, 1], [0.9, 0.1], cost_ratio=10) == np.inf


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda: sensitivity_threshold([0, 1], [0.1, 0.2], sensitivity=0.0), "sensitivity"),
        (lambda: cost_threshold([0, 1], [0.1, 0.2], cost_ratio=-1.0), "cost_ratio"),
    ],
)
def test_impossible_rules_are_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        rule()


def test_rates_take_another_interval():
    found = rates(Confusion(tp=9, fp=10, fn=4, tn=26), method="Clopper-Pearson")["sensitivity"]
    assert found.method == "Clopper-Pearson"
    assert found.low < rates(Confusion(tp=9, fp=10, fn=4, tn=26))["sensitivity"].low
