"""The oracle: against brute force, against hand-made classifiers, and against its own logic."""

import numpy as np
import pytest
from scipy.stats import norm

from neoresponse.phantom import oracle, tumour
from neoresponse.phantom.clinical import SIZE_LAW, make_cells
from neoresponse.stats import auc, fit_logistic
from neoresponse.types import Modality

BIOPSY, US_0, US_1, CLINICAL = Modality
PAPER = {
    "unifocal": {
        frozenset([BIOPSY]): 0.70,
        frozenset([US_0, US_1]): 0.82,
        frozenset([BIOPSY, US_0, US_1]): 0.85,
        frozenset(Modality): 0.875,
    },
    "multifocal": {frozenset([BIOPSY, US_0, US_1]): 0.71, frozenset(Modality): 0.82},
}
"""AUC that the publication reports, by inputs (Guo 2024, Tables 3 to 5)."""
FOCALITIES = ("unifocal", "multifocal")


def draw(num, *, focality="unifocal", preset="guo2024", seed=0):
    rng = np.random.default_rng(seed)
    parts = [
        tumour.draw_patients(
            rng, num // 2, stratum=(focality, label), effects=tumour.PRESETS[preset]
        )
        for label in (0, 1)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def best(columns, subset, *, focality="unifocal", preset="guo2024"):
    return oracle.best_probability(
        columns, frozenset(subset), focality=focality, effects=tumour.PRESETS[preset]
    )


@pytest.mark.parametrize("focality", PAPER)
def test_the_best_auc_of_preset_guo2024_is_close_to_what_the_paper_reports(focality):
    columns = draw(6_000, focality=focality, seed=4)
    for subset, reported in PAPER[focality].items():
        found = auc(columns["label"], best(columns, subset, focality=focality))
        assert found == pytest.approx(reported, abs=0.02), oracle.subset_name(subset)


@pytest.mark.parametrize("focality", FOCALITIES)
def test_with_all_inputs_the_oracle_is_the_log_odds_that_made_the_outcome(focality):
    columns = draw(400, focality=focality)
    seen = columns["is_visible_us_1"]
    expected = tumour.probability(columns["log_odds"])
    np.testing.assert_allclose(best(columns, Modality, focality=focality)[seen], expected[seen])


@pytest.mark.parametrize("focality", FOCALITIES)
def test_the_oracle_equals_bayes_rule_by_hand_for_a_biopsy(focality):
    columns = draw(6, focality=focality)
    effects, cells = tumour.PRESETS["guo2024"], make_cells(1.0)
    share = tumour.cell_share(cells, focality=focality, effects=effects)
    prior = tumour.PCR_SHARE[focality]
    for patient, found in enumerate(best(columns, [BIOPSY], focality=focality)):
        weights = []
        for label, chance in ((0, 1 - prior), (1, prior)):
            density = chance * share[label]
            for trait in ("lymphocytes", "proliferation", "stroma"):
                means, sd = tumour.trait_means(cells, trait, focality=focality, effects=effects)
                density = density * norm.pdf(columns[f"z_{trait}"][patient], means[label], sd)
            weights.append(density.sum())
        assert found == pytest.approx(weights[1] / sum(weights), rel=1e-9)


def test_us_1_alone_equals_a_simulation_by_rejection():
    rng = np.random.default_rng(1)
    effects = tumour.PRESETS["easy"]
    num = 400_000
    halves = []
    for label in (0, 1):
        cells = make_cells(effects.clinical_strength)
        means, sd = tumour.trait_means(cells, "response", focality="unifocal", effects=effects)
        z = means[label, 0] + sd * rng.standard_normal(num)
        before = SIZE_LAW.rvs(num, random_state=rng)
        base = rng.normal(0, tumour.BASELINE_ECHO_SD_DB, num)
        after = before * tumour.relative_diameter(z)
        echo = base + tumour.echo_change_db(z)
        near = (np.abs(after - 15) < 1) & (np.abs(echo - 4) < 0.5)
        halves.append(np.sum(near & (z <= tumour.LARGEST_VISIBLE_RESPONSE)))
    prior = tumour.PCR_SHARE["unifocal"]
    expected = prior * halves[1] / (prior * halves[1] + (1 - prior) * halves[0])
    columns = draw(2, preset="easy")
    columns = {name: values[:1] for name, values in columns.items()}
    columns["diameter_after_mm"] = np.array([15.0])
    columns["echo_after_db"] = np.array([4.0])
    columns["is_visible_us_1"] = np.array([True])
    found = best(columns, [US_1], preset="easy")[0]
    assert found == pytest.approx(expected, abs=0.03)


def test_a_hand_made_classifier_of_the_same_traits_does_as_well_as_the_oracle_and_no_better():
    train, test = draw(20_000, seed=2), draw(20_000, seed=3)
    subset = [US_0, US_1]

    def features(columns):
        z = np.minimum(columns["z_response"], tumour.LARGEST_VISIBLE_RESPONSE)
        is_gone = ~columns["is_visible_us_1"]
        rest = [columns["z_stroma"], columns["z_margin"], z, z**2, is_gone]
        return np.stack([np.ones(len(z)), *rest], axis=1).astype(float)

    fitted = features(test) @ fit_logistic(features(train), train["label"])
    reached, limit = auc(test["label"], fitted), auc(test["label"], best(test, subset))
    assert limit - 0.006 < reached < limit + 0.002


@pytest.mark.parametrize(
    ("focality", "num"),
    [("unifocal", 2_000), *[pytest.param(f, 6_000, marks=pytest.mark.slow) for f in FOCALITIES]],
)
def test_an_input_more_never_lowers_the_best_auc(focality, num):
    columns = draw(num, focality=focality, seed=5)
    found = {
        subset: auc(columns["label"], best(columns, subset, focality=focality))
        for subset in oracle.subsets()
    }
    for small, value in found.items():
        for large, more in found.items():
            if small < large:
                assert more >= value - 0.004, (small, large)


@pytest.mark.parametrize("preset", ["null", "clinical-only"])
def test_without_image_effects_every_set_of_images_says_nothing(preset):
    columns = draw(500, preset=preset)
    prior = tumour.PCR_SHARE["unifocal"]
    for subset in oracle.subsets():
        if CLINICAL not in subset:
            np.testing.assert_allclose(best(columns, subset, preset=preset), prior, rtol=1e-9)
        else:
            expected = best(columns, [CLINICAL], preset=preset)
            np.testing.assert_allclose(best(columns, subset, preset=preset), expected, rtol=1e-9)


@pytest.mark.parametrize("subset", oracle.subsets(), ids=oracle.subset_name)
def test_the_oracle_is_calibrated(subset):
    rng = np.random.default_rng(6)
    effects = tumour.PRESETS["guo2024"]
    parts = [
        tumour.draw_patients(rng, size, stratum=("unifocal", label), effects=effects)
        for label, size in ((0, 3590), (1, 1320))
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    chance = best(columns, subset)
    middle = np.median(chance)
    for inside in (chance <= middle, chance > middle):
        expected = chance[inside].mean()
        error = 3.5 * np.sqrt(expected * (1 - expected) / inside.sum())
        assert columns["label"][inside].mean() == pytest.approx(expected, abs=error)


def test_the_error_of_a_population_auc_is_as_large_as_its_spread():
    effects = tumour.PRESETS["guo2024"]
    subset = frozenset([CLINICAL])
    found = []
    for seed in range(12):
        columns = draw(1_000, seed=100 + seed)
        found.append(auc(columns["label"], best(columns, subset)))
    _, error = oracle.population_auc(
        np.random.default_rng(0), 1_000, focality="unifocal", effects=effects
    )[subset]
    assert 0.4 * error < np.std(found) < 2.2 * error


def test_no_patients_give_no_probabilities():
    columns = {name: values[:0] for name, values in draw(2).items()}
    assert best(columns, [BIOPSY]).shape == (0,)
