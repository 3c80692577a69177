import pytest

from neoresponse.errors import ConfigError
from neoresponse.evaluation.planner import Assumptions, plan, plan_as_text, read_ratio
from neoresponse.stats.interval import hanley_mcneil_error
from neoresponse.stats.proportion import clopper_pearson_interval, wilson_interval

PREVALENCE = 132 / 491


@pytest.fixture(scope="module")
def found():
    return plan(491, prevalence=PREVALENCE)


def test_the_split_has_the_patients_and_the_pcr_of_the_ratio(found):
    sizes = [(part.name, part.num_patients, part.num_pcr) for part in found.parts]
    assert sizes == [
        ("train", 393, 106),
        ("validation", 49, 13),
        ("test", 49, 13),
        ("all", 491, 132),
    ]


def test_each_part_has_the_intervals_of_its_size(found):
    test = found.parts[2]
    width = 2 * 1.959964 * hanley_mcneil_error(0.8, 13, 36)
    assert test.auc_width == pytest.approx(width, abs=1e-5)
    assert test.sensitivity == (wilson_interval(10, 13), clopper_pearson_interval(10, 13))
    assert test.specificity == (wilson_interval(29, 36), clopper_pearson_interval(29, 36))


def test_a_small_test_part_calls_for_cross_validation(found):
    assert "repeated nested cross-validation" in found.recommendation


def test_a_large_test_part_stands_alone():
    large = plan(8000, prevalence=0.3)
    assert large.parts[2].auc_width <= 0.1
    assert large.recommendation.startswith("one fixed split")


def test_too_few_patients_altogether_are_told_so():
    assert "no model should be called better" in plan(120, prevalence=0.3).recommendation


def test_more_models_look_better_by_chance(found):
    more = plan(491, prevalence=PREVALENCE, assumptions=Assumptions(num_models=20))
    assert more.chance_of_best > found.chance_of_best > 0.5
    assert more.expected_best > found.expected_best > 0.8


def test_the_sentences_say_that_49_patients_rank_nothing(found):
    assert found.parts[2].least_gain is None
    assert "nor rank two models that differ by up to 0.19" in found.sentences[1]
    assert "can tell an AUC of 0.8 from guessing" in found.sentences[1]


def test_the_text_names_a_method_beside_every_number(found):
    text = plan_as_text(found)
    for method in (
        "Hanley-McNeil 1982",
        "Hanley-McNeil 1983",
        "Wilson",
        "Clopper-Pearson",
        "Riley 2020",
        "Riley 2021",
    ):
        assert method in text
    assert f"{found.paired_size} test patients" in text


@pytest.mark.parametrize(
    ("num_patients", "prevalence", "change", "message"),
    [
        (491, 1.2, {}, "prevalence: expected a number in"),
        (20, 0.2, {}, "num_patients: expected both classes in every part"),
        (491, 0.3, {"auc": 0.4}, "auc and gain: expected 0.5 < auc"),
        (491, 0.3, {"ratio": (8, 2)}, "ratio: expected three numbers"),
        (491, 0.3, {"correlation": 1.0}, "correlation and num_models"),
    ],
)
def test_what_cannot_be_is_refused(num_patients, prevalence, change, message):
    with pytest.raises(ConfigError, match=message):
        plan(num_patients, prevalence=prevalence, assumptions=Assumptions(**change))


def test_a_ratio_is_read_or_refused():
    assert read_ratio("6:2:2") == (6, 2, 2)
    with pytest.raises(ConfigError, match="such as 8:1:1, got 'half'"):
        read_ratio("half")
