import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.stats.bootstrap import Bootstrap
from neoresponse.stats.measures import bootstrap_measures, count_measures
from neoresponse.stats.threshold import Confusion

counts = st.tuples(*[st.integers(1, 30)] * 4)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(counts)
def test_measures_equal_their_definitions_on_patients(cells):
    found = count_measures(Confusion(*cells))
    label = np.repeat([1, 0, 1, 0], cells)
    called = np.repeat([1, 1, 0, 0], cells)
    precision, recall = label[called == 1].mean(), called[label == 1].mean()
    assert found["f1"] == pytest.approx(2 / (1 / precision + 1 / recall))
    assert found["mcc"] == pytest.approx(np.corrcoef(label, called)[0, 1])
    agreed = np.mean(label == called)
    chance = label.mean() * called.mean() + (1 - label.mean()) * (1 - called.mean())
    assert found["kappa"] == pytest.approx((agreed - chance) / (1 - chance), abs=1e-12)
    assert found["odds_ratio"] == pytest.approx(found["lr_positive"] / found["lr_negative"])


def test_ratios_over_zero_are_infinite_and_zero_over_zero_is_missing():
    found = count_measures(Confusion(tp=13, fp=0, fn=0, tn=36))
    assert (found["lr_positive"], found["odds_ratio"]) == (math.inf, math.inf)
    nobody = count_measures(Confusion(tp=0, fp=0, fn=13, tn=36))
    assert (nobody["mcc"], nobody["lr_positive"], nobody["f1"]) == (None, None, 0.0)


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_bootstrap_intervals_equal_those_of_drawing_patients(kind):
    cells = Confusion(tp=30, fp=15, fn=12, tn=70)
    plan = Bootstrap(num_replicates=4000, kind="percentile")
    rng = np.random.default_rng(3)
    pcr, residual = np.repeat([1, 0], [30, 12]), np.repeat([1, 0], [15, 70])
    drawn = []
    for _ in range(4000):
        tp, fp = rng.choice(pcr, 42).sum(), rng.choice(residual, 85).sum()
        drawn.append(2 * tp / (2 * tp + fp + 42 - tp))
    found = bootstrap_measures(cells, rng=np.random.default_rng(1), plan=plan)["f1"]
    assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.012)
    assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.012)
    other = bootstrap_measures(
        cells, rng=np.random.default_rng(1), plan=Bootstrap(num_replicates=4000, kind=kind)
    )["f1"]
    assert other.low == pytest.approx(found.low, abs=0.03)


@pytest.mark.parametrize(
    ("cells", "name", "note"),
    [
        (Confusion(tp=0, fp=0, fn=13, tn=36), "mcc", "denominator is zero"),
        (Confusion(tp=3, fp=0, fn=2, tn=0), "mcc", "only one of the two classes"),
        (Confusion(tp=5, fp=0, fn=0, tn=9), "f1", "all replicates are alike"),
        (Confusion(tp=1, fp=3, fn=0, tn=9), "f1", "fewer than two patients"),
    ],
)
def test_what_cannot_be_estimated_has_a_note(cells, name, note):
    estimate = bootstrap_measures(cells, rng=np.random.default_rng(0))[name]
    assert estimate.low is None
    assert note in estimate.note
