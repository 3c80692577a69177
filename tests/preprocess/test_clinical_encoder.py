import math

import numpy as np
import pytest

from neoresponse.errors import RunError
from neoresponse.preprocess.clinical import encode, fit_encoder

PATIENTS = [
    {"phenotype": "triple-negative", "er": "negative", "ki67_percent": 40.0, "regimen": "taxane"},
    {"phenotype": "HR+/HER2-", "er": "positive", "ki67_percent": 20.0, "regimen": "taxane"},
    {"phenotype": "HR+/HER2-", "er": "positive", "ki67_percent": 30.0},
    {"phenotype": "triple-negative", "er": "negative", "regimen": "taxane+platinum"},
]
LABEL = [1, 0, 0, 1]


def test_a_level_with_more_pcr_gets_a_higher_number():
    values, is_known = encode(fit_encoder(PATIENTS, LABEL), PATIENTS)
    assert values[0, 0] > 0 > values[1, 0]
    assert is_known.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1]]


def test_a_level_is_its_shrunk_log_odds_by_hand():
    rate = 2.5 / 5
    expected = math.log((2 + 4 * rate) / (0 + 4 * (1 - rate))) - math.log(rate / (1 - rate))
    assert fit_encoder(PATIENTS, LABEL).levels["er"]["negative"] == pytest.approx(expected)


def test_a_level_nobody_had_in_training_says_nothing():
    assert fit_encoder(PATIENTS, LABEL).levels["er"]["low"] == pytest.approx(0)


def test_numbers_are_standardised_over_known_training_values():
    values, is_known = encode(fit_encoder(PATIENTS, LABEL), PATIENTS)
    known = values[is_known[:, 2], 2]
    assert np.mean(known) == pytest.approx(0, abs=1e-6)
    assert np.std(known) == pytest.approx(1, abs=1e-6)


def test_an_unknown_level_is_refused_with_the_right_ones():
    with pytest.raises(RunError, match=r"er: expected one of .*got 'weak'"):
        encode(fit_encoder(PATIENTS, LABEL), [{"er": "weak"}])
