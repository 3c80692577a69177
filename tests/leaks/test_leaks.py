"""The audit for leaks: each kind planted once, and clean tables that stay silent."""

import json
import shutil
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from neoresponse.cli import main
from neoresponse.errors import CohortError, TableError
from neoresponse.leaks import (
    KINDS,
    Leak,
    Sources,
    as_text,
    find_leaks,
    gather,
)
from neoresponse.leaks.outcome import outcome_columns, outcome_files
from neoresponse.leaks.patients import Entry, same_ids, same_people
from neoresponse.leaks.values import as_day, as_number, plain_value


def table(num=120, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Entry(
            f"P{row:03d}",
            "test" if row % 5 == 0 else "train",
            int(rng.random() < 0.3),
            {
                "age": str(rng.integers(30, 80)),
                "bmi": f"{rng.normal(25, 4):.1f}",
                "size": str(rng.integers(8, 70)),
                "ki67": str(rng.integers(1, 99)),
                "er": str(rng.choice(["neg", "pos"])),
                "stage": str(rng.choice(["I", "II", "III"])),
            },
        )
        for row in range(num)
    ]


def with_column(entries, name, texts):
    return [
        replace(e, cells=e.cells | {name: text}) for e, text in zip(entries, texts, strict=True)
    ]


def kinds(found):
    return {leak.kind for leak in found}


def test_a_clean_table_gives_nothing():
    assert find_leaks(Sources(tuple(table(400)))) == ()


@pytest.mark.parametrize("written", ["P010", "p010", "P-10", "P 0010"])
def test_an_id_in_two_parts_is_found_however_it_is_written(written):
    (leak,) = same_ids([*table(), Entry(written, "train", 0)])
    assert leak.kind == "patient in two parts"
    assert "P010 (test)" in leak.sentence


@pytest.mark.parametrize("other", ["P110", "Q010", "P010a"])
def test_another_id_is_another_patient(other):
    assert not same_ids([*table(60), Entry(other, "train", 0)])


def test_the_same_values_under_another_id_are_one_person():
    entries = table()
    (leak,) = same_people([*entries, replace(entries[7], patient_id="X1", part="test")])
    assert leak.patients == ("P007", "X1")
    assert entries[7].cells["bmi"] not in leak.sentence


def test_columns_that_no_model_gets_help_to_know_a_person():
    def days(first, number, step):
        return (date(first, 1, 1) + timedelta(step * number % 9000)).isoformat()

    entries = [
        replace(
            e,
            cells={"er": e.cells["er"]},
            others={"born": days(1950, n, 577), "seen": days(2005, n, 401)},
        )
        for n, e in enumerate(table())
    ]
    assert not same_people(entries)
    found = same_people([*entries, replace(entries[3], patient_id="X1")])
    assert [leak.patients for leak in found] == [("P003", "X1")]


def test_values_are_the_same_however_they_are_written():
    assert plain_value("45") == plain_value("45.0") == plain_value("45,0")
    assert plain_value("2019-03-01") == plain_value("01.03.2019")
    assert plain_value(" HR+ ") == plain_value("hr+")
    assert as_number("12 %") == 12
    assert as_number("inf") is None
    assert as_day("2019-02-30") is None
    assert as_day("123456") is None
    assert as_day("20190301") == date(2019, 3, 1)


@pytest.mark.parametrize(
    "name", ["RCB class", "ypT", "Surgery_date", "pathological response", "postop_size", "relapse"]
)
def test_a_column_known_after_surgery_is_found_by_its_name(name):
    entries = table()
    found = outcome_columns(with_column(entries, name, ["1"] * len(entries)))
    assert [leak.kind for leak in found] == ["outcome in a column"]


@pytest.mark.parametrize("name", ["size_mm", "preoperative size", "T stage", "response rate US"])
def test_a_column_of_a_harmless_name_is_not(name):
    entries = table()
    assert not outcome_columns(with_column(entries, name, ["1"] * len(entries)))


def test_a_number_that_tells_the_outcome_is_found_in_either_direction():
    entries = table()
    for sign in (1, -1):
        texts = [f"{sign * (e.label + n / 1000):.3f}" for n, e in enumerate(entries)]
        (leak,) = outcome_columns(with_column(entries, "x", texts))
        assert "AUC 1.000" in leak.sentence


def test_a_good_predictor_is_no_leak():
    rng = np.random.default_rng(1)
    entries = table(500)
    texts = [f"{rng.normal() + 1.2 * e.label:.3f}" for e in entries]  # an AUC of 0.8
    assert not outcome_columns(with_column(entries, "x", texts))


