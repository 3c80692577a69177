"""Outcome and hidden traits of the phantom: quotas, the forward model, what pictures show."""

from collections import Counter

import numpy as np
import pytest

from neoresponse.phantom import tumour
from neoresponse.phantom.clinical import make_cells
from neoresponse.stats import fit_logistic


@pytest.mark.parametrize("blocks", [1, 2])
def test_596_patients_have_the_published_counts(blocks):
    counts = Counter(tumour.strata(596 * blocks))
    assert counts[("unifocal", 1)] == 132 * blocks
    assert counts[("unifocal", 0)] == 359 * blocks
    assert counts[("multifocal", 1)] == 23 * blocks
    assert counts[("multifocal", 0)] == 82 * blocks


def test_every_prefix_of_the_strata_is_close_to_proportional():
    made = Counter()
    for position, stratum in enumerate(tumour.strata(596), start=1):
        made[stratum] += 1
        for name, quota in tumour.STRATA.items():
            assert abs(made[name] - position * quota / 596) < 1.5


def test_a_longer_sequence_of_strata_starts_with_the_shorter_one():
    assert tumour.strata(700)[:90] == tumour.strata(90)


def population(num, *, focality, preset="guo2024", seed=0):
    """Patients at the published share of pCR."""
    rng = np.random.default_rng(seed)
    effects = tumour.PRESETS[preset]
    num_pcr = round(num * tumour.PCR_SHARE[focality])
    parts = [
        tumour.draw_patients(rng, size, stratum=(focality, label), effects=effects)
        for label, size in ((0, num - num_pcr), (1, num_pcr))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.parametrize("focality", ["unifocal", "multifocal"])
def test_logistic_regression_recovers_the_log_odds(focality):
    drawn = population(20_000, focality=focality)
    effects = tumour.PRESETS["guo2024"]
    cells = make_cells(effects.clinical_strength)
    share = tumour.cell_share(cells, focality=focality, effects=effects)
    ratio = np.log(share[1] / share[0])[drawn["cell"]]
    names = [tumour.column_of(trait) for trait in tumour.TRAITS]
    columns = [np.ones(20_000), *(drawn[name] for name in names), ratio]
    if focality == "multifocal":  # else the two are one and the same
        columns.append(cells.clinical_odds[drawn["cell"]])
    design = np.stack(columns, axis=1)
    found = fit_logistic(design, drawn["label"])
    expected = [
        np.ptp(means[:, 0]) * np.sign(means[1, 0] - means[0, 0]) / sd**2
        for means, sd in (
            tumour.trait_means(cells, trait, focality=focality, effects=effects)
            for trait in tumour.TRAITS
        )
    ]
    probability = 1 / (1 + np.exp(-design @ found))
    information = design.T @ (design * (probability * (1 - probability))[:, None])
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    z = (found[1:6] - expected) / errors[1:6]
    assert (np.abs(z) < 2.6).all(), z  # five at once: 95 %


@pytest.mark.parametrize("focality", ["unifocal", "multifocal"])
def test_log_odds_are_calibrated(focality):
    drawn = population(40_000, focality=focality, seed=1)
    chance = tumour.probability(drawn["log_odds"])
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.0)):
        inside = (chance >= low) & (chance < high)
        expected, num = chance[inside].mean(), inside.sum()
        error = 3.5 * np.sqrt(expected * (1 - expected) / num)
        assert drawn["label"][inside].mean() == pytest.approx(expected, abs=error)


def test_drawing_the_outcome_last_gives_the_same_patients_as_drawing_it_first():
    drawn = population(40_000, focality="unifocal", seed=2)
    redrawn = np.random.default_rng(3).random(40_000) < tumour.probability(drawn["log_odds"])
    for trait in tumour.TRAITS:
        z = drawn[tumour.column_of(trait)]
        for label in (0, 1):
            first, last = z[drawn["label"] == label], z[redrawn == label]
            assert first.mean() == pytest.approx(last.mean(), abs=0.05), trait


@pytest.mark.parametrize("trait", tumour.TRAITS)
@pytest.mark.parametrize("preset", tumour.PRESETS)
def test_traits_are_standard_over_unifocal_patients(trait, preset):
    z = population(20_000, focality="unifocal", preset=preset)[tumour.column_of(trait)]
    assert z.mean() == pytest.approx(0, abs=0.03)
    assert z.std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("preset", ["null", "clinical-only"])
def test_presets_without_image_effects_have_none(preset):
    cells = make_cells(tumour.PRESETS[preset].clinical_strength)
    for trait in tumour.TRAITS:
        means, sd = tumour.trait_means(
            cells, trait, focality="unifocal", effects=tumour.PRESETS[preset]
        )
        assert (means == 0).all()
        assert sd == 1


def test_multifocal_tumours_show_less_in_pictures():
    effects = tumour.PRESETS["guo2024"]
    gaps = {}
    for focality in ("unifocal", "multifocal"):
        means, _ = tumour.trait_means(
            make_cells(1.0), "response", focality=focality, effects=effects
        )
        gaps[focality] = (means[1] - means[0]).mean()
    assert 0 < gaps["multifocal"] < 0.6 * gaps["unifocal"]


def test_a_patient_drawn_alone_is_legal_and_carries_all_traits():
    patient = tumour.draw_patient(
        np.random.default_rng(5), index=6, stratum=("multifocal", 1), effects=tumour.PRESETS["easy"]
    )
    assert patient.patient_id == "P0007"
    assert patient.is_multifocal
    assert patient.label == 1
    assert set(patient.traits) == set(tumour.TRAITS)
    assert patient.clinical["size_mm"] == round(patient.diameter_mm)


def test_traits_move_what_pictures_show_in_one_direction():
    z = np.linspace(-3, 3, 25)
    assert (np.diff([tumour.lymphocyte_fraction(value) for value in z]) >= 0).all()
    assert (np.diff([tumour.stroma_share(value) for value in z]) > 0).all()
    assert (np.diff([tumour.nuclear_growth(value) for value in z]) > 0).all()
    assert (np.diff(tumour.relative_diameter(z)) < 0).all()
    assert (np.diff(tumour.echo_change_db(z)) > 0).all()


def test_a_lesion_vanishes_at_about_a_quarter_of_its_diameter():
    at_the_edge = tumour.relative_diameter(np.array(tumour.LARGEST_VISIBLE_RESPONSE))
    assert at_the_edge == pytest.approx(0.26, abs=1e-3)
