"""A cohort folder -> the patients that may be used, and everything that is wrong with the rest.

All findings are collected before anything stops, so a hospital gets one letter, not twenty.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from neoresponse.cohort.dictionary import (
    CLINICAL,
    FILE_COLUMNS,
    MODEL_VARIABLES,
    CohortFile,
    Number,
    find_cohort,
    load_cohort_file,
)
from neoresponse.cohort.doubts import id_doubts, number_doubts
from neoresponse.cohort.files import RowFiles, check_files
from neoresponse.cohort.flow import count_flow
from neoresponse.cohort.row import Row
from neoresponse.cohort.table_file import TableFile, read_table
from neoresponse.cohort.values import ValueProblem, read_value
from neoresponse.contracts.record import write_record
from neoresponse.durable import sha256_of, write_text
from neoresponse.errors import CohortError, TableError
from neoresponse.types import Finding, Patient, Severity, Track, untracked

PATIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""It becomes part of file names."""
MAX_LISTED = 20


@dataclass(frozen=True)
class CheckedCohort:
    """A cohort after the checks.

    Attributes:
        file: its `cohort.toml`.
        folder: the folder with `cohort.toml`.
        patients: those that passed, in the order of the table.
        findings: all findings; those of the whole cohort first, then row by row.
        num_rows: rows of the patient table.
    """

    file: CohortFile
    folder: Path
    patients: tuple[Patient, ...]
    findings: tuple[Finding, ...]
    num_rows: int


@dataclass
class _CheckedRow:
    """One row while it is checked."""

    row: Row
    patient: Patient
    files: RowFiles
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_accepted(self) -> bool:
        """Whether nothing leaves the patient out."""
        return all(finding.severity is not Severity.EXCLUDE for finding in self.findings)


def check_cohort(
    folder: Path, *, need_label: bool = True, track: Track = untracked
) -> CheckedCohort:
    """Check a cohort folder whole: table, codes, numbers, and every file once.

    Args:
        folder: the folder with `cohort.toml`, or the one above as the phantom writes it.
        need_label: whether a patient without a known outcome is left out, as training needs.
        track: shows progress.

    Raises:
        CohortError: there is no `cohort.toml`, or it cannot be read.
    """
    folder = find_cohort(folder)
    file = load_cohort_file(folder)
    try:
        read = read_table(folder, file.table)
        read.need(name for name in file.columns.values() if name in read.names)
    except TableError as error:
        return CheckedCohort(file, folder, (), (_stop("table", str(error)),), 0)
    table = read.cells
    cohort_findings = _check_columns(file, table, need_label=need_label)
    cohort_findings += _notes(file, read)
    rows = _rows(file, table)
    has_label = need_label and file.columns.get("pcr") in table.columns
    checked = [
        _check_row(row, folder, need_label=has_label)
        for row in track(rows, name="check", total=len(rows))
    ]
    _find_copies(checked)
    _find_shared_images(checked)
    patients = tuple(c.patient for c in checked if c.is_accepted)
    if not any(finding.severity is Severity.STOP for finding in cohort_findings):
        cohort_findings += _check_whole(patients, need_label=need_label)
    findings = [*cohort_findings, *(finding for c in checked for finding in c.findings)]
    return CheckedCohort(file, folder, patients, tuple(findings), len(table))


def raise_on_stop(checked: CheckedCohort) -> None:
    """Stop where a finding concerns the whole cohort.

    Raises:
        CohortError: lists every finding that stops the cohort.
    """
    stops = [f.message for f in checked.findings if f.severity is Severity.STOP]
    if stops:
        raise CohortError("\n".join(stops))


def write_check(out_folder: Path, checked: CheckedCohort) -> None:
    """Write `findings.csv`, `flow.json` and `patients.csv`.

    Args:
        out_folder: an existing folder.
        checked: the cohort.
    """
    findings = [(f.patient_id or "", f.where, str(f.severity), f.message) for f in checked.findings]
    header = ("patient_id", "where", "severity", "message")
    write_text(out_folder / "findings.csv", _csv([header, *findings]))
    flow = count_flow(checked.file, checked.patients, checked.findings, num_rows=checked.num_rows)
    write_record(out_folder, flow)
    columns = ("patient_id", "label", "is_multifocal", "machine", "centre", *CLINICAL, "available")
    rows = [_patient_cells(patient) for patient in checked.patients]
    write_text(out_folder / "patients.csv", _csv([columns, *rows]))