def test_words_of_many_kinds_do_not_tell_an_outcome_by_chance():
    rng = np.random.default_rng(1)
    entries = table(300)
    texts = [f"w{rng.integers(100)}" for _ in entries]
    assert not outcome_columns(with_column(entries, "x", texts))


def test_a_column_filled_for_one_outcome_is_found():
    entries = table()
    texts = [("a" if n % 2 else "b") if e.label else "" for n, e in enumerate(entries)]
    (leak,) = outcome_columns(with_column(entries, "x", texts))
    assert "missing by outcome" in leak.sentence


def test_a_day_after_surgery_is_found_and_one_before_is_not():
    entries = table()
    days = [date(2019, 1, 1) + timedelta(n) for n in range(len(entries))]
    entries = with_column(entries, "operation day", [day.isoformat() for day in days])
    for shift, is_found in ((10, True), (-90, False)):
        texts = [(day + timedelta(shift)).isoformat() for day in days]
        found = outcome_columns(with_column(entries, "scan", texts))
        assert any("'scan'" in leak.sentence for leak in found) is is_found


@pytest.mark.parametrize("holds", ["folder", "name without its digits", "file type"])
def test_files_that_tell_the_outcome_are_found(tmp_path, holds):
    entries = []
    for number, entry in enumerate(table(100)):
        word = ("no", "yes")[entry.label]
        folder = tmp_path / (word if holds == "folder" else "all")
        folder.mkdir(exist_ok=True)
        stem = f"{word if holds.startswith('name') else 'f'}{number}"
        path = folder / f"{stem}.{('png', 'jpg')[entry.label] if holds == 'file type' else 'png'}"
        path.write_bytes(b"x" * (50 + number % 7))
        entries.append(replace(entry, images={"us_0": path}))
    (leak,) = outcome_files(entries)
    assert leak.sentence.startswith(f"{holds} of us_0")


def write_images(folder, num=4):
    """Noise pictures of patients and a CSV that names them."""
    rng = np.random.default_rng(2)
    folder.mkdir()
    lines = ["patient_id,split,label,age,us_0"]
    for number in range(num):
        Image.fromarray(rng.integers(0, 255, (80, 90), dtype=np.uint8)).save(
            folder / f"{number}.png"
        )
        lines.append(
            f"P{number},{'test' if number else 'train'},{number % 2},{40 + number},{number}.png"
        )
    (folder / "patients.csv").write_text("\n".join(lines) + "\n")
    return folder / "patients.csv"


def add_picture(path, name, picture, **saving):
    picture.save(path.parent / name, **saving)
    with path.open("a") as file:
        file.write(f"Q1,test,1,71,{name}\n")


def test_pictures_of_a_csv_are_found_and_differ(tmp_path):
    given = gather([write_images(tmp_path / "c")])
    assert [set(entry.images) for entry in given.table] == [{"us_0"}] * 4
    assert given.table[0].cells == {"age": "40"}
    assert find_leaks(given) == ()


def test_the_same_file_at_two_patients_is_found(tmp_path):
    path = write_images(tmp_path / "c")
    shutil.copyfile(path.parent / "0.png", path.parent / "z.png")
    with path.open("a") as file:
        file.write("Q1,test,1,71,z.png\n")
    (leak,) = find_leaks(gather([path]))
    assert (leak.kind, leak.patients) == ("copied image", ("P0", "Q1"))
    assert "the same file" in leak.sentence


def test_the_same_pixels_in_another_file_are_found(tmp_path):
    path = write_images(tmp_path / "c")
    add_picture(path, "z.tif", Image.open(path.parent / "0.png"))
    (leak,) = find_leaks(gather([path]))
    assert leak.kind == "copied image"
    assert "the same pixels" in leak.sentence


