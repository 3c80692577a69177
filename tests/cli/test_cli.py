import inspect
import json
import shlex
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from neoresponse import __version__
from neoresponse.cli import main
from neoresponse.cli.console import show_left_out
from neoresponse.contracts.flow import Flow, Reason
from neoresponse.contracts.record import write_record
from neoresponse.settings.toml import to_toml

VERBS = (
    *("phantom", "check", "split", "prepare", "reference", "search", "train", "predict"),
    *("evaluate", "explain", "report", "study", "demo", "describe", "regress", "audit", "plan"),
    *("leaks", "controls", "clean", "doctor"),
)


def call(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.output


def test_verbs_stand_in_the_order_of_the_data():
    assert tuple(main.commands) == VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    assert "Usage" in call(verb, "--help")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_an_example_that_the_command_line_takes(verb):
    command = main.commands[verb]
    paragraphs = inspect.cleandoc(command.help).split("\n\n")
    (example,) = [text for text in paragraphs if text.startswith("Example: ")]
    program, named, *arguments = shlex.split(example.removeprefix("Example: "))
    assert (program, named) == ("neoresponse", verb)
    command.make_context(verb, arguments)


def test_the_summary_of_every_verb_fits_on_its_line():
    said = call("--help")
    assert all(f"  {verb} " in said for verb in VERBS)
    assert "..." not in said.split("Commands:")[1]


def test_version_has_one_source():
    assert __version__ in call("--version")


def test_help_needs_no_heavy_import():
    code = (
        "import sys; from neoresponse.cli import main; "
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules); "
        "sys.exit(1 if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_usage_is_exit_code_2():
    assert "Missing argument" in call("phantom", code=2)
    assert "--patients" in call("phantom", "out", "--patients", "0", code=2)


def test_the_next_command_names_a_split_only_where_there_is_one(phantom, tiny, tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(to_toml(tiny))
    cohort, split = phantom / "cohort", tmp_path / "split"
    said = call("prepare", cohort, tmp_path / "prepared", "--config", config)
    assert f"Next: neoresponse split {cohort} {split}\n" in said
    call("split", cohort, split, "--config", config)
    said = call("prepare", cohort, tmp_path / "prepared", "--config", config, "--force")
    assert f"Next: neoresponse train {tmp_path / 'prepared'} {split} " in said


def test_a_cohort_of_another_size_than_the_preset_is_split_by_the_ratio_and_says_so(
    phantom, tmp_path
):
    said = call(
        "split",
        phantom / "cohort",
        tmp_path / "split",
        "--config",
        "guo2024",
        "--set",
        "split.ratio=[4,3,3]",
    )
    assert "the preset's sizes [391, 49, 51] are for 491 patients, this cohort has" in said
    assert said.count("decides") == 1


def test_a_study_ends_by_saying_who_was_left_out_and_why(tmp_path):
    flow = Flow(
        cohort_name="c",
        is_simulated=True,
        note="",
        num_rows=27,
        num_excluded=3,
        num_included=24,
        reasons=(Reason(reason="US-0 frame missing", num_patients=3),),
        counts={},
        available={},
    )
    write_record(tmp_path, flow)
    said = CliRunner().invoke(_as_command(lambda: show_left_out(tmp_path))).output
    assert said == "3 of 27 patients left out\n  3: US-0 frame missing\n"


def test_a_wrong_verb_is_answered_with_the_nearest():
    assert "Did you mean 'predict'?" in call("predcit", code=2)


@pytest.mark.parametrize(
    "words",
    [
        "study absent.toml OUT",
        "train absent SPLIT OUT",
        "train STORE SPLIT OUT --config gou2024",
        "search absent SPLIT OUT",
        "predict RUN absent OUT",
        "explain RUN absent OUT",
        "controls RUN absent OUT",
    ],
)
def test_what_is_not_there_is_told_before_torch_is_imported(words, tmp_path):
    code = (
        "import sys; from neoresponse.cli import main\n"
        f"try: main({words.split()})\n"
        "finally: assert 'torch' not in sys.modules, 'torch was imported'"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "AssertionError" not in ended.stderr
    assert "expected" in ended.stderr
    assert not any(tmp_path.iterdir())


def test_doctor_names_what_is_there():
    found = json.loads(call("doctor", "--json"))
    assert {"Python", "torch", "free disk"} <= {item["name"] for item in found}


def test_published_counts_are_printed_for_596_patients(tmp_path):
    """The table alone, without images, is enough to split."""
    from neoresponse.cohort.split import split_patients, write_split
    from neoresponse.settings.toml import run_settings
    from neoresponse.types import Patient

    settings = run_settings("guo2024")
    groups = ((False, 1, 132), (False, 0, 359), (True, 1, 23), (True, 0, 82))
    people = [(focal, label) for focal, label, num in groups for _ in range(num)]
    patients = [Patient(f"P{i:04}", label, focal) for i, (focal, label) in enumerate(people)]
    (tmp_path / "split").mkdir()
    assignments = split_patients(patients, settings.split, seed=1)
    write_split(tmp_path / "split", assignments, settings.train.augment, seed=1)
    from neoresponse.cli.console import show_split

    result = CliRunner().invoke(_as_command(lambda: show_split(tmp_path / "split")))
    assert result.output.splitlines() == [
        "train: 391 patients, 105 pCR, 286 residual",
        "validation: 49 patients, 13 pCR, 36 residual",
        "TC1: 51 patients, 14 pCR, 37 residual",
        "TC2: 105 patients, 23 pCR, 82 residual",
        "training samples: 601 after balancing, 3005 after augmentation, "
        "12,020 with all ultrasound versions",
    ]


def _as_command(function):
    import click

    return click.command()(function)


def test_the_verbs_in_order_make_what_study_makes(phantom, tiny, tmp_path):

    config = tmp_path / "tiny.toml"
    config.write_text(to_toml(tiny))
    cohort, work = phantom / "cohort", tmp_path / "w"
    with_config = ("--config", config)
    assert "24 patients included, 0 left out" in call("check", cohort, work / "check")
    assert "training samples" in call("split", cohort, work / "split", *with_config)
    assert "Next: neoresponse train" in call("prepare", cohort, work / "prepared", *with_config)
    reference = call("reference", work / "prepared", work / "split", work / "reference")
    assert f"--reference {work / 'reference'}" in reference
    run = work / "runs" / "se_crosst"
    call("train", work / "prepared", work / "split", run, *with_config)
    call("predict", run, work / "prepared")
    evaluated = call("evaluate", run, work / "evaluation", *with_config)
    assert "No reference models" not in evaluated
    call("explain", run, work / "prepared", work / "explain" / "se_crosst", *with_config)
    output = call("report", work, work / "report")
    assert "report.html" in output
    page = (work / "report" / "report.html").read_text()
    assert "SIMULATED" in page
    assert "For research use only" in page
    call("predict", run, work / "prepared", code=1)  # refuses to overwrite
    call("predict", run, work / "prepared", work / "as_new")
    said = call("evaluate", work / "as_new", work / "as_new_evaluation")
    assert "No reference models for these patients" in said  # those there are of the split
    metrics = json.loads((work / "as_new_evaluation" / "metrics.json").read_text())
    assert list(metrics["runs"]) == ["as_new"]
    own = json.loads((work / "evaluation" / "metrics.json").read_text())
    assert {"clinical_only", "subtype_only", "size_change_only"} < set(own["runs"])
    assert own["subgroups"]
    assert metrics["subgroups"]
    assert metrics["is_simulated"]
    assert metrics["cohort_name"] == "Phantom easy, seed 1"
    assert metrics["runs"]["as_new"]["threshold"] == own["runs"]["se_crosst"]["threshold"]
    assert "different names" in call("evaluate", run, run, work / "twice", code=1)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("missing file", "P"),
        ("duplicate patient", "P"),
        ("wrong column", "patients.csv"),
        ("unreadable image", "P"),
        ("no label", "P"),
    ],
)
def test_bad_input_is_one_sentence_naming_patient_or_row(phantom, tmp_path, damage, sentence):
    cohort = shutil.copytree(phantom / "cohort", tmp_path / "cohort")
    table = cohort / "patients.csv"
    lines = table.read_text().splitlines()
    header = lines[0].split(",")
    first = lines[1].split(",")
    patient = first[header.index(_column(cohort, "patient_id"))]
    if damage == "missing file":
        (cohort / first[header.index(_column(cohort, "us_0"))]).unlink()
    elif damage == "duplicate patient":
        lines.append(lines[1])
    elif damage == "wrong column":
        lines[0] = lines[0].replace(_column(cohort, "us_0"), "something else")
    elif damage == "unreadable image":
        (cohort / first[header.index(_column(cohort, "us_0"))]).write_bytes(b"no image at all")
    else:
        first[header.index(_column(cohort, "pcr"))] = ""
        lines[1] = ",".join(first)
    table.write_text("\n".join(lines) + "\n")
    output = call("check", cohort, code=1)
    grave = [line for line in output.splitlines() if line.startswith(("stop", "exclude"))]
    named = patient if sentence == "P" else _column(cohort, "us_0")
    assert grave
    assert all(named in line for line in grave)


def _column(cohort, word):
    import tomllib

    return tomllib.loads((cohort / "cohort.toml").read_text())["columns"][word]


def test_a_folder_that_is_no_cohort_is_refused_in_one_sentence(tmp_path):
    output = call("check", tmp_path, code=1)
    assert output.count("\n") == 1
    assert "expected a folder with cohort.toml" in output


def test_an_existing_folder_is_not_replaced_unless_forced(phantom, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("keep")
    assert "found one with files in it" in call(
        "check", phantom / "cohort", tmp_path / "out", code=1
    )
    assert (tmp_path / "out" / "precious.txt").exists()


def test_a_study_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("keep")
    assert "found other files" in call("demo", tmp_path / "out", "--force", code=1)
    assert (tmp_path / "out" / "precious.txt").exists()


def test_audit_lists_the_contradictions_of_a_table_and_exits_with_1(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("model,cohort,n,num_pcr,acc,sens,spec\nnet,test,51,14,0.882,0.878,0.855\n")
    printed = call("audit", table, code=1)
    assert "ACC between" in printed
    assert {row["rule"] for row in json.loads(call("audit", table, "--json", code=1))}
    table.write_text("model,cohort,n,num_pcr,acc,sens,spec\nnet,test,51,14,0.863,0.857,0.865\n")
    call("audit", table)


def test_plan_says_what_a_study_can_show():
    printed = call("plan", "--n", 491, "--prevalence", 0.27)
    assert "test: 49 patients, 13 with pCR" in printed
    assert json.loads(call("plan", "--n", 491, "--prevalence", 0.27, "--json"))
