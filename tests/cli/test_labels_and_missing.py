"""Every spelling of an outcome and of a missing value, through every verb that reads a table.

Each verb reads the same twenty patients; what it counts is compared, or the sentence in which it
asks.
"""

import json
import re

import openpyxl
import pytest
from click.testing import CliRunner

from neoresponse.cli import main
from neoresponse.cohort.label_table import Meaning
from neoresponse.leaks import gather

VERBS = ("check", "describe", "regress", "evaluate", "leaks")
TABLE_VERBS = VERBS[1:]
NUM = 20
PCR_ROWS = range(0, NUM, 3)
NUM_PCR = len(PCR_ROWS)
NAMES = ("patient_id", "label", "age", "er", "p")
TOML = """\
schema = "neoresponse.cohort/1"
name = "Spellings"
[table]
file = "t.csv"
[columns]
patient_id = "patient_id"
pcr = "label"
age_years = "age"
er = "er"
"""
PAIRS = [
    *(("1", "0"), ("1.0", "0.0"), ("1.00", "0"), ("TRUE", "FALSE"), ("True", "False"), ("t", "f")),
    *(("yes", "no"), ("Yes", "NO"), ("Y", "N"), (" yes ", "no"), ("pCR", "RD"), ("PCR", "rd")),
    *(("pCR", "non-pCR"), ("pCR", "no pCR"), ("pcr", "Non_pCR"), ("pCR", "residual disease")),
    *(("pathologic complete response", "Residual  Disease"), ("是", "否"), ("1", "０")),
]
MISSING = (
    *("", "NA", "N/A", "n/a", ".", "/", "-", "n.d.", "unknown", "UNKNOWN", "NaT", "NaN", "nan"),
    *("null", "None", "<NA>", "#N/A", "?", "未知", "not available"),
)
UNCLEAR = {
    "1 and 2": ("2", "1", {}, "got '1', '2'"),
    "1 and 9": ("1", "9", {}, "got '1', '9'"),
    "a word that is none": ("pCR", "not evaluated", {}, "got 'not evaluated', 'pCR'"),
    "three values": ("1", "0", {4: "9"}, "got '0', '1', '9'"),
    "three classes": ("pCR", "RCB-I", {4: "RCB-II"}, "got 'RCB-I', 'RCB-II', 'pCR'"),
    "one value": ("1", "1", {}, "got '1'"),
}
ASKS = "Say which value means pCR (--pcr VALUE)"


def rows_of(yes, no, **columns):
    rows = [
        [f"P{n:02d}", yes if n in PCR_ROWS else no, str(30 + 7 * n % 41), "positive", f"0.{n:02d}7"]
        for n in range(NUM)
    ]
    for name, cells in columns.items():
        for place, text in cells.items():
            rows[place][NAMES.index(name)] = text
    return rows


def write(folder, rows):
    folder = folder / "cohort"
    folder.mkdir()
    lines = [",".join(NAMES), *(",".join(f'"{cell}"' for cell in row) for row in rows)]
    (folder / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "cohort.toml").write_text(TOML, encoding="utf-8")
    return folder / "t.csv"


def call(*words):
    answer = CliRunner().invoke(main, [str(word) for word in words])
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer


def counts(verb, path, **means):
    """Patients with pCR and with residual disease, as a verb counts them."""
    options = [text for key, value in means.items() for text in (f"--{key}", value)]
    if verb == "check":
        call("check", path.parent, path.parents[1] / "out")
        found = json.loads((path.parents[1] / "out" / "flow.json").read_text())["counts"][
            "unifocal"
        ]
        return found["pcr"], found["residual"]
    if verb == "leaks":
        missing = (means["missing"],) if "missing" in means else ()
        given = gather([path], meaning=Meaning(means.get("pcr"), missing))
        assert given.unread == ()
        labels = [entry.label for entry in given.table]
        return labels.count(1), labels.count(0)
    more = ["--probability", "p", "--set", "evaluate.replicates=200"] if verb == "evaluate" else []
    answer = call(verb, path, "--label", "label", *more, *options, "--json")
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    if verb == "evaluate":
        return found["num_pcr"], found["num_patients"] - found["num_pcr"]
    if verb == "describe":
        return found["outcome"]["sizes"]["pCR"], found["outcome"]["sizes"]["residual"]
    age = next(one for one in found["univariable"] if one["variables"][0]["name"] == "age")
    effect = age["variables"][0]["effects"][0]
    return effect["num_events"], effect["num_patients"] - effect["num_events"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("yes", "no"), PAIRS)
def test_every_spelling_of_the_outcome_means_the_same_in_every_verb(tmp_path, verb, yes, no):
    path = write(tmp_path, rows_of(yes, no))
    assert counts(verb, path) == (NUM_PCR, NUM - NUM_PCR)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("word", MISSING)
def test_every_spelling_of_missing_leaves_the_outcome_open_in_every_verb(tmp_path, verb, word):
    path = write(tmp_path, rows_of("pCR", "RD", label={4: word, 6: word}))
    assert counts(verb, path) == (NUM_PCR - 1, NUM - NUM_PCR - 1)


