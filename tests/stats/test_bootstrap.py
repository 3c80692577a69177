import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import norm

from neoresponse.stats.bootstrap import Bootstrap, drawn_counts, interval_from_replicates
from neoresponse.stats.bootstrap_auc import auc_replicates, bootstrap_auc, bootstrap_auc_difference
from neoresponse.stats.discrimination import auc


def draw(num_pcr=13, num_residual=36, seed=3):
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat([0, 1], [num_residual, num_pcr]))
    first = np.round(rng.normal(size=label.size) + label, 1)
    return label, first, np.round(first + rng.normal(size=label.size), 1)


def kernel_mean(pcr, residual, axis=-1):
    wins = pcr[..., :, np.newaxis] > residual[..., np.newaxis, :]
    ties = pcr[..., :, np.newaxis] == residual[..., np.newaxis, :]
    return (wins + 0.5 * ties).mean(axis=(-2, -1))


def test_every_replicate_draws_as_many_patients_as_there_are():
    counts = drawn_counts(np.random.default_rng(0), 500, 20)
    assert counts.shape == (500, 20)
    assert (counts.sum(axis=1) == 20).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_replicates_equal_the_auc_of_the_patients_drawn(seed):
    label, first, second = draw(seed=seed)
    found = auc_replicates(label, [first, second], rng=np.random.default_rng(7), num_replicates=50)
    rng = np.random.default_rng(7)  # the same draws again, as patients
    pcr, residual = (drawn_counts(rng, 50, size) for size in (13, 36))
    # Residual patients are numbered as the first model orders them.
    residual_rows = np.flatnonzero(label == 0)[np.argsort(first[label == 0])]
    for row in range(50):
        with_pcr = np.repeat(np.flatnonzero(label == 1), pcr[row])
        chosen = np.concatenate([with_pcr, np.repeat(residual_rows, residual[row])])
        for column, values in enumerate((first, second)):
            twin = auc(label[chosen], values[chosen])
            assert found[row, column] == pytest.approx(twin, abs=1e-14)


@pytest.mark.parametrize(("kind", "method"), [("percentile", "percentile"), ("bca", "BCa")])
def test_intervals_agree_with_the_bootstrap_of_scipy(kind, method):
    label, first, _ = draw(40, 60)
    plan = Bootstrap(num_replicates=8000, kind=kind)
    found = bootstrap_auc(label, first, rng=np.random.default_rng(1), plan=plan)
    twin = scipy_bootstrap(
        (first[label == 1], first[label == 0]),
        kernel_mean,
        n_resamples=8000,
        batch=200,
        method=method,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found.low == pytest.approx(twin.low, abs=0.006)
    assert found.high == pytest.approx(twin.high, abs=0.006)


def test_bca_equals_its_formula_written_out():
    rng = np.random.default_rng(9)
    replicates, left_out = rng.gamma(4, size=3000), (rng.gamma(2, size=20), rng.gamma(2, size=30))
    plan = Bootstrap(kind="bca", confidence=0.9)
    low, high = interval_from_replicates(3.5, replicates, left_out, plan=plan)
    bias = norm.ppf(np.mean(replicates < 3.5))
    influence = [(len(part) - 1) * (part.mean() - part) for part in left_out]
    top = sum(np.sum(part**3) / len(part) ** 3 for part in influence)
    bottom = sum(np.sum(part**2) / len(part) ** 2 for part in influence)
    speed = top / (6 * bottom**1.5)
    for end, tail in ((low, 0.05), (high, 0.95)):
        shifted = bias + norm.ppf(tail)
        level = norm.cdf(bias + shifted / (1 - speed * shifted))
        assert end == pytest.approx(np.quantile(replicates, level), rel=1e-12)


def test_the_same_seed_gives_the_same_interval():
    label, first, _ = draw()
    one, two = (bootstrap_auc(label, first, rng=np.random.default_rng(5)) for _ in range(2))
    assert one == two


def test_a_difference_is_mirrored_when_the_models_are_swapped():
    label, first, second = draw()
    plan = Bootstrap(num_replicates=20_000)
    there = bootstrap_auc_difference(label, first, second, rng=np.random.default_rng(1), plan=plan)
    back = bootstrap_auc_difference(label, second, first, rng=np.random.default_rng(2), plan=plan)
    assert there.value == -back.value
    assert there.low == pytest.approx(-back.high, abs=0.01)


@pytest.mark.parametrize(
    ("label", "probability", "note"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], "only one of the two classes"),
        ([1, 0, 0], [0.2, 0.1, 0.3], "fewer than two patients"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "all replicates are alike"),
    ],
)
def test_what_cannot_be_estimated_has_a_note_and_no_interval(label, probability, note):
    estimate = bootstrap_auc(label, probability, rng=np.random.default_rng(0))
    assert (estimate.low, estimate.high) == (None, None)
    assert note in estimate.note


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_replicates": 0}, "at least 1"),
        ({"confidence": 95}, "between 0 and 1"),
        ({"kind": "basic"}, "expected 'percentile' or 'bca'"),
    ],
)
def test_an_impossible_plan_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Bootstrap(**values)


def test_replicates_need_both_classes():
    with pytest.raises(ValueError, match="expected both classes, got 2 pCR of 2"):
        auc_replicates([1, 1], [[0.1, 0.2]], rng=np.random.default_rng(0))
