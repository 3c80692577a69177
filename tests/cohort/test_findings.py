"""What a finding never tells, and files that may not or cannot be read."""

import shutil
from pathlib import Path

import pytest

from neoresponse.cohort import check_cohort, write_check
from neoresponse.cohort.dictionary import FILE_COLUMNS
from neoresponse.errors import CohortError, ImageError, TableError
from neoresponse.types import Severity

NAMING = ("Smith_Anna_1961.dcm", "../Smith_Anna.png", "C:\\Smith_Anna.png", "Smith_Anna.png")


def only(checked, severity):
    found = [f for f in checked.findings if f.severity is severity]
    assert len(found) == 1, [f.message for f in found]
    return found[0]


def written(checked, out):
    out.mkdir()
    write_check(out, checked)
    files = ("findings.csv", "flow.json", "patients.csv")
    return "".join((out / name).read_text() for name in files)


def forbid(monkeypatch, path, mode=None):
    """Opening one file fails as where its rights forbid it."""
    real = Path.open

    def refuse(self, *args, **options):
        if self == path and mode in (None, *args):
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)


@pytest.mark.parametrize("word", FILE_COLUMNS)
@pytest.mark.parametrize("text", NAMING)
def test_no_path_of_a_file_is_written(cohort, tmp_path, word, text):
    (cohort.folder / "Smith_Anna_1961.dcm").write_bytes(b"II*\x00 neither image nor outline")
    shutil.copy(cohort.folder / "P1_slide.png", cohort.folder / "Smith_Anna.png")
    assert "Smith" not in written(cohort.put("P2", **{word: text}).check(), tmp_path / "out")


def test_an_unusable_patient_id_is_never_written(cohort, tmp_path):
    cohort.rows["copy"] = {**cohort.rows["P4"], "patient_id": "Garcia, Maria"}
    checked = cohort.put("P2", patient_id="Garcia, Maria", er="2", us_0="absent.png").check()
    text = written(checked, tmp_path / "out")
    assert "Garcia" not in text
    assert "row 3,patient_id,exclude" in text
    assert {f.patient_id for f in checked.findings if "row 6" in f.message} >= {"row 6"}
    assert not [f for f in checked.findings if f.patient_id and "Garcia" in f.patient_id]


def test_what_openslide_says_of_a_file_names_no_path(cohort, tmp_path, monkeypatch):
    import openslide

    def refuse(name):
        raise openslide.OpenSlideError(f"Can't open {name}/Slidedat.ini")

    monkeypatch.setattr(openslide.OpenSlide, "detect_format", refuse)
    checked = cohort.check()
    assert "expected a whole slide, got a broken one. Scan" in written(checked, tmp_path / "out")
    assert "Slidedat" not in written(checked, tmp_path / "again")


def test_a_slide_that_breaks_inside_its_outline_is_counted_as_the_slide(cohort, monkeypatch):
    from neoresponse.imaging.slide import Slide

    def refuse(slide, box, *, out_px):
        raise ImageError(f"{slide.path}: expected a whole slide, got a broken one. Scan again.")

    monkeypatch.setattr(Slide, "read_region", refuse)
    found = [f for f in cohort.check().findings if f.severity is Severity.EXCLUDE]
    assert {f.where for f in found} == {"slide"}
    assert found[0].message.startswith("P1, row 2, column 'SLIDE': expected a whole slide")


def test_a_null_character_in_a_path_cell_leaves_out_its_patient(cohort):
    cohort.toml = cohort.toml.replace('file = "table.csv"', 'file = "t.csv"\nencoding = "utf-16"')
    rows = cohort.put("P2", us_0="P2\0.png").put("P3", slide_roi="\0").rows.values()
    cohort.check()  # writes cohort.toml
    lines = [cohort.rows["P1"], *(row.values() for row in rows)]
    text = "\n".join(",".join(line) for line in lines)
    head, body = text.split("\n", 1)
    (cohort.folder / "t.csv").write_text(f"{head.upper()}\n{body}", encoding="utf-16")
    checked = check_cohort(cohort.folder)
    assert [p.patient_id for p in checked.patients] == ["P1", "P4"]
    found = [f for f in checked.findings if f.severity is Severity.EXCLUDE]
    assert [f.where for f in found] == ["us_0", "slide_roi"]
    assert all("expected a readable file, got: an impossible path" in f.message for f in found)


@pytest.mark.parametrize("word", FILE_COLUMNS)
def test_a_file_that_may_not_be_read_leaves_out_its_patient(cohort, monkeypatch, word):
    shutil.copy(cohort.folder / cohort.rows["P2"][word], cohort.folder / "locked")
    forbid(monkeypatch, cohort.folder / "locked")
    finding = only(cohort.put("P2", **{word: "locked"}).check(), Severity.EXCLUDE)
    assert finding.where == word
    assert "expected a readable file, got: Permission denied" in finding.message


def test_a_table_that_may_not_be_read_stops(cohort, monkeypatch):
    forbid(monkeypatch, cohort.folder / "table.csv", mode="rb")
    message = only(cohort.check(), Severity.STOP).message
    assert "table.csv: expected a readable file, got: Permission denied" in message


def test_a_cohort_file_that_may_not_be_read_is_refused(cohort, monkeypatch):
    cohort.check()
    forbid(monkeypatch, cohort.folder / "cohort.toml")
    with pytest.raises(TableError, match=r"cohort.toml: expected a readable file, got: Permission"):
        check_cohort(cohort.folder)


def test_a_folder_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(CohortError, match="expected a readable folder, got: Permission denied"):
        check_cohort(tmp_path)
