import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.cohort import count_parts, count_samples, read_split, split_patients, write_split
from neoresponse.cohort.split import Assignment, largest_remainder, unused_preset
from neoresponse.data.augment import draw_samples
from neoresponse.errors import CohortError, ConfigError, RunError
from neoresponse.settings import AugmentSettings, SplitSettings
from neoresponse.types import Patient

GUO = SplitSettings(sizes=(391, 49, 51))


def cohort(num_pcr=132, num_residual=359, multi_pcr=23, multi_residual=82):
    groups = (
        (num_pcr, 1, False),
        (num_residual, 0, False),
        (multi_pcr, 1, True),
        (multi_residual, 0, True),
    )
    rows = [(label, is_multi) for number, label, is_multi in groups for _ in range(number)]
    return [Patient(f"P{i:04d}", label, is_multi) for i, (label, is_multi) in enumerate(rows)]


@pytest.fixture
def guo():
    return split_patients(cohort(), GUO, seed=1)


def test_the_published_cohort_gives_the_published_counts(guo):
    assert {name: part.model_dump() for name, part in count_parts(guo).items()} == {
        "train": {"num_patients": 391, "num_pcr": 105},
        "validation": {"num_patients": 49, "num_pcr": 13},
        "TC1": {"num_patients": 51, "num_pcr": 14},
        "TC2": {"num_patients": 105, "num_pcr": 23},
    }
    samples = count_samples(guo, AugmentSettings())
    assert samples.balanced == 601
    assert samples.augmented == 3005
    assert samples.with_ultrasound_versions == 12_020


def test_without_augmentation_a_sample_is_a_patient(guo):
    samples = count_samples(guo, AugmentSettings(flips=False, num_variants=0, us_factor=1))
    assert samples.with_ultrasound_versions == 391


def test_another_seed_gives_other_patients_and_the_same_counts(guo):
    other = split_patients(cohort(), GUO, seed=2)
    assert other != guo
    assert count_parts(other) == count_parts(guo)


@settings(max_examples=30, deadline=None)
@given(
    order=st.randoms(use_true_random=False),
    num_pcr=st.integers(8, 40),
    num_residual=st.integers(8, 60),
    seed=st.integers(0, 1000),
)
def test_the_split_is_whole_and_does_not_depend_on_the_order_of_rows(
    order, num_pcr, num_residual, seed
):
    patients = cohort(num_pcr, num_residual, 3, 4)
    rules = SplitSettings(ratio=(6, 2, 2))
    assigned = split_patients(patients, rules, seed=seed)
    shuffled = list(patients)
    order.shuffle(shuffled)
    assert split_patients(shuffled, rules, seed=seed) == assigned
    assert sorted(a.patient_id for a in assigned) == sorted(p.patient_id for p in patients)
    assert {a.patient_id for a in assigned if a.cohort == "TC2"} == {
        p.patient_id for p in patients if p.is_multifocal
    }
    rate = num_pcr / (num_pcr + num_residual)
    for name, part in count_parts(assigned).items():
        if name != "TC2":
            assert abs(part.num_pcr - rate * part.num_patients) < 1


@given(total=st.integers(0, 1000), weights=st.lists(st.floats(0, 100), min_size=1).filter(any))
def test_largest_remainders_add_up_and_stay_within_one(total, weights):
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < 1 + 1e-6


def test_patients_without_outcome_take_no_part():
    patients = [*cohort(10, 20, 0, 0), Patient("X", None, False)]
    assigned = split_patients(patients, SplitSettings(), seed=1)
    assert "X" not in {a.patient_id for a in assigned}


def test_mixed_multifocal_patients_are_split_like_all_others():
    patients = cohort(20, 40, 10, 10)
    assigned = split_patients(patients, SplitSettings(multifocal="mixed"), seed=1)
    assert {a.cohort for a in assigned} == {"primary", "TC1"}
    assert any(a.is_multifocal and a.split == "train" for a in assigned)


def test_the_sizes_of_a_preset_are_for_a_cohort_of_exactly_that_many_patients():
    preset = SplitSettings(preset_sizes=(391, 49, 51))
    assert split_patients(cohort(), preset, seed=1) == split_patients(cohort(), GUO, seed=1)
    assert unused_preset(491, preset) is None
    others = cohort(20, 30, 3, 3)
    assert split_patients(others, preset, seed=1) == split_patients(others, SplitSettings(), seed=1)
    assert unused_preset(50, preset) == (
        "split: the preset's sizes [391, 49, 51] are for 491 patients, this cohort has 50: the "
        "ratio 8:1:1 decides"
    )


