"""Clinical values of the phantom: possible combinations, and Table 1 given the outcome."""

import numpy as np
import pytest
from scipy.stats import binom

from neoresponse.cohort.dictionary import CLINICAL, Levels
from neoresponse.phantom.clinical import NUM_BY_LABEL, make_cells, pooled_share
from neoresponse.phantom.tumour import PRESETS, draw_patients

TABLE_1 = {
    ("menopause", "post"): (320, 113),
    ("t_stage", "T1"): (59, 28),
    ("t_stage", "T2"): (367, 119),
    ("phenotype", "HR+/HER2-"): (289, 22),
    ("phenotype", "triple-negative"): (48, 30),
    ("phenotype", "HR-/HER2+"): (44, 64),
    ("phenotype", "HR+/HER2+"): (60, 39),
    ("er", "negative"): (100, 99),
    ("er", "low"): (8, 13),
    ("er", "positive"): (333, 43),
    ("pr", "positive"): (139, 43),
    ("her2", "negative"): (119, 30),
    ("her2", "low"): (218, 22),
    ("her2", "positive"): (104, 103),
    ("stage", "III"): (63, 37),
    ("nodes", "positive"): (416, 144),
    ("regimen", "anti-HER2"): (76, 90),
    ("regimen", "taxane+platinum"): (15, 8),
    ("regimen", "taxane"): (10, 2),
    ("regimen", "anthracycline+taxane"): (340, 55),
    ("bi_rads", "2-4a"): (4, 4),
    ("bi_rads", "4b"): (18, 15),
    ("bi_rads", "4c"): (164, 41),
    ("bi_rads", "5"): (255, 95),
}
"""Printed counts without and with pCR, of 441 and 155 (Guo 2024, Table 1)."""


@pytest.fixture(scope="module")
def by_label():
    return [
        draw_patients(
            np.random.default_rng(label),
            20_000,
            stratum=("unifocal", label),
            effects=PRESETS["guo2024"],
        )
        for label in (0, 1)
    ]


@pytest.mark.parametrize("entry", TABLE_1, ids=" ".join)
@pytest.mark.parametrize("label", [0, 1])
def test_the_share_of_a_level_given_the_outcome_is_table_1s(by_label, entry, label):
    name, level = entry
    found = np.mean(by_label[label][name] == level)
    low, high = binom.interval(0.95, NUM_BY_LABEL[label], found)
    assert low <= TABLE_1[entry][label] <= high


@pytest.mark.parametrize(
    ("name", "means", "spreads"),
    [
        ("ki67_percent", (27.35, 40.68), (19.5, 19.59)),
        ("age_years", (53.17, 52.52), (9.24, 9.17)),
        ("bmi", (24.97, 24.62), (3.43, 3.29)),
        ("size_mm", (29.63, 29.35), (8.48, 10.41)),
    ],
)
@pytest.mark.parametrize("label", [0, 1])
def test_mean_and_spread_of_a_number_given_the_outcome_are_table_1s(
    by_label, name, means, spreads, label
):
    values = by_label[label][name]
    error = 1.96 * spreads[label] / np.sqrt(NUM_BY_LABEL[label])
    assert values.mean() == pytest.approx(means[label], abs=error)
    assert values.std() == pytest.approx(spreads[label], rel=0.15)


def test_clinical_values_are_legal(by_label):
    for columns in by_label:
        for name, rule in CLINICAL.items():
            if isinstance(rule, Levels):
                assert set(columns[name]) <= set(rule.words)
            else:
                assert rule.low <= columns[name].min() <= columns[name].max() <= rule.high


def test_phenotype_agrees_with_receptors(by_label):
    for columns in by_label:
        is_hr = (columns["er"] != "negative") | (columns["pr"] == "positive")
        is_her2 = columns["her2"] == "positive"
        assert (np.char.startswith(columns["phenotype"], "HR+") == is_hr).all()
        assert (np.char.endswith(columns["phenotype"], "HER2+") == is_her2).all()


def test_anti_her2_drugs_are_given_in_her2_positive_patients_alone(by_label):
    for columns in by_label:
        assert (columns["her2"][columns["regimen"] == "anti-HER2"] == "positive").all()


def test_t_stage_and_stage_agree_with_size_and_nodes(by_label):
    for columns in by_label:
        size, t_stage = columns["size_mm"], columns["t_stage"]
        by_size = np.select([size <= 20, size <= 50], ["T1", "T2"], "T3")
        assert ((t_stage == by_size) | (t_stage == "T4")).all()
        assert (columns["stage"][t_stage == "T4"] == "III").all()
        is_early = (columns["nodes"] == "negative") & (t_stage != "T4")
        assert (columns["stage"][is_early] == "I-II").all()


def test_menopause_follows_age(by_label):
    columns = by_label[0]
    age = {m: columns["age_years"][columns["menopause"] == m].mean() for m in ("pre", "post")}
    assert age["post"] > age["pre"] + 8


def test_the_probability_of_a_cell_is_the_product_of_what_table_1_says():
    cells = make_cells(1.0)
    chosen = (cells.phenotype == "HR+/HER2+") & (cells.er == "low") & (cells.regimen == "anti-HER2")
    assert cells.share[1, chosen].sum() == pytest.approx(39 / 155 * 13 / 61 * 90 / 103)
    assert cells.share[0, chosen].sum() == pytest.approx(60 / 441 * 8 / 349 * 76 / 104)


@pytest.mark.parametrize("strength", [0.0, 0.35, 1.0, 2.0])
def test_shares_add_to_one_and_standardised_columns_are_standard(strength):
    cells = make_cells(strength)
    np.testing.assert_allclose(cells.share.sum(axis=1), 1)
    pooled = pooled_share(cells.share)
    for column in (cells.clinical_odds, cells.ki67) if strength else (cells.ki67,):
        assert np.average(column, weights=pooled) == pytest.approx(0, abs=1e-9)
        assert np.average(column**2, weights=pooled) == pytest.approx(1)


def test_at_strength_zero_clinical_values_say_nothing():
    share = make_cells(0.0).share
    np.testing.assert_allclose(share[0], share[1])
