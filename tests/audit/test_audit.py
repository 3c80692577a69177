"""The audit of printed tables: nothing true is accused, nothing impossible passes."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neoresponse.audit import (
    EXAMPLE,
    as_text,
    audit,
    audited,
    read_tables,
    tables_of_json,
    tables_of_metrics,
)
from neoresponse.audit.tables import read_number
from neoresponse.contracts.predictions import Prediction
from neoresponse.contracts.record import write_record
from neoresponse.errors import TableError
from neoresponse.evaluation.evaluate import evaluate
from neoresponse.settings import EvaluateSettings
from neoresponse.types import Modality

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def paper():
    return audit(read_tables(EXAMPLE))


@pytest.fixture
def benchmark_script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("audit_benchmark", BENCHMARKS / "audit.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "audit_benchmark", module)
    spec.loader.exec_module(module)
    return module


def rates(row, **cohort):
    """Audit one model in one cohort."""
    content = {"cohorts": {"TC1": {"n": 51, "pCR": 14, **cohort}}, "t": {"TC1": {"m": row}}}
    return {(found.rule, found.column) for found in audit(tables_of_json(content))}


def groups(row, totals=(155, 441)):
    """Audit one variable of a table of two groups."""
    table = {"n_pCR": totals[0], "n_non_pCR": totals[1], "rows": [{"variable": "v", **row}]}
    return [found.rule for found in audit(tables_of_json({"t": table}))]


def effect(*ends, p="0.006", **more):
    """Audit one odds ratio."""
    row = {"row": "x", "p_printed": p, **dict(zip(("or", "ci_lo", "ci_hi"), ends, strict=True))}
    return [found.rule for found in audit(tables_of_json({"t": [row | more]}))]


# 14 pCR, 37 residual: tp 11, fn 3, tn 30, fp 7; an AUC in its bounds
TRUE = {"ACC": "0.804", "SENS": "0.786", "SPEC": "0.811", "PPV": "0.611", "NPV": "0.909"}


def test_the_paper_has_more_than_twenty_contradictions_in_its_tables(paper):
    tables = Counter(found.table for found in paper)
    assert sum(tables[f"Table {number}"] for number in range(1, 6)) >= 20
    assert set(tables) == {"Table 1", "Table 3", "Table 4", "Table 5", "text"}


def test_every_row_of_the_papers_tables_of_rates_has_an_accuracy_that_cannot_be(paper):
    rows = {(row.table, row.row) for row in read_tables(EXAMPLE).rates if "ACC" in row.rates}
    assert len(rows) == 29
    assert {(found.table, found.row) for found in paper if found.rule == "ACC between"} == rows


@pytest.mark.parametrize(
    ("rule", "table", "row", "column"),
    [
        ("P of counts", "Table 1", "PR", "P"),
        ("own interval", "Table 3", "validation / ViT", "AUC"),
        ("own interval", "Table 3", "TC1 / VGG16", "AUC"),
        ("AUC of a point", "Table 3", "validation / Swin-transformer", "AUC, SENS, SPEC"),
        ("highest", "Table 3", "TC1 / SE-CrossT", "PPV"),
        ("Bayes", "Table 5", "TC2 / SE-CrossT", "SENS, SPEC, PPV"),
        ("printed twice", "text", "validation / Multimodal", "PPV"),
        ("printed twice", "text", "TC2 / SE-CrossT", "AUC"),
    ],
)
def test_the_paper_contradicts_itself_here(paper, rule, table, row, column):
    assert any((f.rule, f.table, f.row, f.column) == (rule, table, row, column) for f in paper)


def test_the_only_p_value_of_table_1_that_its_numbers_do_not_give_is_that_of_pr(paper):
    assert [found.row for found in paper if found.table == "Table 1"] == ["PR"]


def test_the_odds_ratios_of_table_2_are_consistent(paper):
    assert not [found for found in paper if found.table == "Table 2"]


def test_studies_of_simulated_patients_are_not_accused(benchmark_script):
    assert benchmark_script.false_alarms(10, seed=11) == []


def test_changed_numbers_that_show_at_the_printed_precision_are_found(benchmark_script):
    found = benchmark_script.caught_changes(20, seed=12)
    assert [kind for kind, is_found in found if not is_found] == []


def test_a_true_row_passes():
    assert rates({**TRUE, "AUC": "0.850"}) == set()


@pytest.mark.parametrize(
    ("change", "rule", "columns"),
    [
        ({"ACC": "0.900"}, "ACC between", "ACC, SENS, SPEC"),
        ({"ACC": "0.788"}, "ACC weighted", "ACC, SENS, SPEC"),
        ({"PPV": "0.700"}, "Bayes", "SENS, SPEC, PPV"),
        ({"NPV": "0.700"}, "Bayes", "SENS, SPEC, NPV"),
        ({"AUC": "0.600"}, "AUC of a point", "AUC, SENS, SPEC"),
        ({"AUC": "0.970"}, "AUC of a point", "AUC, SENS, SPEC"),
        ({"SENS": "0.800"}, "whole patients", "SENS"),
        ({"SPEC": "1.811"}, "0 to 1", "SPEC"),
    ],
)
def test_a_changed_rate_breaks_its_rule(change, rule, columns):
    assert (rule, columns) in rates(TRUE | change)


def test_columns_that_are_possible_one_by_one_but_not_together_are_named():
    # Ten of 51 are right; of ten called residual nine are: then one of two pCR patients is found,
    # but there are 14.
    assert rates({"ACC": "0.196", "NPV": "0.900"}) == {("one matrix", "ACC, NPV")}


def test_without_the_number_of_pcr_any_number_may_explain_a_row():
    row = {"SENS": "0.800", "ACC": "0.804"}
    content = {"cohorts": {"A": {"n": 51}}, "t": {"A": {"m": row}}}
    assert audit(tables_of_json(content)) == ()
    assert ("whole patients", "SENS") in rates(row)


def test_models_of_one_cohort_need_one_number_of_pcr():
    rows = {"one": {"SENS": "0.333", "ACC": "0.5"}, "two": {"SENS": "0.200", "ACC": "0.5"}}
    content = {"cohorts": {"A": {"n": 8}}, "t": {"A": rows}}
    assert [found.rule for found in audit(tables_of_json(content))] == ["one cohort"]


def test_without_patients_only_what_holds_for_any_is_judged():
    content = {"t": {"A": {"m": {"ACC": "0.9", "SENS": "0.5", "SPEC": "0.6", "PPV": "0.123"}}}}
    assert [found.rule for found in audit(tables_of_json(content))] == ["ACC between"]


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ({"est": "0.804", "lo": "0.675", "hi": "0.890"}, None),
        ({"est": "0.804", "lo": "0.810", "hi": "0.900"}, "own interval"),
        ({"est": "0.804", "lo": "0.8", "hi": "0.9"}, None),
        ({"est": "0.804", "lo": "0.700", "hi": "1.020"}, "limits"),
        ({"est": "0.804", "lo": "0.790", "hi": "0.820"}, "too narrow"),
    ],
)
def test_an_interval_holds_its_value_lies_within_0_and_1_and_is_wide_enough(cell, rule):
    found = rates({**TRUE, "ACC": cell})
    assert {name for name, _ in found} == ({rule} if rule else set())


def test_an_auc_whose_interval_no_patients_allow_is_too_narrow():
    row = {"AUC": {"est": "0.850", "lo": "0.820", "hi": "0.880"}}
    assert rates(row) == {("too narrow", "AUC")}


def test_a_printed_matrix_must_have_n_patients():
    counts = {"tp": 11, "fn": 3, "tn": 30, "fp": 8}
    assert rates({**TRUE, "counts": counts}) == {("counts", "n")}


def test_a_cohort_is_its_two_classes():
    assert ("sum", "n") in rates(TRUE, non_pCR=36)


def test_cohorts_add_up():
    cohorts = {
        "unifocal": {"n": 491},
        "train": {"n": 391},
        "validation": {"n": 49},
        "TC1": {"n": 50},
    }
    found = audit(tables_of_json({"cohorts": cohorts}))
    assert [(one.rule, one.row, one.column) for one in found] == [("sum", "unifocal", "n")]


LEVELS = [
    {"level": "no", "pCR": 112, "pCR_pct": "72.3", "non_pCR": 302, "non_pCR_pct": "68.5"},
    {"level": "yes", "pCR": 43, "pCR_pct": "27.7", "non_pCR": 139, "non_pCR_pct": "31.5"},
]


@pytest.mark.parametrize("p", ["0.380", "0.437", "0.418", ">0.05"])
def test_p_of_counts_may_be_chi_square_corrected_or_fisher(p):
    assert groups({"levels": LEVELS, "p_printed": p}) == []


def test_p_of_counts_of_another_test_is_found_or_not_judged():
    assert groups({"levels": LEVELS, "p_printed": "<0.001"}) == ["P of counts"]
    assert groups({"levels": LEVELS, "p_printed": "0.418", "test": "chi-square"}) == ["P of counts"]
    assert groups({"levels": LEVELS, "p_printed": "<0.001", "test": "trend"}) == []


def test_levels_add_up_and_give_their_percentages():
    changed = [LEVELS[0] | {"pCR": 110}, LEVELS[1]]
    assert groups({"levels": changed}) == ["sum", "percent"]


def test_percentages_may_be_of_the_level():
    shares = [(27.1, 72.9), (23.6, 76.4)]
    levels = [
        level | {"pCR_pct": str(a), "non_pCR_pct": str(b)}
        for level, (a, b) in zip(LEVELS, shares, strict=True)
    ]
    assert groups({"levels": levels}) == []


def test_p_of_means_is_that_of_a_t_test_unless_a_rank_test_is_named():
    age = {"pCR": {"mean": "52.52", "sd": "9.17"}, "non_pCR": {"mean": "53.17", "sd": "9.24"}}
    assert groups({**age, "p_printed": "0.448"}) == []
    assert groups({**age, "p_printed": "0.048"}) == ["P of means"]
    assert groups({**age, "p_printed": "0.048", "test": "mann-whitney"}) == []


def test_an_odds_ratio_fits_its_interval_and_p():
    assert effect("7.127", "1.735", "29.272") == []
    assert effect("7.127", "7.735", "29.272") == ["own interval"]
    assert effect("5.127", "1.735", "29.272", p="0.023") == ["symmetric"]
    assert effect("7.127", "1.735", "29.272", p="0.060") == ["P of interval"]
    assert effect("5.127", "1.735", "29.272", interval="profile") == []


def test_a_json_number_is_read_with_the_decimals_of_its_table():
    numbers = {"A": {"m": {"SENS": 0.87, "SPEC": 0.875, "ACC": 0.86}}}
    assert [found.rule for found in audit(tables_of_json({"t": numbers}))] == ["ACC between"]
    texts = {"A": {"m": {"SENS": "0.87", "SPEC": "0.875", "ACC": "0.86"}}}
    assert audit(tables_of_json({"t": texts})) == ()


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0.87", (0.865, 0.875)),
        ("87.0%", (0.8695, 0.8705)),
        ("<0.001***", (0.0, 0.001)),
        ("> 0.05", (0.05, float("inf"))),
        ("−1.5", (-1.55, -1.45)),
        ("51", (50.5, 51.5)),
    ],
)
def test_a_printed_number_stands_for_all_that_rounds_to_it(text, span):
    assert read_number(text, where="x").span == pytest.approx(span)


@pytest.mark.parametrize("text", ["n.s.", "nan", "1,5"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(TableError, match=r"row 3: expected a (finite )?number"):
        read_number(text, where="row 3")


RATES_CSV = """cohort,model,n,num_pcr,acc,sens,spec,auc,auc_low,auc_high,tp,fp,fn,tn
TC1,A,51,14,0.804,0.786,0.811,0.850,0.732,0.968,11,7,3,30
TC1,B,51,14,0.902,0.786,0.811,0.850,0.852,0.968,,,,
"""
LEVELS_CSV = """variable,level,pcr,pcr_percent,non_pcr,non_pcr_percent,p
PR,no,112,72.3%,302,68.5%,<0.001
PR,yes,43,27.7%,139,31.5%,
"""
EFFECTS_CSV = "row,or,or_low,or_high,p\nKi-67,1.021,1.010,1.033,<0.001\nx,2.0,2.2,3.0,\nref,1,,,\n"


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (RATES_CSV, ["ACC between", "own interval"]),
        (RATES_CSV.replace("num_pcr", "prevalence").replace(",14,", ",27%,"), None),
        (LEVELS_CSV, ["P of counts"]),
        (EFFECTS_CSV, ["own interval"]),
    ],
)
def test_each_kind_of_csv_is_audited(tmp_path, text, rules):
    path = tmp_path / "table.csv"
    path.write_text(text)
    found = [one.rule for one in audit(read_tables(path))]
    assert found == (rules or ["ACC between", "own interval"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "x,y\n1,2\n", r"a\.csv: header: expected columns such as acc, auc"),
        ("a.csv", RATES_CSV.replace("0.811", "high"), "line 2, spec: expected a number"),
        ("a.csv", RATES_CSV.replace(",51,", ",many,"), "expected tables as in the manual"),
        ("a.json", "{", "expected tables as in the manual"),
        ("a.json", "[]", "expected an object, got list"),
        ("a.json", '{"x": 1}', "expected rates by cohort and model"),
        ("a.json", '{"t": {"A": {"m": {"ACC": {"lo": 1}}}}}', "KeyError 'est'"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_tables(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TableError, match=r"none\.csv: expected a table"):
        read_tables(tmp_path / "none.csv")


def test_the_list_in_words_names_table_row_and_count(paper):
    text = as_text(paper)
    assert "Table 3, TC1 / VGG16: AUC 0.614 (0.617–0.684). AUC lies outside its own" in text
    assert text.endswith(".")
    assert f"{len(paper)} contradictions" in text
    assert as_text(()).startswith("No contradiction found")


def metrics(seed, num, places, pull=0.0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, num)
    parts = (("primary", "validation"), ("TC1", "test"), ("TC2", "test"))

    def probability(y):
        return round(float(np.clip((1 - pull) * rng.random() + pull * y, 0, 1)), places)

    runs = {
        run: [
            Prediction(f"{part}{n}", part, split, int(y), probability(y), tuple(Modality))
            for part, split in parts
            for n, y in enumerate(label)
        ]
        for run in ("net", "clinical_only")
    }
    quick = EvaluateSettings(replicates=200)
    return evaluate(runs, quick, is_simulated=True, cohort_name="x")


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6),
    st.integers(1, 60),
    st.sampled_from([1, 2, 8]),
    st.sampled_from([0.0, 0.3, 0.6]),
)
def test_our_own_metrics_never_contradict_themselves(seed, num, places, pull):
    content = metrics(seed, num, places, pull)
    assert audited(content).contradictions == ()
    assert audit(tables_of_metrics(content)) == ()


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("sensitivity", {"value": 0.123}),
        ("auc", {"low": 0.99, "high": 0.995}),
        ("counts", {"tp": 1}),
        ("mcc", {"value": 2.0}),
        ("calibration", {"brier": {"value": 0.9, "low": 0.1, "high": 0.2}}),
    ],
)
def test_metrics_that_were_changed_are_found(tmp_path, key, change):
    content = metrics(1, 60, 8)
    path = write_record(tmp_path, content)
    changed = json.loads(path.read_text())
    found = changed["runs"]["net"]["cohorts"]["TC1"][key]
    for name, value in change.items():
        found[name] = found[name] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(changed))
    assert audit(read_tables(path)) != ()
