"""A cohort by hand: what passes, and one sentence for each thing that can be wrong."""

import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from neoresponse.cohort import check_cohort, load_cohort_file, raise_on_stop, write_check
from neoresponse.cohort.dictionary import FILE_COLUMNS
from neoresponse.errors import CohortError, TableError
from neoresponse.types import Modality, Severity


def names(checked):
    return [patient.patient_id for patient in checked.patients]


def only(checked, severity):
    found = [f for f in checked.findings if f.severity is severity]
    assert len(found) == 1, [f.message for f in found]
    return found[0]


def test_a_good_cohort_passes_without_a_stop_or_an_exclusion(cohort):
    checked = cohort.check()
    assert names(checked) == ["P1", "P2", "P3", "P4"]
    assert {f.severity for f in checked.findings} <= {Severity.NOTE}
    first = checked.patients[0]
    assert first.clinical == {"er": "positive", "ki67_percent": 30}
    assert first.available == tuple(Modality)
    assert first.us_0.spacing_mm == (0.1, 0.1)
    assert first.biopsy.mpp == 0.5
    assert checked.num_rows == 4
    raise_on_stop(checked)


OUTLINES = ("us_0_roi", "us_1_roi", "slide_roi")
EXCLUSIONS = [
    ({"patient_id": "Zoë Smith"}, "patient_id", "expected up to 64 letters, digits"),
    ({"patient_id": "../x"}, "patient_id", "expected up to 64 letters, digits"),
    ({"pcr": ""}, "pcr", "expected the outcome, got none"),
    ({"pcr": "maybe"}, "pcr", r"expected one of \['0', '1'\], got 'maybe'"),
    ({"focality": "many"}, "focality", r"expected one of .*, got 'many'"),
    ({"er": "2"}, "er", r"P2, row 3, column 'ER': expected one of .*'pos'.*, got '2'"),
    ({"ki67_percent": "130"}, "ki67_percent", "expected a number from 0 to 100 percent, got '130'"),
    ({"ki67_percent": "-1"}, "ki67_percent", "got '-1'"),
    ({"ki67_percent": "30,125"}, "ki67_percent", r"decimal mark '\.', got '30,125'"),
    ({"ki67_percent": "1e1"}, "ki67_percent", "got '1e1'"),
    ({"ki67_percent": "inf"}, "ki67_percent", "expected a number from 0 to 100 .*, got 'inf'"),
    ({"us_0": "absent.png"}, "us_0", "column 'US_0': expected a file, got none"),
    ({"us_0": "../outside.png"}, "us_0", "expected a path inside the cohort folder"),
    ({"us_0": "/etc/hostname"}, "us_0", "expected a path inside the cohort folder"),
    ({"us_0": "C:\\us\\a.png"}, "us_0", "expected a path inside the cohort folder"),
    ({"us_0": "link.png"}, "us_0", "expected a path inside the cohort folder"),
    ({"us_0": "x" * 5000}, "us_0", "expected a readable file, got: File name too long"),
    ({"us_0": ".."}, "us_0", "expected a path inside the cohort folder"),
    ({"us_0": "loop.png"}, "us_0", "expected a readable file, got: an impossible path"),
    ({"us_0": "broken.png"}, "us_0", "P2, row 3, column 'US_0': expected a whole image"),
    ({"us_0": "flat.png"}, "us_0", "column 'US_0': expected an image, got a uniformly grey one"),
    ({"us_0_roi": ""}, "us_0_roi", "expected the outline of the lesion, got none"),
    ({"us_0_roi": "far.json"}, "us_0_roi", "expected an outline inside its image of 100 x 80"),
    ({"us_0_roi": "tiny.json"}, "us_0_roi", "expected a lesion of at least 10 pixels, got 6.0"),
    ({"us_1_roi": "mask.png"}, "us_1_roi", "expected a mask of 100 x 80 .*, got 50 x 50"),
    *(({word: "absent.json"}, word, "expected a file, got none") for word in OUTLINES),
    *(({word: "../outside.png"}, word, "a path inside the cohort") for word in OUTLINES),
    *(({word: "broken.json"}, word, f"{word.upper()}': expected whole JSON") for word in OUTLINES),
    ({"slide": "broken.png"}, "slide", "column 'SLIDE': expected a whole image"),
    ({"slide_roi": "far.json"}, "slide_roi", "expected an outline inside its image"),
    ({"slide_roi": "tiny.json"}, "slide_roi", "expected a region of at least 32 pixels a side"),
]