def _stop(where: str, message: str) -> Finding:
    """A finding that stops the whole cohort."""
    return Finding(None, where, message, Severity.STOP)


def _check_columns(file: CohortFile, table: pd.DataFrame, *, need_label: bool) -> list[Finding]:
    """Columns that `cohort.toml` names must be there; those it could name are asked for."""
    findings = [
        _stop(
            word,
            f"{file.table.file}: expected a column {column!r} for {word}, got columns "
            f"{list(table.columns)[:MAX_LISTED]}. Correct [columns].{word} in cohort.toml.",
        )
        for word, column in file.columns.items()
        if column not in table.columns
    ]
    if need_label and "pcr" not in file.columns:
        message = "cohort.toml: expected columns.pcr, got none. Name the column with the outcome."
        findings.append(_stop("pcr", message))
    images = [word for word in FILE_COLUMNS if not word.endswith("_roi")]
    unnamed = [word for word in (*images, *MODEL_VARIABLES) if word not in file.columns]
    if unnamed:
        message = f"cohort.toml: expected columns for {unnamed}, got none. They count as missing."
        findings.append(Finding(None, "columns", message, Severity.NOTE))
    return findings


def _notes(file: CohortFile, read: TableFile) -> list[Finding]:
    """How the table was read, and values in it that are probably something else."""
    sentences = list(read.notes)
    for word, column in file.columns.items():
        if column in read.names:
            texts = zip(read.rows, read.cells[column].tolist(), strict=True)
            known = {row: text for row, text in texts if not file.is_missing(text)}
            if word == "patient_id":
                sentences += id_doubts(column, known)
            elif isinstance(CLINICAL.get(word), Number):
                sentences += number_doubts(column, known, word=word)
    path = file.table.file
    return [Finding(None, "table", f"{path}: {text}", Severity.NOTE) for text in sentences]


def _rows(file: CohortFile, table: pd.DataFrame) -> list[Row]:
    """The table under our words; no rows where there is no column for patient_id."""
    if file.columns["patient_id"] not in table.columns:
        return []
    words = {word: column for word, column in file.columns.items() if column in table.columns}
    rows = []
    for number, record in zip(table.index, table.to_dict("records"), strict=True):
        cells = {word: str(record[column]) for word, column in words.items()}
        is_usable = PATIENT_ID.fullmatch(cells["patient_id"]) is not None
        name = cells["patient_id"] if is_usable else f"row {number}"
        rows.append(Row(number=int(number), name=name, cells=cells, file=file))
    return rows


def _check_row(row: Row, folder: Path, *, need_label: bool) -> _CheckedRow:
    """All checks of one row by itself."""
    findings: list[Finding] = []
    if row.name != row.cells["patient_id"]:
        message = (
            "expected up to 64 letters, digits, '.', '_' and '-', the first a letter or digit, "
            "got another text. Give another patient_id."
        )
        findings.append(row.exclude("patient_id", message))
    values = {word: _value(row, word, findings) for word in ("pcr", "focality", *CLINICAL)}
    if need_label and values["pcr"] is None and not _names(findings, "pcr"):
        message = (
            "expected the outcome, got none. Fill it in; the patient cannot be used without it."
        )
        findings.append(row.exclude("pcr", message))
    files = check_files(row, folder)
    findings.extend(files.findings)
    patient = Patient(
        patient_id=row.name,
        label=None if values["pcr"] is None else int(values["pcr"]),
        is_multifocal=values["focality"] == "multifocal",
        clinical={w: v for w in CLINICAL if (v := values[w]) is not None},
        us_0=files.us_0,
        us_1=files.us_1,
        biopsy=files.biopsy,
        machine=row.text("machine"),
        centre=row.text("centre"),
    )
    findings.extend(_missing_notes(row, patient, findings))
    return _CheckedRow(row=row, patient=patient, files=files, findings=findings)