def test_sizes_that_you_wrote_still_refuse_a_cohort_that_they_do_not_fit():
    mine = SplitSettings(sizes=(30, 10, 9), preset_sizes=(391, 49, 51))
    with pytest.raises(ConfigError, match="add up to the 50 unifocal labelled"):
        split_patients(cohort(20, 30, 3, 3), mine, seed=1)


@pytest.mark.parametrize(
    ("num_pcr", "num_residual", "balanced"),
    [
        (105, 286, 601),  # as published: 315 beside 286
        (15, 14, 29),  # 45 beside 14 is farther from equal
        (10, 17, 27),  # 30 beside 17: 1.76 in place of 1.70
        (10, 18, 48),  # 30 beside 18: 1.67 in place of 1.80
        (40, 20, 60),
    ],
)
def test_patients_are_flipped_only_where_that_brings_the_classes_nearer(
    num_pcr, num_residual, balanced
):
    labels = [1] * num_pcr + [0] * num_residual
    places = [Assignment(f"P{i}", "primary", "train", y, False) for i, y in enumerate(labels)]
    assert count_samples(places, AugmentSettings()).balanced == balanced
    plain = AugmentSettings(num_variants=0, us_factor=1)
    ids = [place.patient_id for place in places]
    assert len(draw_samples(ids, range(len(ids)), labels, plain, seed=1)) == balanced


def test_sizes_that_do_not_add_up_are_refused_with_both_numbers():
    with pytest.raises(
        ConfigError, match=r"the 30 unifocal labelled patients, got .* add up to 491"
    ):
        split_patients(cohort(10, 20, 3, 3), GUO, seed=1)
    with pytest.raises(ConfigError, match="expected three sizes above 0"):
        split_patients(cohort(10, 20, 3, 3), SplitSettings(sizes=(40, -20, 10)), seed=1)
    with pytest.raises(ConfigError, match="expected three shares above 0"):
        split_patients(cohort(10, 20, 3, 3), SplitSettings(ratio=(8, 0, 1)), seed=1)


def test_a_part_without_both_classes_is_refused():
    with pytest.raises(
        CohortError, match="validation: expected patients with and without pCR, got 0"
    ):
        split_patients(cohort(3, 60, 0, 0), SplitSettings(ratio=(8, 1, 1)), seed=1)


def test_a_patient_who_stands_twice_is_refused():
    patients = cohort(10, 20, 0, 0)
    with pytest.raises(CohortError, match="expected each patient once"):
        split_patients([*patients, patients[0]], SplitSettings(), seed=1)


def test_a_split_comes_back_from_disk(guo, tmp_path):
    write_split(tmp_path, guo, AugmentSettings(), seed=1)
    assert read_split(tmp_path) == guo
    content = json.loads((tmp_path / "split.json").read_text())
    assert content["schema"] == "neoresponse.split/1"
    assert content["samples"] == {
        "balanced": 601,
        "augmented": 3005,
        "with_ultrasound_versions": 12_020,
    }
    assert content["counts"]["TC1"] == {"num_patients": 51, "num_pcr": 14}
    header = (tmp_path / "split.csv").read_text().splitlines()[0]
    assert header == "patient_id,cohort,split,label,is_multifocal"


def test_the_same_split_gives_the_same_bytes(guo, tmp_path):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_split(tmp_path / name, guo, AugmentSettings(), seed=1)
        contents.append([p.read_bytes() for p in sorted((tmp_path / name).iterdir())])
    assert contents[0] == contents[1]


def test_an_edited_split_is_refused(guo, tmp_path):
    write_split(tmp_path, guo, AugmentSettings(), seed=1)
    path = tmp_path / "split.csv"
    path.write_text(path.read_text().replace("TC1,test", "primary,train", 1))
    with pytest.raises(RunError, match="a split is never edited"):
        read_split(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("patient_id,cohort\nP1,TC1\n", "expected columns"),
        ("{header}\nP1,TC1,train,1,0\n", "expected a known part and label"),
        ("{header}\nP1,TC1,test,2,0\n", "expected a known part and label"),
        ("{header}\nP1,TC1,test,1,0\nP1,TC2,test,1,1\n", "expected each patient once"),
    ],
)
def test_a_copy_of_a_split_is_checked_by_itself(tmp_path, content, words):
    header = "patient_id,cohort,split,label,is_multifocal"
    (tmp_path / "split.csv").write_text(content.replace("{header}", header))
    with pytest.raises(RunError, match=words):
        read_split(tmp_path)


def test_a_missing_split_is_named(tmp_path):
    with pytest.raises(RunError, match=r"split\.csv: expected this file, got none"):
        read_split(tmp_path)
