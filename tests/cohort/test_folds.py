from collections import Counter

import pytest

from neoresponse.cohort.folds import divided_patients, draw_folds, fold_split
from neoresponse.cohort.split import Assignment
from neoresponse.errors import CohortError


def patients(num_pcr, num_residual):
    labels = [1] * num_pcr + [0] * num_residual
    return [Assignment(f"P{i:03d}", "primary", "train", y, False) for i, y in enumerate(labels)]


def test_folds_are_stratified_and_alike_in_size():
    people = patients(23, 78)
    fold_of = draw_folds(people, num_folds=5, seed=(1, 1))
    sizes = Counter(fold_of.values())
    with_pcr = Counter(fold_of[a.patient_id] for a in people if a.label)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert max(with_pcr.values()) - min(with_pcr.values()) <= 1
    assert sum(sizes.values()) == 101


def test_the_order_of_patients_changes_nothing_and_the_seed_does():
    people = patients(10, 30)
    once = draw_folds(people, num_folds=4, seed=(1, 1))
    assert draw_folds(people[::-1], num_folds=4, seed=(1, 1)) == once
    assert draw_folds(people, num_folds=4, seed=(1, 2)) != once


def test_every_patient_is_tested_once_and_never_in_what_tests_it():
    people = patients(20, 60)
    fold_of = draw_folds(people, num_folds=5, seed=(7, 1))
    tested = Counter()
    for fold in range(5):
        drawn = fold_split(people, fold_of, fold=fold, ratio=(8, 1, 1), seed=(7, 1))
        assert len({a.patient_id for a in drawn}) == len(drawn) == 80
        parts = {part: [a for a in drawn if a.split == part] for part in ("train", "validation")}
        assert {a.label for a in parts["train"]} == {a.label for a in parts["validation"]} == {0, 1}
        # 8 : 1 of what is left
        assert len(parts["validation"]) == pytest.approx(64 / 9, abs=1)
        tested.update(a.patient_id for a in drawn if a.split == "test")
    assert set(tested.values()) == {1}
    assert len(tested) == 80


def test_multifocal_patients_of_a_test_cohort_take_no_part():
    apart = Assignment("M1", "TC2", "test", 1, True)
    assert apart not in divided_patients([*patients(2, 2), apart])


def test_too_few_of_a_class_are_refused():
    with pytest.raises(CohortError, match="at least one patient with pCR in each of 5 folds"):
        draw_folds(patients(4, 50), num_folds=5, seed=(1,))


def test_too_few_to_train_and_validate_are_refused():
    people = patients(2, 30)
    fold_of = draw_folds(people, num_folds=2, seed=(1,))
    with pytest.raises(CohortError, match="both classes to train and to validate"):
        fold_split(people, fold_of, fold=0, ratio=(8, 1, 1), seed=(1,))
