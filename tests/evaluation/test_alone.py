"""`evaluate` on any table: the numbers are those of `stats`, and edges say what is missing."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.cohort.label_table import Table
from neoresponse.errors import ConfigError
from neoresponse.evaluation import alone
from neoresponse.evaluation.in_words import evaluation_as_text
from neoresponse.settings import EvaluateSettings
from neoresponse.stats import (
    auc_interval,
    average_precision,
    brier_score,
    calibration_line,
    confusion,
    mcnemar_tests,
    net_benefit,
    paired_delong,
    rates,
)

SETTINGS = EvaluateSettings(replicates=200)
RATES = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "mcc")


def table(label, **values):
    arrays = {name: np.array(numbers, dtype=float) for name, numbers in values.items()}
    outside = {n: (2, float(v[0])) for n, v in arrays.items() if v.min() < 0 or v.max() > 1}
    return Table(np.array(label), arrays, len(label), {}, outside)


def cohort(seed=1, num=60):
    rng = np.random.default_rng(seed)
    label = (rng.random(num) < 0.3).astype(int)
    first = np.clip(0.35 + 0.2 * label + rng.normal(0, 0.15, num), 0.02, 0.98)
    second = np.clip(0.35 + 0.1 * label + rng.normal(0, 0.15, num), 0.02, 0.98)
    return label, first, second


def evaluate_table(*arguments, **options):
    """What is written: the record as JSON has it."""
    return alone.evaluate_table(*arguments, **options).model_dump(mode="json")


def estimates(content):
    """Every estimate in it, wherever it stands."""
    if isinstance(content, dict):
        if "value" in content:
            yield content
        for part in content.values():
            yield from estimates(part)
    elif isinstance(content, list):
        for part in content:
            yield from estimates(part)


def test_the_numbers_are_those_of_the_statistics():
    label, first, second = cohort()
    found = evaluate_table(table(label, p=first, q=second), SETTINGS, threshold=0.4)
    model = found["models"]["p"]
    counts = confusion(label, first, threshold=0.4)
    assert model["auc"]["low"] == auc_interval(label, first).low
    assert model["average_precision"]["value"] == average_precision(label, first)
    assert model["counts"] == vars(counts)
    assert {k: model[k]["low"] for k in RATES[:5]} == {k: e.low for k, e in rates(counts).items()}
    assert model["calibration"]["slope"]["value"] == calibration_line(label, first).slope.value
    assert model["calibration"]["brier"]["value"] == brier_score(label, first)
    expected = net_benefit(label, first, threshold=0.4)
    assert model["net_benefit"]["net_benefit"]["value"] == pytest.approx(expected, abs=1e-15)


def test_two_columns_are_compared_on_the_same_patients():
    label, first, second = cohort()
    pair = evaluate_table(table(label, p=first, q=second), SETTINGS)["comparison"]
    difference = paired_delong(label, first, second)
    assert pair["auc_difference"]["p_value"] == difference.p_value
    right = [(values >= 0.5) == (label == 1) for values in (first, second)]
    only = int(np.sum(right[0] & ~right[1])), int(np.sum(right[1] & ~right[0]))
    assert (
        pair["mcnemar"]["num_only_first_right"],
        pair["mcnemar"]["num_only_second_right"],
    ) == only
    assert pair["mcnemar"]["p_value"] == mcnemar_tests(*only)["mid-P"].p_value
    gain = net_benefit(label, first, threshold=0.5) - net_benefit(label, second, threshold=0.5)
    assert pair["net_benefit_difference"]["value"] == pytest.approx(gain, abs=1e-15)


EDGES = {
    "one class": ([0, 0, 0], [0.1, 0.5, 0.9]),
    "AUC of 1": ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
    "one positive": ([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9]),
    "one patient": ([1], [0.4]),
    "constant": ([0, 1, 0, 1], [0.3] * 4),
    "ties": ([0, 1, 0, 1, 0, 1], [0.2, 0.2, 0.2, 0.7, 0.7, 0.7]),
    "only 0 and 1": ([0, 1, 0, 1, 1], [0.0, 1.0, 1.0, 0.0, 1.0]),
    "nearly 0 and 1": ([0, 1, 0, 1, 1], [1e-300, 1 - 1e-16, 1e-12, 0.5, 0.6]),
    "everybody called": ([0, 1, 0, 1], [0.6, 0.7, 0.8, 0.9]),
    "nobody called": ([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]),
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_gives_finite_json_with_a_note_for_whatever_is_missing(edge):
    label, values = EDGES[edge]
    found = evaluate_table(table(label, p=values, q=values), SETTINGS)
    json.dumps(found, allow_nan=False)
    for one in estimates(found):
        assert set(one) >= {"value", "low", "high", "num_patients", "method", "note"}
        if one["value"] is None or one["low"] is None:
            assert one["note"], one
        else:
            assert one["low"] <= one["value"] + 1e-12, one
            assert one["value"] <= one["high"] + 1e-12, one
    record = alone.evaluate_table(table(label, p=values, q=values), SETTINGS)
    assert "patients" in evaluation_as_text(record)


def model_of(edge):
    label, values = EDGES[edge]
    return evaluate_table(table(label, p=values), SETTINGS)["models"]["p"]


def test_one_class_has_counts_and_the_rates_that_exist():
    found = model_of("one class")
    assert found["counts"] == {"tp": 0, "fp": 2, "fn": 0, "tn": 1}
    assert found["auc"]["value"] is None
    assert found["sensitivity"]["value"] is None
    assert found["specificity"]["value"] == pytest.approx(1 / 3)
    assert found["roc"]["true_positive_rate"] == []


def test_an_auc_of_one_has_an_interval_that_does_not_end_at_one_on_both_sides():
    found = model_of("AUC of 1")["auc"]
    assert found["low"] < found["value"] == found["high"] == 1.0


def test_one_positive_and_constant_probabilities_have_no_interval_of_the_auc():
    assert "fewer than two" in model_of("one positive")["auc"]["note"]
    assert "variance is zero" in model_of("constant")["auc"]["note"]
    assert model_of("constant")["calibration"]["slope"]["value"] is None


def test_nobody_called_has_no_ppv_and_says_so():
    found = model_of("nobody called")
    assert found["ppv"]["value"] is None
    assert found["mcc"]["note"]


def test_scores_give_what_needs_an_order_alone_and_say_so():
    label, first, _ = cohort()
    found = evaluate_table(table(label, score=10 * first - 5), SETTINGS)["models"]["score"]
    assert found["auc"]["value"] == auc_interval(label, first).value
    assert not found["is_probability"]
    assert "taken as scores: row 2 holds" in found["note"]
    assert found["counts"] is None
    assert found["decision"] is None
    assert found["calibration"]["slope"]["note"].endswith("not probabilities from 0 to 1")


def test_two_columns_are_not_compared_in_words_where_patients_are_few():
    label, first, second = cohort()
    few = np.concatenate([np.flatnonzero(label == 1)[:9], np.flatnonzero(label == 0)])
    text = evaluation_as_text(
        alone.evaluate_table(table(label[few], p=first[few], q=second[few]), SETTINGS)
    )
    assert "Too few to say: fewer than 10 patients with one of the outcomes" in text
    assert "p and q are not compared" in text
    assert " less " not in text
    whole = evaluation_as_text(alone.evaluate_table(table(label, p=first, q=second), SETTINGS))
    assert "p minus q, same patients" in whole


def test_words_about_scores_leave_out_what_scores_have_not():
    label, first, _ = cohort()
    text = evaluation_as_text(alone.evaluate_table(table(label, score=10 * first - 5), SETTINGS))
    assert "taken as scores" in text
    assert "SENS" not in text
    assert "calibration" not in text


def test_scores_have_counts_at_a_threshold_that_is_given():
    label, first, _ = cohort()
    pair = table(label, score=10 * first - 5, p=first)
    found = evaluate_table(pair, SETTINGS, threshold=-0.5)
    assert found["models"]["score"]["counts"] == vars(
        confusion(label, 10 * first - 5, threshold=-0.5)
    )
    assert found["comparison"]["net_benefit_difference"] is None


def test_a_threshold_is_said_to_be_the_usual_one_or_the_given_one():
    label, first, _ = cohort()
    usual = evaluate_table(table(label, p=first), SETTINGS)
    assert (usual["threshold"], usual["threshold_note"][:13]) == (0.5, "the usual one")
    given = evaluate_table(table(label, p=first), SETTINGS, threshold=0.3)
    assert "too good" in given["threshold_note"]
    with pytest.raises(ConfigError, match="expected a finite number"):
        evaluate_table(table(label, p=first), SETTINGS, threshold=float("nan"))


def test_the_same_table_gives_the_same_numbers():
    label, first, second = cohort()
    pair = table(label, p=first, q=second)
    assert evaluate_table(pair, SETTINGS) == evaluate_table(pair, SETTINGS)


@pytest.fixture
def file(tmp_path):
    label, first, second = cohort()
    path = tmp_path / "from elsewhere.csv"
    rows = zip(label, first.tolist(), second.tolist(), strict=True)
    path.write_text("outcome;p;q\n" + "".join(f"{y};{a!r};{b!r}\n" for y, a, b in rows))
    return path


def call(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


NAMES = ("--label", "outcome", "--probability", "p", "--set", "evaluate.replicates=200")


def test_the_command_prints_words_or_one_json_object(file):
    text = call("evaluate", file, *NAMES, "--compare", "q")
    assert "AUC" in text
    assert "p minus q, same patients" in text
    found = json.loads(call("evaluate", file, *NAMES, "--json"))
    assert list(found["models"]) == ["p"]
    assert found["comparison"] is None


def test_the_command_writes_a_folder_where_one_is_named(file, tmp_path):
    printed = json.loads(call("evaluate", file, tmp_path / "out", *NAMES, "--json"))
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written == printed
    assert "add --force" in call("evaluate", file, tmp_path / "out", *NAMES, code=1)
    call("evaluate", file, tmp_path / "out", *NAMES, "--force")


def test_settings_reach_the_command(file):
    found = json.loads(call("evaluate", file, *NAMES, "--set", "evaluate.confidence=0.9", "--json"))
    assert found["models"]["p"]["auc"]["confidence"] == 0.9


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("a.csv",), "Missing argument 'OUT'"),
        (("a.csv", "out", "--compare", "q"), "--threshold and --json go with"),
        (("a.csv", "out", "--json"), "--threshold and --json go with"),
        (("a.csv", "--label", "y"), "Expected TABLE"),
        (("a", "b", "c", "--label", "y", "--probability", "p"), "Expected TABLE"),
    ],
)
def test_wrong_usage_says_what_was_expected(words, sentence):
    assert sentence in call("evaluate", *words, code=2)


def test_the_text_says_whom_the_calibration_line_leaves_out():
    rng = np.random.default_rng(6)
    label = rng.integers(0, 2, size=80)
    values = np.clip(np.round(rng.normal(0.4 + 0.2 * label, 0.15), 2), 0.02, 0.98)
    values[:28] = label[:28]
    values[:8] = 1 - label[:8]
    given = Table(label, {"p": values}, 80, {"y": 0, "p": 0}, {})
    found = alone.evaluate_table(given, SETTINGS)
    assert found.models["p"].calibration.slope.num_patients == 52
    text = evaluation_as_text(found)
    assert "52 of 80 patients; 28 with a probability of exactly 0 or 1 left out" in text
    assert "8 of these 28 had the other outcome" in text
