import pytest

from neoresponse.stats.samplesize import (
    development_size,
    validation_size_for_auc,
    validation_size_for_ratio,
)


def test_development_equals_the_published_example():
    # Riley et al., BMJ 2020, 368:m441, figure 3: R2 0.288, 24 parameters, outcome 17.4 %.
    found = development_size(0.288, num_parameters=24, prevalence=0.174)
    assert (found.for_shrinkage, found.for_r2, found.for_risk) == (623, 662, 221)
    assert found.num_patients == 662
    assert found.max_r2 == pytest.approx(0.603, abs=5e-4)


def test_one_patient_fewer_does_not_narrow_the_auc_enough():
    from neoresponse.stats.interval import newcombe_variance

    found = validation_size_for_auc(0.8, prevalence=0.26, width=0.1)
    widths = [
        2 * 1.96 * newcombe_variance(0.8, num * 0.26, num * 0.74) ** 0.5
        for num in (found - 1, found)
    ]
    assert widths[0] > 0.1 >= widths[1]


def test_observed_over_expected_equals_the_published_example():
    # Riley et al., Stat. Med. 2021, 40:4230-4251: outcome 1.8 %, standard error of log(O/E) 0.051.
    import math

    width = 2 * math.sinh(1.96 * 0.051)
    assert validation_size_for_ratio(prevalence=0.018, width=width) == pytest.approx(20975, abs=60)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: development_size(0.9, num_parameters=4, prevalence=0.26), "r2"),
        (lambda: development_size(0.2, num_parameters=0, prevalence=0.26), "num_parameters"),
        (lambda: development_size(0.2, num_parameters=4, prevalence=1.0), "prevalence"),
        (lambda: validation_size_for_auc(1.0, prevalence=0.26, width=0.1), "auc"),
        (lambda: validation_size_for_ratio(prevalence=0.26, width=0.0), "width"),
    ],
)
def test_impossible_expectations_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
