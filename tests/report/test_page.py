import base64
import csv
import json
import re
from html.parser import HTMLParser

import pytest

from neoresponse.contracts.metrics import Contradiction
from neoresponse.durable import write_json
from neoresponse.errors import RunError
from neoresponse.report import write_report
from neoresponse.types import RESEARCH_USE

SHOWN = ("auc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "mcc")
HOSTILE = '<script>alert("x")</script> & <b>Co</b> {{ 7 * 7 }}'  # as in conftest.py


class Reader(HTMLParser):
    """Collects what a test asks about: tags with attributes, values of <data>, visible text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.values, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "data":
            self.values.append(float(dict(attrs)["value"]))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def numbers_in(content):
    """Every number of metrics.json that the page shows: values, ends, P values, thresholds."""
    for run in content["runs"].values():
        yield run["threshold"]
        for group in run["cohorts"].values():
            yield group["auc"]["value"]
        for group in (run["cohorts"][cohort] for cohort in ("TC1", "TC2")):
            for name in SHOWN:
                yield from ends(group[name])
    for name in ("se_crosst", "resnet50", "clinical_only"):
        yield from judgement(content["runs"][name]["cohorts"]["TC1+TC2"])
    for comparison in content["comparisons"]:
        if comparison["cohort"] == "TC1+TC2":
            yield from added(comparison)
    for test in content["likelihood_ratios"]:
        yield from (test["p_value"], test["p_adjusted"])


def judgement(group):
    """Calibration before and after, and net benefit, of the main cohort."""
    for key in ("slope", "intercept", "in_the_large", "brier"):
        for found in (group["calibration"], *group["recalibrated"].values()):
            yield from ends(found[key])
    for at in group["decision"]["at"]:
        for key in ("net_benefit", "against_treat_all", "avoided_per_100"):
            yield from ends(at[key])


def added(comparison):
    """A comparison, and what reference model and image together gain."""
    yield from ends(comparison["difference"])
    yield from (comparison["p_value"], comparison["p_adjusted"])
    for benefit in comparison["net_benefit_differences"]:
        yield from ends(benefit)
    if comparison["combined"]:
        yield from ends(comparison["combined"]["log_score"])
        yield from ends(comparison["combined"]["beyond"])


def ends(estimate):
    """A value and both ends of its interval."""
    return (estimate[key] for key in ("value", "low", "high"))


@pytest.fixture(scope="module")
def report(whole_study, tmp_path_factory):
    """The report of the whole study, written once."""
    return write_report(whole_study, tmp_path_factory.mktemp("written") / "report")


@pytest.fixture(scope="module")
def page(report):
    return report.read_text(encoding="utf-8")


def test_the_page_holds_all_it_needs_and_names_no_address(page):
    assert "http://" not in page
    assert "https://" not in page
    tags = Reader(page).tags
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    sources = [attributes["src"] for _, attributes in tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    targets = [attributes["href"] for _, attributes in tags if "href" in attributes]
    assert all(target.startswith("#") for target in targets)


def test_every_link_has_its_section_and_every_image_its_text(page):
    tags = Reader(page).tags
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    assert {a["href"].removeprefix("#") for _, a in tags if "href" in a} <= ids
    assert all(attributes["alt"] for tag, attributes in tags if tag == "img")
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in tags if tag == "th")


@pytest.mark.parametrize("is_simulated", [True, False])
def test_simulated_stands_on_every_figure_and_table_only_when_it_is_so(
    make_study, tmp_path, is_simulated
):
    work = make_study(is_simulated=is_simulated)
    page = write_report(work, tmp_path / "report").read_text(encoding="utf-8")
    drawn = [path.read_text() for path in (tmp_path / "report" / "figures").iterdir()]
    assert len(drawn) == 11
    # Text is drawn as outlines; the SVG names it in a comment.
    assert all(("<!-- SIMULATED -->" in svg) == is_simulated for svg in drawn)
    tables = [path.read_text() for path in (tmp_path / "report" / "tables").iterdir()]
    assert len(tables) == 17
    for table in tables:
        _, *rows = csv.reader(table.splitlines())
        assert {row[-1] for row in rows} == {"SIMULATED" if is_simulated else "patients"}
    inlined = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    assert len(inlined) == 11
    for content in inlined:
        assert ("<!-- SIMULATED -->" in base64.b64decode(content).decode()) == is_simulated
    captions = re.findall(r"<(?:fig)?caption>.*?</(?:fig)?caption>", page, flags=re.DOTALL)
    assert len(captions) > 10
    assert all(("SIMULATED" in caption) == is_simulated for caption in captions)
    assert ("SIMULATED" in page) == is_simulated


def test_one_simulated_part_marks_everything(make_study, tmp_path):
    work = make_study(is_simulated=False, without=("runs", "explain"))
    path = work / "check" / "flow.json"
    path.write_text(path.read_text().replace('"is_simulated": false', '"is_simulated": true'))
    write_report(work, tmp_path / "report")
    for drawn in (tmp_path / "report" / "figures").iterdir():
        assert "<!-- SIMULATED -->" in drawn.read_text()


def test_research_use_stands_at_the_top_and_the_bottom_and_on_every_figure(page, report):
    text = Reader(page).text
    assert text.count(RESEARCH_USE) >= 3
    assert page.index(RESEARCH_USE) < page.index("<h1>")
    assert page.rindex(RESEARCH_USE) > page.index("<footer>")
    for drawn in (report.parent / "figures").iterdir():
        assert RESEARCH_USE in drawn.read_text()


def test_a_hostile_cohort_name_is_text_and_nothing_else(page):
    reader = Reader(page)
    assert HOSTILE in reader.text
    assert "script" not in {tag for tag, _ in reader.tags}


def test_the_numbers_of_the_page_are_those_of_the_metrics(page, whole_study):
    content = json.loads((whole_study / "evaluation" / "metrics.json").read_text())
    shown = set(Reader(page).values)
    wanted = [number for number in numbers_in(content) if number is not None]
    assert len(wanted) > 100
    assert not [number for number in wanted if number not in shown]


def test_the_table_of_metrics_has_every_digit(report, whole_study):
    content = json.loads((whole_study / "evaluation" / "metrics.json").read_text())
    with (report.parent / "tables" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 5
    for row in rows:
        found = content["runs"][row["run"]]["cohorts"][row["cohort"]]
        assert float(row["auc"]) == found["auc"]["value"]
        assert float(row["npv_high"]) == found["npv"]["high"]
        assert int(row["tp"]) == found["counts"]["tp"]


@pytest.mark.parametrize("there", ["evaluation", "check"])
def test_each_absent_part_is_named_with_the_step_that_makes_it(make_study, tmp_path, there):
    steps = {
        "check": "check",
        "split": "split",
        "runs": "train",
        "evaluation": "evaluate",
        "explain": "explain",
    }
    work = make_study(without=tuple(part for part in steps if part != there))
    text = Reader(write_report(work, tmp_path / "report").read_text()).text
    for part, step in steps.items():
        sentence = f"Run neoresponse {step} , then neoresponse report"
        assert (sentence in text) == (part != there)


def test_a_complete_study_misses_nothing(page):
    assert "then neoresponse report" not in Reader(page).text
    assert "Made for a test." in Reader(page).text


def test_a_folder_without_any_part_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="expected a study folder"):
        write_report(tmp_path / "empty", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_report_is_replaced_only_by_force(make_study, tmp_path):
    work = make_study(without=("runs", "evaluation", "explain"))
    write_report(work, tmp_path / "report")
    with pytest.raises(RunError, match="--force"):
        write_report(work, tmp_path / "report")
    assert write_report(work, tmp_path / "report", force=True).is_file()


def test_the_same_study_gives_the_same_bytes(report, whole_study, tmp_path):
    again = write_report(whole_study, tmp_path / "report")
    files = sorted(path for path in report.parent.rglob("*") if path.is_file())
    assert len(files) == 33
    for path in files:
        assert path.read_bytes() == (again.parent / path.relative_to(report.parent)).read_bytes()


def test_a_missing_heat_map_stops_before_anything_is_written(make_study, tmp_path):
    work = make_study(without=("runs", "evaluation"))
    (work / "explain" / "se_crosst" / "P000_us_0.png").unlink()
    with pytest.raises(RunError, match=r"P000_us_0.png: expected this picture, got none"):
        write_report(work, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_patient_without_an_input_shows_that(page):
    assert "not available" in Reader(page).text


def test_a_group_of_one_class_shows_why_it_has_no_auc(make_study, tmp_path):
    work = make_study(num_patients=1, without=("runs", "explain"))
    page = write_report(work, tmp_path / "report").read_text()
    assert "not estimable: only one of the two classes is present" in Reader(page).text


def test_an_unfinished_training_says_so(make_study, tmp_path):
    work = make_study(without=("evaluation", "explain"))
    (work / "runs" / "se_crosst" / "run.json").unlink()
    page = write_report(work, tmp_path / "report").read_text()
    assert "This training is not finished." in page


def test_predictions_of_the_reference_model_alone_make_a_report(make_study, tmp_path):
    work = make_study(runs=())  # all three reference models, and no network
    page = write_report(work, tmp_path / "report").read_text()
    assert "Nothing to compare: this needs" in page


def test_each_row_of_heat_maps_says_what_its_heat_speaks_for(page):
    text = Reader(page).text
    assert "Probability of pCR: 0.750 Heat: supports pCR" in text
    assert "Probability of pCR: 0.250 Heat: supports residual disease" in text


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("check/flow.json", "num_rows", None),
        ("check/flow.json", "counts", {"unifocal": {"pcr": 1}}),
        ("check/flow.json", "reasons", 7),
        ("split/split.json", "counts", {"train": {"num_patients": "ten", "num_pcr": 1}}),
        ("runs/se_crosst/run.json", "num_parameters", None),
        ("runs/se_crosst/run.json", "num_parameters", "many"),
        ("evaluation/metrics.json", "runs", None),
        ("evaluation/metrics.json", "comparisons", [{}]),
        ("explain/se_crosst/explain.json", "patients", None),
        ("explain/se_crosst/explain.json", "patients", [{"patient_id": "P1"}]),
    ],
)
def test_a_mangled_part_is_refused_in_one_sentence(make_study, tmp_path, file, key, value):
    parts = {"check", "split", "runs", "evaluation", "explain"}
    work = make_study(without=parts - {file.split("/")[0]})
    content = json.loads((work / file).read_text())
    content[key] = value
    if value is None:
        del content[key]
    (work / file).write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"{file}: expected {key}.* Make the file again"):
        write_report(work, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_a_network_below_a_reference_model_is_named_in_the_result(make_study):
    work = make_study(without=("check", "split", "runs", "explain"))
    path = work / "evaluation" / "metrics.json"
    plain = Reader(write_report(work, work / "plain").read_text()).text
    metrics = json.loads(path.read_text())
    metrics["runs"]["size_change_only"]["cohorts"]["TC1+TC2"]["auc"]["value"] = 0.999
    write_json(path, metrics)
    below = Reader(write_report(work, work / "below").read_text()).text
    assert "size change only, AUC 0.999" in below
    assert "Lower AUC than the best reference model: SE-CrossT." in below
    assert "Lower AUC than" not in plain


def test_with_few_patients_the_result_gives_no_verdict_and_draws_no_comparison(make_study):
    work = make_study("few", num_patients=6)  # 4 of 12 test patients have pCR
    path = work / "evaluation" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["runs"]["size_change_only"]["cohorts"]["TC1+TC2"]["auc"]["value"] = 1.0
    write_json(path, metrics)
    text = Reader(write_report(work, work / "report").read_text()).text
    assert "too few to say: fewer than 10 patients with one of the outcomes" in text
    assert "compared with clinical variables only" not in text
    assert "Lower AUC than" not in text
    assert "Correct in one only" not in text
    enough = Reader(write_report(make_study(), work / "enough").read_text()).text
    assert "too few to say" not in enough
    assert "compared with clinical variables only" in enough
    assert "Correct in one only" in enough


def test_with_cross_validation_its_result_is_the_headline(make_study):
    work = make_study()
    auc = {"value": 0.7125, "low": 0.6, "high": 0.8, "num_patients": 40, "method": "", "note": ""}
    numbers = {"auc": auc, "by_fold": [], "deviation_over_folds": 0.1}
    content = {
        **{"is_simulated": True, "cohort_name": "Phantom of the demo"},
        **{"schema": "neoresponse.cross-validation/2", "confidence": 0.95, "num_folds": 5},
        **{"num_repeats": 2, "num_patients": 40, "num_pcr": 9, "num_inner_folds": 0},
        **{"run_order": ["se_crosst", "clinical_only"], "comparisons": [], "times_chosen": {}},
        "runs": {"se_crosst": numbers, "clinical_only": numbers},
    }
    folder = work / "cross-validation" / "evaluation"
    folder.mkdir(parents=True)
    write_json(folder / "cross-validation.json", content)
    text = Reader(write_report(work, work / "report").read_text()).text
    result = text[text.index("Result Cross-validation, 2 × 5 folds") : text.index("Single split")]
    assert "40 patients (9 pCR)" in result
    assert "Clinical variables only" not in result
    assert "0.71" in result
    assert "too few to say" in result


def test_a_contradiction_among_our_numbers_is_shown_in_the_result(make_study):
    work = make_study(without=("check", "split", "runs", "explain"))
    path = work / "evaluation" / "metrics.json"
    found = dict.fromkeys(Contradiction.model_fields, "")
    found["sentence"] = "metrics.json, TC1 / net: AUC 2.0. This cannot be."
    write_json(path, json.loads(path.read_text()) | {"contradictions": [found]})
    text = Reader(write_report(work, work / "report").read_text()).text
    assert "1 contradiction between numbers of this report" in text
    assert "This cannot be." in text


def test_the_page_shows_the_distance_to_the_best_possible_of_a_phantom_alone(make_study):
    work = make_study()
    path = work / "evaluation" / "metrics.json"
    metrics = json.loads(path.read_text())
    estimate = {
        "value": 0.812,
        "low": 0.7,
        "high": 0.9,
        "num_patients": 60,
        "method": "DeLong",
        "confidence": 0.95,
        "note": "",
    }
    limit = {"run": "se_crosst", "cohort": "TC1", "inputs": "us_0+us_1", "num_patients": 60}
    limit |= {"reached": estimate, "best": {**estimate, "value": 0.934}, "gap": estimate}
    plain = write_report(work, work / "plain").read_text()
    write_json(path, {**metrics, "limits": [limit]})
    page = write_report(work, work / "limited").read_text()
    assert "Best possible AUC" in page
    assert "0.934" in page
    assert "Best possible AUC" not in plain
    table = (work / "limited" / "tables" / "limits.csv").read_text()
    assert "us_0+us_1" in table
    assert "SIMULATED" in table
