"""Verdicts on negative controls."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.contracts.controls import Controls, Verdicts
from neoresponse.contracts.predictions import Prediction, write_predictions
from neoresponse.durable import write_json
from neoresponse.errors import RunError
from neoresponse.evaluation import controls as judge

NUM = 120
LABEL = np.arange(NUM) % 3 == 0
RNG = np.random.default_rng(4)
NOISE, MORE = RNG.normal(size=(2, NUM))
GOOD, CHANCE = 1.5 * LABEL + NOISE, 0.3 * NOISE + MORE


def write(folder, values, *, left=("us_0",), falls=False, label=LABEL):
    """True inputs and one control."""
    records = []
    for name, shown, outcome in (("true inputs", GOOD, LABEL), ("control", values, label)):
        rows = [
            Prediction(f"P{n}", "TC1", "test", int(y), float(1 / (1 + np.exp(-v))), ())
            for n, (v, y) in enumerate(zip(shown, outcome, strict=True))
        ]
        write_predictions(folder / f"{name.replace(' ', '-')}.csv", rows)
        kept = ("us_0", "us_1") if name == "true inputs" else left
        record = {"name": name, "what": "", "file": f"{name.replace(' ', '-')}.csv"}
        records.append(record | {"left": list(kept), "falls": falls})
    write_json(
        folder / "controls.json",
        {"schema": Controls.SCHEMA, "is_simulated": True, "controls": records},
    )
    return folder


def verdict(folder, oracle=None):
    (found,) = judge.judge_controls(folder, oracle)
    return found


def oracle_of(values):
    names = ("us_0", "us_0+us_1")
    return {
        f"P{n}": dict.fromkeys(names, float(1 / (1 + np.exp(-v)))) for n, v in enumerate(values)
    }


@pytest.mark.parametrize(("values", "said"), [(CHANCE, judge.FINE), (GOOD, judge.NOT_FINE)])
def test_with_nothing_left_an_auc_must_hold_one_half(tmp_path, values, said):
    assert verdict(write(tmp_path, values, left=())).verdict == said


def test_equal_probabilities_are_an_auc_of_one_half(tmp_path):
    found = verdict(write(tmp_path, np.zeros(NUM), left=()))
    assert (found.auc.value, found.verdict) == (0.5, judge.FINE)


@pytest.mark.parametrize("values", [CHANCE, GOOD])
@pytest.mark.parametrize("left", [(), ("us_0",)])
def test_with_fewer_than_ten_of_an_outcome_nothing_can_be_told(tmp_path, values, left):
    folder = write(tmp_path, values, left=left, label=np.arange(NUM) < 9)
    assert verdict(folder).verdict == judge.OPEN


def test_with_something_left_an_auc_may_stay(tmp_path):
    found = verdict(write(tmp_path, GOOD))
    assert found.verdict == judge.FINE
    assert found.to_true.value == 0


def test_an_auc_that_rises_is_not_as_it_must(tmp_path):
    assert verdict(write(tmp_path, GOOD + 2 * LABEL)).verdict == judge.NOT_FINE


def test_an_auc_above_the_best_possible_is_not_as_it_must(tmp_path):
    found = verdict(write(tmp_path, GOOD), oracle_of(CHANCE))
    assert found.verdict == judge.NOT_FINE
    assert found.to_best.low > 0


def test_what_must_fall_and_does_not_cannot_be_told(tmp_path):
    assert verdict(write(tmp_path, GOOD, falls=True)).verdict == judge.OPEN


def test_what_must_fall_and_falls_is_as_it_must(tmp_path):
    assert verdict(write(tmp_path, CHANCE, falls=True)).verdict == judge.FINE


def test_us_1_alone_is_held_against_the_oracle_of_both_time_points(tmp_path):
    oracle = {name: {"us_0+us_1": 0.5} for name in oracle_of(GOOD)}
    assert verdict(write(tmp_path, CHANCE, left=("us_1",)), oracle).to_best is not None


def test_with_other_labels_nothing_is_held_against_the_true_inputs(tmp_path):
    found = verdict(write(tmp_path, GOOD, left=(), label=np.roll(LABEL, 1)))
    assert found.to_true is None


def test_a_patient_that_the_oracle_lacks_is_named(tmp_path):
    with pytest.raises(RunError, match="patient 'P0': expected a patient of the phantom"):
        verdict(write(tmp_path, GOOD), {"P1": {}})


def test_the_text_says_simulated_and_gives_intervals(tmp_path):
    folder = write(tmp_path, CHANCE)
    found = judge.judge_controls(folder)
    text = judge.as_text(found, judge.true_auc(folder), is_simulated=True)
    assert text.startswith("SIMULATED patients\ntrue inputs: AUC 0.")
    assert "must not rise" in text
    assert "paired DeLong" in text


def test_the_verb_writes_verdicts_of_all_ten(run, store, phantom, tmp_path):
    out = tmp_path / "controls"
    arguments = ["controls", str(run), str(store.folder), str(out)]
    answer = CliRunner().invoke(main, [*arguments, "--truth", str(phantom / "truth")])
    content = json.loads((out / Verdicts.FILE_NAME).read_text())
    assert content["schema"] == Verdicts.SCHEMA
    assert len(content["verdicts"]) == 10
    said = {one["verdict"] for one in content["verdicts"]}
    assert answer.exit_code == int(judge.NOT_FINE in said)
    assert answer.output.startswith("SIMULATED patients")