@pytest.mark.parametrize(("cells", "where", "words"), EXCLUSIONS)
def test_one_bad_cell_leaves_out_its_patient_in_one_sentence(cohort, cells, where, words):
    folder, outline = cohort.folder, (cohort.folder / "P1.json").read_text()
    Image.new("L", (64, 64)).save(folder / "flat.png")
    shutil.copy(folder / "P1_us_0.png", folder.parent / "outside.png")
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "broken.json").write_text(outline[:30])
    (folder / "broken.png").write_bytes((folder / "P1_us_0.png").read_bytes()[:3000])
    (folder / "far.json").write_text(outline.replace("60", "160"))
    (folder / "tiny.json").write_text(outline.replace("60", "26"))
    mask = np.zeros((50, 50), dtype=np.uint8)
    mask[10:40, 10:40] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    checked = cohort.put("P2", **cells).check()
    finding = only(checked, Severity.EXCLUDE)
    assert finding.where == where
    assert names(checked) == ["P1", "P3", "P4"]
    assert finding.message.startswith(("P2, row 3", "row 3"))
    assert str(folder) not in finding.message
    told = [
        cells.get(kind) for kind in ("patient_id", *FILE_COLUMNS) if len(cells.get(kind, "")) > 1
    ]
    assert not [text for text in told if text in finding.message]
    assert "\n" not in finding.message
    assert re.search(words, finding.message), finding.message


@pytest.mark.parametrize(
    ("cells", "where", "words"),
    [
        ({"us_1": "", "us_1_roi": ""}, "us_1", "The network masks this input"),
        ({"us_1": ""}, "us_1_roi", "expected an image for this outline"),
        ({"us_1_roi": ""}, "us_1_roi", "taken as no longer visible"),
        ({"slide_roi": ""}, "slide_roi", "The whole image is taken as the region"),
        ({"er": "unknown"}, "clinical", "expected a value of er, got none"),
        ({"focality": ""}, "focality", "taken as unifocal"),
    ],
)
def test_what_someone_should_look_at_is_noted_and_the_patient_stays(cohort, cells, where, words):
    checked = cohort.put("P2", **cells).check()
    assert "P2" in names(checked)
    messages = [f.message for f in checked.findings if f.patient_id == "P2" and f.where == where]
    assert len(messages) == 1
    assert words in messages[0]


@pytest.mark.parametrize("text", ["?", "nan", "NaN", ""])
def test_a_missing_clinical_value_has_no_entry(cohort, text):
    checked = cohort.put("P2", ki67_percent=text).check()
    assert checked.patients[1].clinical == {"er": "positive"}


def test_pixel_sizes_that_nobody_states_are_noted(cohort):
    cohort.toml = cohort.toml.replace("spacing_mm = 0.1", "").replace("mpp = 0.5", "")
    checked = cohort.check()
    notes = Counter(f.where for f in checked.findings if f.patient_id == "P1")
    assert notes == {"us_0": 1, "us_1": 1, "slide": 1}
    assert checked.patients[0].us_0.spacing_mm is None


def test_all_copies_of_a_patient_are_left_out_and_the_conflict_is_said(cohort):
    cohort.rows["copy"] = {**cohort.rows["P3"], "patient_id": "p3", "pcr": "1"}
    checked = cohort.check()
    assert names(checked) == ["P1", "P2", "P4"]
    messages = [f.message for f in checked.findings if f.where == "patient_id"]
    assert len(messages) == 2
    assert all("got rows 4, 6, with different outcomes" in message for message in messages)


def test_one_image_for_two_patients_leaves_out_both(cohort):
    shutil.copy(cohort.folder / "P1_us_0.png", cohort.folder / "again.png")
    checked = cohort.put("P2", us_0="again.png").check()
    assert names(checked) == ["P3", "P4"]
    messages = [f.message for f in checked.findings if f.severity is Severity.EXCLUDE]
    assert "got the same content as P2 us_0" in messages[0]
    assert "got the same content as P1 us_0" in messages[1]


def test_one_frame_for_both_time_points_leaves_out_the_patient(cohort):
    checked = cohort.put("P2", us_1="P2_us_0.png").check()
    assert names(checked) == ["P1", "P3", "P4"]


def test_a_patient_without_image_and_clinical_value_is_left_out(cohort):
    empty = dict.fromkeys(("er", "ki67_percent", *FILE_COLUMNS), "")
    finding = only(cohort.put("P2", **empty).check(), Severity.EXCLUDE)
    assert finding.where == "clinical"
    assert "expected an image or a clinical value, got none" in finding.message


def test_us_1_before_us_0_leaves_out_the_patient(cohort):
    cohort.write_dicom("a.dcm", AcquisitionDate="20240301")
    cohort.write_dicom("b.dcm", AcquisitionDate="20240115")
    finding = only(cohort.put("P2", us_0="a.dcm", us_1="b.dcm").check(), Severity.EXCLUDE)
    assert "expected US-1 after US-0, got 2024-01-15 and 2024-03-01" in finding.message


def test_both_frames_on_one_day_are_noted(cohort):
    cohort.write_dicom("a.dcm", AcquisitionDate="20240301")
    cohort.write_dicom("b.dcm", AcquisitionDate="20240301")
    checked = cohort.put("P2", us_0="a.dcm", us_1="b.dcm").check()
    assert "expected US-1 weeks after US-0" in " ".join(f.message for f in checked.findings)