def test_a_picture_changed_and_saved_again_is_found(tmp_path):
    path = write_images(tmp_path / "c")
    picture = Image.open(path.parent / "0.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    add_picture(path, "z.jpg", picture, quality=60)
    (leak,) = find_leaks(gather([path]))
    assert (leak.kind, leak.patients) == ("near copy", ("P0", "Q1"))


def test_file_names_of_changed_versions_in_two_parts_are_found(tmp_path):
    path = write_images(tmp_path / "c")
    other = np.random.default_rng(9).integers(0, 255, (80, 90), dtype=np.uint8)
    add_picture(path, "0_flip2.png", Image.fromarray(other))
    found = find_leaks(gather([path]))
    assert kinds(found) == {"changed before the split"}


def test_a_cohort_with_its_split_and_run_is_audited_together(phantom, store, predicted, tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copytree(store.folder, tmp_path / "prepared")
    shutil.copytree(predicted, tmp_path / "runs" / "se_crosst")
    answer = CliRunner().invoke(main, ["leaks", str(phantom), str(tmp_path)])
    assert answer.output.splitlines() == [
        "No leak found in what was given.",
        "Not checked: test opened again. That needs a study with its ledger.",
    ]
    assert answer.exit_code == 0


def test_the_verb_prints_json_and_exits_with_one(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("patient_id,split,age\nA1,train,40\nA2,train,50\na1,test,40\n")
    answer = CliRunner().invoke(main, ["leaks", str(path), "--json"])
    assert answer.exit_code == 1
    assert [leak["kind"] for leak in json.loads(answer.stdout)] == ["patient in two parts"]


def test_a_folder_without_anything_to_audit_is_refused(tmp_path):
    with pytest.raises(CohortError, match="expected a cohort, study, store"):
        gather([tmp_path])


def test_a_csv_without_patients_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError, match="expected patients with a column patient_id"):
        gather([tmp_path / "t.csv"])


def test_an_image_that_is_not_there_is_named_by_its_row(tmp_path):
    path = write_images(tmp_path / "c")
    with path.open("a") as file:
        file.write("Q1,test,1,71,lost.png\n")
    with pytest.raises(TableError, match=r"row 6, column 'us_0': expected a file, got none"):
        gather([path])


def test_an_image_outside_the_folder_of_the_table_is_refused(tmp_path):
    path = write_images(tmp_path / "c")
    shutil.copyfile(path.parent / "0.png", tmp_path / "z.png")
    with path.open("a") as file:
        file.write("Q1,test,1,71,../z.png\n")
    with pytest.raises(TableError, match="expected a path inside"):
        gather([path])


def test_an_image_that_cannot_be_read_is_passed_over(tmp_path):
    path = write_images(tmp_path / "c")
    (path.parent / "1.png").write_bytes(b"no picture")
    assert find_leaks(gather([path])) == ()
    answer = CliRunner().invoke(main, ["leaks", str(path)])
    assert answer.exit_code == 1
    assert "No leak found in what could be read." in answer.output
    assert "Could not be read, so not checked: P1, us_0:" in answer.output


@pytest.mark.parametrize(
    ("header", "unread"),
    [("label", True), ("response", True), ("y", True), ("grade", False)],
)
def test_an_outcome_that_cannot_be_read_is_no_all_clear(tmp_path, header, unread):
    path = tmp_path / "t.csv"
    rows = [f"P{n},{1 + n % 2},{30 + n}" for n in range(12)]
    path.write_text("\n".join([f"patient_id,{header},age", *rows]) + "\n")
    answer = CliRunner().invoke(main, ["leaks", str(path)])
    assert answer.exit_code == int(unread)
    assert ("No leak found in what was given." in answer.output) is not unread
    assert ("Say which value means pCR" in answer.output) is unread
    assert "Not checked: outcome in a column by its values." in answer.output


def test_the_outcome_tells_its_column_however_it_is_written(tmp_path):
    path = tmp_path / "t.csv"
    for yes, no in (("1", "0"), ("1.0", "0.0"), ("pCR", "RD"), ("yes", "no"), ("True", "False")):
        rows = [f"P{n:02d},{no if n % 3 else yes},{n % 3 * (5 + n % 4)}" for n in range(80)]
        path.write_text("\n".join(["patient_id,label,bed_mm", *rows]) + "\n")
        assert kinds(find_leaks(gather([path]))) == {"outcome in a column"}


def test_a_prepared_store_alone_is_audited_by_its_arrays(store):
    given = gather([store.folder])
    assert len(given.table) == 24
    assert find_leaks(given) == ()


def test_a_long_list_is_cut_kind_by_kind():
    many = [Leak("near copy", (), f"pair {n}") for n in range(60)]
    text = as_text([*many, Leak("patient in two parts", (), "one")])
    assert text.startswith("[patient in two parts] one\n[near copy] pair 0\n")
    assert "61 found: 1 patient in two parts, 60 near copy." in text
    assert len(text.splitlines()) == 1 + 51 + 2


def test_there_are_ten_kinds():
    assert len(KINDS) == 10