@pytest.mark.parametrize("verb", TABLE_VERBS)
@pytest.mark.parametrize("kind", UNCLEAR)
def test_an_outcome_that_is_not_clear_is_asked_about_in_every_verb(tmp_path, verb, kind):
    yes, no, more, got = UNCLEAR[kind]
    path = write(tmp_path, rows_of(yes, no, label=more))
    columns = {"leaks": [], "evaluate": ["--label", "label", "--probability", "p"]}
    answer = call(verb, path, *columns.get(verb, ["--label", "label"]))
    assert answer.exit_code == 1
    asked = next(line for line in answer.output.splitlines() if got in line)
    assert ASKS in asked
    assert "No leak found in what was given" not in answer.output


@pytest.mark.parametrize("verb", TABLE_VERBS)
@pytest.mark.parametrize(
    ("yes", "no", "means"),
    [
        ("2", "1", {"pcr": "2"}),
        ("1", "9", {"pcr": "1"}),
        ("pCR", "not evaluated", {"pcr": "pcr"}),
        ("0", "1", {"pcr": "0"}),
        ("gone", "left", {"pcr": "Gone "}),
    ],
)
def test_a_named_value_means_pcr_in_every_verb(tmp_path, verb, yes, no, means):
    path = write(tmp_path, rows_of(yes, no))
    assert counts(verb, path, **means) == (NUM_PCR, NUM - NUM_PCR)


@pytest.mark.parametrize("verb", TABLE_VERBS)
def test_a_named_value_means_missing_in_every_verb(tmp_path, verb):
    path = write(tmp_path, rows_of("1", "0", label={4: "9", 6: "9"}))
    assert counts(verb, path, missing="9") == (NUM_PCR - 1, NUM - NUM_PCR - 1)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("written", ["utf-16", "utf-16-le", "gb18030", "cp1252", "sep", "xlsx"])
def test_every_way_of_writing_a_file_reads_the_same_in_every_verb(tmp_path, verb, written):
    path = write(tmp_path, rows_of("pCR", "RD", er={2: "中等" if "gb" in written else "négatif"}))
    text = path.read_text(encoding="utf-8")
    if written == "xlsx":
        book = openpyxl.Workbook()
        for row in (NAMES, *rows_of("pCR", "RD", er={2: "négatif"})):
            book.active.append(row)
        book.save(path)
    elif written == "sep":
        path.write_text("sep=;\n" + text.replace('","', '";"').replace(",", ";"), encoding="utf-8")
    else:
        path.write_bytes(text.encode(written))
    left_out = int(verb == "check")  # a level that the dictionary does not know, of row 4
    assert counts(verb, path) == (NUM_PCR, NUM - NUM_PCR - left_out)


def test_two_spellings_of_a_level_are_one_shown_as_the_more_frequent(tmp_path):
    er = {1: "Positive", 2: " Positive", 3: "negative", 4: "Negative", 5: "negative"}
    path = write(tmp_path, rows_of("1", "0", er=er))
    found = json.loads(call("describe", path, "--label", "label", "--json").stdout)
    levels = {one["name"]: one["levels"] for one in found["outcome"]["variables"]}
    assert levels["er"] == ["negative", "positive"]
    assert counts("check", path) == (NUM_PCR, NUM - NUM_PCR)


@pytest.mark.parametrize(("value", "num"), [("-9", 1), ("999", 3), ("-1", 2)])
@pytest.mark.parametrize("verb", ["check", "describe", "regress"])
def test_a_number_that_stands_out_is_asked_about_and_not_dropped(tmp_path, verb, value, num):
    path = write(tmp_path, rows_of("1", "0", age=dict.fromkeys(range(5, 5 + num), value)))
    words = [path.parent] if verb == "check" else [path, "--label", "label"]
    output = " ".join(call(verb, *words).output.split())
    rows = ", ".join(str(7 + n) for n in range(num))
    where = f"row {rows}" if num == 1 else f"{num} rows ({rows})"
    sentence = rf"olumn 'age': expected numbers like the others \(30 to 6\d\), got {value} in "
    assert re.search(sentence + re.escape(where), output)
    assert "name it as missing" in output


def test_a_minus_beside_a_plus_is_a_level_and_not_missing(tmp_path):
    er = {place: "+" if place % 2 else "-" for place in range(NUM)}
    path = write(tmp_path, rows_of("1", "0", er=er))
    found = json.loads(call("describe", path, "--label", "label", "--json").stdout)
    levels = {one["name"]: one["levels"] for one in found["outcome"]["variables"]}
    assert sorted(levels["er"]) == ["+", "-"]


def test_codes_of_a_cohort_win_over_the_usual_words(tmp_path):
    path = write(tmp_path, rows_of("1.0", "2"))
    toml = TOML + '[codes.pcr]\n1 = "0"\n2 = "1"\n'
    path.with_name("cohort.toml").write_text(toml, encoding="utf-8-sig")
    assert counts("check", path) == (NUM - NUM_PCR, NUM_PCR)
