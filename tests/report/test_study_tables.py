"""Tables 3 to 5 of the paper, filled from a study: who stands where, and which numbers."""

import csv

import pytest

from neoresponse.report import write_report
from neoresponse.report.sources import read_study
from neoresponse.report.study_tables import (
    architecture,
    cells,
    figure_4_rows,
    figure_5_rows,
    images,
    study_tables,
    table_rows,
)
from neoresponse.settings.toml import named_config, study_settings

# The names say nothing on purpose: only settings decide.
NETWORKS = {
    "a": {"backbone": "crossformer", "clinical": False},
    "b": {"backbone": "vgg16", "clinical": False},
    "c": {"backbone": "crossformer", "clinical": False, "se": False},
    "d": {"pathways": ["biopsy"], "clinical": False},
    "e": {"pathways": ["dou_ult"], "clinical": False},
    "f": {"backbone": "crossformer"},
    "g": {"pathways": ["us_1"], "clinical": False},
}


@pytest.fixture(scope="module")
def work(tmp_path_factory, study_maker):
    make = study_maker(tmp_path_factory.mktemp("tables"))
    parts = ("check", "split", "explain")
    return make(runs=tuple(NETWORKS), networks=NETWORKS, without=parts, num_patients=12)


@pytest.fixture(scope="module")
def study(work):
    return read_study(work)


def test_each_table_of_the_paper_holds_the_runs_that_fit_it(study):
    found = {table.number: (dict(table.runs), table.missing) for table in study_tables(study)}
    assert found == {
        3: ({"SE-CrossT": "a", "vgg16": "b"}, ()),
        4: ({"WSIs": "d", "US": "e", "Multimodal": "a"}, ()),
        5: ({"SE-CrossT": "a", "SE-CrossT based": "f"}, ()),
    }


def test_each_table_shows_the_cohorts_of_the_paper(study):
    shown = {t.number: [c for c, *_ in cells(study, t)] for t in study_tables(study)}
    assert shown[3] == ["validation", "validation", "TC1", "TC1"]
    assert shown[5] == ["validation", "validation", "TC1", "TC1", "TC2", "TC2"]


def test_every_number_of_a_table_is_that_of_the_metrics(study):
    for table in study_tables(study):
        for row in table_rows(study, table):
            group = study.groups(row["run"])[row["cohort"]]
            assert row["ACC"] == group.accuracy.value
            assert row["NPV_high"] == group.npv.high
            assert row["AUC_method"] == group.auc.method


def test_panels_of_figure_4_are_those_of_the_paper(study):
    panels = {}
    for row in figure_4_rows(study):
        panels.setdefault(row["panel"], {}).setdefault(row["cohort"], set()).add(row["run"])
    expected = {
        column: {"train": "abcd"[place], "validation": "efgh"[place], "TC1": "ijkl"[place]}
        for place, column in enumerate(("all", "biopsy", "ultrasound", "ablation"))
    }
    runs = {"all": {"a", "b"}, "biopsy": {"d"}, "ultrasound": {"e"}, "ablation": {"a", "c", "f"}}
    for column, letters in expected.items():
        for cohort, letter in letters.items():
            assert panels[letter] == {cohort: runs[column]}


def test_figure_5_is_tc2_without_and_with_clinical_variables(study):
    rows = list(figure_5_rows(study))
    assert {(row["run"], row["cohort"], row["has_clinical"]) for row in rows} == {
        ("a", "TC2", False),
        ("f", "TC2", True),
    }


def test_the_tables_lie_beside_the_page_and_stand_in_it(work, tmp_path):
    page = write_report(work, tmp_path / "report").read_text()
    for number, num_rows in ((3, 4), (4, 6), (5, 6)):
        with (tmp_path / "report" / "tables" / f"table_{number}.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == num_rows
        assert {row["data"] for row in rows} == {"SIMULATED"}
        assert f"Table {number}:" in page
    assert (tmp_path / "report" / "tables" / "figure_4_roc.csv").exists()
    assert (tmp_path / "report" / "tables" / "figure_5_roc.csv").exists()


def test_a_study_of_few_runs_names_what_it_lacks(make_study, tmp_path):
    work = make_study(runs=("only",), networks={"only": {}}, without=("check", "split", "explain"))
    tables = {table.number: table for table in study_tables(read_study(work))}
    assert tables[4].missing == ("WSIs", "US")
    assert dict(tables[5].runs) == {"SE-CrossT based": "only"}
    page = write_report(work, tmp_path / "report").read_text()
    assert "No run in this study for: WSIs, US." in page


def test_runs_without_settings_fill_no_table(make_study):
    work = make_study(runs=("only",), without=("check", "split", "explain"))
    (work / "runs" / "only" / "config.toml").unlink()
    assert study_tables(read_study(work)) == []


def test_the_shipped_study_files_fill_the_tables_that_they_are_for():
    six = study_settings(str(named_config("architectures"))).runs
    assert len(six) == 6
    ablations = study_settings(str(named_config("ablations")))
    seen = {name: images(ablations.run(name).model) for name in ablations.runs}
    assert seen["biopsy"] == {"biopsy"}
    assert seen["ultrasound"] == {"us_0", "us_1"}
    assert architecture(ablations.run("without_clinical").model) == "SE-CrossT"
