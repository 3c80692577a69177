"""Clinical values, traits and outcome of the phantom."""

from collections import Counter

import numpy as np
import pytest

from neoresponse.cohort.dictionary import CLINICAL, Levels
from neoresponse.phantom import clinical


def draw(num, *, preset="guo2024", seed=1):
    return [
        clinical.draw_patient(
            np.random.default_rng([seed, index]),
            index=index,
            stratum=stratum,
            effects=clinical.PRESETS[preset],
        )
        for index, stratum in enumerate(clinical.strata(num))
    ]


@pytest.fixture(scope="module")
def patients():
    return draw(400)


@pytest.mark.parametrize("blocks", [1, 2])
def test_596_patients_have_the_published_counts(blocks):
    counts = Counter(clinical.strata(596 * blocks))
    assert counts[("unifocal", 1)] == 132 * blocks
    assert counts[("unifocal", 0)] == 359 * blocks
    assert counts[("multifocal", 1)] == 23 * blocks
    assert counts[("multifocal", 0)] == 82 * blocks


def test_every_prefix_of_the_strata_is_close_to_proportional():
    made = Counter()
    for position, stratum in enumerate(clinical.strata(596), start=1):
        made[stratum] += 1
        for name, quota in clinical.STRATA.items():
            assert abs(made[name] - position * quota / 596) < 1.5


def test_a_longer_sequence_of_strata_starts_with_the_shorter_one():
    assert clinical.strata(700)[:90] == clinical.strata(90)


def test_clinical_values_are_legal(patients):
    for patient in patients:
        assert set(patient.clinical) == set(CLINICAL)
        for name, rule in CLINICAL.items():
            value = patient.clinical[name]
            if isinstance(rule, Levels):
                assert value in rule.words
            else:
                assert rule.low <= value <= rule.high


def test_phenotype_agrees_with_receptors(patients):
    for values in (patient.clinical for patient in patients):
        is_hr = values["er"] != "negative" or values["pr"] == "positive"
        is_her2 = values["her2"] == "positive"
        assert (values["phenotype"].startswith("HR+")) == is_hr
        assert (values["phenotype"].endswith("HER2+")) == is_her2
        assert (values["phenotype"] == "triple-negative") == (not is_hr and not is_her2)


def test_anti_her2_drugs_are_given_in_her2_positive_patients_alone_and_rarely_withheld(patients):
    treated = [p for p in patients if p.clinical["regimen"] == "anti-HER2"]
    positive = [p for p in patients if p.clinical["her2"] == "positive"]
    assert all(p.clinical["her2"] == "positive" for p in treated)
    assert 0.6 < len(treated) / len(positive) < 0.95


def test_t_stage_and_stage_agree_with_size_and_nodes(patients):
    for values in (patient.clinical for patient in patients):
        by_size = "T1" if values["size_mm"] <= 20 else "T2" if values["size_mm"] <= 50 else "T3"
        assert values["t_stage"] in (by_size, "T4")
        if values["t_stage"] == "T4":
            assert values["stage"] == "III"
        if values["nodes"] == "negative" and values["t_stage"] != "T4":
            assert values["stage"] == "I-II"


def test_menopause_follows_age(patients):
    age = {
        level: np.mean(
            [p.clinical["age_years"] for p in patients if p.clinical["menopause"] == level]
        )
        for level in ("pre", "post")
    }
    assert age["post"] > age["pre"] + 8


def test_outcome_follows_probability_in_the_forward_model(patients):
    mean = {
        label: np.mean([p.linear_predictor for p in patients if p.label == label])
        for label in (0, 1)
    }
    assert mean[1] > mean[0] + 1


@pytest.mark.parametrize("preset", clinical.PRESETS)
@pytest.mark.parametrize(("focality", "share"), [("unifocal", 132 / 491), ("multifocal", 23 / 105)])
def test_the_intercepts_give_the_published_share_of_pcr(preset, focality, share):
    drawn = clinical.draw_population(
        np.random.default_rng(0), 20_000, focality=focality, effects=clinical.PRESETS[preset]
    )
    assert drawn["probability"].mean() == pytest.approx(share, abs=0.012)


@pytest.mark.parametrize("preset", ["null", "clinical-only"])
def test_presets_without_image_effects_have_none(preset):
    effects = clinical.PRESETS[preset]
    assert effects.til == effects.response == effects.correlation == 0
    term = clinical.image_term(
        np.array([-2.0, 2.0]), np.array([3.0, 1.0]), focality="unifocal", effects=effects
    )
    assert (term == 0).all()


def test_the_four_clinical_variables_show_in_every_preset_but_less_in_easy():
    weights = {name: effects.clinical for name, effects in clinical.PRESETS.items()}
    assert weights["clinical-only"] > weights["guo2024"] > weights["easy"] > 0


def test_marginal_counts_are_close_to_table_1():
    drawn = clinical.draw_population(
        np.random.default_rng(0),
        20_000,
        focality="unifocal",
        effects=clinical.PRESETS["guo2024"],
    )
    table_1 = {
        ("er", "negative"): 199,
        ("er", "low"): 21,
        ("pr", "positive"): 182,
        ("her2", "low"): 240,
        ("her2", "positive"): 207,
        ("phenotype", "triple-negative"): 78,
        ("regimen", "anti-HER2"): 166,
        ("menopause", "post"): 433,
        ("t_stage", "T1"): 87,
        ("t_stage", "T2"): 486,
        ("stage", "III"): 100,
        ("bi_rads", "5"): 350,
    }
    for (name, level), count in table_1.items():
        share = count / 596
        error = 1.96 * np.sqrt(share * (1 - share) / 596)  # of the published cohort
        assert np.mean(drawn[name] == level) == pytest.approx(share, abs=error), (name, level)
    assert drawn["ki67_percent"].mean() == pytest.approx(30.8, abs=1.6)
    assert drawn["age_years"].mean() == pytest.approx(53.0, abs=0.8)
    assert drawn["size_mm"].mean() == pytest.approx(29.6, abs=0.8)


def test_traits_move_what_pictures_show_in_the_right_direction():
    z = np.linspace(-3, 3, 25)
    assert (np.diff([clinical.lymphocyte_fraction(value) for value in z]) >= 0).all()
    assert (np.diff([clinical.relative_diameter(value) for value in z]) < 0).all()
    assert clinical.is_visible_after(0.0)
    assert not clinical.is_visible_after(2.5)


def test_multifocal_tumours_show_less_in_pictures():
    effects = clinical.PRESETS["guo2024"]
    z = np.array([1.0])
    unifocal = clinical.image_term(z, z, focality="unifocal", effects=effects)
    assert clinical.image_term(z, z, focality="multifocal", effects=effects) < unifocal