def test_a_number_of_the_hospital_is_noted_and_the_name_never_told(cohort, tmp_path):
    cohort.write_dicom("a.dcm", PatientID="P2", PatientName="Doe^Jane", PatientBirthDate="19700101")
    checked = cohort.put("P2", us_0="a.dcm").check()
    assert "expected a patient_id made for the study" in " ".join(
        f.message for f in checked.findings
    )
    (tmp_path / "out").mkdir()
    write_check(tmp_path / "out", checked)
    written = "".join(p.read_text() for p in (tmp_path / "out").iterdir())
    assert "Doe" not in written
    assert "1970" not in written
    cohort.toml = cohort.toml.replace('name = "By hand"', 'name = "x"\nis_simulated = true')
    assert "made for the study" not in " ".join(f.message for f in cohort.check().findings)


def test_a_wrong_column_stops_and_the_rows_are_still_checked(cohort):
    cohort.toml = cohort.toml.replace('er = "ER"', 'er = "Oestrogen"')
    checked = cohort.put("P2", ki67_percent="999").check()
    finding = only(checked, Severity.STOP)
    assert "expected a column 'Oestrogen' for er, got columns ['PATIENT_ID'" in finding.message
    assert only(checked, Severity.EXCLUDE).where == "ki67_percent"
    with pytest.raises(CohortError, match="Oestrogen"):
        raise_on_stop(checked)


def test_a_cohort_without_an_outcome_stops_only_where_one_is_needed(cohort):
    cohort.toml = cohort.toml.replace('pcr = "PCR"\n', "")
    assert "expected columns.pcr, got none" in only(cohort.check(), Severity.STOP).message
    checked = cohort.check(need_label=False)
    assert [patient.label for patient in checked.patients] == [None] * 4
    raise_on_stop(checked)


def test_one_outcome_alone_stops(cohort):
    for name in cohort.rows:
        cohort.put(name, pcr="0")
    message = only(cohort.check(), Severity.STOP).message
    assert "expected patients with and without pCR, got only residual disease" in message


def test_a_cohort_of_which_nobody_passes_stops(cohort):
    for name in cohort.rows:
        cohort.put(name, ki67_percent="999")
    assert (
        "expected at least one complete patient, got none"
        in only(cohort.check(), Severity.STOP).message
    )


def test_a_broken_table_stops(cohort):
    cohort.toml = cohort.toml.replace("table.csv", "absent.csv")
    checked = cohort.check()
    assert "expected a patient table, found no file" in only(checked, Severity.STOP).message
    assert (checked.num_rows, checked.patients) == (0, ())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('er = "ER"', 'oestrogen = "ER"', "columns: expected one of"),
        ('pos = "positive"', 'pos = "yes"', "codes.er: expected .* got .'yes'."),
        ('er = "ER"', 'er = "PCR"', "expected pcr to have its own column"),
        ('name = "By hand"', 'name = "x"\nnmae = "y"', "nmae"),
        ("[table]", "[table", "expected TOML"),
        ("spacing_mm = 0.1", "spacing_mm = inf", "ultrasound.spacing_mm: .*finite number"),
        ("spacing_mm = 0.1", "spacing_mm = nan", "ultrasound.spacing_mm: .*finite number"),
        ("mpp = 0.5", "mpp = inf", "slide.mpp: .*finite number"),
        ('er = "ER"', f"er = {'[' * 5000}", "expected TOML"),
    ],
)
def test_a_wrong_cohort_file_is_refused_with_its_key(cohort, old, new, words):
    cohort.toml = cohort.toml.replace(old, new)
    with pytest.raises(TableError, match=words):
        cohort.check()


def test_a_folder_without_cohort_file_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"expected a folder with cohort\.toml, got none"):
        check_cohort(tmp_path)


def test_three_files_tell_who_passed_and_who_did_not(cohort, tmp_path):
    cohort.rows["copy"] = {**cohort.rows["P4"]}
    checked = cohort.put("P2", er="2", us_0="absent.png").check()
    (tmp_path / "out").mkdir()
    write_check(tmp_path / "out", checked)
    flow = json.loads((tmp_path / "out" / "flow.json").read_text())
    assert flow["schema"] == "neoresponse.flow/1"
    assert (flow["num_rows"], flow["num_included"], flow["num_excluded"]) == (5, 2, 3)
    assert flow["reasons"] == [
        {"reason": "patient_id used twice or not usable", "num_patients": 2},
        {"reason": "er not understood or impossible", "num_patients": 1},
    ]
    assert flow["counts"]["unifocal"] == {"pcr": 0, "residual": 2}
    assert flow["available"] == {"biopsy": 2, "us_0": 2, "us_1": 2, "clinical": 2}
    patients = (tmp_path / "out" / "patients.csv").read_text().splitlines()
    assert patients[0].startswith("patient_id,label,is_multifocal,machine,centre,phenotype,er,")
    assert patients[1].startswith("P1,0,0,,,,positive,30.0")
    assert patients[1].endswith("biopsy+us_0+us_1+clinical")
    findings = (tmp_path / "out" / "findings.csv").read_text().splitlines()
    assert findings[0] == "patient_id,where,severity,message"
    assert len(findings) == 1 + len(checked.findings)


def test_the_phantom_passes_whole(checked):
    assert len(checked.patients) == checked.num_rows == 24
    assert all(f.severity is Severity.NOTE for f in checked.findings)
    assert load_cohort_file(checked.folder).is_simulated