def _value(row: Row, word: str, findings: list[Finding]) -> str | float | None:
    """One cell as a value; what cannot be becomes a finding."""
    if word not in row.cells:
        return None
    try:
        return read_value(row.file, word, row.cells[word])
    except ValueProblem as problem:
        findings.append(row.exclude(word, str(problem)))
        return None


def _missing_notes(row: Row, patient: Patient, findings: Sequence[Finding]) -> list[Finding]:
    """Values that are missing though their column is there."""
    named = [w for w in CLINICAL if w in row.cells and not _names(findings, w)]
    missing = [word for word in named if word not in patient.clinical]
    notes = []
    if missing:
        message = f"expected a value of {', '.join(missing)}, got none. Each counts as missing."
        notes.append(row.note("clinical", message))
    if "focality" in row.cells and row.text("focality") is None:
        message = "expected unifocal or multifocal, got none. It is taken as unifocal."
        notes.append(row.note("focality", message))
    if not patient.available and not any(f.severity is Severity.EXCLUDE for f in findings):
        message = "expected an image or a clinical value, got none. Remove the row or fill it."
        notes.append(row.exclude("clinical", message))
    return notes


def _names(findings: Iterable[Finding], word: str) -> bool:
    """Whether a finding is about a column."""
    return any(finding.where == word for finding in findings)


def _find_copies(checked: list[_CheckedRow]) -> None:
    """Leave out all rows of a patient_id that stands several times, whatever its letter case."""
    groups: defaultdict[str, list[_CheckedRow]] = defaultdict(list)
    for one in checked:
        groups[one.row.name.casefold()].append(one)
    for copies in groups.values():
        if len(copies) == 1:
            continue
        labels = {one.patient.label for one in copies}
        conflict = ", with different outcomes" if len(labels) > 1 else ""
        numbers = ", ".join(str(one.row.number) for one in copies)
        for one in copies:
            message = (
                f"expected one row per patient, got rows {numbers}{conflict}. Keep the right one."
            )
            one.findings.insert(0, one.row.exclude("patient_id", message))


def _find_shared_images(checked: list[_CheckedRow]) -> None:
    """Leave out all patients that share an image, by content, and those with one frame twice."""
    by_size: defaultdict[int, list[tuple[_CheckedRow, str, Path]]] = defaultdict(list)
    for one in checked:
        for word, path in one.files.images.items():
            by_size[path.stat().st_size].append((one, word, path))
    by_content: defaultdict[str, list[tuple[_CheckedRow, str, Path]]] = defaultdict(list)
    for same_size in by_size.values():
        if len(same_size) > 1:
            for entry in same_size:
                by_content[sha256_of(entry[2])].append(entry)
    for users in by_content.values():
        if len(users) > 1:
            for one, word, _ in users:
                others = [f"{o.row.name} {w}" for o, w, _ in users if o is not one or w != word]
                message = (
                    "expected an image of its own, got the same content as "
                    f"{', '.join(others[:MAX_LISTED])}. Name the right file."
                )
                one.findings.append(one.row.exclude(word, message))


def _check_whole(patients: Sequence[Patient], *, need_label: bool) -> list[Finding]:
    """What only shows on the cohort as a whole."""
    if not patients:
        message = (
            "cohort: expected at least one complete patient, got none. Correct the findings above."
        )
        return [_stop("cohort", message)]
    labels = {patient.label for patient in patients}
    if need_label and len(labels) == 1:
        only = "pCR" if labels == {1} else "residual disease"
        message = (
            f"cohort: expected patients with and without pCR, got only {only}. "
            "Check columns.pcr and codes.pcr in cohort.toml."
        )
        return [_stop("pcr", message)]
    return []


def _patient_cells(patient: Patient) -> tuple[str, ...]:
    """One line of patients.csv."""
    return (
        patient.patient_id,
        "" if patient.label is None else str(patient.label),
        str(int(patient.is_multifocal)),
        patient.machine or "",
        patient.centre or "",
        *(str(patient.clinical.get(word, "")) for word in CLINICAL),
        "+".join(patient.available),
    )


def _csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
