"""What a search may vary, and whom it looks at."""

import pytest

from neoresponse.cohort.split import Assignment
from neoresponse.errors import ConfigError
from neoresponse.search.folds import inner_folds
from neoresponse.settings.toml import run_settings


def test_inner_folds_are_stratified_and_hold_training_patients_alone():
    parts = ["train"] * 40 + ["validation"] * 5 + ["test"] * 5
    everybody = [
        Assignment(
            f"P{i:02d}", "TC1" if part == "test" else "primary", part, int(i % 4 == 0), False
        )
        for i, part in enumerate(parts)
    ]
    folds = inner_folds(everybody, 3, seed=1)
    held_out = [a.patient_id for fold in folds for a in fold if a.split == "validation"]
    assert sorted(held_out) == [f"P{i:02d}" for i in range(40)]
    for fold in folds:
        assert [a.patient_id for a in fold] == sorted(held_out)
        inside = [a.label for a in fold if a.split == "validation"]
        assert len(inside) in (13, 14)
        assert sum(inside) in (3, 4)
        assert {(a.cohort, a.split) for a in fold} == {
            ("primary", "train"),
            ("primary", "validation"),
        }
    assert inner_folds(everybody[::-1], 3, seed=1) == folds
    assert inner_folds(everybody, 3, seed=2) != folds


@pytest.mark.parametrize(
    ("dimension", "sentence"),
    [
        ("{low = 1}", "needs low and high, or choices"),
        ("{low = 1, high = 2, choices = [1]}", "needs low and high, or choices"),
        ("{choices = []}", "needs low and high, or choices"),
        ("{choices = [1, 1]}", "choices must differ"),
        ("{choices = [1, 2], log = true}", "log needs low and high"),
        ("{low = 2, high = 1}", "needs low < high, got 2 and 1"),
        ("{low = 0.0, high = 1.0, log = true}", "needs 0 < low < high where log is true"),
        ("3", "space.train.epochs: .*got 3"),
    ],
)
def test_a_range_that_is_none_is_refused(dimension, sentence):
    with pytest.raises(ConfigError, match=sentence):
        run_settings(None, (f"search.space.train.epochs={dimension}",))


def test_keys_without_quotation_marks_mean_the_same(tmp_path):
    bare, quoted = tmp_path / "bare.toml", tmp_path / "quoted.toml"
    bare.write_text("[search.space]\ntrain.augment.num_variants = {low = 0, high = 4}\n")
    quoted.write_text('[search.space]\n"train.augment.num_variants" = {low = 0, high = 4}\n')
    assert run_settings(str(bare)) == run_settings(str(quoted))
    found = run_settings(str(bare)).search.space["train.augment.num_variants"]
    assert (found.ends, found.is_whole) == ((0, 4), True)
